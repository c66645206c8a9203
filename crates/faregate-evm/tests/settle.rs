//! Settlement on a chain: money moves once, and what is not known is never called failed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256};
use common::{
    FUNDS, NO_CONTRACT, Notes, PAYEE, PRICE, World, failed, now, settle, settled, transaction,
    unknown,
};
use faregate_core::port::{Facilitator, NoTrail, SettleOutcome, Verdict};
use faregate_types::{Code, TokenDomain};
use futures_util::future::join_all;

#[tokio::test]
async fn money_moves_in_both_versions() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let payments = [world.payment(&payer), world.payment(&payer)];
    for (index, request) in [payments[0].v2(), payments[1].v1()].iter().enumerate() {
        let (notes, before) = (Notes::default(), world.balance(PAYEE).await);
        let outcome = facilitator.settle(request, &notes).await;
        let settlement = settled(&outcome);
        assert_eq!(settlement.payer, Some(payer.address()));
        let hash = transaction(&outcome);
        let recorded = notes.take();
        assert_eq!((recorded.len(), recorded.first()), (1, Some(&hash)));
        let receipt = world.receipt(hash.parse().unwrap()).await;
        assert_eq!(receipt["status"], "0x1");
        assert!(world.balance(PAYEE).await >= before + U256::from(PRICE));
        let spent = PRICE * (u64::try_from(index).unwrap() + 1);
        assert_eq!(
            world.balance(payer.address()).await,
            U256::from(FUNDS - spent)
        );
    }
}

#[tokio::test]
async fn settling_twice_moves_money_once() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payment = world.payment(&world.payer().await);
    let first = settle(&facilitator, &payment).await;
    let notes = Notes::default();
    let second = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(second, first, "the same transaction");
    assert!(notes.take().is_empty(), "nothing was sent");
    assert_eq!(world.sent_by(signer.address()).await, 1);
    // Another process, which remembers nothing, finds the same.
    let stranger = world.facilitator().await;
    assert_eq!(settle(&stranger, &payment).await, first);
    let verdict = facilitator.verify(&payment.v2()).await.unwrap();
    assert!(
        matches!(verdict, Verdict::Invalid(refusal) if refusal.code == Code::InvalidExactEvmNonceAlreadyUsed)
    );
}

/// The payer's account got code after it had paid: what moved has moved.
#[tokio::test]
async fn a_payer_who_becomes_a_contract_has_still_paid() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let (paid, unpaid) = (world.payment(&payer), world.payment(&payer));
    let first = settle(&facilitator, &paid).await;
    settled(&first);
    let code = alloy_primitives::Bytes::from_static(&[0x00]);
    world.place(payer.address(), code).await;
    assert_eq!(settle(&facilitator, &paid).await, first);
    let outcome = settle(&facilitator, &unpaid).await;
    assert_eq!(failed(&outcome), Code::InvalidExactEvmPayloadSignature);
}

#[tokio::test]
async fn copies_at_the_same_time_share_one_transaction() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payment = world.payment(&world.payer().await).v2();
    let notes = Notes::default();
    let outcomes = join_all((0..200).map(|_| facilitator.settle(&payment, &notes))).await;
    let hashes: BTreeSet<String> = outcomes.iter().map(transaction).collect();
    assert_eq!(hashes.len(), 1);
    assert_eq!(notes.take().len(), 1);
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

/// Two requests that claim the same nonce: knowing a payment's public parts is not knowing its signature.
#[tokio::test]
async fn a_forged_copy_does_not_share_the_result() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payment = world.payment(&world.payer().await);
    let forged = payment.clone().with(|p| p.key = common::new_key());
    let other_payee = payment.clone().with(|p| {
        p.authorization.to = NO_CONTRACT;
        p.pay_to = NO_CONTRACT;
    });
    let (real, forged_during, other_during) = tokio::join!(
        settle(&facilitator, &payment),
        settle(&facilitator, &forged),
        settle(&facilitator, &other_payee)
    );
    // The payer signed twice with one nonce: one of the two moved.
    let outcomes = [&real, &other_during];
    assert_eq!(
        outcomes
            .iter()
            .filter(|o| matches!(o, SettleOutcome::Settled(_)))
            .count(),
        1,
        "{outcomes:?}"
    );
    let loser = outcomes
        .iter()
        .find(|o| matches!(o, SettleOutcome::Failed(_)))
        .unwrap();
    assert_eq!(failed(loser), Code::InvalidExactEvmNonceAlreadyUsed);
    assert_eq!(
        failed(&forged_during),
        Code::InvalidExactEvmPayloadSignature
    );
    assert_eq!(
        failed(&settle(&facilitator, &forged).await),
        Code::InvalidExactEvmPayloadSignature
    );
}

