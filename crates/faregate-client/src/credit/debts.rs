//! The tabs of a payer, from three sides: what the service says, what the contract counts, and what this wallet wrote down.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::credit::Place;
use faregate_evm::AskError;
use faregate_evm::credit::{ETH, TabStatus};
use faregate_ledger::{RepaymentRecord, RepaymentState, RepaymentStore, TabKey, WalletStore};
use faregate_types::credit::Guarantee;
use faregate_types::credit::api::{GuaranteeInfo, SettlementStatus, TabInfo};
use faregate_types::{B256, PaymentId, Timestamp, U256};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::client::CreditClient;
use super::debt::{Debt, by_urgency, first_uncovered, uncounted};
use super::error::CreditError;
use super::issue::answered;
use crate::limits;

/// What a client's key owes, and [paying](Self::pay) it before the collateral does; from [`CreditClient::debts`].
///
/// What is paid is written down in a [`RepaymentStore`] first, with the signed transaction: whoever comes after a crash finds out what
/// became of it, and no debt is paid twice. Of all processes that share the store one pays a tab at a time.
#[derive(Clone)]
pub struct CreditDebts {
    pub(super) client: CreditClient,
    pub(super) books: Arc<dyn RepaymentStore>,
    pub(super) wait: Duration,
}

impl fmt::Debug for CreditDebts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditDebts")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Which tabs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing else to ask for")]
pub enum Which {
    /// Those on which the service knows of something to pay.
    Pending,
    /// All there ever were.
    All,
    /// One.
    One(U256),
}

/// What holds for all tabs that are read together.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Timestamp,
    grace: u64,
    expiration: u64,
}

impl CreditClient {
    /// What this client's key owes. `books` outlive the process: what was paid is known from there.
    pub fn debts(&self, books: Arc<dyn RepaymentStore>) -> CreditDebts {
        CreditDebts {
            client: self.clone(),
            books,
            wait: limits::CREDIT_RECEIPT_WAIT,
        }
    }
}

impl CreditDebts {
    /// How long payments of an earlier process are waited for; two minutes unless told otherwise.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Tabs on which anything was ever guaranteed, the most urgent first. Sends nothing.
    ///
    /// # Errors
    /// [`CreditError`]; [`Distrust::Answer`](super::Distrust::Answer) when the service says something about a tab that its certificate or the contract does
    /// not. Status 404 when the service is one that does not list the tabs of payers: name one.
    pub async fn list(&self, which: Which) -> Result<Vec<Debt>, CreditError> {
        let clock = self.clock().await?;
        let tabs = self.tabs(which).await?;
        let debts = stream::iter(tabs)
            .map(|tab| self.read(tab, clock))
            .buffer_unordered(limits::CREDIT_TABS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let mut debts = debts.await?;
        by_urgency(&mut debts);
        Ok(debts)
    }

    /// One tab, if the service knows it and something was guaranteed on it.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn one(&self, tab: U256) -> Result<Option<Debt>, CreditError> {
        Ok(self.list(Which::One(tab)).await?.pop())
    }

    async fn clock(&self) -> Result<Clock, CreditError> {
        let (account, core) = (self.client.account(), self.client.inner().terms.core);
        let [grace, expiration, _, _] = core.timing();
        let (now, grace, expiration) = tokio::try_join!(
            account.time(),
            account.ask(&grace),
            account.ask(&expiration)
        )?;
        Ok(Clock {
            now,
            grace,
            expiration,
        })
    }

    /// What the service says there is. What is not this payer's is no answer.
    async fn tabs(&self, which: Which) -> Result<Vec<TabInfo>, CreditError> {
        let rpc = self.client.rpc();
        let settlements: &[SettlementStatus] = match which {
            Which::One(tab) => {
                let found = rpc.tab(tab).await?;
                let is_it = found.iter().all(|found| found.tab_id == tab);
                return self.ours(answered(is_it, found)?.into_iter().collect());
            }
            Which::Pending => &[SettlementStatus::Pending],
            Which::All => &[],
        };
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        let (page, payer) = (limits::CREDIT_TABS_PAGE, self.client.address());
        let mut skip = 0_u32;
        while skip < limits::CREDIT_TABS_MAX {
            let found = rpc.user_tabs(payer, settlements, skip, page).await?;
            let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let known = seen.len();
            // A tab that changed meanwhile moved to the front; a service that knows no pages begins anew each time.
            all.extend(found.into_iter().filter(|tab| seen.insert(tab.tab_id)));
            if count < page || seen.len() == known {
                return self.ours(all);
            }
            skip = skip.saturating_add(count);
        }
        tracing::warn!(
            most = limits::CREDIT_TABS_MAX,
            "more tabs than are looked at: the last changed are"
        );
        self.ours(all)
    }

