//! Do the books say what the contract says? Everybody's collateral, compared as of the block the books are at.
//!
//! Page by page, between two parts of the chain, so that the books stand still while a page is compared and following does
//! not wait for all of them.

use alloy_primitives::{Address, U256};
use faregate_core::credit::Cursor;
use faregate_core::port::credit::CreditStore;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ask;
use super::scan::Setback;
use crate::credit::CreditCore;
use crate::limits::{
    CREDIT_BOOKS_TIMEOUT, CREDIT_DIFFERENCES_MAX, CREDIT_RECONCILE_PAGE, CREDIT_RECONCILE_TRIES,
};
use crate::node::{NodeError, Silence};
use crate::rpc::Rpc;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciliation {
    /// Balances that were compared.
    pub compared: u64,
    /// How many of them are different.
    pub different: u64,
    /// The first thousand of those.
    pub differences: Vec<Difference>,
    /// Balances that could not be compared, because the node does not know the state of that block, or did not answer.
    pub unknown: u64,
}

/// A balance that is not the contract's. In the asset's atomic units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Whose.
    pub payer: Address,
    /// In what; the zero address is ETH.
    pub asset: Address,
    /// What the books say the payer has.
    pub books: U256,
    /// What the contract says.
    pub contract: U256,
    /// As of which block.
    pub block: u64,
}

/// A comparison on its way.
#[derive(Debug, Default)]
pub(super) struct Pass {
    after: Option<(Address, Address)>,
    report: Reconciliation,
    tries: u32,
    /// Who asked for it.
    pub(super) listeners: Vec<oneshot::Sender<Reconciliation>>,
}

/// Whose balances in what, and what the books say.
type Page = Vec<(Address, Address, U256)>;

impl Pass {
    /// Compares a page; the report when it was the last. Repeated when the books moved meanwhile.
    pub(super) async fn step(
        &mut self,
        rpc: &Rpc,
        core: &CreditCore,
        store: &dyn CreditStore,
    ) -> Option<Reconciliation> {
        let Ok((cursor, page)) = self.page(store).await else {
            return self.again(&[]);
        };
        let Some(cursor) = cursor else {
            return Some(std::mem::take(&mut self.report));
        };
        match contract_says(rpc, core, cursor, &page).await {
            Ok(said) => self.compare(cursor.number, &page, &said),
            // What is not known now will not be known later.
            Err(NodeError::Refused(_)) => self.unknown(&page),
            Err(_) => return self.again(&page),
        }
        self.tries = 0;
        self.after = page.last().map(|(payer, asset, _)| (*payer, *asset));
        let full = usize::try_from(CREDIT_RECONCILE_PAGE).is_ok_and(|full| page.len() >= full);
        (!full).then(|| std::mem::take(&mut self.report))
    }

    /// A page of the books, all of it as of one block.
    async fn page(&self, store: &dyn CreditStore) -> Result<(Option<Cursor>, Page), Setback> {
        let read = async {
            let before = store.cursor().await?;
            let page = store.collaterals(self.after, CREDIT_RECONCILE_PAGE).await?;
            Ok((before, page, store.cursor().await?))
        };
        let read: Result<_, faregate_ledger::StoreError> = timeout(CREDIT_BOOKS_TIMEOUT, read)
            .await
            .map_err(|_| Setback::Books)?;
        match read {
            Ok((before, page, after)) if before == after => {
                let page = page.into_iter();
                let page = page.map(|(payer, asset, known)| (payer, asset, known.total));
                Ok((before, page.collect()))
            }
            Ok(_) | Err(_) => Err(Setback::Books),
        }
    }

    /// Not now. After some times the page is left out, or, when even that is not known, the rest.
    fn again(&mut self, page: &[(Address, Address, U256)]) -> Option<Reconciliation> {
        self.tries = self.tries.saturating_add(1);
        if self.tries < CREDIT_RECONCILE_TRIES {
            return None;
        }
        self.tries = 0;
        self.unknown(page);
        match page.last() {
            Some((payer, asset, _)) => {
                self.after = Some((*payer, *asset));
                None
            }
            None => {
                tracing::warn!("the books could not be compared with the contract to their end");
                Some(std::mem::take(&mut self.report))
            }
        }
    }

    fn unknown(&mut self, page: &[(Address, Address, U256)]) {
        let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
        self.report.unknown = self.report.unknown.saturating_add(count);
    }

    fn compare(&mut self, block: u64, page: &[(Address, Address, U256)], said: &[Option<U256>]) {
        let report = &mut self.report;
        for ((payer, asset, books), contract) in page.iter().zip(said) {
            let Some(contract) = contract else {
                report.unknown = report.unknown.saturating_add(1);
                continue;
            };
            report.compared = report.compared.saturating_add(1);
            if books == contract {
                continue;
            }
            report.different = report.different.saturating_add(1);
            if report.differences.len() < CREDIT_DIFFERENCES_MAX {
                tracing::error!(%payer, %asset, %books, %contract, block, "the books do not say what the contract says");
                report.differences.push(Difference {
                    payer: *payer,
                    asset: *asset,
                    books: *books,
                    contract: *contract,
                    block,
                });
            }
        }
    }
}

async fn contract_says(
    rpc: &Rpc,
    core: &CreditCore,
    cursor: Cursor,
    page: &[(Address, Address, U256)],
) -> Result<Vec<Option<U256>>, NodeError> {
    let questions: Vec<_> = page
        .iter()
        .map(|(payer, asset, _)| core.collateral(*payer, *asset))
        .collect();
    let calls: Vec<_> = questions
        .iter()
        .map(|question| (question.to, question.data.clone()))
        .collect();
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let answers = ask::answers(rpc, &calls, Some(cursor.number)).await?;
    // What was asked by number has to be what the books mean by it.
    let same = rpc.block(cursor.number).await?;
    if same.is_none_or(|block| block.hash != cursor.hash) {
        return Err(NodeError::Away(Silence::Behind));
    }
    let read = answers.into_iter().zip(&questions);
    Ok(read
        .map(|(answer, question)| question.read(&answer?))
        .collect())
}
