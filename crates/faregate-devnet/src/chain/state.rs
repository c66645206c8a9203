//! Accounts and storage, and changes to them that can be taken back.
//!
//! There is one [`State`]: that of the newest block. Whatever changes it hands back a [`Changes`] that undoes the change,
//! and the state of an older block is the newest one seen through the undo changes in between ([`View`]). That costs
//! memory in proportion to what happened, not to what exists.

use std::{collections::HashMap, convert::Infallible};

use alloy_primitives::{Address, B256, U256, map::AddressMap};
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    state::{Account as EvmAccount, AccountInfo},
};

use super::blocks::Blocks;

/// One account that exists.
#[derive(Clone, Debug, Default)]
struct Account {
    info: AccountInfo,
    storage: HashMap<U256, U256>,
}

/// All accounts as of now.
#[derive(Debug, Default)]
pub(crate) struct State {
    accounts: HashMap<Address, Account>,
}

/// What becomes of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountChange {
    /// Balance, nonce and code afterwards; `None`: the account does not exist afterwards.
    info: Option<AccountInfo>,
    /// Whether all earlier storage goes before `storage` is written.
    wiped: bool,
    /// Slots and their values afterwards.
    storage: HashMap<U256, U256>,
}

/// What becomes of several accounts, applied as one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    accounts: HashMap<Address, AccountChange>,
}

impl State {
    /// Applies `changes` and returns what undoes them.
    pub(crate) fn apply(&mut self, changes: Changes) -> Changes {
        let mut undo = Changes::default();
        for (address, change) in changes.accounts {
            undo.accounts
                .insert(address, self.apply_one(address, change));
        }
        undo
    }

    fn apply_one(&mut self, address: Address, change: AccountChange) -> AccountChange {
        let before = self.accounts.get_mut(&address);
        let Some(info) = change.info else {
            return before_to_undo(self.accounts.remove(&address));
        };
        let Some(account) = before else {
            let storage = without_zeros(change.storage);
            self.accounts.insert(address, Account { info, storage });
            return AccountChange::default();
        };
        let mut undo = AccountChange {
            info: Some(std::mem::replace(&mut account.info, info)),
            ..AccountChange::default()
        };
        if change.wiped {
            undo.wiped = true;
            undo.storage = std::mem::replace(&mut account.storage, without_zeros(change.storage));
            return undo;
        }
        for (slot, value) in change.storage {
            let old = if value.is_zero() {
                account.storage.remove(&slot)
            } else {
                account.storage.insert(slot, value)
            };
            undo.storage.insert(slot, old.unwrap_or_default());
        }
        undo
    }
}

/// The change that brings a removed account back.
fn before_to_undo(before: Option<Account>) -> AccountChange {
    before.map_or_else(AccountChange::default, |account| AccountChange {
        info: Some(account.info),
        wiped: true,
        storage: account.storage,
    })
}

fn without_zeros(mut storage: HashMap<U256, U256>) -> HashMap<U256, U256> {
    storage.retain(|_, value| !value.is_zero());
    storage
}

impl Changes {
    /// Adds changes that happen after these, so that the sum can be applied as one.
    pub(crate) fn then(&mut self, later: &Self) {
        for (address, change) in &later.accounts {
            self.then_one(*address, change.clone());
        }
    }

    fn then_one(&mut self, address: Address, later: AccountChange) {
        let Some(earlier) = self.accounts.get_mut(&address) else {
            self.accounts.insert(address, later);
            return;
        };
        if later.wiped || later.info.is_none() {
            *earlier = AccountChange {
                wiped: true,
                ..later
            };
            return;
        }
        // What is written to an account that was gone starts from empty storage.
        earlier.wiped |= earlier.info.is_none();
        earlier.info = later.info;
        earlier.storage.extend(later.storage);
    }

    /// Whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

/// The state seen through changes that are not applied: a block being built, a simulated call, or an older block.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    state: &'a State,
    blocks: &'a Blocks,
    changes: Changes,
}

