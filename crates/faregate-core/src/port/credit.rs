//! The books of the credit core: what an engine must promise. Every method is one atomic, durable transaction and may be
//! repeated; decisions are those of [`credit`](crate::credit), asked inside the transaction.

use alloy_primitives::{Address, B256, U256};
use faregate_ledger::StoreError;
use faregate_types::Timestamp;
use futures_util::future::BoxFuture;

use crate::credit::{
    Account, Certificate, Collateral, CreditRefusal, Cursor, Entry, Guarantee, Happening, Issue,
    Odd, OpenTab, Opened, Place, Settlement, Snapshot, Tab, TabId, TabPayment, Terms,
};

/// Why a command of the credit books was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "either the rules or the store say no"
)]
pub enum CreditError {
    /// The rules refuse it; nothing changed.
    #[error(transparent)]
    Refused(#[from] CreditRefusal),
    /// The store did not do it, or nobody knows.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is asked of the books.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Page {
    /// So many are left out at the beginning.
    pub skip: u32,
    /// At most so many are told.
    pub limit: u32,
}

/// What happened on the chain between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a command, built by literal")]
pub struct Batch {
    /// Where the books have to stand; `None` when nothing was read yet.
    pub from: Option<Cursor>,
    /// Where they stand afterwards.
    pub to: Cursor,
    /// What happened, in the order of the chain.
    pub happenings: Vec<Happening>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Entered {
    /// How many changed the books.
    pub applied: u32,
    /// How many were in them already.
    pub repeated: u32,
    /// What was put aside, and why.
    pub odd: Vec<(Place, Odd)>,
    /// How many tabs expired, so that what was locked for them is free.
    pub expired: u32,
}

/// Something that was put aside: see [`Odd`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct PutAside {
    /// Where it happened.
    pub place: Place,
    /// What, by its [name](crate::credit::TabEvent::name) and in words, at most 500 bytes.
    pub what: Box<str>,
    /// Why, by the [name](Odd::name) of the reason.
    pub why: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Longest words about something that was put aside, in bytes.
const WORDS_BYTES: usize = 500;

impl PutAside {
    /// What is kept of something odd.
    #[must_use]
    pub fn of(happening: &Happening, odd: Odd) -> Self {
        let mut what = format!("{:?}", happening.event);
        what.truncate(what.floor_char_boundary(WORDS_BYTES));
        Self {
            place: happening.place,
            what: what.into(),
            why: odd.name().into(),
            at: happening.at,
        }
    }
}

/// The books of a credit core: tabs, guarantees, collateral, what the chain said.
pub trait CreditStore: Send + Sync + 'static {
    /// [`open_tab`](crate::credit::open_tab). Of many who ask for one identity at once, all hear the same tab.
    fn open_tab(
        &self,
        command: OpenTab,
        terms: Terms,
    ) -> BoxFuture<'_, Result<Opened, CreditError>>;

    /// [`issue`](crate::credit::issue): locks the amount and records the guarantee, without its certificate.
    fn issue(&self, command: Issue, terms: Terms) -> BoxFuture<'_, Result<Guarantee, CreditError>>;

