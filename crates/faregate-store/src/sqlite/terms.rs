//! What is known about a place: derived from the spends, so that nothing can disagree with them, in a bounded number of
//! rows.

use faregate_ledger::terms::PLACE_SPENDS_MAX;
use faregate_ledger::{KnownTerms, Terms, Worth};
use faregate_types::{Amount, AssetId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::codec;
use super::fault::Fault;

/// What is known where `payee` asks for `asset`.
pub(super) fn known(
    conn: &Connection,
    origin: &str,
    path: &str,
    asset: AssetId,
    payee: &str,
) -> Result<KnownTerms, Fault> {
    let mut at_place = conn.prepare_cached(
        "SELECT payee, asset, amount, worth FROM spend WHERE origin = ?1 AND path = ?2 ORDER BY seq DESC LIMIT ?3",
    )?;
    let newest = at_place.query_and_then(params![origin, path, PLACE_SPENDS_MAX], |row| {
        Ok(Terms {
            payee: row.get::<_, String>(0)?.into(),
            amount: Amount::new(
                codec::money(&row.get::<_, String>(2)?)?,
                codec::asset(&row.get::<_, String>(1)?)?,
            ),
            worth: Worth::new(codec::money(&row.get::<_, String>(3)?)?),
        })
    })?;
    KnownTerms::of_place(newest, asset, || at_origin(conn, origin, asset, payee))
}

/// Whoever asks, if the origin was paid that way before, else its first payee.
fn at_origin(
    conn: &Connection,
    origin: &str,
    asset: AssetId,
    payee: &str,
) -> Result<Option<Box<str>>, Fault> {
    let asset = asset.to_string();
    let known: bool = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM spend WHERE origin = ?1 AND asset = ?2 AND payee = ?3)",
        )?
        .query_row(params![origin, asset, payee], |row| row.get(0))?;
    if known {
        return Ok(Some(payee.into()));
    }
    let first = conn
        .prepare_cached(
            "SELECT payee FROM spend WHERE origin = ?1 AND asset = ?2 ORDER BY seq LIMIT 1",
        )?
        .query_row(params![origin, asset], |row| row.get::<_, String>(0))
        .optional()?;
    Ok(first.map(String::into_boxed_str))
}
