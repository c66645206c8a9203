//! Two stores over the same books: what one writes the other sees, and their crowds race.

use std::sync::atomic::{AtomicUsize, Ordering};

use faregate_core::credit::{
    Account, Certificate, Collateral, Cursor, Entry, Guarantee, Issue, OpenTab, Opened, Place,
    Settlement, Tab, TabId, TabPayment, Terms,
};
use faregate_core::port::credit::{
    Answer, Batch, CreditError, CreditStore, Entered, Page, PutAside,
};
use faregate_ledger::StoreError;
use faregate_types::{Address, B256, Timestamp, U256};
use futures_util::future::BoxFuture;

/// Asked in turns.
pub(crate) struct InTurns<S> {
    stores: [S; 2],
    turn: AtomicUsize,
}

impl<S> InTurns<S> {
    pub(crate) fn new(stores: [S; 2]) -> Self {
        Self {
            stores,
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &S {
        let [even, odd] = &self.stores;
        if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            even
        } else {
            odd
        }
    }
}

impl<S: CreditStore> CreditStore for InTurns<S> {
    fn open_tab(
        &self,
        command: OpenTab,
        terms: Terms,
    ) -> BoxFuture<'_, Result<Opened, CreditError>> {
        self.next().open_tab(command, terms)
    }
    fn issue(&self, command: Issue, terms: Terms) -> BoxFuture<'_, Result<Guarantee, CreditError>> {
        self.next().issue(command, terms)
    }
    fn certify(&self, tab: TabId, req: U256, certificate: Certificate) -> Answer<'_, ()> {
        self.next().certify(tab, req, certificate)
    }
    fn uncertified(&self, limit: u32) -> Answer<'_, Vec<Guarantee>> {
        self.next().uncertified(limit)
    }
    fn enter(
        &self,
        batch: Batch,
        terms: Terms,
        release_max: u32,
    ) -> BoxFuture<'_, Result<Entered, StoreError>> {
        self.next().enter(batch, terms, release_max)
    }
    fn cursor(&self) -> Answer<'_, Option<Cursor>> {
        self.next().cursor()
    }
    fn put_aside(&self, page: Page) -> Answer<'_, Vec<PutAside>> {
        self.next().put_aside(page)
    }
    fn untold_payments(&self, limit: u32) -> Answer<'_, Vec<TabPayment>> {
        self.next().untold_payments(limit)
    }
    fn telling(&self, places: Vec<Place>, transaction: B256) -> Answer<'_, ()> {
        self.next().telling(places, transaction)
    }
    fn refuse_payment(&self, place: Place) -> Answer<'_, ()> {
        self.next().refuse_payment(place)
    }
    fn suspend(&self, address: Address, suspended: bool, at: Timestamp) -> Answer<'_, Account> {
        self.next().suspend(address, suspended, at)
    }
    fn account(&self, address: Address) -> Answer<'_, Option<Account>> {
        self.next().account(address)
    }
    fn collateral(&self, payer: Address, asset: Address) -> Answer<'_, Option<Collateral>> {
        self.next().collateral(payer, asset)
    }
    fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Answer<'_, Vec<(Address, Address, Collateral)>> {
        self.next().collaterals(after, limit)
    }
    fn tab(&self, id: TabId) -> Answer<'_, Option<Tab>> {
        self.next().tab(id)
    }
    fn tabs_of_recipient(
        &self,
        recipient: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.next().tabs_of_recipient(recipient, settlements, page)
    }
    fn has_tab(&self, payer: Address, recipient: Address) -> Answer<'_, bool> {
        self.next().has_tab(payer, recipient)
    }

    fn tabs_of_payer(
        &self,
        payer: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.next().tabs_of_payer(payer, settlements, page)
    }
    fn pending(&self, recipient: Address, page: Page) -> Answer<'_, Vec<(Tab, Option<Guarantee>)>> {
        self.next().pending(recipient, page)
    }
    fn guarantee(&self, tab: TabId, req: U256) -> Answer<'_, Option<Guarantee>> {
        self.next().guarantee(tab, req)
    }
    fn latest_guarantee(&self, tab: TabId) -> Answer<'_, Option<Guarantee>> {
        self.next().latest_guarantee(tab)
    }
    fn guarantees(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Guarantee>> {
        self.next().guarantees(tab, page)
    }
    fn payments_to(&self, recipient: Address, page: Page) -> Answer<'_, Vec<TabPayment>> {
        self.next().payments_to(recipient, page)
    }
    fn entries_of(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Entry>> {
        self.next().entries_of(tab, page)
    }
}
