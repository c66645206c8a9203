//! What became of a payment: from receipts and from the chain's state, never from time or errors.

use alloy_primitives::B256;
use faregate_core::port::{Finality, SettleOutcome, Settlement};
use faregate_types::{Code, Refusal};
use tokio::time::timeout;

use crate::finality;
use crate::flight::Landing;
use crate::job::NotSent;
use crate::matter::{Matter, Why};
use crate::node::NodeError;
use crate::pending::Outside;
use crate::receipt::{self, Finding, Patience, Sender};
use crate::rpc::{CHAIN_AWAY, Receipt};
use crate::settle::{Settling, nothing_sent, unknown};
use crate::trace::Trace;

impl<M: Matter> Settling<'_, M> {
    pub(crate) async fn not_sent(&self, why: NotSent) -> SettleOutcome {
        match why {
            NotSent::Node(error) => {
                tracing::warn!(chain = %self.network.config.chain, %error, "a signer could not ask the node");
                nothing_sent(CHAIN_AWAY.code)
            }
            NotSent::Reverted(words) => self.reverted(words.as_deref()).await,
            NotSent::FeesAboveCap => {
                tracing::warn!(chain = %self.network.config.chain, "gas costs more than the configured cap");
                nothing_sent(Code::SignerUnavailable)
            }
            NotSent::NoGasMoney => {
                tracing::warn!(chain = %self.network.config.chain, "a signer cannot pay for gas");
                nothing_sent(Code::InsufficientGas)
            }
            NotSent::Unshared | NotSent::SignerAway => nothing_sent(Code::SignerUnavailable),
        }
    }

    /// It would be reverted if it were sent; a contract gave these words.
    pub(crate) async fn reverted(&self, words: Option<&str>) -> SettleOutcome {
        let refusal = self.payment.diagnose(self.network, words).await;
        self.refused(refusal).await
    }

    /// The chain would not take the transfer. Perhaps because it already did.
    pub(crate) async fn refused(&self, refusal: Refusal) -> SettleOutcome {
        let used = self.payment.refusal(Why::Used).code;
        match self.payment.look(self.network, None).await {
            Ok(Trace::Moved(hash)) => self.settled(hash),
            // One node says used, another says unused: one of them lags.
            Ok(Trace::Unused) if refusal.code == used => nothing_sent(Code::PaymentUnknown),
            Ok(Trace::Dead | Trace::Expired | Trace::Unused) => SettleOutcome::Failed(refusal),
            Ok(Trace::Lost) => nothing_sent(Code::PaymentUnknown),
            Err(error) => self.away(&error, None),
        }
    }

    /// Waits for the end of a transaction that may be out there.
    pub(crate) async fn outcome(&self, outside: Outside) -> SettleOutcome {
        let Outside { hash, track } = outside;
        let config = &self.network.config;
        if let Some(track) = track {
            return match timeout(config.receipt_wait, track.wait()).await {
                Ok(Some(Landing::Mined(receipt))) => self.judged(&receipt).await,
                Ok(Some(Landing::Lost) | None) => self.traced(Some(hash)).await,
                Err(_) => unknown(Code::SettlementPending, Some(hash)),
            };
        }
        let patience = Patience {
            wait: config.receipt_wait,
            confirmations: config.confirmations,
        };
        match receipt::wait_for(&self.network.rpc, hash, patience).await {
            Some(receipt) => self.judged(&receipt).await,
            None => unknown(Code::SettlementPending, Some(hash)),
        }
    }

    /// Finds out what became of a payment, with or without the hash of its transaction. Sends nothing, does not wait.
    pub(crate) async fn resolve(&self, hash: Option<B256>) -> SettleOutcome {
        if let Some(hash) = hash {
            let confirmations = self.network.config.confirmations;
            match receipt::confirmed(&self.network.rpc, hash, confirmations).await {
                Ok(Some(receipt)) => return self.judged(&receipt).await,
                Ok(None) => {}
                Err(error) => return self.away(&error, Some(hash)),
            }
        }
        self.traced(hash).await
    }

    /// Reads the receipt of a transaction that stands in somebody's books, once it is known how it carries the payment.
    async fn judged(&self, receipt: &Receipt) -> SettleOutcome {
        let (network, hash) = (self.network, receipt.transaction_hash);
        match network.rpc.transaction(hash).await {
            Ok(Some(transaction)) => {
                let sender = self.payment.carried(network, &transaction);
                self.judge(receipt, sender).await
            }
            Ok(None) => self.judge(receipt, Sender::Anybody).await,
            Err(error) => self.away(&error, Some(hash)),
        }
    }

    /// Reads the receipt of a transaction. When it was reverted, somebody may have run ahead with the same transfer.
    pub(crate) async fn judge(&self, receipt: &Receipt, sender: Sender) -> SettleOutcome {
        let (hash, ours) = (receipt.transaction_hash, sender != Sender::Anybody);
        let why = match self.payment.read(receipt, sender) {
            Finding::Moved => return self.settled(hash),
            Finding::Other => return self.failed(Why::Mismatch),
            Finding::Unclear => return unknown(Code::PaymentUnknown, Some(hash)),
            Finding::Reverted if ours => Some(Why::Reverted),
            Finding::Absent if ours => Some(Why::Mismatch),
            // Whatever this transaction is, it is not the one that was meant.
            Finding::Reverted | Finding::Absent => None,
        };
        let since = Some(receipt.block_number.to());
        let pending = unknown(Code::SettlementPending, Some(hash));
        match (self.payment.look(self.network, since).await, why) {
            // What was signed is still good, so the transaction must be one that nothing can bring back.
            (Ok(Trace::Unused), Some(why)) => match finality::depth(self.network, receipt).await {
                Ok(Finality::Final) if why == Why::Reverted => {
                    let explained = self.payment.explain(self.network, receipt, sender);
                    SettleOutcome::Failed(explained.await)
                }
                Ok(Finality::Final) => self.failed(why),
                // Not proof yet, and reason enough not to give anything on trust.
                Ok(Finality::Waiting) if why == Why::Reverted => {
                    unknown(Code::SettlementReverted, Some(hash))
                }
                Ok(Finality::Waiting | Finality::Gone | Finality::Unknown) => pending,
                Err(error) => self.away(&error, Some(hash)),
            },
            (found, _) => self.found(found, Some(hash)),
        }
    }

    /// What the chain says about a payment without a receipt.
    pub(crate) async fn traced(&self, hash: Option<B256>) -> SettleOutcome {
        self.found(self.payment.look(self.network, None).await, hash)
    }

    fn found(&self, found: Result<Trace, NodeError>, hash: Option<B256>) -> SettleOutcome {
        match found {
            Ok(Trace::Moved(hash)) => self.settled(hash),
            Ok(Trace::Dead) => self.failed(Why::Used),
            Ok(Trace::Expired) => self.failed(Why::Expired),
            Ok(Trace::Unused) => unknown(Code::SettlementPending, hash),
            Ok(Trace::Lost) => unknown(Code::PaymentUnknown, hash),
            Err(error) => self.away(&error, hash),
        }
    }

    pub(crate) fn settled(&self, hash: B256) -> SettleOutcome {
        SettleOutcome::Settled(Settlement {
            transaction: Some(hash.to_string().into()),
            payer: Some(self.payment.payer()),
        })
    }

    fn failed(&self, why: Why) -> SettleOutcome {
        SettleOutcome::Failed(self.payment.refusal(why))
    }

    pub(crate) fn away(&self, error: &NodeError, hash: Option<B256>) -> SettleOutcome {
        tracing::warn!(chain = %self.network.config.chain, %error, "the node cannot say what became of a payment");
        unknown(CHAIN_AWAY.code, hash)
    }
}
