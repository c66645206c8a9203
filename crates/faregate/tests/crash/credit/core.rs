//! A core that goes away while a gate waits for it, and a facilitator before one that goes away with the certificate.

use std::time::Instant;

use faregate_core::crash::CREDIT_FACILITATOR;
use faregate_ledger::PaymentState;
use faregate_types::credit::{Certificate, read_answer};
use faregate_types::x402::Version;
use serde_json::{Value, json};

use crate::support::http;

use super::service::signed_by_itself;
use super::shop::{BOTH, LEFT_ALONE, Promise, Shop, held, is_passing, write_file};
use super::*;

/// The core dies with this payment, and the gate does not know what became of it.
async fn in_doubt(
    shop: &Shop,
    core: &mut Child,
    point: Point,
    version: Version,
    case: &str,
) -> Promise {
    core.kill().await.unwrap();
    *core = shop.town.start(Some(point)).await;
    let promise = shop.promised(version, &shop.town.payer).await;
    let (status, said) = shop.buy(&promise).await.expect(case);
    assert!(is_passing(status, &said), "{case}: {status} {said}");
    ended(core, case).await;
    promise
}

/// A tab that the core has opened and could not say so: the next one who asks gets it.
async fn a_tab(shop: &Shop, core: &mut Child, version: Version) {
    core.kill().await.unwrap();
    *core = shop.town.start(Some(Point::TabOpened)).await;
    let (offer, payer) = (shop.offer(version).await, shop.town.payer.address());
    assert!(shop.ticket(version, payer, &offer).await.is_none());
    ended(core, "a tab").await;
    *core = shop.town.start(None).await;
    let ticket = shop.ticket(version, payer, &offer).await.unwrap();
    let about = shop.town.recipient.recipient();
    let tabs = about.tabs(&[]).await.unwrap();
    let one = tabs.iter().filter(|tab| tab.tab_id == ticket.tab_id);
    assert_eq!(one.count(), 1);
    assert_eq!(tabs.len(), version.number() as usize, "{tabs:?}");
}

/// A facilitator that is killed once it has heard from the core, and started again.
async fn facilitated(shop: &Shop, version: Version) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[facilitator]\nbind = \"BIND\"\nstore = '{store}'\nsigner_key = \"env:GAS_KEY\"\n\n\
         [[facilitator.network]]\nnetwork = \"base-sepolia\"\nrpc_url = \"{rpc}\"\n\n\
         [[facilitator.credit]]\nnetwork = \"base-sepolia\"\nurl = \"{core}\"\ncontract = \"{CREDIT_CORE}\"\n",
        store = folder.path().join("facilitator.db").display(),
        rpc = shop.town.chain.rpc_url(),
        core = shop.town.url,
    );
    let url = write_file(&folder, "facilitator", &text);
    for point in CREDIT_FACILITATOR {
        let case = format!("facilitator, {}, {version:?}", point.name());
        let promise = shop.promised(version, &shop.town.payer).await;
        let mut facilitator = start("facilitator", folder.path(), &url, Some(point)).await;
        assert!(settle(&url, &promise).await.is_none(), "{case}");
        ended(&mut facilitator, &case).await;
        // Whoever is owed has it from the core, also when nobody settles again.
        let issued = shop.issued(&promise).await.unwrap();
        let mut facilitator = start("facilitator", folder.path(), &url, None).await;
        for _ in 0..2 {
            let said = settle(&url, &promise).await.expect(&case);
            assert_eq!(said["success"], true, "{case}: {said}");
            let text = said["certificate"].to_string();
            let heard: Certificate = read_answer(text.as_bytes()).unwrap();
            assert_eq!(heard, issued, "{case}");
        }
        facilitator.kill().await.unwrap();
        assert_eq!(shop.issued(&promise).await, Some(issued), "{case}");
    }
}

/// The answer to `POST /settle`; `None` when the facilitator went away instead.
async fn settle(url: &str, promise: &Promise) -> Option<Value> {
    let body = json!({
        "x402Version": promise.version.number(),
        "paymentHeader": promise.envelope.to_header(&promise.offer, None),
        "paymentRequirements": promise.offer,
    });
    let request = http().post(format!("{url}/settle")).json(&body);
    request.send().await.ok()?.json().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_core_or_a_facilitator_did_not_say_is_heard_later() {
    let (shop, mut core) = Shop::open(1).await;
    let mut gate = shop.gate(None).await;
    for version in BOTH {
        a_tab(&shop, &mut core, version).await;
    }
    // Nobody asks for the first ones again, but the gate itself.
    let mut left = Vec::new();
    for (point, version) in [Point::Locked, Point::CertificateKept]
        .into_iter()
        .zip(BOTH)
    {
        let case = format!("core, {}, {version:?}, left", point.name());
        let promise = in_doubt(&shop, &mut core, point, version, &case).await;
        core = shop.town.start(None).await;
        // What is locked is signed before the next core is to end where that happens.
        let claims = &promise.claims;
        signed_by_itself(&shop.town, TabId(claims.tab_id), claims.req_id).await;
        left.push(promise);
    }
    let left_at = Instant::now();
    let comes_back = [
        (Point::Locked, Version::V2),
        (Point::CertificateSigned, Version::V1),
        (Point::CertificateKept, Version::V2),
    ];
    for (point, version) in comes_back {
        let case = format!("core, {}, {version:?}", point.name());
        let promise = in_doubt(&shop, &mut core, point, version, &case).await;
        let (status, said) = shop.buy(&promise).await.expect(&case);
        assert!(is_passing(status, &said), "{case}: {status} {said}");
        core = shop.town.start(None).await;
        let joke = shop.bought(&promise, &case).await;
        assert_eq!(shop.bought(&promise, &case).await, joke, "{case}");
    }
    for version in BOTH {
        facilitated(&shop, version).await;
    }
    assert_eq!(shop.runs() as usize, comes_back.len());
    // What it has asked about in vain it asks later and later, but for the first time after a start.
    gate.kill().await.unwrap();
    sleep(LEFT_ALONE.saturating_sub(left_at.elapsed())).await;
    let mut gate = shop.gate(None).await;
    let found = async {
        for promise in &left {
            while held(&shop.books().await, promise).await.0 != Some(PaymentState::Settled) {
                sleep(Duration::from_millis(200)).await;
            }
        }
    };
    timeout(SOON, found).await.unwrap();
    gate.kill().await.unwrap();
    for promise in &left {
        shop.agrees(promise, true, "left").await;
    }
    let issued = left.len() + comes_back.len() + BOTH.len() * CREDIT_FACILITATOR.len();
    shop.locked(PAYER, issued as u64).await;
    core.kill().await.unwrap();
    shop.town.agrees().await;
}
