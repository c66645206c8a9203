//! Writes what a transaction changed: one statement per table, whatever is in it, all sent at once.

use futures_util::future::try_join_all;

use super::super::codec::secs;
use super::super::fault::Fault;
use super::super::pool::Link;
use super::super::write::{Write, columns, put, sums};
use super::sheet::{Beside, Owned, PaymentRow, Sheet, Standing, TabRow};
use crate::words::credit::{ages_from, id_bytes, integer, kind, settlement, stage};

/// What is there by now makes the transaction fail and be tried again: an `ON CONFLICT` would hide it. So for all below.
const ACCOUNTS: &str = "INSERT INTO credit_account (address, suspended, updated_at) \
     SELECT a, b, c FROM unnest($1::bytea[], $2::bool[], $3::int8[]) AS n (a, b, c)";

const TABS: &str = "UPDATE credit_tab t SET version = b, start = c, guarantees = d, next_req = e::numeric, total = f::numeric, \
     paid = g::numeric, remunerated = h::numeric, latest = i, closed = j, expired = k, updated_at = l, seq = m, settlement = o, \
     active = p, ages_from = q \
     FROM unnest($1::bytea[], $2::int8[], $3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int8[], \
     $10::bool[], $11::bool[], $12::int8[], $13::int8[], $14::int2[], $15::bool[], $16::int8[]) \
     AS n (a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q) WHERE t.id = a";

const NEW_TABS: &str = "INSERT INTO credit_tab (id, version, start, guarantees, next_req, total, paid, remunerated, latest, closed, \
     expired, updated_at, seq, settlement, active, ages_from, payer, recipient, asset, ttl, created_at) \
     SELECT a, b, c, d, e::numeric, f::numeric, g::numeric, h::numeric, i, j, k, l, m, o, p, q, r, s, t, u, v \
     FROM unnest($1::bytea[], $2::int8[], $3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int8[], \
     $10::bool[], $11::bool[], $12::int8[], $13::int8[], $14::int2[], $15::bool[], $16::int8[], $17::bytea[], $18::bytea[], \
     $19::bytea[], $20::int8[], $21::int8[]) AS n (a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v)";

const GUARANTEES: &str = "INSERT INTO credit_guarantee (tab, req, seq, number, amount, lock, total, timestamp, request, created_at) \
     SELECT a, b::numeric, c, d, e::numeric, f::numeric, g::numeric, h, i, j \
     FROM unnest($1::bytea[], $2::text[], $3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::bytea[], \
     $10::int8[]) AS n (a, b, c, d, e, f, g, h, i, j)";

const UNSIGNED: &str = "INSERT INTO credit_unsigned (tab, req, seq) \
     SELECT a, b::numeric, c FROM unnest($1::bytea[], $2::text[], $3::int8[]) AS n (a, b, c)";

const ENTRIES: &str = "INSERT INTO credit_entry (tab, seq, kind, req, amount, lock, happening, at) \
     SELECT a, b, c, d::numeric, e::numeric, f::numeric, g, h \
     FROM unnest($1::bytea[], $2::int8[], $3::int2[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::int8[]) \
     AS n (a, b, c, d, e, f, g, h)";

const FUNDINGS: &str = "INSERT INTO credit_funding (happening, kind, payer, asset, amount, at) \
     SELECT a, b, c, d, e::numeric, f \
     FROM unnest($1::bytea[], $2::int2[], $3::bytea[], $4::bytea[], $5::text[], $6::int8[]) AS n (a, b, c, d, e, f)";

const BESIDES: &str = "UPDATE credit_collateral t SET version = t.version + c, updated_at = d, \
     withdrawing = coalesce(e::numeric, t.withdrawing) \
     FROM unnest($1::bytea[], $2::bytea[], $3::int8[], $4::int8[], $5::text[]) AS n (a, b, c, d, e) \
     WHERE t.payer = a AND t.asset = b";

const NEW_BESIDES: &str = "INSERT INTO credit_collateral (payer, asset, version, updated_at, withdrawing) \
     SELECT a, b, c, d, coalesce(e::numeric, 0) \
     FROM unnest($1::bytea[], $2::bytea[], $3::int8[], $4::int8[], $5::text[]) AS n (a, b, c, d, e)";

