//! The L402 rail over a wallet that makes real invoices: what a 402 says, which tokens open what, and what they are worth.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests may"
)]

#[path = "l402/holes.rs"]
mod holes;
#[allow(dead_code, reason = "every test file uses its own part")]
mod support;
#[path = "support/wallet.rs"]
mod wallet;
#[path = "support/l402_world.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod world;

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use faregate_core::Rail;
use faregate_core::rail::l402::InvoiceRate;
use faregate_core::{Asked, LightningAsk, Offer, Outcome, Reading, Scope};
use faregate_types::Code;
use faregate_types::l402::{Macaroon, RootKey, credential};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, Preimage};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use support::base64;
use wallet::NOW;
use world::*;

#[tokio::test]
async fn a_402_has_the_invoice_and_the_token_in_every_form_that_clients_read() {
    let world = world();
    let challenge = world.challenge(&jokes(), &get("/joke")).await.unwrap();
    let text: Vec<_> = lines(&challenge)
        .into_iter()
        .map(String::from_utf8_lossy)
        .collect();
    assert!(text[0].starts_with("LSAT macaroon=\""), "{text:?}");
    assert!(text[1].starts_with("L402 macaroon=\""), "{text:?}");
    let parsed = words(&challenge);
    let invoice = Bolt11::parse(&parsed.invoice).unwrap();
    assert_eq!(invoice.amount(), Msat::from_sat(10));
    let body = &challenge.body;
    assert_eq!(body["error"], "Payment Required");
    assert_eq!(
        (&body["price_sats"], &body["priceSats"]),
        (&10.into(), &10.into())
    );
    assert_eq!(body["invoice"], *parsed.invoice);
    assert_eq!(body["macaroon"], *parsed.token);
    assert!(
        !challenge.reusable,
        "whoever pays an invoice gets its token"
    );
    let token = Macaroon::from_base64(&parsed.token).unwrap();
    let caveats: Vec<_> = token
        .caveats()
        .map(|c| String::from_utf8(c.id.to_vec()).unwrap())
        .collect();
    assert_eq!(
        caveats,
        [
            "services=jokes:0",
            &format!("jokes_valid_until={}", NOW + 3_600),
            "path=/joke",
            "method=GET",
            "price_msat=10000",
            "max_uses=1"
        ]
    );
}

#[tokio::test]
async fn every_challenge_has_an_invoice_of_its_own_and_every_invoice_one_token() {
    let world = world();
    let first = words(&world.challenge(&jokes(), &get("/joke")).await.unwrap());
    let second = words(&world.challenge(&jokes(), &get("/joke")).await.unwrap());
    assert_ne!(first.invoice, second.invoice);
    assert_ne!(first.token, second.token);
    assert_eq!(
        world.memory.rows.lock().unwrap().len(),
        0,
        "asking leaves nothing behind"
    );
}

#[tokio::test]
async fn a_token_is_good_for_what_was_paid_and_then_gets_a_new_invoice() {
    let world = world();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &bought).await;
    let code = world.refused(&offer, &asked, &bought).await;
    assert_eq!(code, Code::L402TokenUsedUp);
    let again = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &again).await;
    let rows = world.memory.rows.lock().unwrap();
    let paid: Vec<_> = rows.values().map(|row| row.claim.transfer.amount).collect();
    assert_eq!(paid, vec![Msat::new(10_000).on(BitcoinNetwork::Regtest); 2]);
}

#[tokio::test]
async fn a_token_for_many_uses_and_one_for_any_number() {
    let world = world();
    let asked = get("/joke");
    let three = offer(
        "three",
        LightningAsk {
            uses: NonZeroU32::new(3),
            ..ask()
        },
    );
    let bought = world.buy(&three, &asked).await;
    for _ in 0..3 {
        world.opens(&three, &asked, &bought).await;
    }
    assert_eq!(
        world.refused(&three, &asked, &bought).await,
        Code::L402TokenUsedUp
    );
    let any = offer(
        "any",
        LightningAsk {
            valid_secs: 300,
            uses: None,
            ..ask()
        },
    );
    let bought = world.buy(&any, &asked).await;
    for _ in 0..20 {
        world.opens(&any, &asked, &bought).await;
    }
    world.clock.store(NOW + 300, Ordering::SeqCst);
    assert_eq!(
        world.refused(&any, &asked, &bought).await,
        Code::L402TokenExpired
    );
    assert_eq!(
        world.memory.rows.lock().unwrap().len(),
        4,
        "a pass is one payment"
    );
}

