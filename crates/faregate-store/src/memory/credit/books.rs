//! The maps, and how they change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Changes, Collateral, Cursor, Entry, EntryId, Guarantee, Happening,
    Identity, PaymentStage, Place, State, Tab, TabId, TabPayment, Terms, Withdrawal, apply,
    release,
};
use faregate_core::port::credit::{Batch, Entered, PutAside};
use faregate_ledger::{AccountId, Balance, Side, StoreError};
use faregate_types::{AssetId, ChainId, Timestamp};

use super::super::limits::CREDIT_ROWS_MAX;

/// What the ledger does not know of a payer's collateral.
#[derive(Clone, Copy, Default)]
struct Beside {
    withdrawing: U256,
    version: u64,
    updated_at: Timestamp,
}

/// Everything.
pub(super) struct Books {
    chain: ChainId,
    pub(super) accounts: HashMap<Address, Account>,
    balances: HashMap<(AccountId, AssetId), Balance>,
    beside: BTreeMap<(Address, Address), Beside>,
    pub(super) tabs: HashMap<TabId, Tab>,
    active: HashMap<Identity, TabId>,
    /// Of each tab in the order they were issued, and where each number is.
    pub(super) guarantees: HashMap<TabId, Vec<Guarantee>>,
    numbers: HashMap<(TabId, U256), usize>,
    pub(super) uncertified: Vec<(TabId, U256)>,
    pub(super) entries: Vec<Entry>,
    entry_ids: HashSet<EntryId>,
    pub(super) payments: BTreeMap<Place, TabPayment>,
    records: HashMap<B256, Place>,
    seen: HashSet<(B256, Option<u64>)>,
    pub(super) aside: Vec<PutAside>,
    cursor: Option<Cursor>,
}

impl State for Books {
    type Fault = StoreError;

    fn account(&self, address: Address) -> Result<Option<Account>, StoreError> {
        Ok(self.accounts.get(&address).copied())
    }

    fn collateral(&self, payer: Address, asset: Address) -> Result<Option<Collateral>, StoreError> {
        let Some(beside) = self.beside.get(&(payer, asset)) else {
            return Ok(None);
        };
        let balance = self.balance(payer, AssetId::erc20(self.chain, asset));
        let (total, locked) = Collateral::of(&balance);
        Ok(Some(Collateral {
            total,
            locked,
            withdrawing: beside.withdrawing,
            version: beside.version,
            updated_at: beside.updated_at,
        }))
    }

    fn tab(&self, id: TabId) -> Result<Option<Tab>, StoreError> {
        Ok(self.tabs.get(&id).cloned())
    }

    fn active_tab(&self, identity: &Identity) -> Result<Option<Tab>, StoreError> {
        let id = self.active.get(identity);
        Ok(id.and_then(|id| self.tabs.get(id)).cloned())
    }

    fn has_guarantee(&self, tab: TabId, req: U256) -> Result<bool, StoreError> {
        Ok(self.numbers.contains_key(&(tab, req)))
    }

    fn payment(&self, record: B256) -> Result<Option<TabPayment>, StoreError> {
        let place = self.records.get(&record);
        Ok(place.and_then(|place| self.payments.get(place)).cloned())
    }
}

impl Books {
    pub(super) fn new(chain: ChainId) -> Self {
        Self {
            chain,
            accounts: HashMap::new(),
            balances: HashMap::new(),
            beside: BTreeMap::new(),
            tabs: HashMap::new(),
            active: HashMap::new(),
            guarantees: HashMap::new(),
            numbers: HashMap::new(),
            uncertified: Vec::new(),
            entries: Vec::new(),
            entry_ids: HashSet::new(),
            payments: BTreeMap::new(),
            records: HashMap::new(),
            seen: HashSet::new(),
            aside: Vec::new(),
            cursor: None,
        }
    }

    pub(super) const fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    pub(super) fn balance(&self, payer: Address, asset: AssetId) -> Balance {
        let key = (AccountId::collateral(payer), asset);
        let found = self.balances.get(&key).copied();
        found.unwrap_or_else(|| Balance::zero(asset))
    }

