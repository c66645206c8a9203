//! Receipts: waiting for one, and reading from its events whether *this* payment moved.

use std::time::Duration;

use alloy_primitives::{Address, B256, U64};
use alloy_sol_types::{SolCall, SolEvent};
use faregate_types::Authorization;
use faregate_types::x402::exact::ExactPayment;
use tokio::time::{Instant, sleep};

use crate::batch;
use crate::bindings::{Settler, Token};
use crate::limits::{RECEIPT_POLL_FIRST, RECEIPT_POLL_MAX};
use crate::node::NodeError;
use crate::rpc::{Head, Log, Receipt, Rpc, Transaction};

/// How long to look, and how deep the block must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) confirmations: u64,
}

/// Waits for the receipt of a transaction that nobody in this process watches; `None` when time is up. A node that is
/// away meanwhile is asked again.
pub(crate) async fn wait_for(rpc: &Rpc, hash: B256, patience: Patience) -> Option<Receipt> {
    let start = Instant::now();
    let mut pause = RECEIPT_POLL_FIRST;
    loop {
        // A node that cannot answer has not confirmed anything.
        if let Ok(Some(receipt)) = confirmed(rpc, hash, patience.confirmations).await {
            return Some(receipt);
        }
        let left = patience.wait.checked_sub(start.elapsed())?;
        sleep(pause.min(left)).await;
        pause = longer(pause);
    }
}

/// The pause before the next question for a receipt: half as long again, up to a limit.
pub(crate) fn longer(pause: Duration) -> Duration {
    pause
        .saturating_mul(3)
        .checked_div(2)
        .unwrap_or(RECEIPT_POLL_MAX)
        .min(RECEIPT_POLL_MAX)
}

/// The receipt, if there is one and its block is deep enough.
pub(crate) async fn confirmed(
    rpc: &Rpc,
    hash: B256,
    confirmations: u64,
) -> Result<Option<Receipt>, NodeError> {
    Ok(match look(rpc, hash, confirmations).await? {
        Look::Deep(receipt) => Some(receipt),
        Look::Shallow | Look::Absent => None,
    })
}

/// What a node knows of a transaction.
pub(crate) enum Look {
    /// Mined, and so many blocks follow that it counts.
    Deep(Receipt),
    /// Mined.
    Shallow,
    /// There is no receipt.
    Absent,
}

/// Asks for the receipt of a transaction, and how deep its block is.
pub(crate) async fn look(rpc: &Rpc, hash: B256, confirmations: u64) -> Result<Look, NodeError> {
    let Some(receipt) = rpc.receipt(hash).await? else {
        return Ok(Look::Absent);
    };
    if confirmations == 0 {
        return Ok(Look::Deep(receipt));
    }
    if !is_deep(receipt.block_number, rpc.head().await?, confirmations) {
        return Ok(Look::Shallow);
    }
    // A reorganisation between the two questions makes a block look deep that is not there any more.
    Ok(match rpc.receipt(hash).await? {
        Some(again) if again.block_number == receipt.block_number => Look::Deep(again),
        Some(_) => Look::Shallow,
        None => Look::Absent,
    })
}

/// True when at least so many blocks follow a block.
pub(crate) fn is_deep(block: U64, head: Head, confirmations: u64) -> bool {
    head.number
        .checked_sub(block)
        .is_some_and(|depth| depth >= U64::from(confirmations))
}

/// An EIP-3009 authorization and its token: what the chain lets happen once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spend {
    pub(crate) token: Address,
    pub(crate) authorization: Authorization,
}

impl From<&ExactPayment> for Spend {
    fn from(payment: &ExactPayment) -> Self {
        Self {
            token: payment.terms.asset.token(),
            authorization: payment.payload.authorization,
        }
    }
}

/// How a transaction carries this payment: as the call of the token with this authorization, or among the items of a
/// call of the batch contract. [`Sender::Anybody`] when it does not, as far as we can tell.
pub(crate) fn carries(
    transaction: &Transaction,
    payment: &ExactPayment,
    settler: Option<Address>,
) -> Sender {
    let (to, input) = (transaction.to, &transaction.input);
    if to == Some(payment.terms.asset.token()) && is_transfer(input, payment) {
        return Sender::Us;
    }
    let Some(contract) = settler.filter(|settler| to == Some(*settler)) else {
        return Sender::Anybody;
    };
    batch::place(input, payment).map_or(Sender::Anybody, |index| Sender::Batch { contract, index })
}

