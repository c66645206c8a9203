//! Against a facilitator that misbehaves on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use faregate_core::port::{Away, Facilitator, NoTrail, SettleOutcome, Unknown, Verdict};
use faregate_remote::{ConfigError, RemoteConfig, RemoteFacilitator};
use faregate_types::x402::{FacilitatorRequest, MaxTimeout, VersionTag, exact, v2};
use faregate_types::{Address, Authorization, B256, Code, Secret, TokenDomain, U256};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

const PAYER: Address = Address::repeat_byte(0xaa);
const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

fn request() -> FacilitatorRequest {
    let requirements = v2::PaymentRequirements {
        scheme: "exact".into(),
        network: "eip155:84532".into(),
        amount: "1000".into(),
        asset: Address::repeat_byte(0xcc).to_string(),
        pay_to: Address::repeat_byte(0xbb).to_string(),
        max_timeout_seconds: MaxTimeout::from_secs(60),
        extra: Some(TokenDomain::new("USDC", "2").to_extra()),
    };
    let payload = exact::Payload {
        authorization: Authorization {
            from: PAYER,
            to: Address::repeat_byte(0xbb),
            value: U256::from(1000),
            valid_after: U256::ZERO,
            valid_before: U256::from(u64::MAX),
            nonce: B256::repeat_byte(7),
        },
        signature: vec![1; 65].into(),
    };
    let payload = v2::PaymentPayload {
        x402_version: VersionTag,
        resource: None,
        accepted: requirements.clone(),
        payload: payload.to_value(),
        extensions: None,
    };
    FacilitatorRequest::V2 {
        payload,
        requirements,
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn config(address: SocketAddr) -> RemoteConfig {
    let mut config = RemoteConfig::new(format!("http://{address}/x402").parse().unwrap());
    config.verify_timeout = Duration::from_millis(300);
    config.settle_timeout = Duration::from_millis(300);
    config.answer_bytes_max = 4096;
    config
}

/// A facilitator whose three endpoints all answer what `respond` says.
async fn facilitator<F>(respond: F) -> RemoteFacilitator
where
    F: Fn() -> Response + Clone + Send + Sync + 'static,
{
    let answer = move || {
        let respond = respond.clone();
        async move { respond() }
    };
    let app = Router::new()
        .route("/x402/supported", get(answer.clone()))
        .route("/x402/verify", post(answer.clone()))
        .route("/x402/settle", post(answer));
    RemoteFacilitator::new(config(serve(app).await)).unwrap()
}

/// What the three questions give when nobody answers properly.
async fn expect_away(facilitator: &RemoteFacilitator, code: Code, why: &str) {
    let away = Away { code };
    let open = SettleOutcome::Unknown(Unknown {
        code,
        transaction: None,
    });
    assert_eq!(facilitator.supported().await, Err(away), "{why}");
    assert_eq!(facilitator.verify(&request()).await, Err(away), "{why}");
    assert_eq!(
        facilitator.settle(&request(), &NoTrail).await,
        open,
        "{why}"
    );
    assert_eq!(
        facilitator.resolve(&request(), Some("0x12")).await,
        SettleOutcome::Unknown(Unknown {
            code,
            transaction: Some("0x12".into())
        }),
        "{why}"
    );
}

#[tokio::test]
async fn the_request_is_the_one_of_the_protocol() {
    async fn check(headers: HeaderMap, Json(body): Json<Value>) -> bool {
        headers.get(header::AUTHORIZATION).unwrap() == "Bearer t0ken"
            && headers.get(header::CONTENT_TYPE).unwrap() == "application/json"
            && body["x402Version"] == 2
            && body["paymentPayload"]["payload"]["authorization"]["value"] == "1000"
            && body["paymentRequirements"]["amount"] == "1000"
    }
    let verify = |headers: HeaderMap, body: Json<Value>| async {
        Json(json!({"isValid": check(headers, body).await, "payer": PAYER}))
    };
    let settle = |headers: HeaderMap, body: Json<Value>| async {
        // The same for every call about this payment, and nobody else's.
        let own = request().exact().unwrap().id().to_string();
        assert_eq!(headers.get("idempotency-key").unwrap(), own.as_str());
        Json(
            json!({"success": check(headers, body).await, "transaction": HASH, "network": "eip155:84532"}),
        )
    };
    let supported = || async {
        Json(
            json!({"kinds": [{"x402Version": 2, "scheme": "exact", "network": "eip155:84532"}], "extensions": [], "signers": {}}),
        )
    };
    let app = Router::new()
        .route("/x402/supported", get(supported))
        .route("/x402/verify", post(verify))
        .route("/x402/settle", post(settle));
    let config = config(serve(app).await).bearer(Secret::new(b"t0ken".to_vec()));
    let facilitator = RemoteFacilitator::new(config).unwrap();
    assert_eq!(
        facilitator.supported().await.unwrap().kinds[0].network,
        "eip155:84532"
    );
    assert_eq!(
        facilitator.verify(&request()).await,
        Ok(Verdict::Valid { payer: PAYER })
    );
    for outcome in [
        facilitator.settle(&request(), &NoTrail).await,
        facilitator.resolve(&request(), None).await,
    ] {
        assert!(
            matches!(&outcome, SettleOutcome::Settled(s) if s.transaction.as_deref() == Some(HASH)),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let facilitator = RemoteFacilitator::new(config(address)).unwrap();
    expect_away(&facilitator, Code::FacilitatorUnavailable, "refused").await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let hits = Arc::new(AtomicUsize::new(0));
        let seen = hits.clone();
        let target = serve(Router::new().fallback(move || {
            seen.fetch_add(1, Ordering::SeqCst);
            async { r#"{"isValid":true,"success":true,"transaction":"0x1","kinds":[]}"# }
        }))
        .await;
        let facilitator = facilitator(move || {
            let status = StatusCode::from_u16(status).unwrap();
            let location = [(header::LOCATION, format!("http://{target}/verify"))];
            // A body that would be a verdict does not help.
            let body = r#"{"isValid":true,"success":true,"transaction":"0x1","kinds":[]}"#;
            (status, location, body).into_response()
        })
        .await;
        expect_away(&facilitator, Code::FacilitatorAnswerInvalid, "redirect").await;
        assert_eq!(hits.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn garbage_and_error_pages() {
    for (status, body, code) in [
        (200, "<html>hello", Code::FacilitatorAnswerInvalid),
        (200, "\u{0}\u{1}", Code::FacilitatorAnswerInvalid),
        (404, "not found", Code::FacilitatorAnswerInvalid),
        (502, "bad gateway", Code::FacilitatorUnavailable),
    ] {
        let facilitator =
            facilitator(move || (StatusCode::from_u16(status).unwrap(), body).into_response())
                .await;
        expect_away(&facilitator, code, body).await;
    }
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    let declared = facilitator(|| " ".repeat(1 << 20).into_response()).await;
    expect_away(&declared, Code::FacilitatorAnswerInvalid, "declared").await;
    let endless = facilitator(|| {
        let chunk = || Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024]));
        Body::from_stream(stream::repeat_with(chunk)).into_response()
    })
    .await;
    expect_away(&endless, Code::FacilitatorAnswerInvalid, "endless").await;
}

#[tokio::test]
async fn a_slow_body_ends_at_the_deadline() {
    let facilitator = facilitator(|| {
        let start = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{\"success\":"))]);
        Body::from_stream(start.chain(stream::pending())).into_response()
    })
    .await;
    expect_away(&facilitator, Code::FacilitatorUnavailable, "slow").await;
}

#[tokio::test]
async fn a_lost_connection_is_unknown() {
    let facilitator = facilitator(|| {
        let start = Ok(Bytes::from_static(b"{\"success\":"));
        let lost = Err(std::io::Error::other("gone"));
        Body::from_stream(stream::iter([start, lost])).into_response()
    })
    .await;
    expect_away(&facilitator, Code::FacilitatorUnavailable, "lost").await;
}

#[tokio::test]
async fn a_repeated_settlement_believes_success_only() {
    let facilitator = facilitator(|| {
        r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#.into_response()
    })
    .await;
    let first = facilitator.settle(&request(), &NoTrail).await;
    assert!(
        matches!(&first, SettleOutcome::Failed(refusal) if refusal.code == Code::InsufficientFunds),
        "{first:?}"
    );
    assert_eq!(
        facilitator.resolve(&request(), Some(HASH)).await,
        SettleOutcome::Unknown(Unknown {
            code: Code::InsufficientFunds,
            transaction: Some(HASH.into())
        })
    );
}

#[tokio::test]
async fn settle_is_sent_once() {
    let hits = Arc::new(AtomicUsize::new(0));
    let seen = hits.clone();
    let facilitator = facilitator(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    })
    .await;
    let outcome = facilitator.settle(&request(), &NoTrail).await;
    assert!(matches!(outcome, SettleOutcome::Unknown(_)), "{outcome:?}");
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

/// A facilitator of ours that sends us away before it looked at the payment: nothing was sent, and no verdict was given.
#[tokio::test]
async fn a_facilitator_that_does_not_take_us() {
    for (status, code, away) in [
        (401, Code::Unauthorized, Code::FacilitatorAnswerInvalid),
        (429, Code::RateLimited, Code::FacilitatorUnavailable),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let text = code.as_str();
        let verifier = facilitator(move || (status, Json(json!({"code": text}))).into_response());
        let verdict = verifier.await.verify(&request()).await;
        assert_eq!(verdict, Err(Away { code: away }));
        let settler = facilitator(move || {
            let body =
                json!({"code": text, "success": false, "errorReason": text, "transaction": ""});
            (status, Json(body)).into_response()
        });
        let outcome = settler.await.settle(&request(), &NoTrail).await;
        assert!(
            matches!(&outcome, SettleOutcome::Failed(refusal) if refusal.code == code),
            "{outcome:?}"
        );
    }
}

#[test]
fn bad_tokens_are_refused() {
    for token in ["", "a b", "a\r\nx: y", "é"] {
        let config = RemoteConfig::new("https://f.example".parse().unwrap())
            .bearer(Secret::new(token.as_bytes().to_vec()));
        assert_eq!(
            RemoteFacilitator::new(config).unwrap_err(),
            ConfigError::Bearer,
            "{token:?}"
        );
    }
}
