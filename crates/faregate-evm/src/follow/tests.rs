//! What is known equals what the chain says as of the tip, over chains that grow and turn off at any moment, also while
//! they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::chase::Chase;
use super::event::KINDS;
use super::facts::{Doubt, Gaps, Known, Question, Read};
use super::shared::Shared;
use crate::node::Node;
use crate::rpc::Rpc;
use crate::transport::{Endpoint, RpcRefusal, Transport, TransportError};

const TOKEN: Address = Address::repeat_byte(0xaa);
const PAYEE: Address = Address::repeat_byte(0xbb);
const PAYERS: u64 = 5;
const NONCES: u64 = 12;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % sides
    }
}

/// A block with the state after it.
#[derive(Clone)]
struct ModelBlock {
    number: u64,
    hash: B256,
    parent: B256,
    timestamp: u64,
    logs: Vec<(Vec<B256>, Bytes)>,
    balances: BTreeMap<u64, u64>,
    spent: BTreeSet<(u64, u64)>,
}

struct ModelChain {
    blocks: BTreeMap<B256, ModelBlock>,
    /// The hashes of the chain, from block 0 on.
    path: Vec<B256>,
    dice: Dice,
    /// In so many of a hundred calls the chain changes before the answer.
    restless: u64,
}

fn payer(index: u64) -> Address {
    Address::from_word(B256::from(U256::from(index + 1)))
}

fn nonce(index: u64) -> B256 {
    B256::from(U256::from(index))
}

/// From when on an authorization may be used.
fn valid_after(index: u64) -> u64 {
    index * 25
}

impl ModelChain {
    fn new(seed: u64) -> Self {
        let first = ModelBlock {
            number: 0,
            hash: keccak256(seed.to_be_bytes()),
            parent: B256::ZERO,
            timestamp: 0,
            logs: Vec::new(),
            balances: (0..PAYERS).map(|payer| (payer, 100)).collect(),
            spent: BTreeSet::new(),
        };
        let mut chain = Self {
            path: vec![first.hash],
            blocks: BTreeMap::from([(first.hash, first)]),
            dice: Dice(seed),
            restless: 0,
        };
        chain.grow(30);
        chain
    }

    fn head(&self) -> &ModelBlock {
        &self.blocks[self.path.last().unwrap()]
    }

