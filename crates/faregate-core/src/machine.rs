//! The payment machine: what follows from each event. Pure; the [`driver`](crate::driver) does what it says.
//!
//! ```text
//! Before:  claimed ─► Settle ─► settled ─► Serve ─► served ─────────────► Finish(Sold)
//!                          ├──► failed  ────────────────────────────────► Finish(Refused)
//!                          └──► unknown ────────────────────────────────► Finish(Pending)
//! After:   claimed ─► Serve ─► good ─► Settle ─► settled ────────────────► Finish(Sold)
//!                         │                 ├──► failed  (answer withheld) ► Finish(Refused)
//!                         │                 └──► unknown (answer withheld) ► Finish(Pending)
//!                         └──► bad  ─► Release ──────────────────────────► Finish(NotSold)
//! Background, as far as the payer's exposure allows; beyond it like Before:
//!          claimed ─► Lend ──► good ─────────────────────────────────────► Finish(Owed): the answer is recorded and leaves,
//!                         │                                                               then the money moves
//!                         └──► bad  ─► Release ──────────────────────────► Finish(NotSold)
//! ```

use crate::port::SettleOutcome;

/// When the money of a route moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettlePolicy {
    /// Before the service runs. For anything that costs to run, has effects, or streams.
    Before,
    /// After the service ran well and before a byte of its answer leaves. A bad answer costs the payer nothing.
    After,
    /// After the answer left, as long as no more than the offer's exposure of one payer is unpaid; a payer who is at the
    /// limit pays before. The fastest, and the seller bears the risk of what is out. A bad answer costs the payer nothing.
    Background,
}

/// Where a claimed payment stands between claim and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The money is being moved; `served` tells whether the service already ran.
    Settling {
        /// The answer is waiting for the money.
        served: bool,
    },
    /// The service is running; `settled` tells whether the money already moved.
    Serving {
        /// The money is in.
        settled: bool,
    },
    /// The service is running, and its answer will not wait for the money.
    Lending,
    /// The reservation is being given back.
    Releasing,
    /// Nothing more happens.
    Done(Finish),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The money moved.
    Settled,
    /// The money provably did not move.
    Failed,
    /// Nobody knows.
    Unknown,
    /// The service gave an answer worth paying for (status below 400).
    ServedWell,
    /// The service gave an error.
    ServedBadly,
    /// The reservation was given back.
    Released,
}

impl From<&SettleOutcome> for Event {
    fn from(outcome: &SettleOutcome) -> Self {
        match outcome {
            SettleOutcome::Settled(_) => Self::Settled,
            SettleOutcome::Failed(_) => Self::Failed,
            SettleOutcome::Unknown(_) => Self::Unknown,
        }
    }
}

/// How it ends for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The money moved; the answer goes out with a receipt.
    Sold,
    /// The service's own error goes out; no money moved.
    NotSold,
    /// The payment failed; the answer, if there was one, is withheld.
    Refused,
    /// The payment's end is unknown; the answer is withheld until it is known.
    Pending,
    /// The answer goes out and has to be paid: the money moves afterwards.
    Owed,
}

impl Phase {
    /// The first thing to do with a claimed payment.
    #[must_use]
    pub const fn start(policy: SettlePolicy) -> Self {
        match policy {
            SettlePolicy::Before => Self::Settling { served: false },
            SettlePolicy::After => Self::Serving { settled: false },
            SettlePolicy::Background => Self::Lending,
        }
    }

    /// What follows. An event that cannot happen in this phase changes nothing.
    #[must_use]
    pub const fn on(self, event: Event) -> Self {
        match (self, event) {
            (Self::Settling { served: false }, Event::Settled) => Self::Serving { settled: true },
            (Self::Settling { served: true }, Event::Settled) => Self::Done(Finish::Sold),
            (Self::Settling { .. }, Event::Failed) => Self::Done(Finish::Refused),
            (Self::Settling { .. }, Event::Unknown) => Self::Done(Finish::Pending),
            // Settled first: the money is in, so even an error goes out with its receipt.
            (Self::Serving { settled: true }, Event::ServedWell | Event::ServedBadly) => {
                Self::Done(Finish::Sold)
            }
            (Self::Serving { settled: false }, Event::ServedWell) => {
                Self::Settling { served: true }
            }
            (Self::Lending, Event::ServedWell) => Self::Done(Finish::Owed),
            (Self::Serving { settled: false } | Self::Lending, Event::ServedBadly) => {
                Self::Releasing
            }
            (Self::Releasing, Event::Released) => Self::Done(Finish::NotSold),
            (phase, _) => phase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_ends_as_drawn() {
        use Event::{Failed, Released, ServedBadly, ServedWell, Settled, Unknown};
        use SettlePolicy::{After, Background, Before};
        let table: [(SettlePolicy, &[Event], Finish); 12] = [
            (Before, &[Settled, ServedWell], Finish::Sold),
            (Before, &[Settled, ServedBadly], Finish::Sold),
            (Before, &[Failed], Finish::Refused),
            (Before, &[Unknown], Finish::Pending),
            (After, &[ServedWell, Settled], Finish::Sold),
            (After, &[ServedWell, Failed], Finish::Refused),
            (After, &[ServedWell, Unknown], Finish::Pending),
            (After, &[ServedBadly, Released], Finish::NotSold),
            (Background, &[ServedWell], Finish::Owed),
            (Background, &[ServedWell, Settled], Finish::Owed),
            (Background, &[ServedBadly, Released], Finish::NotSold),
            // stray events change nothing
            (
                After,
                &[
                    Settled,
                    Released,
                    ServedBadly,
                    ServedWell,
                    Released,
                    Settled,
                ],
                Finish::NotSold,
            ),
        ];
        for (policy, events, end) in table {
            let last = events
                .iter()
                .fold(Phase::start(policy), |phase, event| phase.on(*event));
            assert_eq!(last, Phase::Done(end), "{policy:?} {events:?}");
        }
    }

    #[test]
    fn nothing_is_sold_without_settlement() {
        let events = [
            Event::Failed,
            Event::Unknown,
            Event::ServedWell,
            Event::ServedBadly,
            Event::Released,
        ];
        for policy in [
            SettlePolicy::Before,
            SettlePolicy::After,
            SettlePolicy::Background,
        ] {
            let mut phases = vec![Phase::start(policy)];
            for _ in 0..6 {
                phases = phases
                    .iter()
                    .flat_map(|phase| events.iter().map(|event| phase.on(*event)))
                    .collect();
                phases.dedup();
                assert!(!phases.contains(&Phase::Done(Finish::Sold)));
                let owed = phases.contains(&Phase::Done(Finish::Owed));
                assert!(!owed || policy == SettlePolicy::Background);
            }
        }
    }
}
