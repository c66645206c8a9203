//! Managed mode: Lightning payments are received for others (owners), and paid out to their Lightning addresses.
//!
//! ```text
//! invoice ──► paid ──► owed to the owner ──► payout recorded ──► sent ──► paid, or failed and owed again
//!   fee ────► earned                                              └─► unknown: asked about until it is known
//! ```
//!
//! Everything is a payment in the ledger (`entry`), so that all of it balances: what was received is fee and owed, what
//! is owed and was paid out is gone. An invoice stands in the ledger before anybody sees it. A payout is recorded with its
//! invoice before it is sent, and once it was handed to the wallet only the wallet's own word ends it: it is never sent
//! a second time, and the next one of the same owner waits until it has ended.
//!
//! One process per ledger: what is being worked on is known in memory only.

mod collect;
mod entry;
mod fee;
mod payout;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_ledger::{AccountStore, Claimed, LedgerStore, Payment, PaymentState};
use faregate_types::lightning::{LightningAddress, Msat, PaymentHash};
use faregate_types::{AssetId, Code, Timestamp};
use futures_util::stream::{self, StreamExt as _};

use crate::books::Books;
use crate::live::Live;
use crate::patience::Patience;
use crate::port::lightning::{
    Invoice, InvoiceAsk, ReceiveBackend, Receiver, Sender, SettledStream, UNSUPPORTED,
};
use crate::port::{Away, Clock};
use entry::Kind;

pub use fee::{FeeRule, Split};

/// Most open entries that a sweep reads.
const OPEN_MAX: u32 = 50_000;

/// Accounts that are read at once.
const PAGE: u32 = 1_000;

/// How many questions, and how many payouts, are under way at the same time.
const AT_ONCE: usize = 16;

/// Finds the wallet behind a Lightning address.
pub trait Addresses: Send + Sync + 'static {
    /// The wallet, without asking it anything yet.
    ///
    /// # Errors
    /// When the address cannot be one.
    fn wallet(&self, address: &LightningAddress) -> Result<Arc<dyn ReceiveBackend>, Away>;
}

/// How money is received and paid out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct CustodyRules {
    /// What is kept of each payment.
    pub fee: FeeRule,
    /// How long an invoice can be paid, in seconds.
    pub invoice_expiry_secs: u32,
    /// What payers see in their wallets.
    pub description: Box<str>,
    /// What has to be owed to an owner before it is paid out; paid out in whole satoshis.
    pub payout_min: Msat,
    /// Most of one payout. More is paid in several, one after the other.
    pub payout_max: Msat,
    /// What the way of a payout may cost. The operator pays it, so it should not be more than the fee: an owner whose own node
    /// is on the way would earn the difference.
    pub routing_max: FeeRule,
    /// How long the wallet may try one payout. When it is over the payout may still be on its way.
    pub payout_time: Duration,
}

impl Default for CustodyRules {
    /// Three thousandths and at least one satoshi are kept; paid out from a thousand satoshis on.
    fn default() -> Self {
        Self {
            fee: FeeRule::default(),
            invoice_expiry_secs: 3_600,
            description: "API access".into(),
            payout_min: Msat::new(1_000_000),
            payout_max: Msat::new(1_000_000_000),
            routing_max: FeeRule {
                min: Msat::ZERO,
                ..FeeRule::default()
            },
            payout_time: Duration::from_secs(60),
        }
    }
}

/// Who receives and pays.
#[derive(Clone)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct Wallets {
    /// Makes the invoices.
    pub receiver: Receiver,
    /// Pays out, from the same wallet.
    pub sender: Sender,
    /// The wallets of the owners.
    pub addresses: Arc<dyn Addresses>,
}

impl fmt::Debug for Wallets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallets").finish_non_exhaustive()
    }
}

