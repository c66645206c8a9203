//! Sellers on credit that want more than they should get, tab endpoints that lie, and what is signed for all of them together.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use common::credit::{CreditShop, PRICE, conditional, on_credit, plain, questions};
use common::{
    PAYEE, PAYER, Seen, Seller, USDC, ask_v1, ask_v2, cents, decode, memory, raw, raw_seller,
    required_v1, seller,
};
use faregate_client::{
    Caps, HttpFault, Kind, OnCredit, PayError, Period, PlainHttp, WalletStore, Worth,
};
use faregate_types::{Code, U256};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A seller that offers this, made of a good offer of the version.
async fn offering(version: u8, path: &'static str, value: Value) -> Seller {
    seller(move |seen| {
        let at = format!("http://{}", seen.header("host").unwrap());
        let mut offer = match version {
            1 => plain(&at),
            _ => conditional(&at),
        };
        let mut member = &mut offer;
        for name in path.split('/') {
            member = &mut member[name];
        }
        *member = value.clone();
        match version {
            1 => ask_v1(&[offer]),
            _ => ask_v2(&[offer]),
        }
    })
    .await
}

/// Whatever it offers, nothing is asked for, signed or sent.
async fn refuses(version: u8, path: &'static str, value: Value, code: &str) {
    let why = format!("v{version} {path}: {value}");
    let seller = offering(version, path, value).await;
    let store = memory();
    let trusted = "0x1111111111111111111111111111111111111111";
    let credit = OnCredit::new().registries([trusted.parse().unwrap()]);
    let client = on_credit(&store).credit(credit).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code().as_str(), code, "{why}: {error}");
    assert_eq!(seller.seen().len(), 1, "{why}");
    assert_eq!(store.recent_spends(9).await.unwrap(), [], "{why}");
}

/// Member, new value, code: of both versions, of the first, of the second.
const BAD_OFFERS: &str = r#"
    1 network           "eip155:8453"     network_not_allowed
    2 network           "eip155:8453"     malformed_offer
    * network           "nowhere"         invalid_network
    * asset             "0x0000000000000000000000000000000000000000" asset_unknown
    * asset             "0x209693Bc6afc0C5328bA36FaF03C514EF312287C" asset_unknown
    * asset             "gold"            malformed_offer
    * payTo             "0x0000000000000000000000000000000000000000" malformed_offer
    * payTo             "0x00"            malformed_offer
    * maxTimeoutSeconds 86400             validity_too_long
    * maxTimeoutSeconds 0                 malformed_offer
    * maxTimeoutSeconds "soon"            malformed_offer
    * extra/tabEndpoint "/tabs"           malformed_offer
    * extra/tabEndpoint "https://"        malformed_offer
    * extra/tabEndpoint "file:///etc/passwd" malformed_offer
    * extra/tabEndpoint null              malformed_offer
    * extra/tabEndpoint 7                 malformed_offer
    * extra/tabEndpoint "https://tabs.example/tabs" host_not_allowed
    * extra/tabEndpoint "http://169.254.169.254/latest" host_not_allowed
    * extra/tabEndpoint "http://u:p@127.0.0.1/tabs" malformed_offer
    1 maxAmountRequired "100001"          over_payment_cap
    1 maxAmountRequired "0x186a1"         over_payment_cap
    1 maxAmountRequired "0"               malformed_offer
    1 maxAmountRequired "-1"              malformed_offer
    1 maxAmountRequired null              malformed_offer
    2 amount            "100001"          over_payment_cap
    2 amount            "0"               malformed_offer
    2 network           "base-sepolia"    malformed_offer
    2 extra/validationChainId 1           malformed_offer
    2 extra/minValidationScore 101        malformed_offer
    2 extra/minValidationScore 0          malformed_offer
    2 extra/validatorAddress null         malformed_offer
    2 extra/jobHash     "0x12"            malformed_offer
    2 extra/validationRegistryAddress "0x3333333333333333333333333333333333333333" credit_registry_not_trusted
"#;

#[tokio::test]
async fn bad_offers_are_not_paid() {
    for line in BAD_OFFERS.trim().lines() {
        let [versions, path, value, code] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let value: Value = serde_json::from_str(value).unwrap();
        for version in [1, 2] {
            // Short names of networks are good in version 1 only.
            if versions == "*" || versions == version.to_string() {
                // What a refusal is called follows from the first thing that is wrong.
                let code = match (path, version) {
                    ("network", 2) if code == "invalid_network" => "malformed_offer",
                    _ => code,
                };
                refuses(version, path, value.clone(), code).await;
            }
        }
    }
    let everything = format!("0x{}", "f".repeat(64));
    refuses(
        1,
        "maxAmountRequired",
        json!(everything),
        "over_payment_cap",
    )
    .await;
}

