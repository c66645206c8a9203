//! Certificates are kept once, whole, and counted.

use alloy_primitives::U256;
use faregate_ledger::StoreError;
use faregate_ledger::suite::Bench;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::{Amount, ChainId, Erc20, PaymentId};

use super::kit::{address, asset, at, held, money, payer};
use crate::port::{CertificateStore, HeldCertificate};

/// The largest numbers there are come back, and so does ETH.
pub async fn a_certificate_is_kept_whole<S: CertificateStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let ordinary = held(1, 0);
    let extreme = HeldCertificate {
        route: "/ünusual route".into(),
        chain: ChainId::new(u64::MAX).unwrap(),
        tab: U256::MAX,
        req: U256::MAX,
        version: GuaranteeVersion::V2,
        amount: Amount::new(
            U256::MAX,
            Erc20::new(ChainId::new(u64::MAX).unwrap(), asset(0).token()),
        ),
        total: U256::MAX,
        ..held(2, 0)
    };
    assert_eq!(store.certificate(ordinary.payment).await, Ok(None));
    for held in [ordinary, extreme] {
        store.keep(held.clone()).await.unwrap();
        assert_eq!(store.certificate(held.payment).await, Ok(Some(held)));
    }
}

/// Whoever starts again after a crash keeps it again, at another time.
pub async fn the_same_certificate_changes_nothing<S: CertificateStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = held(1, 0);
    store.keep(first.clone()).await.unwrap();
    let again = HeldCertificate {
        at: at(99),
        ..first.clone()
    };
    store.keep(again).await.unwrap();
    assert_eq!(store.certificate(first.payment).await, Ok(Some(first)));
    assert_eq!(store.owed(payer(1), "/joke", asset(1)).await, Ok(money(10)));
}

/// Of a payment, and of a number of a tab, there is one certificate.
pub async fn another_certificate_under_a_key_is_refused<S: CertificateStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = held(1, 0);
    store.keep(first.clone()).await.unwrap();
    let others = [
        HeldCertificate {
            certificate: held(1, 1).certificate,
            ..first.clone()
        },
        HeldCertificate {
            total: money(11),
            ..first.clone()
        },
        HeldCertificate {
            tab: money(2),
            ..first.clone()
        },
        HeldCertificate {
            payment: PaymentId::from_bytes([1; 32]),
            ..first.clone()
        },
    ];
    for other in others {
        assert_eq!(store.keep(other).await, Err(StoreError::Conflict));
    }
    assert_eq!(store.certificate(first.payment).await, Ok(Some(first)));
    assert_eq!(store.owed(payer(1), "/joke", asset(1)).await, Ok(money(10)));
    // The next one is none the worse for it, and neither is a tab of somebody else with the same id.
    store.keep(held(1, 1)).await.unwrap();
    let namesake = HeldCertificate {
        payment: PaymentId::from_bytes([2; 32]),
        payer: payer(2),
        ..held(1, 0)
    };
    store.keep(namesake).await.unwrap();
    assert_eq!(store.owed(payer(1), "/joke", asset(1)).await, Ok(money(20)));
    assert_eq!(store.owed(payer(2), "/joke", asset(1)).await, Ok(money(10)));
}

/// The contract holds a tab to its first asset.
pub async fn a_tab_has_one_asset<S: CertificateStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    store.keep(held(1, 0)).await.unwrap();
    let elsewhere = Erc20::new(ChainId::BASE, asset(1).token());
    for other in [asset(2), asset(0), elsewhere] {
        let other = HeldCertificate {
            amount: Amount::new(money(10), other),
            ..held(1, 1)
        };
        assert_eq!(store.keep(other).await, Err(StoreError::Conflict));
    }
    let on_another_chain = HeldCertificate {
        amount: Amount::new(money(10), elsewhere),
        ..held(2, 0)
    };
    assert_eq!(
        store.keep(on_another_chain).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(store.owed(payer(1), "/joke", asset(1)).await, Ok(money(10)));
}

/// Many keep the certificates of one tab at once, in any order and each several times.
pub async fn a_crowd_keeps_each_certificate_once<S: CertificateStore>(bench: &Bench<S>) {
    let all = (0..32_u64)
        .rev()
        .flat_map(|req| std::iter::repeat_n(held(1, req), 3));
    let all: Vec<_> = all.collect();
    let kept = bench.crowd(all, |store, held| store.keep(held)).await;
    assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    let store = &*bench.store;
    for req in 0..32 {
        let expected = held(1, req);
        let found = store.certificate(expected.payment).await;
        assert_eq!(found, Ok(Some(expected)));
    }
    let owed = store.owed(payer(1), "/joke", asset(1)).await;
    assert_eq!(owed, Ok(money(320)));
}

/// A payer's debts are told apart by what was sold, and in what it is to be paid; tabs of one asset are added up.
pub async fn what_is_owed_is_counted_by_payer_route_and_asset<S: CertificateStore>(
    bench: &Bench<S>,
) {
    let store = &*bench.store;
    let other_route = |tab, req| HeldCertificate {
        route: "/news".into(),
        ..held(tab, req)
    };
    let other_payer = HeldCertificate {
        payer: payer(2),
        ..held(3, 0)
    };
    let other_asset = HeldCertificate {
        amount: Amount::new(money(7), asset(0)),
        ..held(4, 0)
    };
    let other_recipient = HeldCertificate {
        recipient: address(0xbbbb_0002),
        ..held(5, 0)
    };
    let all = [
        held(1, 0),
        other_route(1, 1),
        held(1, 2),
        held(2, 0),
        other_payer,
        other_asset,
        other_recipient,
    ];
    for held in all {
        store.keep(held).await.unwrap();
    }
    let expected = [
        (1, "/joke", 1, 40),
        (1, "/news", 1, 10),
        (1, "/", 1, 0),
        (2, "/joke", 1, 10),
        (1, "/joke", 0, 7),
        (2, "/news", 1, 0),
        (1, "/joke", 2, 0),
        (3, "/joke", 1, 0),
    ];
    for (who, route, what, owed) in expected {
        assert_eq!(
            store.owed(payer(who), route, asset(what)).await,
            Ok(money(owed)),
            "{who} {route} {what}"
        );
    }
}
