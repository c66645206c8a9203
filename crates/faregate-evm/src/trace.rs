//! What became of an authorization, asked from the chain: used or not, by whom, for what, or expired for good.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;

use crate::bindings::Token;
use crate::limits::LOG_CALLS_MAX;
use crate::network::Network;
use crate::node::{NodeError, Silence};
use crate::receipt::{self, Finding, Sender, Spend, is_deep};
use crate::rpc::{Called, Head, Log};

/// Where an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The payment moved, in this transaction.
    Moved(B256),
    /// It did not move and never will: what was signed is used up.
    Dead,
    /// It did not move and never will: it expired unused.
    Expired,
    /// Unused and not expired.
    Unused,
    /// Used, but how was not found, or not deep enough in the chain yet.
    Lost,
}

/// Asks the chain. Everything is read at one block, so that "unused" and "expired" are true at the same time.
///
/// `since` is a block whose outcome the answer must know, see [`head`].
pub(crate) async fn look(
    network: &Network,
    spend: &Spend,
    since: Option<u64>,
) -> Result<Trace, NodeError> {
    let head = head(network, since).await?;
    let authorization = &spend.authorization;
    let question = Token::authorizationStateCall {
        authorizer: authorization.from,
        nonce: authorization.nonce,
    };
    let read = network
        .rpc
        .read(spend.token, &question, Some(head.number.to()));
    match read.await? {
        Called::Returned(true) => how(network, spend, head).await,
        // The token accepts it while `block time < validBefore`.
        Called::Returned(false) if is_over(network, authorization.valid_before, head) => {
            Ok(Trace::Expired)
        }
        Called::Returned(false) => Ok(Trace::Unused),
        // The contract answered at start, so the node is not what it was.
        Called::Reverted(_) => Err(NodeError::Away(Silence::Unreadable)),
    }
}

/// The newest block, which has to be at least as new as `since`: behind a balancer, the node that answers may lag.
pub(crate) async fn head(network: &Network, since: Option<u64>) -> Result<Head, NodeError> {
    let head = network.rpc.head().await?;
    if since.is_some_and(|since| head.number.to::<u64>() < since) {
        return Err(NodeError::Away(Silence::Behind));
    }
    Ok(head)
}

/// Whether what is accepted before this second is over for good: block time never goes back, but for reorganisations, which
/// the margin covers.
pub(crate) fn is_over(network: &Network, end: U256, head: Head) -> bool {
    let margin = U256::from(network.config.expiry_margin_secs);
    let sure_at = end.checked_add(margin);
    sure_at.is_some_and(|sure_at| U256::from(head.timestamp) >= sure_at)
}

/// Whether so many blocks follow the one with this event that it counts.
pub(crate) fn counts(network: &Network, log: &Log, head: Head) -> bool {
    let confirmations = network.config.confirmations;
    log.block_number
        .is_some_and(|block| is_deep(block, head, confirmations))
}

/// Finds the transaction that used an authorization.
async fn how(network: &Network, spend: &Spend, head: Head) -> Result<Trace, NodeError> {
    let authorization = &spend.authorization;
    let search = Search {
        contract: spend.token,
        kinds: &[
            Token::AuthorizationUsed::SIGNATURE_HASH,
            Token::AuthorizationCanceled::SIGNATURE_HASH,
        ],
        topics: &[authorization.from.into_word(), authorization.nonce],
    };
    let logs = search.newest(network, head.number.to()).await?;
    let Some(log) = logs.and_then(|mut logs| logs.pop()) else {
        return Ok(Trace::Lost);
    };
    if !counts(network, &log, head) {
        return Ok(Trace::Lost);
    }
    if log.topics.first() == Some(&Token::AuthorizationCanceled::SIGNATURE_HASH) {
        return Ok(Trace::Dead);
    }
    let Some(hash) = log.transaction_hash else {
        return Ok(Trace::Lost);
    };
    let Some(receipt) = network.rpc.receipt(hash).await? else {
        return Ok(Trace::Lost);
    };
    match receipt::read(&receipt, spend, Sender::Anybody) {
        Finding::Moved => Ok(Trace::Moved(receipt.transaction_hash)),
        Finding::Other => Ok(Trace::Dead),
        Finding::Absent | Finding::Reverted | Finding::Unclear => Ok(Trace::Lost),
    }
}

/// Events of one contract, of some kinds, with these topics after the kind.
pub(crate) struct Search<'a> {
    pub(crate) contract: Address,
    pub(crate) kinds: &'a [B256],
    pub(crate) topics: &'a [B256],
}

impl Search<'_> {
    /// The events of the newest page of blocks that has any, the newest last; `None` when there were too many pages to look
    /// through.
    pub(crate) async fn newest(
        &self,
        network: &Network,
        head: u64,
    ) -> Result<Option<Vec<Log>>, NodeError> {
        let oldest = head.saturating_sub(network.config.search_blocks_max);
        let mut page = network.config.search_page_blocks.max(1);
        let mut last = head;
        for _ in 0..LOG_CALLS_MAX {
            let first = last.saturating_sub(page.saturating_sub(1)).max(oldest);
            match network
                .rpc
                .logs(self.contract, self.kinds, self.topics, (first, last))
                .await
            {
                Ok(logs) if !logs.is_empty() => return Ok(Some(logs)),
                Ok(_) => {
                    if first <= oldest {
                        return Ok(Some(Vec::new()));
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
}