/// A seller whose tab endpoint answers this.
async fn tabs(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Seller {
    seller(move |seen: &Seen| {
        let at = format!("http://{}", seen.header("host").unwrap());
        match seen.path.as_str() {
            "/tabs" => answer(),
            _ => ask_v1(&[plain(&at)]),
        }
    })
    .await
}

#[tokio::test]
async fn tabs_that_are_not_what_was_asked_for_are_not_signed_for() {
    let tab = |member: &str, value: Value| {
        let mut tab = json!({"tabId": "0x1", "userAddress": PAYER, "recipientAddress": PAYEE, "assetAddress": USDC,
            "nextReqId": "0x0"});
        tab[member] = value;
        tab.to_string()
    };
    let other = json!("0x3333333333333333333333333333333333333333");
    let huge = format!("{{\"tabId\": \"{}\"", "9".repeat(1 << 20));
    let table = [
        (
            200,
            tab("userAddress", other.clone()),
            "credit_tab_mismatch",
        ),
        (
            200,
            tab("recipientAddress", other.clone()),
            "credit_tab_mismatch",
        ),
        (200, tab("assetAddress", other), "credit_tab_mismatch"),
        (
            200,
            tab("userAddress", json!(null)),
            "upstream_answer_invalid",
        ),
        (200, tab("tabId", json!("-1")), "upstream_answer_invalid"),
        (200, tab("tabId", json!(1.5)), "upstream_answer_invalid"),
        (200, "[]".to_owned(), "upstream_answer_invalid"),
        (200, "<html>".to_owned(), "upstream_answer_invalid"),
        (200, huge.clone(), "upstream_answer_invalid"),
        (302, String::new(), "credit_refused"),
        (
            400,
            r#"{"error": "credit_suspended"}"#.to_owned(),
            "credit_suspended",
        ),
        (403, "\u{1b}[31m".to_owned(), "credit_refused"),
        (400, huge, "upstream_answer_invalid"),
        (
            503,
            r#"{"code": "credit_core_unavailable"}"#.to_owned(),
            "credit_core_unavailable",
        ),
        (500, String::new(), "upstream_unavailable"),
    ];
    for (status, body, code) in table {
        let why = format!("{status} {}", body.get(..60).unwrap_or(&body));
        let status = StatusCode::from_u16(status).unwrap();
        let seller = tabs(move || (status, [("location", "/other")], body.clone()).into_response());
        let seller = seller.await;
        let store = memory();
        let client = on_credit(&store).resends(1).build().unwrap();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert!(matches!(error, PayError::Tab(_)), "{why}: {error}");
        assert_eq!(error.code().as_str(), code, "{why}: {error}");
        assert!(!error.to_string().contains('\u{1b}'), "{why}");
        assert_eq!(seller.payments(), [""; 0], "{why}");
        assert_eq!(store.recent_spends(9).await.unwrap(), [], "{why}");
        let asked = if status.is_server_error() { 2 } else { 1 };
        let posts = seller.seen().into_iter();
        let posts = posts.filter(|seen| seen.method == "POST");
        assert_eq!(posts.count(), asked, "{why}");
    }
}

/// An endpoint that says nothing, and one that never stops.
#[tokio::test]
async fn endpoints_that_hang_do_not_hold_a_request_up() {
    for endless in [false, true] {
        let seller = raw_seller(move |head| {
            let host = head.lines().find_map(|line| line.strip_prefix("host: "));
            let at = format!("http://{}", host.unwrap());
            if !head.starts_with("POST /tabs") {
                return Some(raw(402, &[], &required_v1(&[plain(&at)]).to_string()));
            }
            if !endless {
                std::thread::sleep(Duration::from_secs(3));
            }
            // It says that there is more than ever comes.
            Some(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{".to_vec())
        });
        let store = memory();
        let client = on_credit(&store)
            .resends(0)
            .timeout(Duration::from_millis(500))
            .build()
            .unwrap();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        let is_fault = matches!(error, PayError::Http(HttpFault::TimedOut | HttpFault::Lost));
        assert!(is_fault, "{error}");
        assert_eq!(error.kind(), Kind::Http);
        assert_eq!(seller.payments(), [""; 0]);
        assert_eq!(store.recent_spends(9).await.unwrap(), []);
    }
}

/// Another origin is asked for tabs when the payer has named it, and never otherwise.
#[tokio::test]
async fn only_named_origins_are_asked_for_tabs() {
    let shop = CreditShop::new(&[plain], &[]);
    let facilitator = shop.open().await;
    let elsewhere = facilitator.url("/tabs");
    let selling = shop.clone();
    let seller = seller(move |seen| match seen.payment() {
        Some(_) => selling.answer(seen),
        None => {
            let mut offer = plain("");
            offer["extra"]["tabEndpoint"] = json!(elsewhere);
            ask_v1(&[offer])
        }
    })
    .await;
    let store = memory();
    let client = on_credit(&store).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::HostNotAllowed);
    assert_eq!(facilitator.seen().len(), 0);

    let named = facilitator.url("/whatever").parse().unwrap();
    let credit = OnCredit::new().tabs_at(&named);
    let client = on_credit(&store).credit(credit).build().unwrap();
    let paid = client
        .get(seller.url("/"))
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"))
        .send()
        .await
        .unwrap();
    assert!(paid.payment.unwrap().credit().is_some());
    // Nothing of the request goes there.
    let asked = &facilitator.seen()[0];
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(questions(&facilitator).len(), 1);

    // Plain http to another machine stays forbidden, named or not, unless that is allowed altogether.
    let far = "http://tabs.example/".parse().unwrap();
    let credit = OnCredit::new().tabs_at(&far);
    let seller = offering(1, "extra/tabEndpoint", json!("http://tabs.example/tabs")).await;
    let client = on_credit(&memory()).credit(credit.clone()).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::InsecureUrl);
    let client = on_credit(&memory()).credit(credit).resends(0);
    let client = client.plain_http(PlainHttp::Anywhere).build().unwrap();
    let quote = client.get(seller.url("/")).quote().await.unwrap();
    let faregate_client::Quote::Priced(priced) = quote else {
        panic!()
    };
    assert!(priced.verdict.is_ok());
}

/// What a seller says of another guarantee is not believed.
#[tokio::test]
async fn receipts_for_something_else_are_not_credible() {
    use common::credit::served;
    use faregate_client::ShownCertificate;
    use faregate_types::credit::x402::CreditEnvelope;
    use faregate_types::x402::header::decode_any;
    for what in ["amount", "tab_id", "req_id", "recipient", "total"] {
        let shop = CreditShop::new(&[plain], &[]);
        let seller = seller(move |seen| {
            let Some(payment) = seen.payment() else {
                return shop.answer(seen);
            };
            let envelope = CreditEnvelope::read(&decode_any(payment.as_bytes()).unwrap()).unwrap();
            let mut claims = envelope.request.claims;
            let mut total = U256::from(PRICE);
            match what {
                "amount" => claims.amount += U256::from(1),
                "tab_id" => claims.tab_id += U256::from(1),
                "req_id" => claims.req_id += U256::from(1),
                "recipient" => claims.recipient = claims.payer,
                // Less in all than this one added.
                _ => total -= U256::from(1),
            }
            served(&claims, 1, total)
        })
        .await;
        let client = on_credit(&memory()).build().unwrap();
        let paid = client.get(seller.url("/")).send().await.unwrap();
        let payment = paid.payment.unwrap();
        let credit = payment.credit().unwrap();
        assert_eq!(credit.certificate, ShownCertificate::NotCredible, "{what}");
        assert_eq!(credit.total, None, "{what}");
        // The reference is ours in any case.
        assert_eq!(credit.receipt.transaction(), Some("0x2a/0"));
    }
}

/// What a seller does with a payment.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Sell,
    SayTaken,
    SayClosed,
    Refuse,
    BreakDown,
    /// Takes the claims and asks for others.
    AskAgain,
    /// Has tabs for somebody else.
    WrongTab,
    /// Gives out one number for ever.
    SameNumber,
}

