//! Bytes that no client library sends.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{House, ROUTES};

/// Sends raw bytes and reads until the peer closes; the status of the first answer.
async fn raw(house: &House, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(house.gate.addr()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split_whitespace()
        .nth(1)
        .unwrap_or("closed")
        .to_owned()
}

#[tokio::test]
async fn hostile_requests_are_refused_and_never_500() {
    let house = House::with("unmatched = \"free\"", ROUTES).await;
    let close = "connection: close\r\n\r\n";
    for (request, expected) in [
        (format!("GET /joke HTTP/1.1\r\nhost: a\r\n{close}"), "402"),
        (format!("GET /joke HTTP/1.0\r\n{close}"), "402"),
        (
            format!("GET http://other.example/joke HTTP/1.1\r\nhost: a\r\n{close}"),
            "402",
        ),
        (
            format!("GET /free/../joke HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (
            format!("GET /free/%2e%2e/joke HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (
            format!("GET /free/..%2fjoke HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (
            format!("GET /free/..;/joke HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (
            format!("GET /free%5c..%5cjoke HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (
            format!("GET /free/%00 HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (format!("GET /free/% HTTP/1.1\r\nhost: a\r\n{close}"), "400"),
        (
            format!("GET /free/%ff HTTP/1.1\r\nhost: a\r\n{close}"),
            "400",
        ),
        (format!("GET * HTTP/1.1\r\nhost: a\r\n{close}"), "400"),
        (
            format!("CONNECT joke:80 HTTP/1.1\r\nhost: a\r\n{close}"),
            "405",
        ),
        (
            format!("GET /joke HTTP/1.1\r\nhost: a\r\nhost: b\r\n{close}"),
            "400",
        ),
        (
            format!(
                "GET /joke HTTP/1.1\r\nhost: a\r\npayment-signature: {}\r\n{close}",
                "A".repeat(40_000)
            ),
            "402",
        ),
        (
            format!("GET /joke HTTP/1.1\r\nhost: a\r\npayment-signature: \u{fe}\u{ff}\r\n{close}"),
            "402",
        ),
        (
            format!(
                "GET /joke HTTP/1.1\r\nhost: a\r\nx: {}\r\n{close}",
                "A".repeat(200_000)
            ),
            "431",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n{close}", "a".repeat(9_000)),
            "414",
        ),
        // read as chunked; what goes on to an upstream is framed anew
        (
            format!(
                "POST /jokes HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n{close}0\r\n\r\n"
            ),
            "402",
        ),
        (
            format!("POST /jokes HTTP/1.1\r\nhost: a\r\ncontent-length: abc\r\n{close}"),
            "400",
        ),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let status = raw(&house, request.as_bytes()).await;
        let shown: String = request.chars().take(80).collect();
        assert_eq!(status, expected, "{shown}");
    }
    assert_eq!(house.upstream.runs(), 0);
    assert_eq!(
        house.get("/joke").await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}
