//! The books of a credit core.

mod books;
mod lists;

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Collateral, CreditRefusal, Cursor, Entry, Guarantee, Issue, OpenTab,
    Opened, Place, Settlement, Tab, TabId, TabPayment, Terms, issue, open_tab,
};
use faregate_core::port::credit::{
    Answer, Batch, CreditError, CreditStore, Entered, Page, PutAside,
};
use faregate_ledger::{Balance, StoreError};
use faregate_types::{AssetId, ChainId, Timestamp};
use futures_util::future::{BoxFuture, ready};

use books::Books;

/// [`CreditStore`] in memory, for tests: gone with the process, and full one day. Whoever issues certificates for other
/// people's money needs books that stay.
pub struct MemoryCredit {
    books: Mutex<Books>,
}

impl fmt::Debug for MemoryCredit {
    /// Nothing of what is in it: guarantees hold signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredit").finish_non_exhaustive()
    }
}

impl MemoryCredit {
    /// Empty books of a contract on this chain.
    #[must_use]
    pub fn new(chain: ChainId) -> Self {
        Self {
            books: Mutex::new(Books::new(chain)),
        }
    }

    /// The sums over all accounts, one per asset. Each is balanced or the books are damaged.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when sums overflow.
    pub fn totals(&self) -> Result<Vec<Balance>, StoreError> {
        self.lock()?.totals()
    }

    /// The sums of a payer's collateral in an asset, as the ledger keeps them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when an earlier call panicked.
    pub fn balance(&self, payer: Address, asset: AssetId) -> Result<Balance, StoreError> {
        Ok(self.lock()?.balance(payer, asset))
    }

    /// A panic in the middle of a change leaves books that nobody can trust.
    fn lock(&self) -> Result<MutexGuard<'_, Books>, StoreError> {
        self.books.lock().map_err(|_| StoreError::Damaged)
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Books) -> Result<T, StoreError>,
    ) -> Answer<'_, T> {
        Box::pin(ready(
            self.lock().and_then(|mut books| question(&mut books)),
        ))
    }

    fn command<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Books) -> Result<Result<T, CreditRefusal>, StoreError>,
    ) -> BoxFuture<'_, Result<T, CreditError>> {
        let done = self.lock().and_then(|mut books| command(&mut books));
        Box::pin(ready(match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(refusal)) => Err(CreditError::Refused(refusal)),
            Err(error) => Err(CreditError::Store(error)),
        }))
    }
}

impl CreditStore for MemoryCredit {
    fn open_tab(
        &self,
        command: OpenTab,
        terms: Terms,
    ) -> BoxFuture<'_, Result<Opened, CreditError>> {
        self.command(|books| {
            let decided = open_tab(books, &terms, &command)?;
            decided.map_or_else(
                |refusal| Ok(Err(refusal)),
                |(opened, changes)| books.write(changes).map(|()| Ok(opened)),
            )
        })
    }

    fn issue(&self, command: Issue, terms: Terms) -> BoxFuture<'_, Result<Guarantee, CreditError>> {
        self.command(|books| {
            let decided = issue(books, &terms, &command)?;
            decided.map_or_else(
                |refusal| Ok(Err(refusal)),
                |(guarantee, changes)| books.write(changes).map(|()| Ok(guarantee)),
            )
        })
    }

    fn certify(&self, tab: TabId, req: U256, certificate: Certificate) -> Answer<'_, ()> {
        self.ask(|books| books.certify(tab, req, certificate))
    }

    fn uncertified(&self, limit: u32) -> Answer<'_, Vec<Guarantee>> {
        self.ask(|books| Ok(books.uncertified(limit)))
    }

    fn enter(
        &self,
        batch: Batch,
        terms: Terms,
        release_max: u32,
    ) -> BoxFuture<'_, Result<Entered, StoreError>> {
        self.ask(|books| books.enter(&batch, &terms, release_max))
    }

    fn cursor(&self) -> Answer<'_, Option<Cursor>> {
        self.ask(|books| Ok(books.cursor()))
    }

    fn put_aside(&self, page: Page) -> Answer<'_, Vec<PutAside>> {
        self.ask(|books| Ok(books.aside(page)))
    }

    fn untold_payments(&self, limit: u32) -> Answer<'_, Vec<TabPayment>> {
        self.ask(|books| Ok(books.untold(limit)))
    }

    fn telling(&self, places: Vec<Place>, transaction: B256) -> Answer<'_, ()> {
        self.ask(|books| books.telling(&places, transaction))
    }

    fn refuse_payment(&self, place: Place) -> Answer<'_, ()> {
        self.ask(|books| books.refuse_payment(place))
    }

    fn suspend(&self, address: Address, suspended: bool, at: Timestamp) -> Answer<'_, Account> {
        self.ask(|books| {
            Ok(books.keep_account(Account {
                address,
                suspended,
                updated_at: at,
            }))
        })
    }

    fn account(&self, address: Address) -> Answer<'_, Option<Account>> {
        self.ask(|books| faregate_core::credit::State::account(books, address))
    }

    fn collateral(&self, payer: Address, asset: Address) -> Answer<'_, Option<Collateral>> {
        self.ask(|books| faregate_core::credit::State::collateral(books, payer, asset))
    }

    fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Answer<'_, Vec<(Address, Address, Collateral)>> {
        self.ask(|books| books.collaterals(after, limit))
    }

    fn tab(&self, id: TabId) -> Answer<'_, Option<Tab>> {
        self.ask(|books| faregate_core::credit::State::tab(books, id))
    }

    fn tabs_of_recipient(
        &self,
        recipient: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(|books| {
            let wanted = |tab: &Tab| {
                tab.identity.recipient == recipient
                    && (settlements.is_empty() || settlements.contains(&tab.settlement()))
            };
            Ok(books.tabs(wanted, page))
        })
    }

    fn has_tab(&self, payer: Address, recipient: Address) -> Answer<'_, bool> {
        self.ask(|books| Ok(books.has_tab(payer, recipient)))
    }

    fn tabs_of_payer(
        &self,
        payer: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(|books| {
            let wanted = |tab: &Tab| {
                tab.identity.payer == payer
                    && (settlements.is_empty() || settlements.contains(&tab.settlement()))
            };
            Ok(books.tabs(wanted, page))
        })
    }

    fn pending(&self, recipient: Address, page: Page) -> Answer<'_, Vec<(Tab, Option<Guarantee>)>> {
        self.ask(|books| {
            let wanted = |tab: &Tab| {
                tab.identity.recipient == recipient && tab.settlement() == Settlement::Pending
            };
            let tabs = books.tabs(wanted, page);
            Ok(tabs
                .into_iter()
                .map(|tab| {
                    let latest = books.latest(tab.id);
                    (tab, latest)
                })
                .collect())
        })
    }

    fn guarantee(&self, tab: TabId, req: U256) -> Answer<'_, Option<Guarantee>> {
        self.ask(|books| Ok(books.guarantee(tab, req)))
    }

    fn latest_guarantee(&self, tab: TabId) -> Answer<'_, Option<Guarantee>> {
        self.ask(|books| Ok(books.latest(tab)))
    }

    fn guarantees(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Guarantee>> {
        self.ask(|books| Ok(books.guarantees(tab, page)))
    }

    fn payments_to(&self, recipient: Address, page: Page) -> Answer<'_, Vec<TabPayment>> {
        self.ask(|books| Ok(books.payments_to(recipient, page)))
    }

    fn entries_of(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Entry>> {
        self.ask(|books| Ok(books.entries_of(tab, page)))
    }
}
