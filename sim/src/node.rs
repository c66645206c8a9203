//! The node: the chain's answers to JSON-RPC, and the world's hand in them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256, address, keccak256};
use alloy_sol_types::{SolCall as _, SolValue as _, sol};
use faregate_types::Asset;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chain::decode::{BATCH_SETTLER, Reader, Settler, Token};
use crate::chain::{Block, Call, Chain, Refused, Tx};
use crate::ledger::{MemoryLedger, head};
use crate::payer::{PAYERS, payer_key};
use crate::plan::Faults;
use crate::world::{World, lock};

mod logs;

use logs::{events, fits};

/// Where Multicall3 stands.
const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

/// Who submits what others signed.
const STRANGER: Address = address!("0x00000000000000000000000000000000DeaDBeef");

/// What a transfer by authorization costs.
const GAS: u64 = 65_000;

/// Wei per gas.
const BASE_FEE: u64 = 1_000_000_000;

sol! {
    interface Multicall3 {
        struct Call3 { address target; bool allowFailure; bytes callData; }
        struct Answer { bool success; bytes returnData; }
        function aggregate3(Call3[] calldata calls) external payable returns (Answer[] memory answers);
    }
}

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// Its code.
    pub code: i64,
    /// Its words.
    pub message: String,
}

/// The node of the world.
pub struct Node {
    world: World,
    chain: Mutex<Chain>,
    reader: Mutex<Reader>,
    asset: Asset,
    /// The accounts that somebody else may use beside the sender.
    senders: Vec<Address>,
    /// Where the sender records what it sends, if it does.
    books: Option<Arc<MemoryLedger>>,
    /// Sender, nonce and call of what was recorded before it was sent.
    recorded: Mutex<BTreeSet<(Address, u64, B256)>>,
    /// Money that payers have put aside.
    aside: Mutex<Vec<(Address, U256)>>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

fn refused<T>(message: &str) -> Result<T, RpcError> {
    Err(RpcError {
        code: -32_000,
        message: message.to_owned(),
    })
}

fn reverted<T>(reason: &str) -> Result<T, RpcError> {
    Err(RpcError {
        code: 3,
        message: format!("execution reverted: {reason}"),
    })
}

impl Node {
    /// A node of `chain`.
    #[must_use]
    pub fn new(
        world: &World,
        chain: Chain,
        asset: Asset,
        senders: Vec<Address>,
        books: Option<Arc<MemoryLedger>>,
    ) -> Arc<Self> {
        let separator =
            faregate_types::domain_separator(&asset.domain, asset.id.chain(), asset.id.token());
        Arc::new(Self {
            world: world.clone(),
            chain: Mutex::new(chain),
            reader: Mutex::new(Reader::new(asset.id.token(), separator)),
            asset,
            senders,
            books,
            recorded: Mutex::default(),
            aside: Mutex::default(),
        })
    }

    /// The chain itself.
    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        lock(&self.chain)
    }

    /// Makes blocks for ever.
    pub async fn run(self: Arc<Self>) {
        let plan = self.world.plan().clone();
        loop {
            let pause = if self.world.is_calm() {
                6_000
            } else {
                plan.block_ms
            };
            sleep(Duration::from_millis(pause)).await;
            self.turn(plan.reorg_depth, &plan.faults);
        }
    }

    fn turn(&self, depth_max: u64, faults: &Faults) {
        let now = self.world.now().as_secs();
        let mut chain = self.chain();
        if !self.world.is_calm() {
            for hash in chain.forget(&mut self.world.chance(), faults.vanish) {
                self.world
                    .note(format_args!("pool forgets {}", head(&hash.to_string())));
            }
        }
        if self.world.fault(|faults| faults.foreign_nonce) {
            self.use_sender(&mut chain);
        }
        self.move_money(&mut chain);
        if depth_max > 0 && self.world.fault(|faults| faults.reorg) {
            let depth = self.world.chance().between(1, depth_max);
            chain.reorganise(depth, now, &mut self.world.chance(), faults.orphan);
            let block = chain.block(0);
            self.world.note(format_args!(
                "chain reorganised by {depth}, now {}",
                block.number
            ));
        }
        let block = chain.mine(now);
        if !block.mined.is_empty() {
            let list: Vec<String> = block
                .mined
                .iter()
                .map(|mined| {
                    format!(
                        "{}{}",
                        head(&mined.tx.hash.to_string()),
                        if mined.ok { "" } else { " reverted" }
                    )
                })
                .collect();
            self.world
                .note(format_args!("block {}: {}", block.number, list.join(", ")));
        }
    }