#[tokio::test]
async fn problem_23_somebody_who_ran_ahead_paid_for_us() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payment = world.payment(&world.payer().await);
    let hash = world.run_ahead(&payment).await;
    assert_eq!(
        transaction(&settle(&facilitator, &payment).await),
        hash.to_string()
    );
    assert_eq!(world.sent_by(signer.address()).await, 0);
    let resolved = facilitator.resolve(&payment.v2(), None).await;
    assert_eq!(transaction(&resolved), hash.to_string());
}

/// The payer used the nonce for somebody else, or took it back: that is no payment.
#[tokio::test]
async fn a_nonce_spent_on_something_else_is_failed() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let (elsewhere, cancelled) = (world.payment(&payer), world.payment(&payer));
    let other = elsewhere.clone().with(|p| p.authorization.to = NO_CONTRACT);
    world.run_ahead(&other).await;
    world.cancel(&cancelled).await;
    for payment in [elsewhere, cancelled] {
        let outcome = settle(&facilitator, &payment).await;
        assert_eq!(failed(&outcome), Code::InvalidExactEvmNonceAlreadyUsed);
        let outcome = facilitator.resolve(&payment.v2(), None).await;
        assert_eq!(failed(&outcome), Code::InvalidExactEvmNonceAlreadyUsed);
    }
}

/// Whatever is refused at settlement is refused before a transaction, and without a trace in the trail.
#[tokio::test]
async fn problem_06_refusals_send_nothing() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let good = world.payment(&world.payer().await);
    let short = alloy_primitives::Bytes::from([1, 2]);
    #[rustfmt::skip]
    let cases = [
        (good.clone().with(|p| p.authorization.to = NO_CONTRACT), Code::InvalidExactEvmPayloadRecipientMismatch),
        (good.clone().with(|p| p.amount = 1), Code::InvalidExactEvmPayloadAuthorizationValueMismatch),
        (good.clone().with(|p| p.authorization.valid_before = U256::from(1000)), Code::InvalidExactEvmPayloadAuthorizationValidBefore),
        (good.clone().with(|p| p.authorization.valid_after = U256::from(now() + 1000)), Code::InvalidExactEvmPayloadAuthorizationValidAfter),
        (good.clone().with(|p| p.key = common::new_key()), Code::InvalidExactEvmPayloadSignature),
        (good.clone().with(|p| p.signature = Some(short)), Code::InvalidExactEvmPayloadUndeployedSmartWallet),
        (good.clone().with(|p| p.signed_domain = TokenDomain::new("x", "2")), Code::InvalidExactEvmPayloadSignature),
        (good.clone().with(|p| p.scheme = "upto"), Code::UnsupportedScheme),
        (good.clone().with(|p| p.network = faregate_types::ChainId::BASE), Code::InvalidExactEvmFailedToGetNetworkConfig),
        (good.clone().with(|p| { p.asset = NO_CONTRACT; p.signed_token = NO_CONTRACT; }), Code::AssetNotDeployedContract),
        (good.clone().with(|p| { p.asset = common::MULTICALL3; p.signed_token = common::MULTICALL3; }), Code::AssetNotAllowed),
        (world.payment(&common::new_key()), Code::InvalidExactEvmInsufficientBalance),
    ];
    for (payment, expected) in cases {
        let notes = Notes::default();
        let outcome = facilitator.settle(&payment.v2(), &notes).await;
        assert_eq!(failed(&outcome), expected);
        assert!(notes.take().is_empty());
    }
    assert_eq!(world.sent_by(signer.address()).await, 0);
    settled(&settle(&facilitator, &good).await);
}

