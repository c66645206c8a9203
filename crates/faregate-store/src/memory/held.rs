//! Certificates that a seller holds, and the tabs they are on.

mod tabs;

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use faregate_core::port::{
    CertificateStore, HeldCertificate, HeldTab, HeldTabKey, Redemption, RedemptionEnd,
};
use faregate_ledger::StoreError;
use faregate_types::{Erc20, PaymentId};
use futures_util::future::BoxFuture;

use super::ledger::MemoryLedger;
use super::limits::CERTIFICATES_MAX;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Held {
    certificates: BTreeMap<PaymentId, HeldCertificate>,
    tabs: BTreeMap<HeldTabKey, Book>,
    /// Tabs that have not ended, by who owes on them.
    owing: BTreeMap<(Address, Erc20), Vec<HeldTabKey>>,
    /// Redemptions in the order they came, and how they ended.
    redemptions: Vec<(Redemption, Option<RedemptionEnd>)>,
}

/// A tab, and what is looked for there.
#[derive(Debug)]
struct Book {
    tab: HeldTab,
    /// Its certificates, by their number.
    numbers: BTreeMap<U256, PaymentId>,
    /// What each route sold on it.
    routes: BTreeMap<Box<str>, U256>,
}

impl Held {
    fn keep(&mut self, held: HeldCertificate) -> Result<(), StoreError> {
        if let Some(known) = self.certificates.get(&held.payment) {
            return if known.is_same(&held) {
                Ok(())
            } else {
                Err(StoreError::Conflict)
            };
        }
        if self.certificates.len() >= CERTIFICATES_MAX {
            return Err(StoreError::Unavailable);
        }
        let key = held.tab_key();
        let tab = match self.tabs.get(&key) {
            Some(book) if book.numbers.contains_key(&held.req) => return Err(StoreError::Conflict),
            Some(book) => book.tab.with(&held)?,
            None => HeldTab::of(&held)?,
        };
        let routes = self.tabs.get(&key).map(|book| &book.routes);
        let sold = routes.and_then(|routes| routes.get(&held.route));
        let sold = sold.copied().unwrap_or_default();
        let sold = sold.checked_add(held.amount.value());
        let sold = sold.ok_or(StoreError::Damaged)?;
        let book = self.tabs.entry(key).or_insert_with(|| Book {
            tab,
            numbers: BTreeMap::new(),
            routes: BTreeMap::new(),
        });
        book.tab = tab;
        book.numbers.insert(held.req, held.payment);
        book.routes.insert(held.route.clone(), sold);
        self.certificates.insert(held.payment, held);
        self.list(&tab);
        Ok(())
    }

    /// Lists a tab among those that are owed on, or not any more.
    fn list(&mut self, tab: &HeldTab) {
        let of = (tab.key.payer, tab.asset);
        let owing = self.owing.entry(of).or_default();
        owing.retain(|key| *key != tab.key);
        if !tab.has_ended() {
            owing.push(tab.key);
        } else if owing.is_empty() {
            self.owing.remove(&of);
        }
    }

    fn owed(&self, payer: Address, route: &str, asset: Erc20) -> Result<U256, StoreError> {
        let keys = self.owing.get(&(payer, asset)).into_iter().flatten();
        let sold = keys.filter_map(|key| self.tabs.get(key)?.routes.get(route));
        sold.copied().try_fold(U256::ZERO, |sum, sold| {
            sum.checked_add(sold).ok_or(StoreError::Damaged)
        })
    }
}

impl CertificateStore for MemoryLedger {
    fn keep(&self, held: HeldCertificate) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.held()?.keep(held) })
    }

    fn certificate(
        &self,
        payment: PaymentId,
    ) -> BoxFuture<'_, Result<Option<HeldCertificate>, StoreError>> {
        Box::pin(async move { Ok(self.held()?.certificates.get(&payment).cloned()) })
    }

    fn owed<'a>(
        &'a self,
        payer: Address,
        route: &'a str,
        asset: Erc20,
    ) -> BoxFuture<'a, Result<U256, StoreError>> {
        Box::pin(async move { self.held()?.owed(payer, route, asset) })
    }
}
