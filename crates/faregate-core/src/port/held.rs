//! Tabs that certificates are held of: what they are worth, and what became of it (specs/4mica.md §4.2, §8.1).
//!
//! The contract counts what was paid on a tab and what was redeemed of it, and pays on a certificate what its total exceeds
//! both by. So of a tab the certificate with the largest total is worth all others together.

use alloy_primitives::{Address, B256, U256};
use faregate_ledger::StoreError;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::{ChainId, Erc20, Timestamp};
use futures_util::future::BoxFuture;

use super::certificates::{CertificateStore, HeldCertificate};

#[cfg(feature = "suite")]
pub mod suite;

/// Which tab: its id is given by whoever runs the core, so it only counts together with whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct HeldTabKey {
    /// The chain of the contract that redeems it.
    pub chain: ChainId,
    /// Who owes.
    pub payer: Address,
    /// Whom.
    pub recipient: Address,
    /// The tab.
    pub tab: U256,
}

/// A tab that certificates are held of. All sums are in atomic units of its asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct HeldTab {
    /// Which tab.
    pub key: HeldTabKey,
    /// In what is owed; the zero address stands for ETH.
    pub asset: Erc20,
    /// That of the certificate with the largest total.
    pub version: GuaranteeVersion,
    /// How many certificates there are.
    pub certificates: u64,
    /// The largest total of them.
    pub total: U256,
    /// When that one was promised.
    pub promised_at: Timestamp,
    /// When the first of them was.
    pub first_promised_at: Timestamp,
    /// What its payer paid, as the contract knows it.
    pub paid: U256,
    /// What came out of collateral.
    pub redeemed: U256,
    /// The contract pays nothing more on any of the certificates.
    pub is_over: bool,
    /// When anything of this changed.
    pub changed_at: Timestamp,
}

/// How the total of a tab divides. The four add up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Shares {
    /// Came out of collateral.
    pub redeemed: U256,
    /// The payer paid it.
    pub repaid: U256,
    /// Nobody paid it, and nobody has to any more.
    pub lost: U256,
    /// Still owed.
    pub owed: U256,
}

/// What the contract says of a tab, deep enough to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a command, built by literal")]
pub struct Standing {
    /// What was paid.
    pub paid: U256,
    /// What was redeemed.
    pub redeemed: U256,
    /// On a certificate with so large a total nothing is paid any more, because it is too late. Says nothing about a tab that
    /// has grown since.
    pub over: Option<U256>,
}

/// A transaction that redeems a certificate of a tab, and whose end nobody knows yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Redemption {
    /// The tab.
    pub key: HeldTabKey,
    /// The transaction. One that replaced another is another redemption.
    pub transaction: B256,
    /// When it was recorded, which is before it left.
    pub at: Timestamp,
}

/// How a redemption ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every engine stores each of them")]
pub enum RedemptionEnd {
    /// It was mined, deep enough, and the contract paid.
    Mined,
    /// It was mined and the contract refused.
    Reverted,
    /// It is not waited for any more: another took its place, or no node has known it for long. It may still happen, and does no harm
    /// then, because the contract pays nothing twice.
    GivenUp,
}

/// What is held in one asset, of all tabs there ever were, in its atomic units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct HeldSums {
    /// The asset; the zero address stands for ETH.
    pub asset: Erc20,
    /// Tabs that have not ended.
    pub open: u64,
    /// Tabs that have.
    pub ended: u64,
    /// What was promised, and how it divides.
    pub promised: U256,
    /// The parts of it.
    pub shares: Shares,
}

/// What is listed: at most so many tabs, beginning after one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct HeldPage {
    /// The last one of the page before.
    pub after: Option<(Timestamp, HeldTabKey)>,
    /// At most so many.
    pub limit: u32,
}

impl HeldPage {
    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The page that follows one that ends with this tab.
    #[must_use]
    pub const fn after(tab: &HeldTab, limit: u32) -> Self {
        Self {
            after: Some((tab.promised_at, tab.key)),
            limit,
        }
    }
}

/// What becomes of held certificates. Every method is one atomic, durable transaction and may be repeated.
pub trait HeldTabStore: CertificateStore {
    /// Tabs of a chain that have not ended, by when their largest certificate was promised, which is the order of their deadlines,
    /// then by their key.
    fn open_tabs(
        &self,
        chain: ChainId,
        page: HeldPage,
    ) -> BoxFuture<'_, Result<Vec<HeldTab>, StoreError>>;

