//! The client without async: the same purchases, and no panic where nothing may wait.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use common::lightning::{Net, SAT, honest_l402, msat_caps};
use common::{Seller, caps, honest, memory, raw, raw_seller, wallet};
use faregate_client::blocking::{Client, ClientBuilder, Error};
use faregate_client::{Event, Kind, LightningWallet, Quote, SpendState, WalletStore};
use reqwest::header::{HeaderName, HeaderValue};
use tokio::runtime::Runtime;

/// A runtime for sellers, that this thread is not inside of.
fn world<T>(start: impl Future<Output = T>) -> (Runtime, T) {
    let runtime = Runtime::new().unwrap();
    let started = runtime.block_on(start);
    (runtime, started)
}

fn builder(store: &Arc<dyn WalletStore>) -> ClientBuilder {
    Client::builder()
        .wallet(wallet())
        .caps(caps())
        .store(store.clone())
}

#[test]
fn a_joke_is_bought_without_async() {
    let (_world, seller) = world(honest());
    let store = memory();
    let client = builder(&store).build().unwrap();
    let mut events = client.events();
    let quote = client.get(seller.url("/joke")).quote().unwrap();
    assert!(matches!(quote, Quote::Priced(_)));
    let name = HeaderName::from_static("x-mine");
    let request = client
        .post(seller.url("/joke"))
        .header(name, HeaderValue::from_static("1"))
        .json(&[1, 2])
        .timeout(Duration::from_secs(30));
    let paid = request.send().unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(paid.answer.status(), 200);
    assert!(paid.answer.headers().contains_key("payment-response"));
    assert_eq!(paid.answer.url().path(), "/joke");
    assert_eq!(paid.answer.text().unwrap(), "served");
    let seen = seller.seen();
    assert_eq!((&seen[1].body[..], seen.len()), (&b"[1,2]"[..], 3));
    assert!(matches!(events.next_event(), Ok(Some(Event::Spent(_)))));
    assert!(matches!(events.next_event(), Ok(Some(Event::Ended { .. }))));
    client.acknowledge(&payment).unwrap();
    client.flush().unwrap();
    assert!(client.pending().unwrap().is_empty());
    let report = client.spending_report(9).unwrap();
    assert_eq!(report.transactions.len(), 1);
    assert_eq!(report.transactions[0].state, SpendState::Paid);
    assert_eq!(client.payer(), client.as_async().payer());
    drop(client);
    while events.next_event().unwrap().is_some() {}
}

#[test]
fn invoices_are_paid_and_tokens_shown_without_async() {
    let (_world, (net, seller)) = world(async {
        let net = Net::start().await;
        let seller = honest_l402(&net, 2).await;
        (net, seller)
    });
    let store = memory();
    let lightning = LightningWallet::new(net.sender(), msat_caps(15 * SAT));
    let client = Client::builder().lightning(lightning).store(store);
    let client = client.build().unwrap();
    for number in 0..3 {
        let paid = client.get(seller.url("/")).send().unwrap();
        assert_eq!(paid.payment.is_some(), number != 1);
    }
}

#[test]
fn threads_share_a_client_and_its_caps() {
    let (_world, seller) = world(honest());
    let store = memory();
    let mut three = caps();
    three.total = Some(common::cents(3));
    let client = builder(&store).caps(three).build().unwrap();
    let buy = |client: Client, seller: Seller| {
        move || match client.get(seller.url("/")).send() {
            Ok(_) => 1,
            Err(Error::Pay(error)) => {
                assert_eq!(error.kind(), Kind::OverBudget);
                0
            }
            Err(error) => panic!("{error}"),
        }
    };
    let crowd: Vec<_> = (0..16)
        .map(|_| std::thread::spawn(buy(client.clone(), seller.clone())))
        .collect();
    let bought: u32 = crowd.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(bought, 3);
}

/// Whoever calls it inside a runtime hears why not, in every flavour, and nothing is paid.
#[test]
fn inside_a_runtime_it_refuses_and_does_not_panic() {
    let (_world, seller) = world(honest());
    let store = memory();
    let client = builder(&store).build().unwrap();
    let answer = client.get(seller.url("/")).send().unwrap().answer;
    let current = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for runtime in [current, Runtime::new().unwrap()] {
        runtime.block_on(async {
            let inside = |error: Error| assert!(matches!(error, Error::InsideRuntime), "{error}");
            inside(client.get(seller.url("/")).send().unwrap_err());
            inside(client.get(seller.url("/")).quote().unwrap_err());
            inside(client.flush().unwrap_err());
            inside(client.events().next_event().unwrap_err());
            inside(builder(&store).build().unwrap_err());
            // Clones may be dropped here; the last one need not wait for anything else.
            drop(client.clone());
            let (client, store) = (client.clone(), store.clone());
            let in_task = tokio::spawn(async move {
                let built = builder(&store).build().is_err();
                built && client.pending().is_err()
            });
            assert!(in_task.await.unwrap());
        });
    }
    assert_eq!(seller.payments().len(), 1);
    assert_eq!(answer.text().unwrap(), "served");
    // The last owner goes while a runtime runs.
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { drop(client) });
}

#[test]
fn a_body_is_read_whole_or_piece_by_piece() {
    let seller = raw_seller(|_| Some(raw(200, &[], "0123456789")));
    let client = builder(&memory()).build().unwrap();
    let mut paid = client.get(seller.url("/")).send().unwrap();
    assert!(paid.payment.is_none());
    let mut start = [0; 4];
    paid.answer.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"0123");
    assert_eq!(paid.answer.bytes().unwrap(), b"456789");
    let mut whole = String::new();
    let mut paid = client.get(seller.url("/")).send().unwrap();
    paid.answer.read_to_string(&mut whole).unwrap();
    assert_eq!(whole, "0123456789");
    let number: u64 = client
        .get(seller.url("/"))
        .send()
        .unwrap()
        .answer
        .json()
        .unwrap_or(7);
    assert_eq!(number, 7, "a leading zero is no JSON");
    // A body that breaks off is an error and not its beginning.
    let broken = raw_seller(|_| {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nonly this";
        Some(answer.as_bytes().to_vec())
    });
    let paid = client.get(broken.url("/")).send().unwrap();
    assert!(matches!(paid.answer.bytes(), Err(Error::Body(_))));
}

/// Work that panics ends alone.
#[test]
fn a_panic_on_the_thread_of_the_client_is_an_error() {
    let (_world, seller) = world(honest());
    let client = builder(&memory()).build().unwrap();
    let panicked: Result<(), Error> =
        client.wait(|_| async { panic!("the work of a test panics") });
    assert!(matches!(panicked, Err(Error::NoThread)));
    let paid = client.get(seller.url("/")).send().unwrap();
    assert!(paid.payment.is_some());
    let payer = client.wait(|client| async move { client.payer() }).unwrap();
    assert_eq!(payer, client.payer());
}