    /// Whether [`issue`](Self::issue) would do it now. Changes nothing; what is read may change while it is read, so a yes is
    /// no promise.
    fn check<'a>(
        &'a self,
        command: &'a Issue,
        terms: &'a Terms,
    ) -> BoxFuture<'a, Result<(), CreditError>> {
        Box::pin(async move {
            let identity = &command.identity;
            let snapshot = Snapshot {
                payer: self.account(identity.payer).await?,
                recipient: self.account(identity.recipient).await?,
                collateral: self.collateral(identity.payer, identity.asset).await?,
                tab: self.tab(command.tab).await?,
                is_taken: self.guarantee(command.tab, command.req).await?.is_some(),
            };
            Ok(snapshot.check(terms, command)?)
        })
    }

    /// Keeps the certificate of a guarantee. The first one stays. [`StoreError::NotFound`] when there is no such guarantee.
    fn certify(&self, tab: TabId, req: U256, certificate: Certificate) -> Answer<'_, ()>;

    /// Guarantees without a certificate, oldest first: what is left to be signed after a crash.
    fn uncertified(&self, limit: u32) -> Answer<'_, Vec<Guarantee>>;

    /// Enters what happened, once for each place, together with the cursor; then releases tabs whose certificates expired by
    /// the time of `batch.to`, at most `release_max`, longest expired first. [`StoreError::Conflict`] when the books do not stand at
    /// `batch.from`. All of a batch is one transaction, which nobody else writes beside: who builds it keeps it small.
    fn enter(
        &self,
        batch: Batch,
        terms: Terms,
        release_max: u32,
    ) -> BoxFuture<'_, Result<Entered, StoreError>>;

    /// Where the books stand.
    fn cursor(&self) -> Answer<'_, Option<Cursor>>;

    /// What was put aside, newest first.
    fn put_aside(&self, page: Page) -> Answer<'_, Vec<PutAside>>;

    /// Payments that the contract is to be told of, or was and has not confirmed, oldest first.
    fn untold_payments(&self, limit: u32) -> Answer<'_, Vec<TabPayment>>;

    /// This transaction is about to tell the contract of these payments. Those that are recorded or refused stay so.
    /// [`StoreError::NotFound`], and nothing is changed, when one of them is unknown.
    fn telling(&self, places: Vec<Place>, transaction: B256) -> Answer<'_, ()>;

    /// The contract will never take this payment. One that is recorded stays so. [`StoreError::NotFound`] when it is unknown.
    fn refuse_payment(&self, place: Place) -> Answer<'_, ()>;

    /// Suspends somebody, or not any more. Who is not known becomes known.
    fn suspend(&self, address: Address, suspended: bool, at: Timestamp) -> Answer<'_, Account>;

    /// Somebody, if known.
    fn account(&self, address: Address) -> Answer<'_, Option<Account>>;

    /// What a payer has in an asset; `None` when nothing ever happened to it.
    fn collateral(&self, payer: Address, asset: Address) -> Answer<'_, Option<Collateral>>;

    /// Everybody's collateral, by payer and asset, beginning after `after`: for reconciliation with the contract.
    fn collaterals(
        &self,
        after: Option<(Address, Address)>,
        limit: u32,
    ) -> Answer<'_, Vec<(Address, Address, Collateral)>>;

    /// A tab.
    fn tab(&self, id: TabId) -> Answer<'_, Option<Tab>>;

    /// Tabs of a recipient with one of these settlements (none named: any), the last changed first.
    fn tabs_of_recipient(
        &self,
        recipient: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>>;

    /// Whether there ever was a tab of this payer for this recipient.
    fn has_tab(&self, payer: Address, recipient: Address) -> Answer<'_, bool>;

    /// Tabs of a payer with one of these settlements (none named: any), the last changed first.
    fn tabs_of_payer(
        &self,
        payer: Address,
        settlements: Vec<Settlement>,
        page: Page,
    ) -> Answer<'_, Vec<Tab>>;

    /// Pending tabs of a recipient, the last changed first, each with its latest guarantee.
    fn pending(&self, recipient: Address, page: Page) -> Answer<'_, Vec<(Tab, Option<Guarantee>)>>;

    /// One guarantee.
    fn guarantee(&self, tab: TabId, req: U256) -> Answer<'_, Option<Guarantee>>;

    /// The guarantee of a tab that was issued last.
    fn latest_guarantee(&self, tab: TabId) -> Answer<'_, Option<Guarantee>>;

    /// The guarantees of a tab, in the order they were issued.
    fn guarantees(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Guarantee>>;

    /// Payments to a recipient, newest first.
    fn payments_to(&self, recipient: Address, page: Page) -> Answer<'_, Vec<TabPayment>>;

    /// The journal of a tab, oldest first.
    fn entries_of(&self, tab: TabId, page: Page) -> Answer<'_, Vec<Entry>>;
}
