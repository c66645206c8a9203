//! Spends: caps and terms are the ledger crate's rules; here they meet maps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use alloy_primitives::U256;
use faregate_ledger::terms::PLACE_SPENDS_MAX;
use faregate_ledger::{
    Caps, KnownTerms, Reserved, Signed, Spend, SpendEnd, SpendRecord, SpendState, StoreError,
    Terms, TermsRule, Unit, Usage, Worth, window,
};
use faregate_types::{AssetId, PaymentId, Timestamp};

use super::limits::{PAGE_ROWS, WalletLimits};
use super::slab::Slab;

/// The beginning of everything.
const ALWAYS: Timestamp = Timestamp::from_secs(0);

/// A spend. A copy of it costs a few counters.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Without its request.
    spend: Arc<Spend>,
    /// `None` once the end is known, or when it was not to be kept.
    request: Option<Arc<[u8]>>,
    state: SpendState,
    transaction: Option<Arc<str>>,
}

impl Row {
    /// The record as in a list, without its request.
    pub(super) fn listed(&self) -> SpendRecord {
        SpendRecord {
            spend: Spend::clone(&self.spend),
            state: self.state,
            transaction: self.transaction.as_deref().map(Box::from),
        }
    }

    /// The record.
    pub(super) fn record(&self) -> SpendRecord {
        let mut record = self.listed();
        record.spend.request = self
            .request
            .as_deref()
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        record
    }

    fn terms(&self) -> Terms {
        Terms {
            payee: self.spend.payee.clone(),
            amount: self.spend.amount,
            worth: self.spend.worth,
        }
    }
}

/// What was signed for one origin.
#[derive(Debug, Default)]
struct Origin {
    /// Altogether, in units of [`Worth`].
    worth: BTreeMap<Unit, U256>,
    /// The first spend in each asset.
    first: BTreeMap<AssetId, u32>,
    /// Who was paid in which asset.
    payees: BTreeSet<(AssetId, Box<str>)>,
    /// The newest spends at each path, oldest first.
    places: BTreeMap<Box<str>, VecDeque<u32>>,
}

/// The books of a payer.
#[derive(Debug, Default)]
pub(super) struct Spends {
    limits: WalletLimits,
    numbers: BTreeMap<PaymentId, u32>,
    rows: Slab<Row>,
    recent: BTreeSet<(Timestamp, u32)>,
    open: BTreeSet<u32>,
    origins: BTreeMap<Box<str>, Origin>,
    /// Sums per slot of time: unit, level and slot.
    slots: BTreeMap<(Unit, u32, i64), U256>,
    bytes: u64,
    said_full: bool,
}

