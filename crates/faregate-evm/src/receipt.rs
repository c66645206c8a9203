//! Receipts: waiting for one, and reading from its events whether *this* payment moved.

use std::time::Duration;

use alloy_primitives::{B256, Bytes, U64};
use alloy_sol_types::{SolCall, SolEvent};
use faregate_types::x402::exact::ExactPayment;
use tokio::time::{Instant, sleep};

use crate::bindings::Token;
use crate::limits::{REBROADCAST_EVERY, RECEIPT_POLL_FIRST, RECEIPT_POLL_MAX};
use crate::node::NodeError;
use crate::rpc::{Head, Log, Receipt, Rpc, Transaction};

/// How long to look, and how deep the block must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) confirmations: u64,
}

/// Waits for the receipt of a transaction; `None` when time is up. A node that is away meanwhile is asked again.
///
/// `raw` is sent again now and then: a node that has it says so, and one that lost it gets it back.
pub(crate) async fn wait_for(
    rpc: &Rpc,
    hash: B256,
    raw: Option<&Bytes>,
    patience: Patience,
) -> Option<Receipt> {
    let start = Instant::now();
    let (mut pause, mut sent_at) = (RECEIPT_POLL_FIRST, start);
    loop {
        // A node that cannot answer has not confirmed anything.
        if let Ok(Some(receipt)) = confirmed(rpc, hash, patience.confirmations).await {
            return Some(receipt);
        }
        let left = patience.wait.checked_sub(start.elapsed())?;
        if let Some(raw) = raw
            && sent_at.elapsed() >= REBROADCAST_EVERY
        {
            sent_at = Instant::now();
            // Whatever the node says now, the receipt decides.
            drop(rpc.send(raw).await);
        }
        sleep(pause.min(left)).await;
        pause = pause
            .saturating_mul(3)
            .checked_div(2)
            .unwrap_or(RECEIPT_POLL_MAX)
            .min(RECEIPT_POLL_MAX);
    }
}

/// The receipt, if there is one and its block is deep enough.
pub(crate) async fn confirmed(
    rpc: &Rpc,
    hash: B256,
    confirmations: u64,
) -> Result<Option<Receipt>, NodeError> {
    let receipt = rpc.receipt(hash).await?;
    if confirmations == 0 {
        return Ok(receipt);
    }
    let Some(receipt) = receipt else {
        return Ok(None);
    };
    let head = rpc.head().await?;
    if !is_deep(receipt.block_number, head, confirmations) {
        return Ok(None);
    }
    // A reorganisation between the two questions makes a block look deep that is not there any more.
    let again = rpc.receipt(hash).await?;
    Ok(again.filter(|again| again.block_number == receipt.block_number))
}

/// True when at least so many blocks follow a block.
pub(crate) fn is_deep(block: U64, head: Head, confirmations: u64) -> bool {
    head.number
        .checked_sub(block)
        .is_some_and(|depth| depth >= U64::from(confirmations))
}

/// True when a transaction is a call of the token with this payment's authorization.
pub(crate) fn carries(transaction: &Transaction, payment: &ExactPayment) -> bool {
    let authorization = &payment.payload.authorization;
    let expected = (
        authorization.from,
        authorization.to,
        authorization.value,
        authorization.nonce,
    );
    let input = &transaction.input;
    let by_key = || {
        Token::transferWithAuthorization_0Call::abi_decode(input)
            .is_ok_and(|call| (call.from, call.to, call.value, call.nonce) == expected)
    };
    let by_wallet = || {
        Token::transferWithAuthorization_1Call::abi_decode(input)
            .is_ok_and(|call| (call.from, call.to, call.value, call.nonce) == expected)
    };
    transaction.to == Some(payment.terms.asset.token()) && (by_key() || by_wallet())
}

/// True when a transaction holds these bytes, in whatever form: who asks about a payment with a signature that the
/// chain has seen knows no more and no less than the one who paid.
pub(crate) fn shows(transaction: &Transaction, signature: &[u8]) -> bool {
    // In the `v, r, s` form the last byte stands elsewhere.
    let part = match signature.split_first_chunk::<64>() {
        Some((first, [_])) => first,
        Some(_) | None => signature,
    };
    // Some wallets confirm in advance and take an empty signature.
    part.is_empty()
        || transaction
            .input
            .windows(part.len())
            .any(|window| window == part)
}

