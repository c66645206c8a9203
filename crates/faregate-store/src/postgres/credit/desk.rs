//! The lane of tabs and guarantees: what waits is loaded with locks, decided in memory, and written with one statement per table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::U256;
use faregate_core::credit::{
    CreditRefusal, Guarantee, Identity, Issue, OpenTab, Opened, ReqIds, State as _,
    TAKEN_IN_A_ROW_MAX, TabId, Terms, issue, open_tab,
};
use faregate_types::ChainId;
use futures_util::future::BoxFuture;

use super::super::fault::Fault;
use super::super::hold::{Hold, held};
use super::super::lane::{Results, Work};
use super::super::pool::Link;
use super::super::seqs::Seqs;
use super::load::{self, Wanted};
use super::sheet::Sheet;
use super::write;

/// What is asked of the lane.
#[derive(Debug)]
pub(super) enum Job {
    Open(Box<OpenTab>, Terms),
    Issue(Box<Issue>, Terms),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Done {
    Opened(Result<Box<Opened>, CreditRefusal>),
    Issued(Result<Box<Guarantee>, CreditRefusal>),
}

/// Opens tabs and issues guarantees.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) chain: ChainId,
    pub(super) seqs: Arc<Seqs>,
    pub(super) hold: Option<Arc<Hold>>,
}

impl Desk {
    async fn run_all(&self, link: &Link, jobs: &[Job]) -> Result<Results<Done>, Fault> {
        held(self.hold.as_deref())?;
        let mut sheet = load_for(link, self.chain, jobs).await?;
        let results = jobs.iter().map(|job| self.decide(&mut sheet, job));
        let results = results.map(|result| result.map_err(|fault| fault.told()));
        let results = results.collect();
        write::sheet(link, &sheet).await?;
        Ok(results)
    }

    fn decide(&self, sheet: &mut Sheet, job: &Job) -> Result<Done, Fault> {
        Ok(match job {
            Job::Open(command, terms) => match open_tab(sheet, terms, command)? {
                Ok((opened, _)) if opened.is_new && sheet.tab(command.id)?.is_some() => {
                    return Err(Fault::Damaged("an id that another tab has"));
                }
                Ok((opened, changes)) => {
                    sheet.note(changes, &self.seqs)?;
                    Done::Opened(Ok(Box::new(opened)))
                }
                Err(refusal) => Done::Opened(Err(refusal)),
            },
            Job::Issue(command, terms) => match issue(sheet, terms, command)? {
                Ok((issued, changes)) => {
                    sheet.note(changes, &self.seqs)?;
                    Done::Issued(Ok(Box::new(issued)))
                }
                Err(refusal) => Done::Issued(Err(refusal)),
            },
        })
    }
}

impl Work for Desk {
    type Job = Job;
    type Done = Done;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Open(..) => 0,
            Job::Issue(command, _) => command.request.len(),
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
async fn load_for(link: &Link, chain: ChainId, jobs: &[Job]) -> Result<Sheet, Fault> {
    let mut sheet = Sheet::new(chain);
    let (mut ids, mut identities) = (BTreeSet::new(), BTreeSet::new());
    for job in jobs {
        match job {
            Job::Open(command, _) => {
                ids.insert(command.id);
                identities.insert(command.identity);
            }
            Job::Issue(command, _) => {
                ids.insert(command.tab);
            }
        }
    }
    ids.extend(load::active_ids(link, &identities).await?);
    load::tabs(link, &ids, &mut sheet).await?;
    let rivals = rivals(&sheet, jobs);
    load::rivals(link, &rivals, &mut sheet).await?;
    let wanted = wanted(&sheet, jobs)?;
    load::belongings(link, &wanted, &mut sheet).await?;
    Ok(sheet)
}

/// Whom a tab would meet that adopts the version of its first guarantee.
fn rivals(sheet: &Sheet, jobs: &[Job]) -> BTreeSet<Identity> {
    let mut rivals = BTreeSet::new();
    for job in jobs {
        if let Job::Issue(command, _) = job
            && let Some(row) = sheet.tabs.get(&command.tab)
            && row.tab.identity.version != command.identity.version
        {
            let rival = Identity {
                version: command.identity.version,
                ..row.tab.identity
            };
            if !sheet.knows_active(&rival) {
                rivals.insert(rival);
            }
        }
    }
    rivals
}

/// What belongs to the tabs that these jobs are about.
fn wanted(sheet: &Sheet, jobs: &[Job]) -> Result<Wanted, Fault> {
    let mut wanted = Wanted::default();
    // Of each tab how many numbers may be left out or taken before the last of these jobs.
    let mut further = BTreeMap::<TabId, u64>::new();
    let mut opened = BTreeSet::new();
    for job in jobs {
        let (tab, steps) = match job {
            Job::Open(command, terms) => {
                let identity = &command.identity;
                wanted.people.extend([identity.payer, identity.recipient]);
                let tab = sheet.active_tab(identity)?.map(|tab| tab.id);
                if terms.req_ids == ReqIds::Reserved {
                    opened.extend(tab);
                }
                (tab, u64::from(TAKEN_IN_A_ROW_MAX).saturating_add(1))
            }
            Job::Issue(command, _) => {
                let identity = &command.identity;
                wanted.people.extend([identity.payer, identity.recipient]);
                wanted.numbers.insert((command.tab, command.req));
                if sheet.tabs.contains_key(&command.tab) {
                    wanted.owned.insert((identity.payer, identity.asset));
                    wanted
                        .recipients
                        .insert((identity.recipient, identity.asset));
                }
                (Some(command.tab), 1)
            }
        };
        if let Some(tab) = tab {
            let further = further.entry(tab).or_default();
            *further = further.saturating_add(steps);
        }
    }
    for id in opened {
        let low = sheet
            .tabs
            .get(&id)
            .map_or(U256::ZERO, |row| row.tab.next_req);
        let steps = further.get(&id).copied().unwrap_or_default();
        let high = low.saturating_add(U256::from(steps));
        wanted.ranges.push((id, low, high));
    }
    Ok(wanted)
}
