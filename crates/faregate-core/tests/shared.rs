//! Gates with a ledger each that share one store of used tokens.

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
#[allow(dead_code, reason = "every test file uses its own part")]
mod wallet;
#[path = "support/l402_world.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod world;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use faregate_core::port::Away;
use faregate_core::port::replay::{Noted, ReplayStore};
use faregate_core::rail::l402::InvoiceRate;
use faregate_core::{LightningAsk, Offer, Order, Outcome, Reading, Served, Till};
use faregate_ledger::{Answer, LedgerStore, PaymentState};
use faregate_types::l402::replay::{Dialect, UseName};
use faregate_types::l402::{Macaroon, credential};
use faregate_types::lightning::Preimage;
use faregate_types::{Code, Fingerprint, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, ready};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use wallet::NOW;
use world::*;

/// What all gates share: who noted what.
#[derive(Default)]
struct Notes {
    by_key: Mutex<BTreeMap<String, u32>>,
    secs: Mutex<Vec<u64>>,
    away: AtomicBool,
    /// The store notes, and its answer is lost.
    deaf: AtomicBool,
}

/// One gate's view of it.
struct View(Arc<Notes>, u32);

impl View {
    fn heard<T>(&self, value: T) -> Result<T, Away> {
        let lost = self.0.deaf.load(Ordering::SeqCst);
        (!lost).then_some(value).ok_or(AWAY)
    }
}

const AWAY: Away = Away {
    code: Code::ReplayStoreUnavailable,
};

impl ReplayStore for View {
    fn take(&self, of: UseName, secs: u64) -> BoxFuture<'_, Result<Noted, Away>> {
        async move {
            tokio::task::yield_now().await;
            if self.0.away.load(Ordering::SeqCst) {
                return Err(AWAY);
            }
            self.0.secs.lock().unwrap().push(secs);
            let mut notes = self.0.by_key.lock().unwrap();
            let before = notes.get(&of.key(Dialect::Python)).copied();
            let noted = match before {
                None => Noted::Now,
                Some(own) if own == self.1 => Noted::Before,
                Some(_) => Noted::Elsewhere,
            };
            notes.entry(of.key(Dialect::Python)).or_insert(self.1);
            self.heard(noted)
        }
        .boxed()
    }

    fn give_back(&self, of: UseName) -> BoxFuture<'_, Result<(), Away>> {
        async move {
            tokio::task::yield_now().await;
            if self.0.away.load(Ordering::SeqCst) {
                return Err(AWAY);
            }
            let mut notes = self.0.by_key.lock().unwrap();
            let key = of.key(Dialect::Python);
            if notes.get(&key) == Some(&self.1) {
                notes.remove(&key);
            }
            self.heard(())
        }
        .boxed()
    }
}

/// Two gates of one fleet: the same keys, each its own ledger.
fn fleet() -> (World, World, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let gate = |owner| {
        let view = View(Arc::clone(&notes), owner);
        let many = NonZeroU32::new(10_000).unwrap();
        let rate = InvoiceRate {
            per_minute: many,
            at_once: many,
        };
        world_with(keys(), |rail| rail.rate(rate).replay(Arc::new(view)))
    };
    (gate(1), gate(2), notes)
}

fn times(uses: u32) -> Offer {
    let ask = LightningAsk {
        uses: NonZeroU32::new(uses),
        ..ask()
    };
    offer("GET /joke", ask)
}

/// A request whose service answers badly, or well and dies before that is kept.
async fn sell(till: &Till, offer: &Offer, bought: &Bought, well: bool) -> Outcome<()> {
    let line = credential::write(&bought.token, &bought.preimage);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
    let Reading::Found(credential) = till.read(&headers, offer) else {
        panic!("no credential")
    };
    let asked = get("/joke");
    let order = Order {
        offer,
        asked: &asked,
        fingerprint: Fingerprint::of(&[b"/joke"]),
        idempotency: None,
    };
    let served = if well {
        Served::Well(())
    } else {
        Served::Badly(())
    };
    let serve = move |_paid| -> BoxFuture<'static, Served<()>> { ready(served).boxed() };
    till.run(order, credential, ready(()), serve).await
}

