//! A chain that turns off while it is read, and a node that leaves things out, refuses and falls silent.

use super::*;

/// Numbers that a seed decides.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// Below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % sides
    }
}

/// A transaction of the model: ETH with these words, or one with logs.
#[derive(Clone)]
pub(super) struct ModelTx {
    pub(super) hash: B256,
    pub(super) from: Address,
    pub(super) value: U256,
    pub(super) input: Bytes,
    pub(super) fails: bool,
    pub(super) logs: Vec<(Vec<B256>, Bytes)>,
}

impl ModelTx {
    pub(super) fn whole(&self) -> Value {
        json!({ "hash": self.hash, "from": self.from, "to": RECIPIENT, "value": self.value, "input": self.input })
    }
}

/// A block with the state after it.
#[derive(Clone)]
pub(super) struct ModelBlock {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) parent: B256,
    pub(super) timestamp: u64,
    pub(super) txs: Vec<ModelTx>,
    pub(super) collateral: BTreeMap<Address, U256>,
    /// Transactions that paid for the tab, with how much.
    pub(super) paid: BTreeMap<B256, U256>,
}

pub(super) struct ModelChain {
    pub(super) blocks: BTreeMap<B256, ModelBlock>,
    /// The hashes of the chain, from block 0 on.
    pub(super) path: Vec<B256>,
    pub(super) dice: Dice,
    /// In so many of a hundred calls the chain changes before the answer, and in so many the node misbehaves.
    pub(super) restless: u64,
    /// Answers come later: whoever asks waits once.
    pub(super) waits: bool,
    pub(super) odd: u64,
    pub(super) expiration: u64,
    pub(super) traces: bool,
}

pub(super) fn payer(index: u64) -> Address {
    Address::from_word(B256::from(U256::from(index + 1)))
}

impl ModelChain {
    pub(super) fn new(seed: u64) -> Self {
        let first = ModelBlock {
            number: 0,
            hash: keccak256(seed.to_be_bytes()),
            parent: B256::ZERO,
            timestamp: 1_000,
            txs: Vec::new(),
            collateral: BTreeMap::new(),
            paid: BTreeMap::new(),
        };
        let mut chain = Self {
            path: vec![first.hash],
            blocks: BTreeMap::from([(first.hash, first)]),
            dice: Dice(seed),
            restless: 0,
            waits: false,
            odd: 0,
            expiration: 1_000_000,
            traces: false,
        };
        chain.grow(DEPLOYED);
        // Somebody everybody knows.
        let deposit = chain.deposit(0, 1_000);
        chain.add(vec![deposit]);
        chain.grow(DEPTH);
        chain
    }

    pub(super) fn head(&self) -> &ModelBlock {
        &self.blocks[self.path.last().unwrap()]
    }

    pub(super) fn tx(&mut self) -> ModelTx {
        ModelTx {
            hash: keccak256(self.dice.roll(u64::MAX).to_be_bytes()),
            from: payer(0),
            value: U256::ZERO,
            input: Bytes::new(),
            fails: false,
            logs: Vec::new(),
        }
    }

    pub(super) fn deposit(&mut self, index: u64, amount: u64) -> ModelTx {
        let event = Core::CollateralDeposited {
            user: payer(index),
            asset: ETH,
            amount: U256::from(amount),
        };
        let log = event.encode_log_data();
        ModelTx {
            logs: vec![(log.topics().to_vec(), log.data)],
            ..self.tx()
        }
    }

    /// A block with these transactions.
    pub(super) fn add(&mut self, txs: Vec<ModelTx>) {
        let mut block = self.head().clone();
        block.parent = block.hash;
        block.number += 1;
        block.timestamp += 1 + self.dice.roll(5);
        for tx in &txs {
            if tx.fails {
                continue;
            }
            for (topics, data) in &tx.logs {
                if topics[0] == Core::CollateralDeposited::SIGNATURE_HASH {
                    let sum = block
                        .collateral
                        .entry(Address::from_word(topics[1]))
                        .or_default();
                    *sum += U256::abi_decode(data).unwrap();
                }
            }
            if tx.input == eth_tab_calldata(TAB.0, U256::ONE) && tx.from == payer(0) {
                block.paid.insert(tx.hash, tx.value);
            }
        }
        block.txs = txs;
        let salt = self.dice.roll(u64::MAX);
        block.hash = keccak256([block.parent.0, B256::from(U256::from(salt)).0].concat());
        self.path.push(block.hash);
        self.blocks.insert(block.hash, block);
    }

