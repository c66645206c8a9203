//! Headers and metadata.

use faregate_types::l402::challenge::{self, Lines};
use faregate_types::l402::{Challenge, Credential, Macaroon, Presented, Scheme, grpc as carrier};
use faregate_types::lightning::Bolt11;
use serde_json::{Value, json};

use super::{equal, first_word, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// `WWW-Authenticate`.
///
/// # Errors
/// Names the first difference.
pub fn challenge(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["name", "www_authenticate", "expect", "clients"])?;
    let lines: Vec<String> = case.expected("www_authenticate")?;
    let parsed = Challenge::parse_all(lines.iter().map(String::as_bytes));
    let expected = case.expected.get("expect").unwrap_or(&Value::Null);
    if let Some(text) = expected.as_str() {
        if text.starts_with("parse ok, invoice check fails") {
            let found = parsed.map_err(|error| error.to_string())?;
            let paid = found.iter().any(|one| Bolt11::parse(&one.invoice).is_ok());
            let ours = if paid { "pays" } else { "does not pay" };
            return Ok(Heard::one(case, "does not pay", ours));
        }
        return Ok(Heard::one(case, first_word(text), verdict(&parsed)));
    }
    let found = parsed.map_err(|error| error.to_string())?;
    let ours: Vec<Value> = found.iter().map(shown).collect();
    equal("challenges", expected, &Value::Array(ours))?;
    let chosen = Challenge::parse(lines.iter().map(String::as_bytes));
    let newer = found.iter().any(|one| one.scheme == Scheme::L402);
    let scheme = chosen.map_err(|error| error.to_string())?.scheme;
    equal("L402 before LSAT", &newer, &(scheme == Scheme::L402))?;
    // What we write for the same token and invoice says the same.
    for one in &found {
        let all = Lines {
            lsat: true,
            ordered: true,
        };
        let written = challenge::write(&one.token, &one.invoice, all);
        let again = Challenge::parse_all(written.iter().map(String::as_bytes));
        let again = again.map_err(|error| error.to_string())?;
        equal("lines", &written.len(), &again.len())?;
        let same = |other: &Challenge| other.token == one.token && other.invoice == one.invoice;
        equal("written", &true, &again.iter().all(same))?;
    }
    Ok(Heard::same(case))
}

fn shown(challenge: &Challenge) -> Value {
    let mut shown = json!({
        "scheme": challenge.scheme.as_str(),
        "token": challenge.token,
        "invoice": challenge.invoice,
    });
    if let (Some(version), Some(members)) = (&challenge.version, shown.as_object_mut()) {
        members.insert("version".into(), json!(version));
    }
    shown
}

/// `Authorization`.
///
/// # Errors
/// Names the first difference.
pub fn credential(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["name", "authorization", "expect", "aperture_regex"])?;
    let value: String = case.expected("authorization")?;
    let read = Presented::read(value.as_bytes());
    let expected = case.expected.get("expect").unwrap_or(&Value::Null);
    if let Some(text) = expected.as_str() {
        let ours = match &read {
            Ok(None) => "not ours",
            Ok(Some(_)) => "accepted",
            Err(_) => "reject 401",
        };
        let expected = if text.starts_with("not ours") {
            "not ours"
        } else {
            text
        };
        return Ok(Heard::one(case, expected, ours));
    }
    let read = read.map_err(|error| error.to_string())?;
    if expected.get("legacy_l402kit") == Some(&Value::Bool(true)) {
        let ours = match read {
            Some(Presented::Unsigned(_)) => "unsigned",
            Some(Presented::Signed(_)) | None => "something else",
        };
        return Ok(Heard::one(case, "unsigned", ours));
    }
    let Some(Presented::Signed(credential)) = read else {
        return Err(format!("got {read:?}"));
    };
    let text = |key: &str| expected.get(key).and_then(Value::as_str);
    let preimage = credential.preimage.expose_hex();
    equal("preimage", &text("preimage"), &Some(preimage.as_str()))?;
    let tokens = expected.get("tokens").and_then(Value::as_array);
    let tokens: Option<Vec<Macaroon>> = tokens
        .into_iter()
        .flatten()
        .map(|token| Macaroon::from_base64(token.as_str()?).ok())
        .collect();
    equal("tokens", &tokens, &Some(credential.tokens))?;
    let scheme = value.split(' ').next().and_then(Scheme::from_name);
    equal("scheme", &text("scheme"), &scheme.map(Scheme::as_str))?;
    Ok(Heard::same(case))
}

/// gRPC: credentials in metadata, and the answer that asks for them.
///
/// # Errors
/// Names the first difference.
pub fn grpc(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["name", "header", "value", "expect", "response"])?;
    let expected: String = case.expected("expect")?;
    if let Some(response) = case.expected.get("response") {
        let text = |key: &str| response.get(key).and_then(Value::as_str);
        equal("grpc-status", &text("grpc-status"), &Some(carrier::STATUS))?;
        equal(
            "grpc-message",
            &text("grpc-message"),
            &Some(carrier::MESSAGE),
        )?;
        let content_type = text("content-type").unwrap_or_default();
        equal("is gRPC", &true, &carrier::is_grpc(content_type.as_bytes()))?;
        let lines = challenge::write("...", "...", Lines::default());
        let schemes: Vec<&str> = lines.iter().map(|line| first_word(line)).collect();
        let theirs: Vec<&str> = response
            .get("www-authenticate")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str().map(first_word))
            .collect();
        equal("lines", &theirs, &schemes)?;
        return Ok(Heard::same(case));
    }
    let header: String = case.expected("header")?;
    let known = carrier::METADATA.contains(&header.to_ascii_lowercase().as_str());
    equal("known carrier", &true, &known)?;
    let value: String = case.expected("value")?;
    let ours = Credential::from_metadata(value.as_bytes());
    if let Ok(credential) = &ours {
        let opened = credential.tokens.iter().map(|token| {
            faregate_types::l402::opened(token, &credential.preimage).map_err(|no| no.to_string())
        });
        opened.collect::<Result<Vec<_>, _>>()?;
    }
    Ok(Heard::one(case, first_word(&expected), verdict(&ours)))
}
