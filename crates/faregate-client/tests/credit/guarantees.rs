//! Certificates: asked for once, found again, and believed only when they say what was signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faregate_client::credit::{CertificateFault, ClaimsFault, CreditClient, CreditError, Distrust};
use faregate_types::credit::binding::bind;
use faregate_types::credit::{
    Certificate, Claims, Guarantee, GuaranteeRequest, GuaranteeVersion, SigningScheme,
    ValidationPolicy, write,
};
use faregate_types::{Address, B256, U256};
use serde_json::{Value, json};

use crate::common::{Seen, Seller};
use crate::world::*;

pub fn certificate(claims: &Claims, total: u64) -> Certificate {
    let guarantee = Guarantee::of(claims, domain(claims.version()), U256::from(total));
    Certificate::issue(&guarantee.unwrap(), &bls())
}

pub fn issued(claims: &Claims, total: u64) -> Value {
    serde_json::from_str(&write(&certificate(claims, total))).unwrap()
}

pub fn info(claims: &Claims, certificate: Option<&Certificate>) -> Value {
    json!({"tab_id": "0xabc", "req_id": "0x11", "version": 1, "from_address": claims.payer,
        "to_address": claims.recipient, "asset_address": claims.asset, "amount": "0x3e8",
        "start_timestamp": 1716500000, "certificate": certificate.map(write)})
}

fn conditional(payer: Address) -> Claims {
    let mut claims = claims(payer, ME);
    claims.validation = Some(ValidationPolicy {
        registry: Address::repeat_byte(0x80),
        request_hash: B256::ZERO,
        chain_id: 31337,
        validator: OTHER,
        agent_id: U256::from(7),
        min_score: 80,
        subject_hash: B256::ZERO,
        tag: "hard-finality".into(),
        job_hash: B256::repeat_byte(0x11),
    });
    bind(claims)
}

async fn payer() -> CreditClient {
    let service = service(|_| json_answer(404, &json!({}))).await;
    let builder = builder(&service, &Chain::new(31337)).signer(signer(OTHER_KEY));
    builder.connect().await.unwrap()
}

pub async fn signed(claims: Claims, scheme: SigningScheme) -> GuaranteeRequest {
    payer()
        .await
        .user()
        .sign_payment(claims, scheme)
        .await
        .unwrap()
}

