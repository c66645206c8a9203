//! Writes what a batch changed: one statement per table, whatever is in the batch, all sent at once.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, try_join_all};

use super::codec::{escaped, headers_to_bytes, secs};
use super::fault::Fault;
use super::pool::{Link, Params};
use super::sheet::{Change, Entry, Sheet, Sums, SumsName};

const TRANSFERS: &str = "INSERT INTO transfer (payment, seq, debit, credit, asset, amount, reserved_at) \
     SELECT a, b, c, d, e, f::numeric, g \
     FROM unnest($1::bytea[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int8[]) AS n (a, b, c, d, e, f, g)";

const ENDS: &str = "INSERT INTO transfer_end (payment, seq, phase, ended_at) \
     SELECT a, b, c, d FROM unnest($1::bytea[], $2::int8[], $3::text[], $4::int8[]) AS n (a, b, c, d)";

const REVERSALS: &str = "INSERT INTO transfer_reversal (payment, seq, transaction_ref, reversed_at) \
     SELECT a, b, c, d FROM unnest($1::bytea[], $2::int8[], $3::text[], $4::int8[]) AS n (a, b, c, d)";

const ANSWERS: &str = "INSERT INTO answer (payment, seq, status, headers, body, kept_at, bytes) \
     SELECT a, b, c, d, e, f, g \
     FROM unnest($1::bytea[], $2::int8[], $3::int2[], $4::bytea[], $5::bytea[], $6::int8[], $7::int8[]) AS n (a, b, c, d, e, f, g)";

const EVENTS: &str = "INSERT INTO event (seq, kind, payment, at, due_at) \
     SELECT a, b, c, d, d FROM unnest($1::int8[], $2::text[], $3::bytea[], $4::int8[]) AS n (a, b, c, d)";

/// A row that is there by now makes the batch fail and be tried again: an `ON CONFLICT` would hide it.
const NEW_SUMS: &str = "INSERT INTO balance \
     (account, asset, debits_pending, debits_posted, credits_pending, credits_posted, exposed) \
     SELECT a, b, c::numeric, d::numeric, e::numeric, f::numeric, g::numeric \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS n (a, b, c, d, e, f, g)";

const SUMS: &str = "UPDATE balance t SET debits_pending = c::numeric, debits_posted = d::numeric, \
     credits_pending = e::numeric, credits_posted = f::numeric, exposed = g::numeric \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS n (a, b, c, d, e, f, g) \
     WHERE t.account = a AND t.asset = b";

const NEW_KEYS: &str = "INSERT INTO idempotency (account, key, payment) \
     SELECT a, b, c FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n (a, b, c)";

const KEYS: &str = "UPDATE idempotency t SET payment = c \
     FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n (a, b, c) WHERE t.account = a AND t.key = b";

const OLD_KEYS: &str = "DELETE FROM idempotency t USING unnest($1::text[], $2::text[]) AS n (a, b) \
     WHERE t.account = a AND t.key = b";

const NEW_PAYMENTS: &str = "INSERT INTO payment (id, rail, fingerprint, state, transfer, route, evidence, transaction_ref, \
     failure, claimed_at, changed_at, final_at, exposure_max, idempotency_key, request) \
     SELECT a, b, c, d, e, f, g, h, i, j, k, l, m::numeric, o, p \
     FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::int8[], $6::text[], $7::bytea[], $8::text[], \
     $9::text[], $10::int8[], $11::int8[], $12::int8[], $13::text[], $14::text[], $15::bytea[]) \
     AS n (a, b, c, d, e, f, g, h, i, j, k, l, m, o, p)";

/// Claimed again: everything is another.
const WHOLE_PAYMENTS: &str = "UPDATE payment t SET rail = b, fingerprint = c, state = d, transfer = e, route = f, evidence = g, \
     transaction_ref = h, failure = i, claimed_at = j, changed_at = k, final_at = l, exposure_max = m::numeric, \
     idempotency_key = o, request = p \
     FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::int8[], $6::text[], $7::bytea[], $8::text[], \
     $9::text[], $10::int8[], $11::int8[], $12::int8[], $13::text[], $14::text[], $15::bytea[]) \
     AS n (a, b, c, d, e, f, g, h, i, j, k, l, m, o, p) WHERE t.id = a";

