//! What following the contract asks a node, beside what [`Rpc`] knows.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, LogData, U64, U256};
use alloy_sol_types::SolCall;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bindings::{MULTICALL3, Multicall3};
use crate::limits::CREDIT_CALLS_AT_ONCE;
use crate::node::{NodeError, Silence};
use crate::rpc::{Called, Header, Rpc};

/// A block with its transactions, whole or as hashes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block<T> {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    /// Seconds since the epoch.
    pub(super) timestamp: U64,
    /// Chains without one leave it out.
    #[serde(default)]
    logs_bloom: Option<Bloom>,
    pub(super) transactions: Vec<T>,
}

/// A transaction, as far as it may be a payment.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) hash: B256,
    pub(super) from: Address,
    #[serde(default)]
    pub(super) to: Option<Address>,
    /// Wei.
    pub(super) value: U256,
    pub(super) input: Bytes,
}

/// A log and where it stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlacedLog {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) block_number: U64,
    pub(super) block_hash: B256,
    pub(super) transaction_hash: B256,
    pub(super) transaction_index: U64,
    pub(super) log_index: U64,
}

/// A receipt, as far as it tells of the contract's logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slip {
    pub(super) block_hash: B256,
    #[serde(default)]
    pub(super) status: Option<U64>,
    #[serde(default)]
    pub(super) logs: Vec<PlacedLog>,
}

impl<T> Block<T> {
    /// Whether its bloom filter has the contract: then it may have logs of it. Without one nobody knows.
    pub(super) fn may_log(&self, contract: Address) -> bool {
        let bloom = self.logs_bloom.as_ref();
        bloom.is_some_and(|bloom| bloom.contains_input(BloomInput::Raw(contract.as_slice())))
    }

    pub(super) fn with<U>(self, transactions: Vec<U>) -> Block<U> {
        Block {
            number: self.number,
            hash: self.hash,
            parent_hash: self.parent_hash,
            timestamp: self.timestamp,
            logs_bloom: self.logs_bloom,
            transactions,
        }
    }
}

impl PlacedLog {
    /// Topics and data. More than four topics there are not.
    pub(super) fn to_data(&self) -> Option<LogData> {
        LogData::new(self.topics.clone(), self.data.clone())
    }
}

/// The block with a number and its transactions, if there is one.
pub(super) async fn block<T: DeserializeOwned>(
    rpc: &Rpc,
    number: u64,
    whole: bool,
) -> Result<Option<Block<T>>, NodeError> {
    let params = json!([U64::from(number), whole]);
    rpc.node().call("eth_getBlockByNumber", params).await
}

/// The same, with whole transactions; when they are too much for one answer they are asked one by one.
pub(super) async fn whole_block(rpc: &Rpc, number: u64) -> Result<Option<Block<Sent>>, NodeError> {
    match block(rpc, number, true).await {
        Err(NodeError::Away(Silence::TooLarge)) => {}
        answer => return answer,
    }
    let Some(mut named) = block::<B256>(rpc, number, false).await? else {
        return Ok(None);
    };
    let hashes = std::mem::take(&mut named.transactions);
    let asked = hashes.into_iter().map(async |hash| {
        let answer = rpc.node().call("eth_getTransactionByHash", json!([hash]));
        let sent: Option<Sent> = answer.await?;
        sent.ok_or(NodeError::Away(Silence::Behind))
    });
    let sent = stream::iter(asked).buffered(CREDIT_CALLS_AT_ONCE);
    Ok(Some(named.with(sent.try_collect().await?)))
}

/// The newest block that the chain itself calls final.
pub(super) async fn finalized(rpc: &Rpc) -> Result<Option<Header>, NodeError> {
    let params = json!(["finalized", false]);
    rpc.node().call("eth_getBlockByNumber", params).await
}

/// All logs of the contract in a range of blocks, both ends included.
pub(super) async fn logs(
    rpc: &Rpc,
    contract: Address,
    (first, last): (u64, u64),
) -> Result<Vec<PlacedLog>, NodeError> {
    let filter = json!({
        "address": contract,
        "fromBlock": U64::from(first),
        "toBlock": U64::from(last),
    });
    rpc.node().call("eth_getLogs", json!([filter])).await
}

/// All logs of the contract in one block, from the receipts of its transactions if they are too much for one answer.
pub(super) async fn logs_of_block(
    rpc: &Rpc,
    contract: Address,
    hash: B256,
) -> Result<Vec<PlacedLog>, NodeError> {
    let filter = json!({ "address": contract, "blockHash": hash });
    let answer = rpc.node().call("eth_getLogs", json!([filter])).await;
    match answer {
        Err(NodeError::Away(Silence::TooLarge)) => {}
        answer => return answer,
    }
    let params = json!([hash, false]);
    let named: Option<Block<B256>> = rpc.node().call("eth_getBlockByHash", params).await?;
    let named = named.ok_or(NodeError::Away(Silence::Behind))?;
    let asked = named.transactions.into_iter().map(async |transaction| {
        let slip = slip(rpc, transaction).await?;
        slip.ok_or(NodeError::Away(Silence::Behind))
    });
    let slips: Vec<Slip> = stream::iter(asked)
        .buffered(CREDIT_CALLS_AT_ONCE)
        .try_collect()
        .await?;
    let logs = slips.into_iter().flat_map(|slip| slip.logs);
    Ok(logs.filter(|log| log.address == contract).collect())
}

/// A transaction's receipt.
pub(super) async fn slip(rpc: &Rpc, transaction: B256) -> Result<Option<Slip>, NodeError> {
    let params = json!([transaction]);
    rpc.node().call("eth_getTransactionReceipt", params).await
}

/// The calls a transaction made, where the node tells them.
pub(super) async fn calls(rpc: &Rpc, transaction: B256) -> Result<Value, NodeError> {
    let params = json!([transaction, { "tracer": "callTracer" }]);
    rpc.node().call("debug_traceTransaction", params).await
}

/// Answers of contracts as of one block, in one call where there is Multicall3; `None` for one that refused.
pub(crate) async fn answers(
    rpc: &Rpc,
    calls: &[(Address, Bytes)],
    block: Option<u64>,
) -> Result<Vec<Option<Bytes>>, NodeError> {
    let together = calls.iter().map(|(target, data)| Multicall3::Call3 {
        target: *target,
        allowFailure: true,
        callData: data.clone(),
    });
    let question = Multicall3::aggregate3Call {
        calls: together.collect(),
    };
    let data = Bytes::from(question.abi_encode());
    if let Called::Returned(answer) = rpc.ask(MULTICALL3, data, block).await?
        && let Ok(answers) = Multicall3::aggregate3Call::abi_decode_returns(&answer)
        && answers.len() == calls.len()
    {
        let answers = answers.into_iter();
        return Ok(answers
            .map(|answer| answer.success.then_some(answer.returnData))
            .collect());
    }
    let asked = calls.iter().map(async |(to, data)| {
        Ok(match rpc.ask(*to, data.clone(), block).await? {
            Called::Returned(data) => Some(data),
            Called::Reverted(_) => None,
        })
    });
    // Chunks, so that a node is not asked hundreds of questions at once.
    let asked: Vec<_> = asked.collect();
    let mut answers = Vec::with_capacity(asked.len());
    let mut asked = asked.into_iter();
    loop {
        let some: Vec<_> = asked.by_ref().take(CREDIT_CALLS_AT_ONCE).collect();
        if some.is_empty() {
            return Ok(answers);
        }
        answers.extend(try_join_all(some).await?);
    }
}
