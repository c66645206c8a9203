//! What one tab is owed, and until when it should be paid.

use std::time::Duration;

use faregate_ledger::{RepaymentRecord, RepaymentState};
use faregate_types::credit::api::{GuaranteeInfo, SettlementStatus};
use faregate_types::{Address, Timestamp, U256};

/// A tab as its payer sees it. Amounts are in atomic units of the asset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Debt {
    /// The tab's number.
    pub tab: U256,
    /// Whom it is owed to.
    pub recipient: Address,
    /// The token; zero for ETH.
    pub asset: Address,
    /// The version of its guarantees.
    pub version: u64,
    /// What was guaranteed in all: what the newest certificate says, where there is one to be paid.
    pub total: U256,
    /// What was paid, and the contract counts.
    pub paid: U256,
    /// What this wallet paid, or may have paid, and the contract does not count yet.
    pub uncounted: U256,
    /// What the contract took out of the collateral.
    pub remunerated: U256,
    /// What is left to pay.
    pub owed: U256,
    /// From when on what is left can be taken out of the collateral: pay before. `None` when nothing is left.
    pub redeemable_at: Option<Timestamp>,
    /// Until when it can.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a certificate over the total, which the contract would pay on. Nothing is paid without.
    pub certified: bool,
    /// Whether the end of a payment on it is unknown.
    pub underway: bool,
    /// What the service says became of it.
    pub settlement: SettlementStatus,
    /// The number of its newest guarantee.
    pub req: U256,
    /// The time on the chain when all this was read.
    pub at: Timestamp,
}

/// Where a debt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "shown to people, each by its name")]
pub enum DebtState {
    /// What is left can be taken out of the collateral now.
    Overdue,
    /// It can be, within the time that was asked about.
    DueSoon,
    /// Not within that time.
    NotDue,
    /// A payment was sent, and its end is unknown.
    Underway,
    /// All is paid, and the contract does not count all of it yet.
    Paid,
    /// All is paid.
    Settled,
    /// The contract took it out of the collateral, all or the rest.
    Remunerated,
    /// It was not paid, and nothing can be taken for it any more.
    Expired,
}

impl DebtState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::DueSoon => "due_soon",
            Self::NotDue => "not_due",
            Self::Underway => "underway",
            Self::Paid => "paid",
            Self::Settled => "settled",
            Self::Remunerated => "remunerated",
            Self::Expired => "expired",
        }
    }
}

/// Which debts are to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Due {
    /// What can be taken out of the collateral now, or within so long.
    Within(Duration),
    /// Everything that can ever be.
    All,
}

impl Debt {
    /// Where it stands, when "soon" is within so long.
    #[must_use]
    pub fn state(&self, soon: Duration) -> DebtState {
        if self.underway {
            return DebtState::Underway;
        }
        if self.owed.is_zero() {
            return match (self.uncounted.is_zero(), self.remunerated.is_zero()) {
                (false, _) => DebtState::Paid,
                (true, false) => DebtState::Remunerated,
                (true, true) => DebtState::Settled,
            };
        }
        if self.is_expired() {
            return DebtState::Expired;
        }
        let soon = self.at.checked_add_secs(soon.as_secs());
        match self.redeemable_at {
            Some(at) if at <= self.at => DebtState::Overdue,
            // A time beyond all times is later than any.
            Some(at) if soon.is_none_or(|soon| at <= soon) => DebtState::DueSoon,
            _ => DebtState::NotDue,
        }
    }

    fn is_expired(&self) -> bool {
        self.settlement == SettlementStatus::Failed
            || self.expires_at.is_some_and(|end| end < self.at)
    }

    /// Whether it is to be paid.
    #[must_use]
    pub fn is_due(&self, due: Due) -> bool {
        let (soon, later) = match due {
            Due::Within(soon) => (soon, false),
            Due::All => (Duration::ZERO, true),
        };
        match self.state(soon) {
            DebtState::Overdue | DebtState::DueSoon => true,
            DebtState::NotDue => later,
            _ => false,
        }
    }

    /// What was covered when it was read.
    pub(super) const fn covered(&self) -> U256 {
        self.paid
            .saturating_add(self.uncounted)
            .saturating_add(self.remunerated)
    }
}

/// The most urgent first.
pub(super) fn by_urgency(debts: &mut [Debt]) {
    debts.sort_by_key(|debt| {
        let never = debt.redeemable_at.is_none();
        (never, debt.redeemable_at, debt.tab)
    });
}

/// What this wallet paid on a tab and the contract does not count, if it counts `paid`: no less than the payments that are not
/// known to be counted, and so much that all payments of this wallet count. Void ones do not.
pub(super) fn uncounted(records: &[RepaymentRecord], paid: U256) -> U256 {
    let sum = |of: &dyn Fn(&RepaymentRecord) -> bool| {
        let amounts = records.iter().filter(|record| of(record));
        amounts.fold(U256::ZERO, |sum, record| {
            sum.saturating_add(record.repayment.amount)
        })
    };
    let open = sum(&|record| matches!(record.state, RepaymentState::Open | RepaymentState::Paid));
    let all = sum(&RepaymentRecord::counts);
    open.max(all.saturating_sub(paid))
}

