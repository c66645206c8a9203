//! What the chain said, and what it is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_primitives::B256;
use faregate_core::crash::{self, Point};
use faregate_core::credit::{
    Changes, Cursor, Happening, Place, TabEvent, TabId, Terms, apply, release,
};
use faregate_core::port::credit::{Batch, Entered, PutAside};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;

use super::super::codec::{escaped, secs};
use super::super::fault::Fault;
use super::super::hold::{Hold, held};
use super::super::lane::{Results, Work};
use super::super::limits;
use super::super::pool::{Link, Pool};
use super::super::reads::{page, told};
use super::super::seqs::Seqs;
use super::super::write::{columns, put};
use super::load::{self, Wanted};
use super::rows;
use super::sheet::Sheet;
use super::write;
use crate::words::credit::integer;

const BIND: &str =
    "INSERT INTO credit_core (id, chain, happened) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING";

const BOUND: &str = "SELECT chain FROM credit_core";

/// Where the books stand.
pub(super) const CURSOR: &str = "SELECT block, block_hash, block_time FROM credit_core";

/// Only one follower at a time.
const LOCK: &str =
    "SELECT block, block_hash, block_time, happened FROM credit_core WHERE id = 1 FOR UPDATE";

const MOVE: &str = "UPDATE credit_core SET block = $1, block_hash = $2, block_time = $3, happened = $4 WHERE id = 1";

const SEEN: &str = "SELECT record FROM credit_happening WHERE record = ANY($1)";

const AGED: &str = "SELECT id FROM credit_tab WHERE ages_from < $1 ORDER BY ages_from, id LIMIT $2";

const HAPPENINGS: &str = "INSERT INTO credit_happening (record, block, transaction_hash, log) \
     SELECT a, b, c, d FROM unnest($1::bytea[], $2::int8[], $3::bytea[], $4::int8[]) AS n (a, b, c, d)";

const ASIDES: &str = "INSERT INTO credit_aside (number, happening, what, why, at) \
     SELECT a, b, c, d, e FROM unnest($1::int8[], $2::bytea[], $3::text[], $4::text[], $5::int8[]) AS n (a, b, c, d, e)";

/// Of all or of none: what is known is locked in the order of the keys, and counted.
const TELLING: &str = "WITH known AS (SELECT p.record FROM unnest($1::bytea[], $2::int8[]) AS w (record, block) \
     JOIN credit_payment p ON p.record = w.record AND p.block = w.block ORDER BY p.record FOR UPDATE OF p), \
     told AS (UPDATE credit_payment t SET stage = $3, teller = $4 FROM known k \
     WHERE t.record = k.record AND t.stage IN (0, 1) AND (SELECT count(*) FROM known) = $5) \
     SELECT count(*) AS known FROM known";

/// Makes these the books of a core on this chain, unless they are another's.
pub(super) async fn bind(pool: &Pool, chain: ChainId) -> Result<(), StoreError> {
    pool.rows(BIND, &[&chain.to_string()]).await?;
    let found = pool.rows(BOUND, &[]).await?;
    let found = found.first().map(|row| row.try_get::<_, String>("chain"));
    let found = told(found.transpose().map_err(Fault::from))?;
    if found.as_deref() == Some(chain.to_string().as_str()) {
        Ok(())
    } else {
        tracing::error!(%chain, ?found, "the ledger has the credit books of another chain");
        Err(StoreError::Conflict)
    }
}

/// The chain whose core these books are of, if there is one.
pub(super) async fn bound(link: &Link) -> Result<Option<ChainId>, Fault> {
    let found = link.rows(BOUND, &[]).await?;
    let chain = found.first().map(|row| row.try_get::<_, &str>("chain"));
    let chain = chain.transpose()?.map(str::parse);
    chain.transpose().map_err(|_| Fault::Damaged("a chain"))
}

