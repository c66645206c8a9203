//! `faregate token`: what access tokens say, and the end of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use faregate_server::config::SecretSource;
use faregate_types::permit::{TokenKey, token};
use faregate_types::{Code, Timestamp};
use serde_json::json;

use crate::cli::key::{InspectArgs, RevokeArgs};
use crate::commands::decode::permit::{explained, read_token};
use crate::commands::revoke;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire;

/// Most that is read from standard input or a file, in bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// Runs `faregate token inspect`.
///
/// # Errors
/// When it is no token, or when the key did not sign it.
pub(crate) fn run(
    args: &InspectArgs,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    let key = args
        .key
        .as_deref()
        .map(|source| key(source, env))
        .transpose()?;
    let (text, token) = read_token(&input(&args.token)?)?;
    let explained = explained("access token", &token);
    printer.line(explained.text.trim_end());
    if let Some(key) = &key {
        // Whether it is late is told above, so the time is left out of this.
        if token::verify(&text, key, Timestamp::from_secs(0)).is_err() {
            return Err(Failed::new(Exit::Refused, "this key did not sign it")
                .code(Code::AccessTokenForged));
        }
        printer.line("  signed       by this key");
    }
    let mut data = explained.content;
    data["signed"] = json!(key.is_some().then_some(true));
    data["warnings"] = json!(explained.warnings);
    printer.data(&data);
    Ok(())
}

/// Runs `faregate token revoke`.
///
/// # Errors
/// When it names no payment, or when nobody wrote it down.
pub(crate) async fn revoke(
    args: &RevokeArgs,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    let ids = match &args.token {
        None => args.ids.clone(),
        Some(argument) => {
            let (_, token) = read_token(&input(argument)?)?;
            let payment = token.claims.jti.ok_or_else(|| {
                Failed::usage("this token names no payment, so it cannot be revoked")
                    .hint("tokens of x402-mock itself work until they expire")
            })?;
            vec![payment]
        }
    };
    revoke::run(&ids, &args.gate, env, printer).await
}

/// The argument, or what it names.
fn input(argument: &str) -> Result<String, Failed> {
    let mut bytes = Vec::new();
    match argument.strip_prefix('@') {
        Some(path) => {
            let failed = |error: std::io::Error| Failed::usage(format!("{path}: {error}"));
            let file = File::open(path).map_err(failed)?;
            file.take(INPUT_BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        }
        None if argument == "-" => {
            std::io::stdin()
                .take(INPUT_BYTES_MAX)
                .read_to_end(&mut bytes)?;
        }
        None => return Ok(argument.to_owned()),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn key(source: &str, env: &BTreeMap<String, String>) -> Result<TokenKey, Failed> {
    // What is no source may be the key itself, so it is not shown.
    let source = SecretSource::parse(source)
        .ok_or_else(|| Failed::usage("--key: expected env:NAME or file:/absolute/path"))?;
    wire::token_key(&source, env)
}
