//! Rows to the words of the credit core and back. What cannot be read is [`Fault::Damaged`], never a default.

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Collateral, Cursor, Entry, EntryKind, Guarantee, Identity, Place, Tab,
    TabId, TabPayment,
};
use faregate_core::port::credit::PutAside;
use faregate_types::Timestamp;
use faregate_types::credit::BlsSignature;
use tokio_postgres::Row;

use super::super::codec::{self, unescaped};
use super::super::fault::Fault;
use crate::words::credit::{kind_of, stage_of};

/// What [`tab`] reads, from `credit_tab t`, and what [`guarantee`] reads beside it, from `credit_guarantee g` and
/// `credit_certificate c`.
macro_rules! columns {
    (tab) => {
        "t.id, t.payer, t.recipient, t.asset, t.version, t.start, t.ttl, t.guarantees, t.next_req::text AS next_req, \
         t.total::text AS total, t.paid::text AS paid, t.remunerated::text AS remunerated, t.latest, t.closed, t.expired, \
         t.created_at, t.updated_at, t.seq"
    };
    (guarantee) => {
        "g.req::text AS g_req, g.amount::text AS g_amount, g.total::text AS g_total, g.timestamp AS g_timestamp, \
         g.request AS g_request, g.number AS g_number, g.created_at AS g_created_at, c.claims, c.signature"
    };
    (payment) => {
        "p.record, p.block, p.transaction_hash, p.log, p.tab, p.req::text AS req, p.payer, p.recipient, p.asset, \
         p.amount::text AS amount, p.at, p.stage, p.teller"
    };
}
pub(super) use columns;

fn number(row: &Row, column: &str) -> Result<u64, Fault> {
    Ok(row.try_get::<_, i64>(column)?.cast_unsigned())
}

fn time(row: &Row, column: &str) -> Result<Timestamp, Fault> {
    Ok(codec::time(row.try_get(column)?))
}

/// A stored address.
pub(super) fn address(row: &Row, column: &str) -> Result<Address, Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    Address::try_from(bytes).map_err(|_| Fault::Damaged("an address"))
}

/// Stored 32 bytes.
pub(super) fn hash(row: &Row, column: &str) -> Result<B256, Fault> {
    Ok(codec::bytes32(row.try_get(column)?)?.into())
}

/// A stored id of a tab.
pub(super) fn tab_id(row: &Row, column: &str) -> Result<TabId, Fault> {
    Ok(TabId(U256::from_be_bytes(hash(row, column)?.0)))
}

/// An amount, or a request's number.
pub(super) fn sum(row: &Row, column: &str) -> Result<U256, Fault> {
    codec::money(row.try_get(column)?)
}

fn sum_or_none(row: &Row, column: &str) -> Result<Option<U256>, Fault> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(codec::money).transpose()
}

/// A small number that stands for a word.
pub(super) fn word(row: &Row, column: &str) -> Result<u8, Fault> {
    let word: i16 = row.try_get(column)?;
    u8::try_from(word).map_err(|_| Fault::Damaged("a word"))
}

/// A tab and the number of its last line.
pub(super) fn tab(row: &Row) -> Result<(Tab, i64), Fault> {
    let tab = Tab {
        id: tab_id(row, "id")?,
        identity: identity(row)?,
        start: time(row, "start")?,
        ttl_secs: number(row, "ttl")?,
        guarantees: number(row, "guarantees")?,
        next_req: sum(row, "next_req")?,
        total: sum(row, "total")?,
        paid: sum(row, "paid")?,
        remunerated: sum(row, "remunerated")?,
        latest: time(row, "latest")?,
        closed: row.try_get("closed")?,
        expired: row.try_get("expired")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    };
    Ok((tab, row.try_get("seq")?))
}

fn identity(row: &Row) -> Result<Identity, Fault> {
    Ok(Identity {
        payer: address(row, "payer")?,
        recipient: address(row, "recipient")?,
        asset: address(row, "asset")?,
        version: number(row, "version")?,
    })
}

/// A guarantee, with the identity of its tab.
pub(super) fn guarantee(row: &Row) -> Result<Guarantee, Fault> {
    Ok(Guarantee {
        tab: tab_id(row, "id")?,
        req: sum(row, "g_req")?,
        identity: identity(row)?,
        amount: sum(row, "g_amount")?,
        total: sum(row, "g_total")?,
        timestamp: time(row, "g_timestamp")?,
        request: row.try_get::<_, Vec<u8>>("g_request")?.into(),
        order: number(row, "g_number")?,
        created_at: time(row, "g_created_at")?,
        certificate: certificate(row)?,
    })
}

