//! What the contract logs, typed.

use alloy_primitives::{Address, B256, LogData, U256};
use alloy_sol_types::SolEventInterface;

use super::abi::Core::{self, CoreEvents};
use faregate_types::credit::words::KeyWords;

use super::call::key_words;
use super::{Revert, VersionConfig};
use crate::limits::CREDIT_LOG_BYTES_MAX;

/// A log of the contract. Everything a payer's collateral and withdrawal request go through is told, so both can be followed
/// from the events alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A payer left collateral.
    #[non_exhaustive]
    Deposited {
        /// Who.
        user: Address,
        /// In what.
        asset: Address,
        /// How much arrived.
        amount: U256,
    },
    /// A payer took collateral back; the request is gone.
    #[non_exhaustive]
    Withdrawn {
        /// Who.
        user: Address,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// Collateral was paid out to a recipient; comes with [`Event::Remunerated`].
    #[non_exhaustive]
    Debited {
        /// Whose collateral.
        user: Address,
        /// In what.
        asset: Address,
        /// For which tab.
        tab: U256,
        /// To whom.
        recipient: Address,
        /// How much.
        amount: U256,
        /// What the certificate asked for beyond it, for want of collateral.
        outstanding: U256,
    },
    /// A payer asks collateral back, in place of any earlier request.
    #[non_exhaustive]
    WithdrawalRequested {
        /// Who.
        user: Address,
        /// In what.
        asset: Address,
        /// When, in Unix seconds.
        when: U256,
        /// How much.
        amount: U256,
    },
    /// A payer took the request back.
    #[non_exhaustive]
    WithdrawalCanceled {
        /// Who.
        user: Address,
        /// In what.
        asset: Address,
    },
    /// A payout left less collateral than was asked back, so the request became smaller; its time stays.
    #[non_exhaustive]
    WithdrawalReduced {
        /// Whose request.
        user: Address,
        /// In what.
        asset: Address,
        /// What is still asked back; 0 when the request is gone.
        amount: U256,
    },
    /// A payer paid a tab in a token, straight to the recipient.
    #[non_exhaustive]
    TabPaid {
        /// Which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// Who paid.
        user: Address,
        /// To whom.
        recipient: Address,
        /// How much arrived.
        amount: U256,
    },
    /// A payment without an id counts for a tab from now on.
    #[non_exhaustive]
    PaymentRecorded {
        /// Which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// A payment with an id counts for a tab from now on; there is no [`Event::PaymentRecorded`] beside it.
    #[non_exhaustive]
    PaymentRecordedById {
        /// Its id.
        id: B256,
        /// Which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// The payment was recorded before; nothing changed.
    #[non_exhaustive]
    PaymentReplayed {
        /// Its id.
        id: B256,
        /// Which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// A payment of a batch was not recorded.
    #[non_exhaustive]
    PaymentRefused {
        /// Its id.
        id: B256,
        /// Which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
        /// Why.
        reason: Revert,
    },
    /// A recipient was paid out of collateral.
    #[non_exhaustive]
    Remunerated {
        /// For which tab.
        tab: U256,
        /// In what.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// How certificates of a version are checked has changed.
    #[non_exhaustive]
    VersionUpdated {
        /// Which version.
        version: u64,
        /// The new rules.
        config: VersionConfig,
    },
    /// The key of version 1 has changed; comes with [`Event::VersionUpdated`].
    #[non_exhaustive]
    KeyUpdated {
        /// The new key.
        key: KeyWords,
    },
    /// The contract takes a token now.
    #[non_exhaustive]
    AssetUpdated {
        /// Which token.
        asset: Address,
        /// Whether it is taken.
        supported: bool,
    },
    /// A timing parameter has changed.
    #[non_exhaustive]
    RemunerationGraceUpdated {
        /// Its new value.
        seconds: U256,
    },
    /// A timing parameter has changed.
    #[non_exhaustive]
    TabExpirationUpdated {
        /// Its new value.
        seconds: U256,
    },
    /// A timing parameter has changed.
    #[non_exhaustive]
    SynchronizationDelayUpdated {
        /// Its new value.
        seconds: U256,
    },
    /// A timing parameter has changed.
    #[non_exhaustive]
    WithdrawalGraceUpdated {
        /// Its new value.
        seconds: U256,
    },
    /// Deposits, new withdrawals and payments of tabs stopped.
    #[non_exhaustive]
    Paused {
        /// Who paused.
        account: Address,
    },
    /// They go on.
    #[non_exhaustive]
    Unpaused {
        /// Who unpaused.
        account: Address,
    },
    /// Another manager decides who may do what.
    #[non_exhaustive]
    AuthorityUpdated {
        /// Which one.
        authority: Address,
    },
}

impl Event {
    /// The first topics of all logs of the contract, for filters.
    #[must_use]
    pub fn topics() -> Vec<B256> {
        CoreEvents::SELECTORS.iter().map(B256::from).collect()
    }

    /// Reads a log that the contract emitted; `None` when it is something else. Who emitted it is for the caller to check.
    #[must_use]
    pub fn decode(log: &LogData) -> Option<Self> {
        if log.data.len() > CREDIT_LOG_BYTES_MAX {
            return None;
        }
        let event = CoreEvents::decode_raw_log(log.topics(), &log.data).ok()?;
        Some(event.into())
    }
}

impl From<Core::CollateralDeposited> for Event {
    fn from(event: Core::CollateralDeposited) -> Self {
        Self::Deposited {
            user: event.user,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::CollateralWithdrawn> for Event {
    fn from(event: Core::CollateralWithdrawn) -> Self {
        Self::Withdrawn {
            user: event.user,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::CollateralDebited> for Event {
    fn from(event: Core::CollateralDebited) -> Self {
        Self::Debited {
            user: event.user,
            asset: event.asset,
            tab: event.tabId,
            recipient: event.recipient,
            amount: event.amount,
            outstanding: event.outstanding,
        }
    }
}

impl From<Core::WithdrawalRequested> for Event {
    fn from(event: Core::WithdrawalRequested) -> Self {
        Self::WithdrawalRequested {
            user: event.user,
            asset: event.asset,
            when: event.when,
            amount: event.amount,
        }
    }
}

impl From<Core::WithdrawalCanceled> for Event {
    fn from(event: Core::WithdrawalCanceled) -> Self {
        Self::WithdrawalCanceled {
            user: event.user,
            asset: event.asset,
        }
    }
}

impl From<Core::WithdrawalReduced> for Event {
    fn from(event: Core::WithdrawalReduced) -> Self {
        Self::WithdrawalReduced {
            user: event.user,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::TabPaid> for Event {
    fn from(event: Core::TabPaid) -> Self {
        Self::TabPaid {
            tab: event.tabId,
            asset: event.asset,
            user: event.user,
            recipient: event.recipient,
            amount: event.amount,
        }
    }
}

impl From<Core::PaymentRecorded> for Event {
    fn from(event: Core::PaymentRecorded) -> Self {
        Self::PaymentRecorded {
            tab: event.tabId,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::PaymentRecordedById> for Event {
    fn from(event: Core::PaymentRecordedById) -> Self {
        Self::PaymentRecordedById {
            id: event.id,
            tab: event.tabId,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::PaymentRecordReplayed> for Event {
    fn from(event: Core::PaymentRecordReplayed) -> Self {
        Self::PaymentReplayed {
            id: event.id,
            tab: event.tabId,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::PaymentRecordRefused> for Event {
    fn from(event: Core::PaymentRecordRefused) -> Self {
        Self::PaymentRefused {
            id: event.id,
            tab: event.tabId,
            asset: event.asset,
            amount: event.amount,
            reason: Revert::of_selector(event.reason.0),
        }
    }
}

impl From<Core::RecipientRemunerated> for Event {
    fn from(event: Core::RecipientRemunerated) -> Self {
        Self::Remunerated {
            tab: event.tabId,
            asset: event.asset,
            amount: event.amount,
        }
    }
}

impl From<Core::GuaranteeVersionUpdated> for Event {
    fn from(event: Core::GuaranteeVersionUpdated) -> Self {
        Self::VersionUpdated {
            version: event.version,
            config: VersionConfig {
                key: key_words(&event.verificationKey),
                domain: event.domainSeparator,
                decoder: event.decoder,
                enabled: event.enabled,
            },
        }
    }
}

impl From<Core::VerificationKeyUpdated> for Event {
    fn from(event: Core::VerificationKeyUpdated) -> Self {
        Self::KeyUpdated {
            key: key_words(&event.newVerificationKey),
        }
    }
}

impl From<Core::StablecoinAssetUpdated> for Event {
    fn from(event: Core::StablecoinAssetUpdated) -> Self {
        Self::AssetUpdated {
            asset: event.asset,
            supported: event.supported,
        }
    }
}

impl From<Core::RemunerationGracePeriodUpdated> for Event {
    fn from(event: Core::RemunerationGracePeriodUpdated) -> Self {
        Self::RemunerationGraceUpdated {
            seconds: event.newGracePeriod,
        }
    }
}

impl From<Core::TabExpirationTimeUpdated> for Event {
    fn from(event: Core::TabExpirationTimeUpdated) -> Self {
        Self::TabExpirationUpdated {
            seconds: event.newExpirationTime,
        }
    }
}

impl From<Core::SynchronizationDelayUpdated> for Event {
    fn from(event: Core::SynchronizationDelayUpdated) -> Self {
        Self::SynchronizationDelayUpdated {
            seconds: event.newSynchronizationDelay,
        }
    }
}

impl From<Core::WithdrawalGracePeriodUpdated> for Event {
    fn from(event: Core::WithdrawalGracePeriodUpdated) -> Self {
        Self::WithdrawalGraceUpdated {
            seconds: event.newGracePeriod,
        }
    }
}

impl From<Core::Paused> for Event {
    fn from(event: Core::Paused) -> Self {
        Self::Paused {
            account: event.account,
        }
    }
}

impl From<Core::Unpaused> for Event {
    fn from(event: Core::Unpaused) -> Self {
        Self::Unpaused {
            account: event.account,
        }
    }
}

impl From<Core::AuthorityUpdated> for Event {
    fn from(event: Core::AuthorityUpdated) -> Self {
        Self::AuthorityUpdated {
            authority: event.authority,
        }
    }
}

impl From<CoreEvents> for Event {
    fn from(event: CoreEvents) -> Self {
        match event {
            CoreEvents::CollateralDeposited(event) => event.into(),
            CoreEvents::CollateralWithdrawn(event) => event.into(),
            CoreEvents::CollateralDebited(event) => event.into(),
            CoreEvents::WithdrawalRequested(event) => event.into(),
            CoreEvents::WithdrawalCanceled(event) => event.into(),
            CoreEvents::WithdrawalReduced(event) => event.into(),
            CoreEvents::TabPaid(event) => event.into(),
            CoreEvents::PaymentRecorded(event) => event.into(),
            CoreEvents::PaymentRecordedById(event) => event.into(),
            CoreEvents::PaymentRecordReplayed(event) => event.into(),
            CoreEvents::PaymentRecordRefused(event) => event.into(),
            CoreEvents::RecipientRemunerated(event) => event.into(),
            CoreEvents::GuaranteeVersionUpdated(event) => event.into(),
            CoreEvents::VerificationKeyUpdated(event) => event.into(),
            CoreEvents::StablecoinAssetUpdated(event) => event.into(),
            CoreEvents::RemunerationGracePeriodUpdated(event) => event.into(),
            CoreEvents::TabExpirationTimeUpdated(event) => event.into(),
            CoreEvents::SynchronizationDelayUpdated(event) => event.into(),
            CoreEvents::WithdrawalGracePeriodUpdated(event) => event.into(),
            CoreEvents::Paused(event) => event.into(),
            CoreEvents::Unpaused(event) => event.into(),
            CoreEvents::AuthorityUpdated(event) => event.into(),
        }
    }
}
