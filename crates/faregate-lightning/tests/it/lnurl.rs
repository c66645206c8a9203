//! Lightning addresses.

use faregate_core::port::lightning::{InvoiceState, Receiver};
use faregate_lightning::{Lnurl, LnurlConfig};
use faregate_types::Code;
use serde_json::{Value, json};

use crate::kit::{Say, Script, create, invoice, invoice_for, look_up, receiver};

const METADATA: &str =
    "[[\"text/plain\",\"a shop\"],[\"text/identifier\",\"shop@wallet.example\"]]";

fn shop(script: &Script) -> Receiver {
    let config = LnurlConfig::new("shop@wallet.example")
        .unwrap()
        .at(script.endpoint());
    receiver(Lnurl::new(config).unwrap())
}

/// What is shown for the address. The callback is only used when the script has the second answer.
fn shown(callback: &str) -> Value {
    json!({
        "tag": "payRequest", "callback": callback, "minSendable": 1000, "maxSendable": 100_000_000,
        "metadata": METADATA, "commentAllowed": 3,
    })
}

/// A service that shows terms with a callback to itself, changed by `change`, and then says `made`.
async fn service(change: impl Fn(&mut Value), made: Say) -> Script {
    // The callback has to name the server, which is known only when it runs.
    let second = Script::start([made]).await;
    let mut terms = shown(&format!("http://{}/cb?user=1", second.address));
    change(&mut terms);
    let first = Script::start([Say::Json(200, terms)]).await;
    second.reached_at(first.address)
}

fn made(invoice: &str) -> Say {
    Say::Json(200, json!({ "pr": invoice, "routes": [] }))
}

#[tokio::test]
async fn an_address_makes_invoices_for_what_it_shows() {
    let invoice = invoice_for(METADATA, 10_000);
    let verify = "http://127.0.0.1:9/verify/abc";
    let answer = json!({ "pr": invoice, "routes": [], "verify": verify });
    let script = service(|_| (), Say::Json(200, answer)).await;
    let created = create(&shop(&script)).await.unwrap();
    assert_eq!(created.bolt11().as_str(), invoice);
    assert_eq!(created.wanted().handle.as_deref(), Some(verify));
    // The calls are those of the callback's server.
    assert_eq!(
        script.calls()[0].line,
        "GET /cb?user=1&amount=10000&comment=a+j"
    );
}

#[tokio::test]
async fn what_does_not_fit_the_address_is_not_taken() {
    let good = || made(&invoice_for(METADATA, 10_000));
    let invalid = Code::LightningAnswerInvalid;
    let lies: [(&str, Value, Code); 8] = [
        ("tag", json!("withdrawRequest"), invalid),
        ("callback", json!("http://elsewhere.example/cb"), invalid),
        ("callback", json!("file:///etc/passwd"), invalid),
        ("minSendable", json!(10_001), Code::LightningUnsupported),
        ("maxSendable", json!(9_999), Code::LightningUnsupported),
        ("maxSendable", json!(1), invalid),
        ("minSendable", json!(0), invalid),
        (
            "metadata",
            json!("[[\"text/plain\",\"another shop\"]]"),
            invalid,
        ),
    ];
    for (name, value, code) in lies {
        let script = service(|terms| terms[name] = value.clone(), good()).await;
        assert_eq!(
            create(&shop(&script)).await.map(drop),
            Err(code),
            "{name}: {value}"
        );
    }
    for (say, code) in [
        (made(&invoice()), invalid),
        (made(&invoice_for("something else", 10_000)), invalid),
        (made(&invoice_for(METADATA, 9_000)), invalid),
        (made(""), invalid),
        (
            Say::Json(200, json!({ "status": "ERROR", "reason": "no" })),
            Code::LightningUnavailable,
        ),
        (Say::Text(200, "<html>"), invalid),
        (Say::Text(500, ""), Code::LightningUnavailable),
        (Say::Huge, invalid),
        (Say::Cut, Code::LightningUnavailable),
        (Say::Nothing, Code::LightningUnavailable),
    ] {
        let script = service(|_| (), say.clone()).await;
        assert_eq!(create(&shop(&script)).await.map(drop), Err(code), "{say:?}");
    }
}

#[tokio::test]
async fn whether_it_was_paid_is_asked_where_the_service_said() {
    let settled = |settled: bool, preimage: Value| {
        Say::Json(
            200,
            json!({ "status": "OK", "settled": settled, "preimage": preimage, "pr": invoice() }),
        )
    };
    let other = json!({ "status": "OK", "settled": true, "pr": invoice_for("x", 1_000).replace("lnbcrt", "lntb") });
    for (say, expected) in [
        (
            settled(true, json!("05".repeat(32))),
            Ok(InvoiceState::Paid { amount: None }),
        ),
        (
            settled(true, Value::Null),
            Ok(InvoiceState::Paid { amount: None }),
        ),
        (
            settled(true, json!("06".repeat(32))),
            Err(Code::LightningAnswerInvalid),
        ),
        (settled(false, Value::Null), Ok(InvoiceState::Open)),
        (Say::Json(200, other), Err(Code::LightningAnswerInvalid)),
        (
            Say::Json(200, json!({ "status": "ERROR", "reason": "Not found" })),
            Ok(InvoiceState::Unknown),
        ),
        (Say::Json(200, json!({})), Err(Code::LightningAnswerInvalid)),
    ] {
        let script = Script::start([say.clone()]).await;
        let verify = format!("http://{}/verify/1", script.address);
        assert_eq!(
            look_up(&shop(&script), Some(&verify)).await,
            expected,
            "{say:?}"
        );
    }
    for handle in [None, Some("http://elsewhere.example/"), Some("nonsense")] {
        let script = Script::start([]).await;
        assert_eq!(
            look_up(&shop(&script), handle).await,
            Err(Code::LightningUnsupported)
        );
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for bad in [
        "", "shop", "@host", "shop@", "a/b@host", "a@host/x", "a@b@c", "..@host", "a@ho st",
    ] {
        assert!(LnurlConfig::new(bad).is_err(), "{bad}");
    }
    assert!(LnurlConfig::new("shop+tag_1.x-y@wallet.example").is_ok());
}

#[tokio::test]
async fn a_strangers_address_is_not_asked_on_this_network() {
    let invoice = invoice_for(METADATA, 10_000);
    let answer = json!({ "pr": invoice, "routes": [] });
    let script = service(|_| (), Say::Json(200, answer)).await;
    let address = || LnurlConfig::new("shop@wallet.example").unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let mut endpoint = script.endpoint().public_only();
        endpoint.base.set_host(Some(host)).unwrap();
        let shop = receiver(Lnurl::new(address().at(endpoint)).unwrap());
        let told = create(&shop).await;
        assert_eq!(told.map(drop), Err(Code::LightningUnavailable), "{host}");
    }
    assert!(script.calls().is_empty());
    // The same without that rule.
    assert!(create(&shop(&script)).await.is_ok());
}
