//! What becomes of held certificates: lists, transactions that redeem, what the contract says.

use alloy_primitives::B256;
use faregate_core::port::{
    HeldCertificate, HeldPage, HeldSums, HeldTab, HeldTabKey, HeldTabStore, Redemption,
    RedemptionEnd, Standing,
};
use faregate_ledger::StoreError;
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::super::codec::{self, secs};
use super::super::fault::Fault;
use super::super::ledger::{PostgresLedger, other};
use super::super::pool::{Link, Params};
use super::super::reads::{page as rows_of, told};
use super::rows::{self, certificates, tabs};
use super::{Done, Job, Sheet};
use crate::words::credit::{integer, redemption_end};

const OPEN: &str = concat!(
    tabs!(),
    " WHERE t.chain = $1 AND NOT t.ended ORDER BY t.promised_at, t.payer, t.recipient, t.tab LIMIT $2"
);

const OPEN_AFTER: &str = concat!(
    tabs!(),
    " WHERE t.chain = $1 AND NOT t.ended AND (t.promised_at, t.payer, t.recipient, t.tab) > ($3, $4, $5, $6) \
     ORDER BY t.promised_at, t.payer, t.recipient, t.tab LIMIT $2"
);

const ONE: &str = concat!(
    tabs!(),
    " WHERE t.payer = $1 AND t.tab = $2 AND t.recipient = $3 AND t.chain = $4"
);

const ALL: &str = tabs!();

const CERTIFICATES: &str = concat!(
    certificates!(),
    " WHERE t.payer = $1 AND t.tab = $2 AND t.recipient = $3 AND t.chain = $4 \
     ORDER BY c.total DESC, c.at DESC LIMIT $5"
);

const REDEEMING: &str = "INSERT INTO held_redemption (tab, seq, transaction_hash, at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tab, transaction_hash) DO UPDATE SET outcome = NULL, at = excluded.at WHERE held_redemption.outcome = 3";

const REDEEMED: &str = "UPDATE held_redemption SET outcome = CASE WHEN coalesce(outcome, 3) = 3 THEN $3 ELSE outcome END \
     WHERE tab = $1 AND transaction_hash = $2";

const UNKNOWN: &str = "SELECT t.chain, t.payer, t.recipient, t.tab, r.transaction_hash, r.at AS noted_at \
     FROM held_redemption r JOIN held_tab t ON t.seq = r.tab \
     WHERE r.outcome IS NULL AND t.chain = $1 ORDER BY r.seq LIMIT $2";

const PAID_BY: &str = "SELECT r.transaction_hash FROM held_redemption r JOIN held_tab t ON t.seq = r.tab \
     WHERE t.payer = $1 AND t.tab = $2 AND t.recipient = $3 AND t.chain = $4 AND r.outcome = $5 ORDER BY r.seq DESC LIMIT 1";

/// Notes a transaction, for a tab that is locked.
pub(super) async fn redeeming(
    link: &Link,
    sheet: &Sheet,
    redemption: &Redemption,
    seq: i64,
) -> Result<Result<Done, StoreError>, Fault> {
    let Some(tab) = sheet.seq(&redemption.key) else {
        return Ok(Err(StoreError::NotFound));
    };
    let hash = redemption.transaction.as_slice();
    let params: Params<'_> = &[&tab, &seq, &hash, &secs(redemption.at)];
    link.execute(REDEEMING, params).await?;
    Ok(Ok(Done::Nothing))
}

/// Notes how one ended, for a tab that is locked.
pub(super) async fn redeemed(
    link: &Link,
    sheet: &Sheet,
    key: &HeldTabKey,
    transaction: B256,
    end: RedemptionEnd,
) -> Result<Result<Done, StoreError>, Fault> {
    let Some(tab) = sheet.seq(key) else {
        return Ok(Err(StoreError::NotFound));
    };
    let params: Params<'_> = &[
        &tab,
        &transaction.as_slice(),
        &i16::from(redemption_end(end)),
    ];
    Ok(match link.execute(REDEEMED, params).await? {
        0 => Err(StoreError::NotFound),
        _ => Ok(Done::Nothing),
    })
}

