//! Writes what a batch changed: one statement per table, all sent at once.

use futures_util::future::try_join_all;

use super::super::codec::{escaped, secs};
use super::super::fault::Fault;
use super::super::pool::Link;
use super::super::write::{Write, columns, put};
use super::{Row, Sheet};
use crate::words::credit::integer;

/// What is there by now makes the transaction fail and be tried again: an `ON CONFLICT` would hide it.
const NEW_TABS: &str = "INSERT INTO held_tab (seq, version, certificates, total, latest, promised_at, first_promised_at, paid, \
     redeemed, over, ended, changed_at, chain, payer, recipient, tab, asset) \
     SELECT a, b, c, d::numeric, e, f, g, h::numeric, i::numeric, j, k, l, m, n, o, p, q \
     FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[], $5::bytea[], $6::int8[], $7::int8[], $8::text[], $9::text[], \
     $10::bool[], $11::bool[], $12::int8[], $13::int8[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[]) \
     AS w (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)";

const TABS: &str = "UPDATE held_tab t SET version = b, certificates = c, total = d::numeric, latest = e, promised_at = f, \
     first_promised_at = g, paid = h::numeric, redeemed = i::numeric, over = j, ended = k, changed_at = l \
     FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[], $5::bytea[], $6::int8[], $7::int8[], $8::text[], $9::text[], \
     $10::bool[], $11::bool[], $12::int8[]) AS w (a, b, c, d, e, f, g, h, i, j, k, l) WHERE t.seq = a";

const CERTIFICATES: &str = "INSERT INTO held_certificate (payment, tab, req, route, version, amount, total, promised_at, claims, \
     signature, at) \
     SELECT a, b, c::numeric, d, e, f::numeric, g::numeric, h, i, j, k \
     FROM unnest($1::bytea[], $2::int8[], $3::text[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::int8[], $9::bytea[], \
     $10::bytea[], $11::int8[]) AS w (a, b, c, d, e, f, g, h, i, j, k)";

const ROUTES: &str = "INSERT INTO held_route (tab, route, amount) \
     SELECT a, b, c::numeric FROM unnest($1::int8[], $2::text[], $3::text[]) AS w (a, b, c) \
     ON CONFLICT (tab, route) DO UPDATE SET amount = held_route.amount + excluded.amount";

/// Writes everything that is new or changed.
pub(super) async fn sheet(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let changed = sheet.tabs.values().filter(|row| row.is_changed);
    let (new, old): (Vec<&Row>, Vec<&Row>) = changed.partition(|row| row.is_new);
    let writes: Vec<Write<'_>> = vec![
        Box::pin(tabs(link, NEW_TABS, new, true)),
        Box::pin(tabs(link, TABS, old, false)),
        Box::pin(certificates(link, sheet)),
        Box::pin(routes(link, sheet)),
    ];
    try_join_all(writes).await?;
    Ok(())
}

async fn tabs(
    link: &Link,
    sql: &'static str,
    rows: Vec<&Row>,
    with_key: bool,
) -> Result<(), Fault> {
    let (a, b, c, d, e, f) = columns!(rows, row =>
        row.seq,
        integer(row.tab.version.number()),
        integer(row.tab.certificates),
        row.tab.total.to_string(),
        row.latest.as_bytes().as_slice(),
        secs(row.tab.promised_at),
    );
    let (g, h, i, j, k, l) = columns!(rows, row =>
        secs(row.tab.first_promised_at),
        row.tab.paid.to_string(),
        row.tab.redeemed.to_string(),
        row.tab.is_over,
        row.tab.has_ended(),
        secs(row.tab.changed_at),
    );
    if !with_key {
        let params: super::Params<'_> = &[&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l];
        return put(link, sql, rows.len(), params).await;
    }
    let (m, n, o, p, q) = columns!(rows, row =>
        integer(row.tab.key.chain.get()),
        row.tab.key.payer.as_slice(),
        row.tab.key.recipient.as_slice(),
        row.tab.key.tab.to_be_bytes::<32>().to_vec(),
        row.tab.asset.token().to_vec(),
    );
    let params: super::Params<'_> = &[
        &a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &n, &o, &p, &q,
    ];
    put(link, sql, rows.len(), params).await
}

async fn certificates(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let new = sheet.new.iter();
    let rows: Option<Vec<_>> = new
        .map(|(seq, payment)| Some((*seq, sheet.certificates.get(payment)?)))
        .collect();
    let rows = rows.ok_or(Fault::Damaged("a certificate that was forgotten"))?;
    let (a, b, c, d, e, f) = columns!(rows, (seq, held) =>
        held.payment.as_bytes().as_slice(),
        *seq,
        held.req.to_string(),
        escaped(&held.route),
        integer(held.version.number()),
        held.amount.value().to_string(),
    );
    let (g, h, i, j, k) = columns!(rows, (seq, held) =>
        held.total.to_string(),
        secs(held.promised_at),
        held.certificate.claims.as_ref(),
        held.certificate.signature.as_bytes().as_slice(),
        secs(held.at),
    );
    let params: super::Params<'_> = &[&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k];
    put(link, CERTIFICATES, rows.len(), params).await
}

async fn routes(link: &Link, sheet: &Sheet) -> Result<(), Fault> {
    let sold: Vec<_> = sheet.sold.iter().collect();
    let (a, b, c) = columns!(sold, ((seq, route), amount) =>
        *seq,
        escaped(route),
        amount.to_string(),
    );
    put(link, ROUTES, sold.len(), &[&a, &b, &c]).await
}
