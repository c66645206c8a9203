//! The books of a credit core: [`CreditStore`] in the ledger's database, for any number of processes.
//!
//! ```text
//! open_tab, issue ──► lane   lock tabs and sums · load · the rules in memory · one write per table · COMMIT · answers
//! certify         ──► lane   find · keep · no longer unsigned
//! enter           ──► lane   lock the core · the same as above, a transaction for each
//! tab, pending, … ──► pool   one statement each, around the lanes
//! ```
//!
//! | idea | where |
//! |---|---|
//! | many tabs and guarantees, one transaction | `desk` |
//! | certificates | `certify` |
//! | what the chain said, and what it is told | `chain` |
//! | what is locked and loaded, in which order | `load` |
//! | what the rules make of it, in memory | `sheet` |
//! | what is written of that | `write` |
//! | lists | `lists` |
//! | rows to the words of the core and back | `rows` |
//! | do these books add up? | `audit` |
//!
//! The money of a payer is in the ledger's balances, like everybody's: what it has in total and what is locked of it is read there
//! and kept nowhere else.

pub(super) mod audit;
mod certify;
mod chain;
mod desk;
mod lists;
mod load;
mod rows;
mod sheet;
mod write;

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Collateral, Cursor, Entry, Guarantee, Issue, OpenTab, Opened, Place,
    Settlement, Tab, TabId, TabPayment, Terms,
};
use faregate_core::port::credit::{
    Answer, Batch, CreditError, CreditStore, Entered, Page, PutAside,
};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;

use super::codec::secs;
use super::hold::{Hold, held};
use super::lane::Lane;
use super::ledger::{PostgresLedger, other};
use super::pool::{Params, Pool};
use super::reads::page;
use super::seqs::Seqs;
use crate::words::credit::id_bytes;
use certify::Certify;
use chain::Follow;
use desk::{Desk, Done};
use lists::{all, one, part};

/// [`CreditStore`] on PostgreSQL, from [`PostgresLedger::credit`].
///
/// Any number of processes may use one database: what one locks of a payer's collateral no other locks again, and what happened
/// on the chain is entered by one of them. Somebody who is suspended may still get what was asked for before the answer.
pub struct PostgresCredit {
    chain: ChainId,
    desk: Lane<Desk>,
    certificates: Lane<Certify>,
    follower: Lane<Follow>,
    reads: Arc<Pool>,
    hold: Option<Arc<Hold>>,
}

impl fmt::Debug for PostgresCredit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresCredit")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl PostgresLedger {
    /// The books of a credit core whose contract is on this chain, in the database of this ledger, with connections of their own.
    /// A database has those of one chain. Call it once: each has lanes of its own.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there are books of another chain in it; [`StoreError::Unavailable`] as always.
    pub async fn credit(&self, chain: ChainId) -> Result<PostgresCredit, StoreError> {
        chain::bind(&self.reads, chain).await?;
        let (hold, seqs) = (self.hold.clone(), Arc::new(Seqs::new()));
        let desk = Desk {
            chain,
            seqs: Arc::clone(&seqs),
            hold: hold.clone(),
        };
        let follow = Follow {
            chain,
            seqs,
            hold: hold.clone(),
        };
        let certify = Certify { hold: hold.clone() };
        Ok(PostgresCredit {
            chain,
            desk: Lane::start(desk, self.one_connection()?),
            certificates: Lane::start(certify, self.one_connection()?),
            follower: Lane::start(follow, self.one_connection()?),
            reads: Arc::clone(&self.reads),
            hold,
        })
    }
}

impl PostgresCredit {
    fn ask<'s, T: Send + 's>(
        &'s self,
        answer: impl Future<Output = Result<T, StoreError>> + Send + 's,
    ) -> Answer<'s, T> {
        Box::pin(answer)
    }

    /// Whether this process may write by one statement.
    fn may_write(&self) -> Result<(), StoreError> {
        held(self.hold.as_deref()).map_err(|fault| fault.told())
    }
}

