//! What there is: the chain's time, what the contract says, and which transactions may be out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use alloy_primitives::B256;
use faregate_core::port::{HeldTab, HeldTabKey, Redemption, RedemptionEnd, Standing};
use faregate_types::Timestamp;
use faregate_types::credit::GuaranteeVersion;

use super::view::{Redeeming, TabView};
use super::{CreditRedeemer, Moment, RedeemError, RedeemMode};
use crate::credit::follow::answers;
use crate::limits::{CREDIT_LOOKUPS_MAX, REDEEM_UNKNOWN_MAX};
use crate::node::NodeError;
use crate::receipt::{Look, look};

pub(super) fn away(error: &NodeError) -> RedeemError {
    tracing::debug!(%error, "a node did not answer");
    RedeemError::Away
}

impl CreditRedeemer {
    /// Where the chain stands, and what the contract's periods are.
    pub(super) async fn moment(&self) -> Result<Moment, RedeemError> {
        let newest = self.rpc.newest().await.map_err(|error| away(&error))?;
        let at = |seconds: alloy_primitives::U64| Timestamp::from_secs(seconds.to());
        let confirmations = self.config.network.confirmations;
        let (deep, deep_at) = if confirmations == 0 {
            (None, at(newest.timestamp))
        } else {
            let number = newest.number.to::<u64>().saturating_sub(confirmations);
            let block = self.rpc.block(number).await.map_err(|error| away(&error))?;
            let block = block.ok_or(RedeemError::Away)?;
            (Some(number), at(block.timestamp))
        };
        let [grace, expiration, _, _] = self.core.timing();
        let calls = [&grace, &expiration].map(|question| (question.to, question.data.clone()));
        let said = answers(&self.rpc, &calls, None).await;
        let said = said.map_err(|error| away(&error))?;
        let mut said = [&grace, &expiration]
            .into_iter()
            .zip(said)
            .map(|(question, answer)| question.read(&answer?));
        let mut next = || said.next().flatten().ok_or(RedeemError::Contract);
        Ok(Moment {
            now: at(newest.timestamp),
            deep,
            deep_at,
            grace: next()?,
            expiration: next()?,
        })
    }

    /// What the contract says of each tab, deep enough; `None` where it gave no answer.
    pub(super) async fn standings(
        &self,
        tabs: &[HeldTab],
        moment: &Moment,
    ) -> Result<Vec<Option<Standing>>, RedeemError> {
        let mut standings = Vec::with_capacity(tabs.len());
        // Two questions for each.
        for some in tabs.chunks(CREDIT_LOOKUPS_MAX >> 1) {
            let questions = some.iter().map(|tab| {
                let tab = tab.key.tab;
                (
                    self.core.payment_status(tab),
                    self.core.remunerated_amount(tab),
                )
            });
            let questions: Vec<_> = questions.collect();
            let calls: Vec<_> = questions
                .iter()
                .flat_map(|(status, redeemed)| {
                    [
                        (status.to, status.data.clone()),
                        (redeemed.to, redeemed.data.clone()),
                    ]
                })
                .collect();
            let said = answers(&self.rpc, &calls, moment.deep).await;
            let mut said = said.map_err(|error| away(&error))?.into_iter();
            for (tab, (status, redeemed)) in some.iter().zip(&questions) {
                let (first, second) = (said.next().flatten(), said.next().flatten());
                let status = first.and_then(|answer| status.read(&answer));
                let redeemed = second.and_then(|answer| redeemed.read(&answer));
                standings.push(status.map(|status| Standing {
                    paid: status.paid,
                    // A contract that pays once per tab does not say how much: all that was left.
                    redeemed: redeemed.unwrap_or_else(|| {
                        let rest = tab.total.saturating_sub(status.paid);
                        if status.remunerated {
                            rest
                        } else {
                            tab.redeemed
                        }
                    }),
                    over: (moment.deep_at > moment.until(tab.promised_at)).then_some(tab.total),
                }));
            }
        }
        Ok(standings)
    }

