//! Signing in with a wallet (specs/4mica.md §1.5).

use http::Method;
use serde_json::{Value, json};

use crate::kit::{World, admin, barred, message, payer, recipient, settings, stranger, wallet};

async fn refresh(world: &World, token: &str) -> (u16, Value) {
    let asked = json!({ "refresh_token": token });
    let told = world.post(None, "/auth/refresh", &asked).await;
    (told.status.as_u16(), told.json)
}

async fn reads_its_tabs(world: &World, token: &str) -> u16 {
    let path = format!("/core/recipients/{}/tabs", recipient().text());
    world.get(Some(token), &path).await.status.as_u16()
}

#[tokio::test]
async fn a_wallet_signs_in_and_reads_its_tabs() {
    let world = World::new().await;
    let asked = json!({ "address": recipient().text() });
    let nonce = world.post(None, "/auth/nonce", &asked).await.ok();
    let text = nonce["nonce"].as_str().unwrap();
    assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let siwe = json!({
        "domain": "core.example", "uri": "https://core.example", "chainId": 84_532, "statement": "Sign in to 4mica.",
        "issuedAt": "2026-11-21T00:00:00Z", "expiration": "2026-11-21T00:05:00Z",
    });
    assert_eq!(nonce["siwe"], siwe);
    let message = message(&recipient().text(), &nonce);
    let tokens = world.verify(&recipient(), &message).await.ok();
    assert_eq!(tokens["expires_in"], 900);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(reads_its_tabs(&world, access).await, 200);
    world.later(899);
    assert_eq!(reads_its_tabs(&world, access).await, 200);
    world.later(1);
    assert_eq!(reads_its_tabs(&world, access).await, 401);
}

