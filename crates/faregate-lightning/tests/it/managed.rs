//! Managed mode from the seller's side, in the shapes of l402kit's service (specs/l402.md §2.4, §2.5).

use faregate_lightning::{Endpoint, Listing, Managed, ManagedConfig, RegisterError};
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{Say, Script, create, hash, invoice, receiver};

fn managed(endpoint: Endpoint) -> Managed {
    let url = endpoint.base.clone();
    let mut config = ManagedConfig::from_address("You@Wallet.Example", url).unwrap();
    config.endpoint = endpoint;
    Managed::new(config).unwrap()
}

fn made(invoice: &str) -> Value {
    json!({ "paymentRequest": invoice, "paymentHash": hash(), "macaroon": "eyJoYXNoIjoi" })
}

#[tokio::test]
async fn an_invoice_is_asked_for_as_l402kit_asks() {
    contract::receives(managed, &[], made).await;
    let script = Script::start([Say::Json(200, made(&invoice()))]).await;
    create(&receiver(managed(script.endpoint()))).await.unwrap();
    let call = &script.calls()[0];
    assert_eq!(call.line, "POST /api/invoice");
    let asked = json!({ "amountSats": 10, "ownerAddress": "you@wallet.example" });
    assert_eq!(call.json(), asked);
}

fn listing() -> Listing {
    Listing {
        url: "https://api.example/v1".parse().unwrap(),
        name: "My API".into(),
        price_sats: 10,
        description: None,
        category: "data".into(),
    }
}

#[tokio::test]
async fn an_entry_is_registered_as_l402kit_registers_it() {
    // What l402kit's service says, and what ours says the first time.
    let answers = [
        (
            json!({ "ok": true, "id": 7, "verified": false }),
            false,
            false,
        ),
        (
            json!({ "ok": true, "id": "ab", "verified": true, "key": "secret" }),
            true,
            true,
        ),
    ];
    for (answer, verified, has_key) in answers {
        let script = Script::start([Say::Json(200, answer)]).await;
        let key = Secret::new(b"0123456789abcdef".to_vec());
        let listed = managed(script.endpoint())
            .register(&listing(), Some(&key))
            .await;
        let listed = listed.unwrap();
        assert_eq!((listed.verified, listed.key.is_some()), (verified, has_key));
        let call = &script.calls()[0];
        assert_eq!(call.line, "POST /api/register");
        assert_eq!(call.header("authorization"), "Bearer 0123456789abcdef");
        let said = json!({
            "url": "https://api.example/v1", "name": "My API", "price_sats": 10, "category": "data",
            "lightning_address": "you@wallet.example", "description": null,
        });
        assert_eq!(call.json(), said);
    }
}

#[tokio::test]
async fn a_directory_that_says_no_says_why() {
    let refused = |status, detail: &str| RegisterError::Refused {
        status,
        detail: detail.into(),
    };
    let away = |code| RegisterError::Away(faregate_core::Away { code });
    for (say, error) in [
        (
            Say::Json(403, json!({ "detail": "not yours" })),
            refused(403, "not yours"),
        ),
        (
            Say::Json(400, json!({ "error": "bad url" })),
            refused(400, "bad url"),
        ),
        (Say::Text(429, "slow"), refused(429, "no reason given")),
        (
            Say::Json(200, json!({ "ok": false })),
            away(Code::LightningAnswerInvalid),
        ),
        (Say::Text(200, "hello"), away(Code::LightningAnswerInvalid)),
        (Say::Cut, away(Code::LightningUnavailable)),
    ] {
        let script = Script::start([say.clone()]).await;
        let listed = managed(script.endpoint()).register(&listing(), None).await;
        assert_eq!(listed.map(drop), Err(error), "{say:?}");
    }
}
