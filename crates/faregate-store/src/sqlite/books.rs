//! Transfers and the balances that are their sum. Both are written here and nowhere else.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, AccountPage, Balance, Movement, Side, StoreError, Totals, Transfer,
};
use faregate_types::{AssetId, PaymentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::codec::{self, BALANCE_COLUMNS};
use super::fault::Fault;

/// How a transfer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The money moved.
    Posted,
    /// It did not and will not.
    Voided,
}

impl End {
    /// The stored text.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Voided => "voided",
        }
    }
}

/// Reserves a transfer; returns its number.
pub(super) fn reserve(
    conn: &Connection,
    payment: &PaymentId,
    transfer: &Transfer,
    at: Timestamp,
) -> Result<i64, Fault> {
    conn.prepare_cached(
        "INSERT INTO transfer (payment, debit, credit, asset, amount, reserved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        payment.as_bytes(),
        transfer.debit.as_str(),
        transfer.credit.as_str(),
        transfer.amount.asset().to_string(),
        transfer.amount.value().to_string(),
        codec::secs(at),
    ])?;
    let seq = conn.last_insert_rowid();
    move_money(conn, transfer, Movement::Reserve)?;
    Ok(seq)
}

/// Ends a pending transfer. A second end of the same transfer is refused by the table's key.
pub(super) fn finish(
    conn: &Connection,
    seq: i64,
    transfer: &Transfer,
    end: End,
    at: Timestamp,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO transfer_end (transfer, phase, ended_at) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![seq, end.as_str(), codec::secs(at)])?;
    let movement = match end {
        End::Posted => Movement::Post,
        End::Voided => Movement::Void,
    };
    move_money(conn, transfer, movement)
}

/// Takes a posting back; the transfer itself and its end stay as they are.
pub(super) fn reverse(
    conn: &Connection,
    seq: i64,
    transfer: &Transfer,
    transaction: Option<&str>,
    at: Timestamp,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO transfer_reversal (transfer, transaction_ref, reversed_at) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![seq, transaction, codec::secs(at)])?;
    move_money(conn, transfer, Movement::Reverse)
}

/// What a payer owes or may come to owe in one asset; zero when nothing.
pub(super) fn exposure(
    conn: &Connection,
    payer: &AccountId,
    asset: AssetId,
) -> Result<U256, Fault> {
    conn.prepare_cached("SELECT amount FROM exposure WHERE account = ?1 AND asset = ?2")?
        .query_row(params![payer.as_str(), asset.to_string()], |row| {
            row.get::<_, String>(0)
        })
        .optional()?
        .map_or(Ok(U256::ZERO), |text| codec::money(&text))
}

/// Counts a transfer to its payer's exposure, or no longer.
pub(super) fn expose(conn: &Connection, transfer: &Transfer, exposed: bool) -> Result<(), Fault> {
    let (payer, asset) = (&transfer.debit, transfer.amount.asset());
    let (sum, amount) = (exposure(conn, payer, asset)?, transfer.amount.value());
    let sum = if exposed {
        sum.checked_add(amount)
    } else {
        sum.checked_sub(amount)
    };
    let sum = sum.ok_or(Fault::Damaged(
        "an exposure that a transfer does not fit into",
    ))?;
    conn.prepare_cached(
        "INSERT INTO exposure (account, asset, amount) VALUES (?1, ?2, ?3) \
         ON CONFLICT (account, asset) DO UPDATE SET amount = excluded.amount",
    )?
    .execute(params![payer.as_str(), asset.to_string(), sum.to_string()])?;
    Ok(())
}

/// Applies the same movement to the giving side of one account and the receiving side of the other, so that the sum over
/// all accounts cannot leave zero.
pub(super) fn move_money(
    conn: &Connection,
    transfer: &Transfer,
    movement: Movement,
) -> Result<(), Fault> {
    let amount = transfer.amount;
    for (side, account) in [
        (Side::Debit, &transfer.debit),
        (Side::Credit, &transfer.credit),
    ] {
        let balance = balance(conn, account, amount.asset())?
            .after(side, movement, amount.value())
            .map_err(|_| Fault::Damaged("a balance that a transfer does not fit into"))?;
        store_balance(conn, account, &balance)?;
    }
    Ok(())
}

fn store_balance(conn: &Connection, account: &AccountId, balance: &Balance) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO balance (account, asset, debits_pending, debits_posted, credits_pending, credits_posted) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (account, asset) DO UPDATE SET \
         debits_pending = excluded.debits_pending, debits_posted = excluded.debits_posted, \
         credits_pending = excluded.credits_pending, credits_posted = excluded.credits_posted",
    )?
    .execute(params![
        account.as_str(),
        balance.asset.to_string(),
        balance.debits_pending.to_string(),
        balance.debits_posted.to_string(),
        balance.credits_pending.to_string(),
        balance.credits_posted.to_string(),
    ])?;
    Ok(())
}

/// The sums of one account; zero when nothing happened to it.
pub(super) fn balance(
    conn: &Connection,
    account: &AccountId,
    asset: AssetId,
) -> Result<Balance, Fault> {
    conn.prepare_cached(&format!(
        "SELECT {BALANCE_COLUMNS} FROM balance WHERE account = ?1 AND asset = ?2"
    ))?
    .query_row(params![account.as_str(), asset.to_string()], |row| {
        Ok(codec::balance(row))
    })
    .optional()?
    .unwrap_or_else(|| Ok(Balance::zero(asset)))
}

/// Accounts of a role in one asset, in the order of their names.
pub(super) fn accounts(
    conn: &Connection,
    role: &str,
    asset: AssetId,
    after: Option<&AccountId>,
    limit: u32,
) -> Result<AccountPage, Fault> {
    // Names are ASCII, and "0" comes right after the slash: all names of the role are between the two.
    let (first, end) = (format!("{role}/"), format!("{role}0"));
    let after = after.map_or(first.as_str(), AccountId::as_str);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {BALANCE_COLUMNS}, account FROM balance \
         WHERE account > ?1 AND account < ?2 AND asset = ?3 ORDER BY account LIMIT ?4"
    ))?;
    let mut rows = statement.query(params![
        after.max(first.as_str()),
        end,
        asset.to_string(),
        limit
    ])?;
    let mut page = AccountPage::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get("account")?;
        let name = AccountId::parse(&name).map_err(|_| Fault::Damaged("a name of an account"))?;
        page.push((name, codec::balance(row)?));
    }
    Ok(page)
}

/// The sums over all accounts, one per asset, in the order of the assets.
pub(super) fn totals(conn: &Connection) -> Result<Totals, Fault> {
    let mut totals = BTreeMap::<AssetId, Balance>::new();
    let mut statement = conn.prepare_cached(&format!("SELECT {BALANCE_COLUMNS} FROM balance"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let balance = codec::balance(row)?;
        let total = totals
            .entry(balance.asset)
            .or_insert_with(|| Balance::zero(balance.asset));
        *total = total.plus(&balance).map_err(|_| StoreError::Damaged)?;
    }
    Ok(totals.into_values().collect())
}