fn states(world: &World) -> Vec<PaymentState> {
    let rows = world.memory.rows.lock().unwrap();
    rows.values().map(|row| row.state).collect()
}

#[tokio::test]
async fn what_one_gate_sold_no_other_sells_again() {
    let (here, there, notes) = fleet();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = here.buy(&offer, &asked).await;
    there.opens(&offer, &asked, &bought).await;
    for world in [&here, &there, &here] {
        let code = world.refused(&offer, &asked, &bought).await;
        assert_eq!(code, Code::L402TokenUsedUp);
    }
    assert_eq!(states(&here), [PaymentState::Released]);
    assert_eq!(states(&there), [PaymentState::Settled]);
    let key = Dialect::Python.key(&bought.preimage);
    assert_eq!(notes.by_key.lock().unwrap().get(&key), Some(&2));
}

/// l402kit's servers note under the same key.
#[tokio::test]
async fn what_l402kit_sold_is_not_sold_again() {
    let (here, _, notes) = fleet();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = here.buy(&offer, &asked).await;
    let key = Dialect::Python.key(&bought.preimage);
    notes.by_key.lock().unwrap().insert(key, 0);
    let code = here.refused(&offer, &asked, &bought).await;
    assert_eq!(code, Code::L402TokenUsedUp);
}

#[tokio::test]
async fn of_many_at_both_gates_at_once_one_is_served() {
    for uses in [1, 3] {
        let (here, there, _) = fleet();
        let (offer, asked) = (times(uses), get("/joke"));
        let bought = here.buy(&offer, &asked).await;
        let (sold, refused) = (AtomicU32::new(0), AtomicU32::new(0));
        let all = (0..200).map(|n| {
            let world = if n % 2 == 0 { &here } else { &there };
            let (offer, asked, bought) = (&offer, &asked, &bought);
            let (sold, refused) = (&sold, &refused);
            async move {
                match world.send(offer, asked, bought).await {
                    Outcome::Passed { .. } => sold.fetch_add(1, Ordering::SeqCst),
                    Outcome::Unpaid { .. } => refused.fetch_add(1, Ordering::SeqCst),
                    other => panic!("{other:?}"),
                };
            }
        });
        join_all(all).await;
        // Who comes while a use is being sold is refused, so others may be left of several.
        let mut found = sold.load(Ordering::SeqCst);
        assert!((1..=uses).contains(&found), "{found} of {uses}");
        assert_eq!(found + refused.load(Ordering::SeqCst), 200);
        for world in [&here, &there] {
            while let Outcome::Passed { .. } = world.send(&offer, &asked, &bought).await {
                found += 1;
            }
        }
        assert_eq!(found, uses);
    }
}

#[tokio::test]
async fn without_the_store_nothing_is_served_and_nothing_is_lost() {
    for lost in [false, true] {
        let (here, there, notes) = fleet();
        let (offer, asked) = (jokes(), get("/joke"));
        let bought = here.buy(&offer, &asked).await;
        let trouble = if lost { &notes.deaf } else { &notes.away };
        trouble.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let outcome = here.send(&offer, &asked, &bought).await;
            assert!(
                matches!(outcome, Outcome::Unavailable(away) if away == AWAY),
                "{outcome:?}"
            );
        }
        assert_eq!(AWAY.code.http_status(), 503);
        trouble.store(false, Ordering::SeqCst);
        if lost {
            // Nobody knows whether it was noted: it was, and stays with the gate that asked.
            assert_eq!(
                there.refused(&offer, &asked, &bought).await,
                Code::L402TokenUsedUp
            );
        }
        here.opens(&offer, &asked, &bought).await;
        let code = here.refused(&offer, &asked, &bought).await;
        assert_eq!(code, Code::L402TokenUsedUp);
    }
}

