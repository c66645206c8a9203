//! Who may call the credit service, in every engine: nonces are used once, a stolen refresh token ends its session, keys that
//! are revoked stay so.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use faregate_core::port::access::{
    ADMIN_KEYS_MAX, AccessLimits, AccessStore, AdminKey, AdminScope, AdminScopes, Rotated,
    Rotation, SecretHash, SignIn,
};
use faregate_ledger::StoreError;
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{Address, Timestamp};

type Store = Arc<dyn AccessStore>;

/// One test per case and engine.
macro_rules! access_store_suite {
    ($make:expr) => {
        access_store_suite! { @cases $make,
            a_nonce_is_used_once
            a_nonce_is_remembered_for_its_time
            full_of_nonces_nobody_signs_in
            a_refresh_token_is_good_once
            whoever_shows_a_used_token_ends_the_session
            one_of_many_gets_the_next_token
            a_session_ends_with_its_time
            signing_out_ends_one_session
            sessions_make_room_for_newer_ones
            what_is_over_is_purged
            keys_are_kept_whole_and_newest_first
            a_revoked_key_stays_revoked
            revoked_keys_make_room
            the_configured_key_is_the_only_one_of_its_kind
        }
    };
    (@cases $make:expr, $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $make;
                super::$case(std::sync::Arc::new(store)).await;
            }
        )*
    };
}

mod in_memory {
    access_store_suite!((super::MemoryLedger::new(), ()));
}

mod on_sqlite {
    access_store_suite!((super::SqliteLedger::in_memory().unwrap(), ()));
}

mod on_a_file {
    access_store_suite!({
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db");
        (super::SqliteLedger::open(file).unwrap(), folder)
    });
}

#[cfg(feature = "postgres")]
#[path = "access/postgres.rs"]
mod on_postgres;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

fn hash(kind: u8, number: u64) -> SecretHash {
    let mut bytes = [kind; 32];
    bytes[1..9].copy_from_slice(&number.to_be_bytes());
    SecretHash::from_bytes(bytes)
}

fn nonce(number: u64) -> SecretHash {
    hash(1, number)
}

fn family(number: u64) -> SecretHash {
    hash(2, number)
}

/// The token of a session after so many rotations.
fn token(session: u64, turn: u64) -> SecretHash {
    hash(3, session * 1_000 + turn)
}

/// The session of this number, of one of three addresses, good for a thousand seconds.
fn session(number: u64, secs: u64) -> SignIn {
    SignIn {
        nonce: nonce(number),
        nonce_until: at(secs + 300),
        family: family(number),
        token: token(number, 0),
        address: address(number),
        at: at(secs),
        expires_at: at(secs + 1_000),
    }
}

fn address(number: u64) -> Address {
    Address::repeat_byte(u8::try_from(number % 3).unwrap() + 1)
}

fn turn(session: u64, turn: u64, secs: u64) -> Rotation {
    Rotation {
        family: family(session),
        shown: token(session, turn),
        next: token(session, turn + 1),
        at: at(secs),
        expires_at: at(secs + 1_000),
    }
}

const LIMITS: AccessLimits = AccessLimits {
    sessions_per_address: 3,
    sessions: 7,
    nonces: 100,
};

async fn signed_in(store: &Store, number: u64, secs: u64) {
    let told = store.sign_in(session(number, secs), LIMITS).await;
    assert_eq!(told, Ok(true));
}

async fn is_open(store: &Store, number: u64, secs: u64) -> bool {
    let rotated = store.rotate(turn(number, 0, secs)).await.unwrap();
    matches!(rotated, Rotated::Now { .. })
}

async fn a_nonce_is_used_once(store: Store) {
    let crowd = (0..32_u64).map(|number| {
        let store = Arc::clone(&store);
        let sign_in = SignIn {
            nonce: nonce(0),
            ..session(number, 0)
        };
        tokio::spawn(async move {
            store
                .sign_in(sign_in, AccessLimits::default())
                .await
                .unwrap()
        })
    });
    let mut won = Vec::new();
    for (number, told) in crowd.collect::<Vec<_>>().into_iter().enumerate() {
        if told.await.unwrap() {
            won.push(u64::try_from(number).unwrap());
        }
    }
    assert_eq!(won.len(), 1);
    for number in 0..32 {
        assert_eq!(is_open(&store, number, 1).await, won == [number]);
    }
}

async fn a_nonce_is_remembered_for_its_time(store: Store) {
    signed_in(&store, 1, 0).await;
    for (secs, expected) in [(1, false), (299, false), (300, true)] {
        let again = SignIn {
            nonce: nonce(1),
            ..session(2, secs)
        };
        assert_eq!(store.sign_in(again, LIMITS).await, Ok(expected), "{secs}");
    }
}

