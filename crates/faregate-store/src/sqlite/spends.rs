//! Spends: what the writer and the readers do for [`WalletStore`](faregate_ledger::WalletStore). Caps and terms are the
//! ledger crate's rules; here they meet rows.

use alloy_primitives::U256;
use faregate_ledger::{
    Caps, Reserved, Signed, Spend, SpendEnd, SpendRecord, SpendState, StoreError, TermsRule, Unit,
    Usage, Worth, window,
};
use faregate_types::{PaymentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::codec::{self, SPEND_COLUMNS};
use super::fault::Fault;
use super::{limits, terms};

/// The beginning of everything.
const ALWAYS: Timestamp = Timestamp::from_secs(0);

/// Checks terms and caps and records a spend.
pub(super) fn reserve(
    conn: &Connection,
    spend: &Spend,
    caps: &Caps,
    rule: TermsRule,
) -> Result<Reserved, Fault> {
    let asset = spend.amount.asset();
    let known = terms::known(conn, &spend.origin, &spend.path, asset, &spend.payee)?;
    let unit = Unit::of(asset);
    let before = Usage {
        host: for_origin(conn, &spend.origin, unit)?,
        // Without a cap nothing is asked about a period.
        period: match &caps.per_period {
            Some(period) => within(conn, unit, period.since(spend.at))?,
            None => Worth::ZERO,
        },
        total: match caps.total {
            Some(_) => within(conn, unit, ALWAYS)?,
            None => Worth::ZERO,
        },
    };
    let verdict = Reserved::judge(spend, caps, rule, known.clone(), &before);
    let allowed = matches!(verdict, Reserved::Recorded(_));
    if allowed && insert(conn, spend)? {
        count(conn, spend, before.host)?;
        return Ok(verdict);
    }
    // What is in the books was allowed once.
    match find(conn, &spend.id)? {
        Some(record) if record.spend.is_same(spend) => Ok(Reserved::Recorded(known)),
        Some(_) => Err(StoreError::Conflict.into()),
        None if allowed => Err(Fault::Damaged("a spend that is there and is not")),
        None => Ok(verdict),
    }
}

/// Records how a spend ended.
pub(super) fn finish(
    conn: &Connection,
    id: &PaymentId,
    end: &SpendEnd,
    at: Timestamp,
) -> Result<(), Fault> {
    let known = conn
        .prepare_cached("SELECT state, transaction_ref IS NOT NULL FROM spend WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
        })
        .optional()?;
    let (before, has_transaction) = known.ok_or(StoreError::NotFound)?;
    let before = SpendState::parse(&before).ok_or(Fault::Damaged("a state"))?;
    let Some(news) = before.news(has_transaction, end) else {
        return Ok(());
    };
    let refusal = match end {
        SpendEnd::Refused { code } => Some(code.as_str()),
        SpendEnd::Paid { .. } | SpendEnd::Unused => None,
    };
    conn.prepare_cached(
        "UPDATE spend SET state = ?2, transaction_ref = coalesce(transaction_ref, ?3), refusal = coalesce(?4, refusal), \
         finished_at = ?5 WHERE id = ?1",
    )?
    .execute(params![id.as_bytes(), news.state.as_str(), news.transaction, refusal, codec::secs(at)])?;
    conn.prepare_cached("DELETE FROM spend_request WHERE spend = ?1")?
        .execute([id.as_bytes()])?;
    Ok(())
}

/// What was signed in `unit` for `origin` altogether, for anybody since `since`, and for anybody altogether.
pub(super) fn usage(
    conn: &Connection,
    origin: &str,
    unit: Unit,
    since: Timestamp,
) -> Result<Usage, Fault> {
    Ok(Usage {
        host: for_origin(conn, origin, unit)?,
        period: within(conn, unit, since)?,
        total: within(conn, unit, ALWAYS)?,
    })
}

/// What was signed for each origin in each unit.
pub(super) fn signed(conn: &Connection, limit: u32) -> Result<Vec<Signed>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT origin, unit, worth FROM signed_for_origin ORDER BY origin, unit LIMIT ?1",
    )?;
    let mut rows = statement.query([limit.min(limits::PAGE_ROWS)])?;
    let mut signed = Vec::new();
    while let Some(row) = rows.next()? {
        signed.push(Signed {
            origin: row.get::<_, String>(0)?.into(),
            unit: codec::unit(&row.get::<_, String>(1)?)?,
            worth: Worth::new(codec::money(&row.get::<_, String>(2)?)?),
        });
    }
    Ok(signed)
}

fn for_origin(conn: &Connection, origin: &str, unit: Unit) -> Result<Worth, Fault> {
    let host = conn
        .prepare_cached("SELECT worth FROM signed_for_origin WHERE origin = ?1 AND unit = ?2")?
        .query_row([origin, &unit.to_string()], |row| row.get::<_, String>(0))
        .optional()?;
    let host = host.map_or(Ok(U256::ZERO), |text| codec::money(&text))?;
    Ok(Worth::new(host))
}

