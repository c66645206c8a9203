//! Many payments in one transaction: each is paid once, recorded first, and fails for itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use common::proxy::{Mood, Proxy};
use common::{
    BATCH_SETTLER, FUNDS, Notes, PRICE, Payment, World, failed, new_key, settle, settled,
    transaction, unknown,
};
use faregate_core::port::{Facilitator, SettleOutcome};
use faregate_evm::{ExactFacilitator, LocalSigner};
use faregate_types::Code;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Payments to a payee of their own, so that what arrives can be counted.
fn payments(world: &World, payer: &LocalSigner, payee: Address, count: usize) -> Vec<Payment> {
    let payment = || {
        world.payment(payer).with(|p| {
            p.authorization.to = payee;
            p.pay_to = payee;
        })
    };
    (0..count).map(|_| payment()).collect()
}

async fn settle_all(
    facilitator: &ExactFacilitator,
    payments: &[Payment],
    trails: &[Notes],
) -> Vec<SettleOutcome> {
    let requests: Vec<_> = payments.iter().map(Payment::v2).collect();
    let each = requests.iter().zip(trails);
    join_all(each.map(|(request, trail)| facilitator.settle(request, trail))).await
}

fn trails(count: usize) -> Vec<Notes> {
    (0..count).map(|_| Notes::default()).collect()
}

async fn called(world: &World, hash: &str) -> String {
    let transaction: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    transaction["to"].as_str().unwrap().to_lowercase()
}

async fn exists(world: &World, hash: &str) -> bool {
    let transaction: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    !transaction.is_null()
}

fn settler() -> String {
    format!("{BATCH_SETTLER:?}").to_lowercase()
}

#[tokio::test]
async fn two_hundred_queued_payments_become_a_few_transactions_and_each_is_paid_once() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let mut config = world.batching_at(&world.url);
    config.batch_wait = Duration::ZERO;
    let facilitator = world.connect(config, signer.clone()).await;
    let payee = new_key().address();
    let mut queued = Vec::new();
    for _ in 0..2 {
        queued.extend(payments(&world, &world.payer().await, payee, 100));
    }
    let notes = trails(200);
    let outcomes = settle_all(&facilitator, &queued, &notes).await;
    for (outcome, notes) in outcomes.iter().zip(&notes) {
        assert_eq!(notes.take().last(), Some(&transaction(outcome)));
    }
    let hashes: BTreeSet<String> = outcomes.iter().map(transaction).collect();
    assert!(hashes.len() <= 10, "{} transactions", hashes.len());
    let count = u64::try_from(hashes.len()).unwrap();
    assert_eq!(world.sent_by(signer.address()).await, count);
    assert_eq!(world.balance(payee).await, U256::from(200 * PRICE));
    // Whoever asks again is told the same.
    assert_eq!(settle(&facilitator, &queued[150]).await, outcomes[150]);
    let stranger = world.facilitator().await;
    let hash = transaction(&outcomes[150]);
    let resolved = stranger.resolve(&queued[150].v2(), Some(&hash)).await;
    assert_eq!(resolved, outcomes[150]);
}

#[tokio::test]
async fn one_alone_does_not_go_through_the_contract() {
    let world = World::start().await;
    let facilitator = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    let outcome = settle(&facilitator, &world.payment(&world.payer().await)).await;
    assert_ne!(called(&world, &transaction(&outcome)).await, settler());
}

/// What would fail is found before anything is sent, told why, and does not cost the others anything.
#[tokio::test]
async fn what_would_fail_is_taken_out_and_refused_alone() {
    let world = World::start().await;
    let facilitator = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    let payee = new_key().address();
    let mut queued = payments(&world, &world.payer().await, payee, 4);
    queued.extend(payments(&world, &new_key(), payee, 1));
    let spent = payments(&world, &world.payer().await, payee, 1).remove(0);
    world.run_ahead(&spent).await;
    queued.insert(2, spent);
    // Enough for one of two.
    let short = new_key();
    world.mint(short.address(), PRICE + 1).await;
    queued.extend(payments(&world, &short, payee, 2));
    let notes = trails(queued.len());
    let outcomes = settle_all(&facilitator, &queued, &notes).await;
    let shared = transaction(&outcomes[0]);
    assert_eq!(called(&world, &shared).await, settler());
    for index in [1, 3, 4, 6] {
        assert_eq!(transaction(&outcomes[index]), shared, "{index}");
        assert_eq!(
            notes[index].take(),
            std::slice::from_ref(&shared),
            "{index}"
        );
    }
    // Somebody had run ahead with this one: it is paid, by that transaction.
    assert_ne!(transaction(&outcomes[2]), shared);
    assert!(notes[2].take().is_empty());
    let broke = Code::InvalidExactEvmInsufficientBalance;
    assert_eq!(failed(&outcomes[5]), broke);
    assert!(notes[5].take().is_empty());
    // Alone it may be tried before the batch is mined.
    let late = failed(&outcomes[7]);
    assert!(late == broke || late == Code::TransactionFailed, "{late:?}");
    assert_eq!(world.balance(payee).await, U256::from(6 * PRICE));
}