    fn ours(&self, mut tabs: Vec<TabInfo>) -> Result<Vec<TabInfo>, CreditError> {
        let payer = self.client.address();
        let is_ours = tabs.iter().all(|tab| tab.payer == payer);
        // A tab that was never used owes nothing and has no time.
        tabs.retain(|tab| tab.total_amount != Some(U256::ZERO));
        answered(is_ours, tabs)
    }

    pub(super) fn key(&self, tab: U256) -> TabKey {
        TabKey {
            chain: self.client.chain(),
            contract: self.client.contract(),
            payer: self.client.address(),
            tab,
        }
    }

    async fn read(&self, tab: TabInfo, clock: Clock) -> Result<Debt, CreditError> {
        // In this order: a payment that the contract counts by now is in what is asked for afterwards.
        let own = self.own(tab.tab_id).await?;
        let status = self.client.tab_payment_status(tab.tab_id).await?;
        let asset_is_it = status.paid.is_zero() && !status.remunerated || status.asset == tab.asset;
        answered(asset_is_it, ())?;
        // Whichever of both is behind.
        let paid = status.paid.max(tab.paid_amount.unwrap_or_default());
        let uncounted = uncounted(&own, paid);
        let mut debt = Debt {
            tab: tab.tab_id,
            recipient: tab.recipient,
            asset: tab.asset,
            version: tab.version,
            total: tab.total_amount.unwrap_or_default(),
            paid,
            uncounted,
            remunerated: U256::ZERO,
            owed: U256::ZERO,
            redeemable_at: None,
            expires_at: None,
            certified: false,
            underway: own
                .iter()
                .any(|record| record.state == RepaymentState::Open),
            settlement: tab.settlement,
            req: U256::ZERO,
            at: clock.now,
        };
        let is_over = matches!(
            tab.settlement,
            SettlementStatus::Settled | SettlementStatus::Remunerated
        );
        // What the service gave up is asked of nobody.
        let latest = if is_over {
            None
        } else {
            self.latest(&tab).await?
        };
        if let Some(latest) = &latest {
            debt.total = latest.total_amount;
            debt.certified = true;
            debt.req = latest.req_id;
            debt.expires_at = latest.timestamp.checked_add_secs(clock.expiration);
        }
        debt.remunerated = self.remunerated(&debt, status).await?;
        debt.owed = if is_over {
            U256::ZERO
        } else {
            debt.total.saturating_sub(debt.covered())
        };
        if !debt.owed.is_zero() {
            let first = self.first_unpaid(&tab, debt.covered()).await?;
            debt.redeemable_at = first.checked_add_secs(clock.grace);
        }
        Ok(debt)
    }

    /// What this wallet paid on a tab. What the contract counts by now is written down as counted.
    async fn own(&self, tab: U256) -> Result<Vec<RepaymentRecord>, CreditError> {
        let key = self.key(tab);
        let mut own = self
            .books
            .repayments(key)
            .await
            .map_err(super::repay::books)?;
        for record in &mut own {
            let Some(transaction) = record.transaction else {
                continue;
            };
            let (RepaymentState::Paid, number) = (record.state, record.repayment.number) else {
                continue;
            };
            if self.is_counted(record, transaction).await? {
                let counted = RepaymentState::Recorded;
                let written = self.books.finish_repayment(key, number, counted, None);
                written.await.map_err(super::repay::books)?;
                record.state = counted;
            }
        }
        Ok(own)
    }