impl Spends {
    pub(super) fn new(limits: WalletLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Checks terms and caps and records a spend.
    pub(super) fn reserve(
        &mut self,
        spend: Spend,
        caps: &Caps,
        rule: TermsRule,
    ) -> Result<Reserved, StoreError> {
        let asset = spend.amount.asset();
        let known = self.known(&spend.origin, &spend.path, asset, &spend.payee)?;
        let unit = Unit::of(asset);
        let before = Usage {
            host: self.for_origin(&spend.origin, unit),
            // Without a cap nothing is asked about a period.
            period: match &caps.per_period {
                Some(period) => self.within(unit, period.since(spend.at))?,
                None => Worth::ZERO,
            },
            total: match caps.total {
                Some(_) => self.within(unit, ALWAYS)?,
                None => Worth::ZERO,
            },
        };
        if let Some(row) = self.find(&spend.id)? {
            // What is in the books was allowed once.
            return if row.spend.is_same(&spend) {
                Ok(Reserved::Recorded(known))
            } else {
                Err(StoreError::Conflict)
            };
        }
        let verdict = Reserved::judge(&spend, caps, rule, known, &before);
        if matches!(verdict, Reserved::Recorded(_)) {
            self.fit(&spend)?;
            self.insert(spend)?;
        }
        Ok(verdict)
    }

    /// Refuses what there is no room for.
    fn fit(&mut self, spend: &Spend) -> Result<(), StoreError> {
        let bytes = self.bytes.saturating_add(bytes_of(spend));
        if self.rows.len() < self.limits.spends && bytes <= self.limits.bytes {
            self.said_full = false;
            return Ok(());
        }
        if !std::mem::replace(&mut self.said_full, true) {
            tracing::error!(
                spends = self.rows.len(),
                bytes = self.bytes,
                "the wallet's books in memory are full and refuse new payments"
            );
        }
        Err(StoreError::Unavailable)
    }

    /// Writes a spend, and counts it to its origin and its time. Whatever may fail comes first.
    fn insert(&mut self, mut spend: Spend) -> Result<(), StoreError> {
        let units = spend.worth.units();
        let plus = |sum: U256| sum.checked_add(units).ok_or(StoreError::Damaged);
        let unit = Unit::of(spend.amount.asset());
        let signed = plus(self.for_origin(&spend.origin, unit).units())?;
        let slots = window::slots(spend.at.as_secs()).ok_or(StoreError::Damaged)?;
        let slots: Vec<((Unit, u32, i64), U256)> = slots
            .map(|(level, slot)| {
                let slot = (unit, level, slot);
                let known = self.slots.get(&slot).copied().unwrap_or(U256::ZERO);
                Ok((slot, plus(known)?))
            })
            .collect::<Result<_, StoreError>>()?;
        self.bytes = self.bytes.saturating_add(bytes_of(&spend));
        let request = std::mem::take(&mut spend.request);
        let spend = Arc::new(spend);
        let row = Row {
            spend: Arc::clone(&spend),
            request: (!request.is_empty()).then(|| request.into()),
            state: SpendState::Open,
            transaction: None,
        };
        let number = self.rows.push(row).ok_or(StoreError::Unavailable)?;
        // Nothing fails from here on.
        self.numbers.insert(spend.id, number);
        self.recent.insert((spend.at, number));
        self.open.insert(number);
        self.slots.extend(slots);
        let asset = spend.amount.asset();
        let origin = self.origins.entry(spend.origin.clone()).or_default();
        origin.worth.insert(unit, signed);
        origin.first.entry(asset).or_insert(number);
        origin.payees.insert((asset, spend.payee.clone()));
        let place = origin.places.entry(spend.path.clone()).or_default();
        if place.len() >= usize::from(PLACE_SPENDS_MAX) {
            place.pop_front();
        }
        place.push_back(number);
        Ok(())
    }

    /// Records how a spend ended.
    pub(super) fn finish(&mut self, id: &PaymentId, end: &SpendEnd) -> Result<(), StoreError> {
        let number = *self.numbers.get(id).ok_or(StoreError::NotFound)?;
        let row = self.rows.get_mut(number).ok_or(StoreError::Damaged)?;
        let Some(news) = row.state.news(row.transaction.is_some(), end) else {
            return Ok(());
        };
        row.state = news.state;
        if let Some(transaction) = news.transaction {
            row.transaction = Some(transaction.into());
            self.bytes = self.bytes.saturating_add(count(transaction.len()));
        }
        if let Some(request) = row.request.take() {
            self.bytes = self.bytes.saturating_sub(count(request.len()));
        }
        self.open.remove(&number);
        Ok(())
    }

    /// What was signed in `unit` for `origin` altogether, for anybody since `since`, and for anybody altogether.
    pub(super) fn usage(
        &self,
        origin: &str,
        unit: Unit,
        since: Timestamp,
    ) -> Result<Usage, StoreError> {
        Ok(Usage {
            host: self.for_origin(origin, unit),
            period: self.within(unit, since)?,
            total: self.within(unit, ALWAYS)?,
        })
    }

    /// What was signed for each origin in each unit.
    pub(super) fn signed(&self, limit: u32) -> Vec<Signed> {
        let limit = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        let of_origin = |origin: &str, of: &Origin| {
            let mut signed: Vec<Signed> = of
                .worth
                .iter()
                .map(|(unit, worth)| Signed {
                    origin: origin.into(),
                    unit: *unit,
                    worth: Worth::new(*worth),
                })
                .collect();
            signed.sort_by_cached_key(|signed| signed.unit.to_string());
            signed
        };
        self.origins
            .iter()
            .flat_map(|(origin, of)| of_origin(origin, of))
            .take(limit)
            .collect()
    }

    fn for_origin(&self, origin: &str, unit: Unit) -> Worth {
        let sums = self.origins.get(origin).map(|origin| &origin.worth);
        let sum = sums.and_then(|sums| sums.get(&unit));
        sum.map_or(Worth::ZERO, |sum| Worth::new(*sum))
    }

    fn within(&self, unit: Unit, since: Timestamp) -> Result<Worth, StoreError> {
        let mut sums = window::ranges(since.as_secs())
            .into_iter()
            // The highest slot there is may be where a level begins and ends.
            .filter(|(_, from, until)| from < until)
            .flat_map(|(level, from, until)| {
                self.slots.range((unit, level, from)..(unit, level, until))
            });
        let sum = sums.try_fold(U256::ZERO, |sum, (_, worth)| sum.checked_add(*worth));
        sum.map(Worth::new).ok_or(StoreError::Damaged)
    }

    /// What is known where `payee` asks for `asset`.
    pub(super) fn known(
        &self,
        origin: &str,
        path: &str,
        asset: AssetId,
        payee: &str,
    ) -> Result<KnownTerms, StoreError> {
        let Some(origin) = self.origins.get(origin) else {
            return Ok(KnownTerms::default());
        };
        let newest = origin.places.get(path).into_iter().flatten().rev();
        let newest = newest.map(|number| Ok(self.row(*number)?.terms()));
        KnownTerms::of_place(newest, asset, || {
            // Whoever asks, if the origin was paid that way before, else its first payee.
            if origin.payees.contains(&(asset, payee.into())) {
                return Ok(Some(payee.into()));
            }
            let first = origin.first.get(&asset);
            first
                .map(|number| Ok(self.row(*number)?.spend.payee.clone()))
                .transpose()
        })
    }

    /// The newest spends, newest first.
    pub(super) fn recent(&self, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.list(self.recent.iter().rev().map(|(_, number)| number), limit)
    }

    /// Spends whose end is not known, oldest first.
    pub(super) fn open(&self, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.list(self.open.iter(), limit)
    }

    fn list<'a>(
        &self,
        numbers: impl Iterator<Item = &'a u32>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let limit = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        numbers
            .take(limit)
            .map(|number| self.row(*number).cloned())
            .collect()
    }

    /// One spend.
    pub(super) fn find(&self, id: &PaymentId) -> Result<Option<Row>, StoreError> {
        let number = self.numbers.get(id);
        number.map(|number| self.row(*number).cloned()).transpose()
    }

    fn row(&self, number: u32) -> Result<&Row, StoreError> {
        self.rows.get(number).ok_or(StoreError::Damaged)
    }
}

/// What a spend counts: everything in it that has no fixed size.
fn bytes_of(spend: &Spend) -> u64 {
    let texts = [
        &spend.origin,
        &spend.resource,
        &spend.path,
        &spend.payee,
        &spend.payer,
    ];
    let texts = texts.into_iter().map(|text| text.len());
    let parts = texts.chain([spend.credential.len(), spend.request.len()]);
    count(parts.fold(0, usize::saturating_add))
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
