//! The credit rail at the till, over a core that counts: what a guarantee buys, what is refused and why, what becomes of a
//! payment that was cut off, and that nothing is served before its certificate is held.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;
#[path = "support/credit_world.rs"]
mod world;

use faregate_core::rail::credit::Credit;
use faregate_core::{Ask, Asked, Offer, Outcome, Rail, Reading, SettlePolicy};
use faregate_ledger::{AccountId, PaymentState};
use faregate_types::credit::GuaranteeVersion;
use faregate_types::x402::{SettleResponse, Version, header, v1, v2};
use faregate_types::{Address, B256, Code, RailName, Refusal, U256};
use serde_json::json;

use world::*;

#[tokio::test]
async fn a_guarantee_of_either_version_buys_the_answer_and_is_held_before_it_is_served() {
    for version in [Version::V1, Version::V2] {
        let world = World::new();
        let offer = offer();
        let payment = world.payment(&offer, version).await;
        let sold = world.pay(&offer, &payment).await;
        let Outcome::Sold { receipt, .. } = sold else {
            panic!("{sold:?}");
        };
        let log = ["authenticate", "claim", "issue", "keep", "post", "serve"];
        assert_eq!(world.log(), log, "{version:?}");
        let held = world.held().await;
        assert_eq!(held.total, U256::from(PRICE));
        assert_eq!((held.payer, held.recipient), (PAYER, SHOP));
        assert_eq!(held.version.number(), u64::from(version.number()));
        // The receipt is in the header of its version, with the certificate and what is owed.
        let name = match version {
            Version::V1 => header::X_PAYMENT_RESPONSE,
            Version::V2 => header::PAYMENT_RESPONSE,
        };
        assert_eq!(receipt.len(), 1);
        assert_eq!(receipt[0].0, name);
        let told: SettleResponse = header::decode_settle_response(receipt[0].1.as_bytes()).unwrap();
        assert!(told.success && told.transaction.is_empty() && told.error_reason.is_none());
        assert_eq!(told.payer.unwrap(), PAYER.to_string());
        let extra = told.extra.unwrap();
        assert_eq!(extra["totalAmount"], PRICE.to_string());
        assert_eq!(extra["tabId"], format!("{:#x}", held.tab));
        assert!(extra["certificate"]["claims"].as_str().unwrap().len() > 500);
        // In the books it is promised, and not paid.
        let row = world.row(&payment).unwrap();
        assert_eq!(row.state, PaymentState::Settled);
        assert_eq!(row.claim.rail, RailName::CREDIT);
        assert_eq!(row.claim.transfer.credit, AccountId::promised(SHOP));
        assert_eq!(row.claim.transfer.debit, AccountId::payer(PAYER));
    }
}

#[tokio::test]
async fn it_is_settled_first_whatever_the_route_says() {
    for policy in [
        SettlePolicy::Before,
        SettlePolicy::After,
        SettlePolicy::Background,
    ] {
        let world = World::new();
        let offer = offer_with(policy, |_| ());
        let payment = world.payment(&offer, Version::V1).await;
        world.core.refuse(Code::CreditCollateralTooLow);
        let outcome = world.pay(&offer, &payment).await;
        assert_eq!(refused(&outcome), Code::CreditCollateralTooLow);
        assert!(!world.log().contains(&"serve"), "{policy:?}");
        assert_eq!(world.row(&payment).unwrap().state, PaymentState::Failed);
    }
}

