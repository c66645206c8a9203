//! Stubs that cost as little as possible, the same for us and for the peers: a facilitator that agrees with everything, and
//! a seller whose answers are made beforehand.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::listen;
use crate::Failed;
use crate::chain::{self, CHAIN};

/// The transaction that never was.
pub const TRANSACTION: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

/// A facilitator that calls every payment valid, and settled at once.
///
/// # Errors
/// The port.
pub async fn facilitator() -> Result<(), Failed> {
    let kinds = json!({"kinds": [{"x402Version": 2, "scheme": "exact", "network": CHAIN.to_string()}], "extensions": [], "signers": {}});
    let supported = answer(200, "", &kinds.to_string());
    serve(Arc::new(move |request: &[u8]| {
        if request.starts_with(b"GET") {
            return supported.clone();
        }
        let payer = payer(request);
        let body = if request.starts_with(b"POST /verify") {
            format!(r#"{{"isValid":true,"payer":"{payer}"}}"#)
        } else {
            format!(
                r#"{{"success":true,"transaction":"{TRANSACTION}","network":"{CHAIN}","payer":"{payer}"}}"#
            )
        };
        answer(200, "", &body)
    }))
    .await
}

/// A seller that asks for $0.001 and takes any payment of `payer`.
///
/// # Errors
/// The port; the asset is not known.
pub async fn seller(payer: &str) -> Result<(), Failed> {
    let asset = chain::asset()?;
    let required = json!({
        "x402Version": 2,
        "error": "PAYMENT-SIGNATURE header is required",
        "resource": {"url": "http://127.0.0.1/joke", "description": "one joke", "mimeType": "text/plain"},
        "accepts": [{
            "scheme": "exact",
            "network": CHAIN.to_string(),
            "amount": "1000",
            "asset": asset.id.token().to_string(),
            "payTo": chain::account(9)?.address.to_string(),
            "maxTimeoutSeconds": 300,
            "extra": Value::from(asset.domain.to_extra()),
        }],
    });
    let receipt = json!({"success": true, "transaction": TRANSACTION, "network": CHAIN.to_string(), "payer": payer});
    let header =
        |name: &str, value: &Value| format!("{name}: {}\r\n", STANDARD.encode(value.to_string()));
    let unpaid = answer(402, &header("PAYMENT-REQUIRED", &required), "{}");
    let paid = answer(200, &header("PAYMENT-RESPONSE", &receipt), "ok");
    serve(Arc::new(move |request: &[u8]| {
        let lower = request.to_ascii_lowercase();
        if find(&lower, b"\r\npayment-signature:").is_some() {
            paid.clone()
        } else {
            unpaid.clone()
        }
    }))
    .await
}

type Handler = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

async fn serve(handler: Handler) -> Result<(), Failed> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, Arc::clone(&handler)));
    }
}

async fn connection(mut stream: TcpStream, handler: Handler) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut seen = Vec::with_capacity(16 * 1024);
    loop {
        while let Some(end) = whole(&seen) {
            let answer = handler(seen.get(..end)?);
            stream.write_all(&answer).await.ok()?;
            seen.drain(..end);
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// Where the first request ends, once all of it is there.
fn whole(seen: &[u8]) -> Option<usize> {
    let head = find(seen, b"\r\n\r\n")?.checked_add(4)?;
    let length = String::from_utf8_lossy(seen.get(..head)?)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    let end = head.checked_add(length)?;
    (seen.len() >= end).then_some(end)
}

/// The payer as the body names it; nobody checks it here.
fn payer(request: &[u8]) -> String {
    const NAME: &[u8] = b"\"from\":";
    find(request, NAME)
        .and_then(|at| request.get(at.checked_add(NAME.len())?..))
        .and_then(|rest| rest.split(|byte| *byte == b'"').nth(1))
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .unwrap_or_default()
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} S\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payer_is_found_however_the_json_is_spaced() {
        assert_eq!(
            payer(br#"{"authorization":{"from":"0xAb","to":"0x1"}}"#),
            "0xAb"
        );
        assert_eq!(payer(br#"{"from": "0xAb"}"#), "0xAb");
        assert_eq!(payer(b"{}"), "");
    }

    #[test]
    fn a_request_is_whole_with_its_body() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(whole(request), Some(request.len()));
        assert_eq!(whole(&request[..request.len() - 1]), None);
        assert_eq!(whole(b"GET / HTTP/1.1\r\n\r\n"), Some(18));
    }
}