fn is_transfer(input: &[u8], payment: &ExactPayment) -> bool {
    let authorization = &payment.payload.authorization;
    let expected = (
        authorization.from,
        authorization.to,
        authorization.value,
        authorization.nonce,
    );
    let by_key = || {
        Token::transferWithAuthorization_0Call::abi_decode(input)
            .is_ok_and(|call| (call.from, call.to, call.value, call.nonce) == expected)
    };
    let by_wallet = || {
        Token::transferWithAuthorization_1Call::abi_decode(input)
            .is_ok_and(|call| (call.from, call.to, call.value, call.nonce) == expected)
    };
    by_key() || by_wallet()
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
    /// The transaction was reverted, or this payment's part of it: it did nothing.
    Reverted,
    /// The receipt does not say.
    Unclear,
}

/// Whose transaction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// It is a call that settles this payment, and nothing else.
    Us,
    /// It is a call of this batch contract with the payment among its items, so many from the first one.
    Batch { contract: Address, index: usize },
    /// Anybody: it may be a bundle of several payments.
    Anybody,
}

/// Reads a receipt.
///
/// A payment's transfer is the `Transfer` event that the token emits right after the `AuthorizationUsed` event of
/// *this* nonce. Any other transfer of the same amount in the same transaction does not count: a payer could bundle two
/// payments, or an authorization with the same nonce for somebody else, and show one transfer for both.
pub(crate) fn read(receipt: &Receipt, spend: &Spend, sender: Sender) -> Finding {
    match receipt.status.map(|status| status.to::<u64>()) {
        Some(1) => {}
        Some(0) => return Finding::Reverted,
        Some(_) | None => return Finding::Unclear,
    }
    let (token, authorization) = (spend.token, &spend.authorization);
    // A batch has hundreds of events, and each of its payments looks through them: nothing is decoded before it is known
    // to be needed.
    let is_token = |log: &&Log| log.address == token;
    let is_use = |log: &Log| {
        let [kind, authorizer, nonce] = log.topics.as_slice() else {
            return false;
        };
        *kind == Token::AuthorizationUsed::SIGNATURE_HASH
            && *authorizer == authorization.from.into_word()
            && *nonce == authorization.nonce
    };
    let is_ours = |transfer: &Token::Transfer| {
        transfer.from == authorization.from
            && transfer.to == authorization.to
            && transfer.value == authorization.value
    };
    let mut logs = receipt.logs.iter().filter(is_token);
    if !logs.by_ref().any(is_use) {
        return unused(receipt, spend, sender, is_ours);
    }
    match logs.next().map(Event::from) {
        Some(Event::Moved(transfer)) if is_ours(&transfer) => Finding::Moved,
        Some(Event::Moved(_)) => Finding::Other,
        Some(Event::Used | Event::Else) | None => {
            let events: Vec<Event> = receipt
                .logs
                .iter()
                .filter(is_token)
                .map(Event::from)
                .collect();
            alone(&events, is_ours)
        }
    }
}

/// The token did not say that this payment's authorization was used.
fn unused(
    receipt: &Receipt,
    spend: &Spend,
    sender: Sender,
    is_ours: impl Fn(&Token::Transfer) -> bool,
) -> Finding {
    match sender {
        // Some tokens forget the event. Then only a transaction of ours with nothing else in it is beyond doubt.
        Sender::Us => {
            let mut logs = receipt.logs.iter().filter(|log| log.address == spend.token);
            if logs
                .any(|log| matches!(Event::from(log), Event::Moved(transfer) if is_ours(&transfer)))
            {
                Finding::Moved
            } else {
                Finding::Absent
            }
        }
        Sender::Batch { contract, .. } => {
            let authorization = &spend.authorization;
            let refused = receipt.logs.iter().any(|log| {
                log.address == contract
                    && log.topics.first() == Some(&Settler::ItemFailed::SIGNATURE_HASH)
                    && log.topics.get(2) == Some(&authorization.from.into_word())
                    && log.topics.get(3) == Some(&authorization.nonce)
            });
            if refused {
                Finding::Reverted
            } else {
                Finding::Absent
            }
        }
        Sender::Anybody => Finding::Absent,
    }
}

