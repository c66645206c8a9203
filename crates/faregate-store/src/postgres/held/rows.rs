//! Rows to held tabs and certificates.

use alloy_primitives::{Address, U256};
use faregate_core::port::{HeldCertificate, HeldTab, HeldTabKey};
use faregate_types::credit::{BlsSignature, Certificate, GuaranteeVersion};
use faregate_types::{Amount, ChainId, Erc20, Timestamp};
use tokio_postgres::Row;

use super::super::codec::{self, unescaped};
use super::super::fault::Fault;

/// What [`tab`] reads.
macro_rules! tabs {
    () => {
        "SELECT t.seq, t.chain, t.payer, t.recipient, t.tab, t.asset, t.version, t.certificates, t.total::text AS total, t.latest, \
         t.promised_at, t.first_promised_at, t.paid::text AS paid, t.redeemed::text AS redeemed, t.over, t.changed_at \
         FROM held_tab t"
    };
}
pub(super) use tabs;

/// What [`certificate`] reads.
macro_rules! certificates {
    () => {
        "SELECT c.payment, c.route, t.chain, t.tab, c.req::text AS req, c.version, t.payer, t.recipient, t.asset, \
         c.amount::text AS amount, c.total::text AS total, c.promised_at, c.claims, c.signature, c.at \
         FROM held_certificate c JOIN held_tab t ON t.seq = c.tab"
    };
}
pub(super) use certificates;

pub(super) fn tab(row: &Row) -> Result<HeldTab, Fault> {
    let key = key(row)?;
    Ok(HeldTab {
        key,
        asset: Erc20::new(key.chain, address(row, "asset")?),
        version: version(row)?,
        certificates: row.try_get::<_, i64>("certificates")?.cast_unsigned(),
        total: sum(row, "total")?,
        promised_at: time(row, "promised_at")?,
        first_promised_at: time(row, "first_promised_at")?,
        paid: sum(row, "paid")?,
        redeemed: sum(row, "redeemed")?,
        is_over: row.try_get("over")?,
        changed_at: time(row, "changed_at")?,
    })
}

pub(super) fn certificate(row: &Row) -> Result<HeldCertificate, Fault> {
    let key = key(row)?;
    let asset = Erc20::new(key.chain, address(row, "asset")?);
    let signature = BlsSignature::from_bytes(row.try_get("signature")?);
    Ok(HeldCertificate {
        payment: codec::id(row, "payment")?,
        route: unescaped(row.try_get("route")?)?,
        chain: key.chain,
        tab: key.tab,
        req: sum(row, "req")?,
        version: version(row)?,
        payer: key.payer,
        recipient: key.recipient,
        amount: Amount::new(sum(row, "amount")?, asset),
        total: sum(row, "total")?,
        promised_at: time(row, "promised_at")?,
        certificate: Certificate {
            claims: row.try_get::<_, Vec<u8>>("claims")?.into(),
            signature: signature.map_err(|_| Fault::Damaged("the signature of a certificate"))?,
        },
        at: time(row, "at")?,
    })
}

/// The key of a tab, from any row that has it.
pub(super) fn key(row: &Row) -> Result<HeldTabKey, Fault> {
    let chain = ChainId::new(row.try_get::<_, i64>("chain")?.cast_unsigned());
    Ok(HeldTabKey {
        chain: chain.ok_or(Fault::Damaged("a chain"))?,
        payer: address(row, "payer")?,
        recipient: address(row, "recipient")?,
        tab: U256::from_be_bytes(codec::bytes32(row.try_get("tab")?)?),
    })
}

fn address(row: &Row, column: &str) -> Result<Address, Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    Address::try_from(bytes).map_err(|_| Fault::Damaged("an address"))
}

fn version(row: &Row) -> Result<GuaranteeVersion, Fault> {
    let number = row.try_get::<_, i64>("version")?.cast_unsigned();
    GuaranteeVersion::from_number(number).ok_or(Fault::Damaged("the version of a certificate"))
}

fn sum(row: &Row, column: &str) -> Result<U256, Fault> {
    codec::money(row.try_get(column)?)
}

fn time(row: &Row, column: &str) -> Result<Timestamp, Fault> {
    Ok(codec::time(row.try_get(column)?))
}
