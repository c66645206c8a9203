//! WebSockets: paid for first, carried afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server as theirs;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use crate::common::{credential_v2, receipt, value};
use crate::kit::{House, code};

const SOON: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TcpStream>;

/// A service that says everything again, until it is told to go.
#[derive(Clone, Default)]
struct Echo {
    opened: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
    asked: Arc<std::sync::Mutex<HeaderMap>>,
    die: Arc<Notify>,
}

impl Echo {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let echo = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo.clone().serve(stream));
            }
        });
        format!("http://{addr}")
    }

    #[allow(clippy::result_large_err, reason = "the shape of the callback")]
    async fn serve(self, stream: TcpStream) {
        let asked = Arc::clone(&self.asked);
        let head = |request: &theirs::Request, mut response: theirs::Response| {
            *asked.lock().unwrap() = request.headers().clone();
            let spoofed = HeaderValue::from_static("spoofed");
            response.headers_mut().insert("payment-response", spoofed);
            Ok(response)
        };
        let Ok(mut socket) = accept_hdr_async(stream, head).await else {
            return;
        };
        self.opened.fetch_add(1, Ordering::SeqCst);
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) if message.is_text() || message.is_binary() => socket.send(message).await.unwrap(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
                () = self.die.notified() => break,
            }
        }
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    async fn has_closed(&self, count: u32) {
        let closed = async {
            while self.closed.load(Ordering::SeqCst) < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, closed).await.unwrap();
    }
}

const PRICED: &str = "[[route]]\nmatch = \"GET /ws\"\nprice = \"$0.001\"\nwebsocket = true\n";

async fn house(gate: &str, routes: &str) -> (House, Echo) {
    let echo = Echo::default();
    let upstream = echo.start().await;
    let routes = routes.replace("\nprice", &format!("\nupstream = \"{upstream}\"\nprice"));
    (House::with(gate, &routes).await, echo)
}

/// Asks for a WebSocket; the answer to the handshake either way.
async fn ask(
    house: &House,
    path: &str,
    credential: Option<&HeaderValue>,
) -> Result<(Socket, Response), Response> {
    let stream = TcpStream::connect(house.gate.addr()).await.unwrap();
    let url = format!("ws://{}{path}", house.gate.addr());
    let mut request = url.into_client_request().unwrap();
    if let Some(credential) = credential {
        let headers = request.headers_mut();
        headers.insert("payment-signature", credential.clone());
    }
    match timeout(SOON, client_async(request, stream)).await.unwrap() {
        Ok((socket, answer)) => Ok((socket, answer.map(|_| Body::empty()))),
        Err(Error::Http(answer)) => Err(answer.map(|body| Body::from(body.unwrap_or_default()))),
        Err(error) => panic!("{error}"),
    }
}

async fn credential(house: &House, path: &str, nonce: u64) -> HeaderValue {
    let unpaid = ask(house, path, None).await.unwrap_err();
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    credential_v2(&unpaid, nonce)
}

async fn open(house: &House, nonce: u64) -> Socket {
    let credential = credential(house, "/ws", nonce).await;
    let opened = ask(house, "/ws", Some(&credential)).await;
    opened.unwrap_or_else(|answer| panic!("{answer:?}")).0
}

async fn echoes(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).await.unwrap();
    let back = timeout(SOON, socket.next()).await.unwrap();
    assert_eq!(back.unwrap().unwrap(), message);
}