    /// Payers put their money aside now and then, and take it back later.
    fn move_money(&self, chain: &mut Chain) {
        let mut aside = lock(&self.aside);
        let number = self.world.chance().below(u64::from(PAYERS));
        let payer = payer_key(number).address();
        let money = chain.state().balance(payer);
        let mut spend = |from: Address, to: Address, value: U256| {
            let tx = Tx {
                hash: self.world.chance().word(),
                from,
                nonce: None,
                fee_max: u128::MAX,
                to,
                input: Bytes::new(),
                call: Call::Spend { to, value },
            };
            chain.submit(tx).ok();
        };
        if !aside.is_empty() && (self.world.is_calm() || self.world.chance().roll(200)) {
            for (payer, value) in aside.drain(..) {
                spend(STRANGER, payer, value);
            }
        } else if aside.is_empty() && self.world.fault(|faults| faults.poor) {
            self.world
                .note(format_args!("payer {number} puts the money aside"));
            spend(payer, STRANGER, money);
            aside.push((payer, money));
        }
    }

    /// Somebody else sends a transaction from an account of the sender.
    fn use_sender(&self, chain: &mut Chain) {
        let mut chance = self.world.chance();
        let at = chance.below(self.senders.len().try_into().unwrap_or(1));
        let Some(from) = usize::try_from(at).ok().and_then(|at| self.senders.get(at)) else {
            return;
        };
        let next = chain.pending_nonce(*from);
        // Sometimes it takes the place of one that waits.
        let nonce = if chance.roll(300) {
            next.saturating_sub(1)
        } else {
            next
        };
        let tx = Tx {
            hash: chance.word(),
            from: *from,
            nonce: Some(nonce),
            fee_max: u128::MAX >> 1,
            to: STRANGER,
            input: Bytes::new(),
            call: Call::Nothing,
        };
        let taken = chain.submit(tx).is_ok();
        self.world
            .note(format_args!("somebody else uses nonce {nonce}: {taken}"));
    }

    /// Answers one call.
    ///
    /// # Errors
    /// [`RpcError`], what a node would say.
    pub fn answer(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let lag = if self.world.fault(|faults| faults.stale) {
            self.world.chance().between(1, 3)
        } else {
            0
        };
        let first = &params[0];
        match method {
            "eth_chainId" => Ok(json!(U64::from(self.asset.id.chain().get()))),
            "eth_getCode" => {
                let account: Address = parse(first)?;
                let code = [self.asset.id.token(), MULTICALL3, BATCH_SETTLER].contains(&account);
                Ok(json!(if code { "0x01" } else { "0x" }))
            }
            "eth_getBalance" => Ok(json!(U256::from(10).pow(U256::from(20)))),
            "eth_blockNumber" => Ok(json!(U64::from(self.chain().block(lag).number))),
            "eth_getTransactionCount" => self.count(first, &params[1], lag),
            "eth_gasPrice" => Ok(json!(U64::from(BASE_FEE))),
            "eth_maxPriorityFeePerGas" => Ok(json!(U64::from(1))),
            "eth_feeHistory" => Ok(json!({
                "oldestBlock": "0x1",
                "baseFeePerGas": vec![U64::from(BASE_FEE); 6],
                "gasUsedRatio": [0, 0, 0, 0, 0],
                "reward": vec![[U64::from(1_000_000)]; 5],
            })),
            "eth_call" => self.eth_call(first, &params[1], lag),
            "eth_estimateGas" => {
                self.eth_call(first, &json!("latest"), lag)?;
                Ok(json!(U64::from(GAS)))
            }
            "eth_sendRawTransaction" => self.send(first),
            "eth_getTransactionByHash" => Ok(self.transaction(parse(first)?, lag)),
            "eth_getTransactionReceipt" => Ok(self.receipt(parse(first)?, lag)),
            "eth_getBlockByNumber" => self.block_by_number(first, lag),
            "eth_getBlockByHash" => {
                let hash: B256 = parse(first)?;
                let chain = self.chain();
                let number = chain.block(lag).number;
                let found = (0..=number)
                    .rev()
                    .filter_map(|number| chain.numbered(number))
                    .find(|block| block.hash == hash);
                Ok(found.map_or(Value::Null, |block| header(&chain, block)))
            }
            "eth_getLogs" => self.logs(first, lag),
            other => Err(RpcError {
                code: -32_601,
                message: format!("the method {other} does not exist"),
            }),
        }
    }

    fn count(&self, account: &Value, tag: &Value, lag: u64) -> Result<Value, RpcError> {
        let account = parse(account)?;
        let chain = self.chain();
        let count = if tag == "pending" && lag == 0 {
            chain.pending_nonce(account)
        } else {
            chain
                .block(lag)
                .state
                .nonces
                .get(&account)
                .copied()
                .unwrap_or(0)
        };
        Ok(json!(U64::from(count)))
    }

