//! Whether a settlement can still be undone: blocks that had it may be replaced by others that do not.
//!
//! "Gone" needs positive proof, all from one node: no receipt, no such transaction waiting, and an authorization that is
//! unused at the newest block. It may be settled again then; should a node that lags have said so, the authorization
//! itself keeps the payment from being paid twice.

use alloy_primitives::B256;
use faregate_core::port::Finality;

use crate::matter::Matter;
use crate::network::Network;
use crate::node::NodeError;
use crate::receipt::{Finding, Sender};
use crate::rpc::Receipt;
use crate::trace::Trace;

/// Looks where the transfer of a payment is now, beginning with the transaction that settled it.
pub(crate) async fn confirm(
    network: &Network,
    payment: &impl Matter,
    transaction: &str,
) -> Finality {
    let Ok(hash) = transaction.parse::<B256>() else {
        return Finality::Unknown;
    };
    match look(network, payment, hash).await {
        Ok(finality) => finality,
        Err(error) => {
            tracing::debug!(chain = %network.config.chain, %error, "the node cannot say whether a settlement is final");
            Finality::Unknown
        }
    }
}

async fn look(network: &Network, payment: &impl Matter, hash: B256) -> Result<Finality, NodeError> {
    // First how far the chain is, then what is where: a block that was deep before the receipt was read cannot be one
    // that a reorganisation between the two questions made look deep.
    let tip = network.tips.lately(&network.rpc).await?;
    if let Some(receipt) = network.rpc.receipt(hash).await?
        && moved(network, payment, &receipt).await?
    {
        return Ok(tip.finality(&receipt));
    }
    match payment.look(network, None).await? {
        // Somebody ran ahead, or it was replaced: settled all the same.
        Trace::Moved(other) => {
            // If the first one was ours, its nonce is free again, and whatever is sent after it would wait for ever.
            network.doubt();
            let receipt = network.rpc.receipt(other).await?;
            Ok(receipt.map_or(Finality::Unknown, |receipt| tip.finality(&receipt)))
        }
        // It may be mined again.
        Trace::Unused if network.rpc.transaction(hash).await?.is_some() => Ok(Finality::Waiting),
        Trace::Unused | Trace::Expired => Ok(gone(network, hash)),
        Trace::Dead => {
            tracing::error!(chain = %network.config.chain, transaction = %hash, "a settled payment is gone, and what was signed was used for something else");
            Ok(Finality::Unknown)
        }
        Trace::Lost => Ok(Finality::Unknown),
    }
}

async fn moved(
    network: &Network,
    payment: &impl Matter,
    receipt: &Receipt,
) -> Result<bool, NodeError> {
    if payment.read(receipt, Sender::Anybody) == Finding::Moved {
        return Ok(true);
    }
    // A token that forgets half of its events: then it has to be our own transaction.
    let Some(transaction) = network.rpc.transaction(receipt.transaction_hash).await? else {
        return Ok(false);
    };
    let sender = payment.carried(network, &transaction);
    Ok(payment.read(receipt, sender) == Finding::Moved)
}

/// Whether what a receipt says can still change. Also what was reverted may: taken back, it may be mined again after other
/// transactions, and succeed.
pub(crate) async fn depth(network: &Network, receipt: &Receipt) -> Result<Finality, NodeError> {
    let tip = network.tips.now(&network.rpc).await?;
    let again = network.rpc.receipt(receipt.transaction_hash).await?;
    let stays = again.filter(|again| {
        again.block_number == receipt.block_number && again.status == receipt.status
    });
    Ok(stays.map_or(Finality::Waiting, |again| tip.finality(&again)))
}

fn gone(network: &Network, hash: B256) -> Finality {
    tracing::warn!(chain = %network.config.chain, transaction = %hash, "a settlement is not on the chain any more");
    // The nonces of the signers went back with it.
    network.doubt();
    Finality::Gone
}
