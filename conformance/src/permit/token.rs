//! Access tokens, and the header they come in.

use faregate_types::Timestamp;
use faregate_types::permit::{Claims, TokenError, TokenKey, authorization, token as access};
use serde_json::Value;

use super::equal;
use crate::case::Case;
use crate::judge::{CRASHED, Heard};

/// A token that is made, or one that is checked.
///
/// # Errors
/// Names the first difference.
pub fn token(case: &Case) -> Result<Heard, String> {
    let now = Timestamp::from_secs(case.input("now")?);
    if case.inputs.get("expires_in").is_some() {
        return made(case, now);
    }
    case.only(
        &["key", "now", "token"],
        &["ok", "payload", "http", "reason", "ours"],
    )?;
    let text: String = case.input("token")?;
    let checked = access::verify(&text, &key(case)?, now);
    let peer = match case.expected.get("reason").and_then(Value::as_str) {
        _ if case.expected("ok")? => "accepted".to_owned(),
        Some(reason) => format!("402 {reason}"),
        None => CRASHED.to_owned(),
    };
    if let (Ok(token), Some(payload)) = (&checked, case.expected.get("payload")) {
        let ours: Value =
            serde_json::from_str(&token.payload).map_err(|error| error.to_string())?;
        equal("payload", payload, &ours)?;
    }
    let heard = Heard::one(case, peer, word(&checked));
    Ok(heard.ruled(case.expected::<String>("ours").ok()))
}

fn made(case: &Case, now: Timestamp) -> Result<Heard, String> {
    case.only(
        &["key", "now", "expires_in", "nonce"],
        &["token", "payload_json", "mac_hex"],
    )?;
    let claims = Claims {
        exp: now
            .checked_add_secs(case.input("expires_in")?)
            .ok_or("too late")?,
        iat: Some(now),
        nonce: Some(case.input("nonce")?),
        ..Claims::default()
    };
    // The text says it all: it has the payload's bytes and the code's.
    let ours = access::mint(&key(case)?, &claims);
    equal("token", &case.expected("token")?, &ours)?;
    Ok(Heard::same(case))
}

/// One `Authorization` line, or none.
///
/// # Errors
/// When the case has another form.
pub fn header(case: &Case) -> Result<Heard, String> {
    case.only(&["header", "now", "key"], &["http", "reason"])?;
    let line: Option<String> = case.input("header")?;
    let now = Timestamp::from_secs(case.input("now")?);
    let lines = line.iter().map(String::as_bytes);
    let checked = authorization::check(lines, &key(case)?, now);
    let peer = match case.expected::<u16>("http")? {
        200 => "accepted".to_owned(),
        status => format!("{status} {}", case.expected::<String>("reason")?),
    };
    Ok(Heard::one(case, peer, word(&checked)))
}

fn key(case: &Case) -> Result<TokenKey, String> {
    TokenKey::new(case.input("key")?).map_err(|error| error.to_string())
}

fn word<T>(checked: &Result<T, TokenError>) -> String {
    match checked {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{} {error}", error.code().http_status()),
    }
}