async fn recipient(
    answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> (Seller, CreditClient) {
    let service = service(answer).await;
    let client = builder(&service, &Chain::new(31337))
        .connect()
        .await
        .unwrap();
    (service, client)
}

const POST: &str = "POST /core/guarantees";
const GET: &str = "GET /core/tabs/0xabc/guarantees/17";

#[tokio::test]
async fn signed_claims_of_both_versions_and_schemes_become_certificates() {
    for claims in [claims(OTHER, ME), conditional(OTHER)] {
        for scheme in [SigningScheme::Eip712, SigningScheme::Eip191] {
            let request = signed(claims.clone(), scheme).await;
            let answer = issued(&claims, 1000);
            let (service, client) = recipient(move |_: &Seen| json_answer(200, &answer)).await;
            let issued = client
                .recipient()
                .issue_payment_guarantee(&request)
                .await
                .unwrap();
            assert_eq!(issued.guarantee.amount, U256::from(1000));
            assert_eq!(issued.guarantee.validation, claims.validation);
            let seen = service.seen().pop().unwrap();
            assert_eq!(
                body(&seen),
                serde_json::from_str::<Value>(&write(&request)).unwrap()
            );
            assert_eq!(seen.header("idempotency-key").unwrap().len(), 66);
        }
    }
}

#[tokio::test]
async fn what_cannot_become_one_is_not_sent() {
    let (service, client) = recipient(|_: &Seen| json_answer(200, &Value::Null)).await;
    let issue = |request: GuaranteeRequest| {
        let client = client.clone();
        async move {
            client
                .recipient()
                .issue_payment_guarantee(&request)
                .await
                .unwrap_err()
        }
    };
    let good = signed(claims(OTHER, ME), SigningScheme::Eip712).await;
    let changed = |change: fn(&mut Claims)| {
        let mut request = good.clone();
        change(&mut request.claims);
        request
    };
    for (request, expected) in [
        (
            changed(|claims| claims.amount = U256::from(1001)),
            ClaimsFault::Signature,
        ),
        (
            changed(|claims| claims.amount = U256::ZERO),
            ClaimsFault::Amount,
        ),
        (
            changed(|claims| claims.recipient = OTHER),
            ClaimsFault::Recipient,
        ),
        (changed(|claims| claims.payer = ME), ClaimsFault::Signature),
    ] {
        let error = issue(request).await;
        assert!(
            matches!(&error, CreditError::Claims(fault) if *fault == expected),
            "{error:?}"
        );
    }
    assert!(asked(&service).is_empty());
    let payer = payer().await;
    let user = payer.user();
    let sign = |claims| user.sign_payment(claims, SigningScheme::Eip712);
    let error = sign(claims(ME, OTHER)).await.unwrap_err();
    assert!(
        matches!(error, CreditError::Claims(ClaimsFault::Payer)),
        "{error:?}"
    );
    let mut loose = conditional(OTHER);
    loose.amount = U256::from(999);
    let error = sign(loose).await.unwrap_err();
    assert!(
        matches!(error, CreditError::Claims(ClaimsFault::Binding(_))),
        "{error:?}"
    );
    let mut elsewhere = conditional(OTHER);
    elsewhere.validation.as_mut().unwrap().chain_id = 1;
    let error = sign(bind(elsewhere)).await.unwrap_err();
    assert!(
        matches!(error, CreditError::Claims(ClaimsFault::ValidationChain(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_says_something_else_is_none() {
    let claims = claims(OTHER, ME);
    let request = signed(claims.clone(), SigningScheme::Eip712).await;
    let changed = |change: fn(&mut Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        issued(&claims, 1000)
    };
    for lie in [
        changed(|claims| claims.amount = U256::from(999)),
        changed(|claims| claims.recipient = OTHER),
        changed(|claims| claims.payer = ME),
        changed(|claims| claims.tab_id = U256::ONE),
        changed(|claims| claims.req_id = U256::ONE),
        changed(|claims| claims.asset = TOKEN),
        changed(|claims| claims.timestamp = faregate_types::Timestamp::from_secs(1)),
        // Less on the tab than this guarantee alone.
        issued(&claims, 999),
        issued(&conditional(OTHER), 1000),
    ] {
        let (_, client) = recipient(move |_: &Seen| json_answer(200, &lie)).await;
        let error = client
            .recipient()
            .issue_payment_guarantee(&request)
            .await
            .unwrap_err();
        assert!(
            matches!(error, CreditError::Certificate(CertificateFault::Claims)),
            "{error:?}"
        );
    }
    let (_, client) =
        recipient(move |_: &Seen| json_answer(200, &json!({"claims": "00", "signature": "00"})))
            .await;
    assert!(
        client
            .recipient()
            .issue_payment_guarantee(&request)
            .await
            .is_err()
    );
}

/// A service whose answer to the first request is lost, and which has the guarantee afterwards or not.
async fn lossy(first: u16, has_it: bool, claims: Claims) -> (Seller, CreditClient) {
    let posts = Arc::new(AtomicU32::new(0));
    recipient(move |seen: &Seen| {
        if seen.method == "GET" {
            let certificate = has_it.then(|| certificate(&claims, 1000));
            let found = certificate.map_or(Value::Null, |found| info(&claims, Some(&found)));
            return json_answer(200, &found);
        }
        if posts.fetch_add(1, Ordering::SeqCst) == 0 {
            let text = "another guarantee with req_id 17 already exists";
            return json_answer(first, &json!({"error": text}));
        }
        json_answer(200, &issued(&claims, 1000))
    })
    .await
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_before_anything_is_sent_again() {
    let claims = claims(OTHER, ME);
    let request = signed(claims.clone(), SigningScheme::Eip712).await;
    let (service, client) = lossy(502, true, claims.clone()).await;
    client
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap();
    assert_eq!(asked(&service), [POST, GET]);
    let (service, client) = lossy(502, false, claims.clone()).await;
    client
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap();
    assert_eq!(asked(&service), [POST, GET, POST]);
    let keys: Vec<_> = service
        .seen()
        .iter()
        .filter_map(|seen| seen.header("idempotency-key"))
        .collect();
    assert_eq!(keys[0], keys[1]);
    // Somebody has sent it before, perhaps this program before it crashed.
    let (service, client) = lossy(400, true, claims.clone()).await;
    client
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap();
    assert_eq!(asked(&service), [POST, GET]);
    // Another guarantee has this number: the refusal counts, and nothing is sent again.
    let (service, client) = lossy(400, false, claims.clone()).await;
    let error = client
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert_eq!(asked(&service), [POST, GET]);
}

#[tokio::test]
async fn a_guarantee_of_somebody_else_under_this_number_is_not_ours() {
    let ours = claims(OTHER, ME);
    let request = signed(ours.clone(), SigningScheme::Eip712).await;
    let mut theirs = ours.clone();
    theirs.amount = U256::from(1);
    let (_, client) = lossy(409, true, theirs).await;
    let error = client
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(409));
}

#[tokio::test]
async fn reads_are_repeated_and_what_would_happen_twice_is_not() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let (service, client) = recipient(move |_: &Seen| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response(),
        _ => json_answer(200, &json!([])),
    })
    .await;
    client.recipient().settled_tabs().await.unwrap();
    assert_eq!(asked(&service).len(), 3);
    calls.store(0, Ordering::SeqCst);
    let key = faregate_types::credit::api::CreateAdminKey {
        name: "n".into(),
        scopes: vec![],
    };
    let error = client.rpc().create_admin_key(&key).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert!(error.is_unknown());
    assert!(error.to_string().contains("busy"));
    assert_eq!(asked(&service).len(), 4);
}

#[tokio::test]
async fn answers_about_something_else_are_no_answers() {
    let claims = claims(OTHER, ME);
    let (_, client) = recipient(move |seen: &Seen| match seen.path.as_str() {
        "/core/payment-tabs" => json_answer(
            200,
            &json!({"id": "0xabc", "user_address": OTHER, "recipient_address": OTHER, "asset_address": TOKEN,
                "guarantee_version": 1, "next_req_id": "0x0"}),
        ),
        path if path.contains("/assets/") => json_answer(
            200,
            &json!({"user_address": ME, "asset_address": TOKEN, "total": "0x1", "locked": "0x0", "version": 1,
                "updated_at": 1}),
        ),
        path if path.ends_with("guarantees") => json_answer(200, &json!([info(&claims, None)])),
        _ => json_answer(200, &info(&claims, None)),
    })
    .await;
    let recipient = client.recipient();
    let is_distrust = |error: CreditError| matches!(error, CreditError::Distrust(Distrust::Answer));
    let tab = recipient
        .create_tab(OTHER, TOKEN, Some(60), GuaranteeVersion::V1)
        .await;
    assert!(is_distrust(tab.unwrap_err()));
    assert!(is_distrust(
        recipient.balance(OTHER, TOKEN).await.unwrap_err()
    ));
    assert!(is_distrust(
        recipient.guarantees(U256::ONE).await.unwrap_err()
    ));
    assert!(is_distrust(
        recipient.latest_guarantee(U256::ONE).await.unwrap_err()
    ));
    let (tab, req) = (U256::from(0xabc), U256::from(18));
    assert!(is_distrust(
        recipient.guarantee(tab, req).await.unwrap_err()
    ));
    assert_eq!(recipient.guarantees(tab).await.unwrap().len(), 1);
    recipient
        .guarantee(tab, U256::from(17))
        .await
        .unwrap()
        .unwrap();
}