#[tokio::test]
async fn what_is_not_what_was_asked_for_is_refused_by_its_name_and_nobody_is_asked() {
    type Change = fn(&mut Payment);
    let cases: &[(Code, Change)] = &[
        (Code::NetworkMismatch, |p| {
            p.network("eip155:8453");
        }),
        (Code::CreditRecipientMismatch, |p| {
            p.claims().recipient = Address::repeat_byte(9);
        }),
        (Code::CreditAssetMismatch, |p| {
            p.claims().asset = Address::repeat_byte(9);
        }),
        (Code::CreditAmountMismatch, |p| {
            p.claims().amount += U256::ONE;
        }),
        (Code::CreditAmountMismatch, |p| {
            p.claims().amount -= U256::ONE;
        }),
        (Code::CreditAmountMismatch, |p| {
            p.claims().amount = U256::ZERO;
        }),
    ];
    let conditions: &[(Code, Change)] = &[
        (Code::CreditConditionInvalid, |p| {
            p.claims().validation.as_mut().unwrap().job_hash = B256::repeat_byte(1);
        }),
        (Code::CreditConditionMismatch, |p| {
            p.bound(|policy| policy.job_hash = B256::repeat_byte(1));
        }),
        (Code::CreditConditionMismatch, |p| {
            p.bound(|policy| policy.min_score -= 1);
        }),
        (Code::CreditConditionMismatch, |p| {
            p.bound(|policy| policy.registry = Address::repeat_byte(9));
        }),
    ];
    let (world, offer) = (World::new(), offer());
    for version in [Version::V1, Version::V2] {
        let more = conditions.iter().filter(|_| version == Version::V2);
        for (place, (code, change)) in cases.iter().chain(more).enumerate() {
            let mut payment = world.payment(&offer, version).await;
            change(&mut payment);
            let outcome = world.pay(&offer, &payment).await;
            assert_eq!(refused(&outcome), *code, "{version:?} {place}");
        }
    }
    assert!(world.log().is_empty());
    // Of the version that is not offered there is none.
    let plain = offer_with(SettlePolicy::Before, |ask| ask.condition = None);
    let payment = world.payment(&offer, Version::V2).await;
    let outcome = world.pay(&plain, &payment).await;
    assert_eq!(refused(&outcome), Code::NoMatchingRequirements);
}

#[tokio::test]
async fn what_its_payer_has_not_signed_or_long_ago_claims_nothing() {
    let (world, offer) = (World::new(), offer());
    let mut forged = world.payment(&offer, Version::V1).await;
    forged.forge();
    let outcome = world.pay(&offer, &forged).await;
    assert_eq!(refused(&outcome), Code::CreditSignatureInvalid);
    assert_eq!(world.log(), ["authenticate"]);
    let payment = world.payment(&offer, Version::V1).await;
    world.clock.forward(61);
    let outcome = world.pay(&offer, &payment).await;
    assert_eq!(refused(&outcome), Code::PaymentExpired);
    // Neither stands in the way of the payer's own.
    let payment = world.payment(&offer, Version::V1).await;
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Sold { .. }
    ));
}

#[tokio::test]
async fn a_copy_gets_the_same_answer_and_another_promise_of_this_number_none() {
    let (world, offer) = (World::new(), offer());
    let payment = world.payment(&offer, Version::V1).await;
    world.buy(&offer, &payment).await;
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Replay(_)
    ));
    let mut other = payment.clone();
    other.claims().timestamp = other.claims().timestamp.checked_add_secs(1).unwrap();
    assert!(matches!(world.pay(&offer, &other).await, Outcome::Conflict));
    assert_eq!(world.core.issued(), 1);
    // Also when it is long over.
    world.clock.forward(3_600);
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Replay(_)
    ));
    assert_eq!(world.core.issued(), 1);
}

#[tokio::test]
async fn a_number_that_was_refused_may_be_signed_for_again() {
    let (world, offer) = (World::new(), offer());
    let first = world.payment(&offer, Version::V1).await;
    world.core.refuse(Code::CreditCollateralTooLow);
    let outcome = world.pay(&offer, &first).await;
    assert_eq!(refused(&outcome), Code::CreditCollateralTooLow);
    // What was refused stays refused.
    let outcome = world.pay(&offer, &first).await;
    assert_eq!(refused(&outcome), Code::CreditCollateralTooLow);
    let mut again = first.clone();
    again.claims().timestamp = again.claims().timestamp.checked_add_secs(1).unwrap();
    assert!(matches!(
        world.pay(&offer, &again).await,
        Outcome::Sold { .. }
    ));
    assert_eq!(world.core.issued(), 1);
}