/// Something happens between the simulation and the block: only that payment fails, with proof.
#[tokio::test]
async fn an_item_that_fails_on_the_chain_hurts_nobody_else() {
    let world = Arc::new(World::start().await);
    let proxy = Proxy::start(&world.url).await;
    let facilitator = world
        .connect(world.batching_at(&proxy.url), world.gas_payer().await)
        .await;
    let payee = new_key().address();
    let queued = payments(&world, &world.payer().await, payee, 4);
    let drained = world.payer().await;
    let poor = payments(&world, &drained, payee, 1).remove(0);
    let drain = world
        .payment(&drained)
        .with(|p| p.authorization.value = U256::from(FUNDS));
    let (shared, cancelled, ahead) = (Arc::clone(&world), queued[1].clone(), queued[3].clone());
    let first = Mood::First(Arc::new(move || {
        let (world, cancelled) = (Arc::clone(&shared), cancelled.clone());
        let (ahead, drain) = (ahead.clone(), drain.clone());
        Box::pin(async move {
            world.cancel(&cancelled).await;
            world.run_ahead(&ahead).await;
            world.run_ahead(&drain).await;
        })
    }));
    proxy.set("eth_sendRawTransaction", first);
    let all = [queued, vec![poor]].concat();
    let outcomes = settle_all(&facilitator, &all, &trails(5)).await;
    let hash = transaction(&outcomes[0]);
    assert_eq!(transaction(&outcomes[2]), hash);
    let code = Code::InvalidExactEvmNonceAlreadyUsed;
    assert_eq!(failed(&outcomes[1]), code, "cancelled");
    assert_ne!(transaction(&outcomes[3]), hash, "somebody ran ahead");
    assert_eq!(failed(&outcomes[4]), Code::TransactionFailed, "no money");
    assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
    // The same from the books, by a process that was not there.
    let stranger = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    for (payment, outcome) in all.iter().zip(&outcomes) {
        let resolved = stranger.resolve(&payment.v2(), Some(&hash)).await;
        assert_eq!(resolved, *outcome);
    }
}

/// Whoever cannot record the hash is not in the transaction; the rest is signed anew, and the old bytes never leave.
#[tokio::test]
async fn who_cannot_record_is_left_out_and_the_rest_goes() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let mut config = world.batching_at(&world.url);
    config.trail_timeout = Duration::from_millis(400);
    let facilitator = world.connect(config, signer.clone()).await;
    let payee = new_key().address();
    let queued = payments(&world, &world.payer().await, payee, 6);
    let mut notes = trails(6);
    notes[1] = Notes::failing();
    notes[4] = Notes::hanging();
    let outcomes = settle_all(&facilitator, &queued, &notes).await;
    let hash = transaction(&outcomes[0]);
    for index in [0, 2, 3, 5] {
        let recorded = notes[index].take();
        assert_eq!(recorded.len(), 2, "the first one, and the one that left");
        assert_eq!(recorded[1], hash);
        assert_eq!(transaction(&outcomes[index]), hash);
        assert!(!exists(&world, &recorded[0]).await);
    }
    for index in [1, 4] {
        let expected = (Code::StoreUnavailable, None);
        assert_eq!(unknown(&outcomes[index]), expected, "{index}");
    }
    assert_eq!(world.sent_by(signer.address()).await, 1);
    assert_eq!(world.balance(payee).await, U256::from(4 * PRICE));
    // Nothing of the others is out, so they may be settled again.
    for index in [1, 4] {
        settled(&settle(&facilitator, &queued[index]).await);
    }
    assert_eq!(world.balance(payee).await, U256::from(6 * PRICE));
}