#[tokio::test]
async fn what_bought_nothing_is_given_back_to_all() {
    let (here, there, notes) = fleet();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = here.buy(&offer, &asked).await;
    for world in [&here, &there, &here] {
        let outcome = sell(&world.till, &offer, &bought, false).await;
        assert!(matches!(outcome, Outcome::NotSold(())), "{outcome:?}");
        assert!(notes.by_key.lock().unwrap().is_empty());
    }
    let outcome = sell(&here.till, &offer, &bought, true).await;
    let Outcome::Sold { sale, .. } = outcome else {
        panic!("{outcome:?}")
    };
    sale.give_back().await;
    there.opens(&offer, &asked, &bought).await;
    assert_eq!(
        here.refused(&offer, &asked, &bought).await,
        Code::L402TokenUsedUp
    );
}

/// Died between note and answer: the same request is served by whoever has its ledger, and by nobody else until recovery
/// gives the use back.
#[tokio::test]
async fn a_gate_that_died_knows_its_note_again() {
    let (here, there, notes) = fleet();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = [
        here.buy(&offer, &asked).await,
        here.buy(&offer, &asked).await,
    ];
    for bought in &bought {
        let outcome = sell(&here.till, &offer, bought, true).await;
        assert!(matches!(outcome, Outcome::Sold { .. }), "{outcome:?}");
    }
    // The same ledger and name in a process that remembers nothing.
    let clock = Arc::clone(&here.clock);
    let store = Arc::clone(&here.memory) as Arc<dyn LedgerStore>;
    let now = move || Timestamp::from_secs(clock.load(Ordering::SeqCst));
    let till = Till::new(store, Arc::new(now), vec![Arc::clone(&here.rail) as _]);
    assert_eq!(
        there.refused(&offer, &asked, &bought[0]).await,
        Code::L402TokenUsedUp
    );
    let outcome = sell(&till, &offer, &bought[0], true).await;
    let Outcome::Sold { sale, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let answer = Answer {
        status: 200,
        headers: vec![],
        body: None,
    };
    sale.keep(answer).await.unwrap();
    assert_eq!(notes.by_key.lock().unwrap().len(), 2);
    let recovery = till.recovery();
    let report = recovery.sweep(Timestamp::from_secs(NOW + 60), 10);
    assert_eq!(report.await.unwrap().released, 1);
    assert_eq!(notes.by_key.lock().unwrap().len(), 1);
    there.opens(&offer, &asked, &bought[1]).await;
    assert_eq!(
        there.refused(&offer, &asked, &bought[0]).await,
        Code::L402TokenUsedUp
    );
}

/// A holder makes the token shorter, uses it, and comes with the longer one when the note of the shorter would be gone.
#[tokio::test]
async fn a_note_lives_as_long_as_the_token_that_was_issued() {
    let (here, _, notes) = fleet();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = here.buy(&offer, &asked).await;
    let token = Macaroon::from_base64(&bought.token).unwrap();
    let until = format!("jokes_valid_until={}", NOW + 5);
    let shorter = Bought {
        token: token.attenuate(until).unwrap().to_base64(),
        preimage: Preimage::from_bytes(*bought.preimage.expose()),
    };
    here.opens(&offer, &asked, &shorter).await;
    let secs = notes.secs.lock().unwrap().clone();
    assert!(secs.iter().all(|secs| *secs > 3_600), "{secs:?}");
    assert_eq!(
        here.refused(&offer, &asked, &bought).await,
        Code::L402TokenUsedUp
    );
}

#[tokio::test]
async fn tokens_for_any_number_of_requests_are_not_noted() {
    let (here, there, notes) = fleet();
    let asked = get("/joke");
    let bought = here.buy(&passes(), &asked).await;
    notes.away.store(true, Ordering::SeqCst);
    for world in [&here, &there] {
        world.opens(&passes(), &asked, &bought).await;
    }
}