    fn eth_call(&self, call: &Value, tag: &Value, lag: u64) -> Result<Value, RpcError> {
        let chain = self.chain();
        let block = pick(&chain, tag, lag)?;
        let to: Address = parse(&call["to"])?;
        let data: Bytes = parse(if call["data"].is_null() {
            &call["input"]
        } else {
            &call["data"]
        })?;
        let mut reader = lock(&self.reader);
        if to == MULTICALL3 {
            let Ok(calls) = Multicall3::aggregate3Call::abi_decode(&data) else {
                return reverted("no such function");
            };
            let answers: Vec<Multicall3::Answer> = calls
                .calls
                .iter()
                .map(|call| {
                    let answer = self.contract(&mut reader, block, call.target, &call.callData);
                    Multicall3::Answer {
                        success: answer.is_ok(),
                        returnData: answer.unwrap_or_default(),
                    }
                })
                .collect();
            return Ok(json!(Bytes::from(
                Multicall3::aggregate3Call::abi_encode_returns(&answers)
            )));
        }
        self.contract(&mut reader, block, to, &data)
            .map(|data| json!(data))
    }

    fn contract(
        &self,
        reader: &mut Reader,
        block: &Block,
        to: Address,
        data: &[u8],
    ) -> Result<Bytes, RpcError> {
        if to == BATCH_SETTLER {
            let call = reader.call(to, data);
            let moves = block.state.would_move(call.orders(), block.time);
            return Ok(Settler::settleCall::abi_encode_returns(&moves).into());
        }
        if to != reader.token() {
            return Ok(Bytes::new());
        }
        let selector = data.get(..4).unwrap_or_default();
        let encoded = if selector == Token::DOMAIN_SEPARATORCall::SELECTOR {
            reader.separator().abi_encode()
        } else if selector == Token::nameCall::SELECTOR {
            self.asset.domain.name.to_string().abi_encode()
        } else if selector == Token::versionCall::SELECTOR {
            self.asset.domain.version.to_string().abi_encode()
        } else if let Ok(call) = Token::authorizationStateCall::abi_decode(data) {
            block
                .state
                .used
                .contains_key(&(call.authorizer, call.nonce))
                .abi_encode()
        } else if let Ok(call) = Token::balanceOfCall::abi_decode(data) {
            block.state.balance(call.account).abi_encode()
        } else if let Call::Transfer(order) = reader.call(to, data) {
            match block.state.refuses(&order, block.time) {
                Some(reason) => return reverted(reason),
                None => Vec::new(),
            }
        } else {
            return reverted("no such function");
        };
        Ok(encoded.into())
    }

    /// A sender hands a transaction to the network; whether it ever arrives is another question. It was recorded first, or
    /// takes the place of one that was: the same call with the same nonce, of which one is mined at most, and whoever
    /// recorded the first finds the payment by its authorization.
    pub fn leaves(&self, raw: &Value) {
        let tx = parse::<Bytes>(raw).ok();
        let tx = tx.and_then(|raw| lock(&self.reader).transaction(&raw));
        let (Some(books), Some(tx)) = (&self.books, tx) else {
            return;
        };
        let hash = tx.hash.to_string();
        let call = keccak256([tx.to.as_slice(), &tx.input].concat());
        let key = (tx.from, tx.nonce.unwrap_or_default(), call);
        let mut recorded = lock(&self.recorded);
        if books.has_recorded(&hash) {
            recorded.insert(key);
        } else if !recorded.contains(&key) {
            self.world.problem(format_args!(
                "{} is sent before it is recorded",
                head(&hash)
            ));
        }
    }

    fn send(&self, raw: &Value) -> Result<Value, RpcError> {
        let raw: Bytes = parse(raw)?;
        let Some(tx) = lock(&self.reader).transaction(&raw) else {
            return refused("rlp: cannot decode");
        };
        let (hash, call) = (tx.hash, tx.call.clone());
        let mut chain = self.chain();
        match chain.submit(tx) {
            Ok(()) => {}
            Err(Refused::Known) => return refused("already known"),
            Err(Refused::NonceTooLow) => return refused("nonce too low"),
            Err(Refused::Underpriced) => return refused("replacement transaction underpriced"),
        }
        self.world
            .note(format_args!("pool has {}", head(&hash.to_string())));
        if !call.orders().is_empty() && self.world.fault(|faults| faults.front_run) {
            let orders = call.orders();
            let at = self.world.chance().below(orders.len() as u64);
            let order = orders[usize::try_from(at).unwrap_or_default()].clone();
            let stranger = Tx {
                hash: keccak256([hash.as_slice(), b"stranger"].concat()),
                from: STRANGER,
                nonce: None,
                fee_max: u128::MAX,
                to: self.asset.id.token(),
                input: Bytes::new(),
                call: Call::Transfer(order),
            };
            self.world.note(format_args!(
                "a stranger runs ahead of {}",
                head(&hash.to_string())
            ));
            // Its own hash and no nonce: there is nothing to refuse it for, but that it came twice.
            chain.submit(stranger).ok();
        }
        Ok(json!(hash))
    }

