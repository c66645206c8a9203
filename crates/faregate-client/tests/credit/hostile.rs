//! Services that answer anything: there is an end, an error or a value, and nothing breaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faregate_client::credit::{CreditClient, CreditError, NoAnswer};
use faregate_types::credit::api::{CreateAdminKey, Hidden};
use faregate_types::credit::{GuaranteeVersion, SigningScheme};
use faregate_types::{Address, U256};
use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::Seen;
use crate::world::*;

/// Everything that can be asked, one after the other. Every answer is an answer or an error.
async fn ask_everything(client: &CreditClient) {
    let (recipient, rpc) = (client.recipient(), client.rpc());
    let tab = U256::from(0xabc);
    drop(
        recipient
            .create_tab(OTHER, Address::ZERO, None, GuaranteeVersion::V1)
            .await,
    );
    drop(recipient.settled_tabs().await);
    drop(recipient.pending_remunerations().await);
    drop(recipient.tabs(&[]).await);
    drop(recipient.tab(tab).await);
    drop(recipient.guarantees(tab).await);
    drop(recipient.latest_guarantee(tab).await);
    drop(recipient.guarantee(tab, U256::from(17)).await);
    drop(recipient.payments().await);
    drop(recipient.collateral_events(tab).await);
    drop(recipient.balance(ME, Address::ZERO).await);
    drop(rpc.public_params().await);
    drop(rpc.health().await);
    drop(rpc.supported_tokens().await);
    drop(rpc.admin_keys().await);
    drop(rpc.set_suspension(ME, true).await);
    drop(rpc.revoke_admin_key(&"0".repeat(32)).await);
    let mut claims = claims(ME, ME);
    claims.amount = U256::ONE;
    let request = client
        .user()
        .sign_payment(claims, SigningScheme::Eip712)
        .await
        .unwrap();
    let issued = recipient.issue_payment_guarantee(&request).await;
    assert!(issued.is_err(), "nobody else has the key");
}

/// JSON of any shape, with the names and values that are looked for.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "id",
        "tab_id",
        "req_id",
        "user_address",
        "recipient_address",
        "asset_address",
        "status",
        "settlement_status",
        "certificate",
        "claims",
        "signature",
        "error",
        "tokens",
        "chain_id",
        "total",
        "locked",
        "access_token",
        "siwe",
        "public_key",
        "amount",
        "tab",
        "created_at",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "0x[0-9a-f]{0,200}".prop_map(Value::from),
        Just(json!("PENDING")),
        Just(json!(ME)),
        Just(json!("{\"claims\":\"00\",\"signature\":\"00\"}")),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..12).prop_map(|members| {
                Value::from_iter(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value)),
                )
            }),
        ]
    })
}

type Scripted = Arc<Mutex<(u16, Vec<u8>)>>;

#[test]
fn any_answer_is_an_answer_or_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let said = Scripted::default();
    let (client, _service) = runtime.block_on(async {
        let answers = Arc::clone(&said);
        // Parameters that are right the first time; anything afterwards.
        let service = crate::common::seller(move |seen: &Seen| {
            let (status, body) = answers.lock().unwrap().clone();
            if status == 0 && seen.path == "/core/public-params" {
                return json_answer(200, &params());
            }
            let status = StatusCode::from_u16(status).unwrap();
            (status, Body::from(body)).into_response()
        })
        .await;
        let client = builder(&service, &Chain::new(31337))
            .connect()
            .await
            .unwrap();
        (client, service)
    });
    let body = prop_oneof![
        any_json().prop_map(|json| json.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..256),
    ];
    // Statuses that are asked again would only be asked again.
    let status = prop::sample::select(vec![200, 201, 204, 302, 400, 401, 403, 404, 409, 418, 422]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    runner
        .run(&(status, body), |(status, body)| {
            *said.lock().unwrap() = (status, body);
            runtime.block_on(ask_everything(&client));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off_and_one_that_never_comes_is_not_waited_for() {
    let endless = |_: &Seen| -> Response {
        let chunk = vec![b' '; 1 << 20];
        let body = futures_util::stream::repeat(chunk).map(Ok::<_, std::io::Error>);
        Body::from_stream(body).into_response()
    };
    let service = service(endless).await;
    let client = builder(&service, &Chain::new(31337))
        .connect()
        .await
        .unwrap();
    let error = client.rpc().admin_keys().await.unwrap_err();
    assert!(
        matches!(error, CreditError::NoAnswer(NoAnswer::TooLarge)),
        "{error:?}"
    );
    assert_eq!(asked(&service).len(), 1);

    let silent = |_: &Seen| -> Response {
        Body::from_stream(futures_util::stream::pending::<
            Result<Vec<u8>, std::io::Error>,
        >())
        .into_response()
    };
    let service = crate::world::service(silent).await;
    let patience = Duration::from_millis(300);
    let client = builder(&service, &Chain::new(31337))
        .timeout(patience)
        .connect()
        .await
        .unwrap();
    let key = CreateAdminKey {
        name: "n".into(),
        scopes: vec![],
    };
    let error = client.rpc().create_admin_key(&key).await.unwrap_err();
    assert!(
        matches!(error, CreditError::NoAnswer(NoAnswer::TimedOut)),
        "{error:?}"
    );
    assert!(error.is_unknown());
}

#[tokio::test]
async fn nothing_of_a_token_or_key_is_in_a_text_even_when_the_service_repeats_it() {
    let token = format!(
        "eyJhbGciOiJIUzI1NiJ9.{}.{}",
        "a".repeat(100),
        "b".repeat(43)
    );
    let echo = {
        let token = token.clone();
        move |_: &Seen| json_answer(401, &json!({"error": format!("bad token {token}")}))
    };
    let service = service(echo).await;
    let builder = builder(&service, &Chain::new(31337))
        .bearer_token(Hidden::new(token.clone()))
        .admin_api_key(Hidden::new("ak_secret".into()));
    let text = format!("{builder:?}");
    let client = builder.connect().await.unwrap();
    let error = client.recipient().settled_tabs().await.unwrap_err();
    let text = format!("{text} {client:?} {:?} {error} {error:?}", client.rpc());
    for secret in ["aaaaaaaa", "bbbbbbbb", "ak_secret", &KEY[2..]] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("bad token"));
}
