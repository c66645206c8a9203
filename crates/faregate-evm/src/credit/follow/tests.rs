//! The books are what the chain says at their block, over chains that turn off above the depth while they are read, and nodes
//! that leave things out, refuse and fall silent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, U64, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use faregate_core::credit::{Cursor, Identity, OpenTab, Place, TabId};
use faregate_core::port::credit::{CreditStore, Page};
use faregate_ledger::StoreError;
use faregate_store::memory::MemoryCredit;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, watch};

use super::facts::ContractFacts;
use super::run::Runner;
use super::scan::{Scanner, Setback};
use super::*;
use crate::credit::abi::Core;
use crate::credit::{ETH, eth_tab_calldata};
use crate::limits::CREDIT_EVENTS_MAX;
use crate::transport::{RpcRefusal, Transport, TransportError};

const CHAIN: ChainId = ChainId::BASE_SEPOLIA;
const CORE: Address = Address::repeat_byte(0xc0);
const RECIPIENT: Address = Address::repeat_byte(0xbb);
const PAYERS: u64 = 4;
const DEPTH: u64 = 6;
const DEPLOYED: u64 = 10;
const TAB: TabId = TabId(U256::from_limbs([0xabc, 0, 0, 0]));

mod model;
mod stopped;

use model::*;

/// A model chain, books, and who follows.
struct World {
    model: Arc<Model>,
    store: Arc<MemoryCredit>,
    rpc: Arc<Rpc>,
    state: watch::Receiver<FollowState>,
    facts: watch::Receiver<Arc<ContractFacts>>,
}

impl World {
    async fn new(seed: u64) -> (Self, Runner) {
        let model = Arc::new(Model(Mutex::new(ModelChain::new(seed))));
        let endpoint = Endpoint::InProcess(Arc::clone(&model) as _);
        let node = Node::new(&endpoint, Duration::from_secs(10)).unwrap();
        let rpc = Arc::new(Rpc::new(node));
        let versions = TermsPolicy::default().versions;
        let facts = ContractFacts::read(&rpc, &CreditCore::at(CORE), &versions).await;
        let (_, state) = watch::channel(FollowState::default());
        let (_, known) = watch::channel(Arc::new(facts.unwrap()));
        let store = Arc::new(MemoryCredit::new(CHAIN));
        let mut world = Self {
            model,
            store,
            rpc,
            state,
            facts: known,
        };
        let mut runner = world.runner();
        runner.look().await.unwrap();
        world.open_tab().await;
        (world, runner)
    }

    /// A follower from the beginning, as after a restart: it knows nothing but the books.
    fn runner(&mut self) -> Runner {
        let endpoint = Endpoint::InProcess(Arc::clone(&self.model) as _);
        let mut config = CreditFollowConfig::new(CHAIN, endpoint, CORE);
        config.confirmation = Confirmation::Depth(DEPTH);
        let scanner = Scanner::new(Arc::clone(&self.rpc), CORE, DEPLOYED, 64);
        let (teller, state) = watch::channel(FollowState::default());
        let (facts, known) = watch::channel(Arc::clone(&self.facts.borrow()));
        (self.state, self.facts) = (state, known);
        let (_, asks) = mpsc::channel(1);
        let store = Arc::clone(&self.store) as Arc<dyn CreditStore>;
        Runner::new(
            config,
            scanner,
            store,
            (facts, teller),
            Arc::new(Notify::new()),
            asks,
        )
    }

