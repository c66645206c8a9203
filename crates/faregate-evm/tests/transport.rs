//! A node in this process instead of one behind HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::World;
use common::local::{Local, Mood};
use faregate_core::port::{Away, Facilitator, Verdict};
use faregate_evm::{ConnectError, ExactFacilitator};
use faregate_types::Code;

const AWAY: Away = Away {
    code: Code::ChainUnavailable,
};

#[tokio::test]
async fn payments_are_verified_and_settled_over_a_transport() {
    let world = World::start().await;
    let local = Local::new(&world.url);
    let config = world.config().with_transport(Arc::clone(&local) as _);
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await);
    let verdict = facilitator.verify(&payment.v2()).await.unwrap();
    assert!(matches!(verdict, Verdict::Valid { .. }));
    common::settled(&common::settle(&facilitator, &payment).await);
    assert_eq!(local.calls("eth_sendRawTransaction"), 1);
    let Verdict::Invalid(refusal) = facilitator.verify(&payment.v2()).await.unwrap() else {
        panic!("expected a refusal");
    };
    assert_eq!(refusal.code, Code::InvalidExactEvmNonceAlreadyUsed);
}

#[tokio::test]
async fn a_transport_without_an_answer_is_a_chain_that_is_away() {
    let world = World::start().await;
    let local = Local::new(&world.url);
    let mut config = world.config().with_transport(Arc::clone(&local) as _);
    config.rpc_timeout = Duration::from_millis(300);
    let signer = world.gas_payer().await;
    let facilitator = world.connect(config.clone(), signer.clone()).await;
    let payment = world.payment(&world.payer().await).v2();
    for mood in [Mood::NoAnswer, Mood::Hang, Mood::Refuse("no such block")] {
        local.set(mood);
        assert_eq!(facilitator.verify(&payment).await, Err(AWAY), "{mood:?}");
    }
    let error = ExactFacilitator::builder()
        .network(config)
        .signer(signer)
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error, ConnectError::Unreachable { chain: world.chain });
    local.set(Mood::Normal);
    assert!(facilitator.verify(&payment).await.is_ok());
}
