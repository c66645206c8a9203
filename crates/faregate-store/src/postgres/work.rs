//! The lane of a ledger: claims and steps, loaded with locks, decided in memory, written with one statement per table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use faregate_ledger::{AccountId, Claim, Claimed, Effect, EventKinds, Payment, PaymentState, Step};
use faregate_types::{AssetId, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::codec::{self, payments};
use super::fault::Fault;
use super::hold::{Hold, held};
use super::lane::{Results, Work};
use super::pool::Link;
use super::seqs::Seqs;
use super::sheet::{Change, Entry, KeyEntry, KeyName, Sheet, Sums, SumsName};
use super::write;

/// Rows are locked in the order of their keys, and payments before keys before balances, by everybody: nobody waits in a
/// circle, and where somebody does all the same, the database ends it and the batch is tried again.
const LOCK_PAYMENTS: &str = "SELECT id FROM payment WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// A statement of its own, after the lock: it sees what was committed while the lock was waited for.
const LOAD_PAYMENTS: &str = concat!(payments!(whole), "WHERE p.id = ANY($1)");

const LOCK_KEYS: &str = "SELECT i.account, i.key, i.payment FROM idempotency i \
     JOIN unnest($1::text[], $2::text[]) AS w (account, key) ON i.account = w.account AND i.key = w.key \
     ORDER BY i.account, i.key FOR UPDATE OF i";

const LOCK_SUMS: &str = "SELECT b.account, b.asset, b.debits_pending::text AS debits_pending, \
     b.debits_posted::text AS debits_posted, b.credits_pending::text AS credits_pending, \
     b.credits_posted::text AS credits_posted, b.exposed::text AS exposed FROM balance b \
     JOIN unnest($1::text[], $2::text[]) AS w (account, asset) ON b.account = w.account AND b.asset = w.asset \
     ORDER BY b.account, b.asset FOR UPDATE OF b";

/// What is asked of the lane.
#[derive(Debug)]
pub(super) enum Job {
    Claim(Box<Claim>),
    Step(PaymentId, Box<Step>, Timestamp, EventKinds),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Done {
    Claimed(Claimed),
    Stepped(Box<Payment>, Effect),
}

/// The work on a ledger.
#[derive(Debug)]
pub(super) struct LedgerWork {
    seqs: Seqs,
    /// Where only one process may write: that it is this one.
    hold: Option<Arc<Hold>>,
}

impl LedgerWork {
    pub(super) fn new(hold: Option<Arc<Hold>>) -> Self {
        Self {
            seqs: Seqs::new(),
            hold,
        }
    }

    async fn run_all(&self, link: &Link, jobs: &[Job]) -> Result<Results<Done>, Fault> {
        held(self.hold.as_deref())?;
        let mut sheet = load(link, jobs).await?;
        let results = jobs.iter().map(|job| self.decide(&mut sheet, job));
        let results = results.map(|result| result.map_err(|fault| fault.told()));
        let results = results.collect();
        write::sheet(link, &sheet).await?;
        Ok(results)
    }

    fn decide(&self, sheet: &mut Sheet, job: &Job) -> Result<Done, Fault> {
        Ok(match job {
            Job::Claim(claim) => Done::Claimed(sheet.claim(Claim::clone(claim), &self.seqs)?),
            Job::Step(id, step, at, told) => {
                let step = Step::clone(step);
                let (payment, effect) = sheet.step(*id, step, *at, *told, &self.seqs)?;
                Done::Stepped(Box::new(payment), effect)
            }
        })
    }
}

impl Work for LedgerWork {
    type Job = Job;
    type Done = Done;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Claim(claim) => claim.evidence.len(),
            Job::Step(_, step, _, _) => match &**step {
                Step::Keep { answer } | Step::Serve { answer } | Step::Sell { answer, .. } => {
                    usize::try_from(answer.kept_bytes()).unwrap_or(usize::MAX)
                }
                _ => 0,
            },
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

/// Locks and loads all that these jobs can ask for.
async fn load(link: &Link, jobs: &[Job]) -> Result<Sheet, Fault> {
    let mut sheet = Sheet::default();
    load_payments(link, jobs, &mut sheet).await?;
    load_keys(link, jobs, &mut sheet).await?;
    load_sums(link, jobs, &mut sheet).await?;
    Ok(sheet)
}

async fn load_payments(link: &Link, jobs: &[Job], sheet: &mut Sheet) -> Result<(), Fault> {
    let ids: BTreeSet<PaymentId> = jobs.iter().map(Job::id).collect();
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let locked = link.rows(LOCK_PAYMENTS, &[&ids]).await?;
    // Most claims are of payments that nobody knows.
    if locked.is_empty() {
        return Ok(());
    }
    let found: Result<Vec<&[u8]>, _> = locked.iter().map(|row| row.try_get("id")).collect();
    for row in link.rows(LOAD_PAYMENTS, &[&found?]).await? {
        match codec::payment(&row) {
            Ok((payment, transfer)) => {
                let entry = Entry {
                    payment,
                    transfer,
                    change: Change::None,
                };
                sheet.payments.insert(entry.payment.claim.id, entry);
            }
            Err(fault) => {
                fault.told();
                sheet.damaged.insert(codec::id(&row, "id")?);
            }
        }
    }
    // Locked and then not there: without its transfer.
    for row in locked {
        let id = codec::id(&row, "id")?;
        if !sheet.payments.contains_key(&id) {
            sheet.damaged.insert(id);
        }
    }
    Ok(())
}

async fn load_keys(link: &Link, jobs: &[Job], sheet: &mut Sheet) -> Result<(), Fault> {
    let mut names = BTreeSet::<KeyName>::new();
    for claim in jobs.iter().filter_map(Job::as_claim) {
        let before = sheet.payments.get(&claim.id);
        let before = before.map(|entry| &entry.payment.claim);
        for claim in [Some(claim), before].into_iter().flatten() {
            if let Some(own) = &claim.idempotency {
                names.insert((claim.transfer.debit.clone(), own.key.clone()));
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let accounts: Vec<&str> = names.iter().map(|(account, _)| account.as_str()).collect();
    let keys: Vec<&str> = names.iter().map(|(_, key)| key.as_str()).collect();
    let mut strangers = Vec::new();
    for row in link.rows(LOCK_KEYS, &[&accounts, &keys]).await? {
        let id = codec::id(&row, "payment")?;
        let name = (
            codec::account(row.try_get("account")?)?,
            codec::key(row.try_get("key")?)?,
        );
        let entry = KeyEntry {
            stored: Some(id),
            now: Some(id),
        };
        sheet.keys.insert(name, entry);
        if !sheet.payments.contains_key(&id) {
            strangers.push(id);
        }
    }
    if strangers.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = strangers
        .iter()
        .map(|id| id.as_bytes().as_slice())
        .collect();
    for row in link.rows(LOAD_PAYMENTS, &[&ids]).await? {
        // One that cannot be read is missed by the claim that asks for it.
        match codec::payment(&row) {
            Ok((payment, _)) => {
                sheet.holders.insert(payment.claim.id, payment);
            }
            Err(fault) => {
                fault.told();
            }
        }
    }
    Ok(())
}

async fn load_sums(link: &Link, jobs: &[Job], sheet: &mut Sheet) -> Result<(), Fault> {
    let mut names = BTreeSet::<SumsName>::new();
    let stepped: BTreeSet<PaymentId> = jobs
        .iter()
        .filter(|job| job.as_claim().is_none())
        .map(Job::id)
        .collect();
    for job in jobs {
        let known = sheet.payments.get(&job.id()).map(|entry| &entry.payment);
        // A copy of a claim moves nothing.
        let is_copy = known.is_some_and(|known| {
            known.state != PaymentState::Released && !stepped.contains(&job.id())
        });
        let claims = [known.map(|known| &known.claim), job.as_claim()];
        for claim in claims.into_iter().flatten().filter(|_| !is_copy) {
            let asset = claim.transfer.amount.asset();
            names.insert((claim.transfer.debit.clone(), asset));
            names.insert((claim.transfer.credit.clone(), asset));
        }
    }
    sheet.sums = lock_sums(link, names).await?;
    Ok(())
}

/// Locks and loads the sums of these accounts; zero where nothing has happened to one.
pub(super) async fn lock_sums(
    link: &Link,
    names: BTreeSet<SumsName>,
) -> Result<HashMap<SumsName, Sums>, Fault> {
    let mut found = HashMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    let accounts: Vec<&str> = names.iter().map(|(account, _)| account.as_str()).collect();
    let assets: Vec<String> = names.iter().map(|(_, asset)| asset.to_string()).collect();
    for row in link.rows(LOCK_SUMS, &[&accounts, &assets]).await? {
        let balance = codec::balance(&row)?;
        let account: AccountId = codec::account(row.try_get("account")?)?;
        let asset: AssetId = balance.asset;
        let sums = Sums {
            balance,
            exposed: codec::money(row.try_get("exposed")?)?,
            is_stored: true,
            is_changed: false,
        };
        found.insert((account, asset), sums);
    }
    for (account, asset) in names {
        let name = (account, asset);
        found.entry(name).or_insert_with(|| Sums::none(asset));
    }
    Ok(found)
}

impl Job {
    fn id(&self) -> PaymentId {
        match self {
            Self::Claim(claim) => claim.id,
            Self::Step(id, ..) => *id,
        }
    }

    fn as_claim(&self) -> Option<&Claim> {
        match self {
            Self::Claim(claim) => Some(claim),
            Self::Step(..) => None,
        }
    }
}
