//! A client that pays on credit and has a credit core: it verifies what sellers show, and asks about what nobody answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use faregate_client::{
    Client, Kind, OnCredit, PayError, Payment, Prefer, Proof, ShownCertificate, SpendState,
    WalletStore,
};
use faregate_types::credit::x402::CreditEnvelope;
use faregate_types::credit::{BlsSecretKey, Certificate, Claims, Guarantee, write};
use faregate_types::x402::header::decode_any;
use faregate_types::{
    Asset, AssetRegistry, Code, Erc20, Timestamp, TokenDomain, TransferMethod, U256,
};
use serde_json::{Value, json};

use crate::common::{NOW, Seen, Seller, caps, encode, memory, required_v1, seller, wallet};
use crate::world::*;

/// What a core says of tab and number.
#[derive(Clone)]
struct Says {
    guarantee: Value,
    tab: Value,
    status: u16,
}

/// What a seller does with a payment: `None` loses the answer.
type Deal = fn(&Claims) -> Option<Response>;

struct World {
    seller: Seller,
    client: Client,
    store: Arc<dyn WalletStore>,
    says: Arc<Mutex<Says>>,
    now: Arc<Mutex<u64>>,
    deal: Arc<Mutex<Deal>>,
}

fn claims_of(payment: &str) -> Claims {
    let payment = decode_any(payment.as_bytes()).unwrap();
    CreditEnvelope::read(&payment).unwrap().request.claims
}

fn asset() -> Asset {
    Asset {
        id: Erc20::new(CHAIN, TOKEN),
        symbol: "DEV".into(),
        decimals: 6,
        domain: TokenDomain {
            name: "Dev".into(),
            version: "1".into(),
        },
        transfer: TransferMethod::Eip3009,
    }
}

impl World {
    async fn new(deal: Deal) -> Self {
        let says = Arc::new(Mutex::new(Says {
            guarantee: Value::Null,
            tab: Value::Null,
            status: 200,
        }));
        let telling = says.clone();
        let service = service(move |seen| {
            let says = telling.lock().unwrap();
            let answer = match seen.path.contains("guarantees") {
                true => &says.guarantee,
                false => &says.tab,
            };
            json_answer(says.status, answer)
        })
        .await;
        let core = builder(&service, &Chain::new(31337)).signer(signer(OTHER_KEY));
        let credit = OnCredit::new().core(core.connect().await.unwrap());
        let deal = Arc::new(Mutex::new(deal));
        let dealing = deal.clone();
        let seller = seller(move |seen: &Seen| {
            let at = format!("http://{}", seen.header("host").unwrap());
            let offer = json!({"scheme": "4mica-credit", "network": "eip155:31337", "maxAmountRequired": "1000",
                "payTo": ME, "asset": TOKEN, "extra": {"tabEndpoint": format!("{at}/tabs")}});
            let mut body = required_v1(&[offer]);
            match (seen.path.as_str(), seen.payment()) {
                ("/tabs", _) => {
                    let tab = json!({"tabId": "0xabc", "userAddress": OTHER, "nextReqId": "0x11"});
                    tab.to_string().into_response()
                }
                (_, None) => (StatusCode::PAYMENT_REQUIRED, body.to_string()).into_response(),
                (_, Some(payment)) => {
                    let deal = *dealing.lock().unwrap();
                    deal(&claims_of(&payment)).unwrap_or_else(|| {
                        body["error"] = json!("settlement_pending");
                        (StatusCode::PAYMENT_REQUIRED, body.to_string()).into_response()
                    })
                }
            }
        })
        .await;
        let store = memory();
        let now = Arc::new(Mutex::new(NOW));
        let clock = now.clone();
        let assets = AssetRegistry::builtin().with(asset());
        let client = Client::builder()
            .wallet(wallet())
            .caps(caps())
            .store(store.clone())
            .assets(assets)
            .allow_chain(CHAIN)
            .credit(credit)
            .prefer(Prefer::Credit)
            .wait(std::time::Duration::ZERO)
            .clock(move || Timestamp::from_secs(*clock.lock().unwrap()))
            .build()
            .unwrap();
        Self {
            seller,
            client,
            store,
            says,
            now,
            deal,
        }
    }

    async fn buy(&self) -> Result<Payment, PayError> {
        let paid = self.client.get(self.seller.url("/")).send().await?;
        Ok(paid.payment.unwrap())
    }

    /// The claims that were sent first.
    fn claims(&self) -> Claims {
        claims_of(&self.seller.payments()[0])
    }

    fn tell(&self, guarantee: Value, tab: Value) {
        let mut says = self.says.lock().unwrap();
        (says.guarantee, says.tab) = (guarantee, tab);
    }
}

fn sold_with(claims: &Claims, key: &BlsSecretKey) -> Response {
    let guarantee = Guarantee::of(claims, domain(claims.version()), U256::from(5_000)).unwrap();
    let certificate = Certificate::issue(&guarantee, key);
    let receipt = json!({"success": true, "transaction": "", "network": "eip155:31337", "extra": {
        "certificate": serde_json::from_str::<Value>(&write(&certificate)).unwrap()}});
    ([("x-payment-response", encode(&receipt))], "served").into_response()
}

fn guarantee_of(claims: &Claims) -> Value {
    json!({"tab_id": "0xabc", "req_id": "0x11", "version": 1, "from_address": claims.payer,
        "to_address": claims.recipient, "asset_address": claims.asset, "amount": claims.amount.to_string(),
        "start_timestamp": claims.timestamp.as_secs(), "certificate": null})
}

