//! What one transaction works on: a part of the credit books in memory, locked in the database. The rules read it as their
//! [`State`]; what they say is noted here for [`write`](super::write). A decision that cannot be noted changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Changes, Collateral, Entry, EntryKind, Guarantee, Identity, State, Tab, TabId,
    TabPayment,
};
use faregate_ledger::{AccountId, Side};
use faregate_types::{AssetId, ChainId, Timestamp};

use super::super::fault::Fault;
use super::super::seqs::Seqs;
use super::super::sheet::{Sums, SumsName};
use super::rows::is_funding;

/// A payer and an asset.
pub(super) type Owned = (Address, Address);

/// A part of the books. What is not here is not in them: whoever loads knows what will be asked.
#[derive(Debug)]
pub(super) struct Sheet {
    chain: ChainId,
    pub(super) accounts: HashMap<Address, Account>,
    pub(super) tabs: HashMap<TabId, TabRow>,
    active: HashMap<Identity, TabId>,
    /// Numbers of guarantees that are taken, among those that will be asked about.
    pub(super) taken: HashSet<(TabId, U256)>,
    pub(super) besides: BTreeMap<Owned, Beside>,
    pub(super) sums: HashMap<SumsName, Sums>,
    pub(super) payments: HashMap<B256, PaymentRow>,
    pub(super) news: News,
}

/// A tab.
#[derive(Debug)]
pub(super) struct TabRow {
    pub(super) tab: Tab,
    /// The number of the last line of its journal.
    pub(super) seq: i64,
    pub(super) standing: Standing,
    pub(super) is_changed: bool,
}

/// How a tab is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was there when somebody looked; it may be different by now.
    Seen,
    /// It is there, and locked.
    Locked,
    /// It was not there.
    New,
}

/// What the ledger does not know of a payer's collateral.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) known: Collateral,
    pub(super) is_stored: bool,
    /// How often it changed in this transaction.
    pub(super) touched: u64,
    /// Whether the request to withdraw is another.
    pub(super) is_asked: bool,
}

/// A payment.
#[derive(Debug)]
pub(super) struct PaymentRow {
    pub(super) payment: TabPayment,
    pub(super) is_stored: bool,
    pub(super) is_changed: bool,
}

/// Rows that are only ever added.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) accounts: Vec<Account>,
    /// With the number of the line that reserves it, and what that locks.
    pub(super) guarantees: Vec<(Guarantee, i64, U256)>,
    /// Lines of tabs, with their numbers.
    pub(super) entries: Vec<(TabId, i64, Entry)>,
    /// Lines without a tab, with the place where they happened.
    pub(super) fundings: Vec<(B256, Entry)>,
}

impl State for Sheet {
    type Fault = Fault;

    fn account(&self, address: Address) -> Result<Option<Account>, Fault> {
        Ok(self.accounts.get(&address).copied())
    }

    fn collateral(&self, payer: Address, asset: Address) -> Result<Option<Collateral>, Fault> {
        let Some(beside) = self.besides.get(&(payer, asset)) else {
            return Ok(None);
        };
        let name = (AccountId::collateral(payer), self.asset(asset));
        let sums = self.sums.get(&name).ok_or(NOT_LOADED)?;
        let (total, locked) = Collateral::of(&sums.balance);
        Ok(Some(Collateral {
            total,
            locked,
            ..beside.known
        }))
    }

    fn tab(&self, id: TabId) -> Result<Option<Tab>, Fault> {
        Ok(self.tabs.get(&id).map(|row| row.tab.clone()))
    }

    fn active_tab(&self, identity: &Identity) -> Result<Option<Tab>, Fault> {
        let id = self.active.get(identity);
        Ok(id
            .and_then(|id| self.tabs.get(id))
            .map(|row| row.tab.clone()))
    }

    fn has_guarantee(&self, tab: TabId, req: U256) -> Result<bool, Fault> {
        Ok(self.taken.contains(&(tab, req)))
    }

    fn payment(&self, record: B256) -> Result<Option<TabPayment>, Fault> {
        let row = self.payments.get(&record);
        Ok(row.map(|row| row.payment.clone()))
    }
}

/// What only a bug brings about.
const NOT_LOADED: Fault = Fault::Damaged("something that was not loaded");

impl Sheet {
    pub(super) fn new(chain: ChainId) -> Self {
        Self {
            chain,
            accounts: HashMap::new(),
            tabs: HashMap::new(),
            active: HashMap::new(),
            taken: HashSet::new(),
            besides: BTreeMap::new(),
            sums: HashMap::new(),
            payments: HashMap::new(),
            news: News::default(),
        }
    }

    /// How the ledger calls an asset of the contract.
    pub(super) const fn asset(&self, asset: Address) -> AssetId {
        AssetId::erc20(self.chain, asset)
    }

    /// Knows a tab.
    pub(super) fn put_tab(&mut self, row: TabRow) {
        let (id, identity) = (row.tab.id, row.tab.identity);
        if let Some(before) = self.tabs.get(&id).map(|before| before.tab.identity)
            && self.active.get(&before) == Some(&id)
        {
            self.active.remove(&before);
        }
        if row.tab.is_active() {
            self.active.insert(identity, id);
        }
        self.tabs.insert(id, row);
    }

    /// Whether the active tab of an identity is known.
    pub(super) fn knows_active(&self, identity: &Identity) -> bool {
        self.active.contains_key(identity)
    }