const PAYMENTS: &str = "UPDATE credit_payment t SET stage = b, teller = c \
     FROM unnest($1::bytea[], $2::int2[], $3::bytea[]) AS n (a, b, c) WHERE t.record = a";

const NEW_PAYMENTS: &str = "INSERT INTO credit_payment (record, stage, teller, block, transaction_hash, log, tab, req, payer, recipient, \
     asset, amount, at) \
     SELECT a, b, c, d, e, f, g, h::numeric, i, j, k, l::numeric, m \
     FROM unnest($1::bytea[], $2::int2[], $3::bytea[], $4::int8[], $5::bytea[], $6::int8[], $7::bytea[], $8::text[], $9::bytea[], \
     $10::bytea[], $11::bytea[], $12::text[], $13::int8[]) AS n (a, b, c, d, e, f, g, h, i, j, k, l, m)";

/// Writes everything that is new or changed.
pub(super) async fn sheet(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let news = &sheet.news;
    let mut writes: Vec<Write<'_>> = Vec::new();
    if !news.accounts.is_empty() {
        writes.push(Box::pin(accounts(link, sheet)));
    }
    if sheet.tabs.values().any(|row| row.is_changed) {
        writes.push(Box::pin(tabs(link, sheet)));
    }
    if !news.guarantees.is_empty() {
        writes.push(Box::pin(guarantees(link, sheet)));
        writes.push(Box::pin(unsigned(link, sheet)));
    }
    if !news.entries.is_empty() {
        writes.push(Box::pin(entries(link, sheet)));
    }
    if !news.fundings.is_empty() {
        writes.push(Box::pin(fundings(link, sheet)));
    }
    if sheet.payments.values().any(|row| row.is_changed) {
        writes.push(Box::pin(payments(link, sheet)));
    }
    writes.push(Box::pin(besides(link, sheet)));
    writes.push(Box::pin(sums(link, &sheet.sums)));
    try_join_all(writes).await?;
    Ok(())
}

async fn accounts(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.accounts;
    let (a, b, c) = columns!(rows, account =>
        account.address.as_slice(),
        account.suspended,
        secs(account.updated_at),
    );
    put(link, ACCOUNTS, rows.len(), &[&a, &b, &c]).await
}

/// First those that are there: what is active no more makes room.
async fn tabs(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    for (sql, standing) in [(TABS, Standing::Locked), (NEW_TABS, Standing::New)] {
        let changed = sheet.tabs.values();
        let changed = changed.filter(|row| row.is_changed && row.standing == standing);
        let mut rows: Vec<&TabRow> = changed.collect();
        rows.sort_by_key(|row| row.tab.id);
        write_tabs(link, sql, standing, &rows).await?;
    }
    Ok(())
}

async fn write_tabs(
    link: &Link,
    sql: &'static str,
    standing: Standing,
    rows: &[&TabRow],
) -> Result<(), Fault> {
    let (a, b, c, d, e, f, g, h) = columns!(rows, row =>
        id_bytes(row.tab.id).to_vec(),
        integer(row.tab.identity.version),
        secs(row.tab.start),
        integer(row.tab.guarantees),
        row.tab.next_req.to_string(),
        row.tab.total.to_string(),
        row.tab.paid.to_string(),
        row.tab.remunerated.to_string(),
    );
    let (i, j, k, l, m, o, p, q) = columns!(rows, row =>
        secs(row.tab.latest),
        row.tab.closed,
        row.tab.expired,
        secs(row.tab.updated_at),
        row.seq,
        i16::from(settlement(row.tab.settlement())),
        row.tab.is_active(),
        ages_from(&row.tab),
    );
    if standing == Standing::Locked {
        return put(
            link,
            sql,
            rows.len(),
            &[
                &a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &o, &p, &q,
            ],
        )
        .await;
    }
    let (r, s, t, u, v) = columns!(rows, row =>
        row.tab.identity.payer.as_slice(),
        row.tab.identity.recipient.as_slice(),
        row.tab.identity.asset.as_slice(),
        integer(row.tab.ttl_secs),
        secs(row.tab.created_at),
    );
    put(
        link,
        sql,
        rows.len(),
        &[
            &a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &o, &p, &q, &r, &s, &t, &u, &v,
        ],
    )
    .await
}

