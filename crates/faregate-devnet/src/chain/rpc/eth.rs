//! Methods that read.

use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{BlockOverrides, Filter, TransactionRequest, state::StateOverride};
use serde_json::{Value, json};

use super::{
    Answer, Node,
    error::RpcError,
    json as to_json,
    params::Params,
    quantity,
    view::{self, Detail},
};
use crate::chain::{
    accounts::ACCOUNTS,
    call::Call,
    engine::{BlockRef, Chain},
    filters::News,
};

impl Node {
    /// The chain, its accounts, calls and fees.
    pub(super) fn chain_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "eth_chainId" => quantity(self.read().chain_id),
            "net_version" => Ok(Value::String(self.read().chain_id.to_string())),
            "net_listening" => Ok(Value::Bool(true)),
            "net_peerCount" => quantity(0_u64),
            "web3_clientVersion" => Ok(Value::String(client_version())),
            "web3_sha3" => sha3(params),
            "eth_protocolVersion" => quantity(PROTOCOL_VERSION),
            "eth_syncing" | "eth_mining" => Ok(Value::Bool(false)),
            "eth_coinbase" => to_json(Address::ZERO),
            "eth_hashrate" => quantity(0_u64),
            "eth_accounts" | "eth_requestAccounts" => to_json(
                ACCOUNTS
                    .iter()
                    .map(|account| account.address)
                    .collect::<Vec<_>>(),
            ),
            "eth_blockNumber" => quantity(self.read().head_number()),
            "eth_gasPrice" => quantity(self.read().gas_price()),
            "eth_maxPriorityFeePerGas" => quantity(self.read().suggested_tip()),
            "eth_blobBaseFee" => quantity(1_u64),
            "eth_feeHistory" => self.fee_history(params),
            "eth_getBalance" => self.at(params, 1, |chain, at, params| {
                quantity(chain.view_at(at)?.balance(params.required(0)?))
            }),
            "eth_getCode" => self.at(params, 1, |chain, at, params| {
                to_json(chain.view_at(at)?.code(params.required(0)?))
            }),
            "eth_getStorageAt" => self.at(params, 2, |chain, at, params| {
                let value = chain
                    .view_at(at)?
                    .slot(params.required(0)?, slot(params, 1)?);
                to_json(B256::from(value))
            }),
            "eth_getTransactionCount" => self.at(params, 1, |chain, at, params| {
                let account = params.required(0)?;
                if at == BlockRef::Pending {
                    return quantity(chain.pending_nonce(account));
                }
                quantity(chain.view_at(at)?.nonce(account))
            }),
            "eth_call" => self.at(params, 1, |chain, at, params| {
                to_json(chain.call(&call(params)?, at)?)
            }),
            "eth_estimateGas" => self.at(params, 1, |chain, at, params| {
                quantity(chain.estimate(&call(params)?, at)?)
            }),
            _ => return None,
        })
    }

    /// Blocks, transactions, receipts.
    pub(super) fn block_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "eth_getBlockByNumber" => self.block_by_number(params),
            "eth_getBlockByHash" => self.with_block(hash(params), |block| {
                to_json(view::block(block, params.optional(1)?.into()))
            }),
            "eth_getBlockReceipts" => {
                self.with_block(block_id(params, 0), |block| to_json(view::receipts(block)))
            }
            "eth_getHeaderByNumber" | "eth_getHeaderByHash" => self
                .with_block(block_id(params, 0), |block| {
                    to_json(view::block(block, Detail::Hashes).header)
                }),
            "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
                self.with_block(block_id(params, 0), |block| quantity(block.txs.len()))
            }
            "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => {
                self.with_block(block_id(params, 0), |_| quantity(0_u64))
            }
            "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
                let index = params.number(1);
                self.with_block(block_id(params, 0), |block| {
                    let index = usize::try_from(index?.unwrap_or_default()).unwrap_or(usize::MAX);
                    to_json(view::mined(block, index))
                })
            }
            "eth_getTransactionByHash" => self.transaction(params),
            "eth_getRawTransactionByHash" => self.raw_transaction(params),
            "eth_getTransactionReceipt" => self.receipt(params),
            _ => return None,
        })
    }

    /// Logs and filters.
    pub(super) fn filter_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "eth_getLogs" => params
                .required::<Filter>(0)
                .and_then(|filter| to_json(self.read().logs(&filter)?)),
            "eth_newFilter" => params
                .required::<Filter>(0)
                .and_then(|filter| quantity(self.write().new_log_filter(filter))),
            "eth_newBlockFilter" => quantity(self.write().new_block_filter()),
            "eth_newPendingTransactionFilter" => quantity(self.write().new_transaction_filter()),
            "eth_getFilterChanges" => {
                filter_id(params).and_then(|id| match self.write().filter_changes(id)? {
                    News::Logs(logs) => to_json(logs),
                    News::Hashes(hashes) => to_json(hashes),
                })
            }
            "eth_getFilterLogs" => {
                filter_id(params).and_then(|id| to_json(self.read().filter_logs(id)?))
            }
            "eth_uninstallFilter" => {
                filter_id(params).map(|id| Value::Bool(self.write().filters.uninstall(id)))
            }
            _ => return None,
        })
    }

    /// Runs `read` on the block that the parameter at `index` names, or on the newest one.
    fn at(
        &self,
        params: &mut Params,
        index: usize,
        read: impl FnOnce(&Chain, BlockRef, &mut Params) -> Answer,
    ) -> Answer {
        let at = params
            .optional::<BlockId>(index)?
            .map_or(BlockRef::Latest, block_ref);
        read(&self.read(), at, params)
    }

    fn fee_history(&self, params: &mut Params) -> Answer {
        let count = params
            .number(0)?
            .ok_or_else(|| RpcError::params("missing value for required argument 0"))?;
        let newest = params.required::<BlockNumberOrTag>(1)?;
        let percentiles = match params.optional::<Vec<serde_json::Number>>(2)? {
            Some(wanted) if !wanted.is_empty() => Some(percentiles(&wanted)?),
            Some(_) | None => None,
        };
        let history = self
            .read()
            .fee_history(count, newest.into(), percentiles.as_deref())?;
        to_json(history)
    }

    fn block_by_number(&self, params: &mut Params) -> Answer {
        let tag = params.required::<BlockNumberOrTag>(0)?;
        let detail = Detail::from(params.optional::<bool>(1)?);
        let chain = self.read();
        if tag == BlockNumberOrTag::Pending {
            return to_json(view::block(&chain.pending().block, detail));
        }
        match chain.block(tag.into()) {
            Some(block) => to_json(view::block(block, detail)),
            None => Ok(Value::Null),
        }
    }

    /// Shows something of a block; `null` if there is no such block.
    fn with_block(
        &self,
        at: Result<BlockRef, RpcError>,
        show: impl FnOnce(&crate::chain::blocks::Block) -> Answer,
    ) -> Answer {
        let chain = self.read();
        match at? {
            BlockRef::Pending => show(&chain.pending().block),
            at => chain.block(at).map_or(Ok(Value::Null), |block| show(block)),
        }
    }

    fn transaction(&self, params: &mut Params) -> Answer {
        let hash = params.required::<B256>(0)?;
        let chain = self.read();
        if let Some((block, index)) = chain.blocks.tx(&hash) {
            return to_json(view::mined(block, index));
        }
        to_json(chain.pool.get(&hash).map(|signed| view::pending(signed)))
    }

    fn raw_transaction(&self, params: &mut Params) -> Answer {
        let hash = params.required::<B256>(0)?;
        let chain = self.read();
        let mined = chain
            .blocks
            .tx(&hash)
            .and_then(|(block, index)| block.txs.get(index));
        let signed = mined.map(|tx| &tx.signed).or_else(|| chain.pool.get(&hash));
        to_json(signed.map(|signed| Bytes::from(signed.encoded())))
    }

    fn receipt(&self, params: &mut Params) -> Answer {
        let hash = params.required::<B256>(0)?;
        let chain = self.read();
        let mined = chain.blocks.tx(&hash);
        to_json(mined.and_then(|(block, index)| view::receipt(block, index)))
    }
}

