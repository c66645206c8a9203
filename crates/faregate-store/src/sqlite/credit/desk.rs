//! What one decision reads and writes, inside the writer's transaction.

use std::cell::RefCell;

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Changes, Collateral, Entry, EntryKind, Guarantee, Identity, Place, State, Tab, TabId,
    TabPayment, Withdrawal,
};
use faregate_ledger::AccountId;
use faregate_types::{AssetId, ChainId};
use rusqlite::{Connection, params};

use super::super::fault::Fault;
use super::super::{books, codec};
use super::rows::{self, PAYMENT_COLUMNS, TAB_COLUMNS, integer, one};

/// For one decision, from what it reads until what it says is written.
pub(super) struct Desk<'c> {
    conn: &'c Connection,
    chain: ChainId,
    /// Tabs that were read, with their numbers, so that writing needs not look for them.
    read: RefCell<Vec<(i64, Tab)>>,
}

impl State for Desk<'_> {
    type Fault = Fault;

    fn account(&self, address: Address) -> Result<Option<Account>, Fault> {
        account(self.conn, address)
    }

    fn collateral(&self, payer: Address, asset: Address) -> Result<Option<Collateral>, Fault> {
        collateral(self.conn, self.chain, payer, asset)
    }

    fn tab(&self, id: TabId) -> Result<Option<Tab>, Fault> {
        let sql = format!("SELECT {TAB_COLUMNS} FROM credit_tab t WHERE t.id = ?1");
        Ok(self.remember(one(self.conn, &sql, [rows::id_bytes(id)], rows::tab)?))
    }

    fn active_tab(&self, identity: &Identity) -> Result<Option<Tab>, Fault> {
        let sql = format!(
            "SELECT {TAB_COLUMNS} FROM credit_tab t \
             WHERE t.payer = ?1 AND t.recipient = ?2 AND t.asset = ?3 AND t.version = ?4 AND t.active = 1"
        );
        let key = params![
            identity.payer.0.0,
            identity.recipient.0.0,
            identity.asset.0.0,
            integer(identity.version)
        ];
        Ok(self.remember(one(self.conn, &sql, key, rows::tab)?))
    }

    fn has_guarantee(&self, tab: TabId, req: U256) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM credit_guarantee WHERE tab = (SELECT seq FROM credit_tab WHERE id = ?1) AND req = ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.exists(params![rows::id_bytes(tab), req.to_string()])?)
    }

    fn payment(&self, record: B256) -> Result<Option<TabPayment>, Fault> {
        let sql = format!("SELECT {PAYMENT_COLUMNS} FROM credit_payment WHERE record = ?1");
        one(self.conn, &sql, [record.0], rows::payment)
    }
}

impl<'c> Desk<'c> {
    pub(super) const fn new(conn: &'c Connection, chain: ChainId) -> Self {
        Self {
            conn,
            chain,
            read: RefCell::new(Vec::new()),
        }
    }

    /// Knows a tab that was read before.
    pub(super) fn remember(&self, found: Option<(i64, Tab)>) -> Option<Tab> {
        let (seq, tab) = found?;
        self.read.borrow_mut().push((seq, tab.clone()));
        Some(tab)
    }

    /// Writes what a decision said.
    pub(super) fn write(&self, changes: &Changes) -> Result<(), Fault> {
        if let Some(account) = &changes.account {
            keep_account(self.conn, account)?;
        }
        for tab in &changes.tabs {
            self.keep_tab(tab)?;
        }
        let mut last = None;
        for entry in &changes.entries {
            last = Some((self.keep_entry(entry)?, entry));
        }
        if let Some(guarantee) = &changes.guarantee {
            self.keep_guarantee(guarantee, last)?;
        }
        if let Some(withdrawal) = &changes.withdrawal {
            self.keep_withdrawal(withdrawal)?;
        }
        if let Some(payment) = &changes.payment {
            self.keep_payment(payment)?;
        }
        Ok(())
    }

    fn keep_tab(&self, tab: &Tab) -> Result<(), Fault> {
        let read = self.read.borrow();
        let known = read.iter().rev().find(|(_, known)| known.id == tab.id);
        match known {
            None => self.insert_tab(tab),
            Some((seq, before)) if is_found_the_same(before, tab) => self.move_on(*seq, tab),
            Some((seq, _)) => self.update_tab(*seq, tab),
        }
    }

    fn insert_tab(&self, tab: &Tab) -> Result<(), Fault> {
        let sql = "INSERT INTO credit_tab (id, payer, recipient, asset, version, start, ttl, guarantees, next_req, total, paid, \
             remunerated, latest, closed, expired, created_at, updated_at, settlement, active, ages_from) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
        let identity = &tab.identity;
        self.conn.prepare_cached(sql)?.execute(params![
            rows::id_bytes(tab.id),
            identity.payer.0.0,
            identity.recipient.0.0,
            identity.asset.0.0,
            integer(identity.version),
            codec::secs(tab.start),
            integer(tab.ttl_secs),
            integer(tab.guarantees),
            tab.next_req.to_string(),
            tab.total.to_string(),
            tab.paid.to_string(),
            tab.remunerated.to_string(),
            codec::secs(tab.latest),
            tab.closed,
            tab.expired,
            codec::secs(tab.created_at),
            codec::secs(tab.updated_at),
            rows::settlement(tab.settlement()),
            tab.is_active(),
            rows::ages_from(tab),
        ])?;
        Ok(())
    }

