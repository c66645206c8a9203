//! LND.

use std::time::Duration;

use faregate_core::port::lightning::{InvoiceState, PayOrder, PayOutcome};
use faregate_devnet::lightning::Fate;
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_lightning::{Endpoint, Lnd, LndConfig};
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Code, Secret, Timestamp};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Lnd {
    Lnd::new(LndConfig::new(endpoint, Secret::new(vec![2, 1, 3, 0xab]))).unwrap()
}

fn paid(preimage: &str) -> Value {
    payment("SUCCEEDED", preimage, "FAILURE_REASON_NONE")
}

fn payment(status: &str, preimage: &str, reason: &str) -> Value {
    json!({ "result": {
        "payment_hash": hash().to_string(), "value": "10", "creation_date": "1800000000", "fee": "0",
        "payment_preimage": preimage, "value_sat": "10", "value_msat": "10000", "payment_request": invoice(),
        "status": status, "fee_sat": "0", "fee_msat": "500", "htlcs": [], "failure_reason": reason,
    }})
}

fn error(code: u16, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message, "details": [] } })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(new, &[], |text| {
        json!({ "r_hash": "AAAA", "payment_request": text, "add_index": "7", "payment_addr": "AAAA" })
    })
    .await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[], paid).await;
}

#[tokio::test]
async fn asks_as_lnd_wants_to_be_asked() {
    let made = json!({ "payment_request": invoice() });
    let script = Script::start([
        Say::Json(200, made),
        Say::Json(200, paid(&"05".repeat(32))),
        Say::Json(404, error(5, "payment isn't initiated")),
    ])
    .await;
    create(&receiver(new(script.endpoint()))).await.unwrap();
    let sender = sender(new(script.endpoint()));
    let PayOutcome::Paid(done) = pay(&sender).await else {
        panic!("not paid");
    };
    assert_eq!(done.fee, Some(Msat::new(500)));
    track(&sender).await;
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /v1/invoices");
    assert_eq!(calls[0].header("grpc-metadata-macaroon"), "020103ab");
    let asked =
        json!({ "value_msat": "10000", "memo": "a joke", "expiry": "600", "private": false });
    assert_eq!(calls[0].json(), asked);
    assert_eq!(calls[1].line, "POST /v2/router/send");
    assert_eq!(calls[1].json()["fee_limit_msat"], "1000");
    assert_eq!(calls[1].json()["payment_request"], invoice());
    assert!(calls[2].line.starts_with("GET /v2/router/track/"));
    assert!(calls[2].line.ends_with('='));
}

#[tokio::test]
async fn every_end_of_a_payment_is_read() {
    let none = "00".repeat(32);
    let failed = |reason| Say::Json(200, payment("FAILED", &none, reason));
    let said = |status, code, message| Say::Json(status, error(code, message));
    let table = [
        (
            failed("FAILURE_REASON_NO_ROUTE"),
            "failed",
            Code::LightningNoRoute,
        ),
        (
            failed("FAILURE_REASON_INSUFFICIENT_BALANCE"),
            "failed",
            Code::InsufficientFunds,
        ),
        (
            failed("FAILURE_REASON_TIMEOUT"),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            Say::Json(200, payment("IN_FLIGHT", &none, "")),
            "unknown",
            Code::LightningUnavailable,
        ),
        (
            Say::Json(200, payment("SUCCEEDED", &none, "")),
            "unknown",
            Code::LightningPreimageMissing,
        ),
        (
            Say::Json(200, payment("SETTLED", &none, "")),
            "unknown",
            Code::LightningAnswerInvalid,
        ),
        (
            said(
                500,
                2,
                "verification failed: signature mismatch after caveat verification",
            ),
            "refused",
            Code::LightningUnauthorized,
        ),
        (
            said(500, 2, "invoice expired. Valid until 1970"),
            "refused",
            Code::InvoiceExpired,
        ),
        (
            said(400, 3, "proto: syntax error"),
            "refused",
            Code::InvoiceUnusable,
        ),
        (
            said(500, 2, "something else"),
            "unknown",
            Code::LightningUnavailable,
        ),
    ];
    for (say, kind, code) in table {
        let script = Script::start([say.clone()]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), (kind, Some(code)), "{say:?}");
    }
}

#[tokio::test]
async fn another_payment_than_the_one_that_was_meant_is_not_taken_for_it() {
    let mut other = paid(&"05".repeat(32));
    other["result"]["payment_hash"] = "07".repeat(32).into();
    let script = Script::start([Say::Json(200, other)]).await;
    let outcome = pay(&sender(new(script.endpoint()))).await;
    assert_eq!(
        words(&outcome),
        ("unknown", Some(Code::LightningAnswerInvalid))
    );
}

