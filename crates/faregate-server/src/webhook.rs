//! Telling a seller's own systems what was paid (L402 wire facts §2.7).
//!
//! What is to be told stands in the ledger, written together with the payment it is about; requests never wait for it. A
//! worker sends it as long as the receiver has not said that it has it, so a receiver may hear of one payment more than once
//! and knows it by the `id`. The address comes from the configuration alone, and no redirect is followed.

use std::fmt;
use std::sync::Arc;

use faregate_core::Clock;
use faregate_http::{Http, Trust};
use faregate_ledger::{Event, EventKind, EventStore};
use faregate_types::l402::webhook::{SIGNATURE_HEADER, sign};
use faregate_types::lightning::Msat;
use faregate_types::{AssetId, Code, RailName, Secret, Timestamp};
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use url::Url;

use crate::config::{Env, SecretError, WebhookConfig};
use crate::limits::{
    WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_AT_ONCE, WEBHOOK_BACKOFF_MAX_SECS, WEBHOOK_BACKOFF_SECS,
    WEBHOOK_BATCH, WEBHOOK_CONNECT_TIMEOUT, WEBHOOK_KEPT_SECS, WEBHOOK_PAUSE, WEBHOOK_TIMEOUT,
};

/// Counted: every attempt, and what came of it.
const DELIVERIES: &str = "faregate_webhook_deliveries_total";

/// Registers what the metrics of webhooks mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        DELIVERIES,
        "Attempts to tell the webhook's receiver of a payment, by `outcome` (sent, failed: to be tried again, dropped: too old to be tried again)"
    );
}

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The secret is not there.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No TLS.
    #[error("no TLS for the webhook: {0}")]
    Tls(#[from] faregate_http::TlsError),
}

/// A running worker. Dropping it stops it; what was not told is told by the next one.
pub struct Webhook(AbortHandle);

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Webhook {
    /// Has the ledger keep what is to be told from now on, and starts telling. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn start(
        config: &WebhookConfig,
        env: &Env,
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WebhookError> {
        let sender = Sender {
            http: Http::new(&Trust::Platform, HeaderMap::new(), WEBHOOK_CONNECT_TIMEOUT)?,
            url: config.url.clone(),
            secret: config.secret.load(env)?,
            store,
            clock,
        };
        sender.store.keep_events(config.events);
        Ok(Self(tokio::spawn(sender.run()).abort_handle()))
    }
}

struct Sender {
    http: Http,
    url: Url,
    secret: Secret,
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
}

impl Sender {
    async fn run(self) {
        loop {
            match self.store.due_events(self.clock.now(), WEBHOOK_BATCH).await {
                Ok(due) if !due.is_empty() => {
                    let all = futures_util::stream::iter(&due);
                    all.for_each_concurrent(WEBHOOK_AT_ONCE, |event| self.tell(event))
                        .await;
                }
                Ok(_) => sleep(WEBHOOK_PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    sleep(WEBHOOK_PAUSE).await;
                }
            }
        }
    }

    async fn tell(&self, event: &Event) {
        let now = self.clock.now();
        let is_told = self.send(event, now).await;
        let is_old = now.secs_since(event.at) >= WEBHOOK_KEPT_SECS;
        let (outcome, noted) = match (is_told, is_old) {
            (true, _) => ("sent", self.store.drop_event(event.seq).await),
            (false, true) => {
                tracing::error!(payment = %event.payment.claim.id, "the webhook's receiver never took an event; it is dropped");
                ("dropped", self.store.drop_event(event.seq).await)
            }
            (false, false) => {
                let due = Timestamp::from_secs(now.as_secs().saturating_add(backoff(event.tries)));
                ("failed", self.store.postpone_event(event.seq, due).await)
            }
        };
        metrics::counter!(DELIVERIES, "outcome" => outcome).increment(1);
        if let Err(error) = noted {
            tracing::warn!(%error, "the outbox cannot be written; the event will be sent again");
            sleep(WEBHOOK_PAUSE).await;
        }
    }

    /// True when the receiver says that it has it.
    async fn send(&self, event: &Event, now: Timestamp) -> bool {
        let body = body(event).to_string().into_bytes();
        let signature = sign(&self.secret, now, &body);
        let request = self.http.request(Method::POST, self.url.clone());
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature)
            .body(body);
        let sent = self
            .http
            .send(request, WEBHOOK_TIMEOUT, WEBHOOK_ANSWER_BYTES_MAX)
            .await;
        match sent {
            Ok(answer) if answer.status.is_success() => true,
            Ok(answer) => {
                tracing::warn!(
                    status = answer.status.as_u16(),
                    "the webhook's receiver refused an event"
                );
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the webhook's receiver does not answer");
                false
            }
        }
    }
}

/// Seconds until the next try: twice as many each time.
fn backoff(tries: u32) -> u64 {
    let doubled = WEBHOOK_BACKOFF_SECS.saturating_mul(1_u64.checked_shl(tries).unwrap_or(u64::MAX));
    doubled.min(WEBHOOK_BACKOFF_MAX_SECS)
}

