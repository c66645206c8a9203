//! Settling a permit: through a lane, together with whatever else waits for the same contract.

use alloy_primitives::U256;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use faregate_core::port::{Away, SettleOutcome, Trail};
use faregate_types::{ChainId, Code, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::check::is_late;
use super::claim::Claim;
use crate::batch::Item;
use crate::bindings::Token;
use crate::errand;
use crate::facilitator::ExactFacilitator;
use crate::job::{Work, with_margin};
use crate::matter::Matter as _;
use crate::rpc::{CHAIN_AWAY, Called, Simulation};
use crate::settle::{Settling, nothing_sent};

impl Settling<'_, Claim<'_>> {
    /// What depends on the payer's words alone is refused first. Then the chain is asked, by running the settlement without
    /// sending it: a permit that is spent may be spent *on this payment*.
    ///
    /// Says also whether money of authorizations may wait at the contract, because somebody else executed this one.
    pub(super) async fn run(&self, trail: &dyn Trail) -> (SettleOutcome, bool) {
        let noted = Noted {
            trail,
            last: Mutex::default(),
        };
        let outcome = self.collect(&noted).await;
        let elsewhere = match &outcome {
            SettleOutcome::Settled(settlement) => settlement.transaction != noted.last(),
            SettleOutcome::Failed(_) | SettleOutcome::Unknown(_) => false,
        };
        (outcome, elsewhere && self.payment.spend().is_some())
    }

    async fn collect(&self, trail: &dyn Trail) -> SettleOutcome {
        let claim = self.payment;
        if let Err(refused) = claim.check(Duration::ZERO) {
            // Who knows only a permit's public parts is not told what became of it.
            let late = is_late(&refused) && claim.is_signed();
            let refusal = Refusal::from(refused).payer(claim.payer());
            return match late {
                true => self.refused(refusal).await,
                false => SettleOutcome::Failed(refusal),
            };
        }
        let Some((item, call)) = claim.item().zip(claim.alone(self.network)) else {
            let refusal = Refusal::new(Code::PermitSpenderMismatch).payer(claim.payer());
            return SettleOutcome::Failed(refusal);
        };
        if let Some(outside) = self.pending.sent(claim.id()) {
            return self.outcome(outside).await;
        }
        let work = Work::Shared {
            item: Box::new(Item::Permit(claim.settler, item)),
            call: call.clone(),
        };
        match Box::pin(self.ride(work, trail)).await {
            Some(outcome) => outcome,
            None => self.alone(call, trail).await,
        }
    }

    /// In a transaction of its own, which says why when it would be reverted.
    async fn alone(&self, call: Simulation, trail: &dyn Trail) -> SettleOutcome {
        let network = self.network;
        let gas = match network.rpc.estimate_gas(&call).await {
            Ok(Called::Returned(gas)) => gas,
            Ok(Called::Reverted(words)) => return self.reverted(words.as_deref()).await,
            Err(_) => return nothing_sent(CHAIN_AWAY.code),
        };
        let gas_max = network.config.gas_limit_max;
        if gas > gas_max {
            let refusal = Refusal::new(Code::PermitSimulationFailed).payer(self.payment.payer());
            let detail = "the settlement needs more gas than allowed";
            return SettleOutcome::Failed(refusal.detail(detail));
        }
        let work = Work::Alone {
            call,
            gas_limit: with_margin(gas).min(gas_max),
            simulated_at: Instant::now(),
        };
        let outcome = Box::pin(self.ride(work, trail)).await;
        outcome.unwrap_or_else(|| nothing_sent(Code::SignerUnavailable))
    }
}

/// The same trail, which remembers what was to be sent last.
struct Noted<'a> {
    trail: &'a dyn Trail,
    last: Mutex<Option<Box<str>>>,
}

impl Noted<'_> {
    fn last(&self) -> Option<Box<str>> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Trail for Noted<'_> {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(transaction.into());
        self.trail.broadcast(transaction)
    }
}

/// Hands on what authorizations brought to the contract without its doing, in a task of its own: the payment is settled
/// already, and the money can go nowhere else. Whatever is missed here goes along with the next authorization of the token.
pub(super) fn forward(facilitator: &ExactFacilitator, chain: ChainId, claim: &Claim<'_>) {
    let (facilitator, settler) = (facilitator.clone(), claim.settler);
    let token = claim.permit.terms.token();
    tokio::spawn(async move {
        let Some(network) = facilitator.network(chain) else {
            return;
        };
        let account = settler.address();
        let question = Token::balanceOfCall { account };
        let waits = network.rpc.read(token, &question, None);
        if !matches!(waits.await, Ok(Called::Returned(value)) if !value.is_zero()) {
            return;
        }
        let call = settler.forward(token);
        let call = Simulation {
            from: network.sender,
            to: call.to,
            value: U256::ZERO,
            data: call.data,
            gas_max: call.gas,
        };
        let fate = errand::run(network, call).await;
        tracing::info!(%chain, settler = %account, %token, ?fate, "money that waited at the contract is handed on");
    });
}