    fn chain(&self) -> std::sync::MutexGuard<'_, ModelChain> {
        self.model.0.lock().unwrap()
    }

    async fn open_tab(&self) {
        let command = OpenTab {
            id: TAB,
            identity: Identity {
                payer: payer(0),
                recipient: RECIPIENT,
                asset: ETH,
                version: 1,
            },
            ttl_secs: None,
            at: Timestamp::from_secs(1_100),
        };
        let terms = self.facts.borrow().terms(&TermsPolicy::default());
        self.store.open_tab(command, terms).await.unwrap();
    }

    /// Everything in the books is what the model says at their block.
    async fn compare(&self) -> Cursor {
        let cursor = self.store.cursor().await.unwrap().unwrap();
        let truth = {
            let chain = self.chain();
            assert!(chain.path.contains(&cursor.hash), "not on the chain");
            chain.blocks[&cursor.hash].clone()
        };
        assert_eq!(
            (truth.number, truth.timestamp),
            (cursor.number, cursor.time.as_secs())
        );
        for index in 0..PAYERS {
            let known = self.store.collateral(payer(index), ETH).await.unwrap();
            let sum = truth.collateral.get(&payer(index)).copied();
            assert_eq!(known.map(|known| known.total), sum, "payer {index}");
        }
        let page = Page {
            skip: 0,
            limit: 100_000,
        };
        let paid = self.store.payments_to(RECIPIENT, page).await.unwrap();
        let paid: BTreeMap<B256, U256> = paid
            .into_iter()
            .map(|payment| (payment.place.transaction, payment.amount))
            .collect();
        assert_eq!(paid, truth.paid);
        cursor
    }
}

#[tokio::test]
async fn the_books_are_what_the_chain_says_whatever_chain_and_node_do() {
    let (mut entered, mut failed, mut payments) = (0, 0, 0);
    for seed in 0..40 {
        let (mut world, mut runner) = World::new(seed).await;
        let mut dice = Dice(!seed);
        for _ in 0..25 {
            {
                let mut chain = world.chain();
                chain.restless = [0, 0, 5, 20][dice.roll(4) as usize];
                chain.odd = [0, 0, 4, 15][dice.roll(4) as usize];
                chain.change();
            }
            let before = world.store.cursor().await.unwrap().unwrap();
            match runner.look().await {
                Ok(()) => {}
                Err(setback) => {
                    assert!(!matches!(setback, Setback::Forked(..)), "{setback:?}");
                    failed += 1;
                }
            }
            let after = world.compare().await;
            assert!(after.number >= before.number);
            entered += after.number - before.number;
            if dice.roll(5) == 0 {
                runner = world.runner();
            }
        }
        {
            let mut chain = world.chain();
            (chain.restless, chain.odd) = (0, 0);
            chain.grow(1);
        }
        // In the end everything that stays is entered.
        runner.look().await.unwrap();
        let top = world.chain().head().number;
        assert_eq!(world.compare().await.number, top - DEPTH);
        let aside = Page {
            skip: 0,
            limit: 1_000,
        };
        assert!(!world.store.put_aside(aside).await.unwrap().is_empty());
        payments += world.store.untold_payments(10_000).await.unwrap().len();
        for totals in world.store.totals().unwrap() {
            assert_eq!(totals.debits_posted, totals.credits_posted);
        }
    }
    assert!(
        entered > 2_000 && failed > 100 && payments > 1_000,
        "{entered} {failed} {payments}"
    );
}

#[tokio::test]
async fn a_chain_that_leaves_the_books_behind_is_an_alarm_and_nothing_is_entered() {
    let (world, mut runner) = World::new(7).await;
    world.chain().grow(20);
    runner.look().await.unwrap();
    let cursor = world.compare().await;
    let old = world.chain().path.clone();
    {
        let mut chain = world.chain();
        chain.turn_off(DEPTH + 5);
        chain.grow(DEPTH + 30);
    }
    for _ in 0..3 {
        let looked = runner.look().await;
        assert!(matches!(looked, Err(Setback::Forked(number, _)) if number == cursor.number));
        runner.note(Instant::now(), looked);
        let fork = world.state.borrow().fork.unwrap();
        assert_eq!((fork.number, fork.entered), (cursor.number, cursor.hash));
        assert_eq!(fork.found, world.chain().path[cursor.number as usize]);
    }
    assert_eq!(world.store.cursor().await.unwrap(), Some(cursor));
    // The chain comes back, and longer.
    world.chain().path = old;
    world.chain().grow(40);
    let looked = runner.look().await;
    assert!(looked.is_ok(), "{looked:?}");
    runner.note(Instant::now(), looked);
    assert!(world.state.borrow().fork.is_none() && world.state.borrow().lag().is_some());
    assert_eq!(
        world.compare().await.number,
        world.chain().head().number - DEPTH
    );
}

