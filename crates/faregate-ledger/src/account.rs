//! Accounts and the transfers between them.
//!
//! A balance is never edited: it is the sum of transfers. A transfer takes from one account and gives to another in one
//! asset, first *reserved* (pending), then *posted* or *voided*, so the sum over all accounts is always zero.

use std::fmt;

use alloy_primitives::{Address, U256};
use faregate_types::{Amount, AssetId};

/// Longest account name, in bytes.
pub const ACCOUNT_ID_BYTES_MAX: usize = 128;

/// Names one account: a role, a slash, and who it is, e.g. `payer/0x7099…` or `payee/0xa0Ee…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Box<str>);

/// Why a text is no account name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account is named role/name in printable ascii, at most {ACCOUNT_ID_BYTES_MAX} bytes")]
pub struct AccountIdError;

impl AccountId {
    /// The outside account that money of an EVM payer comes from.
    #[must_use]
    pub fn payer(address: Address) -> Self {
        Self(format!("payer/{address}").into())
    }

    /// The account of an EVM payee.
    #[must_use]
    pub fn payee(address: Address) -> Self {
        Self(format!("payee/{address}").into())
    }

    /// The account of what a payee is promised on credit: guaranteed, and not paid.
    #[must_use]
    pub fn promised(payee: Address) -> Self {
        Self(format!("promised/{payee}").into())
    }

    /// The account of a payer's collateral with the credit contract.
    #[must_use]
    pub fn collateral(payer: Address) -> Self {
        Self(format!("collateral/{payer}").into())
    }

    /// The account of what a recipient is guaranteed out of collateral (pending), and was remunerated (posted).
    #[must_use]
    pub fn guaranteed(recipient: Address) -> Self {
        Self(format!("guaranteed/{recipient}").into())
    }

    /// Where collateral comes from and is withdrawn to.
    #[must_use]
    pub fn outside_credit() -> Self {
        Self("outside/credit".into())
    }

    /// Reads a stored name.
    ///
    /// # Errors
    /// [`AccountIdError`] when the text has no role, is too long or is not printable ASCII.
    pub fn parse(text: &str) -> Result<Self, AccountIdError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let named = text
            .split_once('/')
            .is_some_and(|(role, name)| !role.is_empty() && !name.is_empty());
        if printable && named && text.len() <= ACCOUNT_ID_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(AccountIdError)
        }
    }

    /// What it is there for, without who it is.
    #[must_use]
    pub fn role(&self) -> &str {
        self.0.split_once('/').map_or("", |(role, _)| role)
    }

    /// Who it is, without the role.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    /// The name as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An immutable movement of `amount` from `debit` to `credit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The account that gives.
    pub debit: AccountId,
    /// The account that receives.
    pub credit: AccountId,
    /// How much, in the asset's atomic units. Never zero.
    pub amount: Amount,
}

/// The four sums of one account in one asset, in atomic units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The asset all four sums are in.
    pub asset: AssetId,
    /// Given and reserved.
    pub debits_pending: U256,
    /// Given for good.
    pub debits_posted: U256,
    /// Received and reserved.
    pub credits_pending: U256,
    /// Received for good.
    pub credits_posted: U256,
}

/// One of the two accounts of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The account that gives.
    Debit,
    /// The account that receives.
    Credit,
}

/// What happens to the money of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// It is held.
    Reserve,
    /// What was held has moved.
    Post,
    /// What was held is free again.
    Void,
    /// What was posted is taken back.
    Reverse,
}

/// The sums of an account left the range of 256 bits. Money of that size does not exist: the books are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sums of an account overflow")]
pub struct BalanceError;

impl Balance {
    /// An account nothing has happened to.
    #[must_use]
    pub const fn zero(asset: AssetId) -> Self {
        Self {
            asset,
            debits_pending: U256::ZERO,
            debits_posted: U256::ZERO,
            credits_pending: U256::ZERO,
            credits_posted: U256::ZERO,
        }
    }