/// What is told. Of a Lightning payment the hash and never the preimage, which nobody keeps.
fn body(event: &Event) -> Value {
    let payment = &event.payment;
    let claim = &payment.claim;
    let mut data = Map::new();
    let mut add = |name: &str, value: Value| drop(data.insert(name.to_owned(), value));
    add("endpoint", (&*claim.route).into());
    let amount = claim.transfer.amount;
    if let (AssetId::Msat(_), Ok(msat)) = (amount.asset(), u64::try_from(amount.value())) {
        add("amountSats", Msat::new(msat).to_sat_rounded_up().into());
        add("amountMsat", msat.to_string().into());
    }
    if let (RailName::L402, Some(hash)) = (claim.rail, &payment.transaction) {
        add("paymentHash", (&**hash).into());
    }
    add("rail", claim.rail.as_str().into());
    add("payment", claim.id.to_string().into());
    add("asset", amount.asset().to_string().into());
    add("amount", amount.value().to_string().into());
    add("transaction", payment.transaction.as_deref().into());
    // What is told of payments that arrived is as it always was.
    if event.kind != EventKind::PaymentReceived {
        add("payer", claim.transfer.debit.name().into());
    }
    if event.kind == EventKind::PaymentFailed {
        add("code", payment.failure.map(Code::as_str).into());
        add("loss", payment.is_lost().into());
    }
    json!({
        // The same however often it is told, also when the chain took the payment back and it was made again.
        "id": format!("{}:{}", event.kind.as_str(), claim.id),
        "type": event.kind.as_str(),
        "created": event.at.as_secs(),
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use faregate_ledger::{AccountId, Answer, Claim, Payment, PaymentState, Transfer};
    use faregate_types::lightning::BitcoinNetwork;
    use faregate_types::{Amount, Fingerprint, PaymentId};

    use super::*;

    fn event(rail: RailName, amount: Amount, transaction: &str) -> Event {
        let claim = Claim {
            id: PaymentId::from_bytes([7; 32]),
            rail,
            fingerprint: Fingerprint::of(&[b"x"]),
            transfer: Transfer {
                debit: AccountId::parse("payer/a").unwrap(),
                credit: AccountId::parse("payee/b").unwrap(),
                amount,
            },
            route: "GET /joke".into(),
            evidence: b"a signature".to_vec(),
            at: Timestamp::from_secs(90),
            exposure_max: None,
            funds: None,
            idempotency: None,
        };
        Event {
            seq: 1,
            kind: EventKind::PaymentReceived,
            at: Timestamp::from_secs(100),
            tries: 0,
            payment: Payment {
                claim,
                state: PaymentState::Settled,
                transaction: Some(transaction.into()),
                failure: None,
                final_at: None,
                answer: None,
                changed_at: Timestamp::from_secs(100),
            },
        }
    }

    #[test]
    fn payments_of_every_rail_are_told() {
        let id = format!("0x{}", "07".repeat(32));
        let hash = "ab".repeat(32);
        let sats = Msat::new(2_500).on(BitcoinNetwork::Regtest);
        let told = body(&event(RailName::L402, sats, &hash));
        let expected = json!({
            "id": format!("payment.received:{id}"), "type": "payment.received", "created": 100,
            "data": {
                "endpoint": "GET /joke", "amountSats": 3, "amountMsat": "2500", "paymentHash": hash, "rail": "l402",
                "payment": id, "asset": sats.asset().to_string(), "amount": "2500", "transaction": hash,
            },
        });
        assert_eq!(told, expected);
        let known: faregate_types::l402::webhook::Event = serde_json::from_value(told).unwrap();
        assert_eq!((known.data.amount_sats, known.data.preimage), (3, None));

        let asset: AssetId = "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"
            .parse()
            .unwrap();
        let told = body(&event(
            RailName::X402,
            Amount::new(faregate_types::U256::from(1_000), asset),
            "0xfe",
        ));
        let expected = json!({
            "id": format!("payment.received:{id}"), "type": "payment.received", "created": 100,
            "data": {
                "endpoint": "GET /joke", "rail": "x402", "payment": id, "asset": asset.to_string(), "amount": "1000",
                "transaction": "0xfe",
            },
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn what_was_given_out_and_is_not_paid_is_told_as_a_loss_and_by_whom() {
        let id = format!("0x{}", "07".repeat(32));
        let sats = Msat::new(2_000).on(BitcoinNetwork::Regtest);
        let mut issued = event(RailName::PERMIT, sats, "0xfe");
        issued.kind = EventKind::TokenIssued;
        let told = body(&issued);
        assert_eq!(told["id"], format!("token.issued:{id}"));
        assert_eq!(told["type"], "token.issued");
        let data = &told["data"];
        assert_eq!(
            (&data["payer"], &data["rail"]),
            (&json!("a"), &json!("permit"))
        );
        assert_eq!((data.get("code"), data.get("loss")), (None, None));

        let mut failed = event(RailName::PERMIT, sats, "0xfe");
        failed.kind = EventKind::PaymentFailed;
        failed.payment.state = PaymentState::Failed;
        failed.payment.failure = Some(Code::TransactionFailed);
        for given in [false, true] {
            failed.payment.answer = given.then(|| Answer {
                status: 200,
                headers: Vec::new(),
                body: None,
            });
            let told = body(&failed);
            assert_eq!(told["id"], format!("payment.failed:{id}"));
            let data = &told["data"];
            let code = Code::TransactionFailed.as_str();
            assert_eq!(
                (&data["code"], &data["loss"]),
                (&json!(code), &json!(given))
            );
            assert_eq!(data["payer"], "a");
        }
    }

    #[test]
    fn tries_become_rarer_and_never_stop_for_longer_than_the_most() {
        let waits: Vec<u64> = (0..5).map(backoff).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80]);
        for tries in [20, 63, 64, 65, u32::MAX] {
            assert_eq!(backoff(tries), WEBHOOK_BACKOFF_MAX_SECS);
        }
    }
}