const STEPS: &str = "UPDATE payment t SET state = b, transfer = c, transaction_ref = d, failure = e, changed_at = f, final_at = g \
     FROM unnest($1::bytea[], $2::text[], $3::int8[], $4::text[], $5::text[], $6::int8[], $7::int8[]) \
     AS n (a, b, c, d, e, f, g) WHERE t.id = a";

pub(super) type Write<'a> = BoxFuture<'a, Result<(), Fault>>;

/// Writes everything that is new or changed.
pub(super) async fn sheet(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let news = &sheet.news;
    let mut writes: Vec<Write<'_>> = Vec::new();
    if !news.transfers.is_empty() {
        writes.push(Box::pin(transfers(link, sheet)));
    }
    if !news.ends.is_empty() || !news.reversals.is_empty() {
        writes.push(Box::pin(ends(link, sheet)));
    }
    if !news.answers.is_empty() {
        writes.push(Box::pin(answers(link, sheet)));
    }
    if !news.events.is_empty() {
        writes.push(Box::pin(events(link, sheet)));
    }
    if !sheet.keys.is_empty() {
        writes.push(Box::pin(keys(link, sheet)));
    }
    writes.push(Box::pin(payments(link, sheet)));
    writes.push(Box::pin(sums(link, &sheet.sums)));
    try_join_all(writes).await?;
    Ok(())
}

/// Writes some rows, if there are any. Fewer rows than asked for are not what was locked.
pub(super) async fn put(
    link: &Link,
    sql: &'static str,
    rows: usize,
    params: Params<'_>,
) -> Result<(), Fault> {
    if rows == 0 {
        return Ok(());
    }
    let written = link.execute(sql, params).await?;
    if usize::try_from(written).is_ok_and(|written| written == rows) {
        Ok(())
    } else {
        Err(Fault::Damaged("a row that was locked and is not there"))
    }
}

/// The columns of some rows.
macro_rules! columns {
    ($rows:expr, $row:pat => $($column:expr),+ $(,)?) => {
        ($({
            #[allow(unused_variables, reason = "one column needs few parts of a row")]
            let column: Vec<_> = $rows.iter().map(|$row| $column).collect();
            column
        },)+)
    };
}
pub(super) use columns;

async fn transfers(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.transfers;
    let (a, b, c, d, e, f, g) = columns!(rows, (payment, seq, transfer, at) =>
        payment.as_bytes().as_slice(),
        *seq,
        transfer.debit.as_str(),
        transfer.credit.as_str(),
        transfer.amount.asset().to_string(),
        transfer.amount.value().to_string(),
        secs(*at),
    );
    put(link, TRANSFERS, rows.len(), &[&a, &b, &c, &d, &e, &f, &g]).await
}

async fn ends(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.ends;
    let (a, b, c, d) = columns!(rows, (payment, seq, posted, at) =>
        payment.as_bytes().as_slice(),
        *seq,
        if *posted { "posted" } else { "voided" },
        secs(*at),
    );
    put(link, ENDS, rows.len(), &[&a, &b, &c, &d]).await?;
    let rows = &sheet.news.reversals;
    let (a, b, c, d) = columns!(rows, (payment, seq, transaction, at) =>
        payment.as_bytes().as_slice(),
        *seq,
        transaction.as_deref().map(escaped),
        secs(*at),
    );
    put(link, REVERSALS, rows.len(), &[&a, &b, &c, &d]).await
}

async fn answers(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.answers;
    let (mut statuses, mut headers) = (Vec::new(), Vec::new());
    for (_, _, answer, _) in rows {
        let status = i16::try_from(answer.status);
        statuses.push(status.map_err(|_| Fault::Damaged("a status"))?);
        let bytes = headers_to_bytes(&answer.headers);
        headers.push(bytes.ok_or(Fault::Damaged("headers above four gigabytes"))?);
    }
    let (a, b, e, f, g) = columns!(rows, (payment, seq, answer, at) =>
        payment.as_bytes().as_slice(),
        *seq,
        answer.body.as_deref(),
        secs(*at),
        i64::try_from(answer.kept_bytes()).unwrap_or(i64::MAX),
    );
    put(
        link,
        ANSWERS,
        rows.len(),
        &[&a, &b, &statuses, &headers, &e, &f, &g],
    )
    .await
}

async fn events(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.events;
    let (a, b, c, d) = columns!(rows, (seq, kind, payment, at) =>
        *seq,
        kind.as_str(),
        payment.as_bytes().as_slice(),
        secs(*at),
    );
    put(link, EVENTS, rows.len(), &[&a, &b, &c, &d]).await
}

