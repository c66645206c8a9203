//! What the cases have in common: people, times, commands, and a chain that only counts.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, U256};
use faregate_types::Timestamp;

use crate::credit::{
    CreditRefusal, Cursor, Guarantee, Happening, Identity, Issue, OpenTab, Opened, Place, ReqIds,
    Tab, TabEvent, TabId, Terms,
};
use crate::port::credit::{Batch, CreditError, CreditStore, Entered, Page};

/// How long certificates can be redeemed, in seconds.
pub(super) const EXPIRATION: u64 = 1_000;

/// Everything that there is.
pub(super) const ALL: Page = Page {
    skip: 0,
    limit: 1_000,
};

/// Made-up ids never repeat within a test.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

pub(super) fn number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

pub(super) fn payer(number: u64) -> Address {
    address(0xaaaa_0000 + number)
}

pub(super) fn recipient(number: u64) -> Address {
    address(0xbbbb_0000 + number)
}

/// ETH, and tokens from 1 on.
pub(super) fn asset(number: u64) -> Address {
    if number == 0 {
        Address::ZERO
    } else {
        address(0xa55e_0000 + number)
    }
}

pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

pub(super) fn money(units: u64) -> U256 {
    U256::from(units)
}

pub(super) fn terms() -> Terms {
    Terms {
        versions: [1, 2].into(),
        assets: [asset(0), asset(1), asset(2)].into(),
        expiration_secs: EXPIRATION,
        ttl_default_secs: 600,
        req_ids: ReqIds::Strict,
    }
}

/// Payer 1, recipient 1, token 1, version 1.
pub(super) fn identity() -> Identity {
    Identity {
        payer: payer(1),
        recipient: recipient(1),
        asset: asset(1),
        version: 1,
    }
}

pub(super) fn opening(identity: Identity, secs: u64) -> OpenTab {
    OpenTab {
        id: TabId(U256::from(number()) << 200),
        identity,
        ttl_secs: None,
        at: at(secs),
    }
}

/// The tab of this identity, which must be one.
pub(super) async fn opened<S: CreditStore>(store: &S, identity: Identity, secs: u64) -> Opened {
    store
        .open_tab(opening(identity, secs), terms())
        .await
        .unwrap()
}

/// A guarantee on the tab, dated now.
pub(super) fn issuing(tab: &Tab, req: u64, units: u64, secs: u64) -> Issue {
    Issue {
        tab: tab.id,
        req: U256::from(req),
        identity: tab.identity,
        amount: money(units),
        timestamp: at(secs),
        request: format!("signed {req}").into_bytes().into(),
        at: at(secs),
    }
}

pub(super) async fn issued<S: CreditStore>(store: &S, command: Issue) -> Guarantee {
    assert_eq!(store.check(&command, &terms()).await, Ok(()));
    store.issue(command, terms()).await.unwrap()
}

/// Why a guarantee is not issued, which is what a check says too.
pub(super) async fn refused<S: CreditStore>(store: &S, command: Issue) -> CreditRefusal {
    let checked = store.check(&command, &terms()).await;
    match store.issue(command, terms()).await {
        Err(CreditError::Refused(refusal)) => {
            // Of the tab that is in the way a check knows nothing.
            if !matches!(refusal, CreditRefusal::TabVersion { .. }) {
                assert_eq!(checked, Err(CreditError::Refused(refusal.clone())));
            }
            refusal
        }
        other => panic!("{other:?}"),
    }
}

/// What is free, locked and there of a payer's collateral.
pub(super) async fn sums<S: CreditStore>(
    store: &S,
    payer: Address,
    asset: Address,
) -> (u64, u64, u64) {
    let collateral = store.collateral(payer, asset).await.unwrap();
    let collateral = collateral.unwrap_or_default();
    (
        collateral.free().to(),
        collateral.locked.to(),
        collateral.total.to(),
    )
}

/// Somewhere nothing else happened.
pub(super) fn place(log: Option<u64>) -> Place {
    let number = number();
    Place {
        block: number,
        transaction: B256::from(U256::from(number)),
        log,
    }
}

pub(super) fn happening(event: TabEvent, secs: u64) -> Happening {
    Happening {
        place: place(Some(0)),
        at: at(secs),
        event,
    }
}

pub(super) const fn deposit(payer: Address, asset: Address, units: u64) -> TabEvent {
    TabEvent::Deposited {
        payer,
        asset,
        amount: U256::from_limbs([units, 0, 0, 0]),
    }
}

/// Enters this, wherever the books stand, in a block of this time.
pub(super) async fn enter<S: CreditStore>(
    store: &S,
    happenings: Vec<Happening>,
    secs: u64,
) -> Entered {
    let from = store.cursor().await.unwrap();
    let to = Cursor {
        number: from.map_or(1, |cursor| cursor.number + 1),
        hash: B256::from(U256::from(number())),
        time: at(secs),
    };
    let batch = Batch {
        from,
        to,
        happenings,
    };
    store.enter(batch, terms(), 100).await.unwrap()
}

/// Payer 1 has so much of token 1, since time 0.
pub(super) async fn with_collateral<S: CreditStore>(store: &S, units: u64) {
    let event = deposit(payer(1), asset(1), units);
    enter(store, vec![happening(event, 0)], 0).await;
}