    fn grow(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let mut block = self.head().clone();
            block.parent = block.hash;
            block.number += 1;
            block.timestamp += 1 + self.dice.roll(5);
            block.logs.clear();
            for _ in 0..self.dice.roll(4) {
                self.happen(&mut block);
            }
            let salt = self.dice.roll(u64::MAX);
            block.hash = keccak256([block.parent.0, B256::from(U256::from(salt)).0].concat());
            self.path.push(block.hash);
            self.blocks.insert(block.hash, block);
        }
    }

    /// One event, with what it changes.
    fn happen(&mut self, block: &mut ModelBlock) {
        let [transfer, used, cancelled] = KINDS;
        let (from, to) = (self.dice.roll(PAYERS), self.dice.roll(PAYERS));
        if self.dice.roll(2) == 0 {
            let value = self.dice.roll(block.balances[&from] + 1);
            *block.balances.get_mut(&from).unwrap() -= value;
            *block.balances.get_mut(&to).unwrap() += value;
            let topics = vec![transfer, payer(from).into_word(), payer(to).into_word()];
            let value = B256::from(U256::from(value));
            block.logs.push((topics, Bytes::from(value.0)));
        } else {
            let index = self.dice.roll(NONCES);
            if block.timestamp > valid_after(index) && block.spent.insert((from, index)) {
                let kind = if self.dice.roll(4) == 0 {
                    cancelled
                } else {
                    used
                };
                let topics = vec![kind, payer(from).into_word(), nonce(index)];
                block.logs.push((topics, Bytes::new()));
            }
        }
    }

    /// Something happens to the chain.
    fn change(&mut self) {
        match self.dice.roll(8) {
            0..4 => self.grow(1),
            4 => self.grow(3),
            5 => self.grow(20),
            6 => {
                let depth = 1 + self.dice.roll(4);
                self.turn_off(depth);
                let more = self.dice.roll(3);
                self.grow(depth + more);
            }
            _ => {
                let depth = 1 + self.dice.roll(25);
                self.turn_off(depth);
                let more = self.dice.roll(30);
                self.grow(more);
            }
        }
    }

    fn turn_off(&mut self, depth: u64) {
        let length = self.path.len().saturating_sub(depth as usize).max(20);
        self.path.truncate(length);
    }

    fn header(block: &ModelBlock) -> Value {
        json!({
            "number": U64::from(block.number),
            "hash": block.hash,
            "parentHash": block.parent,
            "timestamp": U64::from(block.timestamp),
        })
    }

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, TransportError> {
        if self.dice.roll(100) < self.restless {
            self.change();
        }
        let number = |value: &Value| -> Option<u64> {
            let number: U64 = serde_json::from_value(value.clone()).ok()?;
            Some(number.to())
        };
        match method {
            "eth_getBlockByNumber" => {
                let block = match number(&params[0]) {
                    Some(number) => {
                        let hash = self.path.get(number as usize);
                        hash.map(|hash| &self.blocks[hash])
                    }
                    None => Some(self.head()),
                };
                Ok(block.map_or(Value::Null, Self::header))
            }
            "eth_getBlockByHash" => {
                let hash: B256 = serde_json::from_value(params[0].clone()).unwrap();
                Ok(self.blocks.get(&hash).map_or(Value::Null, Self::header))
            }
            "eth_getLogs" => self.logs(&params[0], number),
            _ => panic!("{method} is not asked here"),
        }
    }

    fn logs(
        &self,
        filter: &Value,
        number: impl Fn(&Value) -> Option<u64>,
    ) -> Result<Value, TransportError> {
        let refuse = |message: &str| {
            Err(TransportError::Refused(RpcRefusal {
                code: -32000,
                message: message.to_owned(),
                data: None,
            }))
        };
        let kinds: Vec<B256> = serde_json::from_value(filter["topics"][0].clone()).unwrap();
        let blocks: Vec<&ModelBlock> = if filter["blockHash"].is_null() {
            let (first, last) = (number(&filter["fromBlock"]), number(&filter["toBlock"]));
            let (first, last) = (first.unwrap() as usize, last.unwrap() as usize);
            if last - first >= 16 {
                return refuse("too many results");
            }
            // A chain that became shorter leaves out what is not there, as nodes do.
            let path = self.path.iter().take(last + 1).skip(first);
            path.map(|hash| &self.blocks[hash]).collect()
        } else {
            let hash: B256 = serde_json::from_value(filter["blockHash"].clone()).unwrap();
            vec![&self.blocks[&hash]]
        };
        let logs: Vec<Value> = blocks
            .iter()
            .flat_map(|block| block.logs.iter().map(|log| (block.number, log)))
            .filter(|(_, (topics, _))| kinds.contains(&topics[0]))
            .map(|(number, (topics, data))| {
                json!({ "address": TOKEN, "topics": topics, "data": data, "blockNumber": U64::from(number) })
            })
            .collect();
        Ok(json!(logs))
    }
}

struct Model(Mutex<ModelChain>);

impl Transport for Model {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        Box::pin(async move { self.0.lock().unwrap().answer(method, &params) })
    }
}

fn question(payer_index: u64, nonce_index: u64, value: u64) -> Question {
    Question {
        token: TOKEN,
        payer: payer(payer_index),
        payee: PAYEE,
        nonce: nonce(nonce_index),
        value: U256::from(value),
        valid_after: U256::from(valid_after(nonce_index)),
    }
}

fn world(seed: u64) -> (Arc<Model>, Arc<Shared>, Chase) {
    let model = Arc::new(Model(Mutex::new(ModelChain::new(seed))));
    let endpoint = Endpoint::InProcess(Arc::clone(&model) as _);
    let node = Node::new(&endpoint, Duration::from_secs(10)).unwrap();
    let hour = Duration::from_secs(3_600);
    let shared = Arc::new(Shared::new("model".into(), hour, hour));
    let rpc = Arc::new(Rpc::new(node));
    let chase = Chase::new(
        rpc,
        Arc::clone(&shared),
        vec![TOKEN],
        Duration::from_secs(1),
        50,
    );
    (model, shared, chase)
}

