//! How tokens end before they are used up: keys that are taken away, tokens that are revoked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;
#[path = "support/wallet.rs"]
mod wallet;
#[path = "support/l402_world.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod world;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use faregate_core::port::lightning::{ANSWER_INVALID, InvoiceState, UNAVAILABLE, Wanted};
use faregate_core::rail::l402::{Confirms, MasterKey, MasterKeys, Revocations};
use faregate_core::{Away, LightningAsk, Outcome, Reading};
use faregate_ledger::{Revocation, RevocationStore, RevokedName, StoreError};
use faregate_types::l402::{Identifier, Macaroon, credential};
use faregate_types::lightning::Preimage;
use faregate_types::{Code, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use wallet::NOW;
use world::*;

#[tokio::test]
async fn a_new_master_key_takes_the_tokens_of_the_old_one_until_that_is_taken_away() {
    let (offer, asked) = (
        offer(
            "any",
            LightningAsk {
                uses: None,
                ..ask()
            },
        ),
        get("/joke"),
    );
    let old = world();
    let bought = old.buy(&offer, &asked).await;
    let fresh = || MasterKeys::new(MasterKey::from_bytes([2; 32]));
    let both = world_with(fresh().and_older(MasterKey::from_bytes(MASTER)), |rail| {
        rail
    });
    both.opens(&offer, &asked, &bought).await;
    let newer = both.buy(&offer, &asked).await;
    both.opens(&offer, &asked, &newer).await;
    let revoked = world_with(fresh(), |rail| rail);
    assert_eq!(
        revoked.refused(&offer, &asked, &bought).await,
        Code::L402TokenForged
    );
    assert_eq!(
        old.refused(&offer, &asked, &newer).await,
        Code::L402TokenForged
    );
}

#[tokio::test]
async fn an_old_key_can_be_taken_until_a_date() {
    let (offer, asked) = (passes(), get("/joke"));
    let old = world();
    let bought = old.buy(&offer, &asked).await;
    let end = NOW + 100;
    let keys = MasterKeys::new(MasterKey::from_bytes([2; 32]))
        .and_older_until(MasterKey::from_bytes(MASTER), Timestamp::from_secs(end));
    let both = world_with(keys, |rail| rail);
    both.opens(&offer, &asked, &bought).await;
    // Known by its line now, and no longer than its key.
    let line = credential::write(&bought.token, &bought.preimage);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
    let Reading::Found(credential) = both.till.read(&headers, &offer) else {
        panic!()
    };
    assert!(
        both.till
            .new_pass(&headers, &offer, &asked, &credential)
            .is_some()
    );
    both.clock.store(end - 1, Ordering::SeqCst);
    assert!(both.till.pass(&headers, &offer, &asked).is_some());
    both.clock.store(end, Ordering::SeqCst);
    assert!(both.till.pass(&headers, &offer, &asked).is_none());
    assert_eq!(
        both.refused(&offer, &asked, &bought).await,
        Code::L402TokenExpired
    );
    let newer = both.buy(&offer, &asked).await;
    both.opens(&offer, &asked, &newer).await;
}

/// A list that is kept, unless the ledger is away.
#[derive(Default)]
struct List {
    entries: Mutex<Vec<Revocation>>,
    away: AtomicBool,
}

impl RevocationStore for List {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        if self.away.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable)).boxed();
        }
        let mut entries = self.entries.lock().unwrap();
        let new = !entries.iter().any(|entry| entry.name == revocation.name);
        if new {
            entries.push(revocation);
        }
        ready(Ok(new)).boxed()
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        if self.away.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable)).boxed();
        }
        ready(Ok(self.entries.lock().unwrap().clone())).boxed()
    }
}

async fn revocable(list: &Arc<List>) -> (World, Arc<Revocations>) {
    let store = Arc::clone(list) as Arc<dyn RevocationStore>;
    let revocations = Arc::new(Revocations::load(store).await.unwrap());
    let with = Arc::clone(&revocations);
    (
        world_with(keys(), |rail| rail.revocations(with)),
        revocations,
    )
}

/// A payment's hash and the id of its token.
fn names(bought: &Bought) -> [RevokedName; 2] {
    let token = Macaroon::from_base64(&bought.token).unwrap();
    let identifier = Identifier::decode(token.identifier()).unwrap();
    [*identifier.payment_hash.as_bytes(), identifier.token_id].map(RevokedName::from_bytes)
}

fn headers(bought: &Bought) -> HeaderMap {
    let line = credential::write(&bought.token, &bought.preimage);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
    headers
}

const LATER: Timestamp = Timestamp::from_secs(NOW + 1);

