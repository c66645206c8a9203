//! Nostr Wallet Connect, against a relay and a wallet that do as they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{ConfigError, Nwc, NwcConfig};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::{Event, EventBuilder, FinalizeEvent as _, Kind, Tag};
use nostr::key::Keys;
use nostr::nips::{nip04, nip44};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::kit::{create, hash, invoice, look_up, pay, receiver, sender, track, words};

const WALLET: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const OURS: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const OTHER: &str = "3333333333333333333333333333333333333333333333333333333333333333";

/// How the wallet, or the relay, answers a request.
#[derive(Clone, Debug)]
enum Say {
    Result(Value),
    Error(&'static str),
    /// Not an answer, but JSON.
    Raw(Value),
    /// Signed by somebody else.
    Forged,
    /// The wallet's, to another request.
    Misplaced,
    /// With a signature that does not fit.
    Unsigned,
    Garbage,
    Huge,
    Nothing,
    Cut,
    Rejected,
}

#[derive(Clone)]
struct World {
    uri: String,
    says: Arc<Mutex<Vec<Say>>>,
    /// Whether it was NIP-44, and what was asked.
    asked: Arc<Mutex<Vec<(bool, Value)>>>,
}

impl World {
    /// `info` is the encryption tag of the wallet's info event, if it has one.
    async fn start(info: Option<&'static str>, says: impl IntoIterator<Item = Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wallet = Keys::parse(WALLET).unwrap().public_key().to_hex();
        let mut says: Vec<_> = says.into_iter().collect();
        says.reverse();
        let world = Self {
            uri: format!("nostr+walletconnect://{wallet}?relay=ws://{address}&secret={OURS}"),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
        };
        let served = world.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let world = served.clone();
                tokio::spawn(async move {
                    let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    world.serve(socket, info).await;
                });
            }
        });
        world
    }

    fn nwc(&self) -> Nwc {
        let config = NwcConfig::new(Secret::new(self.uri.clone().into_bytes()));
        Nwc::new(config.timeout(Duration::from_millis(500))).unwrap()
    }

    async fn serve(&self, mut socket: WebSocketStream<TcpStream>, info: Option<&'static str>) {
        let mut listening = None;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            let replies = match message[0].as_str().unwrap() {
                "REQ" if message[2]["kinds"] == json!([13194]) => infos(&message[1], info),
                "REQ" => {
                    listening = Some(message[1].clone());
                    vec![json!(["EOSE", message[1]])]
                }
                "EVENT" => {
                    let event = Event::from_json(message[1].to_string()).unwrap();
                    match self.answer(&event, listening.as_ref().unwrap()) {
                        Some(replies) => replies,
                        None => return,
                    }
                }
                _ => vec![json!(["CLOSED", message[1], ""])],
            };
            for reply in replies {
                socket
                    .send(Message::text(reply.to_string()))
                    .await
                    .unwrap_or(());
            }
        }
    }

    /// What the relay says then; `None` when it hangs up.
    fn answer(&self, request: &Event, listening: &Value) -> Option<Vec<Value>> {
        request.verify().unwrap();
        let wallet = Keys::parse(WALLET).unwrap();
        let tag = |name: &str| request.tags.iter().find(|tag| tag.as_slice()[0] == name);
        assert_eq!(
            tag("p").unwrap().as_slice()[1],
            wallet.public_key().to_hex()
        );
        assert!(tag("expiration").is_some());
        let nip44 = tag("encryption").is_some_and(|tag| tag.as_slice()[1] == "nip44_v2");
        let (secret, payer) = (wallet.secret_key(), &request.pubkey);
        let text = if nip44 {
            nip44::decrypt(secret, payer, &request.content).unwrap()
        } else {
            nip04::decrypt(secret, payer, request.content.as_str()).unwrap()
        };
        let asked = serde_json::from_str(&text).unwrap();
        self.asked.lock().unwrap().push((nip44, asked));
        let say = self.says.lock().unwrap().pop().unwrap();

        let took = json!(["OK", request.id.to_hex(), true, ""]);
        let body = match &say {
            Say::Nothing => return Some(vec![took]),
            Say::Cut => return None,
            Say::Rejected => {
                return Some(vec![json!([
                    "OK",
                    request.id.to_hex(),
                    false,
                    "blocked: no"
                ])]);
            }
            Say::Result(result) => json!({ "result_type": "x", "error": null, "result": result }),
            Say::Error(code) => {
                json!({ "error": { "code": code, "message": "words" }, "result": null })
            }
            Say::Raw(raw) => raw.clone(),
            Say::Huge => json!({ "result": { "preimage": "05".repeat(400_000) } }),
            _ => json!({ "result": { "preimage": "05".repeat(32), "invoice": invoice() } }),
        };
        let encrypted = |keys: &Keys| {
            let (secret, body) = (keys.secret_key(), body.to_string());
            match (&say, nip44) {
                (Say::Garbage, _) => "AgAAgarbage".to_owned(),
                // NIP-44 ends at 64 KiB, so this one comes as it is.
                (Say::Huge, _) => body,
                (_, true) => nip44::encrypt(secret, payer, body, nip44::Version::V2).unwrap(),
                (_, false) => nip04::encrypt(secret, payer, body).unwrap(),
            }
        };
        let author = if matches!(say, Say::Forged) {
            Keys::parse(OTHER).unwrap()
        } else {
            wallet
        };
        let about = if matches!(say, Say::Misplaced) {
            "00".repeat(32)
        } else {
            request.id.to_hex()
        };
        let event = EventBuilder::new(Kind::WalletConnectResponse, encrypted(&author))
            .tag(Tag::parse(["e", &about]).unwrap())
            .finalize(&author)
            .unwrap();
        let mut event: Value = serde_json::from_str(&event.as_json()).unwrap();
        if matches!(say, Say::Unsigned) {
            event["sig"] = "11".repeat(64).into();
        }
        Some(vec![
            took,
            json!(["NOTICE", "hello"]),
            json!(["EVENT", listening, event]),
        ])
    }
}

