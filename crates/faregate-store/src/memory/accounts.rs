//! Accounts and their sums. A movement changes both sides or neither.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use alloy_primitives::{U256, Uint};
use faregate_ledger::{AccountId, AccountPage, Balance, Movement, Side, StoreError, Totals};
use faregate_types::{Amount, AssetId};

use super::slab::Slab;

/// One account as a payment refers to it.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    /// The number of its row.
    pub(super) number: u32,
    /// Its name, held once.
    pub(super) name: Arc<AccountId>,
}

/// The sums of one account in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) balance: Balance,
    /// What is reserved or owed by payments of this payer that are served before the money moves.
    pub(super) exposure: U256,
}

impl Sums {
    pub(super) const fn zero(asset: AssetId) -> Self {
        Self {
            balance: Balance::zero(asset),
            exposure: U256::ZERO,
        }
    }
}

/// Whether a payment begins or ceases to count against its payer's exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposing {
    No,
    Begins,
    Ceases,
}

impl Exposing {
    /// From whether it counted before, and counts now.
    pub(super) const fn between(before: bool, now: bool) -> Self {
        match (before, now) {
            (false, true) => Self::Begins,
            (true, false) => Self::Ceases,
            (true, true) | (false, false) => Self::No,
        }
    }
}

#[derive(Debug)]
struct Account {
    name: Arc<AccountId>,
    /// One per asset, in the order of the assets.
    sums: Vec<Sums>,
}

/// A sum over so many accounts that it may be above 256 bits, which is found out only when somebody asks for it.
type Wide = Uint<320, 5>;

/// The sums of all accounts in one asset.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    debits_pending: Wide,
    debits_posted: Wide,
    credits_pending: Wide,
    credits_posted: Wide,
}

impl Total {
    /// Replaces what one account contributed. Never wraps: there are fewer accounts than 2⁶⁴.
    fn change(&mut self, before: &Balance, now: &Balance) {
        let change = |sum: &mut Wide, before: U256, now: U256| {
            *sum = sum
                .wrapping_sub(Wide::from(before))
                .wrapping_add(Wide::from(now));
        };
        change(
            &mut self.debits_pending,
            before.debits_pending,
            now.debits_pending,
        );
        change(
            &mut self.debits_posted,
            before.debits_posted,
            now.debits_posted,
        );
        change(
            &mut self.credits_pending,
            before.credits_pending,
            now.credits_pending,
        );
        change(
            &mut self.credits_posted,
            before.credits_posted,
            now.credits_posted,
        );
    }

    fn balance(&self, asset: AssetId) -> Option<Balance> {
        let narrow = |sum: Wide| U256::checked_from_limbs_slice(sum.as_limbs());
        Some(Balance {
            asset,
            debits_pending: narrow(self.debits_pending)?,
            debits_posted: narrow(self.debits_posted)?,
            credits_pending: narrow(self.credits_pending)?,
            credits_posted: narrow(self.credits_posted)?,
        })
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    numbers: BTreeMap<Arc<AccountId>, u32>,
    rows: Slab<Account>,
    totals: BTreeMap<AssetId, Total>,
}

impl Accounts {
    /// How many there are.
    pub(super) const fn len(&self) -> u32 {
        self.rows.len()
    }

    /// The number of this account, if anything ever happened to it.
    pub(super) fn number(&self, name: &AccountId) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// This account, which is made if it is new.
    pub(super) fn holder(&mut self, name: &AccountId) -> Result<Holder, StoreError> {
        if let Some((name, number)) = self.numbers.get_key_value(name) {
            return Ok(Holder {
                number: *number,
                name: Arc::clone(name),
            });
        }
        let name = Arc::new(name.clone());
        let account = Account {
            name: Arc::clone(&name),
            sums: Vec::new(),
        };
        let number = self.rows.push(account).ok_or(StoreError::Unavailable)?;
        self.numbers.insert(Arc::clone(&name), number);
        Ok(Holder { number, name })
    }

    /// The sums of an account; zero when nothing happened to it.
    pub(super) fn sums(&self, name: &AccountId, asset: AssetId) -> Sums {
        self.number(name)
            .and_then(|number| self.row(number, asset))
            .unwrap_or(Sums::zero(asset))
    }

    /// Accounts of a role in one asset, in the order of their names.
    pub(super) fn of_role(
        &self,
        role: &str,
        asset: AssetId,
        after: Option<&AccountId>,
        limit: u32,
    ) -> AccountPage {
        let of_role = |name: &AccountId| name.role() == role;
        let all = match after {
            Some(after) => self
                .numbers
                .range::<AccountId, _>((Bound::Excluded(after), Bound::Unbounded)),
            None => self.numbers.range::<AccountId, _>(..),
        };
        all.filter(|(name, _)| of_role(name))
            .filter_map(|(name, number)| {
                let sums = self.row(*number, asset)?;
                Some((AccountId::clone(name), sums.balance))
            })
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect()
    }

    fn row(&self, number: u32, asset: AssetId) -> Option<Sums> {
        let sums = &self.rows.get(number)?.sums;
        let place = sums.binary_search_by_key(&asset, |sums| sums.balance.asset);
        sums.get(place.ok()?).copied()
    }