#[tokio::test]
async fn a_token_is_revoked_by_its_id_or_with_its_payment_and_stays_so() {
    for by in [0, 1] {
        let list = Arc::new(List::default());
        let (world, revocations) = revocable(&list).await;
        for (offer, asked) in [(jokes(), get("/joke")), (passes(), get("/joke"))] {
            let (bought, other) = (
                world.buy(&offer, &asked).await,
                world.buy(&offer, &asked).await,
            );
            let name = names(&bought)[by];
            assert_eq!(revocations.revoke(name, LATER).await, Ok(true));
            assert_eq!(revocations.revoke(name, LATER).await, Ok(false));
            for _ in 0..2 {
                let code = world.refused(&offer, &asked, &bought).await;
                assert_eq!(code, Code::L402TokenRevoked);
            }
            world.opens(&offer, &asked, &other).await;
            // Another process, with what the first one wrote.
            let (again, _) = revocable(&list).await;
            let code = again.refused(&offer, &asked, &bought).await;
            assert_eq!(code, Code::L402TokenRevoked);
        }
    }
}

#[tokio::test]
async fn a_pass_that_is_known_by_its_line_is_revoked_too() {
    for by in [0, 1] {
        let (world, revocations) = revocable(&Arc::new(List::default())).await;
        let (offer, asked) = (passes(), get("/joke"));
        let bought = world.buy(&offer, &asked).await;
        world.opens(&offer, &asked, &bought).await;
        let headers = headers(&bought);
        let Reading::Found(credential) = world.till.read(&headers, &offer) else {
            panic!()
        };
        let new_pass = || world.till.new_pass(&headers, &offer, &asked, &credential);
        assert!(new_pass().is_some());
        assert!(world.till.pass(&headers, &offer, &asked).is_some());
        assert_eq!(
            revocations.revoke(names(&bought)[by], LATER).await,
            Ok(true)
        );
        assert!(world.till.pass(&headers, &offer, &asked).is_none());
        assert!(new_pass().is_none());
        let code = world.refused(&offer, &asked, &bought).await;
        assert_eq!(code, Code::L402TokenRevoked);
    }
}

