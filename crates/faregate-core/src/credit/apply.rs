//! What happened on the chain, in the books (specs/4mica.md §5.5). The chain is right: what does not fit is put aside.

use alloy_primitives::{Address, U256};
use faregate_types::Timestamp;

use super::EntryKind;
use super::change::{Changes, State};
use super::collateral::{Account, Collateral, Withdrawal};
use super::entry::Entry;
use super::event::{Happening, Odd, TabEvent};
use super::payment::{PaymentStage, TabPayment};
use super::tab::{Tab, TabId};
use super::terms::Terms;

/// Nobody deposits more than this at once, in atomic units, whatever a token says: 2^64 such deposits fit into the books, so sums
/// over all payers cannot overflow, and no token stops the books from reading on.
const DEPOSIT_MAX: U256 = U256::from_limbs([u64::MAX, u64::MAX, u64::MAX, 0]);

/// What something that happened changes, or why it is odd. Even what is odd may change something.
pub type Applied = (Changes, Option<Odd>);

/// Enters what happened. Engines ask once for each place: the second time nothing is to be done.
///
/// # Errors
/// The engine's fault, if something cannot be read.
pub fn apply<S: State>(state: &S, happening: &Happening) -> Result<Applied, S::Fault> {
    let at = happening.at;
    match &happening.event {
        TabEvent::Deposited {
            payer,
            asset,
            amount,
        } => deposited(state, happening, (*payer, *asset), *amount),
        TabEvent::Withdrawing {
            payer,
            asset,
            amount,
        } => {
            let withdrawal = Withdrawal {
                payer: *payer,
                asset: *asset,
                amount: *amount,
                at,
            };
            Ok(fine(Changes {
                withdrawal: Some(withdrawal),
                ..Changes::default()
            }))
        }
        TabEvent::Withdrawn {
            payer,
            asset,
            amount,
        } => withdrawn(state, happening, (*payer, *asset), *amount),
        TabEvent::Paid {
            tab,
            req,
            payer,
            recipient,
            asset,
            amount,
        } => {
            let payment = TabPayment {
                place: happening.place,
                tab: *tab,
                req: *req,
                payer: *payer,
                recipient: *recipient,
                asset: *asset,
                amount: *amount,
                stage: PaymentStage::Found,
                at,
            };
            paid(state, payment)
        }
        TabEvent::Recorded {
            record,
            tab,
            asset,
            amount,
        } => recorded(state, happening, *record, (*tab, *asset), *amount),
        TabEvent::Remunerated { tab, asset, amount } => {
            remunerated(state, happening, (*tab, *asset), *amount)
        }
        TabEvent::Unreadable { .. } => Ok(odd(Odd::Unreadable)),
    }
}

/// Unlocks what is locked for a tab whose certificates can no longer be redeemed by the time of the chain. `None`: they can, or
/// nothing is locked.
#[must_use]
pub fn release(before: &Tab, terms: &Terms, chain_time: Timestamp) -> Option<Changes> {
    let until = before.redeemable_until(terms.expiration_secs)?;
    if before.expired || before.guarantees == 0 || chain_time <= until {
        return None;
    }
    let mut after = before.clone();
    after.expired = true;
    after.closed = true;
    after.updated_at = chain_time;
    let lock = before.locked();
    let entry = Entry::of_tab(
        EntryKind::CancelReserve,
        lock,
        (before, &after),
        None,
        None,
        chain_time,
    );
    Some(Changes {
        tabs: vec![after],
        entries: (!lock.is_zero()).then_some(entry).into_iter().collect(),
        ..Changes::default()
    })
}

const fn fine(changes: Changes) -> Applied {
    (changes, None)
}

fn odd(odd: Odd) -> Applied {
    (Changes::default(), Some(odd))
}

fn deposited<S: State>(
    state: &S,
    happening: &Happening,
    (payer, asset): (Address, Address),
    amount: U256,
) -> Result<Applied, S::Fault> {
    if amount.is_zero() {
        return Ok(odd(Odd::Nothing));
    }
    if amount > DEPOSIT_MAX {
        return Ok(odd(Odd::Overflow));
    }
    let account = match state.account(payer)? {
        Some(_) => None,
        None => Some(Account {
            address: payer,
            suspended: false,
            updated_at: happening.at,
        }),
    };
    Ok(fine(Changes {
        account,
        entries: vec![money(EntryKind::Deposit, happening, (payer, asset), amount)],
        ..Changes::default()
    }))
}

