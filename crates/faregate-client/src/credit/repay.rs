//! Paying what is owed on tabs, once.
//!
//! ```text
//! read anew ─► allowance ─► begun, durably ─► signed, written down, durably ─► sent ─► mined: paid, durably
//!                              │                   │                             │
//!    after a crash:     never happens       sent again, the same bytes ◄─────────┘
//! ```
//!
//! What may have happened counts as paid until it is certain that it never will: nothing was written down as sent, or the nonce
//! belongs to another transaction for good, or it was mined and reverted for good.

use faregate_core::crash::{self, Point};
use faregate_core::port::Away;
use faregate_evm::credit::{Call, ETH};
use faregate_evm::{AskError, Fate, Logbook, Mined, SendError, SignedTransaction};
use faregate_ledger::{
    Repayment, RepaymentRecord, RepaymentState, RepaymentStore, Sending, StoreError, TabKey,
};
use faregate_types::{Address, B256, Code, U256};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::debt::Debt;
use super::debts::CreditDebts;
use super::error::{CreditError, RepayFault};
use crate::limits;

/// A payment on a tab that was mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaid {
    /// The tab.
    pub tab: U256,
    /// How much.
    pub amount: U256,
    /// The transaction.
    pub mined: Mined,
    /// Gas of the approvals that were needed before, if the node said so.
    pub approval_gas: u64,
}

/// What became of a payment of an earlier process, or of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The payment.
    pub repayment: Repayment,
    /// Its end, as far as it is known.
    pub state: RepaymentState,
    /// The transaction that was mined, or the last that was sent.
    pub transaction: Option<B256>,
}

impl CreditDebts {
    /// Finds out what became of payments whose end is unknown, of whatever process: to be called before anything is paid. What may
    /// not have left is sent again, the same bytes.
    ///
    /// # Errors
    /// [`CreditError`], the first thing that could not be asked or written down.
    pub async fn catch_up(&self) -> Result<Vec<Settled>, CreditError> {
        let (client, most) = (&self.client, limits::CREDIT_REPAYMENTS_OPEN_MAX);
        let (chain, contract, payer) = (client.chain(), client.contract(), client.address());
        let open = self.books.open_repayments(chain, contract, payer, most);
        let mut settled = Vec::new();
        for record in open.await.map_err(books)? {
            settled.push(self.follow(record).await?);
        }
        Ok(settled)
    }