    /// A tab, if a certificate of it is held.
    fn held_tab(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<HeldTab>, StoreError>>;

    /// The certificates of a tab, the largest total first, at most `limit`.
    fn certificates_of(
        &self,
        key: HeldTabKey,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<HeldCertificate>, StoreError>>;

    /// A transaction that redeems a certificate of this tab is about to be sent: its end is not known from now on, also when it was
    /// given up before, because the same transaction has the same hash. [`StoreError::NotFound`] when there is no such tab.
    fn redeeming(&self, redemption: Redemption) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Redemptions on a chain whose end is not known, oldest first, at most `limit`.
    fn redemptions(
        &self,
        chain: ChainId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Redemption>, StoreError>>;

    /// How a redemption ended. One that was mined stays as it is. [`StoreError::NotFound`] when it is unknown.
    fn redeemed(
        &self,
        key: HeldTabKey,
        transaction: B256,
        end: RedemptionEnd,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last redemption of a tab that the contract paid for, if there was one.
    fn paid_by(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<B256>, StoreError>>;

    /// What the contract says of a tab ([`HeldTab::standing`]). [`StoreError::NotFound`] when there is no such tab.
    fn stand(
        &self,
        key: HeldTabKey,
        standing: Standing,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<HeldTab, StoreError>>;

    /// All that was ever promised, by asset. Reads every tab.
    fn held_sums(&self) -> BoxFuture<'_, Result<Vec<HeldSums>, StoreError>>;
}

impl HeldSums {
    /// The sums of these tabs, by asset.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a sum overflows.
    pub fn of(tabs: impl IntoIterator<Item = HeldTab>) -> Result<Vec<Self>, StoreError> {
        let mut sums = std::collections::BTreeMap::new();
        for tab in tabs {
            let sum = sums.entry(tab.asset).or_insert(Self {
                asset: tab.asset,
                open: 0,
                ended: 0,
                promised: U256::ZERO,
                shares: Shares::default(),
            });
            *sum = sum.with(&tab).ok_or(StoreError::Damaged)?;
        }
        Ok(sums.into_values().collect())
    }

    fn with(self, tab: &HeldTab) -> Option<Self> {
        let (now, more) = (self.shares, tab.shares());
        let ended = u64::from(tab.has_ended());
        Some(Self {
            asset: self.asset,
            open: self.open.checked_add(1_u64.saturating_sub(ended))?,
            ended: self.ended.checked_add(ended)?,
            promised: self.promised.checked_add(tab.total)?,
            shares: Shares {
                redeemed: now.redeemed.checked_add(more.redeemed)?,
                repaid: now.repaid.checked_add(more.repaid)?,
                lost: now.lost.checked_add(more.lost)?,
                owed: now.owed.checked_add(more.owed)?,
            },
        })
    }
}

impl HeldCertificate {
    /// The tab it is of.
    #[must_use]
    pub const fn tab_key(&self) -> HeldTabKey {
        HeldTabKey {
            chain: self.chain,
            payer: self.payer,
            recipient: self.recipient,
            tab: self.tab,
        }
    }

    /// Whether this is the same certificate for the same payment: when it came and which route sold it are no part of that.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let what = |held: &Self| (held.payment, held.tab_key(), held.req, held.version);
        let worth = |held: &Self| (held.amount, held.total, held.promised_at);
        what(self) == what(other)
            && worth(self) == worth(other)
            && self.certificate == other.certificate
    }
}

impl HeldTab {
    /// A tab with its first certificate.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when that is not over an asset of its chain.
    pub fn of(held: &HeldCertificate) -> Result<Self, StoreError> {
        let asset = held.amount.asset().as_erc20();
        let asset = asset.filter(|asset| asset.chain() == held.chain);
        Ok(Self {
            key: held.tab_key(),
            asset: asset.ok_or(StoreError::Conflict)?,
            version: held.version,
            certificates: 1,
            total: held.total,
            promised_at: held.promised_at,
            first_promised_at: held.promised_at,
            paid: U256::ZERO,
            redeemed: U256::ZERO,
            is_over: false,
            changed_at: held.at,
        })
    }

    /// The tab with one certificate more. One that was over is not any more when that has a larger total.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not one of this tab: the contract holds a tab to its first asset.
    pub fn with(self, held: &HeldCertificate) -> Result<Self, StoreError> {
        if self.key != held.tab_key() || held.amount.asset() != self.asset {
            return Err(StoreError::Conflict);
        }
        let certificates = self.certificates.checked_add(1);
        let tab = Self {
            certificates: certificates.ok_or(StoreError::Damaged)?,
            first_promised_at: self.first_promised_at.min(held.promised_at),
            changed_at: held.at,
            ..self
        };
        if held.total <= self.total {
            return Ok(tab);
        }
        Ok(Self {
            version: held.version,
            total: held.total,
            promised_at: held.promised_at,
            is_over: false,
            ..tab
        })
    }

    /// The tab with what the contract says now. What it said before stays said: both sums only grow.
    #[must_use]
    pub fn standing(self, standing: &Standing, at: Timestamp) -> Self {
        let tab = Self {
            paid: self.paid.max(standing.paid),
            redeemed: self.redeemed.max(standing.redeemed),
            is_over: self.is_over || standing.over.is_some_and(|total| total >= self.total),
            ..self
        };
        let changed_at = if tab == self { self.changed_at } else { at };
        Self { changed_at, ..tab }
    }

    /// How its total divides.
    #[must_use]
    pub fn shares(&self) -> Shares {
        let redeemed = self.redeemed.min(self.total);
        let repaid = self.paid.min(self.total.saturating_sub(redeemed));
        let rest = self.total.saturating_sub(redeemed).saturating_sub(repaid);
        let (lost, owed) = if self.is_over {
            (rest, U256::ZERO)
        } else {
            (U256::ZERO, rest)
        };
        Shares {
            redeemed,
            repaid,
            lost,
            owed,
        }
    }

    /// Whether nothing more is to be had, or asked for.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shares().owed.is_zero()
    }
}