#[tokio::test]
async fn problem_11_a_hundred_payments_leave_through_one_signer_in_order() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payer = world.payer().await;
    let payments: Vec<_> = (0..100).map(|_| world.payment(&payer)).collect();
    let outcomes = join_all(payments.iter().map(|payment| settle(&facilitator, payment))).await;
    let hashes: BTreeSet<String> = outcomes.iter().map(transaction).collect();
    assert_eq!(
        hashes.len(),
        100,
        "every payment has a transaction of its own"
    );
    let mut places = BTreeSet::new();
    for hash in &hashes {
        let receipt = world.receipt(hash.parse().unwrap()).await;
        let place =
            |field: &str| u64::from_str_radix(&receipt[field].as_str().unwrap()[2..], 16).unwrap();
        let nonce = world.transaction_nonce(hash).await;
        places.insert((place("blockNumber"), place("transactionIndex"), nonce));
    }
    let nonces: Vec<u64> = places.iter().map(|(_, _, nonce)| *nonce).collect();
    assert_eq!(
        nonces,
        (0..100).collect::<Vec<_>>(),
        "no gap, and mined in order"
    );
    assert_eq!(
        world.balance(payer.address()).await,
        U256::from(FUNDS - 100 * PRICE)
    );
}

#[tokio::test]
async fn several_signers_share_the_work() {
    let world = World::start().await;
    let signers = [
        world.gas_payer().await,
        world.gas_payer().await,
        world.gas_payer().await,
    ];
    let builder = faregate_evm::ExactFacilitator::builder().network(world.config());
    let builder = signers
        .iter()
        .fold(builder, |builder, signer| builder.signer(signer.clone()));
    let facilitator = builder.connect().await.unwrap();
    let payer = world.payer().await;
    let payments: Vec<_> = (0..30).map(|_| world.payment(&payer)).collect();
    let outcomes = join_all(payments.iter().map(|payment| settle(&facilitator, payment))).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, SettleOutcome::Settled(_)))
    );
    // The shortest queue is next, so a lane that is quicker takes a little more.
    let mut sent = Vec::new();
    for signer in signers {
        sent.push(world.sent_by(signer.address()).await);
    }
    assert_eq!(sent.iter().sum::<u64>(), 30);
    assert!(
        sent.iter().all(|count| (5..=15).contains(count)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_trail_that_fails_sends_nothing() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let mut config = world.config();
    config.trail_timeout = std::time::Duration::from_millis(200);
    let facilitator = world.connect(config, signer.clone()).await;
    let payment = world.payment(&world.payer().await);
    for notes in [Notes::failing(), Notes::hanging()] {
        let outcome = facilitator.settle(&payment.v2(), &notes).await;
        assert_eq!(unknown(&outcome), (Code::StoreUnavailable, None));
        assert_eq!(notes.take().len(), 1, "it was asked");
        assert_eq!(world.sent_by(signer.address()).await, 0);
    }
    assert_eq!(world.balance(PAYEE).await, world.balance(PAYEE).await);
    // The nonce was not used up, and the payment can still be settled.
    let hash = transaction(&settle(&facilitator, &payment).await);
    assert_eq!(world.transaction_nonce(&hash).await, 0);
}

/// A caller who goes away while the trail is written has sent nothing; whoever waited for the result takes over.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_mess() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payment = world.payment(&world.payer().await).v2();
    let hanging = Notes::hanging();
    let gone = async {
        let settling = facilitator.settle(&payment, &hanging);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(500), settling).await;
        assert!(waited.is_err());
    };
    let follower = async {
        // Enters second, so it waits for the first.
        tokio::task::yield_now().await;
        facilitator.settle(&payment, &NoTrail).await
    };
    let ((), outcome) = tokio::join!(gone, follower);
    settled(&outcome);
    assert_eq!(world.sent_by(signer.address()).await, 1);
    assert_eq!(hanging.take().len(), 1);
}

