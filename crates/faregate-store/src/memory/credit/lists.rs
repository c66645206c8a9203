//! What is asked about many of them.

use alloy_primitives::{Address, U256};
use faregate_core::credit::{Entry, Guarantee, Tab, TabId, TabPayment};
use faregate_core::port::credit::{Page, PutAside};

use super::super::limits::PAGE_ROWS;
use super::books::{Books, is_untold};

impl Books {
    /// The last changed first; of those that changed at the same time, the higher id.
    pub(super) fn tabs(&self, wanted: impl Fn(&Tab) -> bool, page: Page) -> Vec<Tab> {
        let mut tabs: Vec<&Tab> = self.tabs.values().filter(|tab| wanted(tab)).collect();
        tabs.sort_unstable_by_key(|tab| std::cmp::Reverse((tab.updated_at, tab.id)));
        on_page(tabs.into_iter(), page)
    }

    pub(super) fn has_tab(&self, payer: Address, recipient: Address) -> bool {
        let of_both =
            |tab: &Tab| (tab.identity.payer, tab.identity.recipient) == (payer, recipient);
        self.tabs.values().any(of_both)
    }

    pub(super) fn guarantees(&self, tab: TabId, page: Page) -> Vec<Guarantee> {
        let issued = self.guarantees.get(&tab);
        on_page(issued.into_iter().flatten(), page)
    }

    pub(super) fn latest(&self, tab: TabId) -> Option<Guarantee> {
        self.guarantees.get(&tab)?.last().cloned()
    }

    pub(super) fn uncertified(&self, limit: u32) -> Vec<Guarantee> {
        let left = self.uncertified.iter();
        let take = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        left.take(take)
            .filter_map(|(tab, req): &(TabId, U256)| self.guarantee(*tab, *req))
            .collect()
    }

    pub(super) fn payments_to(&self, recipient: Address, page: Page) -> Vec<TabPayment> {
        let newest = self.payments.values().rev();
        on_page(
            newest.filter(|payment| payment.recipient == recipient),
            page,
        )
    }

    pub(super) fn untold(&self, limit: u32) -> Vec<TabPayment> {
        let first = Page { skip: 0, limit };
        on_page(
            self.payments.values().filter(|payment| is_untold(payment)),
            first,
        )
    }

    pub(super) fn entries_of(&self, tab: TabId, page: Page) -> Vec<Entry> {
        let of_tab = |entry: &&Entry| entry.tab.is_some_and(|(id, _)| id == tab);
        on_page(self.entries.iter().filter(of_tab), page)
    }

    pub(super) fn aside(&self, page: Page) -> Vec<PutAside> {
        on_page(self.aside.iter().rev(), page)
    }
}

fn on_page<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a T>, page: Page) -> Vec<T> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    rows.skip(count(page.skip))
        .take(count(page.limit.min(PAGE_ROWS)))
        .cloned()
        .collect()
}