impl<'a> View<'a> {
    /// The state as it stands.
    pub(crate) fn new(state: &'a State, blocks: &'a Blocks) -> Self {
        Self {
            state,
            blocks,
            changes: Changes::default(),
        }
    }

    /// Sees the state through further changes.
    pub(crate) fn see_through(&mut self, changes: &Changes) {
        self.changes.then(changes);
    }

    /// Ends the view and hands over the changes made in it.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Balance, nonce and code, if the account exists.
    pub(crate) fn account(&self, address: Address) -> Option<&AccountInfo> {
        match self.changes.accounts.get(&address) {
            Some(change) => change.info.as_ref(),
            None => self
                .state
                .accounts
                .get(&address)
                .map(|account| &account.info),
        }
    }

    /// The balance in wei.
    pub(crate) fn balance(&self, address: Address) -> U256 {
        self.account(address)
            .map_or(U256::ZERO, |info| info.balance)
    }

    /// The number of transactions sent (for a contract: contracts made, plus one).
    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |info| info.nonce)
    }

    /// The runtime code; empty for an account without any.
    pub(crate) fn code(&self, address: Address) -> alloy_primitives::Bytes {
        self.account(address)
            .and_then(|info| info.code.as_ref())
            .map(Bytecode::original_bytes)
            .unwrap_or_default()
    }

    /// One storage slot.
    pub(crate) fn slot(&self, address: Address, slot: U256) -> U256 {
        if let Some(change) = self.changes.accounts.get(&address) {
            if let Some(value) = change.storage.get(&slot) {
                return *value;
            }
            if change.wiped || change.info.is_none() {
                return U256::ZERO;
            }
        }
        self.state
            .accounts
            .get(&address)
            .and_then(|account| account.storage.get(&slot))
            .copied()
            .unwrap_or_default()
    }

    /// Changes balance, nonce or code of an account, making it if need be.
    pub(crate) fn edit(&mut self, address: Address, edit: impl FnOnce(&mut AccountInfo)) {
        let mut info = self.account(address).cloned().unwrap_or_default();
        edit(&mut info);
        self.changes.then_one(
            address,
            AccountChange {
                info: Some(info),
                ..AccountChange::default()
            },
        );
    }

    /// Writes one storage slot, making the account if need be.
    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.edit(address, |_| {});
        if let Some(change) = self.changes.accounts.get_mut(&address) {
            change.storage.insert(slot, value);
        }
    }

    /// Empties the storage of an account.
    pub(crate) fn wipe_storage(&mut self, address: Address) {
        self.edit(address, |_| {});
        if let Some(change) = self.changes.accounts.get_mut(&address) {
            change.wiped = true;
            change.storage.clear();
        }
    }

    fn commit_one(&mut self, address: Address, account: EvmAccount) {
        if !account.is_touched() {
            return;
        }
        if account.is_selfdestructed() || account.info.is_empty() {
            self.changes.then_one(
                address,
                AccountChange {
                    wiped: true,
                    ..AccountChange::default()
                },
            );
            return;
        }
        let storage = account
            .changed_storage_slots()
            .map(|(slot, value)| (*slot, value.present_value()))
            .collect();
        self.changes.then_one(
            address,
            AccountChange {
                wiped: account.is_created(),
                info: Some(account.info),
                storage,
            },
        );
    }
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.account(address).cloned())
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        // `basic` always hands over the code, so the interpreter has no reason to come here; it gets a true answer anyway.
        let changed = self
            .changes
            .accounts
            .values()
            .filter_map(|change| change.info.as_ref());
        let known = self.state.accounts.values().map(|account| &account.info);
        Ok(changed
            .chain(known)
            .find(|info| info.code_hash == code_hash)
            .and_then(|info| info.code.clone())
            .unwrap_or_default())
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.slot(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(self
            .blocks
            .by_number(number)
            .map_or(B256::ZERO, |block| block.hash))
    }
}

impl DatabaseCommit for View<'_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in changes {
            self.commit_one(address, account);
        }
    }
}