pub(super) fn block_ref(id: BlockId) -> BlockRef {
    match id {
        BlockId::Hash(RpcBlockHash { block_hash, .. }) => BlockRef::Hash(block_hash),
        BlockId::Number(tag) => tag.into(),
    }
}

fn block_id(params: &mut Params, index: usize) -> Result<BlockRef, RpcError> {
    params.required::<BlockId>(index).map(block_ref)
}

fn hash(params: &mut Params) -> Result<BlockRef, RpcError> {
    params.required::<B256>(0).map(BlockRef::Hash)
}

/// A storage slot: a number, or 32 bytes.
pub(super) fn slot(params: &mut Params, index: usize) -> Result<U256, RpcError> {
    params.required(index)
}

fn call(params: &mut Params) -> Result<Call, RpcError> {
    Ok(Call {
        request: params.required::<TransactionRequest>(0)?,
        state: params.optional::<StateOverride>(2)?,
        block: params.optional::<BlockOverrides>(3)?.map(Box::new),
    })
}

fn filter_id(params: &mut Params) -> Result<u64, RpcError> {
    params
        .number(0)?
        .ok_or_else(|| RpcError::params("missing value for required argument 0"))
}

fn sha3(params: &mut Params) -> Answer {
    let bytes = params.required::<Bytes>(0)?;
    Ok(json!(alloy_primitives::keccak256(bytes)))
}

/// Percentiles in ten-thousandths of a percent, from text because floats are not calculated with here.
fn percentiles(wanted: &[serde_json::Number]) -> Result<Vec<u64>, RpcError> {
    let bad =
        || RpcError::params("invalid reward percentile: expected ascending numbers from 0 to 100");
    if wanted.len() > crate::chain::limits::FEE_HISTORY_PERCENTILES_MAX {
        return Err(bad());
    }
    let mut scaled = Vec::with_capacity(wanted.len());
    for number in wanted {
        let percent = number.as_f64().ok_or_else(bad)?;
        let text = format!("{percent:.4}").replace('.', "");
        let value: u64 = text.parse().map_err(|_| bad())?;
        if value > PERCENT_MAX || scaled.last().is_some_and(|last| *last > value) {
            return Err(bad());
        }
        scaled.push(value);
    }
    Ok(scaled)
}

fn client_version() -> String {
    format!("faregate-devnet/v{}", env!("CARGO_PKG_VERSION"))
}

/// 100 % in ten-thousandths of a percent.
const PERCENT_MAX: u64 = 1_000_000;
/// eth/68.
const PROTOCOL_VERSION: u64 = 68;
