//! The journal of collateral: every line moves money in the ledger.

use alloy_primitives::{Address, B256, U256, keccak256};
use faregate_ledger::{AccountId, Movement, Transfer};
use faregate_types::credit::api::CollateralEventKind as EntryKind;
use faregate_types::{Amount, AssetId, ChainId, Timestamp};

use super::event::Place;
use super::tab::{Tab, TabId};

/// One line. Amounts are in the asset's atomic units.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// Whose collateral it is about.
    pub payer: Address,
    /// In which asset; the zero address is ETH.
    pub asset: Address,
    /// How much came, went, or was guaranteed.
    pub amount: U256,
    /// How much more or less is locked than before: more for [`EntryKind::Reserve`], less for all others.
    pub lock: U256,
    /// The tab and its recipient.
    pub tab: Option<(TabId, Address)>,
    /// The request of the tab.
    pub req: Option<U256>,
    /// Where on the chain the money moved: of [`EntryKind::Unlock`] where the payment happened, if that is known, else where
    /// the contract recorded it. It was entered together with this or before.
    pub place: Option<Place>,
    /// When.
    pub at: Timestamp,
}

/// Names an entry: the same happening gives the same name, so nothing is entered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl Entry {
    /// What happens in the ledger, in this order. Transfers of nothing are left out.
    ///
    /// ```text
    /// outside/credit ─deposit─► collateral/<payer> ─remunerate─► guaranteed/<recipient>
    ///                ◄withdraw─        └─ reserve: pending towards the recipient
    /// ```
    #[must_use]
    pub fn postings(&self, chain: ChainId) -> Vec<(Transfer, Movement)> {
        use Movement::{Post, Reserve, Void};
        let asset = AssetId::erc20(chain, self.asset);
        let collateral = AccountId::collateral(self.payer);
        let transfer = |debit: &AccountId, credit: &AccountId, amount| Transfer {
            debit: debit.clone(),
            credit: credit.clone(),
            amount: Amount::new(amount, asset),
        };
        let outside = AccountId::outside_credit();
        let guaranteed = self
            .tab
            .map_or_else(AccountId::outside_credit, |(_, recipient)| {
                AccountId::guaranteed(recipient)
            });
        let promise = |amount| transfer(&collateral, &guaranteed, amount);
        let mut postings = match self.kind {
            EntryKind::Deposit => {
                let comes = transfer(&outside, &collateral, self.amount);
                vec![(comes.clone(), Reserve), (comes, Post)]
            }
            EntryKind::Withdraw => {
                let goes = transfer(&collateral, &outside, self.amount);
                vec![(goes.clone(), Reserve), (goes, Post)]
            }
            EntryKind::Reserve => vec![(promise(self.lock), Reserve)],
            EntryKind::CancelReserve | EntryKind::Unlock => vec![(promise(self.lock), Void)],
            EntryKind::Remunerate => vec![
                // What was paid out and not locked: its certificates had expired in our books, or it was paid for already.
                (promise(self.amount.saturating_sub(self.lock)), Reserve),
                (promise(self.amount), Post),
                // What need not be paid any more.
                (promise(self.lock.saturating_sub(self.amount)), Void),
            ],
        };
        postings.retain(|(transfer, _)| !transfer.amount.value().is_zero());
        postings
    }

    /// Its name: from its place on the chain, or from the tab and the request.
    #[must_use]
    pub fn id(&self) -> EntryId {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(self.kind.as_str().as_bytes());
        if let Some((tab, _)) = self.tab {
            bytes.extend_from_slice(&tab.0.to_be_bytes::<32>());
        }
        match self.place {
            Some(place) => bytes.extend_from_slice(place.record().as_slice()),
            None => bytes.extend_from_slice(&self.req.unwrap_or_default().to_be_bytes::<32>()),
        }
        let hash: B256 = keccak256(&bytes);
        let mut id = [0; 16];
        let (head, _) = hash.split_at(16);
        id.copy_from_slice(head);
        EntryId(id)
    }

    /// A line about a tab that was `before` and is `after`, if anything about its lock or money changed.
    pub(super) fn of_tab(
        kind: EntryKind,
        amount: U256,
        (before, after): (&Tab, &Tab),
        req: Option<U256>,
        place: Option<Place>,
        at: Timestamp,
    ) -> Self {
        Self {
            kind,
            payer: after.identity.payer,
            asset: after.identity.asset,
            amount,
            lock: before.locked().abs_diff(after.locked()),
            tab: Some((after.id, after.identity.recipient)),
            req,
            place,
            at,
        }
    }
}
