//! Certificates that a seller holds, and the tabs they are on. What they mean together is decided by
//! [`HeldTab`]; here it is loaded and written.

mod tabs;

use alloy_primitives::{Address, U256};
use faregate_core::port::{CertificateStore, HeldCertificate, HeldTab, HeldTabKey};
use faregate_ledger::StoreError;
use faregate_types::credit::{BlsSignature, Certificate, GuaranteeVersion};
use faregate_types::{Amount, ChainId, Erc20, PaymentId};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::codec;
use super::fault::Fault;
use super::ledger::SqliteLedger;
use crate::words::credit::integer;

impl CertificateStore for SqliteLedger {
    fn keep(&self, held: HeldCertificate) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| keep(conn, &held)))
    }

    fn certificate(
        &self,
        payment: PaymentId,
    ) -> BoxFuture<'_, Result<Option<HeldCertificate>, StoreError>> {
        Box::pin(self.engine.read(move |conn| find(conn, payment)))
    }

    fn owed<'a>(
        &'a self,
        payer: Address,
        route: &'a str,
        asset: Erc20,
    ) -> BoxFuture<'a, Result<U256, StoreError>> {
        let route: Box<str> = route.into();
        Box::pin(
            self.engine
                .read(move |conn| owed(conn, payer, &route, asset)),
        )
    }
}

fn keep(conn: &Connection, held: &HeldCertificate) -> Result<(), Fault> {
    if let Some(known) = find(conn, held.payment)? {
        return if known.is_same(held) {
            Ok(())
        } else {
            Err(StoreError::Conflict.into())
        };
    }
    let (seq, tab, is_latest) = match tab(conn, &held.tab_key())? {
        Some((seq, before)) => {
            let tab = before.with(held)?;
            (seq, tab, held.total > before.total)
        }
        None => {
            let tab = HeldTab::of(held)?;
            (add_tab(conn, &tab)?, tab, true)
        }
    };
    let added = conn
        .prepare_cached(
            "INSERT INTO held_certificate (payment, tab, req, route, version, amount, total, promised_at, claims, signature, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (tab, req) DO NOTHING",
        )?
        .execute(params![
            held.payment.as_bytes(),
            seq,
            held.req.to_string(),
            held.route,
            integer(held.version.number()),
            held.amount.value().to_string(),
            held.total.to_string(),
            codec::secs(held.promised_at),
            held.certificate.claims.as_ref(),
            held.certificate.signature.as_bytes(),
            codec::secs(held.at)
        ])?;
    if added == 0 {
        // Another payment has this number of the tab.
        return Err(StoreError::Conflict.into());
    }
    let latest = is_latest.then(|| conn.last_insert_rowid());
    write_tab(conn, seq, &tab, latest)?;
    add_owed(conn, seq, held)
}

/// Writes a tab whose first certificate is about to be added.
fn add_tab(conn: &Connection, tab: &HeldTab) -> Result<i64, Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO held_tab (chain, payer, recipient, tab, asset, version, certificates, total, latest, promised_at, \
         first_promised_at, paid, redeemed, over, ended, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, '0', 0, 0, 0, '0', '0', 0, 0, 0)",
    )?;
    let HeldTabKey {
        chain,
        payer,
        recipient,
        tab: id,
    } = tab.key;
    Ok(statement.insert(params![
        integer(chain.get()),
        payer.as_slice(),
        recipient.as_slice(),
        id.to_be_bytes::<32>(),
        tab.asset.token().as_slice()
    ])?)
}

/// Writes what changes of a tab.
fn write_tab(conn: &Connection, seq: i64, tab: &HeldTab, latest: Option<i64>) -> Result<(), Fault> {
    conn.prepare_cached(
        "UPDATE held_tab SET version = ?2, certificates = ?3, total = ?4, latest = coalesce(?5, latest), promised_at = ?6, \
         first_promised_at = ?7, paid = ?8, redeemed = ?9, over = ?10, ended = ?11, changed_at = ?12 WHERE seq = ?1",
    )?
    .execute(params![
        seq,
        integer(tab.version.number()),
        integer(tab.certificates),
        tab.total.to_string(),
        latest,
        codec::secs(tab.promised_at),
        codec::secs(tab.first_promised_at),
        tab.paid.to_string(),
        tab.redeemed.to_string(),
        tab.is_over,
        tab.has_ended(),
        codec::secs(tab.changed_at)
    ])?;
    Ok(())
}

fn add_owed(conn: &Connection, tab: i64, held: &HeldCertificate) -> Result<(), Fault> {
    let before: Option<String> = conn
        .prepare_cached("SELECT amount FROM held_route WHERE tab = ?1 AND route = ?2")?
        .query_row(params![tab, held.route], |row| row.get(0))
        .optional()?;
    let before = before.as_deref().map_or(Ok(U256::ZERO), codec::money)?;
    let after = before.checked_add(held.amount.value());
    let after = after.ok_or(Fault::Refused(StoreError::Damaged))?;
    conn.prepare_cached(
        "INSERT INTO held_route (tab, route, amount) VALUES (?1, ?2, ?3) \
         ON CONFLICT (tab, route) DO UPDATE SET amount = excluded.amount",
    )?
    .execute(params![tab, held.route, after.to_string()])?;
    Ok(())
}

