//! Servers that ask for too much, for nonsense, or for ever.
#![allow(clippy::unwrap_used, reason = "tests may, in their helpers too")]

mod common;

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use common::lightning::{Net, SAT, ask_with, invoice_of, l402_seller, msat_caps, now, shown};
use common::memory;
use faregate_client::{Kind, PayError, SpendState};
use faregate_types::limits::HEADER_BYTES_MAX;
use faregate_types::{Code, Timestamp};
use serde_json::json;

/// Of the specification: 2,500 µBTC on the main network, expired long ago.
const MAINNET: &str = "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu\
                       aztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp";

/// What a client that may pay a thousand satoshis says to one answer, at this time.
async fn verdict(
    net: &Arc<Net>,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
    at: Timestamp,
) -> PayError {
    let seller = common::seller(move |_| answer()).await;
    let (before, store) = (net.spent(), memory());
    let client = net.client(&store).clock(move || at).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(net.spent(), before, "{error}");
    let spends = store.recent_spends(1).await.unwrap();
    assert!(spends.is_empty(), "{error}: {spends:?}");
    assert_eq!(seller.seen().len(), 1);
    error
}

fn with_body(token: &str, invoice: &str, body: &serde_json::Value) -> Response {
    let mut response = ask_with(token, invoice);
    *response.body_mut() = body.to_string().into();
    response
}

type Answer = Box<dyn Fn() -> Response + Send + Sync>;