#[tokio::test]
async fn a_payment_that_was_made_before_is_tracked() {
    for (second, kind) in [
        (Say::Json(200, paid(&"05".repeat(32))), "paid"),
        (
            Say::Json(200, payment("IN_FLIGHT", &"00".repeat(32), "")),
            "unknown",
        ),
        (
            Say::Json(
                200,
                payment("FAILED", &"00".repeat(32), "FAILURE_REASON_ERROR"),
            ),
            "failed",
        ),
    ] {
        let already = Say::Json(409, error(6, "invoice is already paid"));
        let script = Script::start([already, second]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome).0, kind);
        assert_eq!(script.calls().len(), 2);
    }
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let state = |state: &str, hash: &str| {
        Say::Json(
            200,
            json!({ "state": state, "r_hash": hash, "amt_paid_msat": "10000" }),
        )
    };
    let ours = hash().to_string();
    let missing = json!({ "code": 2, "message": "unable to locate invoice", "details": [] });
    let locked = json!({ "code": 2, "message": "expected 1 macaroon, got 0", "details": [] });
    let amount = Some(Msat::new(10_000));
    for (say, expected) in [
        (state("OPEN", &ours), Ok(InvoiceState::Open)),
        (state("ACCEPTED", &ours), Ok(InvoiceState::Open)),
        (state("SETTLED", &ours), Ok(InvoiceState::Paid { amount })),
        (state("CANCELED", &ours), Ok(InvoiceState::Cancelled)),
        (
            state("SETTLED", &"07".repeat(32)),
            Err(Code::LightningAnswerInvalid),
        ),
        (state("PAID", &ours), Err(Code::LightningAnswerInvalid)),
        (Say::Json(404, missing.clone()), Ok(InvoiceState::Unknown)),
        (Say::Json(500, missing), Ok(InvoiceState::Unknown)),
        (Say::Json(500, locked), Err(Code::LightningUnauthorized)),
        (Say::Text(404, "nginx"), Err(Code::LightningAnswerInvalid)),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}

#[test]
fn nothing_secret_is_printed_and_nothing_insecure_is_taken() {
    let endpoint = Endpoint::new("https://node.example:8080".parse().unwrap());
    let config = LndConfig::new(endpoint, Secret::new(b"c0ffee".to_vec()));
    assert!(!format!("{config:?}").contains("c0ffee"));
    let lnd = Lnd::new(config).unwrap();
    assert!(!format!("{lnd:?}").contains("c0ffee"));
    for (url, secret) in [("http://node.example", "ab"), ("https://node.example", "")] {
        let endpoint = Endpoint::new(url.parse().unwrap());
        let secret = Secret::new(secret.as_bytes().to_vec());
        assert!(Lnd::new(LndConfig::new(endpoint, secret)).is_err());
    }
}

// Against the dev network's REST server.

struct World {
    net: DevLightning,
}

impl World {
    async fn start() -> Self {
        let net = DevLightning::start(LightningConfig::default())
            .await
            .unwrap();
        Self { net }
    }

    fn lnd(&self, wallet: WalletName) -> Lnd {
        let endpoint = Endpoint::new(self.net.rest_url().parse().unwrap());
        let macaroon = Secret::new(self.net.macaroon(wallet).into_bytes());
        Lnd::new(LndConfig::new(endpoint, macaroon)).unwrap()
    }

    fn shop(&self) -> faregate_core::port::lightning::Receiver {
        let lnd = std::sync::Arc::new(self.lnd(WalletName::Seller));
        faregate_core::port::lightning::Receiver::new(lnd, BitcoinNetwork::Regtest, clock())
    }

    fn payer(&self) -> faregate_core::port::lightning::Sender {
        let lnd = std::sync::Arc::new(self.lnd(WalletName::Payer));
        faregate_core::port::lightning::Sender::new(lnd, BitcoinNetwork::Regtest, clock()).unwrap()
    }
}

fn clock() -> std::sync::Arc<dyn faregate_core::Clock> {
    std::sync::Arc::new(|| Timestamp::from(std::time::SystemTime::now()))
}

