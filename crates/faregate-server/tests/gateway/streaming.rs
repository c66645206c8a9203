//! Answers that take their time, on routes that are paid for first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};

use crate::common::{receipt, value};
use crate::kit::House;

const SOON: Duration = Duration::from_secs(10);
/// What breaks off instead of another piece.
const BREAK: &str = "break";

/// A service that says what the test tells it to, piece by piece, as an event stream.
async fn teller(source: Receiver<&'static str>) -> String {
    let source = Arc::new(Mutex::new(source));
    let app = Router::new().fallback(get(move || {
        let source = Arc::clone(&source);
        async move {
            let pieces = stream::unfold(source, |source| async move {
                let piece = source.lock().await.recv().await?;
                let piece = match piece {
                    BREAK => Err(std::io::Error::other("broken on purpose")),
                    piece => Ok(Bytes::from(piece)),
                };
                Some((piece, source))
            });
            (
                [("content-type", "text/event-stream")],
                Body::from_stream(pieces),
            )
        }
    }));
    start(app).await
}

async fn start(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{addr}")
}

/// A gate in front of a teller, and what makes the teller speak.
async fn house(gate: &str) -> (House, Sender<&'static str>) {
    let (said, source) = mpsc::channel(1);
    (House::with(gate, &route(&teller(source).await)).await, said)
}

fn route(upstream: &str) -> String {
    format!(
        "[[route]]\nmatch = \"GET /events\"\nprice = \"$0.001\"\nsettle = \"before\"\nupstream = \"{upstream}\"\n"
    )
}

async fn bought(house: &House) -> Response {
    let credential = house.credential("/events", 1).await;
    let answer = house.pay("/events", &credential).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(receipt(&answer).success);
    answer
}

async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = timeout(SOON, body.frame()).await.unwrap()?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

#[tokio::test]
async fn events_leave_when_they_come() {
    let (house, service) = house("").await;
    let answer = bought(&house).await;
    assert_eq!(value(&answer, "content-type"), Some("text/event-stream"));
    assert_eq!(value(&answer, "content-length"), None);
    let mut body = answer.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        // The service has nothing more to say until the payer has this one.
        service.send(event).await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), event);
    }
    drop(service);
    assert!(next(&mut body).await.is_none());
    assert_eq!(house.world.settles(), 1);
}

#[tokio::test]
async fn a_stream_that_flows_outlives_every_timeout() {
    let limits = "limits = { upstream_timeout_secs = 1, stream_idle_timeout_secs = 1, request_timeout_secs = 1 }";
    let (house, service) = house(limits).await;
    let mut body = bought(&house).await.into_body();
    for _ in 0..8 {
        sleep(Duration::from_millis(300)).await;
        service.send("data: x\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: x\n\n");
    }
    // and then it is silent for too long, which does not look like an end
    assert!(next(&mut body).await.unwrap().is_err());
}

#[tokio::test]
async fn a_service_that_dies_in_the_middle_does_not_look_done() {
    let (house, service) = house("").await;
    let credential = house.credential("/events", 1).await;
    let mut body = house.pay("/events", &credential).await.into_body();
    service.send("data: 1\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
    service.send(BREAK).await.unwrap();
    assert!(next(&mut body).await.unwrap().is_err());
    // Who has paid is owed an answer: the same credential gets one, for the same money.
    let again = loop {
        let again = house.pay("/events", &credential).await;
        if again.status() != StatusCode::CONFLICT {
            break again;
        }
    };
    assert_eq!(again.status(), StatusCode::OK);
    let mut body = again.into_body();
    service.send("data: again\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: again\n\n");
    assert_eq!(house.world.settles(), 1);
}

#[tokio::test]
async fn a_slow_payer_slows_the_service_down() {
    const PIECE: usize = 64 * 1024;
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let app = Router::new().fallback(get(move || {
        let count = Arc::clone(&count);
        async move {
            Body::from_stream(stream::repeat_with(move || {
                count.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; PIECE]))
            }))
        }
    }));
    let house = House::with("", &route(&start(app).await)).await;
    let mut body = bought(&house).await.into_body();
    // Nobody reads: the service comes to a stand once everything between it and the payer is full.
    let stands = async {
        loop {
            let before = made.load(Ordering::SeqCst);
            sleep(Duration::from_millis(300)).await;
            if made.load(Ordering::SeqCst) == before {
                break;
            }
        }
    };
    timeout(SOON, stands).await.unwrap();
    let full = made.load(Ordering::SeqCst);
    // and goes on when the payer does
    for _ in 0..4 * full {
        drop(next(&mut body).await.unwrap().unwrap());
    }
    assert!(made.load(Ordering::SeqCst) > full);
}

#[tokio::test]
async fn a_stream_is_not_for_routes_that_are_paid_for_afterwards() {
    let (said, source) = mpsc::channel(1);
    let after = route(&teller(source).await).replace("before", "after");
    let house = House::with("limits = { response_bytes_max = 8 }", &after).await;
    let credential = house.credential("/events", 1).await;
    let telling = tokio::spawn(async move { while said.send("data: 1\n\n").await.is_ok() {} });
    let request = house.paying(Method::GET, "/events", &credential, "");
    let answer = house.send(request).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(crate::kit::code(answer).await, "response_too_large");
    assert_eq!(house.world.settles(), 0);
    telling.abort();
}