async fn full_of_nonces_nobody_signs_in(store: Store) {
    let limits = AccessLimits {
        nonces: 2,
        ..LIMITS
    };
    for (number, secs) in [(1, 0), (2, 100)] {
        let told = store.sign_in(session(number, secs), limits).await;
        assert_eq!(told, Ok(true));
    }
    let third = store.sign_in(session(3, 299), limits).await;
    assert_eq!(third, Err(StoreError::Unavailable));
    assert!(!is_open(&store, 3, 299).await);
    // The first is over.
    assert_eq!(store.sign_in(session(3, 300), limits).await, Ok(true));
}

async fn a_refresh_token_is_good_once(store: Store) {
    signed_in(&store, 1, 0).await;
    let address = address(1);
    for number in 0..5 {
        let told = store.rotate(turn(1, number, 10 + number)).await;
        assert_eq!(told, Ok(Rotated::Now { address }));
    }
    // Another session of the same address is not touched by what comes now.
    signed_in(&store, 4, 20).await;
    assert_eq!(store.rotate(turn(1, 4, 21)).await, Ok(Rotated::Reused));
    assert_eq!(store.rotate(turn(1, 5, 22)).await, Ok(Rotated::Unknown));
    assert!(is_open(&store, 4, 23).await);
    assert_eq!(store.rotate(turn(9, 0, 24)).await, Ok(Rotated::Unknown));
}

async fn whoever_shows_a_used_token_ends_the_session(store: Store) {
    signed_in(&store, 1, 0).await;
    let stolen = turn(1, 0, 10);
    assert!(is_open(&store, 1, 5).await);
    assert_eq!(store.rotate(stolen).await, Ok(Rotated::Reused));
    // Neither the thief nor the owner goes on.
    assert_eq!(store.rotate(stolen).await, Ok(Rotated::Unknown));
    assert_eq!(store.rotate(turn(1, 1, 11)).await, Ok(Rotated::Unknown));
}

async fn one_of_many_gets_the_next_token(store: Store) {
    signed_in(&store, 1, 0).await;
    let crowd = (0..16_u64).map(|number| {
        let store = Arc::clone(&store);
        let rotation = Rotation {
            next: token(1, 100 + number),
            ..turn(1, 0, 5)
        };
        tokio::spawn(async move { store.rotate(rotation).await.unwrap() })
    });
    let (mut now, mut reused) = (0, 0);
    for told in crowd.collect::<Vec<_>>() {
        match told.await.unwrap() {
            Rotated::Now { .. } => now += 1,
            Rotated::Reused => reused += 1,
            Rotated::Unknown | Rotated::Expired => {}
        }
    }
    assert_eq!((now, reused), (1, 1));
}

async fn a_session_ends_with_its_time(store: Store) {
    signed_in(&store, 1, 0).await;
    assert!(is_open(&store, 1, 999).await);
    let late = store.rotate(turn(1, 1, 1_999)).await;
    assert_eq!(late, Ok(Rotated::Expired));
    assert_eq!(store.rotate(turn(1, 1, 1_000)).await, Ok(Rotated::Unknown));
}

async fn signing_out_ends_one_session(store: Store) {
    signed_in(&store, 1, 0).await;
    signed_in(&store, 4, 0).await;
    assert_eq!(store.sign_out(family(1)).await, Ok(true));
    assert_eq!(store.sign_out(family(1)).await, Ok(false));
    assert!(!is_open(&store, 1, 1).await && is_open(&store, 4, 1).await);
}

async fn sessions_make_room_for_newer_ones(store: Store) {
    // All of the second address.
    for (number, secs) in [(1, 0), (4, 1), (7, 2)] {
        signed_in(&store, number, secs).await;
    }
    // The first was used since.
    assert!(is_open(&store, 1, 3).await);
    signed_in(&store, 10, 4).await;
    assert_eq!(store.rotate(turn(4, 0, 5)).await, Ok(Rotated::Unknown));
    // Four of others are one too many altogether: the oldest goes.
    for (number, secs) in [(2, 5), (5, 6), (3, 7), (6, 8), (9, 9)] {
        signed_in(&store, number, secs).await;
    }
    assert_eq!(store.rotate(turn(7, 0, 10)).await, Ok(Rotated::Unknown));
    for number in [10, 2, 5, 3, 6, 9] {
        assert!(is_open(&store, number, 11).await, "{number}");
    }
}

