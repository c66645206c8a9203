//! What goes around the lane: reads, and what is one statement. Each is a transaction of its own that may be repeated.

use alloy_primitives::U256;
use faregate_ledger::{AccountId, AccountPage, Balance, Payment, StoreError, Totals};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};

use super::codec::{self, payments};
use super::fault::Fault;
use super::limits;
use super::pool::{Params, Pool};

const ONE: &str = concat!(payments!(whole), "WHERE p.id = $1");

const NAMED: &str = concat!(
    payments!(whole),
    "WHERE p.id = (SELECT payment FROM idempotency WHERE account = $1 AND key = $2)"
);

/// Payments whose end is not known, oldest change first.
pub(super) const OPEN: &str = concat!(
    payments!(listed),
    "WHERE p.state IN ('reserved', 'broadcast') ORDER BY p.changed_at, p.transfer LIMIT $1"
);

/// Settled payments that are not final, oldest change first.
pub(super) const UNFINAL: &str = concat!(
    payments!(listed),
    "WHERE p.state = 'settled' AND p.final_at IS NULL ORDER BY p.changed_at, p.transfer LIMIT $1"
);

/// The newest payments, newest first.
pub(super) const RECENT: &str = concat!(
    payments!(listed),
    "ORDER BY p.claimed_at DESC, p.transfer DESC LIMIT $1"
);

/// The columns of a balance, as texts.
macro_rules! balances {
    ($rest:literal) => {
        concat!(
            "SELECT account, asset, debits_pending::text AS debits_pending, debits_posted::text AS debits_posted, ",
            "credits_pending::text AS credits_pending, credits_posted::text AS credits_posted FROM balance ",
            $rest
        )
    };
}

const BALANCE: &str = balances!("WHERE account = $1 AND asset = $2");

const ACCOUNTS: &str =
    balances!("WHERE account > $1 AND account < $2 AND asset = $3 ORDER BY account LIMIT $4");

const TOTALS: &str = "SELECT asset, sum(debits_pending)::text AS debits_pending, sum(debits_posted)::text AS debits_posted, \
     sum(credits_pending)::text AS credits_pending, sum(credits_posted)::text AS credits_posted FROM balance GROUP BY asset";

const EXPOSURE: &str =
    "SELECT exposed::text AS exposed FROM balance WHERE account = $1 AND asset = $2";

/// Oldest first: an answer goes when it is old enough, or when all that stays is more than is allowed without it.
const PRUNE: &str = "WITH ended AS (\
         SELECT a.payment, a.kept_at, a.bytes, a.seq FROM answer a JOIN payment p ON p.id = a.payment \
         WHERE a.kept_at IS NOT NULL AND p.state IN ('settled', 'failed') \
         ORDER BY a.kept_at, a.bytes, a.seq LIMIT $3), \
     kept AS (SELECT coalesce(sum(bytes), 0) AS bytes FROM answer WHERE kept_at IS NOT NULL), \
     old AS (\
         SELECT e.payment, e.kept_at, kept.bytes + e.bytes - sum(e.bytes) OVER (ORDER BY e.kept_at, e.bytes, e.seq) AS left_bytes \
         FROM ended e CROSS JOIN kept) \
     UPDATE answer a SET headers = ''::bytea, body = NULL, bytes = 0, kept_at = NULL FROM old o \
     WHERE a.payment = o.payment AND a.kept_at IS NOT NULL AND (o.kept_at < $1 OR o.left_bytes > $2::text::numeric) \
     RETURNING a.payment";

/// Reads what rows say; what cannot be read is damage.
pub(super) fn told<T>(result: Result<T, Fault>) -> Result<T, StoreError> {
    result.map_err(|fault| fault.told())
}

/// At most this many rows, whatever the caller says.
pub(super) fn page(limit: u32) -> i64 {
    i64::from(limit.min(limits::PAGE_ROWS))
}

