//! Signing in, staying signed in, and what happens when that is not taken.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::Response;
use faregate_client::credit::{CreditClient, CreditError, SignInFault};
use faregate_evm::recover;
use faregate_types::credit::{SignIn, parse_signature};
use faregate_types::{U256, eip191};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{Seen, Seller};
use crate::world::*;

/// A service with sessions.
#[derive(Default)]
struct Auth {
    /// Tokens given out.
    count: AtomicU64,
    expires_in: AtomicU64,
    /// Access tokens that are not taken any more.
    ended: Mutex<Vec<String>>,
    /// What refreshing is answered with instead.
    refuses: Mutex<Option<u16>>,
}

fn template() -> Value {
    json!({"domain": "d", "uri": "http://d", "chainId": 31337, "statement": "Sign in to 4mica.",
        "issuedAt": "2029-01-01T00:00:00+00:00", "expiration": "2030-01-01T00:00:00+00:00"})
}

impl Auth {
    fn tokens(&self) -> Response {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let expires_in = self.expires_in.load(Ordering::SeqCst);
        json_answer(
            200,
            &json!({"access_token": format!("AT{count}"), "refresh_token": format!("RT{count}"),
                "expires_in": expires_in}),
        )
    }

    fn answer(&self, seen: &Seen) -> Response {
        let refused = |status, text| json_answer(status, &json!({"error": text}));
        match seen.path.as_str() {
            "/auth/nonce" => json_answer(200, &json!({"nonce": "abc", "siwe": template()})),
            "/auth/verify" => {
                let body = body(seen);
                let message = SignIn::parse(body["message"].as_str().unwrap()).unwrap();
                assert_eq!((message.address, message.nonce.as_str()), (ME, "abc"));
                let digest = eip191::digest(body["message"].as_str().unwrap().as_bytes());
                let signature: alloy_primitives::Bytes =
                    body["signature"].as_str().unwrap().parse().unwrap();
                let signature = parse_signature(&signature).unwrap();
                assert_eq!(recover(digest, &signature), Some(ME));
                self.tokens()
            }
            "/auth/refresh" => match *self.refuses.lock().unwrap() {
                Some(status) => refused(status, "invalid refresh token"),
                None => self.tokens(),
            },
            "/auth/logout" => json_answer(200, &json!({"revoked": true})),
            _ => {
                let token = seen.header("authorization").unwrap_or_default();
                if token.is_empty() || self.ended.lock().unwrap().contains(&token) {
                    refused(401, "invalid access token")
                } else {
                    json_answer(200, &Value::Null)
                }
            }
        }
    }
}

async fn signed_in(expires_in: u64) -> (Arc<Auth>, Seller, CreditClient) {
    let auth = Arc::new(Auth::default());
    auth.expires_in.store(expires_in, Ordering::SeqCst);
    let service = {
        let auth = Arc::clone(&auth);
        service(move |seen: &Seen| auth.answer(seen)).await
    };
    let client = builder(&service, &Chain::new(31337))
        .sign_in()
        .connect()
        .await
        .unwrap();
    (auth, service, client)
}

const TAB: &str = "GET /core/tabs/0x1";

async fn ask(client: &CreditClient) -> Result<(), CreditError> {
    client.recipient().tab(U256::ONE).await.map(drop)
}

#[tokio::test]
async fn one_sign_in_serves_everybody_who_waits_for_it() {
    let (_, service, client) = signed_in(900).await;
    for answer in join_all((0..10).map(|_| ask(&client))).await {
        answer.unwrap();
    }
    let asked = asked(&service);
    assert_eq!(asked[..2], ["POST /auth/nonce", "POST /auth/verify"]);
    assert_eq!(asked[2..], [TAB; 10]);
    for seen in &service.seen()[3..] {
        assert_eq!(seen.header("authorization").unwrap(), "Bearer AT1");
    }
    // It does not go where nobody asks who calls.
    client.rpc().public_params().await.unwrap();
    assert!(
        service
            .seen()
            .pop()
            .unwrap()
            .header("authorization")
            .is_none()
    );
}

