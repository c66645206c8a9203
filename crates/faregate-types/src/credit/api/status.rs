//! The words of the API that say how something is.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserializer, Serializer};

use crate::credit::field::{Field, text};

/// Declares an enumeration whose values are words of the wire.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($expected:literal) { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(clippy::exhaustive_enums, reason = "the values of the wire")]
        pub enum $name {
            $( $(#[doc = $doc])* $variant, )*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The one with this word, in any letter case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Field for $name {
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = text(deserializer, $expected)?;
                Self::from_name(&text).ok_or_else(|| D::Error::custom($expected))
            }
        }
    };
}

words! {
    /// Whether a tab takes guarantees.
    pub enum TabStatus ("expected PENDING, OPEN or CLOSED") {
        /// There is no guarantee yet.
        Pending = "PENDING",
        /// There are some, and there may be more.
        Open = "OPEN",
        /// There will be no more.
        Closed = "CLOSED",
    }
}

words! {
    /// What became of the debt of a tab.
    pub enum SettlementStatus ("expected PENDING, SETTLED, FAILED or REMUNERATED") {
        /// Something is owed, or may be.
        Pending = "PENDING",
        /// The payer paid all of it.
        Settled = "SETTLED",
        /// Its certificates expired before all of it was paid.
        Failed = "FAILED",
        /// The contract paid what the payer did not.
        Remunerated = "REMUNERATED",
    }
}

words! {
    /// What happened to collateral.
    pub enum CollateralEventKind ("expected DEPOSIT, WITHDRAW, RESERVE, CANCEL_RESERVE, UNLOCK or REMUNERATE") {
        /// It was deposited.
        Deposit = "DEPOSIT",
        /// It was withdrawn.
        Withdraw = "WITHDRAW",
        /// It was locked for a guarantee.
        Reserve = "RESERVE",
        /// It was unlocked without a payment.
        CancelReserve = "CANCEL_RESERVE",
        /// It was unlocked because the payer paid.
        Unlock = "UNLOCK",
        /// It was paid to the recipient.
        Remunerate = "REMUNERATE",
    }
}

words! {
    /// Whether a part of the service works.
    pub enum Condition ("expected ok or fail") {
        /// It does.
        Ok = "ok",
        /// It does not.
        Fail = "fail",
    }
}