    /// Notes what a decision said.
    pub(super) fn note(&mut self, changes: Changes, seqs: &Seqs) -> Result<(), Fault> {
        let moved = self.moved(&changes)?;
        self.sums.extend(moved);
        if let Some(account) = changes.account {
            self.accounts.insert(account.address, account);
            self.news.accounts.push(account);
        }
        for tab in changes.tabs {
            self.note_tab(tab);
        }
        let mut guarantee = changes.guarantee;
        for entry in changes.entries {
            self.touch((entry.payer, entry.asset), entry.at, None);
            self.note_entry(entry, &mut guarantee, seqs);
        }
        if let Some(asked) = changes.withdrawal {
            self.touch((asked.payer, asked.asset), asked.at, Some(asked.amount));
        }
        if let Some(payment) = changes.payment {
            let record = payment.record();
            let is_stored = self.payments.get(&record).is_some_and(|row| row.is_stored);
            let row = PaymentRow {
                payment,
                is_stored,
                is_changed: true,
            };
            self.payments.insert(record, row);
        }
        Ok(())
    }

    /// The sums after what is said, if all of it can be noted.
    fn moved(&self, changes: &Changes) -> Result<HashMap<SumsName, Sums>, Fault> {
        for tab in &changes.tabs {
            if self.tabs.get(&tab.id).map(|row| row.standing) == Some(Standing::Seen) {
                return Err(Fault::Damaged("a tab that is not locked"));
            }
        }
        let reserves = |entry: &Entry| entry.kind == EntryKind::Reserve;
        let reserved = changes.entries.iter().filter(|entry| reserves(entry));
        let fits = |guarantee: &Guarantee| changes.entries.iter().any(|entry| of(entry, guarantee));
        if changes.guarantee.as_ref().is_some_and(|it| !fits(it))
            || reserved.count() != usize::from(changes.guarantee.is_some())
        {
            return Err(Fault::Damaged("a guarantee that reserves nothing"));
        }
        let mut moved = HashMap::<SumsName, Sums>::new();
        for entry in &changes.entries {
            self.check(entry, &changes.tabs)?;
            for (transfer, movement) in entry.postings(self.chain) {
                let (asset, amount) = (transfer.amount.asset(), transfer.amount.value());
                let sides = [
                    (transfer.debit, Side::Debit),
                    (transfer.credit, Side::Credit),
                ];
                for (account, side) in sides {
                    let name = (account, asset);
                    let before = moved.get(&name).or_else(|| self.sums.get(&name));
                    let mut sums = before.ok_or(NOT_LOADED)?.clone();
                    sums.after(side, movement, amount)?;
                    moved.insert(name, sums);
                }
            }
        }
        Ok(moved)
    }

    /// Whether a line belongs where its kind belongs.
    fn check(&self, entry: &Entry, tabs: &[Tab]) -> Result<(), Fault> {
        let on_the_chain = !matches!(entry.kind, EntryKind::Reserve | EntryKind::CancelReserve);
        let has_tab = entry.tab.is_some_and(|(id, _)| {
            self.tabs.contains_key(&id) || tabs.iter().any(|tab| tab.id == id)
        });
        if entry.place.is_some() == on_the_chain && has_tab != is_funding(entry.kind) {
            Ok(())
        } else {
            Err(Fault::Damaged("an entry that belongs nowhere"))
        }
    }

    fn note_tab(&mut self, tab: Tab) {
        let before = self.tabs.get(&tab.id);
        let (seq, standing) = before.map_or((0, Standing::New), |row| (row.seq, row.standing));
        self.put_tab(TabRow {
            tab,
            seq,
            standing,
            is_changed: true,
        });
    }

    fn note_entry(&mut self, entry: Entry, guarantee: &mut Option<Guarantee>, seqs: &Seqs) {
        let Some(row) = entry.tab.and_then(|(id, _)| self.tabs.get_mut(&id)) else {
            let place = entry.place.map(|place| place.record());
            self.news.fundings.extend(place.map(|place| (place, entry)));
            return;
        };
        // Also after lines of a process whose clock is ahead.
        row.seq = seqs.next().max(row.seq.saturating_add(1));
        row.is_changed = true;
        let (id, seq) = (row.tab.id, row.seq);
        match guarantee.take_if(|guarantee| of(&entry, guarantee)) {
            Some(guarantee) => {
                self.taken.insert((id, guarantee.req));
                self.news.guarantees.push((guarantee, seq, entry.lock));
            }
            None => self.news.entries.push((id, seq, entry)),
        }
    }

    fn touch(&mut self, key: Owned, at: Timestamp, asked: Option<U256>) {
        let beside = self.besides.entry(key).or_insert_with(|| Beside {
            known: Collateral::default(),
            is_stored: false,
            touched: 0,
            is_asked: false,
        });
        beside.touched = beside.touched.saturating_add(1);
        beside.known.version = beside.known.version.saturating_add(1);
        beside.known.updated_at = at;
        if let Some(amount) = asked {
            beside.known.withdrawing = amount;
            beside.is_asked = true;
        }
    }
}

/// Whether this line reserves this guarantee.
fn of(entry: &Entry, guarantee: &Guarantee) -> bool {
    entry.kind == EntryKind::Reserve
        && entry.tab.is_some_and(|(tab, _)| tab == guarantee.tab)
        && entry.req == Some(guarantee.req)
        && entry.amount == guarantee.amount
        && entry.at == guarantee.created_at
}