/// Callers who go away between recording and sending.
#[tokio::test]
async fn callers_who_go_away_before_it_is_sent() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let mut config = world.batching_at(&world.url);
    config.trail_timeout = Duration::from_secs(3);
    let facilitator = world.connect(config, signer.clone()).await;
    let payee = new_key().address();
    let queued = payments(&world, &world.payer().await, payee, 3);
    // The first two record at once, the third hangs; then all go away, as when a process is killed.
    let notes = [Notes::default(), Notes::default(), Notes::hanging()];
    let gone = tokio::time::timeout(
        Duration::from_millis(1200),
        settle_all(&facilitator, &queued, &notes),
    );
    assert!(gone.await.is_err());
    let recorded = notes.each_ref().map(Notes::take);
    assert!(recorded.iter().all(|hashes| hashes.len() == 1));
    assert_eq!(world.sent_by(signer.address()).await, 0);
    // From the books nobody can say; nothing is out, so the same credentials pay once.
    for (payment, hashes) in queued.iter().zip(&recorded) {
        let resolved = facilitator.resolve(&payment.v2(), Some(&hashes[0])).await;
        let expected = (Code::SettlementPending, Some(hashes[0].clone()));
        assert_eq!(unknown(&resolved), expected);
    }
    let outcomes = settle_all(&facilitator, &queued, &trails(3)).await;
    for outcome in &outcomes {
        settled(outcome);
    }
    assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_nobody_in_doubt_for_long() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let mut config = world.batching_at(&proxy.url);
    config.rpc_timeout = Duration::from_millis(1500);
    config.receipt_wait = Duration::from_millis(1500);
    let facilitator = world.connect(config, signer.clone()).await;
    let payee = new_key().address();
    let payer = world.payer().await;
    // The call got there, the answer did not.
    proxy.set("eth_sendRawTransaction", Mood::LoseAnswer);
    let arrived = payments(&world, &payer, payee, 5);
    let outcomes = settle_all(&facilitator, &arrived, &trails(5)).await;
    let hashes: BTreeSet<String> = outcomes.iter().map(transaction).collect();
    assert_eq!(hashes.len(), 1);
    // The call did not get there.
    proxy.set("eth_sendRawTransaction", Mood::LoseCall);
    let lost = payments(&world, &payer, payee, 5);
    let notes = trails(5);
    let outcomes = settle_all(&facilitator, &lost, &notes).await;
    let (_, hash) = unknown(&outcomes[0]);
    for (outcome, notes) in outcomes.iter().zip(&notes) {
        let expected = (Code::SettlementPending, hash.clone());
        assert_eq!(unknown(outcome), expected);
        assert_eq!(notes.take(), hash.clone().into_iter().collect::<Vec<_>>());
    }
    proxy.calm();
    // The next payment makes the lane send the same bytes first.
    let next = payments(&world, &payer, payee, 1);
    settled(&settle(&facilitator, &next[0]).await);
    for payment in &lost {
        let again = facilitator.settle(&payment.v2(), &notes[0]).await;
        assert_eq!(Some(transaction(&again)), hash);
        let resolved = facilitator.resolve(&payment.v2(), hash.as_deref()).await;
        assert_eq!(resolved, again);
    }
    assert!(notes[0].take().is_empty(), "nothing was signed again");
    assert_eq!(world.sent_by(signer.address()).await, 3);
    assert_eq!(world.balance(payee).await, U256::from(11 * PRICE));
}

/// return 0x1626ba7e << 224, whatever is asked: a careless wallet.
const CONFIRMS: &str = "631626ba7e60e01b60005260206000f3";

#[tokio::test]
async fn contract_wallets_and_keys_share_a_transaction() {
    let world = World::start().await;
    let facilitator = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    let payee = new_key().address();
    let mut queued = payments(&world, &world.payer().await, payee, 2);
    let confirms: Bytes = CONFIRMS.parse().unwrap();
    for length in [0, 65, 66, 1000] {
        let wallet = new_key().address();
        world.mint(wallet, FUNDS).await;
        world.place(wallet, confirms.clone()).await;
        let signature = Bytes::from(vec![0x5a; length]);
        queued.push(payments(&world, &new_key(), payee, 1).remove(0).with(|p| {
            p.authorization.from = wallet;
            p.signature = Some(signature);
        }));
    }
    // A key whose account got code that signs for it.
    let delegated = world.payer().await;
    world.place(delegated.address(), confirms).await;
    queued.extend(payments(&world, &delegated, payee, 1));
    // One whose code does not.
    let refuses = world.payer().await;
    world
        .place(refuses.address(), "60006000fd".parse().unwrap())
        .await;
    queued.extend(payments(&world, &refuses, payee, 1));
    let outcomes = settle_all(&facilitator, &queued, &trails(8)).await;
    let code = Code::InvalidExactEvmPayloadSignature;
    assert_eq!(failed(&outcomes[7]), code);
    let hashes: BTreeSet<String> = outcomes[..7].iter().map(transaction).collect();
    assert_eq!(hashes.len(), 1, "one transaction");
    assert_eq!(world.balance(payee).await, U256::from(7 * PRICE));
}