async fn what_is_over_is_purged(store: Store) {
    for number in [1, 2] {
        signed_in(&store, number, 0).await;
    }
    assert_eq!(store.purge_access(at(299), 10).await, Ok(0));
    assert_eq!(store.purge_access(at(300), 1).await, Ok(1));
    assert_eq!(store.purge_access(at(300), 10).await, Ok(1));
    assert_eq!(store.purge_access(at(1_000), 10).await, Ok(2));
    assert_eq!(store.rotate(turn(1, 0, 1)).await, Ok(Rotated::Unknown));
}

fn key(number: u32) -> AdminKey {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    AdminKey {
        id,
        name: format!("key {number}").into(),
        scopes: AdminScopes::ALL,
        secret: hash(4, number.into()),
        created_at: at(number.into()),
        revoked_at: None,
    }
}

async fn keys_are_kept_whole_and_newest_first(store: Store) {
    assert_eq!(store.admin_keys().await, Ok(vec![]));
    let second = AdminKey {
        scopes: [AdminScope::SuspendUsers].into_iter().collect(),
        ..key(2)
    };
    for key in [key(1), second.clone(), key(3)] {
        assert_eq!(store.add_admin_key(key).await, Ok(true));
    }
    let all = vec![key(3), second.clone(), key(1)];
    assert_eq!(store.admin_keys().await, Ok(all));
    assert_eq!(store.admin_key(second.id).await, Ok(Some(second)));
    assert_eq!(store.admin_key([0; 16]).await, Ok(None));
}

async fn a_revoked_key_stays_revoked(store: Store) {
    store.add_admin_key(key(1)).await.unwrap();
    let revoked = AdminKey {
        revoked_at: Some(at(50)),
        ..key(1)
    };
    for secs in [50, 60] {
        let told = store.revoke_admin_key(key(1).id, at(secs)).await;
        assert_eq!(told, Ok(Some(revoked.clone())));
    }
    assert_eq!(store.admin_key(key(1).id).await, Ok(Some(revoked)));
    assert_eq!(store.revoke_admin_key([0; 16], at(1)).await, Ok(None));
}

async fn revoked_keys_make_room(store: Store) {
    for number in 0..ADMIN_KEYS_MAX {
        assert_eq!(store.add_admin_key(key(number)).await, Ok(true));
    }
    assert_eq!(store.add_admin_key(key(5_000)).await, Ok(false));
    for (number, secs) in [(7, 20), (3, 10)] {
        let told = store.revoke_admin_key(key(number).id, at(secs)).await;
        assert!(told.unwrap().is_some());
    }
    assert_eq!(store.add_admin_key(key(5_000)).await, Ok(true));
    assert_eq!(store.admin_key(key(3).id).await, Ok(None));
    assert!(store.admin_key(key(7).id).await.unwrap().is_some());
}

async fn the_configured_key_is_the_only_one_of_its_kind(store: Store) {
    let good = async |number| {
        let key = store.admin_key(key(number).id).await.unwrap();
        key.map(|key| key.revoked_at.is_none())
    };
    store.add_admin_key(key(1)).await.unwrap();
    store.set_bootstrap_key(Some(key(2)), at(5)).await.unwrap();
    assert_eq!((good(1).await, good(2).await), (Some(true), Some(true)));
    // Revoked, it is good again after the next start.
    store.revoke_admin_key(key(2).id, at(6)).await.unwrap();
    store.set_bootstrap_key(Some(key(2)), at(7)).await.unwrap();
    assert_eq!(good(2).await, Some(true));
    // Another seed, then none.
    store.set_bootstrap_key(Some(key(3)), at(8)).await.unwrap();
    assert_eq!((good(2).await, good(3).await), (Some(false), Some(true)));
    store.set_bootstrap_key(None, at(9)).await.unwrap();
    assert_eq!((good(2).await, good(3).await), (Some(false), Some(false)));
    assert_eq!(good(1).await, Some(true));
    assert_eq!(store.admin_keys().await.unwrap().len(), 3);
}

#[tokio::test]
async fn who_is_signed_in_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let open = || -> Store { Arc::new(SqliteLedger::open(&file).unwrap()) };
    let store = open();
    signed_in(&store, 1, 0).await;
    store.add_admin_key(key(1)).await.unwrap();
    drop(store);
    let store = open();
    assert!(is_open(&store, 1, 1).await);
    assert_eq!(store.admin_keys().await, Ok(vec![key(1)]));
    let again = store.sign_in(session(1, 2), LIMITS).await;
    assert_eq!(again, Ok(false), "the nonce is still used");
}
