//! Settlement: from a request to an outcome that is never a guess.

use std::sync::atomic::Ordering;

use alloy_primitives::{B256, Bytes};
use faregate_core::crash::{self, Point};
use faregate_core::port::{Away, SettleOutcome, Settlement, Trail, Unknown};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::diagnose::diagnose;
use crate::lane::{Job, NotSent, Sent, Turn};
use crate::limits::SUBMISSIONS_MAX;
use crate::network::Network;
use crate::node::NodeError;
use crate::pending::Pending;
use crate::receipt::{self, Finding, Patience, Sender};
use crate::rpc::{CHAIN_AWAY, Called, Receipt, Simulation};
use crate::trace::{self, Trace};
use crate::verify::{self, Proof, Stop};
use crate::wallet;

/// One settlement.
pub(crate) struct Settling<'a> {
    pub(crate) network: &'a Network,
    pub(crate) pending: &'a Pending,
    pub(crate) payment: &'a ExactPayment,
    pub(crate) now: Timestamp,
}

/// How we came by the hash of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This settlement sent it.
    Sent,
    /// The caller had it in its books.
    Recorded,
}

/// What was tried with one transaction.
enum Submitted {
    End(SettleOutcome),
    /// Nothing is out there; sign another one.
    Again,
}

/// Everything that makes two requests the same one. Two requests may claim the same nonce and differ.
pub(crate) fn fingerprint(payment: &ExactPayment) -> Fingerprint {
    let terms = &payment.terms;
    Fingerprint::of(&[
        payment.payload.authorization.struct_hash().as_slice(),
        &payment.payload.signature,
        terms.asset.to_string().as_bytes(),
        terms.pay_to.as_slice(),
        &terms.amount.to_be_bytes::<32>(),
        terms.domain.name.as_bytes(),
        terms.domain.version.as_bytes(),
    ])
}

