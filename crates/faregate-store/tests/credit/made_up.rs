//! Made-up people and commands of credit books.
#![allow(dead_code, reason = "each test program uses a part of it")]

use faregate_core::credit::{
    Certificate, Cursor, Guarantee, Happening, Identity, Issue, OpenTab, Opened, Place, ReqIds,
    Tab, TabEvent, TabId, Terms,
};
use faregate_core::port::credit::{Batch, CreditError, CreditStore, Entered, Page};
use faregate_types::credit::BlsSignature;
use faregate_types::{Address, B256, ChainId, Timestamp, U256};

pub(crate) const CHAIN: ChainId = ChainId::evm(31_337);

/// Everything that there is.
pub(crate) const ALL: Page = Page {
    skip: 0,
    limit: u32::MAX,
};

pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

pub(crate) fn payer(number: u64) -> Address {
    Address::left_padding_from(&(0xaaaa_0000 + number).to_be_bytes())
}

pub(crate) fn recipient(number: u64) -> Address {
    Address::left_padding_from(&(0xbbbb_0000 + number).to_be_bytes())
}

pub(crate) fn terms() -> Terms {
    Terms {
        versions: [1].into(),
        assets: [Address::ZERO].into(),
        expiration_secs: 1_000,
        ttl_default_secs: 600,
        req_ids: ReqIds::Reserved,
    }
}

pub(crate) fn identity(from: u64, to: u64) -> Identity {
    Identity {
        payer: payer(from),
        recipient: recipient(to),
        asset: Address::ZERO,
        version: 1,
    }
}

/// The active tab of an identity; a new one gets an id that follows from `seed`.
pub(crate) async fn opened(store: &impl CreditStore, identity: Identity, seed: u64) -> Opened {
    let command = OpenTab {
        id: TabId(U256::from(seed + 1) << 150),
        identity,
        ttl_secs: None,
        at: at(1),
    };
    store.open_tab(command, terms()).await.unwrap()
}

pub(crate) fn issuing(tab: &Tab, req: U256, units: u64) -> Issue {
    Issue {
        tab: tab.id,
        req,
        identity: tab.identity,
        amount: U256::from(units),
        timestamp: at(1),
        request: format!("signed {req}").into_bytes().into(),
        at: at(2),
    }
}

/// Opens or finds the tab and issues one guarantee of so many units on it.
pub(crate) async fn guarantee(
    store: &impl CreditStore,
    identity: Identity,
    seed: u64,
    units: u64,
) -> Result<Guarantee, CreditError> {
    let opened = opened(store, identity, seed).await;
    let command = issuing(&opened.tab, opened.next_req, units);
    store.issue(command, terms()).await
}

pub(crate) fn certificate(guarantee: &Guarantee) -> Certificate {
    Certificate {
        claims: guarantee.total.to_be_bytes_vec().into(),
        signature: BlsSignature::from_bytes(&[7; 96]).unwrap(),
    }
}

pub(crate) const fn deposit(payer: Address, units: u64) -> TabEvent {
    TabEvent::Deposited {
        payer,
        asset: Address::ZERO,
        amount: U256::from_limbs([units, 0, 0, 0]),
    }
}

/// Enters what happened in the next block, wherever the books stand.
pub(crate) async fn enter(store: &impl CreditStore, events: Vec<TabEvent>, secs: u64) -> Entered {
    let from = store.cursor().await.unwrap();
    let number = from.map_or(1, |cursor| cursor.number + 1);
    let transaction = B256::from(U256::from(number));
    let happenings = (0_u64..)
        .zip(events)
        .map(|(log, event)| Happening {
            place: Place {
                block: number,
                transaction,
                log: Some(log),
            },
            at: at(secs),
            event,
        })
        .collect();
    let to = Cursor {
        number,
        hash: transaction,
        time: at(secs),
    };
    let batch = Batch {
        from,
        to,
        happenings,
    };
    store.enter(batch, terms(), 100).await.unwrap()
}