/// What is remembered of a pass opens nothing that the pass itself does not.
#[tokio::test]
async fn a_pass_that_is_remembered_is_as_narrow_as_ever() {
    let world = world();
    let asked = get("/joke");
    let terms = |change: &dyn Fn(&mut LightningAsk)| {
        let mut terms = LightningAsk {
            uses: None,
            valid_secs: 300,
            ..ask()
        };
        change(&mut terms);
        offer("any", terms)
    };
    let any = terms(&|_| ());
    let bought = world.buy(&any, &asked).await;
    let line = credential::write(&bought.token, &bought.preimage);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
    let read = |headers: &HeaderMap| match world.till.read(headers, &any) {
        Reading::Found(credential) => credential,
        other => panic!("{other:?}"),
    };
    let credential = read(&headers);
    let new =
        |offer: &Offer, asked: &Asked| world.till.new_pass(&headers, offer, asked, &credential);
    let pass = |offer: &Offer, asked: &Asked| world.till.pass(&headers, offer, asked);
    assert!(
        new(&any, &asked).is_none(),
        "the ledger does not know it yet"
    );
    world.opens(&any, &asked, &bought).await;
    assert!(pass(&any, &asked).is_none(), "nothing was remembered yet");
    assert!(new(&any, &asked).is_some());
    let paid = pass(&any, &get("/joke?again")).unwrap();
    assert!(paid.settlement.is_some());
    assert!(pass(&terms(&|ask| ask.price = Msat::new(10_001)), &asked).is_none());
    assert!(pass(&terms(&|ask| ask.service = "songs".into()), &asked).is_none());
    assert!(pass(&terms(&|ask| ask.route = "/song".into()), &asked).is_none());
    let post = Asked {
        method: Method::POST,
        ..asked.clone()
    };
    assert!(pass(&any, &post).is_none() && new(&any, &post).is_none());
    let mut spelt = HeaderMap::new();
    let other = line.replacen("L402", "LSAT", 1);
    spelt.insert(AUTHORIZATION, HeaderValue::from_str(&other).unwrap());
    assert!(
        world.till.pass(&spelt, &any, &asked).is_none(),
        "other bytes are looked at anew"
    );
    world.clock.store(NOW + 299, Ordering::SeqCst);
    assert!(pass(&any, &asked).is_some());
    world.clock.store(NOW + 300, Ordering::SeqCst);
    assert!(pass(&any, &asked).is_none() && new(&any, &asked).is_none());
}

/// A token of one path or one client is checked each time.
#[tokio::test]
async fn what_depends_on_more_than_the_route_is_not_remembered() {
    for bound in [false, true] {
        let world = world();
        let terms = LightningAsk {
            uses: None,
            scope: if bound { Scope::Route } else { Scope::Path },
            is_bound_to_client: bound,
            ..ask()
        };
        let (offer, asked) = (offer("any", terms), from("192.0.2.1"));
        let bought = world.buy(&offer, &asked).await;
        world.opens(&offer, &asked, &bought).await;
        let line = credential::write(&bought.token, &bought.preimage);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
        let Reading::Found(credential) = world.till.read(&headers, &offer) else {
            panic!("no credential");
        };
        let new = world.till.new_pass(&headers, &offer, &asked, &credential);
        assert!(new.is_some());
        assert!(world.till.pass(&headers, &offer, &asked).is_none());
    }
}

#[tokio::test]
async fn a_token_for_one_path_opens_no_other() {
    let world = world();
    let offer = offer(
        "GET /jokes/*",
        LightningAsk {
            route: "api.example.com/jokes/*".into(),
            scope: Scope::Path,
            uses: None,
            ..ask()
        },
    );
    let bought = world.buy(&offer, &get("/jokes/1")).await;
    world.opens(&offer, &get("/jokes/1?lang=en"), &bought).await;
    let code = world.refused(&offer, &get("/jokes/2"), &bought).await;
    assert_eq!(code, Code::L402WrongRoute);
}

