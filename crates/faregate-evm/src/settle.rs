//! Settlement: from a request to an outcome that is never a guess.

use alloy_primitives::B256;
use faregate_core::crash::{self, Point};
use faregate_core::port::{Away, Finality, SettleOutcome, Settlement, Trail, Unknown};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::batch;
use crate::diagnose::diagnose;
use crate::finality;
use crate::flight::{Ask, Departure, Landing, News};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::network::Network;
use crate::node::NodeError;
use crate::pending::{Outside, Pending};
use crate::receipt::{self, Finding, Patience, Sender};
use crate::rpc::{CHAIN_AWAY, Called, Receipt, Simulation};
use crate::trace::{self, Trace};
use crate::verify::{self, Means, Proof, Stop};
use crate::wallet;

/// One settlement.
pub(crate) struct Settling<'a> {
    pub(crate) network: &'a Network,
    pub(crate) pending: &'a Pending,
    pub(crate) payment: &'a ExactPayment,
    pub(crate) now: Timestamp,
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
        let undeployed = match &proof.key {
            Some(_) => None,
            None => match Box::pin(self.ask_wallet(&proof)).await {
                Ok(undeployed) => undeployed,
                Err(stop) => return self.stopped(stop).await,
            },
        };
        if let Err(stop) = verify::asset(network, payment).await {
            return self.stopped(stop).await;
        }
        if let Some(outside) = self.pending.sent(payment.id()) {
            return self.outcome(outside).await;
        }
        if let Err(refusal) = verify::window(payment, self.now) {
            return self.refused(refusal).await;
        }
        if let Some(deployment) = undeployed
            && let Err(outcome) = Box::pin(self.deploy(deployment)).await
        {
            return outcome;
        }
        self.submit(&proof, trail).await
    }

    /// Waits for a turn, records, sends, waits for the end.
    async fn submit(&self, proof: &Proof, trail: &dyn Trail) -> SettleOutcome {
        if let Some(work) = self.shared(proof)
            && let Some(outcome) = Box::pin(self.ride(work, trail)).await
        {
            return outcome;
        }
        let work = match self.call(proof).await {
            Ok((call, gas_limit)) => Work::Alone {
                call,
                gas_limit,
                simulated_at: Instant::now(),
            },
            Err(outcome) => return outcome,
        };
        let outcome = Box::pin(self.ride(work, trail)).await;
        outcome.unwrap_or_else(|| nothing_sent(Code::SignerUnavailable))
    }

    /// The payment as one of many. The lane runs them all together before it sends them; how the payer signs is for the
    /// token to find out, to which both forms of 65 bytes are the same.
    fn shared(&self, proof: &Proof) -> Option<Work> {
        let (network, payment) = (self.network, self.payment);
        network.config.batch_settler?;
        Some(match &proof.key {
            Some(signature) => Work::Shared {
                item: batch::item(payment, signature.to_bytes().to_vec().into()),
                call: verify::transfer(network, payment, signature),
            },
            None => Work::Shared {
                item: batch::item(payment, proof.bytes.clone()),
                call: verify::wallet_transfer(network, payment, proof),
            },
        })
    }

    /// One way through a lane, to the end; `None` when the payment has to leave alone.
    async fn ride(&self, work: Work, trail: &dyn Trail) -> Option<SettleOutcome> {
        let (job, mut hears) = Job::new(Some(self.payment.id()), work);
        let Some(lane) = self.network.offer(job) else {
            return Some(nothing_sent(Code::Overloaded));
        };
        let wait = self.network.config.queue_wait;
        // Once a hash is recorded the lane decides, in bounded time, and may send at any moment.
        let Ok(mut news) = timeout(wait, hears.recv()).await else {
            return Some(nothing_sent(Code::Overloaded));
        };
        let mut recorded = None;
        loop {
            match news {
                Some(News::Record(ask)) => {
                    let hash = ask.hash;
                    if let Err(away) = self.record(ask, trail).await {
                        return Some(nothing_sent(away.code));
                    }
                    recorded = Some(hash);
                }
                Some(News::Left(departure)) => {
                    crash::point(Point::Broadcast);
                    let outcome = self.follow(departure, recorded, Some((hears, trail))).await;
                    if matches!(outcome, SettleOutcome::Unknown(_)) {
                        lane.doubt();
                    }
                    return Some(outcome);
                }
                Some(News::NotSent(NotSent::Unshared)) => return None,
                Some(News::NotSent(why)) => return Some(self.not_sent(why).await),
                // The lane is gone, which happens only when the process stops.
                None if recorded.is_none() => {
                    return Some(nothing_sent(Code::SignerUnavailable));
                }
                None => return Some(unknown(Code::SettlementPending, recorded)),
            }
            news = hears.recv().await;
        }
    }

    /// Makes a hash durable and says so. On an error it was not said, and nothing with this hash is sent.
    async fn record(&self, ask: Ask, trail: &dyn Trail) -> Result<(), Away> {
        let Ask { hash, recorded } = ask;
        let text = hash.to_string();
        let away = Away {
            code: Code::StoreUnavailable,
        };
        let patience = self.network.config.trail_timeout;
        timeout(patience, trail.broadcast(&text))
            .await
            .unwrap_or(Err(away))?;
        // Remembered first: if this call is dropped from here on, the next one must not sign another transaction.
        let (id, authorization) = (self.payment.id(), &self.payment.payload.authorization);
        self.pending.sending(id, hash, authorization.valid_before);
        recorded.send(()).map_err(|()| {
            self.pending.unsent(id, hash);
            Away {
                code: Code::SignerUnavailable,
            }
        })
    }

    /// Waits for the end of a transaction that this process watches. With a trail, replacements are recorded.
    async fn follow(
        &self,
        departure: Departure,
        mut hash: Option<B256>,
        mut trail: Option<(mpsc::Receiver<News>, &dyn Trail)>,
    ) -> SettleOutcome {
        let Departure { track, shared } = departure;
        let patience = sleep(self.network.config.receipt_wait);
        tokio::pin!(patience);
        loop {
            let replaced = async {
                match &mut trail {
                    Some((hears, trail)) => (hears.recv().await, Some(*trail)),
                    None => (None, None),
                }
            };
            let news = tokio::select! {
                biased;
                landing = track.wait() => return self.landed(landing, hash, shared).await,
                (Some(News::Record(ask)), Some(trail)) = replaced => (ask, trail),
                () = &mut patience => return unknown(Code::SettlementPending, hash),
            };
            let (ask, trail) = news;
            let new = ask.hash;
            // Who cannot record it does not stop waiting for the one before.
            if self.record(ask, trail).await.is_ok() {
                hash = Some(new);
            }
        }
    }

    async fn landed(
        &self,
        landing: Option<Landing>,
        hash: Option<B256>,
        shared: bool,
    ) -> SettleOutcome {
        match landing {
            Some(Landing::Mined(receipt)) => {
                let sender = match self.network.config.batch_settler {
                    Some(settler) if shared => Sender::Batch(settler),
                    Some(_) | None => Sender::Us,
                };
                self.judge(&receipt, sender).await
            }
            Some(Landing::Lost) | None => {
                self.traced(None, hash, unknown(Code::SettlementPending, hash))
                    .await
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
            match verify::means(network, payment, proof).await {
                Ok(Means::Transfer(call)) => {
                    let gas = network.rpc.estimate_gas(&call).await;
                    (call, gas)
                }
                // It was deployed a moment ago: this node lags, or the chain went back.
                Ok(Means::Deployment(_)) => return Err(nothing_sent(CHAIN_AWAY.code)),
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
        Ok(with_margin(gas).min(network.config.gas_limit_max))
    }

    pub(crate) async fn not_sent(&self, why: NotSent) -> SettleOutcome {
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
            NotSent::Unshared | NotSent::SignerAway => nothing_sent(Code::SignerUnavailable),
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
    async fn outcome(&self, outside: Outside) -> SettleOutcome {
        let Outside { hash, track } = outside;
        let config = &self.network.config;
        if let Some(track) = track {
            return match timeout(config.receipt_wait, track.wait()).await {
                Ok(Some(Landing::Mined(receipt))) => self.judged(&receipt).await,
                Ok(Some(Landing::Lost) | None) => self.landed(None, Some(hash), false).await,
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
        self.traced(None, hash, unknown(Code::SettlementPending, hash))
            .await
    }

    /// Reads the receipt of a transaction that stands in somebody's books, once it is known how it carries the payment.
    async fn judged(&self, receipt: &Receipt) -> SettleOutcome {
        let (network, hash) = (self.network, receipt.transaction_hash);
        match network.rpc.transaction(hash).await {
            Ok(Some(transaction)) => {
                let settler = network.config.batch_settler;
                let sender = receipt::carries(&transaction, self.payment, settler);
                self.judge(receipt, sender).await
            }
            Ok(None) => self.judge(receipt, Sender::Anybody).await,
            Err(error) => self.away(&error, Some(hash)),
        }
    }

    /// Reads the receipt of a transaction. When it was reverted, somebody may have run ahead with the same transfer.
    async fn judge(&self, receipt: &Receipt, sender: Sender) -> SettleOutcome {
        let (hash, ours) = (receipt.transaction_hash, sender != Sender::Anybody);
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
        let since = Some(receipt.block_number.to());
        match self.traced(since, Some(hash), unused).await {
            // The authorization is still good, so the transaction must be one that nothing can bring back.
            SettleOutcome::Failed(refusal) if is_undone(&refusal) => {
                match finality::depth(self.network, receipt).await {
                    Ok(Finality::Final) => SettleOutcome::Failed(refusal),
                    Ok(Finality::Waiting | Finality::Gone | Finality::Unknown) => pending(),
                    Err(error) => self.away(&error, Some(hash)),
                }
            }
            outcome => outcome,
        }
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
            payer: Some(self.payment.payer()),
        })
    }

    fn away(&self, error: &NodeError, hash: Option<B256>) -> SettleOutcome {
        tracing::warn!(chain = %self.network.config.chain, %error, "the node cannot say what became of a payment");
        unknown(CHAIN_AWAY.code, hash)
    }

    pub(crate) fn no(&self, code: Code) -> Refusal {
        Refusal::new(code).payer(self.payment.payer())
    }
}

/// Failures that were read from a transaction of ours and say nothing about the authorization.
fn is_undone(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Code::TransactionFailed | Code::InvalidExactEvmTransferEventMismatch
    )
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