    /// Tabs of which a transaction may be out. What is known of their ends by now is noted.
    pub(super) async fn in_flight(
        &self,
        mode: RedeemMode,
    ) -> Result<BTreeMap<HeldTabKey, B256>, RedeemError> {
        let asked = self.store.redemptions(self.chain, REDEEM_UNKNOWN_MAX);
        let unknown = self.books(asked).await?;
        let mut out = BTreeMap::new();
        for redemption in unknown {
            let end = self.end_of(&redemption).await?;
            match end {
                None => {
                    out.insert(redemption.key, redemption.transaction);
                }
                Some(end) if mode == RedeemMode::Redeem => {
                    let (key, transaction) = (redemption.key, redemption.transaction);
                    self.books(self.store.redeemed(key, transaction, end))
                        .await?;
                }
                Some(_) => {}
            }
        }
        Ok(out)
    }

    /// How a redemption of an earlier round ended; `None` while nobody knows.
    async fn end_of(&self, redemption: &Redemption) -> Result<Option<RedemptionEnd>, RedeemError> {
        let confirmations = self.config.network.confirmations;
        let hash = redemption.transaction;
        let found = look(&self.rpc, hash, confirmations).await;
        match found.map_err(|error| away(&error))? {
            Look::Deep(receipt) => Ok(match receipt.status.map(|status| status.to::<u64>()) {
                Some(1) => Some(RedemptionEnd::Mined),
                Some(0) => Some(RedemptionEnd::Reverted),
                _ => None,
            }),
            Look::Shallow => Ok(None),
            Look::Absent => {
                let known = self.rpc.transaction(hash).await;
                let is_known = known.map_err(|error| away(&error))?.is_some();
                let now = Timestamp::from(SystemTime::now());
                let age = now.as_secs().saturating_sub(redemption.at.as_secs());
                let is_old = age >= self.config.give_up_after.as_secs();
                Ok((!is_known && is_old).then_some(RedemptionEnd::GivenUp))
            }
        }
    }

    /// What is to be done about a tab, as far as the books say.
    pub(super) fn view(&self, tab: HeldTab, moment: &Moment, out: Option<B256>) -> TabView {
        let (from, until) = (moment.from(tab.promised_at), moment.until(tab.promised_at));
        let left = until.as_secs().saturating_sub(moment.now.as_secs());
        let is_near = !tab.has_ended() && left < moment.quarter();
        let doing = match out {
            _ if tab.has_ended() && tab.shares().lost.is_zero() => Redeeming::Covered,
            _ if tab.has_ended() => Redeeming::Lost,
            Some(transaction) => Redeeming::InFlight(transaction),
            None if moment.now < moment.from(Self::first(&tab)) => Redeeming::NotDue,
            None if moment.now < self.begins(Self::first(&tab), moment) => Redeeming::Waits,
            None => Redeeming::Ready,
        };
        TabView {
            tab,
            from,
            until,
            is_near,
            doing,
        }
    }

    /// When the first of its certificates that may be redeemed was promised: with a condition any of them may, without one only the
    /// largest is.
    const fn first(tab: &HeldTab) -> Timestamp {
        match tab.version {
            GuaranteeVersion::V1 => tab.promised_at,
            GuaranteeVersion::V2 => tab.first_promised_at,
        }
    }

    /// From when on a certificate is redeemed: when it is overdue, or so long before its end.
    pub(super) fn begins(&self, promised_at: Timestamp, moment: &Moment) -> Timestamp {
        let from = moment.from(promised_at);
        match self.config.before_deadline {
            None => from,
            Some(before) => {
                let until = moment.until(promised_at).as_secs();
                from.max(Timestamp::from_secs(until.saturating_sub(before.as_secs())))
            }
        }
    }
}

impl Moment {
    /// From when on the contract pays on what was promised then.
    pub(super) fn from(&self, promised_at: Timestamp) -> Timestamp {
        Timestamp::from_secs(promised_at.as_secs().saturating_add(self.grace))
    }

    /// Until when.
    pub(super) fn until(&self, promised_at: Timestamp) -> Timestamp {
        Timestamp::from_secs(promised_at.as_secs().saturating_add(self.expiration))
    }

    /// A quarter of the time between, in seconds.
    pub(super) const fn quarter(&self) -> u64 {
        self.expiration.saturating_sub(self.grace) >> 2
    }
}