/// What a receipt says about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The payment moved in this transaction.
    Moved,
    /// The payment's nonce was used in this transaction, for another transfer.
    Other,
    /// The transaction ran, and the payment's nonce has no part in it.
    Absent,
    /// The transaction was reverted: it did nothing.
    Reverted,
    /// The receipt does not say.
    Unclear,
}

/// Whose transaction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// It is a call of the token with this payment's authorization, and nothing else.
    Us,
    /// Anybody: it may be a bundle of several payments.
    Anybody,
}

/// Reads a receipt.
///
/// A payment's transfer is the `Transfer` event that the token emits right after the `AuthorizationUsed` event of
/// *this* nonce. Any other transfer of the same amount in the same transaction does not count: a payer could bundle two
/// payments, or an authorization with the same nonce for somebody else, and show one transfer for both.
pub(crate) fn read(receipt: &Receipt, payment: &ExactPayment, sender: Sender) -> Finding {
    match receipt.status.map(|status| status.to::<u64>()) {
        Some(1) => {}
        Some(0) => return Finding::Reverted,
        Some(_) | None => return Finding::Unclear,
    }
    let token = payment.terms.asset.token();
    let events: Vec<Event> = receipt
        .logs
        .iter()
        .filter(|log| log.address == token)
        .map(Event::from)
        .collect();
    let authorization = &payment.payload.authorization;
    let used = events.iter().position(|event| {
        matches!(event, Event::Used(used) if used.authorizer == authorization.from && used.nonce == authorization.nonce)
    });
    let is_ours = |transfer: &Token::Transfer| {
        transfer.from == authorization.from
            && transfer.to == authorization.to
            && transfer.value == authorization.value
    };
    let Some(used) = used else {
        // Some tokens forget the event. Then only our own transaction is beyond doubt.
        let moved = events
            .iter()
            .any(|event| matches!(event, Event::Moved(transfer) if is_ours(transfer)));
        return if moved && sender == Sender::Us {
            Finding::Moved
        } else {
            Finding::Absent
        };
    };
    match used.checked_add(1).and_then(|next| events.get(next)) {
        Some(Event::Moved(transfer)) if is_ours(transfer) => Finding::Moved,
        Some(Event::Moved(_)) => Finding::Other,
        Some(Event::Used(_) | Event::Else) | None => alone(&events, is_ours),
    }
}

/// A token with its own order of events: clear only when there is nothing to mix up.
fn alone(events: &[Event], is_ours: impl Fn(&Token::Transfer) -> bool) -> Finding {
    let used = events
        .iter()
        .filter(|event| matches!(event, Event::Used(_)))
        .count();
    let mut moved = events.iter().filter_map(|event| match event {
        Event::Moved(transfer) => Some(transfer),
        Event::Used(_) | Event::Else => None,
    });
    match (used, moved.next(), moved.next()) {
        (1, Some(transfer), None) if is_ours(transfer) => Finding::Moved,
        (1, _, None) => Finding::Other,
        _ => Finding::Unclear,
    }
}

enum Event {
    Used(Token::AuthorizationUsed),
    Moved(Token::Transfer),
    Else,
}

impl From<&Log> for Event {
    fn from(log: &Log) -> Self {
        let topics = || log.topics.iter().copied();
        if let Ok(used) = Token::AuthorizationUsed::decode_raw_log(topics(), &log.data) {
            Self::Used(used)
        } else if let Ok(transfer) = Token::Transfer::decode_raw_log(topics(), &log.data) {
            Self::Moved(transfer)
        } else {
            Self::Else
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};
    use faregate_types::x402::Version;
    use faregate_types::x402::exact::{Payload, Terms};
    use faregate_types::{AssetId, Authorization, ChainId, TokenDomain};

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0xaa);
    const PAYER: Address = Address::repeat_byte(1);
    const PAYEE: Address = Address::repeat_byte(2);
    const OTHER: Address = Address::repeat_byte(3);