    fn transaction(&self, hash: B256, lag: u64) -> Value {
        let chain = self.chain();
        let newest = chain.block(lag).number;
        let mined = chain.find(hash).filter(|(block, _)| block.number <= newest);
        let (tx, block) = match (mined, chain.waiting(hash)) {
            (Some((block, mined)), _) => (&mined.tx, Some(block)),
            (None, Some(tx)) => (tx, None),
            (None, None) => return Value::Null,
        };
        json!({
            "hash": tx.hash, "from": tx.from, "to": tx.to, "input": tx.input,
            "nonce": U64::from(tx.nonce.unwrap_or_default()),
            "blockNumber": block.map(|block| U64::from(block.number)),
            "blockHash": block.map(|block| block.hash),
        })
    }

    fn receipt(&self, hash: B256, lag: u64) -> Value {
        let chain = self.chain();
        let newest = chain.block(lag).number;
        let Some((block, mined)) = chain.find(hash).filter(|(block, _)| block.number <= newest)
        else {
            return Value::Null;
        };
        json!({
            "transactionHash": hash, "blockNumber": U64::from(block.number), "blockHash": block.hash,
            "status": U64::from(u64::from(mined.ok)), "logs": events(&self.asset, block, mined),
            "from": mined.tx.from, "to": mined.tx.to, "gasUsed": U64::from(GAS),
            "effectiveGasPrice": U64::from(BASE_FEE),
        })
    }

    fn block_by_number(&self, tag: &Value, lag: u64) -> Result<Value, RpcError> {
        let chain = self.chain();
        Ok(pick(&chain, tag, lag).map_or(Value::Null, |block| header(&chain, block)))
    }

    fn logs(&self, filter: &Value, lag: u64) -> Result<Value, RpcError> {
        let chain = self.chain();
        let newest = chain.block(lag).number;
        let (first, last) = if filter["blockHash"].is_string() {
            let hash: B256 = parse(&filter["blockHash"])?;
            let found = (0..=newest).rev().find(|number| {
                chain
                    .numbered(*number)
                    .is_some_and(|block| block.hash == hash)
            });
            let Some(number) = found else {
                return refused("unknown block");
            };
            (number, number)
        } else {
            let bound = |tag: &Value| pick(&chain, tag, lag).map(|block| block.number);
            let first = if filter["fromBlock"].is_null() {
                newest
            } else {
                bound(&filter["fromBlock"]).unwrap_or(newest + 1)
            };
            let last = if filter["toBlock"].is_null() {
                newest
            } else {
                bound(&filter["toBlock"]).unwrap_or(newest)
            };
            (first, last)
        };
        let mut found = Vec::new();
        for block in (first..=last).filter_map(|number| chain.numbered(number)) {
            for mined in &block.mined {
                found.extend(
                    events(&self.asset, block, mined)
                        .into_iter()
                        .filter(|log| fits(filter, log)),
                );
            }
        }
        Ok(Value::Array(found))
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, RpcError> {
    serde_json::from_value(value.clone()).map_err(|error| RpcError {
        code: -32_602,
        message: format!("invalid params: {error}"),
    })
}

/// The block that a tag or a number names, as a node sees it that is `lag` blocks behind.
fn pick<'a>(chain: &'a Chain, tag: &Value, lag: u64) -> Result<&'a Block, RpcError> {
    let newest = chain.block(lag);
    let text = if tag.is_object() {
        &tag["blockNumber"]
    } else {
        tag
    };
    match text.as_str() {
        None | Some("latest" | "pending") => Ok(newest),
        Some("safe" | "finalized") => Ok(chain.block(lag + chain.finality)),
        Some("earliest") => chain
            .numbered(0)
            .ok_or(())
            .or_else(|()| refused("header not found")),
        Some(_) => {
            let number: u64 = parse::<U64>(text)?.to();
            match chain.numbered(number) {
                Some(block) if number <= newest.number => Ok(block),
                Some(_) | None => refused("header not found"),
            }
        }
    }
}

fn header(chain: &Chain, block: &Block) -> Value {
    let parent = block
        .number
        .checked_sub(1)
        .and_then(|number| chain.numbered(number));
    let parent = parent.map_or(B256::ZERO, |parent| parent.hash);
    json!({
        "number": U64::from(block.number), "hash": block.hash, "parentHash": parent,
        "timestamp": U64::from(block.time), "baseFeePerGas": U64::from(BASE_FEE),
        "transactions": block.mined.iter().map(|mined| mined.tx.hash).collect::<Vec<_>>(),
    })
}
