//! Settlement of x402 payments: from a request to an outcome that is never a guess. How one goes through a lane is in
//! `ride`, what its end means in `judge`.

use alloy_primitives::B256;
use faregate_core::port::{SettleOutcome, Trail, Unknown};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use tokio::time::Instant;

use crate::batch::{self, Item};
use crate::job::{Work, with_margin};
use crate::matter::Matter;
use crate::network::Network;
use crate::pending::Pending;
use crate::receipt;
use crate::rpc::{CHAIN_AWAY, Called, Simulation};
use crate::trace::Trace;
use crate::verify::{self, Means, Proof, Stop};
use crate::wallet;

/// One settlement.
pub(crate) struct Settling<'a, M> {
    pub(crate) network: &'a Network,
    pub(crate) pending: &'a Pending,
    pub(crate) payment: &'a M,
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

impl Settling<'_, ExactPayment> {
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
        let (signature, call) = match &proof.key {
            Some(signature) => (
                signature.to_bytes().to_vec().into(),
                verify::transfer(network, payment, signature),
            ),
            None => (
                proof.bytes.clone(),
                verify::wallet_transfer(network, payment, proof),
            ),
        };
        let item = Box::new(Item::Transfer(batch::item(payment, signature)));
        Some(Work::Shared { item, call })
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
        let network = self.network;
        let gas = match gas {
            Called::Returned(gas) => gas,
            // Before anything else: it may be refused because it already happened.
            Called::Reverted(words) => return Err(self.reverted(words.as_deref()).await),
        };
        if gas > network.config.gas_limit_max {
            let refusal = self.no(Code::InvalidExactEvmTransactionSimulationFailed);
            let refusal = refusal.detail("the transfer needs more gas than allowed");
            return Err(SettleOutcome::Failed(refusal));
        }
        Ok(with_margin(gas).min(network.config.gas_limit_max))
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
        let hash = match self.payment.look(self.network, None).await {
            Ok(Trace::Moved(hash)) => hash,
            Ok(Trace::Dead | Trace::Expired | Trace::Unused) => {
                return SettleOutcome::Failed(refusal);
            }
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

    pub(crate) fn no(&self, code: Code) -> Refusal {
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

/// Something of this payment may be out there, or has been.
pub(crate) fn unknown(code: Code, hash: Option<B256>) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code,
        transaction: hash.map(|hash| hash.to_string().into()),
    })
}
