//! A credit service as facilitators see it: what its words mean, what is unknown, and what it costs when it is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use faregate_client::credit::{CoreIssuer, ReqIds};
use faregate_core::port::{Away, IssueError, IssueOutcome, Issuer as _, TabAsk};
use faregate_types::credit::{GuaranteeRequest, GuaranteeVersion, SigningScheme};
use faregate_types::{Code, U256};
use serde_json::{Value, json};

use crate::common::{Seen, Seller, seller};
use crate::guarantees::{certificate, info, issued, signed};
use crate::world::*;

/// An issuer that acts for a recipient other than itself.
async fn issuer(
    answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> (Seller, CoreIssuer) {
    let service = service(answer).await;
    let issuer = CoreIssuer::new(builder(&service, &Chain::new(31337)), CHAIN);
    (service, issuer)
}

async fn request() -> GuaranteeRequest {
    signed(claims(OTHER, TOKEN), SigningScheme::Eip712).await
}

#[tokio::test]
async fn a_guarantee_for_another_recipient_is_issued_and_checked() {
    let answer = issued(&claims(OTHER, TOKEN), 1000);
    let (service, issuer) = issuer(move |seen: &Seen| match seen.path.as_str() {
        "/core/guarantees/check" => json_answer(200, &json!({ "valid": true })),
        _ => json_answer(200, &answer),
    })
    .await;
    let request = request().await;
    assert_eq!(issuer.check(&request).await, Ok(()));
    let outcome = issuer.issue(&request).await;
    assert!(matches!(outcome, IssueOutcome::Issued(_)), "{outcome:?}");
    assert_eq!(
        asked(&service),
        ["POST /core/guarantees/check", "POST /core/guarantees"]
    );
    assert!(
        issuer
            .versions()
            .await
            .unwrap()
            .contains(&GuaranteeVersion::V1)
    );
}

/// What locks collateral without a certificate yet is no refusal: the core died in between, and signs when it is back.
#[tokio::test]
async fn a_guarantee_without_its_certificate_is_neither_issued_nor_refused() {
    let (service, issuer) = issuer(move |seen: &Seen| match seen.method.as_str() {
        "GET" => json_answer(200, &info(&claims(OTHER, TOKEN), None)),
        _ => json_answer(
            400,
            &json!({"error": "another guarantee with req_id 17 already exists"}),
        ),
    })
    .await;
    let request = request().await;
    let away = Code::CreditCoreUnavailable;
    let outcome = issuer.issue(&request).await;
    assert_eq!(outcome, IssueOutcome::Unknown(away));
    assert_eq!(
        asked(&service).len(),
        6,
        "asked again, and found again, each time"
    );
    let found = issuer.issued(&request).await;
    assert_eq!(found, Err(Away { code: away }.into()));
}

/// A core that does not know our key for repetitions says that the number is taken, by whomever. Whose it is decides.
#[tokio::test]
async fn a_number_that_is_taken_is_refused_only_when_somebody_else_has_it() {
    let mut other = claims(OTHER, TOKEN);
    other.amount += U256::ONE;
    let of_other = info(&other, Some(&certificate(&other, 2_000)));
    let (away, taken) = (Code::CreditCoreUnavailable, Code::CreditReqIdTaken);
    for (status, found, is_other) in [(200, of_other, true), (503, Value::Null, false)] {
        let (_service, issuer) = issuer(move |seen: &Seen| match seen.method.as_str() {
            "GET" => json_answer(status, &found),
            _ => json_answer(
                400,
                &json!({"error": "another guarantee with req_id 17 already exists"}),
            ),
        })
        .await;
        let request = request().await;
        let outcome = issuer.issue(&request).await;
        let issued = issuer.issued(&request).await;
        if is_other {
            assert!(
                matches!(&outcome, IssueOutcome::Refused(refusal) if refusal.code == taken),
                "{outcome:?}"
            );
            assert_eq!(issued, Ok(None));
        } else {
            assert_eq!(outcome, IssueOutcome::Unknown(away));
            assert_eq!(issued, Err(Away { code: away }.into()));
        }
    }
}

/// It was there when somebody connected: what it can do then is not what it can do now.
#[tokio::test]
async fn a_core_that_went_away_has_no_versions() {
    let gone = Arc::new(AtomicU32::new(0));
    let says = Arc::clone(&gone);
    let service = seller(move |_: &Seen| match says.load(Ordering::SeqCst) {
        0 => json_answer(200, &params()),
        _ => json_answer(503, &Value::Null),
    })
    .await;
    let issuer = CoreIssuer::new(builder(&service, &Chain::new(31337)), CHAIN);
    assert_eq!(issuer.versions().await, Ok(GuaranteeVersion::ALL.to_vec()));
    gone.store(1, Ordering::SeqCst);
    let away = Away {
        code: Code::CreditCoreUnavailable,
    };
    assert_eq!(issuer.versions().await, Err(away));
    gone.store(0, Ordering::SeqCst);
    assert_eq!(issuer.versions().await, Ok(GuaranteeVersion::ALL.to_vec()));
}

#[tokio::test]
async fn a_paid_request_costs_one_round_trip_and_its_signature_none() {
    let answer = issued(&claims(OTHER, TOKEN), 1000);
    let (service, issuer) = issuer(move |_: &Seen| json_answer(200, &answer)).await;
    let request = request().await;
    assert_eq!(issuer.authenticate(&request).await, Ok(()));
    assert!(asked(&service).is_empty());
    for _ in 0..3 {
        let outcome = issuer.issue(&request).await;
        assert!(matches!(outcome, IssueOutcome::Issued(_)), "{outcome:?}");
    }
    assert_eq!(asked(&service), ["POST /core/guarantees"; 3]);
    let mut other = request.clone();
    other.claims.amount += U256::from(1);
    let Err(IssueError::Refused(refusal)) = issuer.authenticate(&other).await else {
        panic!("others sign for the payer");
    };
    assert_eq!(refusal.code, Code::CreditSignatureInvalid);
    assert_eq!(asked(&service).len(), 3);
}

#[tokio::test]
async fn how_tabs_are_numbered_is_what_the_service_says() {
    for (said, expected) in [
        (json!("reserved"), ReqIds::Reserved),
        (json!("strict"), ReqIds::Strict),
        (json!("some other way"), ReqIds::Strict),
        (Value::Null, ReqIds::Strict),
    ] {
        let mut params = params();
        params["req_ids"] = said;
        let service = service_with(params, |_: &Seen| json_answer(500, &json!({}))).await;
        let issuer = CoreIssuer::new(builder(&service, &Chain::new(31337)), CHAIN);
        assert_eq!(issuer.req_ids().await, Ok(expected));
    }
}

#[tokio::test]
async fn the_words_of_a_refusal_have_codes() {
    for (status, words, code) in [
        (400, "user not registered", Code::CreditPayerUnknown),
        (403, "user suspended", Code::CreditSuspended),
        (
            400,
            "tab 0x1 only accepts guarantee version 1, got 2",
            Code::CreditVersionMismatch,
        ),
        (404, "0x1", Code::CreditTabUnknown),
        (400, "req_id not valid", Code::CreditReqIdInvalid),
        (
            400,
            "timestamp is in the future",
            Code::CreditTimestampInvalid,
        ),
        (409, "tab already closed", Code::CreditTabClosed),
        (
            400,
            "Recipient address does not match tab",
            Code::CreditTabMismatch,
        ),
        (
            400,
            "Not enough free collateral",
            Code::CreditCollateralTooLow,
        ),
        (400, "Invalid signature", Code::CreditSignatureInvalid),
        (
            400,
            "validation registry is not trusted",
            Code::CreditRegistryNotTrusted,
        ),
        (400, "something new", Code::CreditRefused),
    ] {
        let (_service, issuer) =
            issuer(move |_: &Seen| json_answer(status, &json!({ "error": words }))).await;
        let request = request().await;
        let checked = issuer.check(&request).await;
        let Err(IssueError::Refused(refusal)) = checked else {
            panic!("{words}: {checked:?}");
        };
        assert_eq!(refusal.code, code, "{words}");
        let outcome = issuer.issue(&request).await;
        let IssueOutcome::Refused(refusal) = outcome else {
            panic!("{words}: {outcome:?}");
        };
        assert_eq!(refusal.code, code, "{words}");
    }
}

#[tokio::test]
async fn what_may_have_been_issued_is_unknown() {
    // It answers with a certificate over something else, or not at all.
    let lie = issued(&claims(OTHER, ME), 1000);
    let (_service, issuer_that_lies) = issuer(move |_: &Seen| json_answer(200, &lie)).await;
    assert_eq!(
        issuer_that_lies.issue(&request().await).await,
        IssueOutcome::Unknown(Code::CreditCoreAnswerInvalid)
    );
    // First nobody knows; then there is a clear answer that says nothing about the first time.
    let calls = Arc::new(AtomicU32::new(0));
    let (_service, issuer) = issuer(move |seen: &Seen| {
        let issues = seen.method == "POST";
        if issues && calls.fetch_add(1, Ordering::Relaxed) == 0 {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        match issues {
            true => json_answer(429, &json!({ "error": "too many requests" })),
            false => json_answer(200, &Value::Null),
        }
    })
    .await;
    assert_eq!(
        issuer.issue(&request().await).await,
        IssueOutcome::Unknown(Code::CreditCoreUnavailable)
    );
}

#[tokio::test]
async fn a_tab_has_its_own_start_and_time() {
    let (_service, issuer) = issuer(|seen: &Seen| match seen.method.as_str() {
        "POST" => json_answer(
            200,
            &json!({ "id": "0xabc", "user_address": OTHER, "recipient_address": TOKEN, "erc20_token": null,
                "asset_address": "0x0000000000000000000000000000000000000000", "guarantee_version": 1,
                "next_req_id": "0x5" }),
        ),
        _ => json_answer(
            200,
            &json!({ "tab_id": "0xabc", "user_address": OTHER, "recipient_address": TOKEN,
                "asset_address": "0x0000000000000000000000000000000000000000", "accepted_guarantee_version": 1,
                "start_timestamp": 17, "ttl_seconds": 60, "status": "OPEN", "settlement_status": "PENDING",
                "created_at": 1, "updated_at": 1 }),
        ),
    })
    .await;
    let ask = TabAsk {
        payer: OTHER,
        recipient: TOKEN,
        asset: faregate_client::credit::ETH,
        version: GuaranteeVersion::V1,
        ttl_secs: None,
    };
    let ticket = issuer.open(&ask).await.unwrap();
    assert_eq!(ticket.start.map(|start| start.as_secs()), Some(17));
    assert_eq!(ticket.ttl_seconds, Some(60));
    assert_eq!(ticket.next_req_id, Some(U256::from(5)));
}

#[tokio::test]
async fn a_core_that_is_away_is_not_asked_by_everybody() {
    let service = service(|_: &Seen| json_answer(500, &Value::Null)).await;
    let builder = builder(&service, &Chain::new(31337));
    let nowhere = builder.service("http://127.0.0.1:9".parse().unwrap());
    let issuer = CoreIssuer::new(nowhere, CHAIN);
    let away = Away {
        code: Code::CreditCoreUnavailable,
    };
    for _ in 0..20 {
        assert_eq!(issuer.versions().await, Err(away));
    }
    let outcome = issuer.issue(&request().await).await;
    let IssueOutcome::Refused(refusal) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refusal.code, Code::CreditCoreUnavailable);
}