fn withdrawn<S: State>(
    state: &S,
    happening: &Happening,
    (payer, asset): (Address, Address),
    amount: U256,
) -> Result<Applied, S::Fault> {
    let known = state.collateral(payer, asset)?.unwrap_or_default();
    // The contract has deleted the request, whatever we know of the money.
    let withdrawal = Some(Withdrawal {
        payer,
        asset,
        amount: U256::ZERO,
        at: happening.at,
    });
    let enough = known.total >= amount;
    // What we do not know of cannot be taken away; reconciliation finds out how it came.
    let taken = amount.min(known.total);
    let entry = money(EntryKind::Withdraw, happening, (payer, asset), taken);
    let changes = Changes {
        withdrawal,
        entries: (!taken.is_zero()).then_some(entry).into_iter().collect(),
        ..Changes::default()
    };
    Ok((changes, (!enough).then_some(Odd::TooLittle)))
}

/// A line about money that comes or goes without a tab.
fn money(
    kind: EntryKind,
    happening: &Happening,
    (payer, asset): (Address, Address),
    amount: U256,
) -> Entry {
    Entry {
        kind,
        payer,
        asset,
        amount,
        lock: U256::ZERO,
        tab: None,
        req: None,
        place: Some(happening.place),
        at: happening.at,
    }
}

fn paid<S: State>(state: &S, payment: TabPayment) -> Result<Applied, S::Fault> {
    let Some(tab) = state.tab(payment.tab)? else {
        return Ok(odd(Odd::UnknownTab));
    };
    let identity = &tab.identity;
    let same = identity.payer == payment.payer
        && identity.recipient == payment.recipient
        && identity.asset == payment.asset;
    if !same {
        return Ok(odd(Odd::AnotherTab));
    }
    if payment.amount.is_zero() {
        return Ok(odd(Odd::Nothing));
    }
    Ok(fine(Changes {
        payment: Some(payment),
        ..Changes::default()
    }))
}

fn recorded<S: State>(
    state: &S,
    happening: &Happening,
    record: Option<alloy_primitives::B256>,
    (tab, asset): (TabId, Address),
    amount: U256,
) -> Result<Applied, S::Fault> {
    let found = match record {
        Some(record) => state.payment(record)?,
        None => None,
    };
    // The recipient looks for the transaction that brought the money, not for the one that told the contract of it. A payment
    // unlocks at its place once; said again, it is an event of its own.
    let place = match &found {
        Some(payment) if !matches!(payment.stage, PaymentStage::Recorded(_)) => payment.place,
        _ => happening.place,
    };
    let payment = found.map(|mut payment| {
        payment.stage = PaymentStage::Recorded(happening.place.transaction);
        payment
    });
    let before = match known_tab(state, tab, asset)? {
        Ok(before) => before,
        Err(what) => return Ok(odd(what)),
    };
    let mut after = before.clone();
    let Some(paid) = before.paid.checked_add(amount) else {
        return Ok(odd(Odd::Overflow));
    };
    after.paid = paid;
    after.updated_at = happening.at;
    let req = payment.as_ref().and_then(|payment| payment.req);
    let entry = Entry::of_tab(
        EntryKind::Unlock,
        amount,
        (&before, &after),
        req,
        Some(place),
        happening.at,
    );
    Ok(fine(Changes {
        tabs: vec![after],
        payment,
        entries: vec![entry],
        ..Changes::default()
    }))
}

fn remunerated<S: State>(
    state: &S,
    happening: &Happening,
    (tab, asset): (TabId, Address),
    amount: U256,
) -> Result<Applied, S::Fault> {
    let before = match known_tab(state, tab, asset)? {
        Ok(before) => before,
        Err(what) => return Ok(odd(what)),
    };
    let mut after = before.clone();
    let Some(remunerated) = before.remunerated.checked_add(amount) else {
        return Ok(odd(Odd::Overflow));
    };
    after.remunerated = remunerated;
    after.updated_at = happening.at;
    let identity = &before.identity;
    let known = state
        .collateral(identity.payer, identity.asset)?
        .map_or(U256::ZERO, |Collateral { total, .. }| total);
    let taken = amount.min(known);
    let entry = Entry::of_tab(
        EntryKind::Remunerate,
        taken,
        (&before, &after),
        None,
        Some(happening.place),
        happening.at,
    );
    let changes = Changes {
        tabs: vec![after],
        entries: vec![entry],
        ..Changes::default()
    };
    Ok((changes, (taken < amount).then_some(Odd::TooLittle)))
}

/// The tab that an event of the contract is about.
fn known_tab<S: State>(
    state: &S,
    tab: TabId,
    asset: Address,
) -> Result<Result<Tab, Odd>, S::Fault> {
    Ok(match state.tab(tab)? {
        None => Err(Odd::UnknownTab),
        Some(tab) if tab.identity.asset != asset => Err(Odd::AnotherTab),
        Some(tab) => Ok(tab),
    })
}
