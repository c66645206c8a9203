//! What becomes of held certificates: lists, transactions that redeem, what the contract says.

use alloy_primitives::B256;
use faregate_core::port::{
    HeldCertificate, HeldPage, HeldSums, HeldTab, HeldTabKey, HeldTabStore, Redemption,
    RedemptionEnd, Standing,
};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::codec;
use super::super::fault::Fault;
use super::super::ledger::SqliteLedger;
use super::super::limits::PAGE_ROWS;
use super::{COLUMNS, TAB_COLUMNS, read, read_tab, tab, write_tab};
use crate::words::credit::{integer, redemption_end};

impl HeldTabStore for SqliteLedger {
    fn open_tabs(
        &self,
        chain: ChainId,
        page: HeldPage,
    ) -> BoxFuture<'_, Result<Vec<HeldTab>, StoreError>> {
        Box::pin(self.engine.read(move |conn| open(conn, chain, page)))
    }

    fn held_tab(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<HeldTab>, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| Ok(tab(conn, &key)?.map(|(_, tab)| tab))),
        )
    }

    fn certificates_of(
        &self,
        key: HeldTabKey,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<HeldCertificate>, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| certificates(conn, &key, limit)),
        )
    }

    fn redeeming(&self, redemption: Redemption) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            let (seq, _) = tab(conn, &redemption.key)?.ok_or(StoreError::NotFound)?;
            conn.prepare_cached(
                "INSERT INTO held_redemption (tab, transaction_hash, at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (tab, transaction_hash) DO UPDATE SET outcome = NULL, at = excluded.at WHERE outcome = ?4",
            )?
            .execute(params![
                seq,
                redemption.transaction.as_slice(),
                codec::secs(redemption.at),
                redemption_end(RedemptionEnd::GivenUp)
            ])?;
            Ok(())
        }))
    }

    fn redemptions(
        &self,
        chain: ChainId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Redemption>, StoreError>> {
        Box::pin(self.engine.read(move |conn| unknown(conn, chain, limit)))
    }

    fn redeemed(
        &self,
        key: HeldTabKey,
        transaction: B256,
        end: RedemptionEnd,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            let (seq, _) = tab(conn, &key)?.ok_or(StoreError::NotFound)?;
            let known = conn
                .prepare_cached(
                    "UPDATE held_redemption SET outcome = CASE WHEN coalesce(outcome, ?4) = ?4 THEN ?3 ELSE outcome END \
                     WHERE tab = ?1 AND transaction_hash = ?2",
                )?
                .execute(params![
                    seq,
                    transaction.as_slice(),
                    redemption_end(end),
                    redemption_end(RedemptionEnd::GivenUp)
                ])?;
            if known == 0 {
                return Err(StoreError::NotFound.into());
            }
            Ok(())
        }))
    }

    fn paid_by(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<B256>, StoreError>> {
        Box::pin(self.engine.read(move |conn| {
            let Some((seq, _)) = tab(conn, &key)? else {
                return Ok(None);
            };
            let found = conn
                .prepare_cached(
                    "SELECT transaction_hash FROM held_redemption WHERE tab = ?1 AND outcome = ?2 ORDER BY seq DESC LIMIT 1",
                )?
                .query_row(params![seq, redemption_end(RedemptionEnd::Mined)], |row| {
                    row.get::<_, [u8; 32]>(0)
                })
                .optional()?;
            Ok(found.map(B256::from))
        }))
    }

    fn stand(
        &self,
        key: HeldTabKey,
        standing: Standing,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<HeldTab, StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            let (seq, before) = tab(conn, &key)?.ok_or(StoreError::NotFound)?;
            let after = before.standing(&standing, at);
            if after != before {
                write_tab(conn, seq, &after, None)?;
            }
            Ok(after)
        }))
    }

    fn held_sums(&self) -> BoxFuture<'_, Result<Vec<HeldSums>, StoreError>> {
        Box::pin(self.engine.read(sums))
    }
}

fn open(conn: &Connection, chain: ChainId, page: HeldPage) -> Result<Vec<HeldTab>, Fault> {
    let sql = format!(
        "SELECT {TAB_COLUMNS} FROM held_tab t WHERE t.chain = ?1 AND t.ended = 0 \
         AND (?2 IS NULL OR (t.promised_at, t.payer, t.recipient, t.tab) > (?2, ?3, ?4, ?5)) \
         ORDER BY t.promised_at, t.payer, t.recipient, t.tab LIMIT ?6"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let after = page.after;
    let mut rows = statement.query(params![
        integer(chain.get()),
        after.map(|(promised_at, _)| codec::secs(promised_at)),
        after.map(|(_, key)| key.payer.to_vec()),
        after.map(|(_, key)| key.recipient.to_vec()),
        after.map(|(_, key)| key.tab.to_be_bytes::<32>()),
        page.limit.min(PAGE_ROWS)
    ])?;
    let mut tabs = Vec::new();
    while let Some(row) = rows.next()? {
        tabs.push(read_tab(row)?.1);
    }
    Ok(tabs)
}

fn certificates(
    conn: &Connection,
    key: &HeldTabKey,
    limit: u32,
) -> Result<Vec<HeldCertificate>, Fault> {
    let Some((seq, _)) = tab(conn, key)? else {
        return Ok(Vec::new());
    };
    // The longer of two numbers is the larger, and of two that are as long the one that comes later.
    let sql = format!(
        "SELECT {COLUMNS} FROM held_certificate c JOIN held_tab t ON t.seq = c.tab WHERE c.tab = ?1 \
         ORDER BY length(c.total) DESC, c.total DESC, c.seq DESC LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![seq, limit.min(PAGE_ROWS)])?;
    let mut certificates = Vec::new();
    while let Some(row) = rows.next()? {
        certificates.push(read(row)?);
    }
    Ok(certificates)
}

fn unknown(conn: &Connection, chain: ChainId, limit: u32) -> Result<Vec<Redemption>, Fault> {
    let sql = format!(
        "SELECT {TAB_COLUMNS}, r.transaction_hash, r.at FROM held_redemption r JOIN held_tab t ON t.seq = r.tab \
         WHERE r.outcome IS NULL AND t.chain = ?1 ORDER BY r.seq LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![integer(chain.get()), limit.min(PAGE_ROWS)])?;
    let mut redemptions = Vec::new();
    while let Some(row) = rows.next()? {
        redemptions.push(Redemption {
            key: read_tab(row)?.1.key,
            transaction: row.get::<_, [u8; 32]>("transaction_hash")?.into(),
            at: codec::time(row.get("at")?),
        });
    }
    Ok(redemptions)
}

fn sums(conn: &Connection) -> Result<Vec<HeldSums>, Fault> {
    let sql = format!("SELECT {TAB_COLUMNS} FROM held_tab t");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut tabs = Vec::new();
    while let Some(row) = rows.next()? {
        tabs.push(read_tab(row)?.1);
    }
    Ok(HeldSums::of(tabs)?)
}
