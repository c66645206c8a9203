//! Twenty who pay at once, while gate and core are killed in turn: what is locked at the core is held by the gate, and is sold
//! once to whoever does not give up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use faregate_types::credit::Certificate;
use faregate_types::x402::Version;
use futures_util::future::join_all;
use serde_json::Value;

use super::shop::{BOTH, LEFT_ALONE, Promise, Shop, held, is_passing};
use super::*;

/// Each of these accounts pays from so many places at once.
const ACCOUNTS: usize = 4;
const PLACES: usize = 5;

/// How often both are killed, each time after so many more answers of the service.
const ROUNDS: u32 = 3;
const ANSWERS: u32 = 20;

/// What was promised, and what was heard for it by whoever waited.
type Bought = Vec<(Promise, Option<String>)>;

/// Somebody who pays.
struct Place {
    number: usize,
    payer: CreditClient,
    version: Version,
    offer: Value,
}

impl Place {
    async fn new(shop: &Shop, number: usize) -> Self {
        let version = BOTH[usize::from(number % (2 * ACCOUNTS) >= ACCOUNTS)];
        Self {
            number,
            payer: client(&shop.town.url, PAYER + number % ACCOUNTS).await,
            version,
            offer: shop.offer(version).await,
        }
    }

    /// Buys until it is over. Every third time it gives up when there is no answer at once.
    async fn buys(&self, shop: &Shop, is_over: &AtomicBool) -> Bought {
        let mut bought = Bought::new();
        while !is_over.load(Ordering::SeqCst) {
            let ticket = shop.ticket(self.version, self.payer.address(), &self.offer);
            if let Some(ticket) = ticket.await {
                let promise = shop.signed(self.version, &self.payer, self.offer.clone(), &ticket);
                let promise = promise.await;
                let gives_up = bought.len() % 3 == self.number % 3;
                let answer = insists(shop, &promise, gives_up, is_over).await;
                bought.push((promise, answer));
            }
            sleep(Duration::from_millis(50)).await;
        }
        bought
    }
}

/// Sends the same bytes until they are answered, or once.
async fn insists(
    shop: &Shop,
    promise: &Promise,
    gives_up: bool,
    is_over: &AtomicBool,
) -> Option<String> {
    loop {
        match shop.buy(promise).await {
            Some((200, joke)) => return Some(joke),
            Some((status, said)) => assert!(is_passing(status, &said), "{status} {said}"),
            None => {}
        }
        if gives_up || is_over.load(Ordering::SeqCst) {
            return None;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Kills the gate and the core in turn, while there is something to do for them.
async fn disturbs(shop: &Shop, gate: &mut Child, core: &mut Child, is_over: &AtomicBool) {
    let goes_on = async || {
        let until = shop.runs() + ANSWERS;
        let is_so = async {
            while shop.runs() < until {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, is_so)
            .await
            .expect("nothing is sold any more");
    };
    for _ in 0..ROUNDS {
        goes_on().await;
        gate.kill().await.unwrap();
        *gate = shop.gate(None).await;
        goes_on().await;
        core.kill().await.unwrap();
        *core = shop.town.start(None).await;
    }
    goes_on().await;
    is_over.store(true, Ordering::SeqCst);
}

/// What the core has of each tab and number.
type Issued = BTreeMap<(U256, U256), Option<Certificate>>;

/// All guarantees of the core, and their certificates.
async fn issued(shop: &Shop, all: &Bought) -> Issued {
    let tabs: BTreeSet<U256> = all
        .iter()
        .map(|(promise, _)| promise.claims.tab_id)
        .collect();
    let mut found = Issued::new();
    for tab in tabs {
        let about = shop.town.recipient.recipient();
        for guarantee in about.guarantees(tab).await.unwrap() {
            let certificate = guarantee.certificate.map(|text| text.0);
            let twice = found.insert((tab, guarantee.req_id), certificate);
            assert!(twice.is_none(), "{tab} {}", guarantee.req_id);
        }
    }
    found
}

fn name(promise: &Promise) -> (U256, U256) {
    (promise.claims.tab_id, promise.claims.req_id)
}

/// Whether the gate holds what the core has issued, all of it and nothing else.
async fn is_held(shop: &Shop, all: &Bought, issued: &Issued) -> bool {
    let books = shop.books().await;
    for (promise, _) in all {
        let held = held(&books, promise).await.1.map(|held| held.certificate);
        match (issued.get(&name(promise)), held) {
            (None, None) => {}
            (Some(Some(issued)), Some(held)) => assert_eq!(*issued, held),
            _ => return false,
        }
    }
    true
}

/// Returns what the core has issued when the gate holds all of it.
async fn all_held(shop: &Shop, all: &Bought) -> Issued {
    let is_so = async {
        loop {
            let issued = issued(shop, all).await;
            if is_held(shop, all, &issued).await {
                return issued;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(SOON, is_so).await.expect("a certificate is lost")
}

/// Everybody who asks again gets what they got, or what nobody got; no answer is sold for two promises.
async fn sells_each_once(shop: &Shop, all: &Bought, issued: &Issued) {
    let mut sold = BTreeSet::new();
    for (promise, heard) in all {
        if issued.contains_key(&name(promise)) {
            let joke = shop.bought(promise, "afterwards").await;
            assert!(
                heard.as_ref().is_none_or(|heard| *heard == joke),
                "{heard:?} {joke}"
            );
            assert!(sold.insert(joke));
        } else {
            assert_eq!(*heard, None, "sold and not guaranteed: {promise:?}");
        }
    }
    assert_eq!(sold.len(), issued.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_who_pay_while_everything_is_killed_are_charged_once_each() {
    let (shop, mut core) = Shop::open(ACCOUNTS).await;
    let mut gate = shop.gate(None).await;
    let mut places = Vec::new();
    for number in 0..ACCOUNTS * PLACES {
        places.push(Place::new(&shop, number).await);
    }
    let is_over = AtomicBool::new(false);
    let buying = join_all(places.iter().map(|place| place.buys(&shop, &is_over)));
    let disturbing = disturbs(&shop, &mut gate, &mut core, &is_over);
    let (all, ()) = tokio::join!(buying, disturbing);
    let all: Bought = all.into_iter().flatten().collect();

    // What it has asked about in vain it asks later and later, but for the first time after a start.
    gate.kill().await.unwrap();
    sleep(LEFT_ALONE).await;
    let mut gate = shop.gate(None).await;
    let certificates = all_held(&shop, &all).await;
    sells_each_once(&shop, &all, &certificates).await;
    gate.kill().await.unwrap();
    assert_eq!(issued(&shop, &all).await, certificates);
    assert!(is_held(&shop, &all, &certificates).await);
    for account in PAYER..PAYER + ACCOUNTS {
        let payer = Devchain::accounts()[account].address;
        let of_payer = all.iter().filter(|(promise, _)| {
            promise.claims.payer == payer && certificates.contains_key(&name(promise))
        });
        shop.locked(account, of_payer.count() as u64).await;
    }
    core.kill().await.unwrap();
    shop.town.agrees().await;
}
