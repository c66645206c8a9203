//! Do the books add up? Everything that is kept for speed is computed again from what is immutable.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use faregate_ledger::{AccountId, Balance, Unit, window};
use faregate_types::AssetId;
use rusqlite::Connection;

use super::fault::Fault;
use super::spends::plus;
use super::{codec, credit};
use crate::audit::{Audit, AuditFault, compare};

pub(super) type Balances = BTreeMap<(AccountId, AssetId), Balance>;

/// Audits a ledger.
pub(super) fn ledger(conn: &Connection) -> Result<Audit, Fault> {
    let mut audit = Audit::default();
    check_file(conn, &mut audit)?;
    let mut computed = from_transfers(conn, &mut audit)?;
    credit::audit::credit(conn, &mut computed, &mut audit)?;
    let stored = stored_balances(conn)?;
    compare(&computed, &stored, |(account, asset)| {
        audit.add(AuditFault::Balance {
            account: account.clone(),
            asset: *asset,
        });
    });
    let mut totals = BTreeMap::new();
    for ((_, asset), balance) in &computed {
        let total = totals
            .entry(*asset)
            .or_insert_with(|| Balance::zero(*asset));
        *total = total
            .plus(balance)
            .map_err(|_| Fault::Damaged("a sum that overflows"))?;
    }
    for (asset, total) in totals {
        if !total.is_balanced() {
            audit.add(AuditFault::Unbalanced { asset });
        }
    }
    check_phases(conn, &mut audit)?;
    check_exposures(conn, &mut audit)?;
    check_keys(conn, &mut audit)?;
    Ok(audit)
}

/// Audits a wallet.
pub(super) fn wallet(conn: &Connection) -> Result<Audit, Fault> {
    let mut audit = Audit::default();
    check_file(conn, &mut audit)?;
    let mut origins = BTreeMap::<(Box<str>, Unit), U256>::new();
    let mut slots = BTreeMap::<(Unit, (u32, i64)), U256>::new();
    each(
        conn,
        "SELECT origin, worth, signed_at, asset FROM spend",
        |row| {
            audit.row();
            let unit = Unit::of(codec::asset(&row.get::<_, String>(3)?)?);
            let worth = codec::money(&row.get::<_, String>(1)?)?;
            let origin = row.get::<_, String>(0)?.into_boxed_str();
            let sum = origins.entry((origin, unit)).or_default();
            *sum = plus(*sum, worth)?;
            let at = codec::time(row.get(2)?).as_secs();
            for slot in window::slots(at).ok_or(Fault::Damaged("a time at the end of time"))? {
                let sum = slots.entry((unit, slot)).or_default();
                *sum = plus(*sum, worth)?;
            }
            Ok(())
        },
    )?;
    let mut stored_origins = BTreeMap::new();
    let sums = "SELECT origin, unit, worth FROM signed_for_origin";
    each(conn, sums, |row| {
        stored_origins.insert(
            (
                row.get::<_, String>(0)?.into_boxed_str(),
                codec::unit(&row.get::<_, String>(1)?)?,
            ),
            codec::money(&row.get::<_, String>(2)?)?,
        );
        Ok(())
    })?;
    compare(&origins, &stored_origins, |(origin, _)| {
        audit.add(AuditFault::Origin {
            origin: origin.clone(),
        })
    });
    let mut stored_slots = BTreeMap::new();
    let sums = "SELECT unit, level, slot, worth FROM signed_in_slot";
    each(conn, sums, |row| {
        stored_slots.insert(
            (
                codec::unit(&row.get::<_, String>(0)?)?,
                (row.get(1)?, row.get(2)?),
            ),
            codec::money(&row.get::<_, String>(3)?)?,
        );
        Ok(())
    })?;
    compare(&slots, &stored_slots, |(_, (level, slot))| {
        audit.add(AuditFault::Slot {
            level: *level,
            slot: *slot,
        })
    });
    Ok(audit)
}

/// SQLite's own check, without the indexes' content.
fn check_file(conn: &Connection, audit: &mut Audit) -> Result<(), Fault> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        audit.add(AuditFault::File);
    }
    Ok(())
}