fn order(invoice: &faregate_core::port::lightning::Invoice) -> PayOrder {
    PayOrder {
        invoice: invoice.bolt11().clone(),
        fee_max: Msat::new(10_000),
        time_limit: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn sells_and_pays_over_rest() {
    let world = World::start().await;
    let (shop, payer) = (world.shop(), world.payer());
    let invoice = create(&shop).await.unwrap();
    assert_eq!(
        shop.look_up(&invoice.wanted()).await,
        Ok(InvoiceState::Open)
    );
    let mut heard = shop.settled().await.unwrap();
    // The subscription is asked for when it is first looked at, so it is looked at while somebody pays, more than once
    // because the first may come before it.
    let listening = tokio::spawn(async move { heard.next().await });
    let amount = Some(Msat::new(10_000));
    loop {
        let invoice = create(&shop).await.unwrap();
        let PayOutcome::Paid(paid) = payer.pay(&order(&invoice)).await else {
            panic!("not paid");
        };
        assert_eq!(paid.preimage.hash(), invoice.bolt11().payment_hash());
        assert_eq!(paid.fee, Some(Msat::new(1_001)));
        let state = shop.look_up(&invoice.wanted()).await;
        assert_eq!(state, Ok(InvoiceState::Paid { amount }));
        tokio::time::sleep(Duration::from_millis(20)).await;
        if listening.is_finished() {
            break;
        }
    }
    let settled = listening.await.unwrap().unwrap().unwrap();
    assert_eq!(settled.amount, amount);
    let unknown = faregate_core::port::lightning::Wanted {
        payment_hash: hash(),
        ..invoice.wanted()
    };
    assert_eq!(shop.look_up(&unknown).await, Ok(InvoiceState::Unknown));
    world.net.shutdown().await;
}

#[tokio::test]
async fn a_second_payment_over_rest_is_the_first() {
    let world = World::start().await;
    let (shop, payer) = (world.shop(), world.payer());
    let invoice = create(&shop).await.unwrap();
    let first = payer.pay(&order(&invoice)).await;
    let balance = world.net.balance(WalletName::Payer);
    assert_eq!(first, payer.pay(&order(&invoice)).await);
    assert_eq!(first, payer.track(invoice.bolt11()).await);
    assert_eq!(world.net.balance(WalletName::Payer), balance);
}

#[tokio::test]
async fn lost_held_and_failed_payments_over_rest_end_as_they_did() {
    let world = World::start().await;
    let (shop, payer) = (world.shop(), world.payer());
    world
        .net
        .next_payments([Fate::LoseAnswer, Fate::Hold, Fate::Fail]);
    let lost = create(&shop).await.unwrap();
    assert_eq!(kind(&payer.pay(&order(&lost)).await), "unknown");
    assert_eq!(kind(&payer.track(lost.bolt11()).await), "paid");

    let held = create(&shop).await.unwrap();
    let waiting = tokio::spawn({
        let payer = payer.clone();
        let order = order(&held);
        async move { payer.pay(&order).await }
    });
    while payer.track(held.bolt11()).await != PayOutcome::Unknown(Code::LightningPaymentPending) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.net.settle_held();
    assert_eq!(kind(&waiting.await.unwrap()), "paid");

    let failing = create(&shop).await.unwrap();
    assert_eq!(kind(&payer.pay(&order(&failing)).await), "failed");
    assert_eq!(kind(&payer.track(failing.bolt11()).await), "failed");
    let never = create(&shop).await.unwrap();
    let outcome = payer.track(never.bolt11()).await;
    assert_eq!(outcome, PayOutcome::Unknown(Code::LightningPaymentNotFound));
}

#[tokio::test]
async fn a_poor_wallet_and_a_wrong_macaroon_over_rest_pay_nothing() {
    let world = World::start().await;
    let shop = world.shop();
    let invoice = create(&shop).await.unwrap();
    world.net.set_balance(WalletName::Payer, Msat::new(10_000));
    let outcome = world.payer().pay(&order(&invoice)).await;
    let PayOutcome::Failed(refusal) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refusal.code, Code::InsufficientFunds);

    let endpoint = Endpoint::new(world.net.rest_url().parse().unwrap());
    let wrong = Lnd::new(LndConfig::new(
        endpoint,
        Secret::new(b"0201036c6e64".to_vec()),
    ))
    .unwrap();
    let wrong = std::sync::Arc::new(wrong);
    let regtest = BitcoinNetwork::Regtest;
    let shop = faregate_core::port::lightning::Receiver::new(wrong.clone(), regtest, clock());
    assert_eq!(
        create(&shop).await.map(drop),
        Err(Code::LightningUnauthorized)
    );
    let payer = faregate_core::port::lightning::Sender::new(wrong, regtest, clock()).unwrap();
    assert_eq!(kind(&payer.pay(&order(&invoice)).await), "refused");
}

fn kind(outcome: &PayOutcome) -> &'static str {
    match outcome {
        PayOutcome::Paid(_) => "paid",
        PayOutcome::Failed(_) => "failed",
        PayOutcome::Refused(_) => "refused",
        PayOutcome::Unknown(_) => "unknown",
    }
}