#[tokio::test]
async fn while_the_core_is_away_nothing_is_refused_and_the_same_bytes_buy_it_later() {
    for is_unknown in [false, true] {
        let (world, offer) = (World::new(), offer());
        let payment = world.payment(&offer, Version::V1).await;
        world.core.away(is_unknown);
        assert!(matches!(
            world.pay(&offer, &payment).await,
            Outcome::Pending { .. }
        ));
        assert_eq!(world.row(&payment).unwrap().state, PaymentState::Reserved);
        assert!(!world.log().contains(&"serve"));
        assert!(matches!(
            world.pay(&offer, &payment).await,
            Outcome::Sold { .. }
        ));
        assert_eq!(world.core.issued(), 1);
    }
}

#[tokio::test]
async fn a_certificate_that_could_not_be_kept_is_asked_for_again_and_not_lost() {
    let (world, offer) = (World::new(), offer());
    let payment = world.payment(&offer, Version::V1).await;
    world.certificates.fail_once();
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Pending { .. }
    ));
    assert_eq!(world.core.issued(), 1);
    assert!(!world.log().contains(&"serve"));
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Sold { .. }
    ));
    assert_eq!(
        (world.core.issued(), world.held().await.total),
        (1, U256::from(PRICE))
    );
}

/// The process that issued it is gone, and its payer does not come back: the sweep finds the certificate.
#[tokio::test]
async fn what_was_issued_and_not_recorded_is_found_by_the_sweep() {
    let (world, offer) = (World::new(), offer());
    let (issued, never) = (
        world.payment(&offer, Version::V1).await,
        world.payment(&offer, Version::V1).await,
    );
    world.core.lose_answer();
    assert!(matches!(
        world.pay(&offer, &issued).await,
        Outcome::Pending { .. }
    ));
    world.core.away(true);
    assert!(matches!(
        world.pay(&offer, &never).await,
        Outcome::Pending { .. }
    ));
    let recovery = world.till.recovery();
    recovery.sweep(world.clock.now_plus(1), 10).await.unwrap();
    assert_eq!(world.row(&issued).unwrap().state, PaymentState::Settled);
    assert_eq!(
        world.held().await.payment,
        world.row(&issued).unwrap().claim.id
    );
    // That there is none is believed when no request for it can be on its way any more.
    for secs in [60, 59] {
        assert_eq!(world.row(&never).unwrap().state, PaymentState::Reserved);
        world.clock.forward(secs);
        recovery.sweep(world.clock.now_plus(1), 10).await.unwrap();
    }
    assert_eq!(world.row(&never).unwrap().state, PaymentState::Reserved);
    world.clock.forward(300);
    recovery.sweep(world.clock.now_plus(1), 10).await.unwrap();
    assert_eq!(world.row(&never).unwrap().state, PaymentState::Failed);
    assert_eq!(world.core.issued(), 1);
    // Whoever paid gets the answer when they ask again, although the promise is old by now.
    assert!(matches!(
        world.pay(&offer, &issued).await,
        Outcome::Sold { .. }
    ));
}

/// Cut off before anything was issued: a copy that comes when nothing is sold for it any more has nothing issued either.
#[tokio::test]
async fn nothing_is_issued_for_a_copy_that_comes_too_late() {
    let (world, offer) = (World::new(), offer());
    let payment = world.payment(&offer, Version::V1).await;
    world.core.away(true);
    for secs in [61, 60] {
        assert!(matches!(
            world.pay(&offer, &payment).await,
            Outcome::Pending { .. }
        ));
        world.clock.forward(secs);
    }
    for _ in 0..2 {
        let outcome = world.pay(&offer, &payment).await;
        assert_eq!(refused(&outcome), Code::PaymentExpired);
    }
    assert_eq!(world.core.issued(), 0);
    assert!(!world.log().contains(&"serve"));
}