    fn payment() -> ExactPayment {
        let asset = AssetId::erc20(ChainId::BASE_SEPOLIA, TOKEN);
        let domain = TokenDomain::new("USDC", "2");
        let amount = U256::from(10);
        let authorization = Authorization {
            from: PAYER,
            to: PAYEE,
            value: amount,
            valid_after: U256::ZERO,
            valid_before: U256::MAX,
            nonce: B256::repeat_byte(7),
        };
        ExactPayment {
            version: Version::V2,
            terms: Terms {
                asset,
                amount,
                pay_to: PAYEE,
                max_timeout_secs: 60,
                domain,
            },
            payload: Payload {
                authorization,
                signature: Bytes::new(),
            },
        }
    }

    fn log(address: Address, event: &impl SolEvent) -> Log {
        let data = event.encode_log_data();
        Log {
            address,
            topics: data.topics().to_vec(),
            data: data.data.clone(),
            transaction_hash: None,
            block_number: None,
        }
    }

    fn used(nonce: u8) -> Log {
        log(
            TOKEN,
            &Token::AuthorizationUsed {
                authorizer: PAYER,
                nonce: B256::repeat_byte(nonce),
            },
        )
    }

    fn moved(to: Address, value: u64) -> Log {
        log(
            TOKEN,
            &Token::Transfer {
                from: PAYER,
                to,
                value: U256::from(value),
            },
        )
    }

    fn elsewhere(to: Address, value: u64) -> Log {
        Log {
            address: OTHER,
            ..moved(to, value)
        }
    }

    fn cancelled() -> Log {
        log(
            TOKEN,
            &Token::AuthorizationCanceled {
                authorizer: PAYER,
                nonce: B256::repeat_byte(9),
            },
        )
    }

    #[test]
    fn findings() {
        use Finding::{Absent, Moved, Other, Reverted, Unclear};
        use Sender::{Anybody, Us};
        type Case = (&'static str, u64, Vec<Log>, Sender, Finding);
        #[rustfmt::skip]
        let table: Vec<Case> = vec![
            ("plain", 1, vec![used(7), moved(PAYEE, 10)], Us, Moved),
            ("plain, by anybody", 1, vec![used(7), moved(PAYEE, 10)], Anybody, Moved),
            ("reverted", 0, vec![], Us, Reverted),
            ("status of a future fork", 2, vec![used(7), moved(PAYEE, 10)], Us, Unclear),
            ("no events", 1, vec![], Us, Absent),
            ("token without AuthorizationUsed", 1, vec![moved(PAYEE, 10)], Us, Moved),
            ("a plain transfer proves nothing", 1, vec![moved(PAYEE, 10)], Anybody, Absent),
            ("less arrived", 1, vec![used(7), moved(PAYEE, 9)], Us, Other),
            ("somebody else got it", 1, vec![used(7), moved(OTHER, 10)], Anybody, Other),
            ("events of another contract", 1, vec![used(7), elsewhere(PAYEE, 10)], Us, Other),
            ("other contract between", 1, vec![used(7), elsewhere(OTHER, 1), moved(PAYEE, 10)], Anybody, Moved),
            ("another nonce", 1, vec![used(8), moved(PAYEE, 10)], Anybody, Absent),
            ("our nonce paid somebody else, another payment paid the payee", 1,
                vec![used(7), moved(OTHER, 10), used(8), moved(PAYEE, 10)], Anybody, Other),
            ("both payments in one transaction", 1,
                vec![used(8), moved(PAYEE, 10), used(7), moved(PAYEE, 10)], Anybody, Moved),
            ("transfer first", 1, vec![moved(PAYEE, 10), used(7)], Anybody, Moved),
            ("two transfers first", 1, vec![moved(PAYEE, 10), moved(PAYEE, 10), used(7)], Anybody, Unclear),
            ("two uses, one transfer", 1, vec![moved(PAYEE, 10), used(8), used(7)], Anybody, Unclear),
            ("strange event between", 1, vec![used(7), cancelled(), moved(PAYEE, 10)], Anybody, Moved),
        ];
        for (name, status, logs, sender, expected) in table {
            let receipt = Receipt {
                transaction_hash: B256::ZERO,
                block_number: U64::from(1),
                status: Some(U64::from(status)),
                logs,
            };
            assert_eq!(read(&receipt, &payment(), sender), expected, "{name}");
        }
    }
}