fn owed(conn: &Connection, payer: Address, route: &str, asset: Erc20) -> Result<U256, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT r.amount FROM held_tab t JOIN held_route r ON r.tab = t.seq AND r.route = ?4 \
         WHERE t.payer = ?1 AND t.asset = ?2 AND t.chain = ?3 AND t.ended = 0",
    )?;
    let mut rows = statement.query(params![
        payer.as_slice(),
        asset.token().as_slice(),
        integer(asset.chain().get()),
        route
    ])?;
    let mut sum = U256::ZERO;
    while let Some(row) = rows.next()? {
        let amount = codec::money(&row.get::<_, String>(0)?)?;
        sum = sum
            .checked_add(amount)
            .ok_or(Fault::Refused(StoreError::Damaged))?;
    }
    Ok(sum)
}

/// The columns that [`read_tab`] reads.
const TAB_COLUMNS: &str = "t.seq, t.chain, t.payer, t.recipient, t.tab, t.asset, t.version, t.certificates, t.total, t.promised_at, \
     t.first_promised_at, t.paid, t.redeemed, t.over, t.changed_at";

fn tab(conn: &Connection, key: &HeldTabKey) -> Result<Option<(i64, HeldTab)>, Fault> {
    let sql = format!(
        "SELECT {TAB_COLUMNS} FROM held_tab t WHERE t.payer = ?1 AND t.tab = ?2 AND t.recipient = ?3 AND t.chain = ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![
        key.payer.as_slice(),
        key.tab.to_be_bytes::<32>(),
        key.recipient.as_slice(),
        integer(key.chain.get())
    ])?;
    rows.next()?.map(read_tab).transpose()
}

fn read_tab(row: &Row<'_>) -> Result<(i64, HeldTab), Fault> {
    let chain = chain(row, 1)?;
    let tab = HeldTab {
        key: HeldTabKey {
            chain,
            payer: address(row, 2)?,
            recipient: address(row, 3)?,
            tab: U256::from_be_bytes(row.get::<_, [u8; 32]>(4)?),
        },
        asset: Erc20::new(chain, address(row, 5)?),
        version: version(row, 6)?,
        certificates: row.get::<_, i64>(7)?.cast_unsigned(),
        total: sum(row, 8)?,
        promised_at: codec::time(row.get(9)?),
        first_promised_at: codec::time(row.get(10)?),
        paid: sum(row, 11)?,
        redeemed: sum(row, 12)?,
        is_over: row.get(13)?,
        changed_at: codec::time(row.get(14)?),
    };
    Ok((row.get(0)?, tab))
}

/// The columns that [`read`] reads, of a certificate `c` and its tab `t`.
const COLUMNS: &str = "c.payment, c.route, t.chain, t.tab, c.req, c.version, t.payer, t.recipient, t.asset, c.amount, c.total, \
     c.promised_at, c.claims, c.signature, c.at";

fn find(conn: &Connection, payment: PaymentId) -> Result<Option<HeldCertificate>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM held_certificate c JOIN held_tab t ON t.seq = c.tab WHERE c.payment = ?1"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([payment.as_bytes()])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<HeldCertificate, Fault> {
    let chain = chain(row, 2)?;
    let signature = BlsSignature::from_bytes(&row.get::<_, Vec<u8>>(13)?);
    Ok(HeldCertificate {
        payment: codec::id(row.get(0)?),
        route: row.get::<_, String>(1)?.into(),
        chain,
        tab: U256::from_be_bytes(row.get::<_, [u8; 32]>(3)?),
        req: sum(row, 4)?,
        version: version(row, 5)?,
        payer: address(row, 6)?,
        recipient: address(row, 7)?,
        amount: Amount::new(sum(row, 9)?, Erc20::new(chain, address(row, 8)?)),
        total: sum(row, 10)?,
        promised_at: codec::time(row.get(11)?),
        certificate: Certificate {
            claims: row.get::<_, Vec<u8>>(12)?.into(),
            signature: signature.map_err(|_| Fault::Damaged("the signature of a certificate"))?,
        },
        at: codec::time(row.get(14)?),
    })
}

fn chain(row: &Row<'_>, column: usize) -> Result<ChainId, Fault> {
    let number = row.get::<_, i64>(column)?.cast_unsigned();
    ChainId::new(number).ok_or(Fault::Damaged("a chain"))
}

fn address(row: &Row<'_>, column: usize) -> Result<Address, Fault> {
    Ok(Address::from(row.get::<_, [u8; 20]>(column)?))
}

fn version(row: &Row<'_>, column: usize) -> Result<GuaranteeVersion, Fault> {
    let number = row.get::<_, i64>(column)?.cast_unsigned();
    GuaranteeVersion::from_number(number).ok_or(Fault::Damaged("the version of a certificate"))
}

fn sum(row: &Row<'_>, column: usize) -> Result<U256, Fault> {
    codec::money(&row.get::<_, String>(column)?)
}
