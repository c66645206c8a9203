//! What every backend has to do with answers that are no answers, and with lies.

use faregate_core::port::lightning::{ReceiveBackend, SendBackend};
use faregate_lightning::Endpoint;
use faregate_types::Code;
use serde_json::{Value, json};

use crate::kit::{
    Say, Script, create, invoice, invoice_over, nobody, pay, receiver, sender, track, words,
};

/// How long the answers of a payment may take here: the time limit, the grace, and a bit.
const GRACE_SECS: u64 = 5;

/// `made` is the answer to a new invoice with this text, after `before`.
pub(crate) async fn receives<B: ReceiveBackend>(
    new: impl Fn(Endpoint) -> B,
    before: &[Say],
    made: impl Fn(&str) -> Value,
) {
    let says = |last: Say| before.iter().cloned().chain([last]).collect::<Vec<_>>();
    let script = Script::start(says(Say::Json(200, made(&invoice())))).await;
    let created = create(&receiver(new(script.endpoint()))).await.unwrap();
    assert_eq!(created.bolt11().as_str(), invoice());

    let invalid = Code::LightningAnswerInvalid;
    let away = Code::LightningUnavailable;
    for (say, code) in [
        (Say::Json(200, made(&invoice_over(9_000))), invalid),
        (Say::Json(200, made(&invoice_over(11_000))), invalid),
        (Say::Json(200, made("lnbcrt1garbage")), invalid),
        (Say::Json(200, made("")), invalid),
        (Say::Json(200, json!({})), invalid),
        (Say::Json(200, json!([1, "x", null])), invalid),
        (Say::Text(200, "<html>hello</html>"), invalid),
        (Say::Text(302, ""), invalid),
        (Say::Huge, invalid),
        (Say::Cut, away),
        (Say::Nothing, away),
        (Say::Text(500, "oops"), away),
        (Say::Text(503, ""), away),
        (Say::Json(429, json!({})), away),
        (Say::Json(401, json!({})), Code::LightningUnauthorized),
        (Say::Json(403, json!({})), Code::LightningUnauthorized),
    ] {
        let script = Script::start(says(say.clone())).await;
        let told = create(&receiver(new(script.endpoint()))).await;
        assert_eq!(told.map(drop), Err(code), "{say:?}");
    }
    let told = create(&receiver(new(nobody()))).await;
    assert_eq!(told.map(drop), Err(away));
}

/// `paid` is the answer to a payment with this preimage, after `before`.
pub(crate) async fn pays<B: SendBackend>(
    new: impl Fn(Endpoint) -> B,
    before: &[Say],
    paid: impl Fn(&str) -> Value,
) {
    let says = |last: Say| before.iter().cloned().chain([last]).collect::<Vec<_>>();
    let right = "05".repeat(32);
    let script = Script::start(says(Say::Json(200, paid(&right)))).await;
    let outcome = pay(&sender(new(script.endpoint()))).await;
    assert_eq!(words(&outcome), ("paid", None));

    for (say, kind) in [
        (Say::Json(200, paid(&"06".repeat(32))), "unknown"),
        (Say::Json(200, paid(&"05".repeat(48))), "unknown"),
        (Say::Json(200, paid("garbage")), "unknown"),
        (Say::Json(200, json!({})), "unknown"),
        (Say::Json(200, json!([null])), "unknown"),
        (Say::Text(200, "<html>hello</html>"), "unknown"),
        (Say::Text(302, ""), "unknown"),
        (Say::Text(404, "no such page"), "unknown"),
        (Say::Huge, "unknown"),
        (Say::Cut, "unknown"),
        (Say::Nothing, "unknown"),
        (Say::Text(500, "oops"), "unknown"),
        (Say::Text(502, "<html>bad gateway</html>"), "unknown"),
        (Say::Text(504, ""), "unknown"),
        (Say::Json(401, json!({})), "refused"),
        (Say::Json(403, json!({})), "refused"),
    ] {
        let script = Script::start(says(say.clone())).await;
        let sender = sender(new(script.endpoint()));
        let limit = std::time::Duration::from_secs(GRACE_SECS);
        let outcome = tokio::time::timeout(limit, pay(&sender)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("hangs: {say:?}"));
        assert_eq!(words(&outcome).0, kind, "{say:?}");
    }
    // Nothing could be sent where nobody listens. That nobody can be asked says nothing about a payment.
    let nobody = sender(new(nobody()));
    let refused = ("refused", Some(Code::LightningUnavailable));
    assert_eq!(words(&pay(&nobody).await), refused);
    assert_eq!(words(&track(&nobody).await).0, "unknown");
}