    pub(super) fn grow(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let mut txs = Vec::new();
            // Nothing happens before the contract is there.
            let count = if self.head().number < DEPLOYED {
                0
            } else {
                self.dice.roll(4)
            };
            for _ in 0..count {
                txs.push(self.happen());
            }
            self.add(txs);
        }
    }

    pub(super) fn happen(&mut self) -> ModelTx {
        let amount = 1 + self.dice.roll(100);
        match self.dice.roll(8) {
            0..3 => {
                let index = self.dice.roll(PAYERS);
                let mut tx = self.deposit(index, amount);
                if self.dice.roll(3) == 0 {
                    let again = tx.logs[0].clone();
                    tx.logs.push(again);
                }
                tx
            }
            kind @ 3..6 => ModelTx {
                value: U256::from(amount),
                input: eth_tab_calldata(TAB.0, U256::ONE),
                fails: kind == 5,
                ..self.tx()
            },
            6 => ModelTx {
                value: U256::from(amount),
                input: Bytes::from_static(b"tab_id:0xnobody"),
                ..self.tx()
            },
            _ => ModelTx {
                logs: vec![(vec![B256::repeat_byte(0xee)], Bytes::from_static(b"new"))],
                ..self.tx()
            },
        }
    }

    /// The chain grows, or turns off less deep than blocks have to be.
    pub(super) fn change(&mut self) {
        let depth = match self.dice.roll(6) {
            0..3 => return self.grow(1),
            3 => return self.grow(12),
            _ => 1 + self.dice.roll(DEPTH - 1),
        };
        self.turn_off(depth);
        let more = self.dice.roll(3);
        self.grow(depth + more);
    }

    pub(super) fn turn_off(&mut self, depth: u64) {
        let length = self.path.len().saturating_sub(depth as usize);
        self.path.truncate(length);
    }

    pub(super) fn block(&self, block: &ModelBlock, whole: bool) -> Value {
        let mut bloom = Bloom::ZERO;
        if block.txs.iter().any(|tx| !tx.logs.is_empty()) {
            bloom.accrue(BloomInput::Raw(CORE.as_slice()));
        }
        let txs: Vec<Value> = block
            .txs
            .iter()
            .map(|tx| match whole {
                true => tx.whole(),
                false => json!(tx.hash),
            })
            .collect();
        json!({
            "number": U64::from(block.number),
            "hash": block.hash,
            "parentHash": block.parent,
            "timestamp": U64::from(block.timestamp),
            "logsBloom": bloom,
            "transactions": txs,
        })
    }

    pub(super) fn at(&self, number: u64) -> Option<&ModelBlock> {
        self.path
            .get(number as usize)
            .map(|hash| &self.blocks[hash])
    }

    pub(super) fn answer(&mut self, method: &str, params: &Value) -> Result<Value, TransportError> {
        if self.dice.roll(100) < self.restless {
            self.change();
        }
        let odd = self.dice.roll(100) < self.odd;
        if odd && self.dice.roll(2) == 0 {
            return Err(TransportError::NoAnswer);
        }
        let number = |value: &Value| -> Option<u64> {
            let number: U64 = serde_json::from_value(value.clone()).ok()?;
            Some(number.to())
        };
        let hash = |value: &Value| -> B256 { serde_json::from_value(value.clone()).unwrap() };
        let block = match method {
            "eth_getBlockByNumber" => match number(&params[0]) {
                Some(number) => self.at(number),
                None => Some(self.head()),
            },
            "eth_getBlockByHash" => self.blocks.get(&hash(&params[0])),
            "eth_getLogs" => return self.logs(&params[0], number, odd),
            "eth_getTransactionByHash" => {
                let asked = hash(&params[0]);
                let mut all = self.path.iter().flat_map(|hash| &self.blocks[hash].txs);
                let found = all.find(|tx| tx.hash == asked);
                return Ok(found.map_or(Value::Null, ModelTx::whole));
            }
            "eth_getTransactionReceipt" => return Ok(self.receipt(hash(&params[0]), odd)),
            "debug_traceTransaction" => return self.trace(hash(&params[0])),
            "eth_call" => return self.call(&params[0], number(&params[1])),
            _ => panic!("{method} is not asked here"),
        };
        let whole = params[1].as_bool().unwrap();
        Ok(block.map_or(Value::Null, |block| self.block(block, whole)))
    }

    pub(super) fn logs(
        &self,
        filter: &Value,
        number: impl Fn(&Value) -> Option<u64>,
        odd: bool,
    ) -> Result<Value, TransportError> {
        assert_eq!(filter["address"], json!(CORE));
        let blocks: Vec<&ModelBlock> = if filter["blockHash"].is_null() {
            let (first, last) = (number(&filter["fromBlock"]), number(&filter["toBlock"]));
            let (first, last) = (first.unwrap(), last.unwrap());
            if last - first >= 16 {
                return refuse(-32000, "too many blocks");
            }
            // A node that has the blocks and not yet their logs.
            let last = if odd { first } else { last };
            (first..=last)
                .filter_map(|number| self.at(number))
                .collect()
        } else {
            let hash: B256 = serde_json::from_value(filter["blockHash"].clone()).unwrap();
            vec![&self.blocks[&hash]]
        };
        let logs: Vec<Value> = blocks.into_iter().flat_map(logs_of).collect();
        Ok(json!(logs))
    }

    pub(super) fn receipt(&self, hash: B256, odd: bool) -> Value {
        if odd {
            return Value::Null;
        }
        let blocks = self.path.iter().rev().map(|hash| &self.blocks[hash]);
        for block in blocks {
            if let Some(tx) = block.txs.iter().find(|tx| tx.hash == hash) {
                let logs = logs_of(block).into_iter();
                let logs: Vec<_> = logs
                    .filter(|log| log["transactionHash"] == json!(hash))
                    .collect();
                return json!({ "blockHash": block.hash, "status": if tx.fails { "0x0" } else { "0x1" }, "logs": logs });
            }
        }
        Value::Null
    }

    /// What a wallet's transaction did: it paid for the tab.
    pub(super) fn trace(&self, hash: B256) -> Result<Value, TransportError> {
        if !self.traces {
            return refuse(-32601, "the method debug_traceTransaction does not exist");
        }
        Ok(json!({
            "type": "CALL", "from": Address::ZERO, "to": payer(0), "value": "0x0", "input": hash,
            "calls": [{
                "type": "CALL", "from": payer(0), "to": RECIPIENT, "value": "0x9",
                "input": eth_tab_calldata(TAB.0, U256::ONE),
            }],
        }))
    }

    pub(super) fn call(&self, call: &Value, block: Option<u64>) -> Result<Value, TransportError> {
        let data: Bytes = serde_json::from_value(call["data"].clone()).unwrap();
        if call["to"] != json!(CORE) {
            // No Multicall3 here.
            return refuse(3, "execution reverted");
        }
        let word = |number: u64| Bytes::from(U256::from(number).abi_encode());
        let selector: [u8; 4] = data[..4].try_into().unwrap();
        let answer = match selector {
            Core::tabExpirationTimeCall::SELECTOR => word(self.expiration),
            Core::remunerationGracePeriodCall::SELECTOR
            | Core::synchronizationDelayCall::SELECTOR
            | Core::withdrawalGracePeriodCall::SELECTOR => word(10),
            Core::pausedCall::SELECTOR => word(0),
            Core::getERC20TokensCall::SELECTOR => Vec::<Address>::new().abi_encode().into(),
            Core::getGuaranteeVersionConfigCall::SELECTOR => {
                let asked = Core::getGuaranteeVersionConfigCall::abi_decode(&data).unwrap();
                let mut words = vec![B256::ZERO; 7];
                words[6] = B256::with_last_byte(u8::from(asked.version == 1));
                words.concat().into()
            }
            Core::collateral_1Call::SELECTOR => {
                let asked = Core::collateral_1Call::abi_decode(&data).unwrap();
                let state = &self.at(block.unwrap()).unwrap().collateral;
                state
                    .get(&asked.user)
                    .copied()
                    .unwrap_or_default()
                    .abi_encode()
                    .into()
            }
            _ => panic!("{selector:?} is not asked here"),
        };
        Ok(json!(answer))
    }
}

pub(super) fn logs_of(block: &ModelBlock) -> Vec<Value> {
    let mut logs = Vec::new();
    for (index, tx) in block.txs.iter().enumerate() {
        for (topics, data) in &tx.logs {
            logs.push(json!({
                "address": CORE, "topics": topics, "data": data,
                "blockNumber": U64::from(block.number), "blockHash": block.hash,
                "transactionHash": tx.hash, "transactionIndex": U64::from(index), "logIndex": U64::from(logs.len()),
            }));
        }
    }
    logs
}

pub(super) fn refuse<T>(code: i64, message: &str) -> Result<T, TransportError> {
    Err(TransportError::Refused(RpcRefusal {
        code,
        message: message.to_owned(),
        data: None,
    }))
}

pub(super) struct Model(pub(super) Mutex<ModelChain>);

impl Transport for Model {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        Box::pin(async move {
            let waits = self.0.lock().unwrap().waits;
            if waits {
                tokio::task::yield_now().await;
            }
            self.0.lock().unwrap().answer(method, &params)
        })
    }
}