/// Every balance as far as payments moved it, from transfers alone.
fn from_transfers(conn: &Connection, audit: &mut Audit) -> Result<Balances, Fault> {
    let mut balances = Balances::new();
    let sql = "SELECT t.debit, t.credit, t.asset, t.amount, iif(r.transfer IS NULL, e.phase, 'reversed') \
               FROM transfer t LEFT JOIN transfer_end e ON e.transfer = t.seq \
               LEFT JOIN transfer_reversal r ON r.transfer = t.seq";
    each(conn, sql, |row| {
        audit.row();
        let asset = codec::asset(&row.get::<_, String>(2)?)?;
        let amount = codec::money(&row.get::<_, String>(3)?)?;
        let phase: Option<String> = row.get(4)?;
        let (mut debit, mut credit) = (Balance::zero(asset), Balance::zero(asset));
        match phase.as_deref() {
            None => (debit.debits_pending, credit.credits_pending) = (amount, amount),
            Some("posted") => (debit.debits_posted, credit.credits_posted) = (amount, amount),
            Some("voided" | "reversed") => {}
            Some(_) => return Err(Fault::Damaged("a phase")),
        }
        for (column, change) in [(0, debit), (1, credit)] {
            let account = codec::account(&row.get::<_, String>(column)?)?;
            let balance = balances
                .entry((account, asset))
                .or_insert_with(|| Balance::zero(asset));
            *balance = balance
                .plus(&change)
                .map_err(|_| Fault::Damaged("a sum that overflows"))?;
        }
        Ok(())
    })?;
    Ok(balances)
}

fn stored_balances(conn: &Connection) -> Result<Balances, Fault> {
    let mut balances = Balances::new();
    each(conn, "SELECT * FROM balance", |row| {
        let balance = codec::balance(row)?;
        balances.insert(
            (
                codec::account(&row.get::<_, String>("account")?)?,
                balance.asset,
            ),
            balance,
        );
        Ok(())
    })?;
    Ok(balances)
}

/// An open payment has a pending transfer, a settled one a posted, the others a voided; and nothing else is pending.
fn check_phases(conn: &Connection, audit: &mut Audit) -> Result<(), Fault> {
    let sql = "SELECT p.id FROM payment p \
               LEFT JOIN transfer t ON t.seq = p.transfer \
               LEFT JOIN transfer_end e ON e.transfer = p.transfer \
               LEFT JOIN transfer_reversal r ON r.transfer = p.transfer \
               WHERE t.payment IS NOT p.id OR r.transfer IS NOT NULL OR coalesce(e.phase, 'pending') <> \
               CASE p.state WHEN 'settled' THEN 'posted' WHEN 'failed' THEN 'voided' WHEN 'released' THEN 'voided' \
               ELSE 'pending' END";
    each(conn, sql, |row| {
        audit.add(AuditFault::Phase {
            payment: codec::id(row.get(0)?),
        });
        Ok(())
    })?;
    let sql = "SELECT t.payment FROM transfer t \
               LEFT JOIN transfer_end e ON e.transfer = t.seq \
               LEFT JOIN payment p ON p.transfer = t.seq \
               WHERE e.transfer IS NULL AND p.id IS NULL";
    each(conn, sql, |row| {
        audit.add(AuditFault::Orphan {
            payment: codec::id(row.get(0)?),
        });
        Ok(())
    })
}

/// What is kept for a payer is what its payments that are served first add up to.
fn check_exposures(conn: &Connection, audit: &mut Audit) -> Result<(), Fault> {
    let mut computed = BTreeMap::<(AccountId, AssetId), U256>::new();
    let sql = "SELECT t.debit, t.asset, t.amount FROM payment p JOIN transfer t ON t.seq = p.transfer \
               WHERE p.exposure_max IS NOT NULL AND (p.state IN ('reserved', 'broadcast') \
               OR (p.state = 'failed' AND EXISTS (SELECT 1 FROM answer a WHERE a.payment = p.id)))";
    each(conn, sql, |row| {
        let sum = computed.entry(payer_of(row)?).or_default();
        *sum = plus(*sum, codec::money(&row.get::<_, String>(2)?)?)?;
        Ok(())
    })?;
    let mut stored = BTreeMap::new();
    each(
        conn,
        "SELECT account, asset, amount FROM exposure WHERE amount <> '0'",
        |row| {
            stored.insert(payer_of(row)?, codec::money(&row.get::<_, String>(2)?)?);
            Ok(())
        },
    )?;
    compare(&computed, &stored, |(account, asset)| {
        audit.add(AuditFault::Exposure {
            account: account.clone(),
            asset: *asset,
        });
    });
    Ok(())
}

fn payer_of(row: &rusqlite::Row<'_>) -> Result<(AccountId, AssetId), Fault> {
    Ok((
        codec::account(&row.get::<_, String>(0)?)?,
        codec::asset(&row.get::<_, String>(1)?)?,
    ))
}

/// A key of a payer stands for a payment of this payer that came with it.
fn check_keys(conn: &Connection, audit: &mut Audit) -> Result<(), Fault> {
    let sql = "SELECT i.payment FROM idempotency i \
               LEFT JOIN payment p ON p.id = i.payment LEFT JOIN transfer t ON t.seq = p.transfer \
               WHERE p.idempotency_key IS NOT i.key OR t.debit IS NOT i.account";
    each(conn, sql, |row| {
        audit.add(AuditFault::Key {
            payment: codec::id(row.get(0)?),
        });
        Ok(())
    })
}

pub(super) fn each(
    conn: &Connection,
    sql: &str,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read(row)?;
    }
    Ok(())
}