#[tokio::test]
async fn a_token_is_refreshed_before_its_end_and_each_refresh_token_is_shown_once() {
    // Due as soon as it is there.
    let (_, service, client) = signed_in(0).await;
    for _ in 0..3 {
        ask(&client).await.unwrap();
    }
    let refresh = "POST /auth/refresh";
    assert_eq!(
        asked(&service),
        [
            "POST /auth/nonce",
            "POST /auth/verify",
            TAB,
            refresh,
            TAB,
            refresh,
            TAB
        ]
    );
    let shown: Vec<_> = service
        .seen()
        .iter()
        .filter(|seen| seen.path == "/auth/refresh")
        .map(body)
        .collect();
    assert_eq!(
        shown,
        [
            json!({"refresh_token": "RT1"}),
            json!({"refresh_token": "RT2"})
        ]
    );
    let last = service.seen().pop().unwrap();
    assert_eq!(last.header("authorization").unwrap(), "Bearer AT3");
}

#[tokio::test]
async fn a_refused_refresh_is_a_new_sign_in() {
    for status in [401, 403, 500] {
        let (auth, service, client) = signed_in(0).await;
        ask(&client).await.unwrap();
        *auth.refuses.lock().unwrap() = Some(status);
        ask(&client).await.unwrap();
        let (sign_in, refresh) = (
            ["POST /auth/nonce", "POST /auth/verify", TAB],
            "POST /auth/refresh",
        );
        assert_eq!(
            asked(&service),
            [&sign_in[..], &[refresh], &sign_in[..]].concat(),
            "{status}"
        );
    }
    // Too many calls are no end of a session: the refresh token was not looked at, and is still good.
    let (auth, service, client) = signed_in(0).await;
    ask(&client).await.unwrap();
    *auth.refuses.lock().unwrap() = Some(429);
    assert_eq!(ask(&client).await.unwrap_err().status(), Some(429));
    *auth.refuses.lock().unwrap() = None;
    ask(&client).await.unwrap();
    assert_eq!(
        asked(&service)[3..],
        ["POST /auth/refresh", "POST /auth/refresh", TAB]
    );
}

#[tokio::test]
async fn a_call_that_is_not_taken_signs_in_again_once() {
    let (auth, service, client) = signed_in(900).await;
    ask(&client).await.unwrap();
    auth.ended.lock().unwrap().push("Bearer AT1".into());
    ask(&client).await.unwrap();
    let sign_in = ["POST /auth/nonce", "POST /auth/verify", TAB];
    assert_eq!(
        asked(&service),
        [&sign_in[..], &[TAB], &sign_in[..]].concat()
    );
    // A service that takes nothing is not asked for ever.
    auth.ended
        .lock()
        .unwrap()
        .extend((1..10).map(|count| format!("Bearer AT{count}")));
    let error = ask(&client).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(error.to_string().contains("invalid access token"));
    assert_eq!(asked(&service).len(), 7 + 4);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_the_service() {
    let (_, service, client) = signed_in(900).await;
    assert!(!client.rpc().sign_out().await.unwrap(), "there was none");
    client.rpc().sign_in().await.unwrap();
    assert!(client.rpc().sign_out().await.unwrap());
    let last = service.seen().pop().unwrap();
    assert_eq!(
        (last.path.as_str(), body(&last)),
        ("/auth/logout", json!({"refresh_token": "RT1"}))
    );
    ask(&client).await.unwrap();
    assert_eq!(
        asked(&service)[3..],
        ["POST /auth/nonce", "POST /auth/verify", TAB]
    );
}

#[tokio::test]
async fn nothing_is_signed_that_signs_in_elsewhere() {
    // Another service on this machine may have any name, but not another chain.
    let wrong = |name: &'static str, value: Value| async move {
        let service = service(move |_: &Seen| {
            let mut siwe = template();
            siwe[name] = value.clone();
            json_answer(200, &json!({"nonce": "abc", "siwe": siwe}))
        })
        .await;
        let client = builder(&service, &Chain::new(31337))
            .sign_in()
            .sign_in_domain("d");
        let error = ask(&client.connect().await.unwrap()).await.unwrap_err();
        assert_eq!(asked(&service), ["POST /auth/nonce"]);
        error
    };
    let error = wrong("chainId", json!(1)).await;
    assert!(
        matches!(error, CreditError::SignIn(SignInFault::Chain)),
        "{error:?}"
    );
    let error = wrong("domain", json!("bank.example")).await;
    assert!(
        matches!(error, CreditError::SignIn(SignInFault::Domain)),
        "{error:?}"
    );
    let error = wrong("uri", json!("https://bank.example")).await;
    assert!(
        matches!(error, CreditError::SignIn(SignInFault::Domain)),
        "{error:?}"
    );
    // What reaches into the next line.
    let error = wrong("statement", json!("hello\n\nURI: http://d")).await;
    assert!(
        matches!(error, CreditError::SignIn(SignInFault::Message(_))),
        "{error:?}"
    );
}