async fn refused(table: Vec<(&'static str, Answer, Code)>) {
    let net = Net::start().await;
    for (name, answer, code) in table {
        let answer = Arc::new(answer);
        let error = verdict(&net, move || answer(), now()).await;
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(matches!(error.kind(), Kind::NoOffer | Kind::OverBudget));
    }
}

fn beside(invoice: &str, body: serde_json::Value) -> Answer {
    let invoice = invoice.to_owned();
    Box::new(move || with_body("AAAA", &invoice, &body))
}

fn alone(body: serde_json::Value) -> Answer {
    Box::new(move || (StatusCode::PAYMENT_REQUIRED, body.to_string()).into_response())
}

fn challenge(invoice: String) -> Answer {
    Box::new(move || ask_with("AAAA", &invoice))
}

#[tokio::test]
async fn l402_hole_11_an_invoice_is_not_paid_beside_another_price() {
    let invoice = invoice_of(1, Some(10 * SAT));
    let odd = invoice_of(5, Some(10 * SAT + 1));
    let code = Code::InvoicePriceMismatch;
    refused(vec![
        ("below", beside(&invoice, json!({"price_sats": 9})), code),
        ("above", beside(&invoice, json!({"priceSats": "11"})), code),
        ("fractions", beside(&odd, json!({"price_sats": 9})), code),
        (
            "in a body alone",
            alone(json!({"price_sats": 1, "invoice": invoice, "macaroon": "AAAA"})),
            code,
        ),
    ])
    .await;
}

#[tokio::test]
async fn no_answer_gets_more_than_its_invoice_says_and_allows() {
    let invoice = invoice_of(1, Some(10 * SAT));
    let other = invoice_of(2, Some(10 * SAT));
    let two = {
        let mut headers = ask_with("AAAA", &invoice).headers().clone();
        let more = ask_with("AAAA", &other);
        for line in more.headers().get_all("www-authenticate") {
            headers.append("www-authenticate", line.clone());
        }
        headers
    };
    let token = |token: &str| alone(json!({"invoice": invoice, "macaroon": token}));
    refused(vec![
        (
            "main network",
            challenge(MAINNET.to_owned()),
            Code::NetworkNotAllowed,
        ),
        (
            "no amount",
            challenge(invoice_of(3, None)),
            Code::InvoiceUnusable,
        ),
        (
            "above the cap",
            challenge(invoice_of(4, Some(1_000 * SAT))),
            Code::OverPaymentCap,
        ),
        (
            "no invoice",
            challenge("lnbcrt1".to_owned()),
            Code::InvoiceUnusable,
        ),
        (
            "two challenges",
            Box::new(move || (StatusCode::PAYMENT_REQUIRED, two.clone()).into_response()),
            Code::MalformedOffer,
        ),
        (
            "header and body differ",
            beside(&invoice, json!({"invoice": other, "macaroon": "AAAA"})),
            Code::MalformedOffer,
        ),
        (
            "token that fits no header",
            token(&"A".repeat(HEADER_BYTES_MAX)),
            Code::CredentialTooLarge,
        ),
        (
            "token with a line break",
            token("AA\r\nX: y"),
            Code::MalformedOffer,
        ),
    ])
    .await;
}

#[tokio::test]
async fn expired_and_nearly_expired_invoices_are_not_paid() {
    let net = Net::start().await;
    let invoice = net.invoice(10 * SAT).await;
    let token = net.token(&invoice);
    let end = invoice.expires_at().as_secs();
    for (at, code) in [
        (end + 1, Code::InvoiceExpired),
        (end, Code::InvoiceExpired),
        (end - 4, Code::InvoiceExpired),
    ] {
        let (token, invoice) = (token.clone(), invoice.clone());
        let answer = move || ask_with(&token, invoice.as_str());
        let error = verdict(&net, answer, Timestamp::from_secs(at)).await;
        assert_eq!(error.code(), code, "{at}");
    }
}

#[tokio::test]
async fn who_asks_for_ever_is_paid_once() {
    let net = Net::start().await;
    for status in [StatusCode::PAYMENT_REQUIRED, StatusCode::UNAUTHORIZED] {
        let (shop, before) = (net.clone(), net.spent());
        let seller = l402_seller(move |request| {
            let net = shop.clone();
            async move {
                let mut response = net.ask(10 * SAT).await;
                if shown(&request).is_some() {
                    *response.status_mut() = status;
                }
                response
            }
        })
        .await;
        let store = memory();
        let client = net.client(&store).build().unwrap();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (Kind::Refused, Code::PaymentRefused)
        );
        assert_eq!(net.spent() - before, 11 * SAT + 1);
        assert_eq!(seller.seen().len(), 2);
        // The money has moved, whatever the server says.
        let record = store
            .spend(error.payment().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.state, SpendState::Paid);
        assert!(client.pending().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_wants_more_after_it_was_paid_gets_nothing() {
    let net = Net::start().await;
    let shop = net.clone();
    let seller = l402_seller(move |request| {
        let net = shop.clone();
        async move {
            let price = if shown(&request).is_some() { 20 } else { 10 };
            net.ask(price * SAT).await
        }
    })
    .await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let bell = told.clone();
    let client = net
        .client(&memory())
        .on_alarm(move |alarm| bell.lock().unwrap().push(alarm.clone()))
        .build()
        .unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::TermsChanged);
    assert_eq!(told.lock().unwrap().len(), 1);
    assert_eq!(net.spent(), 11 * SAT + 1);
}

#[tokio::test]
async fn one_invoice_is_not_taken_for_two_purchases() {
    let net = Net::start().await;
    let invoice = net.invoice(10 * SAT).await;
    let token = net.token(&invoice);
    let seller = common::seller(move |request| match shown(request) {
        Some(_) => common::served(),
        None => ask_with(&token, invoice.as_str()),
    })
    .await;
    let client = net
        .client_with(net.sender(), msat_caps(15 * SAT), &memory())
        .build()
        .unwrap();
    let buyers = (0..6).map(|number| {
        let request = client.get(seller.url(&format!("/{number}")));
        tokio::spawn(async move { request.send().await.map(drop).map_err(|error| error.code()) })
    });
    let mut served = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        match buyer.await.unwrap() {
            Ok(()) => served += 1,
            Err(code) => assert_eq!(code, Code::InvoiceUnusable),
        }
    }
    assert_eq!(served, 1);
    assert_eq!(net.spent(), 11 * SAT + 1);
}
