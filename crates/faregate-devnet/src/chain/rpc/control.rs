//! Methods that only a test chain has. Names of anvil, hardhat and ganache; `faregate_*` are our own.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Node, error::RpcError, eth::slot, json as to_json, params::Params, quantity,
    send::complete,
};
use crate::chain::{
    control::Dropped,
    engine::{Chain, Mining},
    limits,
    tx::SignedTx,
};

impl Node {
    /// Mining, time, going back.
    pub(super) fn mining_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "evm_mine" => self.evm_mine(params),
            "anvil_mine" | "hardhat_mine" => self.mine(params),
            "evm_setAutomine" | "anvil_setAutoMine" => self.set_automine(params),
            "anvil_getAutomine" | "hardhat_getAutomine" => {
                Ok(Value::Bool(self.read().mining == Mining::Auto))
            }
            "evm_setIntervalMining" | "anvil_setIntervalMining" => self.set_interval(params),
            "evm_increaseTime" | "anvil_increaseTime" => required_number(params, 0)
                .and_then(|secs| Ok(json!(self.write().increase_time(secs)?))),
            "evm_setNextBlockTimestamp" | "anvil_setNextBlockTimestamp" => {
                required_number(params, 0).and_then(|at| {
                    self.write().set_next_timestamp(at)?;
                    Ok(Value::Null)
                })
            }
            "evm_setTime" | "anvil_setTime" => {
                required_number(params, 0).and_then(|at| Ok(json!(self.write().set_time(at)?)))
            }
            "anvil_setNextBlockBaseFeePerGas" | "hardhat_setNextBlockBaseFeePerGas" => {
                required_number(params, 0).map(|fee| {
                    self.write().set_next_base_fee(fee);
                    Value::Null
                })
            }
            "evm_snapshot" | "anvil_snapshot" => quantity(self.write().snapshot()),
            "evm_revert" | "anvil_revert" => {
                required_number(params, 0).map(|id| Value::Bool(self.write().revert(id)))
            }
            "anvil_reorg" => self.anvil_reorg(params),
            "faregate_reorg" => self.reorg(params),
            _ => return None,
        })
    }

    /// Accounts and the pool.
    pub(super) fn account_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "anvil_setCode" | "hardhat_setCode" => self.set_code(params),
            "anvil_setBalance" | "hardhat_setBalance" => {
                self.edit(params, |chain, account, params| {
                    chain.set_balance(account, params.required::<U256>(1)?);
                    Ok(())
                })
            }
            "anvil_setNonce" | "hardhat_setNonce" => self.edit(params, |chain, account, params| {
                Ok(chain.set_nonce(account, required_number(params, 1)?)?)
            }),
            "anvil_setStorageAt" | "hardhat_setStorageAt" => self
                .edit(params, |chain, account, params| {
                    let (slot, value) = (slot(params, 1)?, slot(params, 2)?);
                    chain.set_storage(account, slot, value);
                    Ok(())
                })
                .map(|_| Value::Bool(true)),
            "anvil_impersonateAccount" | "hardhat_impersonateAccount" => {
                self.edit(params, |chain, account, _| {
                    chain.impersonated.insert(account);
                    Ok(())
                })
            }
            "anvil_stopImpersonatingAccount" | "hardhat_stopImpersonatingAccount" => {
                self.edit(params, |chain, account, _| {
                    chain.impersonated.remove(&account);
                    Ok(())
                })
            }
            "anvil_dropTransaction" | "hardhat_dropTransaction" => params
                .required::<B256>(0)
                .and_then(|hash| to_json(self.write().pool.remove(&hash).map(|tx| tx.hash))),
            "anvil_dropAllTransactions" => {
                self.write().pool.clear();
                Ok(Value::Null)
            }
            "anvil_nodeInfo" => self.node_info(),
            "txpool_status" => self.pool_status(),
            "txpool_content" => self.pool_content(),
            "faregate_mint" => self.mint(params),
            _ => return None,
        })
    }

    /// `evm_mine(timestamp?)` or `evm_mine({timestamp?, blocks?})`.
    fn evm_mine(&self, params: &mut Params) -> Answer {
        #[derive(Deserialize)]
        struct Options {
            timestamp: Option<Value>,
            blocks: Option<Value>,
        }
        let (timestamp, blocks) = match params.raw(0) {
            Some(options @ Value::Object(_)) => {
                let options: Options = serde_json::from_value(options)
                    .map_err(|error| RpcError::params(error.to_string()))?;
                let mut values = Params::new(Some(json!([options.timestamp, options.blocks])))?;
                (values.number(0)?, values.number(1)?)
            }
            other => (Params::new(Some(json!([other])))?.number(0)?, None),
        };
        let mut chain = self.write();
        if let Some(timestamp) = timestamp {
            chain.set_next_timestamp(timestamp)?;
        }
        chain.mine(blocks.unwrap_or(1), None)?;
        Ok(json!("0x0"))
    }

    /// `anvil_mine(blocks?, secondsBetween?)`.
    fn mine(&self, params: &mut Params) -> Answer {
        let count = params.number(0)?.unwrap_or(1);
        let interval = params.number(1)?;
        self.write().mine(count, interval)?;
        Ok(Value::Null)
    }

    fn set_automine(&self, params: &mut Params) -> Answer {
        let on = params.required::<bool>(0)?;
        self.set_mining(if on { Mining::Auto } else { Mining::Manual });
        Ok(Value::Null)
    }

    /// `evm_setIntervalMining(seconds)`; 0 stops it, and what waits then waits for `evm_mine`.
    fn set_interval(&self, params: &mut Params) -> Answer {
        let secs = required_number(params, 0)?;
        self.set_mining(match secs {
            0 => Mining::Manual,
            secs => Mining::Interval(Duration::from_secs(secs.min(INTERVAL_SECS_MAX))),
        });
        Ok(Value::Null)
    }

    /// `anvil_reorg(depth, [[transaction, block], …])`: the new blocks hold only the given transactions, which are raw
    /// bytes or objects as for `eth_sendTransaction`.
    fn anvil_reorg(&self, params: &mut Params) -> Answer {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Tx {
            Raw(Bytes),
            Request(Box<TransactionRequest>),
        }
        let (depth, txs) = match params.raw(0) {
            // viem sends its arguments as one object.
            Some(Value::Object(mut options)) => (
                Params::new(Some(json!([options.remove("depth")])))?.number(0)?,
                options
                    .remove("tx_block_pairs")
                    .or_else(|| options.remove("txBlockPairs")),
            ),
            depth => (Params::new(Some(json!([depth])))?.number(0)?, params.raw(1)),
        };
        let depth =
            depth.ok_or_else(|| RpcError::params("missing value for required argument 0"))?;
        let pairs: Vec<(Tx, u64)> = match txs {
            Some(txs) => {
                serde_json::from_value(txs).map_err(|error| RpcError::params(error.to_string()))?
            }
            None => Vec::new(),
        };
        let mut chain = self.write();
        let mut signed = Vec::with_capacity(pairs.len());
        for (tx, block) in pairs {
            let tx = match tx {
                Tx::Raw(bytes) => SignedTx::decode(&bytes, chain.chain_id)?,
                Tx::Request(request) => complete(&chain, *request)?,
            };
            signed.push((block, tx));
        }
        chain.reorg(depth, signed, Dropped::Forget)?;
        Ok(Value::Null)
    }

    /// `faregate_reorg(depth, keep)`: replaces the newest `depth` blocks by empty ones with other hashes. With
    /// `keep = true` the transactions that were in them return to the pool (and with automine are mined at once, in
    /// blocks after the new ones); otherwise, and by default, they are gone. Answers the new head.
    fn reorg(&self, params: &mut Params) -> Answer {
        let depth = required_number(params, 0)?;
        let dropped = match params.optional::<bool>(1)? {
            Some(true) => Dropped::ReturnToPool,
            Some(false) | None => Dropped::Forget,
        };
        let mut chain = self.write();
        chain.reorg(depth, Vec::new(), dropped)?;
        let head = chain
            .head()
            .map(|head| json!({"number": format!("{:#x}", head.header.number), "hash": head.hash}));
        Ok(head.unwrap_or_default())
    }

    /// `faregate_mint(address, amount)`: mints test USDC, amount in its smallest unit. Answers the transaction's hash.
    fn mint(&self, params: &mut Params) -> Answer {
        let (to, amount) = (params.required::<Address>(0)?, params.required::<U256>(1)?);
        to_json(self.write().mint(to, amount)?)
    }

    fn set_code(&self, params: &mut Params) -> Answer {
        self.edit(params, |chain, account, params| {
            Ok(chain.set_code(account, params.required::<Bytes>(1)?)?)
        })
    }

    fn edit(
        &self,
        params: &mut Params,
        edit: impl FnOnce(&mut Chain, Address, &mut Params) -> Result<(), RpcError>,
    ) -> Answer {
        let account = params.required::<Address>(0)?;
        edit(&mut self.write(), account, params)?;
        Ok(Value::Null)
    }

    fn node_info(&self) -> Answer {
        let chain = self.read();
        let head = chain.head();
        Ok(json!({
            "currentBlockNumber": format!("{:#x}", chain.head_number()),
            "currentBlockTimestamp": head.map(|head| head.header.timestamp),
            "currentBlockHash": head.map(|head| head.hash),
            "hardFork": "prague",
            "transactionOrder": "fees",
            "environment": {
                "baseFee": format!("{:#x}", chain.base_fee_after(head.map(AsRef::as_ref))),
                "chainId": chain.chain_id,
                "gasLimit": format!("{:#x}", limits::BLOCK_GAS_MAX),
                "gasPrice": format!("{:#x}", chain.gas_price()),
            },
            "forkConfig": {},
        }))
    }

    fn pool_status(&self) -> Answer {
        let chain = self.read();
        let (ready, waiting) = split_pool(&chain);
        Ok(json!({
            "pending": format!("{:#x}", ready.len()),
            "queued": format!("{:#x}", waiting.len()),
        }))
    }

    fn pool_content(&self) -> Answer {
        let chain = self.read();
        let (ready, waiting) = split_pool(&chain);
        Ok(json!({ "pending": by_sender(&ready)?, "queued": by_sender(&waiting)? }))
    }
}

/// What could be mined by nonce, and what waits for a missing nonce.
fn split_pool(chain: &Chain) -> (Vec<&SignedTx>, Vec<&SignedTx>) {
    use alloy_consensus::Transaction as _;
    chain
        .pool
        .iter()
        .map(AsRef::as_ref)
        .partition(|tx| tx.envelope.nonce() < chain.pending_nonce(tx.sender))
}

fn by_sender(txs: &[&SignedTx]) -> Answer {
    use alloy_consensus::Transaction as _;
    let mut senders = serde_json::Map::new();
    for tx in txs {
        let nonces = senders
            .entry(tx.sender.to_string())
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Value::Object(nonces) = nonces {
            nonces.insert(
                tx.envelope.nonce().to_string(),
                to_json(super::view::pending(tx))?,
            );
        }
    }
    Ok(Value::Object(senders))
}

fn required_number(params: &mut Params, index: usize) -> Result<u64, RpcError> {
    params
        .number(index)?
        .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}")))
}

/// A day.
const INTERVAL_SECS_MAX: u64 = 86_400;