fn within(conn: &Connection, unit: Unit, since: Timestamp) -> Result<Worth, Fault> {
    let mut period = U256::ZERO;
    let unit = unit.to_string();
    let mut statement = conn.prepare_cached(
        "SELECT worth FROM signed_in_slot WHERE unit = ?1 AND level = ?2 AND slot >= ?3 AND slot < ?4",
    )?;
    for range in window::ranges(since.as_secs()) {
        let (level, from, until) = range;
        let mut rows = statement.query(params![unit, level, from, until])?;
        while let Some(row) = rows.next()? {
            period = plus(period, codec::money(&row.get::<_, String>(0)?)?)?;
        }
    }
    Ok(Worth::new(period))
}

/// The newest spends, newest first.
pub(super) fn recent(conn: &Connection, limit: u32) -> Result<Vec<SpendRecord>, Fault> {
    list(conn, "ORDER BY signed_at DESC, seq DESC", limit)
}

/// Spends whose end is not known, oldest first.
pub(super) fn open(conn: &Connection, limit: u32) -> Result<Vec<SpendRecord>, Fault> {
    list(conn, "WHERE state = 'open' ORDER BY seq", limit)
}

/// Spends without their requests.
fn list(conn: &Connection, which: &str, limit: u32) -> Result<Vec<SpendRecord>, Fault> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {SPEND_COLUMNS}, x'' AS request FROM spend {which} LIMIT ?1"
    ))?;
    let mut rows = statement.query([limit.min(limits::PAGE_ROWS)])?;
    let mut spends = Vec::new();
    while let Some(row) = rows.next()? {
        spends.push(codec::spend(row)?);
    }
    Ok(spends)
}

/// One spend, with its request if that is still kept.
pub(super) fn find(conn: &Connection, id: &PaymentId) -> Result<Option<SpendRecord>, Fault> {
    conn.prepare_cached(&format!(
        "SELECT {SPEND_COLUMNS}, coalesce((SELECT request FROM spend_request WHERE spend = id), x'') AS request \
         FROM spend WHERE id = ?1"
    ))?
    .query_row([id.as_bytes()], |row| Ok(codec::spend(row)))
    .optional()?
    .transpose()
}

/// `false` when its id is in the books already.
fn insert(conn: &Connection, spend: &Spend) -> Result<bool, Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO spend (id, origin, resource, path, payee, asset, amount, worth, signed_at, valid_until, credential, \
         state, payer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (id) DO NOTHING",
    )?;
    let inserted = statement.execute(params![
        spend.id.as_bytes(),
        spend.origin,
        spend.resource,
        spend.path,
        spend.payee,
        spend.amount.asset().to_string(),
        spend.amount.value().to_string(),
        spend.worth.units().to_string(),
        codec::secs(spend.at),
        codec::secs(spend.valid_until),
        spend.credential,
        SpendState::Open.as_str(),
        spend.payer,
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    if !spend.request.is_empty() {
        conn.prepare_cached("INSERT INTO spend_request (spend, request) VALUES (?1, ?2)")?
            .execute(params![spend.id.as_bytes(), spend.request])?;
    }
    Ok(true)
}

/// Adds a spend to the sums of its origin and of its time.
fn count(conn: &Connection, spend: &Spend, before: Worth) -> Result<(), Fault> {
    let worth = spend.worth.units();
    let unit = Unit::of(spend.amount.asset()).to_string();
    conn.prepare_cached(
        "INSERT INTO signed_for_origin (origin, unit, worth) VALUES (?1, ?2, ?3) \
         ON CONFLICT (origin, unit) DO UPDATE SET worth = excluded.worth",
    )?
    .execute(params![
        spend.origin,
        unit,
        plus(before.units(), worth)?.to_string()
    ])?;
    let mut known = conn.prepare_cached(
        "SELECT worth FROM signed_in_slot WHERE unit = ?1 AND level = ?2 AND slot = ?3",
    )?;
    let mut store = conn.prepare_cached(
        "INSERT INTO signed_in_slot (unit, level, slot, worth) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (unit, level, slot) DO UPDATE SET worth = excluded.worth",
    )?;
    for slot in
        window::slots(spend.at.as_secs()).ok_or(Fault::Damaged("a time at the end of time"))?
    {
        let sum = known
            .query_row(params![unit, slot.0, slot.1], |row| row.get::<_, String>(0))
            .optional()?;
        let sum = sum.map_or(Ok(U256::ZERO), |text| codec::money(&text))?;
        store.execute(params![unit, slot.0, slot.1, plus(sum, worth)?.to_string()])?;
    }
    Ok(())
}

/// The books hold no sums beyond 256 bits.
pub(super) fn plus(a: U256, b: U256) -> Result<U256, Fault> {
    a.checked_add(b)
        .ok_or(Fault::Damaged("a sum that overflows"))
}
