//! Every sum of a ledger, computed again from its payments.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use faregate_ledger::{AccountId, Balance, Movement, PaymentState, Side, StoreError};
use faregate_types::AssetId;

use super::accounts::Sums;
use super::payments::Payments;
use crate::audit::{Audit, AuditFault, compare};

type Books = BTreeMap<(AccountId, AssetId), Sums>;

/// Audits a ledger.
pub(super) fn ledger(books: &Payments) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    let stored: Books = books
        .accounts
        .all()
        .map(|(name, sums)| ((name.clone(), sums.balance.asset), *sums))
        .collect();
    let computed = from_payments(books, &mut audit, &stored)?;
    compare(
        &of(&computed, |sums| sums.balance),
        &of(&stored, |sums| sums.balance),
        |key| {
            let (account, asset) = key.clone();
            audit.add(AuditFault::Balance { account, asset });
        },
    );
    compare(
        &of(&computed, |sums| sums.exposure),
        &of(&stored, |sums| sums.exposure),
        |key| {
            let (account, asset) = key.clone();
            audit.add(AuditFault::Exposure { account, asset });
        },
    );
    check_totals(books, &computed, &mut audit)?;
    for (payer, key, row) in books.keys() {
        let row = row.ok_or(StoreError::Damaged)?;
        let own = row.fixed.idempotency().map(|own| &own.key);
        if row.fixed.debit.number != payer || own != Some(key) {
            let payment = row.fixed.id;
            audit.add(AuditFault::Key { payment });
        }
    }
    Ok(audit)
}

fn of<V>(books: &Books, what: impl Fn(&Sums) -> V) -> BTreeMap<(AccountId, AssetId), V> {
    let sums = books.iter();
    sums.map(|(key, sums)| (key.clone(), what(sums))).collect()
}

/// What the payments add up to, for every account that there are sums of.
fn from_payments(books: &Payments, audit: &mut Audit, stored: &Books) -> Result<Books, StoreError> {
    let empty = stored.keys();
    let mut computed: Books = empty.map(|key| (key.clone(), Sums::zero(key.1))).collect();
    for row in books.all() {
        audit.row();
        let payment = row.listed();
        let (transfer, state) = (&payment.claim.transfer, payment.state);
        let (asset, amount) = (transfer.amount.asset(), transfer.amount.value());
        let movements: &[Movement] = match state {
            PaymentState::Reserved | PaymentState::Broadcast => &[Movement::Reserve],
            PaymentState::Settled => &[Movement::Reserve, Movement::Post],
            PaymentState::Failed | PaymentState::Released => &[],
        };
        let exposed = if payment.is_exposed() {
            amount
        } else {
            U256::ZERO
        };
        for (side, account, exposed) in [
            (Side::Debit, &transfer.debit, exposed),
            (Side::Credit, &transfer.credit, U256::ZERO),
        ] {
            let sums = computed
                .entry((account.clone(), asset))
                .or_insert(Sums::zero(asset));
            // What one payment adds, so that no sum is larger on the way than it is at the end.
            let mut added = movements.iter();
            let added = added.try_fold(Balance::zero(asset), |sum, movement| {
                sum.after(side, *movement, amount)
            });
            let balance = added.and_then(|added| sums.balance.plus(&added));
            sums.balance = balance.map_err(|_| StoreError::Damaged)?;
            let exposure = sums.exposure.checked_add(exposed);
            sums.exposure = exposure.ok_or(StoreError::Damaged)?;
        }
    }
    Ok(computed)
}

fn check_totals(books: &Payments, computed: &Books, audit: &mut Audit) -> Result<(), StoreError> {
    let mut totals = BTreeMap::new();
    for ((_, asset), sums) in computed {
        let total = totals.entry(*asset).or_insert(Balance::zero(*asset));
        *total = total.plus(&sums.balance).map_err(|_| StoreError::Damaged)?;
    }
    let kept = books.accounts.totals()?;
    let kept: BTreeMap<AssetId, Balance> =
        kept.into_iter().map(|total| (total.asset, total)).collect();
    compare(&totals, &kept, |asset| {
        audit.add(AuditFault::Unbalanced { asset: *asset });
    });
    for (asset, total) in totals {
        if !total.is_balanced() {
            audit.add(AuditFault::Unbalanced { asset });
        }
    }
    Ok(())
}