/// Receives for owners and pays them. Cheap to clone.
#[derive(Clone)]
pub struct Custody {
    books: Books,
    accounts: Arc<dyn AccountStore>,
    wallets: Wallets,
    rules: Arc<CustodyRules>,
    live: Live,
    patience: Patience,
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Where an invoice of ours stands, by our books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every standing has to be decided about"
)]
pub enum Standing {
    /// No invoice with this hash was made here.
    NotOurs,
    /// Made, and not known to be paid.
    Open,
    /// Paid.
    Paid,
    /// Can no longer be paid.
    Ended,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustodyReport {
    /// Invoices found paid.
    pub collected: u32,
    /// Invoices that can no longer be paid.
    pub ended: u32,
    /// Payouts made.
    pub paid_out: u32,
    /// Payouts that failed for certain; the money is owed as before.
    pub failed: u32,
    /// Payouts whose end is not known.
    pub unknown: u32,
    /// Payouts that could not be begun: the owner's wallet makes no invoice for them.
    pub refused: u32,
}

/// How one payout went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paid {
    Out,
    Failed,
    Unknown,
    Refused,
}

impl CustodyReport {
    fn count(&mut self, paid: Paid) {
        let count = match paid {
            Paid::Out => &mut self.paid_out,
            Paid::Failed => &mut self.failed,
            Paid::Unknown => &mut self.unknown,
            Paid::Refused => &mut self.refused,
        };
        *count = count.saturating_add(1);
    }
}

impl Custody {
    /// Over these wallets and this ledger.
    ///
    /// # Errors
    /// [`Code::LightningUnsupported`] for a wallet that cannot say what became of its invoices or of its payments: nobody could
    /// be paid out safely.
    pub fn new(
        wallets: Wallets,
        store: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
        rules: CustodyRules,
    ) -> Result<Self, Away> {
        let tells = wallets.receiver.abilities().look_up && wallets.sender.abilities().track;
        if !tells || wallets.receiver.network() != wallets.sender.network() {
            return Err(UNSUPPORTED);
        }
        let ledger: Arc<dyn LedgerStore> = Arc::<dyn AccountStore>::clone(&store);
        Ok(Self {
            books: Books::new(ledger, clock),
            accounts: store,
            wallets,
            rules: Arc::new(rules),
            live: Live::default(),
            patience: Patience::default(),
        })
    }