/// True when the connection has ended, whatever it says last.
async fn ends(socket: &mut Socket) {
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn a_websocket_is_paid_for_once_and_then_flows() {
    let (house, echo) = house("", PRICED).await;
    let credential = credential(&house, "/ws", 1).await;
    assert_eq!(echo.opened.load(Ordering::SeqCst), 0);
    let (mut socket, answer) = ask(&house, "/ws", Some(&credential)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(receipt(&answer).success);
    {
        let asked = echo.asked.lock().unwrap();
        assert!(!asked.contains_key("payment-signature"));
        assert_eq!(asked["faregate-amount"], "1000");
        assert_eq!(asked["x-forwarded-host"], "api.example");
    }
    echoes(&mut socket, Message::text("hello")).await;
    let long = Bytes::from(vec![7; 3_000_000]);
    echoes(&mut socket, Message::binary(long)).await;

    // The credential is used up, while the connection lives and afterwards.
    let copy = ask(&house, "/ws", Some(&credential)).await.unwrap_err();
    assert_eq!(copy.status(), StatusCode::CONFLICT);
    assert!(receipt(&copy).success);
    assert_eq!(code(copy).await, "payment_already_used");
    echoes(&mut socket, Message::text("still there")).await;
    socket.close(None).await.unwrap();
    ends(&mut socket).await;
    echo.has_closed(1).await;
    let copy = ask(&house, "/ws", Some(&credential)).await.unwrap_err();
    assert_eq!(code(copy).await, "payment_already_used");
    assert_eq!(house.world.settles(), 1);
    assert_eq!(echo.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_route_that_is_paid_for_afterwards_takes_no_websocket() {
    let (house, echo) = house("", "[[route]]\nmatch = \"GET /ws\"\nprice = \"$0.001\"\n").await;
    let refused = ask(&house, "/ws", None).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(code(refused).await, "upgrade_not_supported");
    let credential = house.credential("/ws", 1).await;
    let refused = ask(&house, "/ws", Some(&credential)).await.unwrap_err();
    assert_eq!(code(refused).await, "upgrade_not_supported");
    assert_eq!(echo.opened.load(Ordering::SeqCst), 0);
    assert_eq!(house.world.settles(), 0);
    // Upgrades that are an offer only are not taken up, and nothing is refused.
    let request = http::Request::get(house.url("/ws"))
        .header("connection", "upgrade, http2-settings")
        .header("upgrade", "h2c")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        house.send(request).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn free_routes_carry_websockets_unless_the_seller_says_no() {
    let free = "[[route]]\nmatch = \"GET /ws\"\nprice = \"free\"\n\
                [[route]]\nmatch = \"GET /no\"\nprice = \"free\"\nwebsocket = false\n";
    let (house, _echo) = house("", free).await;
    let (mut socket, answer) = ask(&house, "/ws", None).await.unwrap();
    assert_eq!(value(&answer, "payment-response"), None);
    echoes(&mut socket, Message::text("hello")).await;
    let refused = ask(&house, "/no", None).await.unwrap_err();
    assert_eq!(code(refused).await, "upgrade_not_supported");
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_gives_its_plain_answer() {
    let routes = "[[route]]\nmatch = \"GET /ws\"\nprice = \"$0.001\"\nwebsocket = true\n\
                  [[route]]\nmatch = \"GET /jokes/[id]\"\nprice = \"$0.001\"\nwebsocket = true\n";
    let house = House::with("", routes).await;
    let once = credential(&house, "/ws", 1).await;
    let plain = ask(&house, "/ws", Some(&once)).await.unwrap_err();
    assert_eq!(plain.status(), StatusCode::OK);
    assert!(receipt(&plain).success);
    let other = credential(&house, "/jokes/missing", 2).await;
    let missing = ask(&house, "/jokes/missing", Some(&other))
        .await
        .unwrap_err();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_upstream_that_switches_unasked_is_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            drop(stream.read(&mut head).await);
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nsecret";
            stream.write_all(answer).await.unwrap();
            sleep(SOON).await;
        }
    });
    let routes = format!(
        "[[route]]\nmatch = \"/x\"\nprice = \"$0.001\"\nsettle = \"after\"\nupstream = \"http://{addr}\"\n"
    );
    let house = House::with("", &routes).await;
    let credential = house.credential("/x", 1).await;
    let answer = house.pay("/x", &credential).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(code(answer).await, "upstream_answer_invalid");
    assert_eq!(house.world.settles(), 0);
}

#[tokio::test]
async fn a_handshake_that_cannot_work_costs_nothing() {
    let (house, _echo) = house("", PRICED).await;
    let good = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let credential = credential(&house, "/ws", 1).await;
    for (method, changed, value, body, status) in [
        (Method::GET, "sec-websocket-version", "8", "", 426),
        (Method::GET, "sec-websocket-key", "short", "", 400),
        (Method::GET, "x-other", "1", "body", 400),
        (Method::HEAD, "x-other", "1", "", 400),
    ] {
        let mut request = house.paying(method, "/ws", &credential, body);
        for (name, value) in good {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        request
            .headers_mut()
            .insert(changed, HeaderValue::from_static(value));
        let answer = house.send(request).await;
        assert_eq!(answer.status().as_u16(), status, "{changed}");
        if status == 426 {
            assert_eq!(answer.headers()["sec-websocket-version"], "13");
        }
    }
    assert_eq!(house.world.settles(), 0);
}

#[tokio::test]
async fn there_are_no_more_than_the_limit_and_the_one_too_many_pays_nothing() {
    let (house, echo) = house("limits = { tunnels_max = 1 }", PRICED).await;
    let second = credential(&house, "/ws", 2).await;
    let mut first = open(&house, 1).await;
    let refused = ask(&house, "/ws", Some(&second)).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(refused).await, "overloaded");
    assert_eq!(house.world.settles(), 1);
    first.close(None).await.unwrap();
    ends(&mut first).await;
    echo.has_closed(1).await;
    let opened = async {
        while ask(&house, "/ws", Some(&second)).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, opened).await.unwrap();
}

#[tokio::test]
async fn a_silent_websocket_is_closed_and_one_that_speaks_is_not() {
    let (house, echo) = house("limits = { stream_idle_timeout_secs = 1 }", PRICED).await;
    let mut socket = open(&house, 1).await;
    for _ in 0..5 {
        sleep(Duration::from_millis(500)).await;
        echoes(&mut socket, Message::text("tick")).await;
    }
    ends(&mut socket).await;
    echo.has_closed(1).await;
}

#[tokio::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let (house, echo) = house("", PRICED).await;
    let mut socket = open(&house, 1).await;
    echoes(&mut socket, Message::text("hello")).await;
    echo.die.notify_waiters();
    ends(&mut socket).await;

    let mut socket = open(&house, 2).await;
    echoes(&mut socket, Message::text("hello")).await;
    drop(socket);
    echo.has_closed(2).await;
}

#[tokio::test]
async fn a_server_that_stops_waits_for_websockets_and_one_that_is_dropped_cuts_them() {
    let (house, _echo) = house("", PRICED).await;
    let mut socket = open(&house, 1).await;
    let stopping = tokio::spawn(house.gate.shutdown());
    for _ in 0..3 {
        sleep(Duration::from_millis(50)).await;
        echoes(&mut socket, Message::text("still there")).await;
    }
    assert!(!stopping.is_finished());
    socket.close(None).await.unwrap();
    ends(&mut socket).await;
    timeout(SOON, stopping).await.unwrap().unwrap();

    let (house, echo) = self::house("", PRICED).await;
    let mut socket = open(&house, 1).await;
    echoes(&mut socket, Message::text("hello")).await;
    drop(house.gate);
    ends(&mut socket).await;
    echo.has_closed(1).await;
}