/// The guarantee beside a tab, if there is one.
pub(super) fn guarantee_or_none(row: &Row) -> Result<Option<Guarantee>, Fault> {
    let req: Option<&str> = row.try_get("g_req")?;
    req.map(|_| guarantee(row)).transpose()
}

fn certificate(row: &Row) -> Result<Option<Certificate>, Fault> {
    let claims: Option<Vec<u8>> = row.try_get("claims")?;
    let signature: Option<&[u8]> = row.try_get("signature")?;
    let Some((claims, signature)) = claims.zip(signature) else {
        return Ok(None);
    };
    let signature = BlsSignature::from_bytes(signature);
    Ok(Some(Certificate {
        claims: claims.into(),
        signature: signature.map_err(|_| Fault::Damaged("the signature of a certificate"))?,
    }))
}

/// A line of a tab's journal, beside the tab and what happened (`block`, `transaction_hash`, `log`).
pub(super) fn entry(row: &Row) -> Result<Entry, Fault> {
    let identity = identity(row)?;
    let has_place = row.try_get::<_, Option<i64>>("block")?.is_some();
    Ok(Entry {
        kind: kind_of(word(row, "kind")?).ok_or(Fault::Damaged("the kind of an entry"))?,
        payer: identity.payer,
        asset: identity.asset,
        amount: sum(row, "amount")?,
        lock: sum(row, "lock")?,
        tab: Some((tab_id(row, "id")?, identity.recipient)),
        req: sum_or_none(row, "req")?,
        place: has_place.then(|| place(row)).transpose()?,
        at: time(row, "at")?,
    })
}

fn place(row: &Row) -> Result<Place, Fault> {
    let log: Option<i64> = row.try_get("log")?;
    Ok(Place {
        block: number(row, "block")?,
        transaction: hash(row, "transaction_hash")?,
        log: log.map(i64::cast_unsigned),
    })
}

/// A payment for a tab.
pub(super) fn payment(row: &Row) -> Result<TabPayment, Fault> {
    let teller: Option<&[u8]> = row.try_get("teller")?;
    let teller = teller.map(codec::bytes32).transpose()?;
    let stage = stage_of(word(row, "stage")?, teller);
    Ok(TabPayment {
        place: place(row)?,
        tab: tab_id(row, "tab")?,
        req: sum_or_none(row, "req")?,
        payer: address(row, "payer")?,
        recipient: address(row, "recipient")?,
        asset: address(row, "asset")?,
        amount: sum(row, "amount")?,
        stage: stage.ok_or(Fault::Damaged("the stage of a payment"))?,
        at: time(row, "at")?,
    })
}

/// Something that was put aside.
pub(super) fn put_aside(row: &Row) -> Result<PutAside, Fault> {
    Ok(PutAside {
        place: place(row)?,
        what: unescaped(row.try_get("what")?)?,
        why: unescaped(row.try_get("why")?)?,
        at: time(row, "at")?,
    })
}

/// Somebody.
pub(super) fn account(row: &Row) -> Result<Account, Fault> {
    Ok(Account {
        address: address(row, "address")?,
        suspended: row.try_get("suspended")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// What is known of a payer's collateral beside the ledger, with nothing in the ledger.
pub(super) fn beside(row: &Row) -> Result<Collateral, Fault> {
    Ok(Collateral {
        total: U256::ZERO,
        locked: U256::ZERO,
        withdrawing: sum(row, "withdrawing")?,
        version: number(row, "version")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// A payer's collateral, beside the sums of its account, if it has any.
pub(super) fn collateral(row: &Row) -> Result<Collateral, Fault> {
    let mut collateral = beside(row)?;
    if row.try_get::<_, Option<&str>>("debits_posted")?.is_some() {
        let balance = codec::balance(row)?;
        (collateral.total, collateral.locked) = Collateral::of(&balance);
    }
    Ok(collateral)
}

/// Where the books stand.
pub(super) fn cursor(row: &Row) -> Result<Option<Cursor>, Fault> {
    let block: Option<i64> = row.try_get("block")?;
    let Some(block) = block else {
        return Ok(None);
    };
    Ok(Some(Cursor {
        number: block.cast_unsigned(),
        hash: hash(row, "block_hash")?,
        time: time(row, "block_time")?,
    }))
}

/// Whether a line has no tab.
pub(super) const fn is_funding(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Deposit | EntryKind::Withdraw)
}