impl Settling<'_> {
    /// Verifies once more, sends, waits.
    ///
    /// What depends on the payer's words alone is refused first. Then the chain is asked: an authorization that is
    /// spent may be spent *on this payment*, by an earlier settlement or by somebody who ran ahead.
    pub(crate) async fn run(&self, trail: &dyn Trail) -> SettleOutcome {
        let (network, payment) = (self.network, self.payment);
        if let Err(refusal) = verify::parties(payment) {
            return SettleOutcome::Failed(refusal);
        }
        let proof = match verify::proof(network, payment) {
            Ok(proof) => proof,
            Err(refusal) => return SettleOutcome::Failed(refusal),
        };
        // Who knows only a payment's public parts is not told what became of it.
        if proof.key.is_none()
            && let Err(stop) = verify::call(network, payment, &proof).await
        {
            return self.stopped(stop).await;
        }
        if let Err(stop) = verify::asset(network, payment).await {
            return self.stopped(stop).await;
        }
        if let Some(hash) = self.pending.sent(payment.id()) {
            return self.outcome(hash, None).await;
        }
        if let Err(refusal) = verify::window(payment, self.now) {
            return self.refused(refusal).await;
        }
        for _ in 0..SUBMISSIONS_MAX {
            match Box::pin(self.submit(&proof, trail)).await {
                Submitted::End(outcome) => return outcome,
                Submitted::Again => self.pending.decided(payment.id()),
            }
        }
        nothing_sent(Code::SignerUnavailable)
    }

    /// Simulates, waits for a turn, records, sends, waits for the end.
    async fn submit(&self, proof: &Proof, trail: &dyn Trail) -> Submitted {
        let (call, gas_limit) = match self.call(proof).await {
            Ok(prepared) => prepared,
            Err(outcome) => return Submitted::End(outcome),
        };
        let turn = match self.turn(&call, gas_limit).await {
            Ok(turn) => turn,
            Err(outcome) => return Submitted::End(outcome),
        };
        let hash = turn.hash.to_string();
        let recorded = timeout(self.network.config.trail_timeout, trail.broadcast(&hash)).await;
        if let Err(away) = recorded.unwrap_or(Err(Away {
            code: Code::StoreUnavailable,
        })) {
            // Dropping `go` gives the nonce back.
            return Submitted::End(nothing_sent(away.code));
        }
        let Turn {
            hash,
            raw,
            go,
            sent,
            doubt,
        } = turn;
        // Remembered first: if this call is dropped from here on, the next one must not sign another transaction.
        let (id, authorization) = (self.payment.id(), &self.payment.payload.authorization);
        self.pending.sending(id, hash, authorization.valid_before);
        if go.send(()).is_err() {
            self.pending.decided(id);
            return Submitted::End(nothing_sent(Code::SignerUnavailable));
        }
        match sent.await.unwrap_or(Sent::Unclear) {
            Sent::Accepted | Sent::Unclear => {
                crash::point(Point::Broadcast);
                let outcome = self.outcome(hash, Some(&raw)).await;
                if matches!(outcome, SettleOutcome::Unknown(_)) {
                    doubt.store(true, Ordering::Relaxed);
                }
                Submitted::End(outcome)
            }
            Sent::Again => Submitted::Again,
            Sent::NoGasMoney => {
                Submitted::End(SettleOutcome::Failed(self.no(Code::InsufficientGas)))
            }
        }
    }

    /// Looks again how the payer signs, runs the transfer without sending it, and tells it with its gas limit: a quarter
    /// more than it needed, because other transactions may come between.
    async fn call(&self, proof: &Proof) -> Result<(Simulation, u64), SettleOutcome> {
        let (network, payment) = (self.network, self.payment);
        let (call, gas) = if let Some(signature) = &proof.key {
            let call = verify::transfer(network, payment, signature);
            let (has_code, gas) = tokio::join!(
                network.rpc.has_code(payment.payer()),
                network.rpc.estimate_gas(&call)
            );
            match has_code {
                Ok(false) => (call, gas),
                Ok(true) => match verify::wallet_call(network, payment, proof).await {
                    Ok(call) => {
                        let gas = network.rpc.estimate_gas(&call).await;
                        (call, gas)
                    }
                    Err(stop) => return Err(self.stopped(stop).await),
                },
                Err(_) => return Err(nothing_sent(CHAIN_AWAY.code)),
            }
        } else {
            match verify::call(network, payment, proof).await {
                Ok(call) => {
                    let gas = network.rpc.estimate_gas(&call).await;
                    (call, gas)
                }
                Err(stop) => return Err(self.stopped(stop).await),
            }
        };
        let Ok(gas) = gas else {
            return Err(nothing_sent(CHAIN_AWAY.code));
        };
        let gas_limit = self.gas_limit(gas).await?;
        Ok((call, gas_limit))
    }

    async fn gas_limit(&self, gas: Called<u64>) -> Result<u64, SettleOutcome> {
        let (network, payment) = (self.network, self.payment);
        let gas = match gas {
            Called::Returned(gas) => gas,
            // Before anything else: it may be refused because it already happened.
            Called::Reverted(reason) => {
                let refusal = diagnose(&network.rpc, payment, reason.as_deref()).await;
                return Err(self.refused(refusal).await);
            }
        };
        if gas > network.config.gas_limit_max {
            let refusal = self.no(Code::InvalidExactEvmTransactionSimulationFailed);
            let refusal = refusal.detail("the transfer needs more gas than allowed");
            return Err(SettleOutcome::Failed(refusal));
        }
        Ok(gas
            .saturating_add(gas.div_ceil(4))
            .min(network.config.gas_limit_max))
    }

    /// Waits for a turn at the signer with the shortest way.
    async fn turn(&self, call: &Simulation, gas_limit: u64) -> Result<Turn, SettleOutcome> {
        let (sender, turn) = oneshot::channel();
        let mut job = Box::new(Job {
            id: self.payment.id(),
            call: call.clone(),
            simulated_at: Instant::now(),
            gas_limit,
            turn: sender,
        });
        let mut queued = false;
        for lane in self.network.lanes_by_turn() {
            match lane.offer(job) {
                Ok(()) => {
                    queued = true;
                    break;
                }
                Err(back) => job = back,
            }
        }
        if !queued {
            return Err(nothing_sent(Code::Overloaded));
        }
        match timeout(self.network.config.queue_wait, turn).await {
            Ok(Ok(Ok(turn))) => Ok(turn),
            Ok(Ok(Err(not_sent))) => Err(self.not_sent(not_sent).await),
            // The lane is gone, which happens only when the process stops.
            Ok(Err(_)) => Err(nothing_sent(Code::SignerUnavailable)),
            Err(_) => Err(nothing_sent(Code::Overloaded)),
        }
    }

    async fn not_sent(&self, why: NotSent) -> SettleOutcome {
        match why {
            NotSent::Node(error) => {
                tracing::warn!(chain = %self.network.config.chain, %error, "a signer could not ask the node");
                nothing_sent(CHAIN_AWAY.code)
            }
            NotSent::Reverted(reason) => {
                let refusal = diagnose(&self.network.rpc, self.payment, reason.as_deref()).await;
                self.refused(refusal).await
            }
            NotSent::FeesAboveCap => {
                tracing::warn!(chain = %self.network.config.chain, "gas costs more than the configured cap");
                nothing_sent(Code::SignerUnavailable)
            }
            NotSent::NoGasMoney => {
                tracing::warn!(chain = %self.network.config.chain, "a signer cannot pay for gas");
                nothing_sent(Code::InsufficientGas)
            }
            NotSent::SignerAway => nothing_sent(Code::SignerUnavailable),
        }
    }

    /// The chain would not take the transfer. Perhaps because it already did.
    async fn refused(&self, refusal: Refusal) -> SettleOutcome {
        match trace::look(self.network, self.payment, None).await {
            Ok(Trace::Moved(hash)) => self.settled(hash),
            // One node says used, another says unused: one of them lags.
            Ok(Trace::Unused) if refusal.code == Code::InvalidExactEvmNonceAlreadyUsed => {
                nothing_sent(Code::PaymentUnknown)
            }
            Ok(Trace::Dead(_) | Trace::Unused) => SettleOutcome::Failed(refusal),
            Ok(Trace::Lost) => nothing_sent(Code::PaymentUnknown),
            Err(error) => self.away(&error, None),
        }
    }

    /// Verification stopped.
    async fn stopped(&self, stop: Stop) -> SettleOutcome {
        match stop {
            Stop::Refused(refusal) => SettleOutcome::Failed(refusal),
            Stop::Disowned(refusal) => self.disowned(refusal).await,
            Stop::Away(away) => nothing_sent(away.code),
        }
    }

    /// The payer's code says no now. If it moved the money with this very signature before, the money has moved.
    async fn disowned(&self, refusal: Refusal) -> SettleOutcome {
        let hash = match trace::look(self.network, self.payment, None).await {
            Ok(Trace::Moved(hash)) => hash,
            Ok(Trace::Dead(_) | Trace::Unused) => return SettleOutcome::Failed(refusal),
            Ok(Trace::Lost) => return nothing_sent(Code::PaymentUnknown),
            Err(error) => return self.away(&error, None),
        };
        let signature = wallet::shown(&self.payment.payload.signature);
        match self.network.rpc.transaction(hash).await {
            Ok(Some(tx)) if receipt::shows(&tx, &signature) => self.settled(hash),
            Ok(Some(_)) => SettleOutcome::Failed(refusal),
            Ok(None) => nothing_sent(Code::PaymentUnknown),
            Err(error) => self.away(&error, None),
        }
    }

    /// Waits for the end of a transaction that may be out there.
    async fn outcome(&self, hash: B256, raw: Option<&Bytes>) -> SettleOutcome {
        let config = &self.network.config;
        let patience = Patience {
            wait: config.receipt_wait,
            confirmations: config.confirmations,
        };
        match receipt::wait_for(&self.network.rpc, hash, raw, patience).await {
            Some(receipt) => self.judge(&receipt, Origin::Sent).await,
            None => unknown(Code::SettlementPending, Some(hash)),
        }
    }

    /// Finds out what became of a payment, with or without the hash of its transaction. Sends nothing, does not wait.
    pub(crate) async fn resolve(&self, hash: Option<B256>) -> SettleOutcome {
        if let Some(hash) = hash {
            let confirmations = self.network.config.confirmations;
            match receipt::confirmed(&self.network.rpc, hash, confirmations).await {
                Ok(Some(receipt)) => return self.judge(&receipt, Origin::Recorded).await,
                Ok(None) => {}
                Err(error) => return self.away(&error, Some(hash)),
            }
        }
        self.traced(None, hash, unknown(Code::SettlementPending, hash))
            .await
    }

    /// Reads the receipt of a transaction. When it was reverted, somebody may have run ahead with the same transfer.
    async fn judge(&self, receipt: &Receipt, origin: Origin) -> SettleOutcome {
        let hash = receipt.transaction_hash;
        let ours = match origin {
            Origin::Sent => true,
            Origin::Recorded => match self.network.rpc.transaction(hash).await {
                Ok(transaction) => {
                    transaction.is_some_and(|tx| receipt::carries(&tx, self.payment))
                }
                Err(error) => return self.away(&error, Some(hash)),
            },
        };
        let sender = if ours { Sender::Us } else { Sender::Anybody };
        let pending = || unknown(Code::SettlementPending, Some(hash));
        let failed = |code| SettleOutcome::Failed(self.no(code));
        let unused = match receipt::read(receipt, self.payment, sender) {
            Finding::Moved => return self.settled(hash),
            Finding::Other => return failed(Code::InvalidExactEvmTransferEventMismatch),
            Finding::Unclear => return unknown(Code::PaymentUnknown, Some(hash)),
            Finding::Reverted if ours => failed(Code::TransactionFailed),
            Finding::Absent if ours => failed(Code::InvalidExactEvmTransferEventMismatch),
            // Whatever this transaction is, it is not the one that was meant.
            Finding::Reverted | Finding::Absent => pending(),
        };
        self.traced(Some(receipt.block_number.to()), Some(hash), unused)
            .await
    }

    /// Asks the chain for the authorization; `unused` is the answer when it was not used and has not expired.
    async fn traced(
        &self,
        since: Option<u64>,
        hash: Option<B256>,
        unused: SettleOutcome,
    ) -> SettleOutcome {
        match trace::look(self.network, self.payment, since).await {
            Ok(Trace::Moved(hash)) => self.settled(hash),
            Ok(Trace::Dead(refusal)) => SettleOutcome::Failed(refusal),
            Ok(Trace::Unused) => unused,
            Ok(Trace::Lost) => unknown(Code::PaymentUnknown, hash),
            Err(error) => self.away(&error, hash),
        }
    }

    fn settled(&self, hash: B256) -> SettleOutcome {
        SettleOutcome::Settled(Settlement {
            transaction: Some(hash.to_string().into()),
            network: self.network.config.chain,
            payer: self.payment.payer(),
        })
    }

    fn away(&self, error: &NodeError, hash: Option<B256>) -> SettleOutcome {
        tracing::warn!(chain = %self.network.config.chain, %error, "the node cannot say what became of a payment");
        unknown(CHAIN_AWAY.code, hash)
    }

    fn no(&self, code: Code) -> Refusal {
        Refusal::new(code).payer(self.payment.payer())
    }
}

/// Nothing of this payment was handed to the network by this call, and the same credential may be settled again.
pub(crate) const fn nothing_sent(code: Code) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code,
        transaction: None,
    })
}

fn unknown(code: Code, hash: Option<B256>) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code,
        transaction: hash.map(|hash| hash.to_string().into()),
    })
}
