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

/// Request line; headers besides `Host` and `Connection`; body; status. A `~` stands for 10,000 letters.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("GET /joke HTTP/1.1", "", "", "402"),
    ("GET /joke HTTP/1.0", "", "", "402"),
    ("GET http://other.example/joke HTTP/1.1", "", "", "402"),
    ("GET /free/../joke HTTP/1.1", "", "", "400"),
    ("GET /free/%2e%2e/joke HTTP/1.1", "", "", "400"),
    ("GET /free/..%2fjoke HTTP/1.1", "", "", "400"),
    ("GET /free/..;/joke HTTP/1.1", "", "", "400"),
    ("GET /free%5c..%5cjoke HTTP/1.1", "", "", "400"),
    ("GET /free/%00 HTTP/1.1", "", "", "400"),
    ("GET /free/% HTTP/1.1", "", "", "400"),
    ("GET /free/%ff HTTP/1.1", "", "", "400"),
    ("GET * HTTP/1.1", "", "", "400"),
    ("GET joke HTTP/1.1", "", "", "400"),
    ("CONNECT joke:80 HTTP/1.1", "", "", "405"),
    ("get /joke HTTP/1.1", "", "", "405"),
    ("GET /joke HTTP/1.1", "host: b\r\n", "", "400"),
    (
        "GET /joke HTTP/1.1",
        "payment-signature: ~~~~\r\n",
        "",
        "402",
    ),
    (
        "GET /joke HTTP/1.1",
        "payment-signature: \u{fe}\u{ff}\r\n",
        "",
        "402",
    ),
    (
        "GET /joke HTTP/1.1",
        "payment-signature: a\r\npayment-signature: b\r\n",
        "",
        "402",
    ),
    (
        "GET /joke HTTP/1.1",
        "x: ~~~~~~~~~~~~~~~~~~~~\r\n",
        "",
        "431",
    ),
    ("GET /~ HTTP/1.1", "", "", "414"),
    // read as chunked; what goes on to an upstream is framed anew
    (
        "POST /jokes HTTP/1.1",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "0\r\n\r\n",
        "402",
    ),
    ("POST /jokes HTTP/1.1", "content-length: abc\r\n", "", "400"),
    (
        "POST /jokes HTTP/1.1",
        "content-length: 1\r\ncontent-length: 2\r\n",
        "",
        "400",
    ),
    (
        "POST /jokes HTTP/1.1",
        "transfer-encoding: nonsense\r\n",
        "",
        "400",
    ),
    ("nonsense", "", "", "400"),
];

#[tokio::test]
async fn hostile_requests_are_refused_and_never_500() {
    let house = House::with("unmatched = \"free\"", ROUTES).await;
    for (line, headers, body, expected) in REQUESTS {
        let request = format!("{line}\r\nhost: a\r\n{headers}connection: close\r\n\r\n{body}");
        let status = raw(&house, request.replace('~', &"A".repeat(10_000)).as_bytes()).await;
        assert_eq!(status, *expected, "{line} {headers}");
    }
    assert_eq!(house.upstream.runs(), 0);
    assert_eq!(
        house.get("/joke").await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}
