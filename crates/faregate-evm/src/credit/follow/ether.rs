//! ETH that was sent for a tab. It never touches the contract, so every transaction of every block is looked at.
//!
//! A plain transfer carries the marker as its calldata. A smart wallet sends from inside a transaction; its calldata holds
//! the marker somewhere, and where the node offers traces (`debug_traceTransaction`) the transfer is found in them. Where it
//! does not, the transaction is put aside as unreadable, for a person to look at. A wallet that makes up the marker by
//! itself, so that it does not stand in the transaction, is not seen.

use alloy_primitives::{Address, B256, Bytes, U256};
use faregate_core::credit::{Place, TabEvent};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::ask::{self, Sent};
use super::marker::{self, Marker};
use super::scan::Setback;
use super::story::Order;
use crate::credit::ETH;
use crate::limits::{CREDIT_CALLS_AT_ONCE, CREDIT_FRAMES_MAX, CREDIT_INTERNAL_MAX};
use crate::node::{NodeError, Silence};
use crate::rpc::Rpc;

/// Payments from inside a transaction leave no log; they are numbered from here on, above all indices of logs.
const INTERNAL: u64 = 1 << 48;

/// A transaction that may be a payment.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) block: (u64, B256),
    pub(super) index: u64,
    sent: Sent,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Plain(Marker),
    Inside,
}

/// Something that was sent, or cannot be read.
pub(super) type Found = (Order, Place, TabEvent);

/// Whether a transaction may be a payment for a tab.
pub(super) fn suspect(block: (u64, B256), index: u64, sent: Sent) -> Option<Suspect> {
    // A deployment pays nobody.
    sent.to?;
    let way = match marker::read(&sent.input) {
        Marker::Absent if marker::is_inside(&sent.input) => Way::Inside,
        Marker::Absent => return None,
        said => Way::Plain(said),
    };
    Some(Suspect {
        block,
        index,
        sent,
        way,
    })
}

