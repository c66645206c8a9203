//! Certificates that a seller holds, and the tabs they are on. What they mean together is decided by [`HeldTab`]; here the
//! certificates of many are loaded, and written with one statement per table.

mod rows;
mod tabs;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use faregate_core::port::{
    CertificateStore, HeldCertificate, HeldTab, HeldTabKey, Redemption, RedemptionEnd, Standing,
};
use faregate_ledger::StoreError;
use faregate_types::{Erc20, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::codec::{self, escaped};
use super::fault::Fault;
use super::hold::{Hold, held};
use super::lane::{Results, Work};
use super::ledger::PostgresLedger;
use super::pool::{Link, Params};
use super::reads::told;
use super::seqs::Seqs;
use super::write::columns;
use crate::words::credit::integer;
use rows::{certificates, tabs as select_tabs};

const LOCK_TABS: &str = concat!(
    select_tabs!(),
    " JOIN unnest($1::int8[], $2::bytea[], $3::bytea[], $4::bytea[]) AS w (chain, payer, recipient, tab) \
     ON t.payer = w.payer AND t.tab = w.tab AND t.recipient = w.recipient AND t.chain = w.chain \
     ORDER BY t.chain, t.payer, t.recipient, t.tab FOR UPDATE OF t"
);

/// Certificates of these payments.
const KNOWN: &str = concat!(certificates!(), " WHERE c.payment = ANY($1)");

/// Numbers that are taken.
const TAKEN: &str = "SELECT c.tab, c.req::text AS req FROM unnest($1::int8[], $2::text[]) AS w (tab, req) \
     JOIN held_certificate c ON c.tab = w.tab AND c.req = w.req::numeric";

const ONE: &str = concat!(certificates!(), " WHERE c.payment = $1");

const OWED: &str = "SELECT coalesce(sum(r.amount), 0)::text AS owed FROM held_tab t \
     JOIN held_route r ON r.tab = t.seq AND r.route = $4 \
     WHERE t.payer = $1 AND t.asset = $2 AND t.chain = $3 AND NOT t.ended";

/// What is asked of the lane.
#[derive(Debug)]
pub(super) enum Job {
    Keep(Box<HeldCertificate>),
    Stand(HeldTabKey, Standing, Timestamp),
    Redeeming(Redemption),
    Redeemed(HeldTabKey, B256, RedemptionEnd),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Done {
    Nothing,
    Stands(Box<HeldTab>),
}

impl Job {
    fn key(&self) -> HeldTabKey {
        match self {
            Self::Keep(held) => held.tab_key(),
            Self::Stand(key, ..) | Self::Redeemed(key, ..) => *key,
            Self::Redeeming(redemption) => redemption.key,
        }
    }
}

/// The work on held certificates.
#[derive(Debug)]
pub(super) struct HeldWork {
    seqs: Seqs,
    /// Where only one process may write: that it is this one.
    hold: Option<Arc<Hold>>,
}

/// What a batch knows and changes.
#[derive(Debug, Default)]
struct Sheet {
    tabs: BTreeMap<HeldTabKey, Row>,
    /// Certificates by their payment, those of this batch too.
    certificates: HashMap<PaymentId, HeldCertificate>,
    /// Numbers of tabs that are taken.
    numbers: HashSet<(i64, U256)>,
    /// What is to be written.
    new: Vec<(i64, PaymentId)>,
    /// What routes sold in this batch.
    sold: BTreeMap<(i64, Box<str>), U256>,
}

/// A tab that is locked, or that nobody had before.
#[derive(Debug)]
struct Row {
    seq: i64,
    tab: HeldTab,
    /// The payment of the certificate with the largest total.
    latest: PaymentId,
    is_new: bool,
    is_changed: bool,
}

impl HeldWork {
    pub(super) fn new(hold: Option<Arc<Hold>>) -> Self {
        Self {
            seqs: Seqs::new(),
            hold,
        }
    }

    async fn run_all(&self, link: &Link, jobs: &[Job]) -> Result<Results<Done>, Fault> {
        held(self.hold.as_deref())?;
        let mut sheet = load(link, jobs).await?;
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match job {
                Job::Keep(held) => self.keep(&mut sheet, held).map(|()| Done::Nothing),
                Job::Stand(key, standing, at) => sheet.stand(key, standing, *at),
                Job::Redeeming(redemption) => {
                    tabs::redeeming(link, &sheet, redemption, self.seqs.next()).await?
                }
                Job::Redeemed(key, transaction, end) => {
                    tabs::redeemed(link, &sheet, key, *transaction, *end).await?
                }
            });
        }
        write::sheet(link, &sheet).await?;
        Ok(results)
    }

    fn keep(&self, sheet: &mut Sheet, held: &HeldCertificate) -> Result<(), StoreError> {
        if let Some(known) = sheet.certificates.get(&held.payment) {
            return if known.is_same(held) {
                Ok(())
            } else {
                Err(StoreError::Conflict)
            };
        }
        let key = held.tab_key();
        let row = match sheet.tabs.get(&key) {
            Some(row) if sheet.numbers.contains(&(row.seq, held.req)) => {
                return Err(StoreError::Conflict);
            }
            Some(row) => Row {
                tab: row.tab.with(held)?,
                latest: if held.total > row.tab.total {
                    held.payment
                } else {
                    row.latest
                },
                is_changed: true,
                ..*row
            },
            None => Row {
                seq: self.seqs.next(),
                tab: HeldTab::of(held)?,
                latest: held.payment,
                is_new: true,
                is_changed: true,
            },
        };
        let seq = row.seq;
        let place = (seq, held.route.clone());
        let sold = sheet.sold.get(&place).copied().unwrap_or_default();
        let sold = sold.checked_add(held.amount.value());
        sheet.sold.insert(place, sold.ok_or(StoreError::Damaged)?);
        sheet.tabs.insert(key, row);
        sheet.numbers.insert((seq, held.req));
        sheet.certificates.insert(held.payment, held.clone());
        sheet.new.push((seq, held.payment));
        Ok(())
    }
}

