//! Events, as JSON-RPC has them.

use alloy_primitives::{Bytes, LogData, U64, U256};
use alloy_sol_types::SolEvent as _;
use faregate_types::Asset;
use serde_json::{Value, json};

use crate::chain::decode::{BATCH_SETTLER, Settler, Token};
use crate::chain::{Block, Call, Mined, Order};

/// More events than one transaction ever has.
const EVENTS_MAX: usize = 1_000;

/// The events of a mined transaction.
pub(super) fn events(asset: &Asset, block: &Block, mined: &Mined) -> Vec<Value> {
    let position = block
        .mined
        .iter()
        .position(|other| other.tx.hash == mined.tx.hash)
        .unwrap_or(0);
    let batch = matches!(mined.tx.call, Call::Batch(_));
    let orders = mined.tx.call.orders().iter().zip(&mined.moved).enumerate();
    let logs = orders.flat_map(|(index, (order, moved))| match (*moved, batch) {
        (true, _) => transfer(order)
            .map(|data| (asset.id.token(), data))
            .to_vec(),
        (false, true) => vec![(BATCH_SETTLER, failed(index, order))],
        (false, false) => Vec::new(),
    });
    logs.enumerate()
        .map(|(at, (address, data))| {
            json!({
                "address": address, "topics": data.topics(), "data": data.data,
                "transactionHash": mined.tx.hash, "transactionIndex": U64::from(position),
                "blockNumber": U64::from(block.number), "blockHash": block.hash,
                "logIndex": U64::from(position * EVENTS_MAX + at), "removed": false,
            })
        })
        .collect()
}

fn transfer(order: &Order) -> [LogData; 2] {
    let authorization = &order.authorization;
    let used = Token::AuthorizationUsed {
        authorizer: authorization.from,
        nonce: authorization.nonce,
    };
    let moved = Token::Transfer {
        from: authorization.from,
        to: authorization.to,
        value: authorization.value,
    };
    [used.encode_log_data(), moved.encode_log_data()]
}

fn failed(index: usize, order: &Order) -> LogData {
    let failed = Settler::ItemFailed {
        index: U256::from(index),
        from: order.authorization.from,
        nonce: order.authorization.nonce,
        reason: Bytes::new(),
    };
    failed.encode_log_data()
}

/// Whether a log is one that a filter asks for.
pub(super) fn fits(filter: &Value, log: &Value) -> bool {
    let same = |wanted: &Value, found: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
        text(wanted) == text(found)
    };
    let any = |wanted: &Value, found: &Value| match wanted {
        Value::Null => true,
        Value::Array(list) => list.iter().any(|wanted| same(wanted, found)),
        wanted => same(wanted, found),
    };
    let topics = filter["topics"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    any(&filter["address"], &log["address"])
        && topics
            .iter()
            .enumerate()
            .all(|(at, wanted)| any(wanted, &log["topics"][at]))
}
