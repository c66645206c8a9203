//! The HTTP base against peers that send too much, too slowly, at the wrong time, or nothing at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use faregate_server::http::{self, Limits, Running, problem};
use faregate_types::Code;
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(3_600);

/// What a slow service waits for.
#[derive(Clone, Default)]
struct Signals {
    /// The service has been reached.
    reached: Arc<Notify>,
    /// It may go on.
    go: Arc<Notify>,
}

fn app(signals: &Signals) -> Router {
    let slow = {
        let signals = signals.clone();
        async move || {
            signals.reached.notify_one();
            signals.go.notified().await;
            "slow"
        }
    };
    let streamed = {
        let signals = signals.clone();
        async move || {
            let go = Arc::clone(&signals.go);
            let pieces = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"a")) });
            let rest = stream::once(async move {
                go.notified().await;
                Ok(Bytes::from_static(b"b"))
            });
            Body::from_stream(stream::StreamExt::chain(pieces, rest))
        }
    };
    Router::new()
        .route("/", get(async || "ok"))
        .route("/echo", post(echo))
        .route("/deaf", post(async || "did not listen"))
        .route("/slow", get(slow))
        .route("/stream", get(streamed))
        .route("/flood", get(flood))
        .route("/panic", get(panics))
        .fallback(async || http::not_found())
        .method_not_allowed_fallback(async || http::method_not_allowed())
}

async fn echo(body: Body) -> Response {
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes.into_response(),
        Err(_) => problem(Code::BadRequest, "the body broke off"),
    }
}

async fn flood() -> Body {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    Body::from_stream(stream::repeat_with(move || {
        Ok::<_, Infallible>(piece.clone())
    }))
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn start(change: impl FnOnce(&mut Limits)) -> (Running, Signals) {
    let mut limits = Limits::default();
    limits.shutdown_timeout = SOON;
    change(&mut limits);
    let signals = Signals::default();
    let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let running = http::serve(listener, app(&signals), limits, "test").unwrap();
    (running, signals)
}

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// Everything the server says until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is as good as an end.
    drop(timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap());
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(end) {
        let byte = timeout(SOON, stream.read_u8()).await.unwrap().unwrap();
        said.push(byte);
    }
    String::from_utf8(said).unwrap()
}

async fn talk(addr: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(addr).await;
    stream.write_all(request.as_ref()).await.unwrap();
    rest(&mut stream).await
}