impl Sheet {
    fn stand(
        &mut self,
        key: &HeldTabKey,
        standing: &Standing,
        at: Timestamp,
    ) -> Result<Done, StoreError> {
        let row = self.tabs.get_mut(key).ok_or(StoreError::NotFound)?;
        let after = row.tab.standing(standing, at);
        row.is_changed |= after != row.tab;
        row.tab = after;
        Ok(Done::Stands(Box::new(after)))
    }

    fn seq(&self, key: &HeldTabKey) -> Option<i64> {
        self.tabs.get(key).map(|row| row.seq)
    }
}

impl Work for HeldWork {
    type Job = Job;
    type Done = Done;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Keep(held) => held.certificate.claims.len(),
            Job::Stand(..) | Job::Redeeming(_) | Job::Redeemed(..) => 0,
        }
    }

    fn run<'a>(
        &'a self,
        link: &'a Link,
        jobs: &'a [Job],
    ) -> BoxFuture<'a, Result<Results<Done>, Fault>> {
        Box::pin(self.run_all(link, jobs))
    }
}

/// Locks the tabs, then looks at what there is: a statement after the lock sees what was committed while it was waited for.
async fn load(link: &Link, jobs: &[Job]) -> Result<Sheet, Fault> {
    let mut sheet = Sheet::default();
    let keys: BTreeSet<HeldTabKey> = jobs.iter().map(Job::key).collect();
    let (a, b, c, d) = columns!(keys, key =>
        integer(key.chain.get()),
        key.payer.as_slice(),
        key.recipient.as_slice(),
        key.tab.to_be_bytes::<32>().to_vec(),
    );
    for row in link.rows(LOCK_TABS, &[&a, &b, &c, &d]).await? {
        let tab = rows::tab(&row)?;
        let row = Row {
            seq: row.try_get("seq")?,
            tab,
            latest: codec::id(&row, "latest")?,
            is_new: false,
            is_changed: false,
        };
        sheet.tabs.insert(tab.key, row);
    }
    let keeps: Vec<&HeldCertificate> = jobs
        .iter()
        .filter_map(|job| match job {
            Job::Keep(held) => Some(&**held),
            _ => None,
        })
        .collect();
    if keeps.is_empty() {
        return Ok(sheet);
    }
    let payments: Vec<&[u8]> = keeps
        .iter()
        .map(|held| held.payment.as_bytes().as_slice())
        .collect();
    for row in link.rows(KNOWN, &[&payments]).await? {
        let held = rows::certificate(&row)?;
        sheet.certificates.insert(held.payment, held);
    }
    let of_known_tabs = keeps.iter().filter_map(|held| {
        let row = sheet.tabs.get(&held.tab_key())?;
        Some((row.seq, held.req.to_string()))
    });
    let (seqs, reqs): (Vec<i64>, Vec<String>) = of_known_tabs.unzip();
    if !seqs.is_empty() {
        for row in link.rows(TAKEN, &[&seqs, &reqs]).await? {
            let req = codec::money(row.try_get("req")?)?;
            sheet.numbers.insert((row.try_get("tab")?, req));
        }
    }
    Ok(sheet)
}

impl CertificateStore for PostgresLedger {
    fn keep(&self, held: HeldCertificate) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.held.ask(Job::Keep(Box::new(held))).await?;
            Ok(())
        })
    }

    fn certificate(
        &self,
        payment: PaymentId,
    ) -> BoxFuture<'_, Result<Option<HeldCertificate>, StoreError>> {
        Box::pin(async move {
            let payment = payment.as_bytes().as_slice();
            let rows = self.reads.rows(ONE, &[&payment]).await?;
            told(rows.first().map(rows::certificate).transpose())
        })
    }

    fn owed<'a>(
        &'a self,
        payer: Address,
        route: &'a str,
        asset: Erc20,
    ) -> BoxFuture<'a, Result<U256, StoreError>> {
        Box::pin(async move {
            let token = asset.token();
            let params: Params<'_> = &[
                &payer.as_slice(),
                &token.as_slice(),
                &integer(asset.chain().get()),
                &escaped(route),
            ];
            let rows = self.reads.rows(OWED, params).await?;
            let owed = rows.first().map(|row| codec::money(row.try_get("owed")?));
            told(owed.unwrap_or(Ok(U256::ZERO)))
        })
    }
}