fn tab(status: &str, start: u64) -> Value {
    json!({"tab_id": "0xabc", "user_address": OTHER, "recipient_address": ME, "asset_address": TOKEN,
        "accepted_guarantee_version": 1, "start_timestamp": start, "ttl_seconds": 86_400, "status": status,
        "settlement_status": "PENDING", "created_at": start, "updated_at": start})
}

#[tokio::test]
async fn certificates_are_verified_with_the_key_of_the_core() {
    let world = World::new(|claims| Some(sold_with(claims, &bls()))).await;
    let payment = world.buy().await.unwrap();
    let credit = payment.credit().unwrap();
    assert!(matches!(credit.certificate, ShownCertificate::Verified(_)));
    assert_eq!(credit.total, Some(U256::from(5_000)));

    let world = World::new(|claims| {
        let other = BlsSecretKey::from_hex(&format!("{:064x}", 8)).unwrap();
        Some(sold_with(claims, &other))
    })
    .await;
    let payment = world.buy().await.unwrap();
    let credit = payment.credit().unwrap();
    assert_eq!(credit.certificate, ShownCertificate::NotCredible);
    // It was served, so it was paid for.
    assert_eq!((credit.total, payment.state), (None, SpendState::Paid));
}

/// What the core knows of open claims decides, where it can.
#[tokio::test]
async fn the_core_is_asked_about_claims_that_nobody_answered() {
    let other = |claims: &Claims| {
        let mut other = guarantee_of(claims);
        other["amount"] = json!("999");
        other
    };
    type Tell = fn(&World);
    let table: [(&str, Tell, Result<Proof, Code>); 7] = [
        (
            "issued",
            |world| world.tell(guarantee_of(&world.claims()), Value::Null),
            Ok(Proof::Used),
        ),
        (
            "nothing, and the tab is open",
            |world| world.tell(Value::Null, tab("OPEN", NOW)),
            Ok(Proof::Undecided),
        ),
        (
            "nothing, and no tab",
            |world| world.tell(Value::Null, Value::Null),
            Ok(Proof::Undecided),
        ),
        (
            "nothing, and the tab is closed",
            |world| world.tell(Value::Null, tab("CLOSED", NOW)),
            Ok(Proof::Unused),
        ),
        (
            "nothing, and the tab's time is over",
            |world| world.tell(Value::Null, tab("OPEN", NOW - 90_001)),
            Ok(Proof::Unused),
        ),
        (
            "an answer about something else",
            |world| {
                let mut elsewhere = guarantee_of(&world.claims());
                elsewhere["tab_id"] = json!("0xabd");
                world.tell(elsewhere, Value::Null);
            },
            Err(Code::CreditCoreUnavailable),
        ),
        (
            "no answer",
            |world| world.says.lock().unwrap().status = 400,
            Err(Code::CreditCoreUnavailable),
        ),
    ];
    for (what, tell, expected) in table {
        let world = World::new(|_| None).await;
        let error = world.buy().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Undecided, "{what}: {error}");
        let id = error.payment().unwrap();
        tell(&world);
        let found = world.client.ask_core(id).await;
        assert_eq!(found.map_err(|error| error.code()), expected, "{what}");
        let state = world.store.spend(id).await.unwrap().unwrap().state;
        let closed = expected == Ok(Proof::Unused);
        assert_eq!(state == SpendState::Unused, closed, "{what}");
        assert_eq!(state == SpendState::Open, !closed, "{what}");
    }
    // Another guarantee has the number: these claims can never get one.
    let world = World::new(|_| None).await;
    let id = world.buy().await.unwrap_err().payment().unwrap();
    world.tell(other(&world.claims()), Value::Null);
    assert_eq!(world.client.ask_core(id).await.unwrap(), Proof::Unused);
    assert_eq!(world.client.pending().await.unwrap(), []);
}

/// Claims that are too old are shown once more. What the seller says then is only believed when the core does not know better.
#[tokio::test]
async fn before_anything_else_is_signed_the_core_is_asked() {
    for was_issued in [true, false] {
        let world = World::new(|_| None).await;
        let id = world.buy().await.unwrap_err().payment().unwrap();
        let guarantee = match was_issued {
            true => guarantee_of(&world.claims()),
            false => Value::Null,
        };
        world.tell(guarantee, tab("OPEN", NOW));
        *world.now.lock().unwrap() += 1_000;
        *world.deal.lock().unwrap() = |claims| {
            let is_young = claims.timestamp.as_secs() > NOW;
            let body = json!({"x402Version": 1, "error": "payment_expired", "accepts": []});
            let no = (StatusCode::PAYMENT_REQUIRED, body.to_string());
            Some(match is_young {
                true => sold_with(claims, &bls()),
                false => no.into_response(),
            })
        };
        let result = world.buy().await;
        let sent: BTreeSet<String> = world.seller.payments().into_iter().collect();
        let state = world.store.spend(id).await.unwrap().unwrap().state;
        if was_issued {
            assert_eq!(result.unwrap_err().code(), Code::PaymentAlreadyUsed);
            assert_eq!((sent.len(), state), (1, SpendState::Paid));
        } else {
            assert_eq!(result.unwrap().state, SpendState::Paid);
            assert_eq!((sent.len(), state), (2, SpendState::Refused));
        }
    }
}
