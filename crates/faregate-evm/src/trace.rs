//! What became of an authorization, asked from the chain: used or not, by whom, for what, or expired for good.

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal};

use crate::bindings::Token;
use crate::limits::LOG_CALLS_MAX;
use crate::network::Network;
use crate::node::{NodeError, Silence};
use crate::receipt::{self, Finding, Sender, is_deep};
use crate::rpc::{Called, Head, Log};

/// Where an authorization stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The payment moved, in this transaction.
    Moved(B256),
    /// It did not move and never will.
    Dead(Refusal),
    /// Unused and not expired.
    Unused,
    /// Used, but how was not found, or not deep enough in the chain yet.
    Lost,
}

/// Asks the chain. Everything is read at one block, so that "unused" and "expired" are true at the same time.
///
/// `since` is a block whose outcome the answer must know: behind a balancer, the node that answers may lag.
pub(crate) async fn look(
    network: &Network,
    payment: &ExactPayment,
    since: Option<u64>,
) -> Result<Trace, NodeError> {
    let head = network.rpc.head().await?;
    if since.is_some_and(|since| head.number.to::<u64>() < since) {
        return Err(NodeError::Away(Silence::Behind));
    }
    let authorization = &payment.payload.authorization;
    let question = Token::authorizationStateCall {
        authorizer: authorization.from,
        nonce: authorization.nonce,
    };
    let token = payment.terms.asset.token();
    match network
        .rpc
        .read(token, &question, Some(head.number.to()))
        .await?
    {
        Called::Returned(true) => how(network, payment, head).await,
        Called::Returned(false) if is_expired(network, payment, head) => {
            let refusal = Refusal::new(Code::InvalidExactEvmPayloadAuthorizationValidBefore);
            Ok(Trace::Dead(
                refusal
                    .payer(payment.payer())
                    .detail("the authorization expired unused"),
            ))
        }
        Called::Returned(false) => Ok(Trace::Unused),
        // The contract answered at start, so the node is not what it was.
        Called::Reverted(_) => Err(NodeError::Away(Silence::Unreadable)),
    }
}

/// The token accepts it while `block time < validBefore`, and block time never goes back.
fn is_expired(network: &Network, payment: &ExactPayment, head: Head) -> bool {
    let margin = U256::from(network.config.expiry_margin_secs);
    let sure_at = payment
        .payload
        .authorization
        .valid_before
        .checked_add(margin);
    sure_at.is_some_and(|sure_at| U256::from(head.timestamp) >= sure_at)
}

/// Finds the transaction that used an authorization, newest blocks first.
async fn how(network: &Network, payment: &ExactPayment, head: Head) -> Result<Trace, NodeError> {
    let Some(log) = find_use(network, payment, head.number.to()).await? else {
        return Ok(Trace::Lost);
    };
    let confirmations = network.config.confirmations;
    if !log
        .block_number
        .is_some_and(|block| is_deep(block, head, confirmations))
    {
        return Ok(Trace::Lost);
    }
    let dead = || {
        let refusal = Refusal::new(Code::InvalidExactEvmNonceAlreadyUsed).payer(payment.payer());
        Ok(Trace::Dead(refusal))
    };
    if log.topics.first() == Some(&Token::AuthorizationCanceled::SIGNATURE_HASH) {
        return dead();
    }
    let Some(hash) = log.transaction_hash else {
        return Ok(Trace::Lost);
    };
    let Some(receipt) = network.rpc.receipt(hash).await? else {
        return Ok(Trace::Lost);
    };
    match receipt::read(&receipt, payment, Sender::Anybody) {
        Finding::Moved => Ok(Trace::Moved(receipt.transaction_hash)),
        Finding::Other => dead(),
        Finding::Absent | Finding::Reverted | Finding::Unclear => Ok(Trace::Lost),
    }
}

async fn find_use(
    network: &Network,
    payment: &ExactPayment,
    head: u64,
) -> Result<Option<Log>, NodeError> {
    let authorization = &payment.payload.authorization;
    let kinds = [
        Token::AuthorizationUsed::SIGNATURE_HASH,
        Token::AuthorizationCanceled::SIGNATURE_HASH,
    ];
    let topics = [authorization.from.into_word(), authorization.nonce];
    let oldest = head.saturating_sub(network.config.search_blocks_max);
    let mut page = network.config.search_page_blocks.max(1);
    let mut last = head;
    for _ in 0..LOG_CALLS_MAX {
        let first = last.saturating_sub(page.saturating_sub(1)).max(oldest);
        match network
            .rpc
            .logs(payment.terms.asset.token(), &kinds, topics, (first, last))
            .await
        {
            Ok(mut logs) => {
                if let Some(log) = logs.pop() {
                    return Ok(Some(log));
                }
                if first <= oldest {
                    return Ok(None);
                }
                last = first.saturating_sub(1);
            }
            // Most likely more blocks than this node looks through at once.
            Err(NodeError::Refused(_)) if page > 8 => page = page.div_euclid(4),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
