//! What the paywall counts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;
#[path = "common/jokes.rs"]
mod jokes;

use common::{End, World, ask, credential_v2, get, paying, text};
use faregate_core::SettlePolicy::{After, Before};
use faregate_types::Code;
use http::{HeaderValue, Request, StatusCode};
use jokes::Jokes;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::Layer;

/// Runs on this thread with a recorder of its own.
fn collected<F: Future>(run: impl FnOnce() -> F) -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run()));
    handle
}

fn count(text: &str, name: &str, outcome: &str) -> u64 {
    let wanted = format!("outcome=\"{outcome}\"");
    text.lines()
        .filter(|line| line.starts_with(name) && line.contains(&wanted))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn every_request_is_counted_once_by_how_it_ended() {
    let handle = collected(|| async {
        let world = World::new();
        let shop = world.layer(After).layer(Jokes::new());
        let unpaid = ask(shop.clone(), get()).await;
        ask(shop.clone(), get()).await;
        let credential = credential_v2(&unpaid, 1);
        assert_eq!(
            text(ask(shop.clone(), paying(&credential)).await).await,
            "knock, knock"
        );
        ask(shop.clone(), paying(&credential)).await;
        ask(shop.clone(), paying(&HeaderValue::from_static("rubbish"))).await;
        let mut other = paying(&credential);
        *other.uri_mut() = "/other".parse().unwrap();
        ask(shop.clone(), other).await;
        *world.facilitator.verdict.lock().unwrap() = Err(Code::InsufficientFunds);
        ask(shop.clone(), paying(&credential_v2(&unpaid, 2))).await;
        *world.facilitator.verdict.lock().unwrap() = Ok(());
        world.ends(End::Failed(Code::TransactionFailed));
        ask(shop.clone(), paying(&credential_v2(&unpaid, 3))).await;
        world.ends(End::Unknown);
        ask(shop.clone(), paying(&credential_v2(&unpaid, 4))).await;
        world.ends(End::Settled);
        *world.facilitator.away.lock().unwrap() = Some(Code::FacilitatorUnavailable);
        ask(shop.clone(), paying(&credential_v2(&unpaid, 5))).await;
        *world.facilitator.away.lock().unwrap() = None;
        let broken = world
            .layer(After)
            .layer(Jokes::failing(StatusCode::BAD_GATEWAY));
        ask(broken, paying(&credential_v2(&unpaid, 6))).await;
    });
    let text = handle.render();
    for (outcome, expected) in [
        ("challenged", 2),
        ("malformed", 1),
        ("sold", 1),
        ("replay", 1),
        ("conflict", 1),
        ("unpaid", 1),
        ("refused", 1),
        ("pending", 1),
        ("away", 1),
        ("not_sold", 1),
        ("panicked", 0),
    ] {
        assert_eq!(
            count(&text, "faregate_gate_requests_total", outcome),
            expected,
            "{outcome}\n{text}"
        );
    }
    assert!(
        text.contains("faregate_gate_answer_bytes_total{route=\"joke\"} 12"),
        "{text}"
    );
    assert!(text.contains("faregate_gate_purchases 0"), "{text}");
    // sold, refused, pending and not sold ran the service
    assert!(
        text.contains("faregate_gate_service_seconds_count{route=\"joke\"} 4"),
        "{text}"
    );
}

#[test]
fn a_stream_counts_its_bytes_as_they_leave() {
    let handle = collected(|| async {
        let world = World::new();
        let pieces = || {
            let pieces = (0..3).map(|_| Ok::<_, std::io::Error>("12345"));
            axum::body::Body::from_stream(futures_util::stream::iter(pieces))
        };
        let shop = world.layer(Before).layer(Jokes::saying(pieces));
        let credential = credential_v2(&ask(shop.clone(), get()).await, 1);
        let request: Request<_> = paying(&credential);
        assert_eq!(text(ask(shop, request).await).await.len(), 15);
    });
    let text = handle.render();
    assert!(
        text.contains("faregate_gate_answer_bytes_total{route=\"joke\"} 15"),
        "{text}"
    );
}