/// Says of payments that somebody told the contract, or that it refused one; of all or of none.
pub(super) async fn tell(
    pool: &Pool,
    places: &[Place],
    teller: Option<B256>,
) -> Result<(), StoreError> {
    let places: BTreeSet<Place> = places.iter().copied().collect();
    if places.is_empty() {
        return Ok(());
    }
    let (a, b) = columns!(places, place => place.record().to_vec(), integer(place.block));
    let stage: i16 = if teller.is_some() { 1 } else { 3 };
    let teller = teller.as_ref().map(|teller| teller.as_slice());
    let asked = i64::try_from(places.len()).unwrap_or(i64::MAX);
    let rows = pool
        .rows(TELLING, &[&a, &b, &stage, &teller, &asked])
        .await?;
    let known = rows.first().map(|row| row.try_get::<_, i64>("known"));
    let known = told(known.transpose().map_err(Fault::from))?;
    if known == Some(asked) {
        Ok(())
    } else {
        Err(StoreError::NotFound)
    }
}

/// Enters what happened.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) chain: ChainId,
    pub(super) seqs: Arc<Seqs>,
    pub(super) hold: Option<Arc<Hold>>,
}

/// What happened, and how many tabs may expire.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) terms: Terms,
    pub(super) release_max: u32,
}

impl Work for Follow {
    type Job = Job;
    type Done = Entered;

    /// Each is a transaction of its own.
    fn bytes(_: &Job) -> usize {
        usize::MAX
    }

    fn run<'a>(
        &'a self,
        link: &'a Link,
        jobs: &'a [Job],
    ) -> BoxFuture<'a, Result<Results<Entered>, Fault>> {
        Box::pin(async move {
            held(self.hold.as_deref())?;
            let mut results = Vec::new();
            for job in jobs {
                let entered = self.enter(link, job).await;
                results.push(match entered {
                    // Nothing was written yet.
                    Err(Fault::Refused(StoreError::Conflict)) => Err(StoreError::Conflict),
                    Err(fault) => return Err(fault),
                    Ok(entered) => Ok(entered),
                });
            }
            Ok(results)
        })
    }
}

/// What is new of a batch, beside what it changes.
#[derive(Default)]
struct Diary<'j> {
    happened: i64,
    happenings: Vec<&'j Happening>,
    asides: Vec<(i64, PutAside)>,
    entered: Entered,
}

impl Follow {
    async fn enter(&self, link: &Link, job: &Job) -> Result<Entered, Fault> {
        let batch = &job.batch;
        let mut diary = Diary::default();
        let core = link.rows(LOCK, &[]).await?;
        let core = core.first().ok_or(Fault::Damaged("no row for the core"))?;
        if rows::cursor(core)? != batch.from {
            return Err(StoreError::Conflict.into());
        }
        diary.happened = core.try_get("happened")?;
        diary.happenings = news(link, batch, &mut diary.entered).await?;
        let aged = aged(link, &job.terms, batch.to.time, job.release_max).await?;
        let mut sheet = load_for(link, self.chain, &diary.happenings, &aged).await?;
        for happening in diary.happenings.clone() {
            self.enter_one(&mut sheet, happening, &mut diary)?;
        }
        for id in aged {
            let tab = sheet.tabs.get(&id).map(|row| &row.tab);
            let released = tab.and_then(|tab| release(tab, &job.terms, batch.to.time));
            if let Some(changes) = released {
                sheet.note(changes, &self.seqs)?;
                diary.entered.expired = diary.entered.expired.saturating_add(1);
            }
        }
        write::sheet(link, &sheet).await?;
        diary.write(link, &batch.to).await?;
        crash::point(Point::PartWritten);
        Ok(diary.entered)
    }

    fn enter_one(
        &self,
        sheet: &mut Sheet,
        happening: &Happening,
        diary: &mut Diary<'_>,
    ) -> Result<(), Fault> {
        let entered = &mut diary.entered;
        let (changes, odd) = apply(sheet, happening)?;
        if changes != Changes::default() {
            entered.applied = entered.applied.saturating_add(1);
        }
        sheet.note(changes, &self.seqs)?;
        diary.happened = diary.happened.saturating_add(1);
        if let Some(odd) = odd {
            let aside = PutAside::of(happening, odd);
            diary.asides.push((diary.happened, aside));
            entered.odd.push((happening.place, odd));
        }
        Ok(())
    }
}

