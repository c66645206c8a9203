//! What the chain said, and what it is told.

use alloy_primitives::B256;
use faregate_core::crash::{self, Point};
use faregate_core::credit::{Changes, Cursor, Happening, Place, TabPayment, Terms, apply, release};
use faregate_core::port::credit::{Batch, Entered, PutAside};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use rusqlite::{Connection, params};

use super::super::fault::Fault;
use super::super::{codec, limits};
use super::desk::Desk;
use super::rows::{self, PAYMENT_COLUMNS, TAB_COLUMNS, all, integer, one};

/// Makes these the books of a core on this chain, unless they are another's.
pub(super) fn bind(conn: &Connection, chain: ChainId) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO credit_core (id, chain) VALUES (1, ?1) ON CONFLICT (id) DO NOTHING",
    )?
    .execute([chain.to_string()])?;
    let bound: String = conn.query_row("SELECT chain FROM credit_core", [], |row| row.get(0))?;
    if bound == chain.to_string() {
        Ok(())
    } else {
        tracing::error!(%chain, found = %bound, "the ledger has the credit books of another chain");
        Err(StoreError::Conflict.into())
    }
}

/// The chain whose core these books are of, if there is one.
pub(in super::super) fn bound(conn: &Connection) -> Result<Option<ChainId>, Fault> {
    one(conn, "SELECT chain FROM credit_core", [], |row| {
        let chain = row.get::<_, String>(0)?.parse();
        chain.map_err(|_| Fault::Damaged("a chain"))
    })
}

/// Where the books stand.
pub(super) fn cursor(conn: &Connection) -> Result<Option<Cursor>, Fault> {
    let sql = "SELECT block, block_hash, block_time FROM credit_core WHERE block IS NOT NULL";
    one(conn, sql, [], |row| {
        Ok(Cursor {
            number: rows::number(row, 0)?,
            hash: B256::from(row.get::<_, [u8; 32]>(1)?),
            time: codec::time(row.get(2)?),
        })
    })
}

/// Enters a batch with its cursor, then lets tabs expire.
pub(super) fn enter(
    conn: &Connection,
    chain: ChainId,
    batch: &Batch,
    terms: &Terms,
    release_max: u32,
) -> Result<Entered, Fault> {
    if cursor(conn)? != batch.from {
        return Err(StoreError::Conflict.into());
    }
    let mut entered = Entered::default();
    for happening in &batch.happenings {
        enter_one(conn, chain, happening, &mut entered)?;
    }
    entered.expired = expire(conn, chain, terms, batch.to.time, release_max)?;
    conn.prepare_cached("UPDATE credit_core SET block = ?1, block_hash = ?2, block_time = ?3")?
        .execute(params![
            integer(batch.to.number),
            batch.to.hash.0,
            codec::secs(batch.to.time)
        ])?;
    crash::point(Point::PartWritten);
    Ok(entered)
}

fn enter_one(
    conn: &Connection,
    chain: ChainId,
    happening: &Happening,
    entered: &mut Entered,
) -> Result<(), Fault> {
    let place = happening.place;
    let new = conn
        .prepare_cached(
            "INSERT INTO credit_happening (block, transaction_hash, log) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            integer(place.block),
            place.transaction.0,
            place.log.map(integer)
        ])?;
    if new == 0 {
        entered.repeated = entered.repeated.saturating_add(1);
        return Ok(());
    }
    let seq = conn.last_insert_rowid();
    let desk = Desk::new(conn, chain);
    let (changes, odd) = apply(&desk, happening)?;
    if changes != Changes::default() {
        entered.applied = entered.applied.saturating_add(1);
    }
    desk.write(&changes)?;
    if let Some(odd) = odd {
        let aside = PutAside::of(happening, odd);
        conn.prepare_cached(
            "INSERT INTO credit_aside (happening, what, why, at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![seq, aside.what, aside.why, codec::secs(aside.at)])?;
        entered.odd.push((place, odd));
    }
    Ok(())
}

/// Releases what is locked for tabs whose certificates expired by `time`.
fn expire(
    conn: &Connection,
    chain: ChainId,
    terms: &Terms,
    time: Timestamp,
    release_max: u32,
) -> Result<u32, Fault> {
    let Some(before) = time.as_secs().checked_sub(terms.expiration_secs) else {
        return Ok(0);
    };
    let sql = format!(
        "SELECT {TAB_COLUMNS} FROM credit_tab t WHERE t.ages_from < ?1 ORDER BY t.ages_from, t.id LIMIT ?2"
    );
    let before = integer(before);
    let aged = all(
        conn,
        &sql,
        params![before, release_max.min(limits::PAGE_ROWS)],
        rows::tab,
    )?;
    let mut expired: u32 = 0;
    for (seq, tab) in aged {
        if let Some(changes) = release(&tab, terms, time) {
            let desk = Desk::new(conn, chain);
            desk.remember(Some((seq, tab)));
            desk.write(&changes)?;
            expired = expired.saturating_add(1);
        }
    }
    Ok(expired)
}

/// What was put aside, newest first.
pub(super) fn put_aside(conn: &Connection, skip: u32, limit: u32) -> Result<Vec<PutAside>, Fault> {
    let sql = "SELECT h.block, h.transaction_hash, h.log, a.what, a.why, a.at \
               FROM credit_aside a JOIN credit_happening h ON h.seq = a.happening \
               ORDER BY a.happening DESC LIMIT ?1 OFFSET ?2";
    all(conn, sql, params![limit, skip], |row| {
        Ok(PutAside {
            place: rows::place(row, 0)?,
            what: row.get::<_, String>(3)?.into(),
            why: row.get::<_, String>(4)?.into(),
            at: codec::time(row.get(5)?),
        })
    })
}

/// Payments that the contract does not know of for certain, oldest first.
pub(super) fn untold(conn: &Connection, limit: u32) -> Result<Vec<TabPayment>, Fault> {
    let sql = format!(
        "SELECT {PAYMENT_COLUMNS} FROM credit_payment WHERE stage IN (0, 1) \
         ORDER BY block, transaction_hash, log LIMIT ?1"
    );
    all(conn, &sql, [limit.min(limits::PAGE_ROWS)], rows::payment)
}

/// Says of these payments that this transaction is about to tell of them; of all or of none.
pub(super) fn telling(conn: &Connection, places: &[Place], transaction: B256) -> Result<(), Fault> {
    for place in places {
        known(conn, place)?;
        conn.prepare_cached(
            "UPDATE credit_payment SET stage = 1, teller = ?2 WHERE record = ?1 AND stage IN (0, 1)",
        )?
        .execute(params![place.record().0, transaction.0])?;
    }
    Ok(())
}

/// Says of a payment that the contract will never take it.
pub(super) fn refuse_payment(conn: &Connection, place: &Place) -> Result<(), Fault> {
    known(conn, place)?;
    conn.prepare_cached(
        "UPDATE credit_payment SET stage = 3, teller = NULL WHERE record = ?1 AND stage IN (0, 1)",
    )?
    .execute([place.record().0])?;
    Ok(())
}

fn known(conn: &Connection, place: &Place) -> Result<(), Fault> {
    let sql = "SELECT 1 FROM credit_payment WHERE record = ?1 AND block = ?2";
    let known = conn
        .prepare_cached(sql)?
        .exists(params![place.record().0, integer(place.block)])?;
    if known {
        Ok(())
    } else {
        Err(StoreError::NotFound.into())
    }
}