fn tricks() -> impl Strategy<Value = Vec<(Trick, u64)>> {
    let trick = prop_oneof![
        Just(Trick::Sell),
        Just(Trick::SayTaken),
        Just(Trick::SayClosed),
        Just(Trick::Refuse),
        Just(Trick::BreakDown),
        Just(Trick::AskAgain),
        Just(Trick::WrongTab),
        Just(Trick::SameNumber),
    ];
    proptest::collection::vec((trick, 1_u64..40_000), 1..10)
}

/// A seller that does with the request to `/<number>` what the list says.
async fn liar(list: Vec<(Trick, u64)>) -> Seller {
    let numbers = Arc::new(std::sync::atomic::AtomicU64::new(0));
    seller(move |seen| {
        let at = format!("http://{}", seen.header("host").unwrap());
        let of = |path: &str| -> usize {
            let number = path.split('?').next().unwrap().rsplit('/').next().unwrap();
            number.parse().unwrap()
        };
        let (trick, price) = list[of(&seen.path)];
        let mut offer = plain(&at);
        offer["maxAmountRequired"] = json!(price.to_string());
        offer["extra"]["tabEndpoint"] = json!(format!("{at}/tabs/{}", of(&seen.path)));
        let ask = |error: &str| {
            let mut body = required_v1(std::slice::from_ref(&offer));
            body["error"] = json!(error);
            (StatusCode::PAYMENT_REQUIRED, body.to_string()).into_response()
        };
        if seen.path.starts_with("/tabs/") {
            let number = match trick {
                Trick::SameNumber => 0,
                _ => numbers.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1,
            };
            let user = match trick {
                Trick::WrongTab => PAYEE,
                _ => PAYER,
            };
            let tab = json!({"tabId": "0x1", "userAddress": user, "nextReqId": number});
            return tab.to_string().into_response();
        }
        match (seen.payment(), trick) {
            (None, _) => ask("pay"),
            (_, Trick::Sell | Trick::SameNumber) => "served".into_response(),
            (_, Trick::SayTaken) => ask("credit_req_id_taken"),
            (_, Trick::SayClosed) => ask("credit_tab_closed"),
            (_, Trick::Refuse) => ask("credit_collateral_too_low"),
            (_, Trick::BreakDown) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            (_, Trick::AskAgain | Trick::WrongTab) => ask("pay"),
        }
    })
    .await
}