/// The earliest time of what a tab's guarantees, in the order they were issued, have above what is covered. `None` when they have
/// nothing.
pub(super) fn first_uncovered(guarantees: &[GuaranteeInfo], covered: U256) -> Option<Timestamp> {
    let mut total = U256::ZERO;
    let times = guarantees.iter().filter_map(|guarantee| {
        total = total.saturating_add(guarantee.amount);
        (total > covered).then_some(guarantee.timestamp)
    });
    times.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use faregate_ledger::{Repayment, TabKey};
    use faregate_types::ChainId;

    const DAY: Duration = Duration::from_secs(86_400);

    fn n(number: u64) -> U256 {
        U256::from(number)
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// 100 of 300 left, read at 1,000,000.
    fn debt(redeemable_at: u64) -> Debt {
        Debt {
            tab: n(7),
            recipient: Address::repeat_byte(1),
            asset: Address::ZERO,
            version: 1,
            total: n(300),
            paid: n(200),
            uncounted: n(0),
            remunerated: n(0),
            owed: n(100),
            redeemable_at: Some(at(redeemable_at)),
            expires_at: at(redeemable_at).checked_add_secs(600_000),
            certified: true,
            underway: false,
            settlement: SettlementStatus::Pending,
            req: n(2),
            at: at(1_000_000),
        }
    }

    #[test]
    fn what_is_due_is_what_the_collateral_would_pay() {
        for (redeemable_at, state, soon, all) in [
            (999_000, DebtState::Overdue, true, true),
            (1_000_000, DebtState::Overdue, true, true),
            (1_000_001, DebtState::DueSoon, true, true),
            (1_086_400, DebtState::DueSoon, true, true),
            (1_086_401, DebtState::NotDue, false, true),
            // 600,000 seconds later than that it was too late for everybody.
            (399_999, DebtState::Expired, false, false),
            (400_000, DebtState::Overdue, true, true),
        ] {
            let debt = debt(redeemable_at);
            assert_eq!(debt.state(DAY), state, "{redeemable_at}");
            assert_eq!(debt.is_due(Due::Within(DAY)), soon, "{redeemable_at}");
            assert_eq!(debt.is_due(Due::All), all, "{redeemable_at}");
        }
        let mut failed = debt(999_000);
        failed.settlement = SettlementStatus::Failed;
        assert_eq!(failed.state(DAY), DebtState::Expired);
        // As far as times go.
        let far = debt(2_000_000).state(Duration::MAX);
        assert_eq!(far, DebtState::DueSoon);
    }

    #[test]
    fn what_is_not_owed_or_unknown_is_never_due() {
        let base = debt(999_000);
        let nothing = |debt: Debt| Debt { owed: n(0), ..debt };
        for (debt, state) in [
            (nothing(base.clone()), DebtState::Settled),
            (
                nothing(Debt {
                    uncounted: n(100),
                    ..base.clone()
                }),
                DebtState::Paid,
            ),
            (
                nothing(Debt {
                    remunerated: n(100),
                    ..base.clone()
                }),
                DebtState::Remunerated,
            ),
            (
                Debt {
                    underway: true,
                    ..base
                },
                DebtState::Underway,
            ),
        ] {
            assert_eq!(debt.state(DAY), state);
            assert!(!debt.is_due(Due::All), "{state:?}");
        }
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let with = |tab, at: Option<u64>| Debt {
            tab: n(tab),
            redeemable_at: at.map(Timestamp::from_secs),
            ..debt(1)
        };
        let mut debts = [
            with(1, None),
            with(2, Some(30)),
            with(3, Some(10)),
            with(4, Some(20)),
        ];
        by_urgency(&mut debts);
        assert_eq!(debts.map(|debt| debt.tab), [n(3), n(4), n(2), n(1)]);
    }

    fn record(amount: u64, state: RepaymentState) -> RepaymentRecord {
        let tab = TabKey {
            chain: ChainId::BASE,
            contract: Address::ZERO,
            payer: Address::ZERO,
            tab: n(7),
        };
        RepaymentRecord {
            repayment: Repayment {
                tab,
                number: 0,
                recipient: Address::ZERO,
                asset: Address::ZERO,
                amount: n(amount),
                total: n(300),
                at: at(1),
            },
            state,
            sent: Vec::new(),
            transaction: None,
        }
    }

    #[test]
    fn own_payments_count_whether_or_not_the_contract_knows() {
        use RepaymentState::{Open, Paid, Recorded, Void};
        for (own, paid, expected) in [
            (vec![], 50, 0),
            (vec![(100, Void)], 0, 0),
            (vec![(100, Open)], 0, 100),
            (vec![(100, Paid)], 0, 100),
            // What the contract counts is somebody else's.
            (vec![(100, Paid)], 100, 100),
            (vec![(100, Recorded)], 100, 0),
            (vec![(100, Recorded), (30, Paid), (9, Void)], 100, 30),
            // A node that is behind.
            (vec![(100, Recorded)], 0, 100),
            (vec![(100, Recorded), (30, Paid)], 40, 90),
        ] {
            let shown = format!("{own:?} {paid}");
            let own: Vec<_> = own
                .into_iter()
                .map(|(amount, is)| record(amount, is))
                .collect();
            assert_eq!(uncounted(&own, n(paid)), n(expected), "{shown}");
        }
    }

    #[test]
    fn time_runs_from_what_is_not_covered() {
        let guarantee = |req: u64, amount: u64, secs: u64| GuaranteeInfo {
            tab_id: n(7),
            req_id: n(req),
            version: 1,
            payer: Address::ZERO,
            recipient: Address::ZERO,
            asset: Address::ZERO,
            amount: n(amount),
            timestamp: at(secs),
            certificate: None,
        };
        // The third was signed before the second.
        let all = [
            guarantee(0, 10, 100),
            guarantee(1, 10, 300),
            guarantee(2, 10, 200),
            guarantee(3, 10, 400),
        ];
        for (covered, expected) in [
            (0, Some(100)),
            (9, Some(100)),
            (10, Some(200)),
            (29, Some(200)),
            (30, Some(400)),
            (40, None),
        ] {
            let found = first_uncovered(&all, n(covered));
            assert_eq!(found, expected.map(Timestamp::from_secs), "{covered}");
        }
    }
}
