//! The books of a credit core: [`CreditStore`] in the ledger's file, through its writer and its readers.
//!
//! | idea | where |
//! |---|---|
//! | what one decision reads and writes | `desk` |
//! | what the chain said, and what it is told | `chain` |
//! | lists | `lists` |
//! | rows to the words of the core and back | `rows` |
//! | do these books add up? | `audit` |
//!
//! The money of a payer is in the ledger's balances, like everybody's: what it has in total and what is locked of it is read there and
//! kept nowhere else. Most of what is written for a guarantee goes to the end of its table.

pub(super) mod audit;
mod chain;
mod desk;
mod lists;
mod rows;

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Changes, Collateral, CreditRefusal, Cursor, Entry, Guarantee, Issue,
    OpenTab, Opened, Place, Settlement, Tab, TabId, TabPayment, Terms, issue, open_tab,
};
use faregate_core::port::credit::{
    Answer, Batch, CreditError, CreditStore, Entered, Page, PutAside,
};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use rusqlite::Connection;

use super::engine::Engine;
use super::fault::Fault;
use super::ledger::SqliteLedger;
use super::limits::PAGE_ROWS;
use desk::Desk;

/// [`CreditStore`] on SQLite, from [`SqliteLedger::credit`].
///
/// It shares the file, the writer and the readers of its ledger, which stay open until both are dropped.
#[derive(Clone, Debug)]
pub struct SqliteCredit {
    engine: Arc<Engine>,
    chain: ChainId,
}

impl SqliteLedger {
    /// The books of a credit core whose contract is on this chain, in the file of this ledger. A file has those of one chain.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there are books of another chain in it; [`StoreError::Unavailable`] as always.
    pub async fn credit(&self, chain: ChainId) -> Result<SqliteCredit, StoreError> {
        self.engine
            .write(move |conn| chain::bind(conn, chain))
            .await?;
        Ok(SqliteCredit {
            engine: Arc::clone(&self.engine),
            chain,
        })
    }
}

/// What the rules say: done, with what changes, or refused.
type Decided<T> = Result<(T, Changes), CreditRefusal>;

impl SqliteCredit {
    /// Asks the rules and writes what they say, in one transaction.
    fn command<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Desk<'_>) -> Result<Decided<T>, Fault> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, CreditError>> {
        let chain = self.chain;
        Box::pin(async move {
            let done = self.engine.write(move |conn| {
                let desk = Desk::new(conn, chain);
                match decide(&desk)? {
                    Ok((done, changes)) => desk.write(&changes).map(|()| Ok(done)),
                    Err(refusal) => Ok(Err(refusal)),
                }
            });
            Ok(done.await??)
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(self.engine.read(question))
    }

    fn tell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(self.engine.write(work))
    }
}

impl CreditStore for SqliteCredit {
    fn open_tab(
        &self,
        command: OpenTab,
        terms: Terms,
    ) -> BoxFuture<'_, Result<Opened, CreditError>> {
        self.command(move |desk| open_tab(desk, &terms, &command))
    }

    fn issue(&self, command: Issue, terms: Terms) -> BoxFuture<'_, Result<Guarantee, CreditError>> {
        self.command(move |desk| issue(desk, &terms, &command))
    }

    fn certify(&self, tab: TabId, req: U256, certificate: Certificate) -> Answer<'_, ()> {
        self.tell(move |conn| lists::certify(conn, tab, req, &certificate))
    }

    fn uncertified(&self, limit: u32) -> Answer<'_, Vec<Guarantee>> {
        self.ask(move |conn| lists::uncertified(conn, limit))
    }

    fn enter(
        &self,
        batch: Batch,
        terms: Terms,
        release_max: u32,
    ) -> BoxFuture<'_, Result<Entered, StoreError>> {
        let chain = self.chain;
        self.tell(move |conn| chain::enter(conn, chain, &batch, &terms, release_max))
    }

    fn cursor(&self) -> Answer<'_, Option<Cursor>> {
        self.ask(chain::cursor)
    }

    fn put_aside(&self, page: Page) -> Answer<'_, Vec<PutAside>> {
        self.ask(move |conn| chain::put_aside(conn, page.skip, page.limit.min(PAGE_ROWS)))
    }

    fn untold_payments(&self, limit: u32) -> Answer<'_, Vec<TabPayment>> {
        self.ask(move |conn| chain::untold(conn, limit))
    }

    fn telling(&self, places: Vec<Place>, transaction: B256) -> Answer<'_, ()> {
        self.tell(move |conn| chain::telling(conn, &places, transaction))
    }

    fn refuse_payment(&self, place: Place) -> Answer<'_, ()> {
        self.tell(move |conn| chain::refuse_payment(conn, &place))
    }

    fn suspend(&self, address: Address, suspended: bool, at: Timestamp) -> Answer<'_, Account> {
        self.tell(move |conn| {
            let account = Account {
                address,
                suspended,
                updated_at: at,
            };
            desk::keep_account(conn, &account)?;
            Ok(account)
        })
    }

    fn account(&self, address: Address) -> Answer<'_, Option<Account>> {
        self.ask(move |conn| desk::account(conn, address))
    }

    fn collateral(&self, payer: Address, asset: Address) -> Answer<'_, Option<Collateral>> {
        let chain = self.chain;
        self.ask(move |conn| desk::collateral(conn, chain, payer, asset))
    }

    fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Answer<'_, Vec<(Address, Address, Collateral)>> {
        let chain = self.chain;
        self.ask(move |conn| lists::collaterals(conn, chain, after, limit))
    }

    fn tab(&self, id: TabId) -> Answer<'_, Option<Tab>> {
        self.ask(move |conn| lists::tab(conn, id))
    }

    fn tabs_of_recipient(
        &self,
        recipient: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(move |conn| lists::tabs_of_recipient(conn, recipient, &settlements, page))
    }

    fn has_tab(&self, payer: Address, recipient: Address) -> Answer<'_, bool> {
        self.ask(move |conn| lists::has_tab(conn, payer, recipient))
    }

    fn tabs_of_payer(
        &self,
        payer: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(move |conn| lists::tabs_of_payer(conn, payer, &settlements, page))
    }

    fn pending(&self, recipient: Address, page: Page) -> Answer<'_, Vec<(Tab, Option<Guarantee>)>> {
        self.ask(move |conn| lists::pending(conn, recipient, page))
    }

    fn guarantee(&self, tab: TabId, req: U256) -> Answer<'_, Option<Guarantee>> {
        self.ask(move |conn| lists::guarantee(conn, tab, req))
    }

    fn latest_guarantee(&self, tab: TabId) -> Answer<'_, Option<Guarantee>> {
        self.ask(move |conn| lists::latest(conn, tab))
    }

    fn guarantees(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Guarantee>> {
        self.ask(move |conn| lists::guarantees(conn, tab, page))
    }

    fn payments_to(&self, recipient: Address, page: Page) -> Answer<'_, Vec<TabPayment>> {
        self.ask(move |conn| lists::payments_to(conn, recipient, page))
    }

    fn entries_of(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Entry>> {
        self.ask(move |conn| lists::entries_of(conn, tab, page))
    }
}