/// Looks at their receipts, and at the traces of those that need it.
pub(super) async fn find(rpc: &Rpc, suspects: Vec<Suspect>) -> Result<Vec<Found>, Setback> {
    let asked = suspects
        .into_iter()
        .map(async |suspect| suspect.find(rpc).await);
    let found: Vec<Vec<Found>> = stream::iter(asked)
        .buffered(CREDIT_CALLS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

impl Suspect {
    async fn find(&self, rpc: &Rpc) -> Result<Vec<Found>, Setback> {
        // A receipt that is not there does not say that it failed.
        let slip = ask::slip(rpc, self.sent.hash).await?;
        let slip = slip.ok_or(Setback::Node(NodeError::Away(Silence::Behind)))?;
        if slip.block_hash != self.block.1 {
            return Err(Setback::Moved);
        }
        if slip.status.is_none_or(|status| status.is_zero()) {
            return Ok(Vec::new());
        }
        match self.way {
            Way::Plain(said) => Ok(vec![self.plain(said)]),
            Way::Inside => self.inside(rpc).await,
        }
    }

    fn at(&self, log: Option<u64>, event: TabEvent) -> Found {
        let place = Place {
            block: self.block.0,
            transaction: self.sent.hash,
            log,
        };
        let order = (
            self.block.0,
            self.index,
            log.map_or(0, |log| log.saturating_add(1)),
        );
        (order, place, event)
    }

    fn plain(&self, said: Marker) -> Found {
        let sent = &self.sent;
        let (Marker::Tab(tab, req), Some(recipient)) = (said, sent.to) else {
            let what = format!("an ETH transfer with a garbled marker from {}", sent.from);
            return self.at(None, TabEvent::Unreadable { what: what.into() });
        };
        self.at(
            None,
            TabEvent::Paid {
                tab,
                req: Some(req),
                payer: sent.from,
                recipient,
                asset: ETH,
                amount: sent.value,
            },
        )
    }

    async fn inside(&self, rpc: &Rpc) -> Result<Vec<Found>, Setback> {
        let trace = match ask::calls(rpc, self.sent.hash).await {
            Ok(trace) => trace,
            Err(
                NodeError::Refused(_) | NodeError::Away(Silence::Unreadable | Silence::TooLarge),
            ) => {
                let what =
                    "a transaction with the marker of a tab inside, which this node does not trace";
                return Ok(vec![
                    self.at(None, TabEvent::Unreadable { what: what.into() }),
                ]);
            }
            Err(error) => return Err(error.into()),
        };
        let paid = transfers(&trace).into_iter().zip(INTERNAL..);
        Ok(paid
            .map(|(event, number)| self.at(Some(number), event))
            .collect())
    }
}

/// The marked transfers among the calls of a transaction, in the order they were made. What was reverted is left out with
/// everything in it.
fn transfers(trace: &Value) -> Vec<TabEvent> {
    let mut found = Vec::new();
    let mut frames = vec![trace];
    for _ in 0..CREDIT_FRAMES_MAX {
        let Some(frame) = frames.pop() else { break };
        if found.len() >= CREDIT_INTERNAL_MAX {
            break;
        }
        if frame.get("error").is_some_and(|error| !error.is_null()) {
            continue;
        }
        found.extend(transfer(frame));
        if let Some(inner) = frame.get("calls").and_then(Value::as_array) {
            frames.extend(inner.iter().rev());
        }
    }
    found
}

fn transfer(frame: &Value) -> Option<TabEvent> {
    let text = |name: &str| frame.get(name)?.as_str();
    let address = |name: &str| text(name)?.parse::<Address>().ok();
    if text("type")? != "CALL" {
        return None;
    }
    let amount: U256 = text("value")?.parse().ok()?;
    let input: Bytes = text("input")?.parse().ok()?;
    let Marker::Tab(tab, req) = marker::read(&input) else {
        return None;
    };
    (!amount.is_zero()).then_some(TabEvent::Paid {
        tab,
        req: Some(req),
        payer: address("from")?,
        recipient: address("to")?,
        asset: ETH,
        amount,
    })
}

#[cfg(test)]
mod tests {
    use faregate_core::credit::TabId;
    use serde_json::json;

    use super::*;
    use crate::credit::eth_tab_calldata;

    #[test]
    fn marked_transfers_are_found_among_calls_and_reverted_ones_are_not() {
        let call = |tab: u64, value: &str, more: Value| {
            let mut frame = json!({
                "type": "CALL",
                "from": Address::repeat_byte(1),
                "to": Address::repeat_byte(2),
                "value": value,
                "input": eth_tab_calldata(U256::from(tab), U256::ZERO),
            });
            for (name, value) in more.as_object().unwrap() {
                frame[name] = value.clone();
            }
            frame
        };
        let reverted =
            json!({ "error": "execution reverted", "calls": [call(9, "0x9", json!({}))] });
        let trace = json!({
            "type": "CALL", "from": Address::ZERO, "to": Address::repeat_byte(1), "value": "0x0", "input": "0x1234",
            "calls": [
                call(1, "0x5", json!({})),
                { "type": "DELEGATECALL", "input": "0x", "calls": [call(2, "0x6", json!({}))] },
                call(3, "0x7", reverted),
                call(4, "0x0", json!({})),
                call(5, "0x8", json!({ "type": "STATICCALL" })),
                call(6, "0x1", json!({ "input": "0x" })),
                "not a frame",
                call(7, "0x2", json!({})),
            ],
        });
        let found = transfers(&trace).into_iter().map(|event| match event {
            TabEvent::Paid { tab, amount, .. } => (tab, amount),
            other => panic!("{other:?}"),
        });
        let pair = |tab: u64, amount: u64| (TabId(U256::from(tab)), U256::from(amount));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [pair(1, 5), pair(2, 6), pair(7, 2)]
        );
        assert_eq!(transfers(&json!(null)), []);
    }
}