#[tokio::test]
async fn a_token_bound_to_a_client_opens_nothing_for_another() {
    let world = world();
    let offer = offer(
        "GET /joke",
        LightningAsk {
            is_bound_to_client: true,
            uses: None,
            ..ask()
        },
    );
    let bought = world.buy(&offer, &from("2001:db8::1")).await;
    world.opens(&offer, &from("2001:db8::1"), &bought).await;
    world.opens(&offer, &from("2001:db8::2"), &bought).await;
    for other in [from("2001:db8:1::1"), from("192.0.2.1"), get("/joke")] {
        let code = world.refused(&offer, &other, &bought).await;
        assert_eq!(code, Code::L402WrongClient);
    }
    assert!(!bought.token.contains("2001"), "{}", bought.token);
}

/// A holder may narrow a token, and what is narrower than paid for is still counted by its payment.
#[tokio::test]
async fn a_narrowed_token_shares_the_uses_of_its_payment() {
    let world = world();
    let (offer, asked) = (
        offer(
            "two",
            LightningAsk {
                uses: NonZeroU32::new(2),
                ..ask()
            },
        ),
        get("/joke"),
    );
    let bought = world.buy(&offer, &asked).await;
    let token = Macaroon::from_base64(&bought.token).unwrap();
    let delegated = Bought {
        token: token.attenuate("max_uses=1").unwrap().to_base64(),
        preimage: Preimage::from_bytes(*bought.preimage.expose()),
    };
    let widened = Bought {
        token: token.attenuate("max_uses=9").unwrap().to_base64(),
        preimage: Preimage::from_bytes(*bought.preimage.expose()),
    };
    assert_eq!(
        world.refused(&offer, &asked, &widened).await,
        Code::L402CaveatRefused
    );
    world.opens(&offer, &asked, &delegated).await;
    assert_eq!(
        world.refused(&offer, &asked, &delegated).await,
        Code::L402TokenUsedUp
    );
    world.opens(&offer, &asked, &bought).await;
    assert_eq!(
        world.refused(&offer, &asked, &bought).await,
        Code::L402TokenUsedUp
    );
}

#[tokio::test]
async fn a_switch_for_the_texts_of_the_published_product() {
    let world = world_with(keys(), |rail| rail.replay_is_401(true));
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &bought).await;
    let before = world.wallet.made();
    match world.send(&offer, &asked, &bought).await {
        Outcome::Unpaid { challenge, .. } => {
            assert_eq!(challenge.status, 401);
            assert_eq!(challenge.body["error"], "Token already used");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.wallet.made(), before);
}

#[tokio::test]
async fn a_wallet_that_is_away_sells_nothing_and_what_was_bought_is_still_good() {
    let world = world();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    world.wallet.away.store(true, Ordering::SeqCst);
    let away = world.challenge(&offer, &asked).await.unwrap_err();
    assert_eq!(away.code, Code::LightningUnavailable);
    world.opens(&offer, &asked, &bought).await;
}

#[test]
fn a_route_that_no_token_can_name_cannot_be_sold() {
    let world = world();
    let good = offer("GET /joke", ask());
    assert!(world.rail.serves(&good));
    for bad in [
        offer(
            "GET /joke",
            LightningAsk {
                service: "a:b".into(),
                ..ask()
            },
        ),
        offer(
            "GET /joke",
            LightningAsk {
                capability: Some("a,b".into()),
                ..ask()
            },
        ),
        offer(
            "GET /joke",
            LightningAsk {
                network: BitcoinNetwork::Signet,
                ..ask()
            },
        ),
        offer(
            "GET /joke",
            LightningAsk {
                route: "GET /joke".into(),
                ..ask()
            },
        ),
    ] {
        assert!(!world.rail.serves(&bad), "{bad:?}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let world = world();
    let shown = format!("{:?} {:?}", world.rail, keys());
    assert!(!shown.contains("01, 1"), "{shown}");
    assert!(!shown.contains("[1, 1"), "{shown}");
}