#[tokio::test]
async fn parts_are_bounded_unless_one_block_is_more() {
    let (world, _) = World::new(8).await;
    let from = {
        let mut chain = world.chain();
        let from = chain.head().number;
        for count in [900, 900, 900, CREDIT_EVENTS_MAX + 500, 1] {
            let txs = (0..count).map(|_| chain.deposit(1, 1)).collect();
            chain.add(txs);
        }
        chain.grow(DEPTH);
        from
    };
    let scanner = Scanner::new(Arc::clone(&world.rpc), CORE, from + 1, 64);
    let head = scanner.confirmed(Confirmation::Depth(DEPTH)).await.unwrap();
    let (mut cursor, mut sizes) = (None, Vec::new());
    while let Some(part) = scanner.scan(cursor, &head.unwrap()).await.unwrap() {
        sizes.push((part.to.number - from, part.happenings.len()));
        cursor = Some(part.to);
    }
    let most = CREDIT_EVENTS_MAX + 500;
    assert_eq!(sizes, [(2, 1_800), (3, 900), (4, most), (5, 1)]);
}

#[tokio::test]
async fn what_administrators_change_is_known_before_anything_expires_by_it() {
    let (world, mut runner) = World::new(9).await;
    assert_eq!(world.facts.borrow().timing.tab_expiration, 1_000_000);
    {
        let mut chain = world.chain();
        chain.expiration = 5_000_000;
        let event = Core::TabExpirationTimeUpdated {
            newExpirationTime: U256::from(5_000_000),
        };
        let log = event.encode_log_data();
        let tx = ModelTx {
            logs: vec![(log.topics().to_vec(), log.data)],
            ..chain.tx()
        };
        chain.add(vec![tx]);
        chain.grow(DEPTH);
    }
    runner.look().await.unwrap();
    assert_eq!(world.facts.borrow().timing.tab_expiration, 5_000_000);
    assert_eq!(
        world
            .facts
            .borrow()
            .enabled()
            .into_iter()
            .collect::<Vec<_>>(),
        [1]
    );
}

#[tokio::test]
async fn who_is_not_the_only_one_to_enter_goes_on_from_where_the_books_are() {
    let (mut world, mut first) = World::new(10).await;
    world.chain().grow(30);
    let mut second = world.runner();
    second.look().await.unwrap();
    world.chain().grow(30);
    first.look().await.unwrap();
    second.look().await.unwrap();
    assert_eq!(
        world.compare().await.number,
        world.chain().head().number - DEPTH
    );
}

#[tokio::test]
async fn comparisons_find_what_is_different_and_nothing_else() {
    let (world, mut runner) = World::new(11).await;
    world.chain().grow(60);
    runner.look().await.unwrap();
    let core = CreditCore::at(CORE);
    let mut pass = reconcile::Pass::default();
    let report = pass
        .step(&world.rpc, &core, world.store.as_ref())
        .await
        .unwrap();
    assert_eq!(
        (report.compared, report.different, report.unknown),
        (PAYERS, 0, 0)
    );
    let cursor = world.compare().await;
    {
        let mut chain = world.chain();
        let block = chain.blocks.get_mut(&cursor.hash).unwrap();
        *block.collateral.get_mut(&payer(2)).unwrap() += U256::ONE;
    }
    let mut pass = reconcile::Pass::default();
    let report = pass
        .step(&world.rpc, &core, world.store.as_ref())
        .await
        .unwrap();
    assert_eq!((report.compared, report.different), (PAYERS, 1));
    let [difference] = report.differences[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (difference.payer, difference.block),
        (payer(2), cursor.number)
    );
    assert_eq!(difference.contract, difference.books + U256::ONE);
}

#[tokio::test]
async fn a_batch_that_is_entered_again_changes_nothing() {
    let (world, _) = World::new(12).await;
    world.chain().grow(40);
    let scanner = Scanner::new(Arc::clone(&world.rpc), CORE, DEPLOYED, 8);
    let head = scanner.confirmed(Confirmation::Depth(DEPTH)).await.unwrap();
    let from = world.store.cursor().await.unwrap();
    let part = scanner.scan(from, &head.unwrap()).await.unwrap().unwrap();
    let batch = faregate_core::port::credit::Batch {
        from,
        to: part.to,
        happenings: part.happenings,
    };
    let terms = world.facts.borrow().terms(&TermsPolicy::default());
    world
        .store
        .enter(batch.clone(), terms.clone(), 10)
        .await
        .unwrap();
    world.compare().await;
    let again = world.store.enter(batch, terms, 10).await;
    assert_eq!(again, Err(StoreError::Conflict));
    world.compare().await;
}