/// More gas than a place in a batch has, and less than a transaction may use.
#[tokio::test]
async fn who_needs_more_gas_leaves_alone() {
    let world = World::start().await;
    let facilitator = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    let payee = new_key().address();
    // Counts 3000 rounds down, 26 gas each, and confirms.
    let slow = format!("610bb85b600190038060035750{CONFIRMS}");
    let wallet = new_key().address();
    world.mint(wallet, FUNDS).await;
    world.place(wallet, slow.parse().unwrap()).await;
    let mut queued = payments(&world, &world.payer().await, payee, 3);
    queued[1].authorization.from = wallet;
    queued[1].signature = Some(Bytes::from_static(&[1; 70]));
    let outcomes = settle_all(&facilitator, &queued, &trails(3)).await;
    let shared = transaction(&outcomes[0]);
    assert_eq!(called(&world, &shared).await, settler());
    assert_eq!(transaction(&outcomes[2]), shared);
    assert_ne!(transaction(&outcomes[1]), shared);
    assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
}

#[tokio::test]
async fn copies_of_a_payment_take_one_place() {
    let world = World::start().await;
    let facilitator = world
        .connect(world.batching_at(&world.url), world.gas_payer().await)
        .await;
    let payee = new_key().address();
    let two = payments(&world, &world.payer().await, payee, 2);
    let copies: Vec<Payment> = (0..20).map(|index| two[index % 2].clone()).collect();
    let outcomes = settle_all(&facilitator, &copies, &trails(20)).await;
    let hashes: BTreeSet<String> = outcomes.iter().map(transaction).collect();
    assert_eq!(hashes.len(), 1);
    assert_eq!(world.balance(payee).await, U256::from(2 * PRICE));
}

#[tokio::test]
async fn a_signer_with_little_money_sends_what_it_can_pay_for() {
    let world = World::start().await;
    let signer = new_key();
    // Enough for a few at a time, and never for thirty: the base fee may fall to nothing meanwhile, the tip does not.
    let tip: U256 = world.rpc("eth_maxPriorityFeePerGas", json!([])).await;
    let wei = tip * U256::from(800_000);
    world.give_ether(signer.address(), wei).await;
    let mut config = world.batching_at(&world.url);
    config.balance_floor = U256::ZERO;
    let facilitator = world.connect(config, signer.clone()).await;
    let payee = new_key().address();
    let queued = payments(&world, &world.payer().await, payee, 30);
    let outcomes = settle_all(&facilitator, &queued, &trails(30)).await;
    let paid = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, SettleOutcome::Settled(_)))
        .count();
    for outcome in &outcomes {
        if !matches!(outcome, SettleOutcome::Settled(_)) {
            assert_eq!(unknown(outcome), (Code::InsufficientGas, None));
        }
    }
    assert!(
        paid > 0 && world.sent_by(signer.address()).await > 1,
        "{paid}"
    );
    let arrived = U256::from(PRICE) * U256::from(paid);
    assert_eq!(world.balance(payee).await, arrived);
}

/// Who has little to pay gas with gets no work while somebody else has more.
#[tokio::test]
async fn a_signer_under_the_floor_rests() {
    let world = World::start().await;
    let (rich, poor) = (world.gas_payer().await, new_key());
    let floor = U256::from(10).pow(U256::from(17));
    world.give_ether(poor.address(), floor - U256::ONE).await;
    let mut config = world.config();
    config.balance_floor = floor;
    let facilitator = ExactFacilitator::builder()
        .network(config)
        .signer(poor.clone())
        .signer(rich.clone())
        .connect()
        .await
        .unwrap();
    let payer = world.payer().await;
    for _ in 0..6 {
        settled(&settle(&facilitator, &world.payment(&payer)).await);
    }
    let sent = (
        world.sent_by(poor.address()).await,
        world.sent_by(rich.address()).await,
    );
    assert_eq!(sent, (0, 6));
}

#[tokio::test]
async fn a_missing_contract_is_found_at_start() {
    let world = World::start().await;
    let mut config = world.config();
    config.batch_settler = Some(common::NO_CONTRACT);
    let connecting = ExactFacilitator::builder()
        .network(config)
        .signer(world.gas_payer().await)
        .connect();
    let error = connecting.await.unwrap_err();
    assert_eq!(
        error,
        faregate_evm::ConnectError::NoBatchSettler {
            chain: world.chain,
            address: common::NO_CONTRACT,
        }
    );
}