/// Compares everything known with the state at the tip. How many payments were payable without a question.
fn compare(model: &Model, shared: &Shared, dice: &mut Dice) -> u64 {
    let tip = shared.tip().unwrap();
    let chain = model.0.lock().unwrap();
    let truth = &chain.blocks[&tip.hash];
    assert_eq!((truth.number, truth.timestamp), (tip.number, tip.timestamp));
    let mut payable = 0;
    for payer in 0..PAYERS {
        for nonce in 0..NONCES {
            let value = dice.roll(150);
            let question = question(payer, nonce, value);
            let (known, _) = shared.judge(&question).unwrap();
            let balance = truth.balances[&payer];
            let spent = truth.spent.contains(&(payer, nonce));
            match known {
                Known::Payable => {
                    assert!(!spent, "payer {payer} nonce {nonce} at {}", tip.number);
                    assert!(balance >= value, "{balance} {value} at {}", tip.number);
                    payable += 1;
                }
                Known::Doubtful(Doubt::Spent) => assert!(spent, "at {}", tip.number),
                Known::Doubtful(Doubt::Funds) => assert!(balance < value, "at {}", tip.number),
                Known::Doubtful(doubt) => panic!("{doubt:?}"),
                Known::Missing(gaps) => {
                    assert_ne!(gaps, Gaps::default());
                    // Sometimes it is read then.
                    if dice.roll(3) == 0 {
                        let read = Read {
                            tip,
                            at: Instant::now(),
                            moves: true,
                            has_code: false,
                            balance: gaps.account.then(|| U256::from(balance)),
                            unspent: gaps.nonce && !spent,
                        };
                        shared.learn(&question, &read);
                    }
                }
            }
        }
    }
    payable
}

#[tokio::test]
async fn what_is_known_is_what_the_chain_says_at_the_tip() {
    let (mut payable, mut followed) = (0, 0);
    for seed in 0..60 {
        let (model, shared, mut chase) = world(seed);
        let mut dice = Dice(!seed);
        for step in 0..60 {
            {
                let mut chain = model.0.lock().unwrap();
                chain.restless = [0, 0, 10, 40][dice.roll(4) as usize];
                if dice.roll(3) > 0 {
                    chain.change();
                }
            }
            // It may fail, because the chain moved; what is known must be right all the same.
            let looked = chase.look().await;
            drop(chase.look_back().await);
            if looked.is_ok() {
                shared.current(Instant::now());
                followed += 1;
            }
            if step > 0 && shared.lag().is_some() {
                payable += compare(&model, &shared, &mut dice);
            }
        }
    }
    assert!(followed > 1_500, "{followed} {payable}");
    assert!(payable > 10_000, "{payable}");
}

#[tokio::test]
async fn a_chain_that_stands_still_is_followed_to_its_head_and_back_to_its_beginning() {
    let (model, shared, mut chase) = world(1);
    chase.look().await.unwrap();
    for _ in 0..100 {
        model.0.lock().unwrap().change();
        // A fork and a page that is too large take a second look.
        for _ in 0..10 {
            drop(chase.look().await);
        }
        let head = model.0.lock().unwrap().head().hash;
        assert_eq!(shared.tip().unwrap().hash, head);
    }
    for _ in 0..40 {
        drop(chase.look_back().await);
    }
    let (since, ..) = shared.past().unwrap();
    assert_eq!(since.number, 0);
}

#[tokio::test]
async fn money_being_moved_counts_until_the_chain_shows_it() {
    let (_, shared, mut chase) = world(2);
    chase.look().await.unwrap();
    shared.current(Instant::now());
    let tip = shared.tip().unwrap();
    let (first, second) = (question(0, 1, 60), question(0, 2, 60));
    for question in [&first, &second] {
        let read = Read {
            tip,
            at: Instant::now(),
            moves: true,
            has_code: false,
            balance: Some(U256::from(100)),
            unspent: true,
        };
        shared.learn(question, &read);
    }
    let known = |question| shared.judge(question).unwrap().0;
    assert_eq!(
        (known(&first), known(&second)),
        (Known::Payable, Known::Payable)
    );
    shared.hold(first.account(), first.nonce, first.value);
    assert_eq!(known(&first), Known::Doubtful(Doubt::Spent));
    assert_eq!(known(&second), Known::Doubtful(Doubt::Held));
    shared.release(first.account(), first.nonce);
    assert_eq!(
        (known(&first), known(&second)),
        (Known::Payable, Known::Payable)
    );
}

#[tokio::test]
async fn nothing_is_learned_of_another_block_than_the_tip() {
    let (model, shared, mut chase) = world(3);
    chase.look().await.unwrap();
    shared.current(Instant::now());
    let old = shared.tip().unwrap();
    model.0.lock().unwrap().grow(1);
    chase.look().await.unwrap();
    let question = question(0, 1, 1);
    let read = Read {
        tip: old,
        at: Instant::now(),
        moves: true,
        has_code: false,
        balance: Some(U256::from(100)),
        unspent: true,
    };
    shared.learn(&question, &read);
    let (known, _) = shared.judge(&question).unwrap();
    assert!(matches!(known, Known::Missing(gaps) if gaps.account));
}
