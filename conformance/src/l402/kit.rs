//! What l402kit 1.10.1 does: its tokens, its replay keys, its webhooks, its 402 answer.

use std::collections::BTreeSet;

use faregate_types::l402::body::{ALREADY_USED, Body};
use faregate_types::l402::challenge::{self, Lines};
use faregate_types::l402::replay::Dialect;
use faregate_types::l402::{UnsignedToken, webhook as hook};
use faregate_types::lightning::{Msat, Preimage};
use faregate_types::{Secret, Timestamp};
use serde_json::{Value, json};

use super::{NOW, equal, first_word, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// Whether an unsigned token can be read and is not expired. That alone opens nothing.
///
/// # Errors
/// When l402kit refuses a token that we would read.
pub fn token(case: &Case) -> Result<Heard, String> {
    let known = ["name", "token", "l402kit_1_10_1_verify_token", "we"];
    case.only(&[], &known)?;
    let text: String = case.expected("token")?;
    let now_ms = NOW.saturating_mul(1_000);
    let ours = UnsignedToken::parse(&text)
        .and_then(|token| token.check_time(now_ms).map(|()| token))
        .map_err(|error| error.to_string());
    let theirs: bool = case.expected("l402kit_1_10_1_verify_token")?;
    if ours.is_ok() && !theirs {
        return Err("is read here, and refused by l402kit".into());
    }
    let expected: String = case.expected("we")?;
    Ok(Heard::one(case, first_word(&expected), verdict(&ours)))
}

/// One call after the other: a preimage is used once, however it is written.
///
/// # Errors
/// Names the first call that differs.
pub fn replay(case: &Case) -> Result<Heard, String> {
    let mut used = BTreeSet::new();
    for call in case.expected.as_array().ok_or("is no list")? {
        let text = call.get("preimage_text").and_then(Value::as_str);
        let preimage = Preimage::parse(text.ok_or("has no preimage")?);
        let key = Dialect::Python.key(&preimage.map_err(|error| error.to_string())?);
        let first = json!(used.insert(key));
        let number = call.get("call").unwrap_or(&Value::Null);
        equal(
            &format!("call {number}"),
            &call.get("we_first_use"),
            &Some(&first),
        )?;
    }
    Ok(Heard::same(case))
}

/// The keys in Redis.
///
/// # Errors
/// Names the difference.
pub fn replay_keys(case: &Case) -> Result<Heard, String> {
    let known = [
        "memory_and_redis_key_material",
        "redis_key_python",
        "redis_key_typescript",
        "redis_command_python",
        "redis_command_typescript",
    ];
    case.only(&[], &known)?;
    // The preimage of the whole recording.
    let text = "2f466aea907bfa80883ece0c453f7ad6b358149e531dc7b7b2e30397e921fb50";
    let preimage = Preimage::parse(text).map_err(|error| error.to_string())?;
    for (dialect, name) in [
        (Dialect::Python, "python"),
        (Dialect::TypeScript, "typescript"),
    ] {
        let key: String = case.expected(&format!("redis_key_{name}"))?;
        equal(name, &key, &dialect.key(&preimage))?;
        let command: String = case.expected(&format!("redis_command_{name}"))?;
        let lasts = format!("EX {}", dialect.ttl_secs());
        equal(name, &true, &command.contains(&lasts))?;
    }
    Ok(Heard::same(case))
}

/// A webhook, and l402kit's very words about it.
///
/// # Errors
/// When what we sign is not what l402kit signs.
pub fn webhook(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["name", "secret", "now", "body", "header", "l402kit"])?;
    let text = |key: &str| case.expected::<String>(key);
    let (secret, body, header) = (text("secret")?, text("body")?, text("header")?);
    let secret = Secret::new(secret.into_bytes());
    let now = Timestamp::from_secs(case.expected("now")?);
    let ours = hook::verify(&secret, &header, body.as_bytes(), now);
    let theirs: Value = case.expected("l402kit")?;
    let error = theirs.get("error").and_then(Value::as_str);
    if ours.is_ok() {
        let at = header.trim_start_matches("t=").split(',').next();
        let at = at.and_then(|at| at.parse().ok()).map(Timestamp::from_secs);
        let signed = at.map(|at| hook::sign(&secret, at, body.as_bytes()));
        equal("header", &Some(header), &signed)?;
        serde_json::from_str::<hook::Event>(&body).map_err(|error| error.to_string())?;
    }
    let ours = ours.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    Ok(Heard::one(case, error.unwrap_or("ok"), ours))
}

/// The 402 answer: every name that one of l402kit's clients looks for, and the line that all of them parse. With which status a
/// used token is answered is a setting of the gate.
///
/// # Errors
/// Names the difference.
pub fn answer(case: &Case) -> Result<Heard, String> {
    let known = [
        "python_body_keys",
        "ts_go_rust_body_keys",
        "header",
        "replay_body",
    ];
    case.only(&[], &known)?;
    let body = Body::new("Payment Required", Msat::new(9_001), "<i>", "<m>");
    let body = serde_json::to_value(body).map_err(|error| error.to_string())?;
    for dialect in ["python_body_keys", "ts_go_rust_body_keys"] {
        for key in case.expected::<Vec<String>>(dialect)? {
            equal(&key, &true, &body.get(&key).is_some())?;
        }
    }
    equal("price", &Some(&json!(10)), &body.get("price_sats"))?;
    let header: String = case.expected("header")?;
    let lines = challenge::write("<m>", "<i>", Lines::default());
    let whole = |line: &String| {
        line.strip_prefix(&header)
            .is_some_and(|rest| rest.starts_with(','))
    };
    equal(
        "header",
        &1,
        &lines.iter().filter(|line| whole(line)).count(),
    )?;
    let used: Value = case.expected("replay_body")?;
    equal(
        "used",
        &used.pointer("/json/error"),
        &Some(&json!(ALREADY_USED)),
    )?;
    Ok(Heard::same(case))
}