    /// Who makes the invoices.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.wallets.receiver
    }

    /// What of a payment goes to its owner; `None` when the fee would leave nothing, or the wallet makes no such invoices.
    #[must_use]
    pub fn split(&self, amount: Msat) -> Option<Split> {
        let split = self.rules.fee.split(amount)?;
        self.wallets.receiver.can_ask(amount).then_some(split)
    }

    /// Makes an invoice for an owner. Whose it is stands in the ledger when this returns.
    ///
    /// # Errors
    /// [`Code::InvoiceUnusable`] for an amount that [`split`](Self::split) refuses, and whatever stands in the way of the wallet
    /// or the ledger.
    pub async fn invoice(&self, owner: &LightningAddress, amount: Msat) -> Result<Invoice, Away> {
        let split = self.split(amount).ok_or(Away {
            code: Code::InvoiceUnusable,
        })?;
        let ask = InvoiceAsk {
            amount,
            description: self.rules.description.clone(),
            expiry_secs: self.rules.invoice_expiry_secs,
        };
        let invoice = self.wallets.receiver.create(&ask).await?;
        let (network, now) = (self.wallets.receiver.network(), self.books.now());
        let wanted = invoice.wanted();
        // The share first: an entry of a fee alone would be nobody's to end.
        let claims = [
            Some(entry::share(&wanted, split.share, owner, network, now)?),
            entry::fee(&wanted, split.fee, network, now)?,
        ];
        for claim in claims.into_iter().flatten() {
            if self.books.claim(claim).await? != Claimed::Won {
                tracing::error!("a Lightning backend made two invoices with one hash");
                return Err(crate::port::lightning::ANSWER_INVALID);
            }
        }
        Ok(invoice)
    }

    /// Where an invoice stands; the wallet is asked while it is open.
    ///
    /// # Errors
    /// When the ledger or the wallet do not answer.
    pub async fn standing(&self, hash: PaymentHash) -> Result<Standing, Away> {
        let Some(share) = self.books.payment(Kind::Share.id(&hash)).await? else {
            return Ok(Standing::NotOurs);
        };
        if share.state.is_open() {
            return self.collect(&share).await;
        }
        Ok(standing(share.state))
    }

    /// Hears of paid invoices, where the wallet tells without being asked.
    ///
    /// # Errors
    /// [`Code::LightningUnsupported`] where it does not, or whatever stands in its way.
    pub async fn settled(&self) -> Result<SettledStream, Away> {
        self.wallets.receiver.settled().await
    }

    /// Looks at everything that is open, then pays out what is owed. May be dropped at any point: what was not recorded is
    /// asked again by the next.
    ///
    /// # Errors
    /// [`Away`] when the ledger does not say what is open.
    pub async fn sweep(&self) -> Result<CustodyReport, Away> {
        let open = self.open().await?;
        let mut report = CustodyReport::default();
        self.collect_all(&open, &mut report).await;
        self.follow_all(&open, &mut report).await;
        self.pay_all(&mut report).await?;
        Ok(report)
    }

    async fn open(&self) -> Result<Vec<Payment>, Away> {
        let open = self.books.open(OPEN_MAX).await?;
        if open.len() >= usize::try_from(OPEN_MAX).unwrap_or(usize::MAX) {
            tracing::warn!("more entries are open than are looked at; the newest wait");
        }
        Ok(open)
    }

    /// Ends invoices that were paid or can no longer be.
    async fn collect_all(&self, open: &[Payment], report: &mut CustodyReport) {
        let due = open.iter().filter(|payment| {
            Kind::of(payment) == Some(Kind::Share) && self.rests(payment.claim.id)
        });
        let asked = due.map(|share| self.collect(share));
        let mut asked = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(standing) = asked.next().await {
            let count = match standing {
                Ok(Standing::Paid) => &mut report.collected,
                Ok(Standing::Ended) => &mut report.ended,
                Ok(Standing::Open | Standing::NotOurs) | Err(_) => continue,
            };
            *count = count.saturating_add(1);
        }
    }

    /// Asks what became of payouts.
    async fn follow_all(&self, open: &[Payment], report: &mut CustodyReport) {
        let due = open.iter().filter(|payment| {
            Kind::of(payment) == Some(Kind::Payout) && self.rests(payment.claim.id)
        });
        let asked = due.map(|payout| self.follow(payout));
        let mut asked = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(paid) = asked.next().await {
            paid.into_iter().for_each(|paid| report.count(paid));
        }
    }

    /// Pays out what is owed to everybody to whom enough is.
    async fn pay_all(&self, report: &mut CustodyReport) -> Result<(), Away> {
        let mut after = None;
        loop {
            let page = self
                .accounts
                .accounts(entry::OWNER.into(), self.asset(), after, PAGE)
                .await
                .map_err(|_| Away {
                    code: Code::StoreUnavailable,
                })?;
            let last = page.last().map(|(account, _)| account.clone());
            let owed = page.iter().filter_map(|(account, balance)| {
                let amount = payout::amount(balance, &self.rules)?;
                Some((entry::address(account)?, amount))
            });
            let payouts = owed.map(|(owner, amount)| self.pay_out(owner, amount));
            let mut payouts = stream::iter(payouts.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
            while let Some(paid) = payouts.next().await {
                paid.into_iter().for_each(|paid| report.count(paid));
            }
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    /// Whether it is time to ask about it again; if so, it rests from now on.
    fn rests(&self, id: faregate_types::PaymentId) -> bool {
        let now = self.now();
        let due = self.patience.is_due(id, now);
        if due {
            self.patience.rest(id, now);
        }
        due
    }

    fn now(&self) -> Timestamp {
        self.books.now()
    }

    fn asset(&self) -> AssetId {
        AssetId::Msat(self.wallets.receiver.network())
    }
}

const fn standing(state: PaymentState) -> Standing {
    match state {
        PaymentState::Reserved | PaymentState::Broadcast => Standing::Open,
        PaymentState::Settled => Standing::Paid,
        PaymentState::Failed | PaymentState::Released => Standing::Ended,
    }
}
