//! Repayments of a payer: what the writer and the readers do for [`RepaymentStore`].

use alloy_primitives::{Address, B256, U256};
use faregate_ledger::repayment::{REPAYMENTS_MAX, may_begin, may_send};
use faregate_ledger::{
    Repayment, RepaymentRecord, RepaymentState, RepaymentStore, Sending, StoreError, TabKey,
};
use faregate_types::ChainId;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, Params, Row, params};

use super::codec;
use super::fault::Fault;
use super::limits::PAGE_ROWS;
use super::wallet::SqliteWallet;

impl RepaymentStore for SqliteWallet {
    fn begin_repayment(&self, next: Repayment) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| begin(conn, &next)))
    }

    fn send_repayment(
        &self,
        tab: TabKey,
        number: u32,
        sending: Sending,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| send(conn, &tab, number, &sending)),
        )
    }

    fn finish_repayment(
        &self,
        tab: TabKey,
        number: u32,
        end: RepaymentState,
        transaction: Option<B256>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| finish(conn, &tab, number, end, transaction)),
        )
    }

    fn repayments(&self, tab: TabKey) -> BoxFuture<'_, Result<Vec<RepaymentRecord>, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| Ok(untold(of_tab(conn, &tab)?))),
        )
    }

    fn open_repayments(
        &self,
        chain: ChainId,
        contract: Address,
        payer: Address,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RepaymentRecord>, StoreError>> {
        Box::pin(self.engine.read(move |conn| {
            let key = params![
                payer.0.0,
                contract.0.0,
                chain.to_string(),
                limit.min(PAGE_ROWS)
            ];
            let sql = "SELECT * FROM repayment WHERE payer = ?1 AND contract = ?2 AND chain = ?3 AND state = 'open' \
                       ORDER BY seq LIMIT ?4";
            Ok(untold(records(conn, sql, key)?))
        }))
    }
}

/// A payment and its row.
type Found = (i64, RepaymentRecord);

fn untold(found: Vec<Found>) -> Vec<RepaymentRecord> {
    found.into_iter().map(|(_, record)| record).collect()
}

fn begin(conn: &Connection, next: &Repayment) -> Result<(), Fault> {
    let known = untold(of_tab(conn, &next.tab)?);
    if !may_begin(&known, next)? {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO repayment (chain, contract, payer, tab, number, recipient, asset, amount, total, begun_at, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'open')",
    )?
    .execute(params![
        next.tab.chain.to_string(),
        next.tab.contract.0.0,
        next.tab.payer.0.0,
        next.tab.tab.to_be_bytes::<32>(),
        next.number,
        next.recipient.0.0,
        next.asset.0.0,
        next.amount.to_string(),
        next.total.to_string(),
        codec::secs(next.at),
    ])?;
    Ok(())
}

fn send(conn: &Connection, tab: &TabKey, number: u32, sending: &Sending) -> Result<(), Fault> {
    let (seq, known) = one(conn, tab, number)?;
    if !may_send(&known, sending)? {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO repayment_sending (repayment, hash, nonce, raw) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        seq,
        sending.hash.0,
        sending.nonce.cast_signed(),
        sending.raw
    ])?;
    Ok(())
}

fn finish(
    conn: &Connection,
    tab: &TabKey,
    number: u32,
    end: RepaymentState,
    transaction: Option<B256>,
) -> Result<(), Fault> {
    let (seq, known) = one(conn, tab, number)?;
    if let Some(state) = known.state.after(end)? {
        conn.prepare_cached(
            "UPDATE repayment SET state = ?2, transaction_ref = coalesce(transaction_ref, ?3) WHERE seq = ?1",
        )?
        .execute(params![seq, state.as_str(), transaction.map(|hash| hash.0)])?;
    }
    Ok(())
}

fn one(conn: &Connection, tab: &TabKey, number: u32) -> Result<Found, Fault> {
    let found = of_tab(conn, tab)?.into_iter();
    let mut found = found.filter(|(_, record)| record.repayment.number == number);
    Ok(found.next().ok_or(StoreError::NotFound)?)
}

fn of_tab(conn: &Connection, tab: &TabKey) -> Result<Vec<Found>, Fault> {
    let key = params![
        tab.tab.to_be_bytes::<32>(),
        tab.payer.0.0,
        tab.contract.0.0,
        tab.chain.to_string(),
        REPAYMENTS_MAX
    ];
    let sql = "SELECT * FROM repayment WHERE tab = ?1 AND payer = ?2 AND contract = ?3 AND chain = ?4 ORDER BY number LIMIT ?5";
    records(conn, sql, key)
}

fn records(conn: &Connection, sql: &str, key: impl Params) -> Result<Vec<Found>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get("seq")?;
        found.push((seq, record(row, sendings(conn, seq)?)?));
    }
    Ok(found)
}

fn sendings(conn: &Connection, repayment: i64) -> Result<Vec<Sending>, Fault> {
    let sql = "SELECT hash, nonce, raw FROM repayment_sending WHERE repayment = ?1 ORDER BY seq";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([repayment])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Sending {
            hash: B256::from(row.get::<_, [u8; 32]>("hash")?),
            nonce: row.get::<_, i64>("nonce")?.cast_unsigned(),
            raw: row.get("raw")?,
        });
    }
    Ok(found)
}

fn record(row: &Row<'_>, sent: Vec<Sending>) -> Result<RepaymentRecord, Fault> {
    let text = |column: &str| row.get::<_, String>(column);
    let address = |column: &str| row.get::<_, [u8; 20]>(column).map(Address::from);
    let chain = text("chain")?;
    let tab = TabKey {
        chain: chain.parse().map_err(|_| Fault::Damaged("a chain"))?,
        contract: address("contract")?,
        payer: address("payer")?,
        tab: U256::from_be_bytes(row.get::<_, [u8; 32]>("tab")?),
    };
    let transaction: Option<[u8; 32]> = row.get("transaction_ref")?;
    Ok(RepaymentRecord {
        repayment: Repayment {
            tab,
            number: row.get("number")?,
            recipient: address("recipient")?,
            asset: address("asset")?,
            amount: codec::money(&text("amount")?)?,
            total: codec::money(&text("total")?)?,
            at: codec::time(row.get("begun_at")?),
        },
        state: RepaymentState::parse(&text("state")?).ok_or(Fault::Damaged("a state"))?,
        sent,
        transaction: transaction.map(B256::from),
    })
}