fn infos(id: &Value, info: Option<&str>) -> Vec<Value> {
    let wallet = Keys::parse(WALLET).unwrap();
    let event = info.map(|encryption| {
        let event = EventBuilder::new(
            Kind::WalletConnectInfo,
            "pay_invoice make_invoice lookup_invoice",
        )
        .tag(Tag::parse(["encryption", encryption]).unwrap())
        .finalize(&wallet)
        .unwrap();
        let event: Value = serde_json::from_str(&event.as_json()).unwrap();
        json!(["EVENT", id, event])
    });
    event.into_iter().chain([json!(["EOSE", id])]).collect()
}

const NIP44: Option<&str> = Some("nip44_v2 nip04");

fn paid() -> Say {
    Say::Result(json!({ "preimage": "05".repeat(32), "fees_paid": 300 }))
}

fn found(kind: &str, state: &str) -> Say {
    Say::Result(json!({
        "type": kind, "state": state, "payment_hash": hash().to_string(), "preimage": "05".repeat(32), "amount": 10000,
    }))
}

#[tokio::test]
async fn sells_and_pays_in_the_encryption_the_wallet_knows() {
    for (info, nip44) in [(NIP44, true), (Some("nip04"), false), (None, false)] {
        let made = Say::Result(json!({ "invoice": invoice(), "payment_hash": "x" }));
        let world = World::start(info, [made, paid()]).await;
        let created = create(&receiver(world.nwc())).await.unwrap();
        assert_eq!(created.bolt11().as_str(), invoice());
        let PayOutcome::Paid(done) = pay(&sender(world.nwc())).await else {
            panic!("not paid");
        };
        assert_eq!(done.fee, Some(Msat::new(300)));
        let asked = world.asked.lock().unwrap();
        let make = json!({ "amount": 10_000, "description": "a joke", "expiry": 600 });
        assert_eq!(
            asked[0],
            (nip44, json!({ "method": "make_invoice", "params": make }))
        );
        let pay = json!({ "invoice": invoice() });
        assert_eq!(
            asked[1],
            (nip44, json!({ "method": "pay_invoice", "params": pay }))
        );
    }
}

#[tokio::test]
async fn only_the_wallets_answer_to_this_request_counts() {
    for say in [
        Say::Forged,
        Say::Misplaced,
        Say::Unsigned,
        Say::Garbage,
        Say::Huge,
        Say::Nothing,
        Say::Cut,
        Say::Rejected,
        Say::Result(json!({})),
        Say::Result(json!({ "preimage": "06".repeat(32) })),
        Say::Result(json!({ "preimage": "garbage" })),
        Say::Raw(json!([1, 2])),
        Say::Raw(json!({ "error": {} })),
        Say::Error("INTERNAL"),
        Say::Error("OTHER"),
    ] {
        let world = World::start(NIP44, [say.clone()]).await;
        let outcome = pay(&sender(world.nwc())).await;
        assert_eq!(words(&outcome).0, "unknown", "{say:?}");
        if !matches!(say, Say::Result(_) | Say::Raw(_) | Say::Error(_)) {
            let world = World::start(NIP44, [say.clone()]).await;
            assert!(create(&receiver(world.nwc())).await.is_err(), "{say:?}");
        }
    }
}

