//! Tokens: kept until they end or are used up, and never told with their credentials where they are listed.

use faregate_types::Timestamp;

use super::CROWD;
use crate::suite::kit::{Bench, at, id};
use crate::token::{TOKENS_KEPT_MAX, TOKENS_TOLD_MAX};
use crate::{KeptToken, WalletStore};

/// A token for `GET /joke`, bought at `secs`, good for an hour.
fn token(number: u64, secs: u64, uses_left: Option<u32>) -> KeptToken {
    KeptToken {
        payment: id(number),
        origin: "https://seller.example".into(),
        method: "GET".into(),
        path: "/joke".into(),
        at: at(secs),
        until: at(secs + 3600),
        uses_left,
        credential: number.to_le_bytes().to_vec(),
    }
}

async fn found<S: WalletStore>(store: &S, now: Timestamp) -> Vec<KeptToken> {
    let found = store.tokens_at("https://seller.example".into(), "GET".into(), now);
    found.await.unwrap()
}

/// Where it was bought for it is found whole, newest first; elsewhere and later it is not.
pub async fn a_token_is_found_where_it_was_bought_for<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let (old, new) = (token(1, 0, Some(3)), token(2, 1, None));
    let odd = KeptToken {
        path: "/naïve/路/*".into(),
        credential: (0..=255).collect(),
        ..token(3, 2, None)
    };
    let elsewhere = [
        KeptToken {
            origin: "https://other.example".into(),
            ..token(4, 0, None)
        },
        KeptToken {
            method: "POST".into(),
            ..token(5, 0, None)
        },
    ];
    for token in [old.clone(), new.clone(), odd.clone()]
        .iter()
        .chain(&elsewhere)
    {
        store.keep_token(token.clone()).await.unwrap();
    }
    assert_eq!(found(store, at(9)).await, [odd.clone(), new.clone(), old]);
    assert_eq!(found(store, at(3600)).await, [odd.clone(), new]);
    assert_eq!(found(store, at(3601)).await, [odd]);
    assert_eq!(found(store, at(3602)).await, []);
    let [there, posted] = elsewhere;
    let ask = |origin: &str, method: &str| store.tokens_at(origin.into(), method.into(), at(9));
    assert_eq!(ask("https://other.example", "GET").await, Ok(vec![there]));
    assert_eq!(
        ask("https://seller.example", "POST").await,
        Ok(vec![posted])
    );
    assert_eq!(ask("https://seller.example", "PUT").await, Ok(vec![]));
}

/// Whoever looks at the list learns no credential.
pub async fn a_list_of_tokens_has_no_credentials<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 0..3 {
        store.keep_token(token(number, number, None)).await.unwrap();
    }
    let expected: Vec<KeptToken> = [2, 1, 0]
        .into_iter()
        .map(|number| token(number, number, None).listed())
        .collect();
    assert_eq!(store.tokens(9).await, Ok(expected.clone()));
    assert_eq!(store.tokens(1).await, Ok(expected[..1].to_vec()));
    assert!(expected.iter().all(|token| token.credential.is_empty()));
}

/// However many use it at once, it is gone after as many uses as it has; unknown ones count nothing.
pub async fn a_token_is_dropped_when_it_is_used_up<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, uses_left) in [(1, Some(64)), (2, Some(65)), (3, None), (4, Some(0))] {
        let token = token(number, number, uses_left);
        store.keep_token(token).await.unwrap();
    }
    assert_eq!(
        found(store, at(9)).await.len(),
        3,
        "what buys nothing is not kept"
    );
    for number in 1..=3 {
        let used = bench.crowd(0..CROWD, move |store, _| store.use_token(id(number)));
        assert!(used.await.iter().all(Result::is_ok));
    }
    let left = found(store, at(9)).await;
    assert_eq!(left, [token(3, 3, None), token(2, 2, Some(1))]);
    assert!(!store.use_token_later(id(2)) || store.flush().await.is_ok());
    store.use_token(id(99)).await.unwrap();
    assert!(found(store, at(9)).await.contains(&token(3, 3, None)));
}

/// A payment has one token, and one that is forgotten is gone.
pub async fn a_token_is_replaced_and_forgotten<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    store.keep_token(token(1, 0, Some(3))).await.unwrap();
    store.keep_token(token(1, 1, Some(5))).await.unwrap();
    assert_eq!(found(store, at(2)).await, [token(1, 1, Some(5))]);
    for _ in 0..2 {
        store.forget_token(id(1)).await.unwrap();
        assert_eq!(found(store, at(2)).await, []);
        assert_eq!(store.tokens(9).await, Ok(vec![]));
    }
}

/// There is room for so many: what has ended goes first, then what ends first.
pub async fn tokens_make_room<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let most = u64::from(TOKENS_KEPT_MAX);
    for number in 0..=most {
        store
            .keep_token(token(number, number % 7, None))
            .await
            .unwrap();
    }
    let all = store.tokens(u32::MAX).await.unwrap();
    assert_eq!(all.len(), usize::try_from(most).unwrap());
    assert!(all.iter().all(|token| token.payment != id(0)));
    let told = found(store, at(9)).await.len();
    assert_eq!(told, usize::try_from(TOKENS_TOLD_MAX).unwrap());
    store
        .keep_token(token(most + 1, 3_603, None))
        .await
        .unwrap();
    let left = store.tokens(u32::MAX).await.unwrap();
    assert!(left.iter().all(|token| token.until > at(3_603)));
}