#[tokio::test]
async fn what_the_ledger_did_not_take_is_not_revoked() {
    let list = Arc::new(List::default());
    let (world, revocations) = revocable(&list).await;
    let (offer, asked) = (passes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    list.away.store(true, Ordering::SeqCst);
    let away = revocations.revoke(names(&bought)[0], LATER).await;
    assert_eq!(away.unwrap_err().code, Code::StoreUnavailable);
    world.opens(&offer, &asked, &bought).await;
    // And nothing starts without the list.
    let store = Arc::clone(&list) as Arc<dyn RevocationStore>;
    assert!(Revocations::load(store).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_begins_after_a_token_was_revoked_is_served() {
    let (world, revocations) = revocable(&Arc::new(List::default())).await;
    let world = Arc::new(world);
    let (offer, asked) = (Arc::new(passes()), get("/joke"));
    let bought = Arc::new(world.buy(&offer, &asked).await);
    let name = names(&bought)[1];
    let (revoked, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let users = (0..8).map(|_| {
        let (world, offer, bought) = (Arc::clone(&world), Arc::clone(&offer), Arc::clone(&bought));
        let (revoked, served, asked) = (Arc::clone(&revoked), Arc::clone(&served), asked.clone());
        tokio::spawn(async move {
            let headers = headers(&bought);
            let mut refused = 0;
            while refused < 50 {
                let began_late = revoked.load(Ordering::SeqCst);
                let passed = world.till.pass(&headers, &offer, &asked).is_some()
                    || matches!(
                        world.send(&offer, &asked, &bought).await,
                        Outcome::Passed { .. }
                    );
                if passed {
                    assert!(!began_late, "served after it was revoked");
                    served.fetch_add(1, Ordering::SeqCst);
                } else {
                    refused += 1;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let users: Vec<_> = users.collect();
    while served.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(revocations.revoke(name, LATER).await, Ok(true));
    revoked.store(true, Ordering::SeqCst);
    for user in users {
        user.await.unwrap();
    }
}

/// What the wallet says about every invoice.
struct Word {
    says: Mutex<Result<InvoiceState, Away>>,
    asked: AtomicU32,
}

impl Word {
    fn set(&self, word: Result<InvoiceState, Away>) {
        *self.says.lock().unwrap() = word;
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Confirms for Word {
    fn confirm<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        assert_eq!(wanted.amount, ask().price);
        self.asked.fetch_add(1, Ordering::SeqCst);
        ready(*self.says.lock().unwrap()).boxed()
    }
}

#[tokio::test]
async fn a_strict_gate_believes_its_wallet_besides_the_preimage() {
    let word = Arc::new(Word {
        says: Mutex::new(Ok(InvoiceState::Open)),
        asked: AtomicU32::new(0),
    });
    let wallet = Arc::clone(&word) as Arc<dyn Confirms>;
    let world = world_with(keys(), |rail| rail.strict(wallet));
    let thrice = offer(
        "thrice",
        LightningAsk {
            uses: NonZeroU32::new(3),
            ..ask()
        },
    );
    for offer in [jokes(), thrice, passes()] {
        let asked = get("/joke");
        let bought = world.buy(&offer, &asked).await;
        // Nobody knows yet: come back, nothing is used.
        for word_now in [
            Ok(InvoiceState::Open),
            Err(ANSWER_INVALID),
            Err(Away {
                code: Code::Internal,
            }),
        ] {
            word.set(word_now);
            let outcome = world.send(&offer, &asked, &bought).await;
            let Outcome::Unavailable(away) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(away.code, Code::PaymentUnknown);
            assert_eq!(away.code.http_status(), 503);
        }
        word.set(Err(UNAVAILABLE));
        let outcome = world.send(&offer, &asked, &bought).await;
        let Outcome::Unavailable(away) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(away.code, Code::LightningUnavailable);
        // The wallet knows that it was not paid.
        for state in [
            InvoiceState::Expired,
            InvoiceState::Cancelled,
            InvoiceState::Unknown,
        ] {
            word.set(Ok(state));
            let code = world.refused(&offer, &asked, &bought).await;
            assert_eq!(code, Code::L402InvoiceUnpaid);
        }
        // It was, and nobody has to ask twice.
        word.set(Ok(InvoiceState::Paid { amount: None }));
        let before = word.asked();
        world.opens(&offer, &asked, &bought).await;
        word.set(Err(UNAVAILABLE));
        match offer.route() {
            "thrice" => {
                world.opens(&offer, &asked, &bought).await;
                world.opens(&offer, &asked, &bought).await;
            }
            "any" => world.opens(&offer, &asked, &bought).await,
            _ => {}
        }
        assert_eq!(word.asked(), before + 1);
    }
}

#[tokio::test]
async fn every_refusal_in_the_words_of_the_published_documents() {
    let world = world_with(keys(), |rail| rail.replay_is_401(true).exact_texts(true));
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    let expired = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &bought).await;
    let forged = Bought {
        token: bought.token.clone(),
        preimage: Preimage::from_bytes([3; 32]),
    };
    world.clock.store(NOW + 3_600, Ordering::SeqCst);
    let before = world.wallet.made();
    let line = |bought: &Bought| credential::write(&bought.token, &bought.preimage).to_string();
    for line in [
        line(&expired),
        line(&forged),
        "L402 nonsense".to_owned(),
        format!("L402 {}:{}", bought.token, "ab".repeat(48)),
    ] {
        let Outcome::Unpaid { challenge, .. } = world.send_line(&offer, &asked, &line).await else {
            panic!("{line}")
        };
        assert_eq!(challenge.status, 401);
        assert_eq!(&*challenge.bytes, br#"{"error":"Unauthorized"}"#);
    }
    assert_eq!(world.wallet.made(), before);
    world.clock.store(NOW, Ordering::SeqCst);
    let plain = world.challenge(&offer, &asked).await.unwrap();
    assert_eq!(plain.status, 402);
    assert_eq!(plain.body["error"], "Payment Required");
    let again = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &again).await;
    let Outcome::Unpaid { challenge, .. } = world.send(&offer, &asked, &again).await else {
        panic!()
    };
    assert_eq!(challenge.status, 401);
    assert_eq!(&*challenge.bytes, br#"{"error":"Token already used"}"#);
}

/// What l402-requests 0.9.0 sends over LND: the preimage's digits, decoded as base64 and written out again.
#[tokio::test]
async fn a_preimage_that_was_decoded_twice_is_named_as_such() {
    let recorded = include_str!("../../../conformance/vectors/l402.json");
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let wrong = recorded["double_decoded_preimage"]["wrong_96_hex"].as_str();
    let world = world();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    let line = format!("L402 {}:{}", bought.token, wrong.unwrap());
    let Outcome::Unpaid { challenge, .. } = world.send_line(&offer, &asked, &line).await else {
        panic!()
    };
    assert_eq!(challenge.status, 401);
    assert_eq!(challenge.body["error"], "l402_token_malformed");
    let detail = challenge.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("decodes hexadecimal text as base64"),
        "{detail}"
    );
}
