//! Who may do what: 401 for "who are you", 403 for "you may not".

use faregate_types::Address;
use http::Method;
use serde_json::json;

use crate::kit::{World, admin, facilitator, payer, reader, recipient, settings, stranger};

#[tokio::test]
async fn a_fresh_wallet_may_act_for_itself() {
    let world = World::new().await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let token = world.token(&recipient()).await;
    let tab = world.tab(&token).await;
    let issued = world
        .post(Some(&token), "/core/guarantees", &world.signed(&tab, 0, 10))
        .await;
    issued.ok();
}

#[tokio::test]
async fn only_the_recipient_and_a_facilitator_open_tabs_and_have_guarantees_issued() {
    let world = World::new().await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let asked = json!({ "user_address": payer().text(), "recipient_address": recipient().text() });
    let tab = world.tab(&world.token(&recipient()).await).await;
    for (wallet, expected) in [
        (payer(), 403),
        (stranger(), 403),
        (admin(), 403),
        (facilitator(), 200),
    ] {
        let token = world.token(&wallet).await;
        let opened = world.post(Some(&token), "/core/payment-tabs", &asked).await;
        assert_eq!(opened.status.as_u16(), expected, "{}", wallet.text());
        let claims = world.signed(&tab, 0, 10);
        let issued = world.post(Some(&token), "/core/guarantees", &claims).await;
        assert_eq!(issued.status.as_u16(), expected, "{}", wallet.text());
    }
    let nobody = world.post(None, "/core/payment-tabs", &asked).await;
    assert_eq!(nobody.error(), (401, "missing authorization"));
    let nobody = world
        .post(None, "/core/guarantees", &world.signed(&tab, 1, 10))
        .await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn each_list_has_those_who_may_see_it() {
    let world = World::new().await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let token = world.token(&recipient()).await;
    let tab = world.tab(&token).await;
    let (user, seller, eth) = (payer().text(), recipient().text(), Address::ZERO);
    let tab_calls = [
        "",
        "/guarantees",
        "/guarantees/latest",
        "/guarantees/0",
        "/collateral-events",
    ]
    .map(|call| format!("/core/tabs/{tab}{call}"));
    let seller_calls = ["tabs", "settled-tabs", "pending-remunerations"]
        .map(|call| format!("/core/recipients/{seller}/{call}"));
    // payer, recipient, facilitator, admin, stranger
    let table = [
        (tab_calls.as_slice(), [200, 200, 200, 200, 403]),
        (&seller_calls, [403, 200, 200, 200, 403]),
        (
            &[format!("/core/recipients/{seller}/payments")],
            [403, 200, 403, 200, 403],
        ),
        (
            &[format!("/core/users/{user}/tabs")],
            [200, 403, 200, 200, 403],
        ),
        (
            &[format!("/core/users/{user}/assets/{eth}")],
            [200, 200, 200, 200, 403],
        ),
    ];
    let wallets = [payer(), recipient(), facilitator(), admin(), stranger()];
    for (index, wallet) in wallets.iter().enumerate() {
        let token = world.token(wallet).await;
        for (paths, expected) in &table {
            for path in *paths {
                let told = world.get(Some(&token), path).await;
                assert_eq!(told.status.as_u16(), expected[index], "{index} {path}");
                assert_eq!(world.get(None, path).await.status, 401, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_recipient_sees_the_balance_of_its_payers_only() {
    let world = World::new().await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let token = world.token(&recipient()).await;
    let path = format!("/core/users/{}/assets/{}", payer().text(), Address::ZERO);
    let before = world.get(Some(&token), &path).await;
    assert_eq!(before.error(), (403, "no tab with this user"));
    world.tab(&token).await;
    assert_eq!(world.get(Some(&token), &path).await.ok()["total"], "0x3e8");
}

#[tokio::test]
async fn a_wallet_may_have_fewer_scopes() {
    let mut less = settings(true);
    reader(&mut less, &recipient());
    let world = World::with(less).await;
    let token = world.token(&recipient()).await;
    let path = format!("/core/recipients/{}/tabs", recipient().text());
    assert_eq!(world.get(Some(&token), &path).await.status, 200);
    let asked = json!({ "user_address": payer().text(), "recipient_address": recipient().text() });
    let told = world.post(Some(&token), "/core/payment-tabs", &asked).await;
    assert_eq!(told.error(), (403, "missing scope"));
}

#[tokio::test]
async fn suspending_takes_a_key_or_an_administrators_wallet() {
    let world = World::new().await;
    let path = format!("/core/users/{}/suspension", payer().text());
    let body = json!({ "suspended": true });
    let nobody = world.post(None, &path, &body).await;
    assert_eq!(nobody.error(), (401, "missing api key"));
    for (wallet, expected) in [(payer(), 403), (facilitator(), 403), (admin(), 200)] {
        let token = world.token(&wallet).await;
        let told = world.post(Some(&token), &path, &body).await;
        assert_eq!(told.status.as_u16(), expected, "{}", wallet.text());
    }
    // SDK 1.1.1 shows both; the key decides.
    let token = world.token(&admin()).await;
    let request = world.request(Method::POST, &path).json(&body);
    let request = request.bearer_auth(token).header("x-api-key", "ak_1.2");
    assert_eq!(world.send(request).await.error(), (401, "invalid api key"));
}

#[tokio::test]
async fn where_nobody_has_to_sign_in_the_old_sdk_does_everything() {
    let world = World::with(settings(false)).await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    // As SDK 0.4.3 says it: without a version.
    let asked = json!({
        "user_address": payer().text(), "recipient_address": recipient().text(), "erc20_token": null, "ttl": null,
    });
    let tab = world.post(None, "/core/payment-tabs", &asked).await.ok();
    assert_eq!(tab["guarantee_version"], 1);
    let tab = tab["id"].as_str().unwrap();
    let issued = world
        .post(None, "/core/guarantees", &world.signed(tab, 0, 10))
        .await;
    issued.ok();
    for path in [
        format!("/core/tabs/{tab}"),
        format!("/core/recipients/{}/payments", recipient().text()),
        format!("/core/users/{}/assets/{}", payer().text(), Address::ZERO),
    ] {
        world.get(None, &path).await.ok();
        // Who says who they are is held to it, and has to be right about it.
        assert_eq!(world.get(Some("nonsense"), &path).await.status, 401);
        let token = world.token(&stranger()).await;
        assert_eq!(world.get(Some(&token), &path).await.status, 403);
    }
    // Administration stays closed.
    let path = format!("/core/users/{}/suspension", payer().text());
    let told = world.post(None, &path, &json!({ "suspended": true })).await;
    assert_eq!(told.error(), (401, "missing api key"));
}