#[tokio::test]
async fn nobody_owes_more_for_a_route_than_it_lets_them() {
    let world = World::new();
    let most = U256::from(2 * PRICE);
    let offer = offer_with(SettlePolicy::Before, |ask| ask.owed_max = Some(most));
    for _ in 0..2 {
        let payment = world.payment(&offer, Version::V1).await;
        world.buy(&offer, &payment).await;
    }
    let payment = world.payment(&offer, Version::V1).await;
    let outcome = world.pay(&offer, &payment).await;
    assert_eq!(refused(&outcome), Code::CreditLimitReached);
    assert!(world.row(&payment).is_none());
    world.certificates.end_all();
    assert!(matches!(
        world.pay(&offer, &payment).await,
        Outcome::Sold { .. }
    ));
    // Of many at once no more get through either.
    world.certificates.end_all();
    let mut payments = Vec::new();
    for _ in 0..5 {
        payments.push(world.payment(&offer, Version::V1).await);
    }
    let outcomes = payments.iter().map(|payment| world.pay(&offer, payment));
    let outcomes = futures_util::future::join_all(outcomes).await;
    let sold = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Sold { .. }));
    assert!(sold.count() <= 2);
}

#[tokio::test]
async fn one_answer_has_the_offers_of_all_schemes() {
    let (world, offer) = (World::new(), offer());
    let why = Refusal::new(Code::PaymentRequired);
    let both = offer_and_exact();
    for (offer, exact) in [(&offer, 0), (&both, 1)] {
        let made = world
            .till
            .challenge(offer, &Asked::default(), &why)
            .await
            .unwrap();
        assert_eq!(made.headers.len(), 1);
        let header: v2::PaymentRequired =
            header::decode_payment_required(made.headers[0].1.as_bytes()).unwrap();
        let body = v1::PaymentRequired::decode(&made.bytes).unwrap();
        assert_eq!(
            (header.accepts.len(), body.accepts.len()),
            (1 + exact, 1 + exact)
        );
        let (credit_v2, credit_v1) = (&header.accepts[exact], &body.accepts[exact]);
        let extra = credit_v2.extra.as_ref().unwrap();
        assert_eq!(extra["tabEndpoint"], TAB_ENDPOINT);
        assert_eq!(extra["minValidationScore"], 80);
        assert_eq!(extra["validatorAgentId"], "7");
        assert_eq!(
            credit_v1.extra.as_ref().unwrap(),
            json!({ "tabEndpoint": TAB_ENDPOINT }).as_object().unwrap()
        );
        assert_eq!(
            (&*credit_v2.scheme, &*credit_v1.scheme),
            ("4mica-credit", "4mica-credit")
        );
        assert_eq!(
            (&*credit_v2.network, &*credit_v1.network),
            ("eip155:84532", "eip155:84532")
        );
    }
}

#[tokio::test]
async fn headers_of_other_schemes_are_left_to_others() {
    let (world, offer) = (World::new(), offer());
    let read = |name: &'static str, value: &serde_json::Value| {
        let mut headers = http::HeaderMap::new();
        headers.insert(name, header::encode(value).parse().unwrap());
        world.credit.read(&headers)
    };
    let exact = json!({ "x402Version": 1, "scheme": "exact", "network": "base", "payload": {} });
    assert!(matches!(read(header::X_PAYMENT, &exact), Reading::Nothing));
    let broken =
        json!({ "x402Version": 1, "scheme": "4mica-credit", "network": "base", "payload": {} });
    let Reading::Malformed(refusal) = read(header::X_PAYMENT, &broken) else {
        panic!("read");
    };
    assert_eq!(refusal.code, Code::InvalidPayload);
    // A payment in the header of the other version.
    let payment = world.payment(&offer, Version::V1).await;
    let value = payment.value();
    let Reading::Malformed(refusal) = read(header::PAYMENT_SIGNATURE, &value) else {
        panic!("read");
    };
    assert_eq!(refusal.code, Code::InvalidX402Version);
    assert!(matches!(read(header::X_PAYMENT, &value), Reading::Found(_)));
}

