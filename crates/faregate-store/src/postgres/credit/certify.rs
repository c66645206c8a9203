//! The lane of certificates. Nothing of it is decided by what others write, so it goes beside the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy_primitives::U256;
use faregate_core::credit::{Certificate, TabId};
use faregate_ledger::StoreError;
use futures_util::future::{BoxFuture, try_join};

use super::super::fault::Fault;
use super::super::hold::{Hold, held};
use super::super::lane::{Results, Work};
use super::super::pool::Link;
use super::super::write::columns;
use super::rows;
use crate::words::credit::id_bytes;

const FIND: &str = "SELECT g.tab, g.req::text AS req, g.seq FROM unnest($1::bytea[], $2::text[]) AS w (tab, req) \
     JOIN credit_guarantee g ON g.tab = w.tab AND g.req = w.req::numeric";

/// The first one stays. In the order of the keys, as everybody writes them.
const KEEP: &str = "INSERT INTO credit_certificate (tab, req, claims, signature) \
     SELECT a, b::numeric, c, d FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[]) AS n (a, b, c, d) \
     ON CONFLICT (tab, req) DO NOTHING";

const SIGNED: &str = "DELETE FROM credit_unsigned u USING unnest($1::bytea[], $2::int8[]) AS n (a, b) \
     WHERE u.seq = b AND u.tab = a";

/// Keeps certificates.
#[derive(Debug)]
pub(super) struct Certify {
    pub(super) hold: Option<Arc<Hold>>,
}

/// The certificate of a guarantee.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tab: TabId,
    pub(super) req: U256,
    pub(super) certificate: Certificate,
}

impl Work for Certify {
    type Job = Job;
    type Done = ();

    fn bytes(job: &Job) -> usize {
        job.certificate.claims.len()
    }

    fn run<'a>(
        &'a self,
        link: &'a Link,
        jobs: &'a [Job],
    ) -> BoxFuture<'a, Result<Results<()>, Fault>> {
        Box::pin(async move {
            held(self.hold.as_deref())?;
            keep(link, jobs).await
        })
    }
}

async fn keep(link: &Link, jobs: &[Job]) -> Result<Results<()>, Fault> {
    let mut first = BTreeMap::<(TabId, U256), &Certificate>::new();
    for job in jobs {
        first.entry((job.tab, job.req)).or_insert(&job.certificate);
    }
    let keys: Vec<_> = first.keys().collect();
    let (a, b) = columns!(keys, (tab, req) => id_bytes(*tab).to_vec(), req.to_string());
    let mut found = HashMap::<(TabId, U256), i64>::new();
    for row in link.rows(FIND, &[&a, &b]).await? {
        let key = (rows::tab_id(&row, "tab")?, rows::sum(&row, "req")?);
        found.insert(key, row.try_get("seq")?);
    }
    first.retain(|key, _| found.contains_key(key));
    let (a, b, c, d) = columns!(first, ((tab, req), certificate) =>
        id_bytes(*tab).to_vec(),
        req.to_string(),
        certificate.claims.as_ref(),
        certificate.signature.as_bytes().as_slice(),
    );
    let (tabs, seqs) = columns!(found, ((tab, _), seq) => id_bytes(*tab).to_vec(), *seq);
    if !first.is_empty() {
        try_join(
            link.execute(KEEP, &[&a, &b, &c, &d]),
            link.execute(SIGNED, &[&tabs, &seqs]),
        )
        .await?;
    }
    let answer = |job: &Job| match found.get(&(job.tab, job.req)) {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound),
    };
    Ok(jobs.iter().map(answer).collect())
}