    fn update_tab(&self, seq: i64, tab: &Tab) -> Result<(), Fault> {
        let sql = "UPDATE credit_tab SET start = ?2, guarantees = ?3, next_req = ?4, total = ?5, paid = ?6, remunerated = ?7, \
             version = ?8, latest = ?9, closed = ?10, expired = ?11, updated_at = ?12, settlement = ?13, active = ?14, \
             ages_from = ?15 WHERE seq = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            seq,
            codec::secs(tab.start),
            integer(tab.guarantees),
            tab.next_req.to_string(),
            tab.total.to_string(),
            tab.paid.to_string(),
            tab.remunerated.to_string(),
            integer(tab.identity.version),
            codec::secs(tab.latest),
            tab.closed,
            tab.expired,
            codec::secs(tab.updated_at),
            rows::settlement(tab.settlement()),
            tab.is_active(),
            rows::ages_from(tab),
        ])?;
        Ok(())
    }

    /// Writes a tab that no index sees change, as most guarantees leave it that share a second: SQLite writes an index anew
    /// whenever one of its columns is named.
    fn move_on(&self, seq: i64, tab: &Tab) -> Result<(), Fault> {
        let sql = "UPDATE credit_tab SET start = ?2, guarantees = ?3, next_req = ?4, total = ?5, paid = ?6, remunerated = ?7 \
             WHERE seq = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            seq,
            codec::secs(tab.start),
            integer(tab.guarantees),
            tab.next_req.to_string(),
            tab.total.to_string(),
            tab.paid.to_string(),
            tab.remunerated.to_string(),
        ])?;
        Ok(())
    }

    /// Writes an entry and moves its money; returns its number.
    fn keep_entry(&self, entry: &Entry) -> Result<i64, Fault> {
        let happening = entry.place.map(|place| self.happening(place)).transpose()?;
        let tab = match entry.tab {
            Some((id, _)) => Some(self.seq(id)?),
            None => None,
        };
        let own = tab.is_none();
        // A guarantee knows its number itself.
        let req = entry.req.filter(|_| entry.kind != EntryKind::Reserve);
        let sql = "INSERT INTO credit_entry (kind, tab, payer, asset, req, amount, lock, happening, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.conn.prepare_cached(sql)?.execute(params![
            rows::kind(entry.kind),
            tab,
            own.then_some(entry.payer.0.0),
            own.then_some(entry.asset.0.0),
            req.map(|req| req.to_string()),
            entry.amount.to_string(),
            entry.lock.to_string(),
            happening,
            codec::secs(entry.at),
        ])?;
        let seq = self.conn.last_insert_rowid();
        for (transfer, movement) in entry.postings(self.chain) {
            books::move_money(self.conn, &transfer, movement)?;
        }
        let sql = "INSERT INTO credit_collateral (payer, asset, withdrawing, version, updated_at) VALUES (?1, ?2, '0', 1, ?3) \
             ON CONFLICT (payer, asset) DO UPDATE SET version = version + 1, updated_at = excluded.updated_at";
        let touched = params![entry.payer.0.0, entry.asset.0.0, codec::secs(entry.at)];
        self.conn.prepare_cached(sql)?.execute(touched)?;
        Ok(seq)
    }

    /// The number of what happened there.
    fn happening(&self, place: Place) -> Result<i64, Fault> {
        let sql = "SELECT seq FROM credit_happening WHERE transaction_hash = ?1 AND log";
        let read = |row: &rusqlite::Row<'_>| Ok(row.get(0)?);
        let found = match place.log {
            Some(log) => {
                let key = params![place.transaction.0, integer(log)];
                one(self.conn, &format!("{sql} = ?2"), key, read)?
            }
            None => one(
                self.conn,
                &format!("{sql} IS NULL"),
                [place.transaction.0],
                read,
            )?,
        };
        found.ok_or(Fault::Damaged("an entry that happened nowhere"))
    }

    /// The number of a tab.
    fn seq(&self, id: TabId) -> Result<i64, Fault> {
        let read = self.read.borrow();
        if let Some((seq, _)) = read.iter().rev().find(|(_, known)| known.id == id) {
            return Ok(*seq);
        }
        let sql = "SELECT seq FROM credit_tab WHERE id = ?1";
        let found = one(self.conn, sql, [rows::id_bytes(id)], |row| Ok(row.get(0)?))?;
        found.ok_or(Fault::Damaged("an entry of no tab"))
    }

    /// Writes a guarantee under the number of the entry that reserves it.
    fn keep_guarantee(
        &self,
        guarantee: &Guarantee,
        entry: Option<(i64, &Entry)>,
    ) -> Result<(), Fault> {
        let of_it = entry.filter(|(_, entry)| {
            entry.kind == EntryKind::Reserve
                && entry.tab.is_some_and(|(tab, _)| tab == guarantee.tab)
                && entry.req == Some(guarantee.req)
                && entry.amount == guarantee.amount
                && entry.at == guarantee.created_at
        });
        let (seq, _) = of_it.ok_or(Fault::Damaged("a guarantee that reserves nothing"))?;
        let sql = "INSERT INTO credit_guarantee (seq, tab, req, number, total, timestamp, request) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.conn.prepare_cached(sql)?.execute(params![
            seq,
            self.seq(guarantee.tab)?,
            guarantee.req.to_string(),
            integer(guarantee.order),
            guarantee.total.to_string(),
            codec::secs(guarantee.timestamp),
            &*guarantee.request,
        ])?;
        self.conn
            .prepare_cached("INSERT INTO credit_unsigned (guarantee) VALUES (?1)")?
            .execute([seq])?;
        Ok(())
    }

    fn keep_withdrawal(&self, withdrawal: &Withdrawal) -> Result<(), Fault> {
        let sql = "INSERT INTO credit_collateral (payer, asset, withdrawing, version, updated_at) VALUES (?1, ?2, ?3, 1, ?4) \
             ON CONFLICT (payer, asset) DO UPDATE SET withdrawing = excluded.withdrawing, version = version + 1, \
             updated_at = excluded.updated_at";
        self.conn.prepare_cached(sql)?.execute(params![
            withdrawal.payer.0.0,
            withdrawal.asset.0.0,
            withdrawal.amount.to_string(),
            codec::secs(withdrawal.at),
        ])?;
        Ok(())
    }

    fn keep_payment(&self, payment: &TabPayment) -> Result<(), Fault> {
        let (stage, teller) = rows::stage(payment.stage);
        let sql = "INSERT INTO credit_payment (record, block, transaction_hash, log, tab, req, payer, recipient, asset, amount, at, \
             stage, teller) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
             ON CONFLICT (record) DO UPDATE SET stage = excluded.stage, teller = excluded.teller";
        self.conn.prepare_cached(sql)?.execute(params![
            payment.record().0,
            integer(payment.place.block),
            payment.place.transaction.0,
            payment.place.log.map(integer),
            rows::id_bytes(payment.tab),
            payment.req.map(|req| req.to_string()),
            payment.payer.0.0,
            payment.recipient.0.0,
            payment.asset.0.0,
            payment.amount.to_string(),
            codec::secs(payment.at),
            stage,
            teller,
        ])?;
        Ok(())
    }
}