#[tokio::test]
async fn resolve_without_a_transaction_asks_the_authorization() {
    let world = World::start().await;
    let mut config = world.config();
    config.expiry_margin_secs = 1;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payer = world.payer().await;

    let open = world.payment(&payer);
    let outcome = facilitator.resolve(&open.v2(), None).await;
    assert_eq!(unknown(&outcome), (Code::SettlementPending, None));
    let nowhere = B256::repeat_byte(9).to_string();
    let outcome = facilitator.resolve(&open.v2(), Some(&nowhere)).await;
    assert_eq!(
        unknown(&outcome),
        (Code::SettlementPending, Some(nowhere.clone()))
    );

    // Somebody else's transaction in the trail proves nothing about this payment.
    let other = world.payment(&payer);
    let foreign = transaction(&settle(&facilitator, &other).await);
    assert_eq!(
        transaction(&facilitator.resolve(&other.v2(), Some(&foreign)).await),
        foreign
    );
    assert_eq!(
        transaction(&facilitator.resolve(&other.v2(), Some(&nowhere)).await),
        foreign
    );

    let expired = world.payment(&payer).with(|p| {
        p.authorization.valid_before = U256::from(1000);
    });
    let outcome = facilitator.resolve(&expired.v2(), Some(&nowhere)).await;
    assert_eq!(
        failed(&outcome),
        Code::InvalidExactEvmPayloadAuthorizationValidBefore
    );
}

/// Expired is what the chain's clock says, and only with a margin.
#[tokio::test]
async fn an_unused_authorization_fails_only_after_the_margin() {
    let world = World::start().await;
    let payer = world.payer().await;
    let time = world.chain_time().await;
    let payment = world
        .payment(&payer)
        .with(|p| p.authorization.valid_before = U256::from(time - 30));
    for (margin, fails) in [(3600, false), (1, true)] {
        let mut config = world.config();
        config.expiry_margin_secs = margin;
        let facilitator = world.connect(config, world.gas_payer().await).await;
        let outcome = facilitator.resolve(&payment.v2(), None).await;
        assert_eq!(
            matches!(outcome, SettleOutcome::Failed(_)),
            fails,
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_settlement_after_expiry_finds_what_happened_before() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let time = world.chain_time().await;
    let payment = world
        .payment(&payer)
        .with(|p| p.authorization.valid_before = U256::from(time + 60));
    let first = settle(&facilitator, &payment).await;
    // The same payment, long after.
    let later = faregate_evm::ExactFacilitator::builder()
        .network(world.config())
        .signer(world.gas_payer().await)
        .clock(move || faregate_types::Timestamp::from_secs(time + 600))
        .connect()
        .await
        .unwrap();
    assert_eq!(settle(&later, &payment).await, first);
}

#[tokio::test]
async fn operators_limits_hold_before_anything_is_sent() {
    let world = World::start().await;
    let payment = world.payment(&world.payer().await);
    let signer = world.gas_payer().await;

    let mut config = world.config();
    config.fee_per_gas_max = 1;
    let facilitator = world.connect(config, signer.clone()).await;
    assert_eq!(
        unknown(&settle(&facilitator, &payment).await),
        (Code::SignerUnavailable, None)
    );

    let mut config = world.config();
    config.gas_limit_max = 40_000;
    let facilitator = world.connect(config, signer.clone()).await;
    let outcome = settle(&facilitator, &payment).await;
    assert!(!matches!(outcome, SettleOutcome::Settled(_)), "{outcome:?}");
    assert_eq!(world.sent_by(signer.address()).await, 0);

    let facilitator = world.connect(world.config(), common::new_key()).await;
    assert_eq!(
        unknown(&settle(&facilitator, &payment).await),
        (Code::InsufficientGas, None)
    );
    // All of these left the payment as it was.
    settled(&settle(&world.facilitator().await, &payment).await);
}

#[tokio::test]
async fn legacy_transactions_work_too() {
    let world = World::start().await;
    let mut config = world.config();
    config.fee_style = faregate_evm::FeeStyle::Legacy;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let hash = transaction(&settle(&facilitator, &world.payment(&world.payer().await)).await);
    let sent: serde_json::Value = world
        .rpc("eth_getTransactionByHash", serde_json::json!([hash]))
        .await;
    assert_eq!(sent["type"], "0x0");
}

#[tokio::test]
async fn supported_names_both_versions_and_the_signer() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let supported = facilitator.supported().await.unwrap();
    let kinds: Vec<_> = supported
        .kinds
        .iter()
        .map(|kind| {
            (
                kind.x402_version,
                kind.scheme.as_str(),
                kind.network.as_str(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [(2, "exact", "eip155:84532"), (1, "exact", "base-sepolia")]
    );
    assert_eq!(
        supported.signers["eip155:*"],
        [signer.address().to_string()]
    );
}