impl Diary<'_> {
    async fn write(&self, link: &Link, to: &Cursor) -> Result<(), Fault> {
        let news = &self.happenings;
        let (a, b, c, d) = columns!(news, happening =>
            happening.place.record().to_vec(),
            integer(happening.place.block),
            happening.place.transaction.as_slice(),
            happening.place.log.map(integer),
        );
        put(link, HAPPENINGS, news.len(), &[&a, &b, &c, &d]).await?;
        let news = &self.asides;
        let (a, b, c, d, e) = columns!(news, (number, aside) =>
            *number,
            aside.place.record().to_vec(),
            escaped(&aside.what),
            escaped(&aside.why),
            secs(aside.at),
        );
        put(link, ASIDES, news.len(), &[&a, &b, &c, &d, &e]).await?;
        let (block, time) = (integer(to.number), secs(to.time));
        let hash = to.hash.as_slice();
        put(link, MOVE, 1, &[&block, &hash, &time, &self.happened]).await
    }
}

/// What did not happen before, once for each place.
async fn news<'j>(
    link: &Link,
    batch: &'j Batch,
    entered: &mut Entered,
) -> Result<Vec<&'j Happening>, Fault> {
    let mut seen = BTreeSet::<B256>::new();
    if !batch.happenings.is_empty() {
        let (a,) = columns!(batch.happenings, one => one.place.record().to_vec());
        for row in link.rows(SEEN, &[&a]).await? {
            seen.insert(rows::hash(&row, "record")?);
        }
    }
    let mut happenings = Vec::new();
    for happening in &batch.happenings {
        if seen.insert(happening.place.record()) {
            happenings.push(happening);
        } else {
            entered.repeated = entered.repeated.saturating_add(1);
        }
    }
    Ok(happenings)
}

/// Tabs whose certificates expired by `time`, longest expired first. Nothing that happens makes one younger.
async fn aged(
    link: &Link,
    terms: &Terms,
    time: Timestamp,
    release_max: u32,
) -> Result<Vec<TabId>, Fault> {
    let Some(before) = time.as_secs().checked_sub(terms.expiration_secs) else {
        return Ok(Vec::new());
    };
    let most = page(release_max.min(limits::PAGE_ROWS));
    let found = link.rows(AGED, &[&integer(before), &most]).await?;
    found.iter().map(|row| rows::tab_id(row, "id")).collect()
}

/// Locks and loads all that these can ask for.
async fn load_for(
    link: &Link,
    chain: ChainId,
    happenings: &[&Happening],
    aged: &[TabId],
) -> Result<Sheet, Fault> {
    let mut sheet = Sheet::new(chain);
    let (mut ids, mut records) = (BTreeSet::from_iter(aged.iter().copied()), BTreeSet::new());
    let mut wanted = Wanted::default();
    for happening in happenings {
        match &happening.event {
            TabEvent::Deposited { payer, asset, .. } | TabEvent::Withdrawn { payer, asset, .. } => {
                wanted.people.insert(*payer);
                wanted.owned.insert((*payer, *asset));
                wanted.outside.insert(*asset);
            }
            // What is asked back counts as soon as whoever locks the sums sees it.
            TabEvent::Withdrawing { payer, asset, .. } => {
                wanted.owned.insert((*payer, *asset));
            }
            TabEvent::Recorded { record, tab, .. } => {
                records.extend(*record);
                ids.insert(*tab);
            }
            TabEvent::Paid { tab, .. } | TabEvent::Remunerated { tab, .. } => {
                ids.insert(*tab);
            }
            TabEvent::Unreadable { .. } => {}
        }
    }
    load::payments(link, &records, &mut sheet).await?;
    load::tabs(link, &ids, &mut sheet).await?;
    for row in sheet.tabs.values() {
        let identity = &row.tab.identity;
        wanted.owned.insert((identity.payer, identity.asset));
        wanted
            .recipients
            .insert((identity.recipient, identity.asset));
    }
    load::belongings(link, &wanted, &mut sheet).await?;
    Ok(sheet)
}
