//! Which certificate of a tab is redeemed.

use faregate_core::port::{HeldCertificate, HeldTab};
use faregate_types::Timestamp;
use faregate_types::credit::GuaranteeVersion;

use super::{CreditRedeemer, Moment, Redeeming};
use crate::credit::{Call, Revert};
use crate::limits::REDEEM_CANDIDATES_MAX;
use crate::rpc::Simulation;

impl CreditRedeemer {
    /// The certificate that brings most now, with the call that redeems it; or why there is none.
    ///
    /// That is the one with the largest total. Where a condition keeps it from being redeemed, those below it are tried, each in
    /// the last part of its own time only: before that the large one may still become good, and one transaction is enough.
    pub(super) async fn choose(
        &self,
        tab: &HeldTab,
        moment: &Moment,
    ) -> Result<Simulation, Redeeming> {
        let most = match tab.version {
            GuaranteeVersion::V1 => 1,
            GuaranteeVersion::V2 => REDEEM_CANDIDATES_MAX,
        };
        let held = self.store.certificates_of(tab.key, most);
        let held = self.books(held).await.map_err(|_| Redeeming::NotSent)?;
        let mut why = None;
        for (place, held) in held.iter().enumerate() {
            if held.total <= tab.paid.saturating_add(tab.redeemed) {
                break;
            }
            match self.try_one(held, place == 0, moment).await {
                Ok(call) => return Ok(call),
                Err(no) => {
                    why.get_or_insert(no);
                }
            }
        }
        Err(why.unwrap_or(Redeeming::NotDue))
    }

    async fn try_one(
        &self,
        held: &HeldCertificate,
        is_largest: bool,
        moment: &Moment,
    ) -> Result<Simulation, Redeeming> {
        let (from, until) = (
            moment.from(held.promised_at),
            moment.until(held.promised_at),
        );
        if moment.now < from {
            return Err(Redeeming::NotDue);
        }
        let begins = if is_largest {
            self.begins(held.promised_at, moment)
        } else {
            let last = until.as_secs().saturating_sub(moment.quarter());
            Timestamp::from_secs(last).max(self.begins(held.promised_at, moment))
        };
        if moment.now < begins {
            return Err(Redeeming::Waits);
        }
        if moment.now > until {
            return Err(Redeeming::Refused("TabExpired".into()));
        }
        let words = held.certificate.signature.words();
        let words = words.map_err(|_| Redeeming::Refused("its signature is no point".into()))?;
        let call = self.core.remunerate(&held.certificate.claims, &words);
        let call = call.ok_or_else(|| Redeeming::Refused("its claims are too long".into()))?;
        let simulation = self.simulation(call);
        match self.rpc.try_out(&simulation).await {
            Ok(Ok(_)) => Ok(simulation),
            Ok(Err(data)) => Err(because(&Revert::decode(&data))),
            Err(error) => {
                tracing::debug!(%error, "a node did not say whether a certificate can be redeemed");
                Err(Redeeming::NotSent)
            }
        }
    }

    /// As whoever sends; somebody without an account only asks.
    fn simulation(&self, call: Call) -> Simulation {
        Simulation {
            from: self.sender().unwrap_or_default(),
            to: call.to,
            value: call.value,
            data: call.data,
            gas_max: call.gas,
        }
    }
}

/// What a refusal means for a tab.
fn because(why: &Revert) -> Redeeming {
    match why.name() {
        Some("TabNotYetOverdue") => Redeeming::NotDue,
        // The books will know as soon as that is deep enough.
        Some("TabAlreadyPaid" | "TabPreviouslyRemunerated") => Redeeming::Covered,
        Some("DoubleSpendingDetected") => Redeeming::NoCollateral,
        Some(
            "ValidationPending"
            | "ValidationLookupFailed"
            | "ValidationScoreTooLow"
            | "ValidationTagMismatch"
            | "ValidationAgentIdMismatch"
            | "ValidationValidatorMismatch",
        ) => Redeeming::WaitsForValidation,
        _ => Redeeming::Refused(why.to_string().into()),
    }
}