/// Whether whoever looks for the tab finds it the same way as before.
fn is_found_the_same(before: &Tab, after: &Tab) -> bool {
    before.identity == after.identity
        && (before.closed, before.expired) == (after.closed, after.expired)
        && (before.latest, before.updated_at) == (after.latest, after.updated_at)
        && before.settlement() == after.settlement()
        && before.is_active() == after.is_active()
        && rows::ages_from(before) == rows::ages_from(after)
}

/// Somebody, if known.
pub(super) fn account(conn: &Connection, address: Address) -> Result<Option<Account>, Fault> {
    let sql = "SELECT address, suspended, updated_at FROM credit_account WHERE address = ?1";
    one(conn, sql, [address.0.0], rows::account)
}

pub(super) fn keep_account(conn: &Connection, account: &Account) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO credit_account (address, suspended, updated_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (address) DO UPDATE SET suspended = excluded.suspended, updated_at = excluded.updated_at",
    )?
    .execute(params![
        account.address.0.0,
        account.suspended,
        codec::secs(account.updated_at)
    ])?;
    Ok(())
}

/// What a payer has: the ledger's sums, and what is known beside them.
pub(super) fn collateral(
    conn: &Connection,
    chain: ChainId,
    payer: Address,
    asset: Address,
) -> Result<Option<Collateral>, Fault> {
    let sql = "SELECT withdrawing, version, updated_at FROM credit_collateral WHERE payer = ?1 AND asset = ?2";
    let known = one(conn, sql, [payer.0.0, asset.0.0], |row| {
        Ok((
            rows::sum(row, 0)?,
            rows::number(row, 1)?,
            codec::time(row.get(2)?),
        ))
    })?;
    let Some((withdrawing, version, updated_at)) = known else {
        return Ok(None);
    };
    let account = AccountId::collateral(payer);
    let balance = books::balance(conn, &account, AssetId::erc20(chain, asset))?;
    let (total, locked) = Collateral::of(&balance);
    Ok(Some(Collateral {
        total,
        locked,
        withdrawing,
        version,
        updated_at,
    }))
}
