//! Terms: a payment that is too far from what its place asked for before is not recorded, in the same transaction.

use alloy_primitives::U256;
use faregate_types::Amount;

use super::{CROWD, PAID, per_host, records, signed, usage};
use crate::suite::kit::{Bench, asset, at, id, no_caps, payee, spend, worth};
use crate::terms::PLACE_SPENDS_MAX;
use crate::{
    CapRefusal, KnownTerms, Reserved, Spend, StoreError, Terms, TermsRefusal, TermsRule, Usage,
    WalletStore,
};

/// The known payee, and no more than last time.
const SAME: TermsRule = TermsRule {
    any_payee: false,
    rise_percent_max: Some(0),
};

fn to_payee(number: u64, spend: Spend) -> Spend {
    Spend {
        payee: payee(number).as_str().into(),
        ..spend
    }
}

/// What is known after `spend` alone.
fn known_after(spend: &Spend) -> KnownTerms {
    KnownTerms {
        payee: Some(spend.payee.clone()),
        last: Some(Terms {
            payee: spend.payee.clone(),
            amount: spend.amount,
            worth: spend.worth,
        }),
    }
}

/// Whoever reserves hears what was known before, whatever the verdict; and a refusal records nothing.
pub async fn terms_are_judged_where_they_are_recorded<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = spend(1, 10, 0);
    assert_eq!(
        store.reserve_spend(first.clone(), no_caps(), SAME).await,
        Ok(Reserved::Recorded(KnownTerms::default())),
        "the first contact is trusted"
    );
    let known = known_after(&first);
    let table = [
        (to_payee(2, spend(2, 10, 1)), TermsRefusal::Payee),
        (to_payee(2, spend(2, 11, 1)), TermsRefusal::Payee),
        (spend(2, 11, 1), TermsRefusal::Price),
    ];
    for (other, refusal) in table {
        assert_eq!(
            store.reserve_spend(other, no_caps(), SAME).await,
            Ok(Reserved::Terms(refusal, known.clone()))
        );
    }
    let full = Usage {
        host: worth(10),
        period: worth(10),
        total: worth(10),
    };
    assert_eq!(usage(store, at(0)).await, full);
    assert_eq!(records(store).await.len(), 1);
    assert_eq!(
        store.finish_spend(id(2), PAID, at(1)).await,
        Err(StoreError::NotFound)
    );
    // Terms come before caps, and what they allow the caps may still refuse.
    assert_eq!(
        store
            .reserve_spend(spend(2, 11, 1), per_host(1), SAME)
            .await,
        Ok(Reserved::Terms(TermsRefusal::Price, known.clone()))
    );
    assert_eq!(
        store
            .reserve_spend(spend(2, 9, 1), per_host(18), SAME)
            .await,
        Ok(Reserved::Cap(CapRefusal::Host, known.clone()))
    );
    for (number, allowed) in (2..).zip([spend(2, 10, 1), spend(3, 9, 1)]) {
        let verdict = store.reserve_spend(allowed, no_caps(), SAME).await;
        assert_eq!(verdict, Ok(Reserved::Recorded(known.clone())), "{number}");
    }
}

/// What a rule allows becomes what is known.
pub async fn what_was_allowed_is_known_from_then_on<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    signed(store, spend(1, 10, 0)).await;
    let double = TermsRule {
        any_payee: true,
        rise_percent_max: Some(100),
    };
    let second = to_payee(2, spend(2, 20, 1));
    let verdict = store.reserve_spend(second.clone(), no_caps(), double).await;
    assert_eq!(
        verdict,
        Ok(Reserved::Recorded(known_after(&spend(1, 10, 0))))
    );
    let now = known_after(&second);
    assert_eq!(
        store.reserve_spend(spend(3, 20, 2), no_caps(), SAME).await,
        Ok(Reserved::Terms(TermsRefusal::Payee, now.clone()))
    );
    assert_eq!(
        store
            .reserve_spend(to_payee(2, spend(3, 41, 2)), no_caps(), double)
            .await,
        Ok(Reserved::Terms(TermsRefusal::Price, now))
    );
}

/// Of many who bring a new place another payee each, one is the first: nobody else is paid there.
pub async fn one_of_many_payees_is_the_first<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            store.reserve_spend(to_payee(number, spend(number, 1, 0)), no_caps(), SAME)
        })
        .await;
    let recorded = verdicts
        .iter()
        .filter(|verdict| **verdict == Ok(Reserved::Recorded(KnownTerms::default())));
    let refused = verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Ok(Reserved::Terms(TermsRefusal::Payee, _))));
    assert_eq!((recorded.count(), refused.count()), (1, 63));
    assert_eq!(records(&*bench.store).await.len(), 1);
}

/// A reservation whose answer was lost is repeated: no rule and no cap takes back what is in the books.
pub async fn a_repeated_reservation_is_not_judged_again<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    signed(store, spend(1, 10, 0)).await;
    signed(store, to_payee(2, spend(2, 1, 0))).await;
    let again = store
        .reserve_spend(spend(1, 10, 0), per_host(1), SAME)
        .await;
    assert!(matches!(again, Ok(Reserved::Recorded(_))), "{again:?}");
    let other = to_payee(3, spend(1, 10, 0));
    assert_eq!(
        store.reserve_spend(other, no_caps(), SAME).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(records(store).await.len(), 2);
}

/// However often something else was signed at a place, what is known of it is found in a bounded number of its spends.
pub async fn a_place_is_known_by_its_newest_spends<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = Spend {
        path: "/first".into(),
        ..to_payee(1, spend(1, 10, 0))
    };
    signed(store, first).await;
    signed(store, to_payee(2, spend(2, 10, 0))).await;
    let known = async || {
        let [origin, path] = ["https://seller.example", "/joke"].map(Box::from);
        let asked = payee(3).as_str().into();
        let known = store.known_terms(origin, path, asset(1), asked).await;
        known.unwrap().payee
    };
    for number in 0..u64::from(PLACE_SPENDS_MAX) {
        assert_eq!(known().await.as_deref(), Some(payee(2).as_str()));
        let mut other = to_payee(4, spend(10 + number, 10, 0));
        other.amount = Amount::new(U256::from(10), asset(2));
        signed(store, other).await;
    }
    assert_eq!(known().await.as_deref(), Some(payee(1).as_str()));
}