/// A token with its own order of events: clear only when there is nothing to mix up.
fn alone(events: &[Event], is_ours: impl Fn(&Token::Transfer) -> bool) -> Finding {
    let used = events
        .iter()
        .filter(|event| matches!(event, Event::Used))
        .count();
    let mut moved = events.iter().filter_map(|event| match event {
        Event::Moved(transfer) => Some(transfer),
        Event::Used | Event::Else => None,
    });
    match (used, moved.next(), moved.next()) {
        (1, Some(transfer), None) if is_ours(transfer) => Finding::Moved,
        (1, _, None) => Finding::Other,
        _ => Finding::Unclear,
    }
}

enum Event {
    Used,
    Moved(Token::Transfer),
    Else,
}

impl From<&Log> for Event {
    fn from(log: &Log) -> Self {
        let topics = || log.topics.iter().copied();
        if Token::AuthorizationUsed::decode_raw_log(topics(), &log.data).is_ok() {
            Self::Used
        } else if let Ok(transfer) = Token::Transfer::decode_raw_log(topics(), &log.data) {
            Self::Moved(transfer)
        } else {
            Self::Else
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U256};
    use faregate_types::x402::Version;
    use faregate_types::x402::exact::{Payload, Terms};
    use faregate_types::{ChainId, Erc20, TokenDomain};

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0xaa);
    const PAYER: Address = Address::repeat_byte(1);
    const PAYEE: Address = Address::repeat_byte(2);
    const OTHER: Address = Address::repeat_byte(3);

    fn payment() -> ExactPayment {
        let asset = Erc20::new(ChainId::BASE_SEPOLIA, TOKEN);
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

    const SETTLER: Address = Address::repeat_byte(4);

    fn refused(at: Address, from: Address, nonce: u8) -> Log {
        let event = Settler::ItemFailed {
            index: U256::ZERO,
            from,
            nonce: B256::repeat_byte(nonce),
            reason: Bytes::new(),
        };
        log(at, &event)
    }

    #[test]
    fn findings() {
        use Finding::{Absent, Moved, Other, Reverted, Unclear};
        use Sender::{Anybody, Us};
        const BATCH: Sender = Sender::Batch {
            contract: SETTLER,
            index: 0,
        };
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
            ("batch", 1, vec![used(8), moved(PAYEE, 10), used(7), moved(PAYEE, 10)], BATCH, Moved),
            ("batch, of two equal ones the other moved", 1,
                vec![refused(SETTLER, PAYER, 7), used(8), moved(PAYEE, 10)], BATCH, Reverted),
            ("batch, of two equal ones this one moved", 1,
                vec![refused(SETTLER, PAYER, 8), used(7), moved(PAYEE, 10)], BATCH, Moved),
            ("batch, another payer's was refused", 1, vec![refused(SETTLER, OTHER, 7)], BATCH, Absent),
            ("batch, somebody else says refused", 1, vec![refused(OTHER, PAYER, 7)], BATCH, Absent),
            ("refused in somebody's batch", 1, vec![refused(SETTLER, PAYER, 7)], Anybody, Absent),
            ("batch, token without AuthorizationUsed", 1, vec![moved(PAYEE, 10)], BATCH, Absent),
            ("batch, reverted", 0, vec![], BATCH, Reverted),
            ("strange event between", 1, vec![used(7), cancelled(), moved(PAYEE, 10)], Anybody, Moved),
        ];
        for (name, status, logs, sender, expected) in table {
            let receipt = Receipt {
                transaction_hash: B256::ZERO,
                block_number: U64::from(1),
                status: Some(U64::from(status)),
                gas_used: None,
                effective_gas_price: None,
                logs,
            };
            assert_eq!(
                read(&receipt, &Spend::from(&payment()), sender),
                expected,
                "{name}"
            );
        }
    }
}
