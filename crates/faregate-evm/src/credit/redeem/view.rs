//! What a round tells of each tab.

use alloy_primitives::{Address, B256, U256};
use faregate_core::port::HeldTab;
use faregate_types::{ChainId, Timestamp};

/// A look at all tabs of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedeemRound {
    /// The chain.
    pub chain: ChainId,
    /// The contract.
    pub contract: Address,
    /// The time of its newest block, which decides what is due.
    pub now: Timestamp,
    /// Tabs that were open, the nearest deadline first.
    pub views: Vec<TabView>,
}

/// A tab, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TabView {
    /// The tab, as it stands now.
    pub tab: HeldTab,
    /// From when on its largest certificate can be redeemed.
    pub from: Timestamp,
    /// The last moment at which it can.
    pub until: Timestamp,
    /// Less than a quarter of that time is left.
    pub is_near: bool,
    /// What is done about it.
    pub doing: Redeeming,
}

/// What is done about a tab.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redeeming {
    /// Its payer may still pay.
    NotDue,
    /// It is overdue, and its payer is given more time.
    Waits,
    /// It would be redeemed now.
    Ready,
    /// The validation that its certificates are subject to is not there.
    WaitsForValidation,
    /// The payer has no collateral at the moment.
    NoCollateral,
    /// A transaction that redeems it is on its way.
    InFlight(B256),
    /// It was tried not long ago.
    Paused,
    /// Nothing was sent: the node, the books or the signer were away, or there is no money for gas.
    NotSent,
    /// It was sent, and nobody knows the end yet.
    Unknown,
    /// The contract would refuse, or did, for this reason.
    Refused(Box<str>),
    /// It was redeemed just now.
    Redeemed {
        /// By which transaction.
        transaction: B256,
        /// What that brought, in atomic units; zero while that is not deep enough.
        amount: U256,
    },
    /// It is paid or redeemed in full.
    Covered,
    /// Nothing more is to be had.
    Lost,
}

impl Redeeming {
    pub(super) const LABELS: [&'static str; 9] = [
        "not_due",
        "waits",
        "ready",
        "validation",
        "no_collateral",
        "in_flight",
        "paused",
        "refused",
        "ended",
    ];

    /// For metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::Waits => "waits",
            Self::Ready => "ready",
            Self::WaitsForValidation => "validation",
            Self::NoCollateral => "no_collateral",
            Self::InFlight(_) | Self::Unknown => "in_flight",
            Self::Paused | Self::NotSent => "paused",
            Self::Refused(_) => "refused",
            Self::Redeemed { .. } | Self::Covered | Self::Lost => "ended",
        }
    }

    /// A word for each, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::Waits => "waits",
            Self::Ready => "ready",
            Self::WaitsForValidation => "waits_for_validation",
            Self::NoCollateral => "no_collateral",
            Self::InFlight(_) => "in_flight",
            Self::Paused => "paused",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::Refused(_) => "refused",
            Self::Redeemed { .. } => "redeemed",
            Self::Covered => "covered",
            Self::Lost => "lost",
        }
    }
}
