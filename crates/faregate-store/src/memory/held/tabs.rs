//! What becomes of held certificates.

use alloy_primitives::B256;
use faregate_core::port::{
    HeldCertificate, HeldPage, HeldSums, HeldTab, HeldTabKey, HeldTabStore, Redemption,
    RedemptionEnd, Standing,
};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;

use super::super::ledger::MemoryLedger;
use super::super::limits::{CERTIFICATES_MAX, PAGE_ROWS};
use super::Held;

/// As many rows as were asked for.
fn rows(limit: u32) -> usize {
    usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX)
}

impl Held {
    fn open(&self, chain: ChainId, page: HeldPage) -> Vec<HeldTab> {
        let tabs = self.tabs.values().map(|book| book.tab);
        let place = |tab: &HeldTab| (tab.promised_at, tab.key);
        let open = tabs.filter(|tab| tab.key.chain == chain && !tab.has_ended());
        let mut open: Vec<_> = open
            .filter(|tab| page.after.is_none_or(|after| place(tab) > after))
            .collect();
        open.sort_unstable_by_key(place);
        open.truncate(rows(page.limit));
        open
    }

    fn certificates_of(&self, key: &HeldTabKey, limit: u32) -> Vec<HeldCertificate> {
        let book = self.tabs.get(key);
        let payments = book.into_iter().flat_map(|book| book.numbers.values());
        let held = payments.filter_map(|payment| self.certificates.get(payment));
        let mut held: Vec<_> = held.collect();
        held.sort_by_key(|held| std::cmp::Reverse((held.total, held.at)));
        held.into_iter().take(rows(limit)).cloned().collect()
    }

    fn redeeming(&mut self, redemption: Redemption) -> Result<(), StoreError> {
        if !self.tabs.contains_key(&redemption.key) {
            return Err(StoreError::NotFound);
        }
        let is_full = self.redemptions.len() >= CERTIFICATES_MAX;
        match self.find(&redemption.key, redemption.transaction) {
            Some((known, end)) if *end == Some(RedemptionEnd::GivenUp) => {
                (known.at, *end) = (redemption.at, None);
            }
            Some(_) => {}
            None if is_full => return Err(StoreError::Unavailable),
            None => self.redemptions.push((redemption, None)),
        }
        Ok(())
    }

    fn find(
        &mut self,
        key: &HeldTabKey,
        transaction: B256,
    ) -> Option<&mut (Redemption, Option<RedemptionEnd>)> {
        let mut all = self.redemptions.iter_mut();
        all.find(|(known, _)| known.key == *key && known.transaction == transaction)
    }

    fn stand(
        &mut self,
        key: &HeldTabKey,
        standing: &Standing,
        at: Timestamp,
    ) -> Result<HeldTab, StoreError> {
        let book = self.tabs.get_mut(key).ok_or(StoreError::NotFound)?;
        book.tab = book.tab.standing(standing, at);
        let tab = book.tab;
        self.list(&tab);
        Ok(tab)
    }
}

impl HeldTabStore for MemoryLedger {
    fn open_tabs(
        &self,
        chain: ChainId,
        page: HeldPage,
    ) -> BoxFuture<'_, Result<Vec<HeldTab>, StoreError>> {
        Box::pin(async move { Ok(self.held()?.open(chain, page)) })
    }

    fn held_tab(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<HeldTab>, StoreError>> {
        Box::pin(async move { Ok(self.held()?.tabs.get(&key).map(|book| book.tab)) })
    }

    fn certificates_of(
        &self,
        key: HeldTabKey,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<HeldCertificate>, StoreError>> {
        Box::pin(async move { Ok(self.held()?.certificates_of(&key, limit)) })
    }

    fn redeeming(&self, redemption: Redemption) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.held()?.redeeming(redemption) })
    }

    fn redemptions(
        &self,
        chain: ChainId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Redemption>, StoreError>> {
        Box::pin(async move {
            let held = self.held()?;
            let unknown = held.redemptions.iter().filter(|(_, end)| end.is_none());
            let unknown = unknown.map(|(redemption, _)| *redemption);
            let here = unknown.filter(|redemption| redemption.key.chain == chain);
            Ok(here.take(rows(limit)).collect())
        })
    }

    fn redeemed(
        &self,
        key: HeldTabKey,
        transaction: B256,
        end: RedemptionEnd,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut held = self.held()?;
            let (_, known) = held.find(&key, transaction).ok_or(StoreError::NotFound)?;
            if known.is_none_or(|known| known == RedemptionEnd::GivenUp) {
                *known = Some(end);
            }
            Ok(())
        })
    }

    fn paid_by(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<B256>, StoreError>> {
        Box::pin(async move {
            let held = self.held()?;
            let mut latest = held.redemptions.iter().rev();
            let found =
                latest.find(|(known, end)| known.key == key && *end == Some(RedemptionEnd::Mined));
            Ok(found.map(|(known, _)| known.transaction))
        })
    }

    fn stand(
        &self,
        key: HeldTabKey,
        standing: Standing,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<HeldTab, StoreError>> {
        Box::pin(async move { self.held()?.stand(&key, &standing, at) })
    }

    fn held_sums(&self) -> BoxFuture<'_, Result<Vec<HeldSums>, StoreError>> {
        Box::pin(async move { HeldSums::of(self.held()?.tabs.values().map(|book| book.tab)) })
    }
}