impl HeldTabStore for PostgresLedger {
    fn open_tabs(
        &self,
        chain: ChainId,
        page: HeldPage,
    ) -> BoxFuture<'_, Result<Vec<HeldTab>, StoreError>> {
        Box::pin(async move {
            let (chain, limit) = (integer(chain.get()), rows_of(page.limit));
            let found = match page.after {
                None => self.reads.rows(OPEN, &[&chain, &limit]).await?,
                Some((promised_at, key)) => {
                    let tab = key.tab.to_be_bytes::<32>();
                    let params: Params<'_> = &[
                        &chain,
                        &limit,
                        &secs(promised_at),
                        &key.payer.as_slice(),
                        &key.recipient.as_slice(),
                        &tab.as_slice(),
                    ];
                    self.reads.rows(OPEN_AFTER, params).await?
                }
            };
            told(found.iter().map(rows::tab).collect())
        })
    }

    fn held_tab(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<HeldTab>, StoreError>> {
        Box::pin(async move {
            let found = self.of_key(ONE, &key, &[]).await?;
            told(found.first().map(rows::tab).transpose())
        })
    }

    fn certificates_of(
        &self,
        key: HeldTabKey,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<HeldCertificate>, StoreError>> {
        Box::pin(async move {
            let found = self.of_key(CERTIFICATES, &key, &[&rows_of(limit)]).await?;
            told(found.iter().map(rows::certificate).collect())
        })
    }

    fn redeeming(&self, redemption: Redemption) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.held.ask(Job::Redeeming(redemption)).await?;
            Ok(())
        })
    }

    fn redemptions(
        &self,
        chain: ChainId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Redemption>, StoreError>> {
        Box::pin(async move {
            let params: Params<'_> = &[&integer(chain.get()), &rows_of(limit)];
            let found = self.reads.rows(UNKNOWN, params).await?;
            told(found.iter().map(redemption).collect())
        })
    }

    fn redeemed(
        &self,
        key: HeldTabKey,
        transaction: B256,
        end: RedemptionEnd,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.held.ask(Job::Redeemed(key, transaction, end)).await?;
            Ok(())
        })
    }

    fn paid_by(&self, key: HeldTabKey) -> BoxFuture<'_, Result<Option<B256>, StoreError>> {
        Box::pin(async move {
            let mined = i16::from(redemption_end(RedemptionEnd::Mined));
            let found = self.of_key(PAID_BY, &key, &[&mined]).await?;
            told(found.first().map(hash).transpose())
        })
    }

    fn stand(
        &self,
        key: HeldTabKey,
        standing: Standing,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<HeldTab, StoreError>> {
        Box::pin(async move {
            match self.held.ask(Job::Stand(key, standing, at)).await? {
                Done::Stands(tab) => Ok(*tab),
                Done::Nothing => other(),
            }
        })
    }

    fn held_sums(&self) -> BoxFuture<'_, Result<Vec<HeldSums>, StoreError>> {
        Box::pin(async move {
            let found = self.reads.rows(ALL, &[]).await?;
            let tabs: Vec<HeldTab> = told(found.iter().map(rows::tab).collect())?;
            HeldSums::of(tabs)
        })
    }
}

impl PostgresLedger {
    /// What a statement finds for a tab, whose key is its first four parameters.
    async fn of_key(
        &self,
        sql: &'static str,
        key: &HeldTabKey,
        others: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let tab = key.tab.to_be_bytes::<32>();
        let (payer, tab, recipient, chain) = (
            key.payer.as_slice(),
            tab.as_slice(),
            key.recipient.as_slice(),
            integer(key.chain.get()),
        );
        let first: Params<'_> = &[&payer, &tab, &recipient, &chain];
        let params = [first, others].concat();
        self.reads.rows(sql, &params).await
    }
}

fn hash(row: &Row) -> Result<B256, Fault> {
    Ok(codec::bytes32(row.try_get("transaction_hash")?)?.into())
}

fn redemption(row: &Row) -> Result<Redemption, Fault> {
    Ok(Redemption {
        key: rows::key(row)?,
        transaction: hash(row)?,
        at: codec::time(row.try_get("noted_at")?),
    })
}
