//! Answers that leave as they come.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;
#[path = "common/jokes.rs"]
mod jokes;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use common::{End, World, ask, ask_until_done, credential_v2, get, paying, receipt, text};
use faregate_core::SettlePolicy::Before;
use faregate_ledger::LedgerStore;
use faregate_tower::limits::{DRAIN_TIMEOUT, KEEP_FIRST_WAIT};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use jokes::Jokes;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::timeout;
use tower::Layer;

const SOON: Duration = Duration::from_secs(10);

/// A body that says what it is told, and how long it is if that is known.
struct Told(Receiver<Bytes>, Option<u64>);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(context);
        next.map(|next| next.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn told(length: Option<u64>) -> (Jokes, mpsc::Sender<Bytes>) {
    let (say, said) = mpsc::channel(4);
    let body = Arc::new(Mutex::new(Some(Told(said, length))));
    let jokes = Jokes::saying(move || Body::new(body.lock().unwrap().take().unwrap()));
    (jokes, say)
}

fn stream_of(pieces: usize) -> Body {
    Body::from_stream(futures_util::stream::iter(
        (0..pieces).map(|_| Ok::<_, Infallible>(Bytes::from("12345"))),
    ))
}

async fn until_kept(world: &World) {
    for _ in 0..1_000 {
        let payment = world.store.recent_payments(1).await.unwrap().pop();
        if payment.is_some_and(|payment| payment.answer.is_some()) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the answer was never kept");
}

#[tokio::test]
async fn a_streamed_answer_is_kept_when_it_is_small_and_marked_used_when_not() {
    for (pieces, copy_status) in [(2, StatusCode::OK), (3, StatusCode::CONFLICT)] {
        let world = World::new();
        let jokes = Jokes::saying(move || stream_of(pieces));
        let service = world.layer(Before).kept_bytes_max(10).layer(jokes.clone());
        let credential = credential_v2(&ask(service.clone(), get()).await, 1);
        let first = ask(service.clone(), paying(&credential)).await;
        assert_eq!(text(first).await, "12345".repeat(pieces));
        until_kept(&world).await;
        let copy = ask_until_done(service, &credential).await;
        assert_eq!(copy.status(), copy_status);
        assert!(receipt(&copy).success);
        assert_eq!((jokes.runs(), world.settles()), (1, 1));
    }
}

#[tokio::test]
async fn a_streamed_answer_survives_a_payer_who_hangs_up() {
    let world = World::new();
    let jokes = Jokes::saying(|| stream_of(20));
    let service = world.layer(Before).layer(jokes.clone());
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    drop(ask(service.clone(), paying(&credential)).await);
    until_kept(&world).await;
    let copy = ask_until_done(service, &credential).await;
    assert_eq!(text(copy).await, "12345".repeat(20));
    assert_eq!((jokes.runs(), world.settles()), (1, 1));
}

#[tokio::test]
async fn a_paid_stream_that_breaks_off_is_served_again() {
    let world = World::new();
    let broken = || {
        let pieces = [Ok(Bytes::from("12345")), Err(std::io::Error::other("gone"))];
        Body::from_stream(futures_util::stream::iter(pieces))
    };
    let service = world.layer(Before).layer(Jokes::saying(broken));
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let first = ask(service, paying(&credential)).await;
    assert!(BodyExt::collect(first.into_body()).await.is_err());
    *world.facilitator.resolved.lock().unwrap() = End::Settled;
    let repaired = world.layer(Before).layer(Jokes::new());
    let answer = ask_until_done(repaired, &credential).await;
    assert_eq!(text(answer).await, "knock, knock");
    assert_eq!(world.settles(), 1);
}

#[tokio::test]
async fn a_short_answer_that_takes_its_time_leaves_as_it_comes_and_is_kept() {
    let world = World::new();
    let (jokes, say) = told(Some(10));
    let service = world.layer(Before).layer(jokes.clone());
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    say.send(Bytes::from("12345")).await.unwrap();
    let answer = timeout(
        SOON + KEEP_FIRST_WAIT,
        ask(service.clone(), paying(&credential)),
    )
    .await;
    let mut body = answer.unwrap().into_body();
    let first = timeout(SOON, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "12345");
    say.send(Bytes::from("67890")).await.unwrap();
    drop(say);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "67890");
    until_kept(&world).await;
    let copy = ask_until_done(service, &credential).await;
    assert_eq!(text(copy).await, "1234567890");
    assert_eq!((jokes.runs(), world.settles()), (1, 1));
}

#[tokio::test]
async fn a_silent_stream_ends_some_time_after_its_payer_left() {
    let world = World::new();
    let (jokes, say) = told(None);
    let layer = world.layer(Before);
    let purchases = layer.purchases();
    let service = layer.layer(jokes);
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let answer = ask(service.clone(), paying(&credential)).await;
    // Let the pump see that the payer is gone before time flies.
    drop(answer);
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    tokio::time::advance(DRAIN_TIMEOUT + Duration::from_millis(10)).await;
    tokio::time::resume();
    timeout(SOON, say.closed()).await.unwrap();
    timeout(SOON, purchases.ended()).await.unwrap();
    let copy = ask_until_done(service, &credential).await;
    assert_eq!(copy.status(), StatusCode::CONFLICT);
    assert!(receipt(&copy).success);
}