fn get_close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn is_problem(answer: &str, status: u16, code: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
        && answer.contains("content-type: application/problem+json")
        && answer.contains(&format!(r#""code":"{code}""#))
}

#[tokio::test]
async fn requests_are_answered_and_connections_kept() {
    let (running, _) = start(|_| {}).await;
    let mut stream = connect(running.addr()).await;
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        assert!(
            until(&mut stream, "\r\n\r\nok")
                .await
                .starts_with("HTTP/1.1 200 OK")
        );
    }
    let echo = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert!(talk(running.addr(), echo).await.ends_with("\r\n\r\nabcde"));
    let nowhere = talk(running.addr(), get_close("/nowhere")).await;
    assert!(is_problem(&nowhere, 404, "not_found"), "{nowhere}");
    let wrong = talk(running.addr(), get_close("/echo")).await;
    assert!(is_problem(&wrong, 405, "method_not_allowed"), "{wrong}");
    assert!(wrong.contains("allow: POST"), "{wrong}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_name() {
    let (running, _) = start(|limits| {
        limits.body_bytes_max = 10;
        limits.header_bytes_max = 16 * 1024;
    })
    .await;
    let addr = running.addr();
    let head = |extra: String| format!("GET / HTTP/1.1\r\nhost: x\r\n{extra}\r\n");
    let fits = talk(
        addr,
        head(format!(
            "connection: close\r\na: {}\r\n",
            "x".repeat(12_000)
        )),
    )
    .await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    for extra in [
        format!("a: {}\r\n", "x".repeat(17_000)),
        format!("a: {}\r\n", "x".repeat(300_000)),
        "a: b\r\n".repeat(101),
    ] {
        let answer = talk(addr, head(extra)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    let long = talk(addr, get_close(&format!("/{}", "x".repeat(70_000)))).await;
    assert!(
        long.is_empty() || long.starts_with("HTTP/1.1 414") || long.starts_with("HTTP/1.1 431"),
        "{long}"
    );

    let post = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n{rest}");
    for (rest, status, code) in [
        (
            "content-length: 11\r\n\r\nabcdefghijk",
            413,
            "body_too_large",
        ),
        ("content-length: 99999999999999999999\r\n\r\n", 400, ""),
        (
            "transfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n",
            413,
            "body_too_large",
        ),
    ] {
        let answer = talk(addr, post("/echo", rest)).await;
        let good = if code.is_empty() {
            answer.starts_with(&format!("HTTP/1.1 {status} "))
        } else {
            is_problem(&answer, status, code) && answer.contains("connection: close")
        };
        assert!(good, "{rest}: {answer}");
    }
    // Exactly the limit, and a service that never looks at its body, are fine.
    let exact = post(
        "/echo",
        "content-length: 10\r\nconnection: close\r\n\r\nabcdefghij",
    );
    assert!(talk(addr, exact).await.ends_with("abcdefghij"));
    let deaf = post(
        "/deaf",
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\nff\r\n",
    );
    let answer = talk(addr, deaf).await;
    assert!(answer.contains("did not listen"), "{answer}");
}

#[tokio::test]
async fn what_is_too_slow_is_let_go() {
    let (running, _) = start(|limits| {
        limits.header_timeout = SHORT;
        limits.body_stall_timeout = SHORT;
        limits.request_timeout = SHORT * 3;
    })
    .await;
    let addr = running.addr();
    // A head that never ends, and a connection that is never used.
    assert_eq!(talk(addr, "GET / HTTP/1.1\r\nhos").await, "");
    assert_eq!(talk(addr, "").await, "");
    // A body that never comes.
    let stalled = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab";
    let answer = talk(addr, stalled).await;
    assert!(is_problem(&answer, 408, "request_timeout"), "{answer}");
    // A service that never answers.
    let answer = talk(addr, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(is_problem(&answer, 504, "upstream_timeout"), "{answer}");
}

#[tokio::test]
async fn a_body_that_trickles_is_the_peers_fault() {
    let (running, _) = start(|limits| limits.request_timeout = SHORT * 2).await;
    let answer = talk(
        running.addr(),
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab",
    )
    .await;
    assert!(is_problem(&answer, 408, "request_timeout"), "{answer}");
}

#[tokio::test]
async fn no_more_requests_than_the_limit() {
    let (running, signals) = start(|limits| limits.requests_max = 1).await;
    let addr = running.addr();
    for path in ["/slow", "/stream"] {
        let mut first = connect(addr).await;
        first.write_all(get_close(path).as_bytes()).await.unwrap();
        if path == "/slow" {
            timeout(SOON, signals.reached.notified()).await.unwrap();
        } else {
            // The head of a stream is out, and the request goes on counting.
            until(&mut first, "\r\n\r\n1\r\na").await;
        }
        let second = talk(addr, get_close("/")).await;
        assert!(is_problem(&second, 503, "overloaded"), "{second}");
        assert!(second.contains("retry-after: 1"), "{second}");
        signals.go.notify_one();
        rest(&mut first).await;
        let third = talk(addr, get_close("/")).await;
        assert!(third.ends_with("ok"), "{third}");
    }
}

#[tokio::test]
async fn a_peer_who_hangs_up_makes_room() {
    let (running, signals) = start(|limits| limits.requests_max = 1).await;
    let mut first = connect(running.addr()).await;
    first
        .write_all(get_close("/slow").as_bytes())
        .await
        .unwrap();
    timeout(SOON, signals.reached.notified()).await.unwrap();
    drop(first);
    eventually(running.addr()).await;
}

#[tokio::test]
async fn a_peer_who_does_not_read_makes_room() {
    let (running, _) = start(|limits| {
        limits.requests_max = 1;
        limits.write_stall_timeout = SHORT;
    })
    .await;
    let mut first = connect(running.addr()).await;
    first
        .write_all(get_close("/flood").as_bytes())
        .await
        .unwrap();
    until(&mut first, "\r\n\r\n").await;
    eventually(running.addr()).await;
}

/// Asks until there is room.
async fn eventually(addr: SocketAddr) {
    let asking = async {
        loop {
            let answer = talk(addr, get_close("/")).await;
            if answer.ends_with("ok") {
                return;
            }
            assert!(is_problem(&answer, 503, "overloaded"), "{answer}");
            tokio::time::sleep(SHORT).await;
        }
    };
    timeout(SOON, asking).await.unwrap();
}

#[tokio::test]
async fn no_more_connections_than_the_limit() {
    let (running, _) = start(|limits| limits.connections_max = 1).await;
    let mut first = connect(running.addr()).await;
    first
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until(&mut first, "ok").await;
    let mut second = connect(running.addr()).await;
    second.write_all(get_close("/").as_bytes()).await.unwrap();
    // In the backlog: nobody reads what it says.
    assert!(timeout(SHORT * 2, second.read_u8()).await.is_err());
    drop(first);
    assert!(rest(&mut second).await.ends_with("ok"));
}

#[tokio::test]
async fn a_panic_stops_nobody_else() {
    let (running, _) = start(|_| {}).await;
    let answer = talk(running.addr(), get_close("/panic")).await;
    assert!(is_problem(&answer, 500, "internal"), "{answer}");
    assert!(!answer.contains("on purpose"));
    assert!(talk(running.addr(), get_close("/")).await.ends_with("ok"));
}

#[tokio::test]
async fn garbage_is_answered_or_dropped_and_hurts_nobody() {
    let (running, _) = start(|limits| limits.header_timeout = SHORT).await;
    let addr = running.addr();
    for garbage in [
        &b"\0\0\0\0"[..],
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\n a: folded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 4_096],
    ] {
        let answer = talk(addr, garbage).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{garbage:?}: {answer}"
        );
    }
    assert!(talk(addr, get_close("/")).await.ends_with("ok"));
}

#[tokio::test]
async fn stopping_finishes_what_is_in_progress() {
    let (running, signals) = start(|_| {}).await;
    let addr = running.addr();
    let mut idle = connect(addr).await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until(&mut idle, "ok").await;
    let mut busy = connect(addr).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    timeout(SOON, signals.reached.notified()).await.unwrap();

    let also = Arc::new(Notify::new());
    let waited = Arc::clone(&also);
    let running = running.drain_also(async move { waited.notified().await });
    let stopping = tokio::spawn(running.shutdown());
    // The idle connection ends at once, new ones are not accepted, the busy one gets its answer.
    assert_eq!(rest(&mut idle).await, "");
    signals.go.notify_one();
    let answer = rest(&mut busy).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"),
        "{answer}"
    );
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(!stopping.is_finished());
    also.notify_one();
    timeout(SOON, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_has_a_deadline() {
    let (running, signals) = start(|limits| limits.shutdown_timeout = SHORT).await;
    let mut busy = connect(running.addr()).await;
    busy.write_all(get_close("/slow").as_bytes()).await.unwrap();
    timeout(SOON, signals.reached.notified()).await.unwrap();
    timeout(SOON, running.shutdown()).await.unwrap();
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test]
async fn dropping_a_server_closes_it() {
    let (running, signals) = start(|limits| limits.header_timeout = NEVER).await;
    let addr = running.addr();
    let mut busy = connect(addr).await;
    busy.write_all(get_close("/slow").as_bytes()).await.unwrap();
    timeout(SOON, signals.reached.notified()).await.unwrap();
    drop(running);
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let (running, _) = start(|_| {}).await;
    let error = http::listen(running.addr()).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot listen on 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn problems_have_the_codes_status() {
    let response = problem(Code::UnsupportedMediaType, "say what it is");
    assert_eq!(response.status(), 415);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["code"], "unsupported_media_type");
    assert_eq!(body["detail"], "say what it is");
}

#[tokio::test]
async fn a_service_can_see_who_asks() {
    let who = get(async |request: axum::extract::Request| {
        request
            .extensions()
            .get::<http::Peer>()
            .map(|peer| peer.0.to_string())
            .unwrap_or_default()
    });
    let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let app = Router::new().route("/", who);
    let running = http::serve(listener, app, Limits::default(), "test").unwrap();
    let mut stream = connect(running.addr()).await;
    let own = stream.local_addr().unwrap().to_string();
    // What a stranger says about itself changes nothing.
    let request =
        "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.1\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.ends_with(&own));
}

/// A service whose clients read another shape hears the base say everything in it.
#[tokio::test]
async fn a_service_gives_what_the_base_says_its_own_shape() {
    let say: http::Say = |about| {
        let text = format!("mine: {}", about.code.as_str());
        let mut response = Response::new(text.into());
        *response.status_mut() = axum::http::StatusCode::from_u16(about.status).unwrap();
        response
    };
    let mut limits = Limits::default();
    limits.request_timeout = Duration::from_millis(100);
    limits.body_bytes_max = 10;
    let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = listener.await.unwrap();
    let app = Router::new()
        .route("/panic", get(panics))
        .route("/never", get(std::future::pending::<&'static str>));
    let running = http::serve_saying(listener, app, limits, "test", say).unwrap();
    let large = "GET /panic HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n";
    for (request, code) in [
        (get_close("/panic"), "500 Internal Server Error|internal"),
        (get_close("/never"), "504 Gateway Timeout|upstream_timeout"),
        (large.to_owned(), "413 Payload Too Large|body_too_large"),
    ] {
        let answer = talk(running.addr(), request).await;
        let (status, code) = code.split_once('|').unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.ends_with(&format!("mine: {code}")), "{answer}");
    }
}