    /// Applies the same movements to the giving side of one account and the receiving side of the other, and counts the
    /// amount to the exposure of the one that gives. [`StoreError::Damaged`], and nothing changes, when a sum would leave
    /// its range.
    pub(super) fn apply(
        &mut self,
        [debit, credit]: [u32; 2],
        amount: Amount,
        movements: &[Movement],
        exposing: Exposing,
    ) -> Result<(), StoreError> {
        let (asset, value) = (amount.asset(), amount.value());
        let known = |number| self.row(number, asset).unwrap_or(Sums::zero(asset));
        let moved = |sums: Sums, side| {
            let mut balances = movements.iter();
            balances.try_fold(sums.balance, |sum, movement| {
                sum.after(side, *movement, value)
            })
        };
        let mut gives = known(debit);
        gives.balance = moved(gives, Side::Debit).map_err(|_| StoreError::Damaged)?;
        gives.exposure = match exposing {
            Exposing::No => Some(gives.exposure),
            Exposing::Begins => gives.exposure.checked_add(value),
            Exposing::Ceases => gives.exposure.checked_sub(value),
        }
        .ok_or(StoreError::Damaged)?;
        let mut receives = if debit == credit {
            gives
        } else {
            known(credit)
        };
        receives.balance = moved(receives, Side::Credit).map_err(|_| StoreError::Damaged)?;
        // Nothing fails from here on.
        self.put(debit, gives);
        self.put(credit, receives);
        Ok(())
    }

    fn put(&mut self, number: u32, now: Sums) {
        let asset = now.balance.asset;
        let Some(account) = self.rows.get_mut(number) else {
            return;
        };
        let place = account
            .sums
            .binary_search_by_key(&asset, |sums| sums.balance.asset);
        let before = match place {
            Ok(place) => account
                .sums
                .get_mut(place)
                .map(|known| std::mem::replace(known, now)),
            Err(place) => {
                account.sums.reserve_exact(1);
                account.sums.insert(place, now);
                None
            }
        };
        let before = before.map_or(Balance::zero(asset), |sums| sums.balance);
        let total = self.totals.entry(asset).or_default();
        total.change(&before, &now.balance);
    }

    /// The sums over all accounts, one per asset, in the order of the assets.
    pub(super) fn totals(&self) -> Result<Totals, StoreError> {
        let totals = self.totals.iter();
        totals
            .map(|(asset, total)| total.balance(*asset).ok_or(StoreError::Damaged))
            .collect()
    }

    /// Every sum there is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&AccountId, &Sums)> {
        let rows = self.rows.iter();
        rows.flat_map(|row| row.sums.iter().map(|sums| (&*row.name, sums)))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use faregate_types::{Address, ChainId};

    use super::*;

    #[test]
    fn a_movement_that_fails_on_one_side_changes_neither() {
        let asset = AssetId::erc20(ChainId::evm(1), Address::ZERO);
        let mut accounts = Accounts::default();
        let mut holder = |text: &str| accounts.holder(&AccountId::parse(text).unwrap()).unwrap();
        let [a, b, payee] = ["payer/a", "payer/b", "payee/p"].map(&mut holder);
        let max = Amount::new(U256::MAX, asset);
        let one = Amount::new(U256::from(1), asset);
        let reserve = &[Movement::Reserve];
        let both = [a.number, payee.number];
        accounts.apply(both, max, reserve, Exposing::No).unwrap();
        let refused = accounts.apply([b.number, payee.number], one, reserve, Exposing::Begins);
        assert_eq!(refused, Err(StoreError::Damaged));
        assert_eq!(accounts.sums(&b.name, asset), Sums::zero(asset));
        assert!(accounts.totals().unwrap()[0].is_balanced());
        // Both are in the range of 256 bits, and their sum is not.
        let aside = accounts
            .holder(&AccountId::parse("payee/q").unwrap())
            .unwrap();
        let others = [b.number, aside.number];
        accounts.apply(others, one, reserve, Exposing::No).unwrap();
        assert_eq!(accounts.totals(), Err(StoreError::Damaged));
        let void = &[Movement::Void];
        accounts.apply(others, one, void, Exposing::No).unwrap();
        assert_eq!(accounts.totals().unwrap()[0].debits_pending, U256::MAX);
    }

    #[test]
    fn one_account_may_be_on_both_sides() {
        let asset = AssetId::erc20(ChainId::evm(1), Address::ZERO);
        let mut accounts = Accounts::default();
        let own = accounts
            .holder(&AccountId::parse("own/a").unwrap())
            .unwrap();
        let five = Amount::new(U256::from(5), asset);
        let movements = &[Movement::Reserve, Movement::Post];
        let both = [own.number, own.number];
        accounts
            .apply(both, five, movements, Exposing::Begins)
            .unwrap();
        let sums = accounts.sums(&own.name, asset);
        assert_eq!(sums.exposure, U256::from(5));
        assert_eq!(sums.balance.debits_posted, U256::from(5));
        assert!(sums.balance.is_balanced());
        assert_eq!(accounts.totals(), Ok(vec![sums.balance]));
    }
}