async fn keys(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let changed = || {
        sheet
            .keys
            .iter()
            .filter(|(_, entry)| entry.now != entry.stored)
    };
    let (mut new, mut moved, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for ((account, key), entry) in changed() {
        let (account, key) = (account.as_str(), key.as_str());
        match (&entry.stored, &entry.now) {
            (None, Some(now)) => new.push((account, key, now.as_bytes().as_slice())),
            (Some(_), Some(now)) => moved.push((account, key, now.as_bytes().as_slice())),
            (_, None) => gone.push((account, key)),
        }
    }
    for (sql, rows) in [(NEW_KEYS, new), (KEYS, moved)] {
        let (a, b, c) = columns!(rows, (account, key, payment) => *account, *key, *payment);
        put(link, sql, rows.len(), &[&a, &b, &c]).await?;
    }
    let (a, b) = columns!(gone, (account, key) => *account, *key);
    put(link, OLD_KEYS, gone.len(), &[&a, &b]).await
}

async fn payments(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let of = |change| {
        let entries = sheet.payments.values();
        let mut rows: Vec<&Entry> = entries.filter(|entry| entry.change == change).collect();
        rows.sort_by_key(|entry| entry.payment.claim.id);
        rows
    };
    let rows = of(Change::Step);
    let (a, b, c, d, e, f, g) = columns!(rows, entry =>
        entry.payment.claim.id.as_bytes().as_slice(),
        entry.payment.state.as_str(),
        entry.transfer,
        entry.payment.transaction.as_deref().map(escaped),
        entry.payment.failure.map(|code| code.as_str()),
        secs(entry.payment.changed_at),
        entry.payment.final_at.map(secs),
    );
    put(link, STEPS, rows.len(), &[&a, &b, &c, &d, &e, &f, &g]).await?;
    whole(link, NEW_PAYMENTS, &of(Change::New)).await?;
    whole(link, WHOLE_PAYMENTS, &of(Change::Whole)).await
}

async fn whole(link: &Link, sql: &'static str, rows: &[&Entry]) -> Result<(), Fault> {
    let (a, b, c, d, e, f, g) = columns!(rows, entry =>
        entry.payment.claim.id.as_bytes().as_slice(),
        entry.payment.claim.rail.as_str(),
        entry.payment.claim.fingerprint.as_bytes().as_slice(),
        entry.payment.state.as_str(),
        entry.transfer,
        escaped(&entry.payment.claim.route),
        entry.payment.claim.evidence.as_slice(),
    );
    let (h, i, j, k, l) = columns!(rows, entry =>
        entry.payment.transaction.as_deref().map(escaped),
        entry.payment.failure.map(|code| code.as_str()),
        secs(entry.payment.claim.at),
        secs(entry.payment.changed_at),
        entry.payment.final_at.map(secs),
    );
    let (m, o, p) = columns!(rows, entry =>
        entry.payment.claim.exposure_max.map(|max| max.to_string()),
        entry.payment.claim.idempotency.as_ref().map(|own| own.key.as_str()),
        entry.payment.claim.idempotency.as_ref().map(|own| own.request.as_bytes().as_slice()),
    );
    let params: Params<'_> = &[&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &o, &p];
    put(link, sql, rows.len(), params).await
}

/// Writes the sums that changed.
pub(super) async fn sums(link: &Link, sums: &HashMap<SumsName, Sums>) -> Result<(), Fault> {
    for (sql, stored) in [(SUMS, true), (NEW_SUMS, false)] {
        let changed = sums.iter();
        let changed = changed.filter(|(_, sums)| sums.is_changed && sums.is_stored == stored);
        let mut rows: Vec<(&SumsName, &Sums)> = changed.collect();
        rows.sort_by_key(|(name, _)| *name);
        let (a, b, c, d, e, f, g) = columns!(rows, ((account, asset), sums) =>
            account.as_str(),
            asset.to_string(),
            sums.balance.debits_pending.to_string(),
            sums.balance.debits_posted.to_string(),
            sums.balance.credits_pending.to_string(),
            sums.balance.credits_posted.to_string(),
            sums.exposed.to_string(),
        );
        put(link, sql, rows.len(), &[&a, &b, &c, &d, &e, &f, &g]).await?;
    }
    Ok(())
}