async fn guarantees(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.guarantees;
    let (a, b, c, d, e) = columns!(rows, (guarantee, seq, lock) =>
        id_bytes(guarantee.tab).to_vec(),
        guarantee.req.to_string(),
        *seq,
        integer(guarantee.order),
        guarantee.amount.to_string(),
    );
    let (f, g, h, i, j) = columns!(rows, (guarantee, seq, lock) =>
        lock.to_string(),
        guarantee.total.to_string(),
        secs(guarantee.timestamp),
        &*guarantee.request,
        secs(guarantee.created_at),
    );
    put(
        link,
        GUARANTEES,
        rows.len(),
        &[&a, &b, &c, &d, &e, &f, &g, &h, &i, &j],
    )
    .await
}

async fn unsigned(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.guarantees;
    let (a, b, c) = columns!(rows, (guarantee, seq, _) =>
        id_bytes(guarantee.tab).to_vec(),
        guarantee.req.to_string(),
        *seq,
    );
    put(link, UNSIGNED, rows.len(), &[&a, &b, &c]).await
}

async fn entries(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.entries;
    let (a, b, c, d, e, f, g, h) = columns!(rows, (tab, seq, entry) =>
        id_bytes(*tab).to_vec(),
        *seq,
        i16::from(kind(entry.kind)),
        entry.req.map(|req| req.to_string()),
        entry.amount.to_string(),
        entry.lock.to_string(),
        entry.place.map(|place| place.record().to_vec()),
        secs(entry.at),
    );
    put(link, ENTRIES, rows.len(), &[&a, &b, &c, &d, &e, &f, &g, &h]).await
}

async fn fundings(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let rows = &sheet.news.fundings;
    let (a, b, c, d, e, f) = columns!(rows, (record, entry) =>
        record.as_slice(),
        i16::from(kind(entry.kind)),
        entry.payer.as_slice(),
        entry.asset.as_slice(),
        entry.amount.to_string(),
        secs(entry.at),
    );
    put(link, FUNDINGS, rows.len(), &[&a, &b, &c, &d, &e, &f]).await
}

async fn besides(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    for (sql, stored) in [(BESIDES, true), (NEW_BESIDES, false)] {
        let changed = sheet.besides.iter();
        let changed = changed.filter(|(_, it)| it.touched > 0 && it.is_stored == stored);
        let rows: Vec<(&Owned, &Beside)> = changed.collect();
        let (a, b, c, d, e) = columns!(rows, ((payer, asset), beside) =>
            payer.as_slice(),
            asset.as_slice(),
            integer(beside.touched),
            secs(beside.known.updated_at),
            beside.is_asked.then(|| beside.known.withdrawing.to_string()),
        );
        put(link, sql, rows.len(), &[&a, &b, &c, &d, &e]).await?;
    }
    Ok(())
}

async fn payments(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let changed = |stored| {
        let rows = sheet.payments.values();
        let rows = rows.filter(move |row| row.is_changed && row.is_stored == stored);
        let mut rows: Vec<&PaymentRow> = rows.collect();
        rows.sort_by_key(|row| row.payment.record());
        rows
    };
    let rows = changed(true);
    let (a, b, c) = columns!(rows, row =>
        row.payment.record().to_vec(),
        i16::from(stage(row.payment.stage).0),
        stage(row.payment.stage).1.map(|teller| teller.to_vec()),
    );
    put(link, PAYMENTS, rows.len(), &[&a, &b, &c]).await?;
    let rows = changed(false);
    let (a, b, c, d, e, f) = columns!(rows, row =>
        row.payment.record().to_vec(),
        i16::from(stage(row.payment.stage).0),
        stage(row.payment.stage).1.map(|teller| teller.to_vec()),
        integer(row.payment.place.block),
        row.payment.place.transaction.as_slice(),
        row.payment.place.log.map(integer),
    );
    let (g, h, i, j, k, l, m) = columns!(rows, row =>
        id_bytes(row.payment.tab).to_vec(),
        row.payment.req.map(|req| req.to_string()),
        row.payment.payer.as_slice(),
        row.payment.recipient.as_slice(),
        row.payment.asset.as_slice(),
        row.payment.amount.to_string(),
        secs(row.payment.at),
    );
    put(
        link,
        NEW_PAYMENTS,
        rows.len(),
        &[&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m],
    )
    .await
}
