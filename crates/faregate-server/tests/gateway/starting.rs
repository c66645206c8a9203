//! What a gate refuses to start with.

use faregate_core::{Ask, Payee, TokenAsk};
use faregate_server::config::RoutePrice;
use faregate_server::gateway::{Gateway, StartError, router};
use faregate_types::x402::{Kind, Version};
use faregate_types::{Amount, Code, RailName, U256};
use http::StatusCode;

use crate::common::World;
use crate::kit::{ROUTES, config, deps};

const UPSTREAM: &str = "upstream = \"http://127.0.0.1:1\"";

#[tokio::test]
async fn a_route_that_the_facilitator_does_not_settle_does_not_start() {
    let world = World::new();
    for (kinds, starts) in [
        (vec![], false),
        (vec![Kind::exact(Version::V2, "eip155:8453")], false),
        (vec![Kind::exact(Version::V2, "eip155:84532")], true),
        (vec![Kind::exact(Version::V1, "base-sepolia")], true),
        // What the official facilitators say on another chain: every v1 name, and the one network they are on.
        (
            vec![
                Kind::exact(Version::V1, "base-sepolia"),
                Kind::exact(Version::V2, "eip155:11155111"),
            ],
            false,
        ),
        (
            vec![Kind {
                scheme: "upto".to_owned(),
                ..Kind::exact(Version::V2, "eip155:84532")
            }],
            false,
        ),
    ] {
        *world.facilitator.supported.lock().unwrap() = Ok(kinds.clone());
        match Gateway::start(config(UPSTREAM, ROUTES), deps(&world)).await {
            Ok(running) => {
                assert!(starts, "{kinds:?}");
                running.shutdown().await;
            }
            Err(StartError::NotSupported { route, network }) => {
                assert!(!starts, "{kinds:?}");
                assert_eq!((&*route, &*network), ("GET /joke", "eip155:84532"));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_facilitator_that_is_away_stops_the_start_unless_told_otherwise() {
    let world = World::new();
    *world.facilitator.supported.lock().unwrap() = Err(Code::FacilitatorUnavailable);
    let error = Gateway::start(config(UPSTREAM, ROUTES), deps(&world))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::FacilitatorAway(_)), "{error}");
    assert_eq!(error.code(), Code::FacilitatorUnavailable);
    let gate = format!("{UPSTREAM}\nstart_without_facilitator = true");
    let running = Gateway::start(config(&gate, ROUTES), deps(&world))
        .await
        .unwrap();
    running.shutdown().await;
    let free = "[[route]]\nmatch = \"/x\"\nprice = \"free\"\n";
    let running = Gateway::start(config(UPSTREAM, free), deps(&world))
        .await
        .unwrap();
    running.shutdown().await;
}

fn token(ask: &mut Ask) -> &mut TokenAsk {
    match ask {
        Ask::Token(ask) => ask,
        other => panic!("not in tokens: {other:?}"),
    }
}

#[tokio::test]
async fn an_offer_that_nobody_could_pay_does_not_start() {
    let world = World::new();
    let good = config(UPSTREAM, ROUTES);
    let with_asks = |change: &dyn Fn(&mut Vec<Ask>)| {
        let mut config = good.clone();
        let RoutePrice::Paid(offer) = &mut config.routes[0].price else {
            panic!()
        };
        change(&mut offer.asks);
        router(&config, deps(&world)).unwrap_err()
    };
    assert!(matches!(
        with_asks(&|asks| asks.clear()),
        StartError::Offer { .. }
    ));
    let zero = |asks: &mut Vec<Ask>| {
        let ask = token(&mut asks[0]);
        ask.amount = Amount::new(U256::ZERO, ask.asset.id);
    };
    assert!(matches!(with_asks(&zero), StartError::Offer { .. }));
    let other_rail = |asks: &mut Vec<Ask>| token(&mut asks[0]).rail = RailName::L402;
    assert!(matches!(with_asks(&other_rail), StartError::NoRail { .. }));
    let RoutePrice::Paid(offer) = &good.routes[0].price else {
        panic!()
    };
    let Payee::Evm(payee) = offer.asks[0].as_token().unwrap().payee else {
        panic!()
    };
    assert_eq!(payee, crate::common::SELLER);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let world = World::new();
    let first = Gateway::start(config(UPSTREAM, ROUTES), deps(&world))
        .await
        .unwrap();
    let mut second = config(UPSTREAM, ROUTES);
    second.bind = first.addr();
    let error = Gateway::start(second, deps(&world)).await.unwrap_err();
    assert!(
        error.to_string().contains(&first.addr().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn the_gate_works_without_a_port() {
    let world = World::new();
    let gate = router(&config(UPSTREAM, ROUTES), deps(&world)).unwrap();
    let answer = crate::common::ask(gate, crate::common::get()).await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
}