impl CreditStore for PostgresCredit {
    fn open_tab(
        &self,
        command: OpenTab,
        terms: Terms,
    ) -> BoxFuture<'_, Result<Opened, CreditError>> {
        let job = desk::Job::Open(Box::new(command), terms);
        Box::pin(async move {
            match self.desk.ask(job).await? {
                Done::Opened(opened) => Ok(*opened?),
                Done::Issued(_) => Ok(other()?),
            }
        })
    }

    fn issue(&self, command: Issue, terms: Terms) -> BoxFuture<'_, Result<Guarantee, CreditError>> {
        let job = desk::Job::Issue(Box::new(command), terms);
        Box::pin(async move {
            match self.desk.ask(job).await? {
                Done::Issued(issued) => Ok(*issued?),
                Done::Opened(_) => Ok(other()?),
            }
        })
    }

    fn certify(&self, tab: TabId, req: U256, certificate: Certificate) -> Answer<'_, ()> {
        let job = certify::Job {
            tab,
            req,
            certificate,
        };
        self.ask(self.certificates.ask(job))
    }

    fn uncertified(&self, limit: u32) -> Answer<'_, Vec<Guarantee>> {
        self.ask(async move {
            let sql = lists::UNCERTIFIED;
            all(&self.reads, sql, &[&page(limit)], rows::guarantee).await
        })
    }

    fn enter(
        &self,
        batch: Batch,
        terms: Terms,
        release_max: u32,
    ) -> BoxFuture<'_, Result<Entered, StoreError>> {
        let job = chain::Job {
            batch,
            terms,
            release_max,
        };
        self.ask(self.follower.ask(job))
    }

    fn cursor(&self) -> Answer<'_, Option<Cursor>> {
        self.ask(async move {
            let found = one(&self.reads, chain::CURSOR, &[], rows::cursor).await?;
            Ok(found.flatten())
        })
    }

    fn put_aside(&self, page: Page) -> Answer<'_, Vec<PutAside>> {
        self.ask(async move {
            let (limit, skip) = part(page);
            all(
                &self.reads,
                lists::ASIDES,
                &[&limit, &skip],
                rows::put_aside,
            )
            .await
        })
    }

    fn untold_payments(&self, limit: u32) -> Answer<'_, Vec<TabPayment>> {
        self.ask(async move {
            let sql = lists::UNTOLD;
            all(&self.reads, sql, &[&page(limit)], rows::payment).await
        })
    }

    fn telling(&self, places: Vec<Place>, transaction: B256) -> Answer<'_, ()> {
        self.ask(async move {
            self.may_write()?;
            chain::tell(&self.reads, &places, Some(transaction)).await
        })
    }

    fn refuse_payment(&self, place: Place) -> Answer<'_, ()> {
        self.ask(async move {
            self.may_write()?;
            chain::tell(&self.reads, &[place], None).await
        })
    }

    fn suspend(&self, address: Address, suspended: bool, at: Timestamp) -> Answer<'_, Account> {
        self.ask(async move {
            self.may_write()?;
            let (who, at) = (address.as_slice(), secs(at));
            let params: Params<'_> = &[&who, &suspended, &at];
            let account = one(&self.reads, lists::SUSPEND, params, rows::account).await?;
            account.ok_or(StoreError::Damaged)
        })
    }

    fn account(&self, address: Address) -> Answer<'_, Option<Account>> {
        self.ask(async move {
            let sql = lists::ACCOUNT;
            one(&self.reads, sql, &[&address.as_slice()], rows::account).await
        })
    }

    fn collateral(&self, payer: Address, asset: Address) -> Answer<'_, Option<Collateral>> {
        self.ask(async move {
            let found = lists::collaterals_of(&self.reads, self.chain, &[(payer, asset)]).await?;
            Ok(found
                .into_iter()
                .next()
                .map(|(_, _, collateral)| collateral))
        })
    }

    fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Answer<'_, Vec<(Address, Address, Collateral)>> {
        self.ask(lists::collaterals(&self.reads, self.chain, after, limit))
    }

    fn tab(&self, id: TabId) -> Answer<'_, Option<Tab>> {
        self.ask(async move {
            let key = id_bytes(id);
            let found = one(&self.reads, lists::TAB, &[&key.as_slice()], rows::tab).await?;
            Ok(found.map(|(tab, _)| tab))
        })
    }

    fn tabs_of_recipient(
        &self,
        recipient: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(async move { lists::tabs_to(&self.reads, recipient, &settlements, page).await })
    }

    fn has_tab(&self, payer: Address, recipient: Address) -> Answer<'_, bool> {
        self.ask(async move {
            let (payer, recipient) = (payer.as_slice(), recipient.as_slice());
            let params: Params<'_> = &[&payer, &recipient];
            let found = self.reads.rows(lists::HAS_TAB, params).await?;
            Ok(!found.is_empty())
        })
    }

    fn tabs_of_payer(
        &self,
        payer: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>> {
        self.ask(async move { lists::tabs_from(&self.reads, payer, &settlements, page).await })
    }

    fn pending(&self, recipient: Address, page: Page) -> Answer<'_, Vec<(Tab, Option<Guarantee>)>> {
        self.ask(lists::pending(&self.reads, recipient, page))
    }

    fn guarantee(&self, tab: TabId, req: U256) -> Answer<'_, Option<Guarantee>> {
        self.ask(lists::guarantee(&self.reads, tab, req))
    }

    fn latest_guarantee(&self, tab: TabId) -> Answer<'_, Option<Guarantee>> {
        self.ask(async move {
            let key = id_bytes(tab);
            let sql = lists::LATEST;
            one(&self.reads, sql, &[&key.as_slice()], rows::guarantee).await
        })
    }

    fn guarantees(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Guarantee>> {
        self.ask(async move {
            let (key, (limit, skip)) = (id_bytes(tab), part(page));
            let params: Params<'_> = &[&key.as_slice(), &limit, &skip];
            all(&self.reads, lists::GUARANTEES, params, rows::guarantee).await
        })
    }

    fn payments_to(&self, recipient: Address, page: Page) -> Answer<'_, Vec<TabPayment>> {
        self.ask(async move {
            let (who, (limit, skip)) = (recipient.as_slice(), part(page));
            let params: Params<'_> = &[&who, &limit, &skip];
            all(&self.reads, lists::PAYMENTS_TO, params, rows::payment).await
        })
    }

    fn entries_of(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Entry>> {
        self.ask(async move {
            let (key, (limit, skip)) = (id_bytes(tab), part(page));
            let params: Params<'_> = &[&key.as_slice(), &limit, &skip];
            all(&self.reads, lists::ENTRIES, params, rows::entry).await
        })
    }
}
