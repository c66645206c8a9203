//! On PostgreSQL, where there is one: by one instance, by two in turn, and by processes at once.

#[path = "../common/mod.rs"]
mod common;
#[path = "../postgres/kit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use faregate_core::port::access::AdminKeyId;
use faregate_store::postgres::{PostgresLedger, PostgresUrl};
use futures_util::future::{BoxFuture, join_all};
use kit::Place;

use super::*;

mod by_one {
    access_store_suite!({
        let Some(place) = super::Place::new().await else {
            return;
        };
        (place.open().await, place)
    });
}

mod by_two_in_turn {
    access_store_suite!({
        let Some(place) = super::Place::new().await else {
            return;
        };
        let two = [place.open().await, place.open().await];
        (super::InTurn(two, super::AtomicUsize::new(0)), place)
    });
}

/// Each question goes to the other instance.
struct InTurn([PostgresLedger; 2], AtomicUsize);

impl InTurn {
    fn next(&self) -> &PostgresLedger {
        let number = self.1.fetch_add(1, Ordering::AcqRel);
        let [first, second] = &self.0;
        if number.is_multiple_of(2) {
            first
        } else {
            second
        }
    }
}

impl AccessStore for InTurn {
    fn sign_in(
        &self,
        sign_in: SignIn,
        limits: AccessLimits,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().sign_in(sign_in, limits)
    }

    fn rotate(&self, rotation: Rotation) -> BoxFuture<'_, Result<Rotated, StoreError>> {
        self.next().rotate(rotation)
    }

    fn sign_out(&self, family: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().sign_out(family)
    }

    fn purge_access(&self, now: Timestamp, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.next().purge_access(now, limit)
    }

    fn add_admin_key(&self, key: AdminKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().add_admin_key(key)
    }

    fn set_bootstrap_key(
        &self,
        key: Option<AdminKey>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().set_bootstrap_key(key, at)
    }

    fn admin_keys(&self) -> BoxFuture<'_, Result<Vec<AdminKey>, StoreError>> {
        self.next().admin_keys()
    }

    fn admin_key(&self, id: AdminKeyId) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        self.next().admin_key(id)
    }

    fn revoke_admin_key(
        &self,
        id: AdminKeyId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        self.next().revoke_admin_key(id, at)
    }
}

const PROCESSES: u64 = 3;
/// Nonces that all processes show at once.
const NONCES: u64 = 40;
/// Sessions whose first token all of them show at once; numbers above those of the processes.
const SESSIONS: std::ops::Range<u64> = 1_000..1_006;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_use_a_nonce_once_and_a_stolen_token_ends_the_session() {
    let Some(place) = Place::new().await else {
        return;
    };
    let store: Store = Arc::new(place.open().await);
    for number in SESSIONS {
        let made = store.sign_in(session(number, 0), AccessLimits::default());
        assert_eq!(made.await, Ok(true));
    }
    let text = place.text();
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let test = "on_postgres::a_child_that_signs_in";
            common::child(test, Path::new(&text), number)
        })
        .map(|mut child| child.spawn().unwrap())
        .collect();
    let mut lines = BTreeMap::<String, u64>::new();
    let mut next = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
            if let Some(turn) = line.strip_prefix("next ") {
                next.push(turn.parse::<u64>().unwrap());
            }
        }
    }
    let said = |what: &str, number| lines.get(&format!("{what} {number}")).copied();
    for number in 0..NONCES {
        assert_eq!(said("in", number), Some(1), "nonce {number}");
    }
    for number in SESSIONS {
        assert_eq!(said("now", number), Some(1), "session {number}");
        assert_eq!(said("reused", number), Some(1), "session {number}");
        for shown in &next {
            let rotation = Rotation {
                shown: token(number, *shown),
                ..turn(number, 0, 6)
            };
            assert_eq!(store.rotate(rotation).await, Ok(Rotated::Unknown));
        }
    }
}

#[test]
#[ignore = "started by the test above"]
#[allow(
    clippy::print_stdout,
    reason = "children talk to their parent by lines"
)]
fn a_child_that_signs_in() {
    // The harness has begun a line with the name of the test.
    println!();
    let (Ok(text), Ok(child)) = (std::env::var(common::FILE), std::env::var(common::CHILD)) else {
        return;
    };
    let child: u64 = child.parse().unwrap();
    let next = 1 + child;
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = PostgresUrl::parse(&text).unwrap();
        let store = PostgresLedger::open(&url).await.unwrap();
        let sign_ins = (0..NONCES).map(|number| {
            let sign_in = SignIn {
                nonce: nonce(number),
                ..session(NONCES * (child + 1) + number, 1)
            };
            store.sign_in(sign_in, AccessLimits::default())
        });
        let rotations = SESSIONS.map(|number| {
            store.rotate(Rotation {
                next: token(number, next),
                ..turn(number, 0, 5)
            })
        });
        let (sign_ins, rotations) = tokio::join!(join_all(sign_ins), join_all(rotations));
        for (number, told) in (0..).zip(sign_ins) {
            if told.unwrap() {
                println!("in {number}");
            }
        }
        for (number, told) in SESSIONS.zip(rotations) {
            match told.unwrap() {
                Rotated::Now { .. } => println!("now {number}"),
                Rotated::Reused => println!("reused {number}"),
                Rotated::Unknown => println!("unknown {number}"),
                Rotated::Expired => println!("expired {number}"),
            }
        }
    });
    println!("next {next}");
}

#[tokio::test]
async fn who_is_signed_in_outlives_the_instance() {
    let Some(place) = Place::new().await else {
        return;
    };
    let store: Store = Arc::new(place.open().await);
    signed_in(&store, 1, 0).await;
    let odd = AdminKey {
        name: "a \\ name\0 with \u{1f600}".into(),
        ..key(1)
    };
    store.add_admin_key(odd.clone()).await.unwrap();
    drop(store);
    let store: Store = Arc::new(place.open().await);
    assert!(is_open(&store, 1, 1).await);
    assert_eq!(store.admin_keys().await, Ok(vec![odd]));
    let again = store.sign_in(session(1, 2), LIMITS).await;
    assert_eq!(again, Ok(false), "the nonce is still used");
}