#[tokio::test]
async fn what_a_wallet_sends_from_inside_is_found_where_the_node_tells_and_else_put_aside() {
    let (world, mut runner) = World::new(13).await;
    let page = Page {
        skip: 0,
        limit: 1_000,
    };
    for traces in [false, true] {
        let hash = {
            let mut chain = world.chain();
            chain.traces = traces;
            let inner = eth_tab_calldata(TAB.0, U256::ONE);
            let tx = ModelTx {
                from: payer(3),
                input: [&[1, 2, 3, 4][..], &inner, &[0; 20]].concat().into(),
                ..chain.tx()
            };
            let failed = ModelTx {
                fails: true,
                hash: keccak256([traces.into()]),
                ..tx.clone()
            };
            let hash = tx.hash;
            chain.add(vec![failed, tx]);
            for _ in 0..DEPTH {
                chain.add(Vec::new());
            }
            hash
        };
        runner.look().await.unwrap();
        let paid = world.store.payments_to(RECIPIENT, page).await.unwrap();
        let found = paid
            .iter()
            .find(|payment| payment.place.transaction == hash);
        let aside = world.store.put_aside(page).await.unwrap();
        let is_aside = aside.iter().any(|aside| aside.place.transaction == hash);
        assert_eq!((found.is_some(), is_aside), (traces, !traces));
        if let Some(found) = found {
            assert_eq!((found.payer, found.amount), (payer(0), U256::from(9)));
            assert!(found.place.log.is_some());
        }
    }
}

/// A node behind HTTP, in front of the model.
async fn over_http(model: Arc<Model>) -> Rpc {
    let answer = move |body: String| {
        let model = Arc::clone(&model);
        async move {
            let call: Value = serde_json::from_str(&body).unwrap();
            let method = call["method"].as_str().unwrap();
            let answer = model.0.lock().unwrap().answer(method, &call["params"]);
            json!({ "jsonrpc": "2.0", "id": 1, "result": answer.unwrap() }).to_string()
        }
    };
    let app = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let endpoint = Endpoint::Http(url.parse().unwrap());
    Rpc::new(Node::new(&endpoint, Duration::from_secs(20)).unwrap())
}

#[tokio::test]
async fn a_block_that_is_too_much_for_one_answer_is_read_in_pieces() {
    let (world, _) = World::new(14).await;
    let from = {
        let mut chain = world.chain();
        let from = chain.head().number;
        // Twelve times 200,000 bytes are more than four million digits; so are the logs.
        let txs = (0..12).map(|_| {
            let mut tx = chain.deposit(1, 1);
            tx.input = vec![0; 200_000].into();
            tx.logs.push((vec![B256::ZERO], vec![0; 200_000].into()));
            tx
        });
        let mut txs: Vec<_> = txs.collect();
        txs.push(ModelTx {
            value: U256::from(3),
            input: eth_tab_calldata(TAB.0, U256::ONE),
            ..chain.tx()
        });
        chain.add(txs);
        for _ in 0..3 {
            let deposit = chain.deposit(2, 1);
            chain.add(vec![deposit]);
        }
        from
    };
    let rpc = Arc::new(over_http(Arc::clone(&world.model)).await);
    let scanner = Scanner::new(rpc, CORE, from + 1, 64);
    let head = scanner.confirmed(Confirmation::Depth(0)).await.unwrap();
    let (mut cursor, mut names) = (None, BTreeMap::new());
    while let Some(part) = scanner.scan(cursor, &head.unwrap()).await.unwrap() {
        for happening in &part.happenings {
            *names.entry(happening.event.name()).or_insert(0) += 1;
        }
        cursor = Some(part.to);
    }
    let expected = BTreeMap::from([("deposited", 15), ("paid", 1), ("unreadable", 12)]);
    assert_eq!(names, expected);
}

#[test]
fn places_of_logs_and_transactions_have_ids_of_their_own() {
    let place = |log| Place {
        block: 1,
        transaction: B256::repeat_byte(1),
        log,
    };
    let ids = [None, Some(0), Some(1), Some(1 << 48)].map(|log| place(log).record());
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
}