    pub(super) fn totals(&self) -> Result<Vec<Balance>, StoreError> {
        let mut totals = BTreeMap::<AssetId, Balance>::new();
        for balance in self.balances.values() {
            let total = totals
                .entry(balance.asset)
                .or_insert_with(|| Balance::zero(balance.asset));
            *total = total.plus(balance).map_err(|_| StoreError::Damaged)?;
        }
        Ok(totals.into_values().collect())
    }

    pub(super) fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Result<Vec<(Address, Address, Collateral)>, StoreError> {
        let keys = self.beside.keys().copied();
        let keys = keys.filter(|key| after.is_none_or(|after| *key > after));
        keys.take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(payer, asset)| {
                let collateral = self.collateral(payer, asset)?;
                Ok((payer, asset, collateral.unwrap_or_default()))
            })
            .collect()
    }

    /// Writes what a decision said: the money first, because only that can fail, so that nothing is written when it does.
    pub(super) fn write(&mut self, changes: Changes) -> Result<(), StoreError> {
        let rows = self.tabs.len().saturating_add(self.entries.len());
        let grows = changes.guarantee.is_some() || !changes.tabs.is_empty();
        if grows && rows >= CREDIT_ROWS_MAX {
            return Err(StoreError::Unavailable);
        }
        let moved = self.moved(&changes.entries)?;
        self.balances.extend(moved);
        for entry in changes.entries {
            self.touch((entry.payer, entry.asset), entry.at, None);
            self.entry_ids.insert(entry.id());
            self.entries.push(entry);
        }
        if let Some(account) = changes.account {
            self.keep_account(account);
        }
        if let Some(withdrawal) = changes.withdrawal {
            let Withdrawal {
                payer,
                asset,
                amount,
                at,
            } = withdrawal;
            self.touch((payer, asset), at, Some(amount));
        }
        for tab in changes.tabs {
            self.keep_tab(tab);
        }
        if let Some(guarantee) = changes.guarantee {
            self.keep_guarantee(guarantee);
        }
        if let Some(payment) = changes.payment {
            self.records.insert(payment.record(), payment.place);
            self.payments.insert(payment.place, payment);
        }
        Ok(())
    }

    /// The balances that the entries change, as they are afterwards.
    fn moved(
        &self,
        entries: &[Entry],
    ) -> Result<HashMap<(AccountId, AssetId), Balance>, StoreError> {
        let mut moved = HashMap::<(AccountId, AssetId), Balance>::new();
        for entry in entries {
            if self.entry_ids.contains(&entry.id()) {
                return Err(StoreError::Damaged);
            }
            for (transfer, movement) in entry.postings(self.chain) {
                let asset = transfer.amount.asset();
                let sides = [
                    (transfer.debit, Side::Debit),
                    (transfer.credit, Side::Credit),
                ];
                for (account, side) in sides {
                    let key = (account, asset);
                    let before = moved.get(&key).or_else(|| self.balances.get(&key)).copied();
                    let after = before
                        .unwrap_or_else(|| Balance::zero(asset))
                        .after(side, movement, transfer.amount.value())
                        .map_err(|_| StoreError::Damaged)?;
                    moved.insert(key, after);
                }
            }
        }
        Ok(moved)
    }

    fn touch(&mut self, key: (Address, Address), at: Timestamp, withdrawing: Option<U256>) {
        let beside = self.beside.entry(key).or_default();
        beside.version = beside.version.saturating_add(1);
        beside.updated_at = at;
        beside.withdrawing = withdrawing.unwrap_or(beside.withdrawing);
    }

    pub(super) fn keep_account(&mut self, account: Account) -> Account {
        self.accounts.insert(account.address, account);
        account
    }

    fn keep_tab(&mut self, tab: Tab) {
        let old = self.tabs.get(&tab.id).map(|old| old.identity);
        if let Some(old) = old
            && self.active.get(&old) == Some(&tab.id)
        {
            self.active.remove(&old);
        }
        if tab.is_active() {
            self.active.insert(tab.identity, tab.id);
        }
        self.tabs.insert(tab.id, tab);
    }

    fn keep_guarantee(&mut self, guarantee: Guarantee) {
        let (tab, req) = (guarantee.tab, guarantee.req);
        let issued = self.guarantees.entry(tab).or_default();
        self.numbers.insert((tab, req), issued.len());
        self.uncertified.push((tab, req));
        issued.push(guarantee);
    }

    pub(super) fn guarantee(&self, tab: TabId, req: U256) -> Option<Guarantee> {
        let at = self.numbers.get(&(tab, req))?;
        self.guarantees.get(&tab)?.get(*at).cloned()
    }

    pub(super) fn certify(
        &mut self,
        tab: TabId,
        req: U256,
        certificate: Certificate,
    ) -> Result<(), StoreError> {
        let at = self.numbers.get(&(tab, req)).copied();
        let issued = self.guarantees.get_mut(&tab);
        let guarantee = issued.zip(at).and_then(|(issued, at)| issued.get_mut(at));
        let guarantee = guarantee.ok_or(StoreError::NotFound)?;
        guarantee.certificate.get_or_insert(certificate);
        self.uncertified.retain(|left| *left != (tab, req));
        Ok(())
    }

    pub(super) fn enter(
        &mut self,
        batch: &Batch,
        terms: &Terms,
        release_max: u32,
    ) -> Result<Entered, StoreError> {
        if batch.from != self.cursor {
            return Err(StoreError::Conflict);
        }
        let mut entered = Entered::default();
        for happening in &batch.happenings {
            self.enter_one(happening, &mut entered)?;
        }
        let mut due: Vec<(Timestamp, TabId)> = self
            .tabs
            .values()
            .filter(|tab| release(tab, terms, batch.to.time).is_some())
            .map(|tab| (tab.latest, tab.id))
            .collect();
        due.sort_unstable();
        due.truncate(usize::try_from(release_max).unwrap_or(usize::MAX));
        for (_, id) in due {
            let tab = self.tabs.get(&id).cloned();
            if let Some(changes) = tab.and_then(|tab| release(&tab, terms, batch.to.time)) {
                self.write(changes)?;
                entered.expired = entered.expired.saturating_add(1);
            }
        }
        self.cursor = Some(batch.to);
        Ok(entered)
    }

    fn enter_one(
        &mut self,
        happening: &Happening,
        entered: &mut Entered,
    ) -> Result<(), StoreError> {
        let place = happening.place;
        if !self.seen.insert((place.transaction, place.log)) {
            entered.repeated = entered.repeated.saturating_add(1);
            return Ok(());
        }
        let (changes, odd) = apply(self, happening)?;
        if changes != Changes::default() {
            entered.applied = entered.applied.saturating_add(1);
        }
        self.write(changes)?;
        if let Some(odd) = odd {
            entered.odd.push((place, odd));
            self.aside.push(PutAside::of(happening, odd));
        }
        Ok(())
    }

    pub(super) fn telling(
        &mut self,
        places: &[Place],
        transaction: B256,
    ) -> Result<(), StoreError> {
        let known: BTreeSet<_> = self.payments.keys().copied().collect();
        if !places.iter().all(|place| known.contains(place)) {
            return Err(StoreError::NotFound);
        }
        for place in places {
            if let Some(payment) = self.payments.get_mut(place)
                && is_untold(payment)
            {
                payment.stage = PaymentStage::Telling(transaction);
            }
        }
        Ok(())
    }

    pub(super) fn refuse_payment(&mut self, place: Place) -> Result<(), StoreError> {
        let payment = self.payments.get_mut(&place).ok_or(StoreError::NotFound)?;
        if is_untold(payment) {
            payment.stage = PaymentStage::Refused;
        }
        Ok(())
    }
}

/// Whether the contract is still to be told of it, as far as we know.
pub(super) const fn is_untold(payment: &TabPayment) -> bool {
    matches!(
        payment.stage,
        PaymentStage::Found | PaymentStage::Telling(_)
    )
}