    /// Whether the contract knows of a payment, under the id of a transaction that is a payment, or of the first log of one.
    async fn is_counted(
        &self,
        record: &RepaymentRecord,
        transaction: B256,
    ) -> Result<bool, CreditError> {
        let place = |log| Place {
            block: 0,
            transaction,
            log,
        };
        // Cores that record payments in tokens under the transaction, too, are known.
        let by_log = (record.repayment.asset != ETH).then(|| place(Some(0)));
        for place in [Some(place(None)), by_log].into_iter().flatten() {
            let question = self.client.inner().terms.core.record_digest(place.record());
            match self.client.account().ask(&question).await {
                Ok(digest) if !digest.is_zero() => return Ok(true),
                // Older contracts do not say.
                Ok(_) | Err(AskError::Unreadable | AskError::Reverted(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// What the newest certificate says, if there is one, and if the contract would pay on it and it is about this tab.
    async fn latest(&self, tab: &TabInfo) -> Result<Option<Guarantee>, CreditError> {
        let found = self.client.rpc().latest_guarantee(tab.tab_id).await?;
        let Some(certificate) = found.and_then(|found| found.certificate) else {
            return Ok(None);
        };
        let verified = self
            .client
            .off_thread(move |client| client.inner().terms.verify(&certificate.0));
        let says = verified.await?;
        let is_it = says.tab_id == tab.tab_id
            && says.payer == self.client.address()
            && says.recipient == tab.recipient
            && says.asset == tab.asset;
        answered(is_it, Some(says))
    }

    /// What was taken out of the collateral. Older contracts do it once, for all that is left.
    async fn remunerated(&self, debt: &Debt, status: TabStatus) -> Result<U256, CreditError> {
        if !status.remunerated {
            return Ok(U256::ZERO);
        }
        let core = self.client.inner().terms.core;
        let question = core.remunerated_amount(debt.tab);
        match self.client.account().ask(&question).await {
            Ok(amount) => Ok(amount),
            Err(AskError::Unreadable | AskError::Reverted(_)) => {
                Ok(debt.total.saturating_sub(debt.covered()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The time of the oldest guarantee that is not paid, or an earlier one: that of the tab, when it has too many to look at.
    async fn first_unpaid(&self, tab: &TabInfo, covered: U256) -> Result<Timestamp, CreditError> {
        if covered.is_zero() {
            return Ok(tab.start);
        }
        let all = self.guarantees(tab.tab_id).await?;
        let first = all.and_then(|all| first_uncovered(&all, covered));
        Ok(first.unwrap_or(tab.start))
    }

    /// All guarantees of a tab in the order they were issued; `None` when there are too many.
    async fn guarantees(&self, tab: U256) -> Result<Option<Vec<GuaranteeInfo>>, CreditError> {
        let (rpc, page) = (self.client.rpc(), limits::CREDIT_GUARANTEES_PAGE);
        let mut all: Vec<GuaranteeInfo> = Vec::new();
        for _ in 0..limits::CREDIT_GUARANTEES_PAGES_MAX {
            let skip = u32::try_from(all.len()).unwrap_or(u32::MAX);
            let found = rpc.guarantees_from(tab, skip, page).await?;
            let is_last = u32::try_from(found.len()) != Ok(page);
            let first = found.first().map(|first| first.req_id);
            // A service that knows no pages begins anew each time.
            if all.first().is_some_and(|known| Some(known.req_id) == first) {
                return Ok(Some(all));
            }
            all.extend(found);
            if is_last {
                return Ok(Some(all));
            }
        }
        Ok(None)
    }

    /// How much of a tab's total was signed with these books, by the same recipient and numbers. What is missing was signed elsewhere,
    /// or was never signed by this payer: certificates are the word of the service alone.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn signed(&self, debt: &Debt, wallet: &dyn WalletStore) -> Result<U256, CreditError> {
        let Some(all) = self.guarantees(debt.tab).await? else {
            return Ok(U256::ZERO);
        };
        let numbers: BTreeSet<U256> = all.iter().map(|guarantee| guarantee.req_id).collect();
        let mut signed = U256::ZERO;
        for number in numbers {
            signed = signed.saturating_add(self.signed_as(debt, number, wallet).await?);
        }
        Ok(signed)
    }

    /// The most that was signed with this number. Of all claims with one number a core takes one.
    async fn signed_as(
        &self,
        debt: &Debt,
        number: U256,
        wallet: &dyn WalletStore,
    ) -> Result<U256, CreditError> {
        let (chain, payer) = (self.client.chain(), self.client.address());
        let natural = PaymentId::credit(chain, payer, debt.recipient, debt.tab, number);
        let mut most = U256::ZERO;
        for nth in 0..limits::NUMBER_REUSES_MAX {
            let record = wallet
                .spend(natural.nth(nth))
                .await
                .map_err(super::repay::books)?;
            let Some(record) = record else {
                break;
            };
            most = most.max(record.spend.amount.value());
        }
        Ok(most)
    }
}