async fn first(
    pool: &Pool,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Option<Payment>, StoreError> {
    let rows = pool.rows(sql, params).await?;
    let found = rows.first().map(codec::payment).transpose();
    Ok(told(found)?.map(|(payment, _)| payment))
}

/// One payment.
pub(super) async fn payment(pool: &Pool, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    first(pool, ONE, &[&id.as_bytes().as_slice()]).await
}

/// The payment that a payer's key stands for.
pub(super) async fn named(
    pool: &Pool,
    payer: AccountId,
    key: IdempotencyKey,
) -> Result<Option<Payment>, StoreError> {
    first(pool, NAMED, &[&payer.as_str(), &key.as_str()]).await
}

/// One of the lists above.
pub(super) async fn list(
    pool: &Pool,
    sql: &'static str,
    limit: u32,
) -> Result<Vec<Payment>, StoreError> {
    let rows = pool.rows(sql, &[&page(limit)]).await?;
    let payments = rows.iter().map(|row| Ok(codec::payment(row)?.0));
    told(payments.collect())
}

/// The sums of one account; zero when nothing happened to it.
pub(super) async fn balance(
    pool: &Pool,
    account: AccountId,
    asset: AssetId,
) -> Result<Balance, StoreError> {
    let params: Params<'_> = &[&account.as_str(), &asset.to_string()];
    let rows = pool.rows(BALANCE, params).await?;
    let found = rows.first().map(codec::balance);
    told(found.unwrap_or(Ok(Balance::zero(asset))))
}

/// What a payer owes or may come to owe in one asset; zero when nothing.
pub(super) async fn exposure(
    pool: &Pool,
    payer: AccountId,
    asset: AssetId,
) -> Result<U256, StoreError> {
    let params: Params<'_> = &[&payer.as_str(), &asset.to_string()];
    let rows = pool.rows(EXPOSURE, params).await?;
    let found = rows
        .first()
        .map(|row| codec::money(row.try_get("exposed")?));
    told(found.unwrap_or(Ok(U256::ZERO)))
}

/// Accounts of a role in one asset, in the order of their names.
pub(super) async fn accounts(
    pool: &Pool,
    role: Box<str>,
    asset: AssetId,
    after: Option<AccountId>,
    limit: u32,
) -> Result<AccountPage, StoreError> {
    // Names are ASCII, and "0" comes right after the slash: all names of the role are between the two.
    let (first, end) = (format!("{role}/"), format!("{role}0"));
    let after = after.as_ref().map_or(first.as_str(), AccountId::as_str);
    let params: Params<'_> = &[
        &after.max(first.as_str()),
        &end,
        &asset.to_string(),
        &page(limit),
    ];
    let rows = pool.rows(ACCOUNTS, params).await?;
    let page = rows.iter().map(|row| {
        let name = codec::account(row.try_get("account")?)?;
        Ok((name, codec::balance(row)?))
    });
    told(page.collect())
}

/// The sums over all accounts, one per asset, in the order of the assets.
pub(super) async fn totals(pool: &Pool) -> Result<Totals, StoreError> {
    let rows = pool.rows(TOTALS, &[]).await?;
    // A sum beyond 256 bits is none that can be read.
    let mut totals = told(
        rows.iter()
            .map(codec::balance)
            .collect::<Result<Totals, _>>(),
    )?;
    totals.sort_by_key(|total| total.asset);
    Ok(totals)
}

/// Drops headers and bodies, oldest first.
pub(super) async fn prune(
    pool: &Pool,
    before: Timestamp,
    bytes_max: u64,
    limit: u32,
) -> Result<u32, StoreError> {
    let params: Params<'_> = &[&codec::secs(before), &bytes_max.to_string(), &page(limit)];
    let dropped = pool.rows(PRUNE, params).await?;
    Ok(u32::try_from(dropped.len()).unwrap_or(u32::MAX))
}