    /// Waits for the end of one.
    async fn follow(&self, record: RepaymentRecord) -> Result<Settled, CreditError> {
        let sent: Vec<_> = record.sent.iter().map(signed).collect();
        let (key, number) = (record.repayment.tab, record.repayment.number);
        let Some(newest) = sent.last() else {
            // Whoever is about to send it cannot write that down any more.
            return self.end(record, RepaymentState::Void, None).await;
        };
        let mut settled = Settled {
            repayment: record.repayment.clone(),
            state: RepaymentState::Open,
            transaction: Some(newest.hash),
        };
        let deadline = Instant::now().checked_add(self.wait);
        let mut is_with_node = false;
        loop {
            match self.client.account().fate(&sent).await? {
                Fate::Mined(mined) => {
                    let hash = Some(mined.transaction);
                    return self.end(record, RepaymentState::Paid, hash).await;
                }
                Fate::Overtaken | Fate::Reverted { is_final: true, .. } => {
                    return self.end(record, RepaymentState::Void, None).await;
                }
                Fate::Reverted {
                    is_final: false,
                    mined,
                } => {
                    tracing::info!(tab = %key.tab, number, "a payment was reverted, which is not final yet");
                    settled.transaction = Some(mined.transaction);
                    return Ok(settled);
                }
                Fate::Open if !is_with_node => {
                    is_with_node = self.client.account().send_again(newest).await;
                    if !is_with_node {
                        tracing::info!(tab = %key.tab, number, "the node does not take a payment again");
                        return Ok(settled);
                    }
                }
                Fate::Open => {}
            }
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Ok(settled);
            }
            sleep(limits::CREDIT_REPAYMENT_LOOK).await;
        }
    }

    async fn end(
        &self,
        record: RepaymentRecord,
        state: RepaymentState,
        transaction: Option<B256>,
    ) -> Result<Settled, CreditError> {
        let (key, number) = (record.repayment.tab, record.repayment.number);
        let written = self.books.finish_repayment(key, number, state, transaction);
        written.await.map_err(books)?;
        Ok(Settled {
            repayment: record.repayment,
            state,
            transaction,
        })
    }

    /// Pays what is owed on a tab, at most what `debt` says, for which everything is read anew; nothing is sent unless all of it is
    /// still so. `allowance` is how much of a token the contract is allowed to take, if it is not allowed that much yet: the sum of
    /// what is going to be paid in this token, or what this debt owes if that is more.
    ///
    /// # Errors
    /// [`CreditError::Repay`] before anything is sent. [`CreditError::Transaction`]: after [`SendError::Unknown`] the payment may
    /// still happen, and [`catch_up`](Self::catch_up) finds out.
    pub async fn pay(&self, debt: &Debt, allowance: U256) -> Result<Repaid, CreditError> {
        let now = self.one(debt.tab).await?.ok_or(RepayFault::NothingOwed)?;
        if now.recipient != debt.recipient || now.asset != debt.asset {
            return Err(RepayFault::Changed.into());
        }
        if now.underway {
            return Err(RepayFault::Underway.into());
        }
        let amount = now.owed.min(debt.owed);
        if amount.is_zero() {
            return Err(RepayFault::NothingOwed.into());
        }
        if !now.certified {
            return Err(RepayFault::NoCertificate.into());
        }
        let approval_gas = if now.asset == ETH {
            0
        } else {
            self.allow(now.asset, amount, allowance.max(amount)).await?
        };
        let mined = self.send(&now, amount).await?;
        Ok(Repaid {
            tab: now.tab,
            amount,
            mined,
            approval_gas,
        })
    }

    /// Lets the contract take so much of a token and no more, unless it may take what is needed already.
    async fn allow(&self, token: Address, needed: U256, wanted: U256) -> Result<u64, CreditError> {
        let (client, core) = (&self.client, self.client.inner().terms.core);
        let question = core.allowance(token, client.address());
        let allowed = client.account().ask(&question).await?;
        if allowed >= needed {
            return Ok(0);
        }
        let call = core.approve(token, wanted);
        let mut gas = 0_u64;
        // Some tokens change an allowance only from or to zero.
        if !allowed.is_zero()
            && let Err(AskError::Reverted(_)) = client.account().try_out(&call).await
        {
            let mined = client.send(&core.approve(token, U256::ZERO)).await?;
            gas = mined.gas_used.unwrap_or_default();
        }
        let mined = client.send(&call).await?;
        Ok(gas.saturating_add(mined.gas_used.unwrap_or_default()))
    }

    async fn send(&self, debt: &Debt, amount: U256) -> Result<Mined, CreditError> {
        let key = self.key(debt.tab);
        let known = self.books.repayments(key).await.map_err(books)?;
        let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let begun = self.books.begin_repayment(Repayment {
            tab: key,
            number,
            recipient: debt.recipient,
            asset: debt.asset,
            amount,
            total: debt.total,
            at: debt.at,
        });
        begun.await.map_err(books)?;
        crash::point(Point::RepaymentBegun);
        let page = Page {
            books: &*self.books,
            key,
            number,
        };
        let call = self.call(debt, amount);
        let sent = self.client.account().send_logged(&call, &page).await;
        let (end, transaction) = match &sent {
            Ok(mined) => (RepaymentState::Paid, Some(mined.transaction)),
            Err(SendError::Reverted(_) | SendError::NotSent(_))
                if self.is_unsent(key, number).await =>
            {
                (RepaymentState::Void, None)
            }
            // Not for good, or nobody knows: a node that refused a transaction could have it all the same.
            Err(_) => return Ok(sent?),
        };
        if sent.is_ok() {
            crash::point(Point::RepaymentMined);
        }
        let written = self.books.finish_repayment(key, number, end, transaction);
        // It is found again by what was written down before.
        if let Err(error) = written.await {
            tracing::warn!(%error, tab = %debt.tab, "how the payment of a tab ended could not be written down");
        }
        Ok(sent?)
    }

    /// Whether no transaction of a payment was ever written down, so that none has left.
    async fn is_unsent(&self, key: TabKey, number: u32) -> bool {
        let known = self.books.repayments(key).await;
        let mut found = known.iter().flatten();
        found.any(|record| record.repayment.number == number && record.sent.is_empty())
    }

    fn call(&self, debt: &Debt, amount: U256) -> Call {
        let core = self.client.inner().terms.core;
        if debt.asset == ETH {
            core.pay_tab_in_eth(debt.tab, debt.req, amount, debt.recipient)
        } else {
            core.pay_tab(debt.tab, debt.asset, amount, debt.recipient)
        }
    }
}

/// Where the transactions of one payment are written down.
struct Page<'a> {
    books: &'a dyn RepaymentStore,
    key: TabKey,
    number: u32,
}

impl Logbook for Page<'_> {
    fn about_to_send<'a>(
        &'a self,
        transaction: &'a SignedTransaction,
    ) -> BoxFuture<'a, Result<(), Away>> {
        let sending = Sending {
            hash: transaction.hash,
            nonce: transaction.nonce,
            raw: transaction.raw.to_vec(),
        };
        Box::pin(async move {
            crash::point(Point::RepaymentSigned);
            let written = self.books.send_repayment(self.key, self.number, sending);
            written.await.map_err(|error| {
                tracing::warn!(%error, tab = %self.key.tab, "a payment could not be written down: it is not sent");
                Away {
                    code: Code::StoreUnavailable,
                }
            })?;
            crash::point(Point::RepaymentNoted);
            Ok(())
        })
    }

    fn handed_over(&self) {
        crash::point(Point::RepaymentSent);
    }
}

fn signed(sending: &Sending) -> SignedTransaction {
    SignedTransaction {
        nonce: sending.nonce,
        hash: sending.hash,
        raw: sending.raw.clone().into(),
    }
}

/// What the books said.
pub(super) const fn books(error: StoreError) -> RepayFault {
    match error {
        StoreError::Conflict => RepayFault::Changed,
        error => RepayFault::Books(error),
    }
}