/// Everything that was signed and has left the process, in atomic units: all of it may be charged.
fn signed(seller: &Seller) -> U256 {
    let payments: BTreeSet<String> = seller.payments().into_iter().collect();
    let amount = |payment: &String| {
        let claims = &decode(payment)["payload"]["claims"];
        claims["amount"].as_str().unwrap().parse::<U256>().unwrap()
    };
    payments.iter().map(amount).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the seller does, what is signed stays within each cap, and all claims are in the books.
    #[test]
    fn nothing_makes_it_owe_more_than_the_caps(
        list in tricks(),
        each in 1_u64..5,
        all in 1_u64..12,
        which in 0_u8..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cap = cents(all);
            let caps = Caps {
                per_payment: cents(each),
                total: (which == 0).then_some(cap),
                per_host: (which == 1).then_some(cap),
                per_period: (which == 2).then_some(Period { secs: 60, cap }),
            };
            let count = list.len();
            let seller = liar(list).await;
            let store: Arc<dyn WalletStore> = memory();
            let client = on_credit(&store).caps(caps).resends(0).wait(Duration::ZERO);
            let client = client.build().unwrap();
            for round in 0..2 {
                for number in 0..count {
                    drop(client.get(seller.url(&format!("/x/{number}?{round}"))).send().await);
                }
            }
            let total = Worth::of_dollar_coin(signed(&seller), 6).unwrap();
            assert!(total <= cap, "{total:?}");
            let spends = store.recent_spends(1000).await.unwrap();
            let booked: U256 = spends.iter().map(|record| record.spend.amount.value()).sum();
            assert_eq!(booked, signed(&seller));
            assert!(spends.iter().all(|record| record.spend.worth <= cents(each)));
        });
    }
}

/// The property would hold of a client that signs nothing: this one does.
#[tokio::test]
async fn the_liar_on_credit_gets_what_the_caps_allow() {
    let seller = liar(vec![(Trick::SayTaken, PRICE); 3]).await;
    let caps = Caps {
        total: Some(cents(7)),
        ..common::caps()
    };
    let client = on_credit(&memory()).caps(caps).build().unwrap();
    for number in 0..3 {
        drop(client.get(seller.url(&format!("/x/{number}"))).send().await);
    }
    assert_eq!(signed(&seller), U256::from(7 * PRICE));
}