#[tokio::test]
async fn what_the_wallet_refuses_was_not_paid() {
    for (error, code) in [
        ("INSUFFICIENT_BALANCE", Code::InsufficientFunds),
        ("QUOTA_EXCEEDED", Code::InsufficientFunds),
        ("UNAUTHORIZED", Code::LightningUnauthorized),
        ("RESTRICTED", Code::LightningUnauthorized),
        ("RATE_LIMITED", Code::LightningUnavailable),
        ("NOT_IMPLEMENTED", Code::LightningUnsupported),
    ] {
        let world = World::start(NIP44, [Say::Error(error)]).await;
        let outcome = pay(&sender(world.nwc())).await;
        assert_eq!(words(&outcome), ("refused", Some(code)), "{error}");
    }
    // Nobody is there.
    let wallet = Keys::parse(WALLET).unwrap().public_key().to_hex();
    let uri = format!("nostr+walletconnect://{wallet}?relay=ws://127.0.0.1:1&secret={OURS}");
    let nobody = sender(Nwc::new(NwcConfig::new(Secret::new(uri.into_bytes()))).unwrap());
    assert_eq!(
        words(&pay(&nobody).await),
        ("refused", Some(Code::LightningUnavailable))
    );
}

#[tokio::test]
async fn a_payment_that_failed_is_asked_about_once_more() {
    for (second, kind) in [
        (found("outgoing", "settled"), "paid"),
        (found("outgoing", "pending"), "unknown"),
        (found("outgoing", "failed"), "failed"),
        (Say::Error("NOT_FOUND"), "failed"),
        (Say::Error("NOT_IMPLEMENTED"), "unknown"),
        (Say::Nothing, "unknown"),
    ] {
        let world = World::start(NIP44, [Say::Error("PAYMENT_FAILED"), second.clone()]).await;
        let outcome = pay(&sender(world.nwc())).await;
        assert_eq!(words(&outcome).0, kind, "{second:?}");
    }
}

#[tokio::test]
async fn a_payment_is_tracked_where_the_wallet_can() {
    let settled_at =
        json!({ "type": "outgoing", "settled_at": 1_800_000_000, "preimage": "05".repeat(32) });
    for (say, kind, code) in [
        (found("outgoing", "settled"), "paid", None),
        (Say::Result(settled_at), "paid", None),
        (
            Say::Result(json!({ "type": "outgoing" })),
            "unknown",
            Some(Code::LightningPaymentPending),
        ),
        (
            found("incoming", "settled"),
            "unknown",
            Some(Code::LightningPaymentNotFound),
        ),
        (
            found("outgoing", "?"),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
        (
            Say::Result(Value::Null),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
        (
            Say::Error("NOT_FOUND"),
            "unknown",
            Some(Code::LightningPaymentNotFound),
        ),
        (
            Say::Error("NOT_IMPLEMENTED"),
            "unknown",
            Some(Code::LightningUnsupported),
        ),
    ] {
        let world = World::start(NIP44, [say.clone()]).await;
        assert_eq!(
            words(&track(&sender(world.nwc())).await),
            (kind, code),
            "{say:?}"
        );
    }
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let amount = Some(Msat::new(10_000));
    let other = json!({ "state": "settled", "payment_hash": "07".repeat(32) });
    for (say, expected) in [
        (
            found("incoming", "settled"),
            Ok(InvoiceState::Paid { amount }),
        ),
        (found("incoming", "pending"), Ok(InvoiceState::Open)),
        (found("incoming", "expired"), Ok(InvoiceState::Expired)),
        (found("incoming", "?"), Err(Code::LightningAnswerInvalid)),
        (Say::Result(other), Err(Code::LightningAnswerInvalid)),
        (Say::Error("NOT_FOUND"), Ok(InvoiceState::Unknown)),
        (Say::Error("UNAUTHORIZED"), Err(Code::LightningUnauthorized)),
        (Say::Error("INTERNAL"), Err(Code::LightningUnavailable)),
    ] {
        let world = World::start(NIP44, [say.clone()]).await;
        let told = look_up(&receiver(world.nwc()), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}

#[test]
fn the_secret_is_not_printed_and_a_relay_elsewhere_needs_tls() {
    let wallet = Keys::parse(WALLET).unwrap().public_key().to_hex();
    let uri = |relay: &str| {
        let uri = format!("nostr+walletconnect://{wallet}?relay={relay}&secret={OURS}");
        NwcConfig::new(Secret::new(uri.into_bytes()))
    };
    assert!(!format!("{:?}", uri("wss://relay.example")).contains("2222"));
    let nwc = Nwc::new(uri("wss://relay.example")).unwrap();
    assert!(!format!("{nwc:?}").contains("2222"));
    assert_eq!(
        Nwc::new(uri("ws://relay.example")).map(drop),
        Err(ConfigError::Insecure)
    );
    assert_eq!(
        Nwc::new(uri("https://relay.example")).map(drop),
        Err(ConfigError::Url)
    );
}