#[tokio::test]
async fn a_message_signs_in_once() {
    let world = World::new().await;
    let message = world.message(&payer()).await;
    let payer = payer();
    let (one, other) = tokio::join!(
        world.verify(&payer, &message),
        world.verify(&payer, &message)
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let again = world.verify(&payer, &message).await;
    assert_eq!(again.error(), (401, "nonce already used"));
}

#[tokio::test]
async fn what_a_message_says_is_checked() {
    let world = World::new().await;
    let good = world.message(&payer()).await;
    for (from, to, expected) in [
        (
            "core.example wants",
            "evil.example wants",
            "domain mismatch",
        ),
        (
            "URI: https://core.example",
            "URI: https://evil.example",
            "uri mismatch",
        ),
        ("Chain ID: 84532", "Chain ID: 1", "invalid chain id"),
        (
            "Sign in to 4mica.",
            "Give me your money.",
            "statement mismatch",
        ),
        (
            "Issued At: 2026-11-21T00:00:00Z",
            "Issued At: 2026-11-21T00:00:31Z",
            "message issued in the future",
        ),
        (
            "Issued At: 2026-11-21T00:00:00Z",
            "Issued At: 2026-11-20T23:54:59Z",
            "message issued too long ago",
        ),
        (
            "Expiration Time: 2026-11-21T00:05:00Z",
            "Expiration Time: 2026-11-21T00:00:00Z",
            "message expired",
        ),
        ("Nonce: ", "Nonce: a", "invalid nonce"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        let told = world.verify(&payer(), &changed).await;
        assert_eq!(told.error(), (401, expected));
    }
    // Malformed is another thing than wrong.
    for odd in ["", "hello", &good.replace("Version: 1", "Version: 2")] {
        let told = world.verify(&payer(), odd).await;
        assert_eq!(told.status, 400);
        assert!(
            told.error().1.starts_with("invalid siwe message: "),
            "{told:?}"
        );
    }
    // It is still good: nothing of this used it up.
    world.verify(&payer(), &good).await.ok();
}

#[tokio::test]
async fn nobody_signs_in_for_somebody_else() {
    let world = World::new().await;
    let message = world.message(&payer()).await;
    // Their message, my signature.
    let forged = json!({
        "address": payer().text(), "message": message, "signature": stranger().sign(&message),
    });
    let told = world.post(None, "/auth/verify", &forged).await;
    assert_eq!(told.error(), (401, "invalid signature"));
    // Their message, my address.
    let told = world.verify(&stranger(), &message).await;
    assert_eq!(told.error(), (401, "address mismatch"));
    // My message with their nonce.
    let mine = message.replace(&payer().text(), &stranger().text());
    let told = world.verify(&stranger(), &mine).await;
    assert_eq!(told.error(), (401, "invalid nonce"));
    for signature in [
        "0x",
        "0x00",
        &format!("0x{}", "11".repeat(65)),
        &format!("0x{}", "22".repeat(3_000)),
    ] {
        let odd = json!({ "address": payer().text(), "message": message, "signature": signature });
        let told = world.post(None, "/auth/verify", &odd).await;
        assert_eq!(told.error(), (401, "invalid signature"), "{signature:.10}");
    }
    world.verify(&payer(), &message).await.ok();
}

#[tokio::test]
async fn a_nonce_is_good_for_its_time_whatever_the_message_says() {
    let world = World::new().await;
    let message = world.message(&payer()).await;
    world.later(300);
    // Written anew with the old nonce.
    let fresh = message
        .replace(
            "Issued At: 2026-11-21T00:00:00Z",
            "Issued At: 2026-11-21T00:05:00Z",
        )
        .replace("Time: 2026-11-21T00:05:00Z", "Time: 2026-11-21T00:10:00Z");
    let told = world.verify(&payer(), &fresh).await;
    assert_eq!(told.error(), (401, "nonce expired"));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_stolen_one_ends_the_session() {
    let world = World::new().await;
    let (_, first) = world.sign_in(&recipient()).await;
    let (other_access, other) = world.sign_in(&recipient()).await;
    let (status, tokens) = refresh(&world, &first).await;
    assert_eq!(status, 200);
    let second = tokens["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(reads_its_tabs(&world, access).await, 200);
    // Somebody shows the first again: nobody goes on.
    let (status, told) = refresh(&world, &first).await;
    assert_eq!(
        (status, &told["error"]),
        (401, &json!("refresh token was used before"))
    );
    let (status, told) = refresh(&world, &second).await;
    assert_eq!(
        (status, &told["error"]),
        (401, &json!("invalid refresh token"))
    );
    // The wallet's other session is another one.
    assert_eq!(reads_its_tabs(&world, &other_access).await, 200);
    assert_eq!(refresh(&world, &other).await.0, 200);
}

#[tokio::test]
async fn every_bad_refresh_token_is_401() {
    let world = World::new().await;
    let (_, token) = world.sign_in(&recipient()).await;
    for odd in [
        "",
        "refresh_",
        "x",
        &token.replace("refresh_", ""),
        &format!("{token}00"),
        &"refresh_00".repeat(400),
    ] {
        assert_eq!(refresh(&world, odd).await.0, 401, "{odd:.20}");
    }
    world.later(86_400);
    let (status, told) = refresh(&world, &token).await;
    assert_eq!(
        (status, &told["error"]),
        (401, &json!("refresh token expired"))
    );
}

#[tokio::test]
async fn a_session_ends_when_its_owner_says_so() {
    let world = World::new().await;
    let (_, token) = world.sign_in(&recipient()).await;
    for revoked in [true, false] {
        let asked = json!({ "refresh_token": token });
        let told = world.post(None, "/auth/logout", &asked).await.ok();
        assert_eq!(told, json!({ "revoked": revoked }));
    }
    assert_eq!(refresh(&world, &token).await.0, 401);
    let nothing = json!({ "refresh_token": "nothing" });
    let told = world.post(None, "/auth/logout", &nothing).await.ok();
    assert_eq!(told, json!({ "revoked": false }));
}

#[tokio::test]
async fn a_barred_wallet_does_not_sign_in() {
    let world = World::new().await;
    let message = world.message(&barred()).await;
    let told = world.verify(&barred(), &message).await;
    assert_eq!(told.error(), (403, "wallet is not active"));
}

#[tokio::test]
async fn tokens_and_what_is_no_token() {
    let world = World::new().await;
    let token = world.token(&recipient()).await;
    let path = format!("/core/recipients/{}/tabs", recipient().text());
    let with = async |value: &str| {
        let request = world.request(Method::GET, &path);
        world.send(request.header("authorization", value)).await
    };
    for (value, expected) in [
        (format!("Bearer {token}"), 200),
        (format!("bearer {token}"), 200),
        (format!("Bearer  {token} "), 200),
        (token.clone(), 401),
        (format!("Basic {token}"), 401),
        (format!("Bearer {token}x"), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer a.b.c".to_owned(), 401),
        (format!("Bearer {}", "a".repeat(20_000)), 401),
    ] {
        let told = with(&value).await;
        assert_eq!(told.status.as_u16(), expected, "{value:.40}");
        let challenge = told.headers.get("www-authenticate");
        assert_eq!(challenge.is_some(), expected == 401);
    }
    let none = world.get(None, &path).await;
    assert_eq!(none.error(), (401, "missing authorization"));
    let twice = world.request(Method::GET, &path).bearer_auth(&token);
    let twice = twice.header("authorization", "Bearer other");
    assert_eq!(
        world.send(twice).await.error(),
        (401, "invalid authorization")
    );
}

#[tokio::test]
async fn tokens_of_another_key_or_chain_do_not_count() {
    let world = World::new().await;
    let token = world.token(&admin()).await;
    let mut other = settings(true);
    other.auth.key = faregate_server::credit::TokenKey::new(&[8; 32]).unwrap();
    let other = World::with(other).await;
    let path = format!("/core/recipients/{}/tabs", recipient().text());
    assert_eq!(
        other.get(Some(&token), &path).await.error(),
        (401, "invalid access token")
    );
    let mut elsewhere = settings(true);
    elsewhere.parameters.chain = faregate_types::ChainId::evm(1);
    let elsewhere = World::with(elsewhere).await;
    assert_eq!(
        elsewhere.get(Some(&token), &path).await.error(),
        (401, "invalid chain id")
    );
}

#[tokio::test]
async fn what_the_file_says_of_a_wallet_counts_before_its_token() {
    let world = World::new().await;
    let token = world.token(&wallet(9)).await;
    let path = format!("/core/recipients/{}/tabs", wallet(9).text());
    assert_eq!(world.get(Some(&token), &path).await.status, 200);
    // The operator bars the wallet and starts anew.
    let mut stricter = settings(true);
    stricter.auth.wallets.push((
        wallet(9).address(),
        faregate_server::credit::Standing {
            barred: true,
            ..Default::default()
        },
    ));
    let books = std::sync::Arc::clone(&world.books);
    let ledger = std::sync::Arc::clone(&world.ledger);
    let again = World::over(books, ledger, stricter).await;
    assert_eq!(again.get(Some(&token), &path).await.status, 403);
    world.stop().await;
}