/// Numbers are handed out without asking the core again, and nobody gets one twice.
#[tokio::test]
async fn a_payer_gets_a_hundred_numbers_for_one_question() {
    let (world, offer) = (World::new(), offer());
    let ask = offer.asks()[0].as_credit().unwrap();
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..100 {
        assert!(numbers.insert(world.number(ask, GuaranteeVersion::V1, PAYER).await));
    }
    assert_eq!(world.core.opened(), 1);
    // Another gate of the same shop gets others.
    let other = Credit::new(
        [world.core.issuer()],
        world.certificates.store(),
        world.clock.clock(),
    );
    for _ in 0..100 {
        let ticket = other
            .tabs()
            .ticket(ask, GuaranteeVersion::V1, PAYER)
            .await
            .unwrap();
        assert!(numbers.insert(ticket.next_req_id.unwrap()));
    }
    assert_eq!(world.core.opened(), 2);
    // Once it is stale the core is asked, also for another version and for another payer.
    world.clock.forward(31);
    world.number(ask, GuaranteeVersion::V1, PAYER).await;
    world.number(ask, GuaranteeVersion::V2, PAYER).await;
    world.number(ask, GuaranteeVersion::V1, SHOP).await;
    assert_eq!(world.core.opened(), 5);
}

#[tokio::test]
async fn a_strict_core_is_asked_for_every_number() {
    let (world, offer) = (World::strict(), offer());
    let ask = offer.asks()[0].as_credit().unwrap();
    for _ in 0..3 {
        world.number(ask, GuaranteeVersion::V1, PAYER).await;
    }
    assert_eq!(world.core.opened(), 3);
}

#[tokio::test]
async fn a_tab_that_was_refused_is_asked_for_again() {
    let (world, offer) = (World::new(), offer());
    let first = world.payment(&offer, Version::V1).await;
    world.core.refuse(Code::CreditTabClosed);
    assert_eq!(
        refused(&world.pay(&offer, &first).await),
        Code::CreditTabClosed
    );
    let second = world.payment(&offer, Version::V1).await;
    assert_eq!(world.core.opened(), 2);
    assert!(matches!(
        world.pay(&offer, &second).await,
        Outcome::Sold { .. }
    ));
}

/// A core gives every gate the same certificate for the same promise.
#[tokio::test]
async fn of_gates_that_share_what_was_used_one_sells_for_a_promise() {
    let ((first, second), offer) = (World::two_gates(), offer());
    let payment = first.payment(&offer, Version::V1).await;
    first.buy(&offer, &payment).await;
    let outcome = second.pay(&offer, &payment).await;
    assert_eq!(refused(&outcome), Code::CreditReqIdTaken);
    assert!(!second.log().contains(&"serve"));
    assert!(matches!(
        first.pay(&offer, &payment).await,
        Outcome::Replay(_)
    ));
    let payment = second.payment(&offer, Version::V1).await;
    second.buy(&offer, &payment).await;
    assert_eq!(first.core.issued(), 2);
}

#[test]
fn an_offer_on_credit_that_takes_nothing_is_none() {
    let made = std::panic::catch_unwind(|| {
        offer_with(SettlePolicy::Before, |ask| {
            (ask.is_plain, ask.condition) = (false, None);
        })
    });
    assert!(made.is_err());
    let asks: Vec<Ask> = Vec::new();
    let none = Offer::new("x", resource(), asks, SettlePolicy::Before, 60);
    assert!(none.is_err());
}