    /// The sums after `movement` of `amount`, for the account on this `side` of the transfer. Each side has sums of its own,
    /// so that one account may be on both.
    ///
    /// # Errors
    /// [`BalanceError`] when a sum overflows, or less is there than is taken.
    pub fn after(
        mut self,
        side: Side,
        movement: Movement,
        amount: U256,
    ) -> Result<Self, BalanceError> {
        let (pending, posted) = match side {
            Side::Debit => (&mut self.debits_pending, &mut self.debits_posted),
            Side::Credit => (&mut self.credits_pending, &mut self.credits_posted),
        };
        let plus = |sum: U256| sum.checked_add(amount).ok_or(BalanceError);
        let minus = |sum: U256| sum.checked_sub(amount).ok_or(BalanceError);
        match movement {
            Movement::Reserve => *pending = plus(*pending)?,
            Movement::Post => (*pending, *posted) = (minus(*pending)?, plus(*posted)?),
            Movement::Void => *pending = minus(*pending)?,
            Movement::Reverse => *posted = minus(*posted)?,
        }
        Ok(self)
    }

    /// Adds one side of another balance of the same asset, for trial balances.
    ///
    /// # Errors
    /// [`BalanceError`] when a sum overflows.
    pub fn plus(&self, other: &Self) -> Result<Self, BalanceError> {
        let add = |a: U256, b: U256| a.checked_add(b).ok_or(BalanceError);
        Ok(Self {
            asset: self.asset,
            debits_pending: add(self.debits_pending, other.debits_pending)?,
            debits_posted: add(self.debits_posted, other.debits_posted)?,
            credits_pending: add(self.credits_pending, other.credits_pending)?,
            credits_posted: add(self.credits_posted, other.credits_posted)?,
        })
    }

    /// True when what was given equals what was received, pending and posted alike. Holds for every trial balance.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.debits_pending == self.credits_pending && self.debits_posted == self.credits_posted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_moves_on_its_side_and_never_wraps() {
        use Movement::{Post, Reserve, Reverse, Void};
        let chain = faregate_types::ChainId::evm(1);
        let zero = Balance::zero(AssetId::erc20(chain, Address::ZERO));
        let max = U256::MAX;
        // movements of the largest amount, pending and posted after them
        let table = [
            (&[Reserve][..], Some((max, U256::ZERO))),
            (&[Reserve, Post], Some((U256::ZERO, max))),
            (&[Reserve, Void], Some((U256::ZERO, U256::ZERO))),
            (&[Reserve, Post, Reverse], Some((U256::ZERO, U256::ZERO))),
            (&[Reserve, Reserve], None),
            (&[Reserve, Post, Reserve, Post], None),
            (&[Post], None),
            (&[Void], None),
            (&[Reverse], None),
        ];
        for (movements, expected) in table {
            for side in [Side::Debit, Side::Credit] {
                let sums = movements
                    .iter()
                    .try_fold(zero, |sums, movement| sums.after(side, *movement, max));
                let expected = expected.map(|(pending, posted)| match side {
                    Side::Debit => Balance {
                        debits_pending: pending,
                        debits_posted: posted,
                        ..zero
                    },
                    Side::Credit => Balance {
                        credits_pending: pending,
                        credits_posted: posted,
                        ..zero
                    },
                });
                assert_eq!(sums.ok(), expected, "{movements:?} {side:?}");
            }
        }
    }

    #[test]
    fn account_names_are_checked() {
        let long = format!("payer/{}", "x".repeat(ACCOUNT_ID_BYTES_MAX));
        for (text, good) in [
            ("payer/0x01", true),
            ("suspense/unplaced", true),
            ("payer", false),
            ("/x", false),
            ("payer/", false),
            ("payer/a b", false),
            ("payer/é", false),
            (long.as_str(), false),
        ] {
            assert_eq!(AccountId::parse(text).is_ok(), good, "{text}");
        }
        let payer = Address::repeat_byte(0xab);
        assert_eq!(AccountId::payer(payer).name(), payer.to_string());
    }
}
