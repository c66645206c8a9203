//! Do the books add up? Everything that is kept for speed is computed again, by the database, from what is immutable.

use faregate_ledger::StoreError;
use faregate_types::PaymentId;

use super::codec;
use super::fault::Fault;
use super::pool::{Link, Pool};
use super::write::columns;
use crate::audit::{Audit, AuditFault};

/// Every transfer and how it ended.
macro_rules! transfers {
    ($rest:literal) => {
        concat!(
            "WITH moved AS (SELECT t.payment, t.seq, t.debit, t.credit, t.asset, t.amount, ",
            "CASE WHEN r.payment IS NOT NULL THEN 'reversed' ELSE coalesce(e.phase, 'pending') END AS phase ",
            "FROM transfer t LEFT JOIN transfer_end e ON e.payment = t.payment AND e.seq = t.seq ",
            "LEFT JOIN transfer_reversal r ON r.payment = t.payment AND r.seq = t.seq) ",
            $rest
        )
    };
}

const COUNT: &str = "SELECT count(*) AS rows FROM transfer";

/// With what the journal of credit moved.
const BALANCES: &str = transfers!(
    ", sides AS (\
     SELECT debit AS account, asset, phase, amount AS given, 0::numeric AS got FROM moved UNION ALL \
     SELECT credit, asset, phase, 0::numeric, amount FROM moved UNION ALL \
     SELECT w.account, w.asset, 'pending', w.a::numeric, w.c::numeric \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS w (account, asset, a, b, c, d) UNION ALL \
     SELECT w.account, w.asset, 'posted', w.b::numeric, w.d::numeric \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS w (account, asset, a, b, c, d)), \
     computed AS (SELECT account COLLATE \"C\" AS account, asset COLLATE \"C\" AS asset, \
     coalesce(sum(given) FILTER (WHERE phase = 'pending'), 0) AS a, coalesce(sum(given) FILTER (WHERE phase = 'posted'), 0) AS b, \
     coalesce(sum(got) FILTER (WHERE phase = 'pending'), 0) AS c, coalesce(sum(got) FILTER (WHERE phase = 'posted'), 0) AS d \
     FROM sides GROUP BY 1, 2) \
     SELECT coalesce(c.account, b.account) AS account, coalesce(c.asset, b.asset) AS asset \
     FROM computed c FULL JOIN balance b ON b.account = c.account AND b.asset = c.asset \
     WHERE (c.a, c.b, c.c, c.d) IS DISTINCT FROM \
     (b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted)"
);

/// A sum beyond 256 bits is none that could be.
const TOTALS: &str = "SELECT asset, greatest(sum(debits_pending), sum(debits_posted), sum(credits_pending), \
     sum(credits_posted))::text AS most, \
     sum(debits_pending) = sum(credits_pending) AND sum(debits_posted) = sum(credits_posted) AS is_balanced \
     FROM balance GROUP BY asset";

const PHASES: &str = transfers!(
    "SELECT p.id AS payment FROM payment p LEFT JOIN moved m ON m.payment = p.id AND m.seq = p.transfer \
     WHERE coalesce(m.phase, 'none') <> CASE p.state WHEN 'settled' THEN 'posted' WHEN 'failed' THEN 'voided' \
     WHEN 'released' THEN 'voided' ELSE 'pending' END"
);

const ORPHANS: &str = transfers!(
    "SELECT m.payment FROM moved m LEFT JOIN payment p ON p.id = m.payment AND p.transfer = m.seq \
     WHERE m.phase = 'pending' AND p.id IS NULL"
);

const EXPOSURES: &str = "WITH computed AS (\
     SELECT t.debit COLLATE \"C\" AS account, t.asset COLLATE \"C\" AS asset, sum(t.amount) AS exposed \
     FROM payment p JOIN transfer t ON t.payment = p.id AND t.seq = p.transfer \
     WHERE p.exposure_max IS NOT NULL AND (p.state IN ('reserved', 'broadcast') \
     OR (p.state = 'failed' AND EXISTS (SELECT 1 FROM answer a WHERE a.payment = p.id))) GROUP BY 1, 2) \
     SELECT coalesce(c.account, b.account) AS account, coalesce(c.asset, b.asset) AS asset \
     FROM computed c FULL JOIN balance b ON b.account = c.account AND b.asset = c.asset \
     WHERE coalesce(c.exposed, 0) <> coalesce(b.exposed, 0)";

const KEYS: &str = "SELECT i.payment FROM idempotency i LEFT JOIN payment p ON p.id = i.payment \
     LEFT JOIN transfer t ON t.payment = p.id AND t.seq = p.transfer \
     WHERE p.idempotency_key IS DISTINCT FROM i.key OR t.debit IS DISTINCT FROM i.account";

/// A fault of one payment.
type Kind = fn(PaymentId) -> AuditFault;

/// Audits a ledger, on one snapshot of it.
pub(super) async fn ledger(pool: &Pool) -> Result<Audit, StoreError> {
    let audited = async {
        let lease = pool.lease().await?;
        let link = lease.link();
        // Longer than any request of somebody who waits.
        link.batch(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
        )
        .await?;
        let audit = all(link).await?;
        link.batch("COMMIT").await?;
        lease.give_back();
        Ok(audit)
    };
    let audited: Result<Audit, Fault> = audited.await;
    audited.map_err(|fault| fault.told())
}

async fn all(link: &Link) -> Result<Audit, Fault> {
    let mut audit = Audit::default();
    for row in link.rows(COUNT, &[]).await? {
        audit.rows = row.try_get::<_, i64>("rows")?.cast_unsigned();
    }
    let moved = super::credit::audit::credit(link, &mut audit).await?;
    let (a, b, c, d, e, f) = columns!(moved, ((account, asset), sums) =>
        account.as_str(),
        asset.to_string(),
        sums.debits_pending.to_string(),
        sums.debits_posted.to_string(),
        sums.credits_pending.to_string(),
        sums.credits_posted.to_string(),
    );
    for row in link.rows(BALANCES, &[&a, &b, &c, &d, &e, &f]).await? {
        let account = codec::account(row.try_get("account")?)?;
        let asset = codec::asset(row.try_get("asset")?)?;
        audit.add(AuditFault::Balance { account, asset });
    }
    for row in link.rows(TOTALS, &[]).await? {
        let asset = codec::asset(row.try_get("asset")?)?;
        codec::money(row.try_get("most")?)?;
        if !row.try_get::<_, bool>("is_balanced")? {
            audit.add(AuditFault::Unbalanced { asset });
        }
    }
    let kinds: [(&'static str, Kind); 3] = [
        (PHASES, |payment| AuditFault::Phase { payment }),
        (ORPHANS, |payment| AuditFault::Orphan { payment }),
        (KEYS, |payment| AuditFault::Key { payment }),
    ];
    for (sql, fault) in kinds {
        for row in link.rows(sql, &[]).await? {
            audit.add(fault(codec::id(&row, "payment")?));
        }
    }
    for row in link.rows(EXPOSURES, &[]).await? {
        let account = codec::account(row.try_get("account")?)?;
        let asset = codec::asset(row.try_get("asset")?)?;
        audit.add(AuditFault::Exposure { account, asset });
    }
    Ok(audit)
}
