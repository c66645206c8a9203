//! A gate that sells on credit: killed anywhere, what the core has issued is in the gate's books in the end, locked once, and
//! the same bytes buy one answer.

use faregate_core::crash::CREDIT_GATE;
use faregate_ledger::PaymentState;
use faregate_types::x402::Version;

use super::shop::{BOTH, LEFT_ALONE, Promise, Shop, held};
use super::*;

/// Whether the gate dies before it asks the core.
fn is_before(point: Point) -> bool {
    point == Point::Claimed
}

/// A payment that a gate takes and dies with, at this place.
async fn cut_off(shop: &Shop, point: Point, version: Version, case: &str) -> Promise {
    let mut gate = shop.gate(Some(point)).await;
    let promise = shop.promised(version, &shop.town.payer).await;
    let first = shop.buy(&promise).await;
    // At the last place the answer may be out already.
    assert!(first.is_none() || point == Point::Kept, "{case}: {first:?}");
    ended(&mut gate, case).await;
    promise
}

/// The payer sends the same bytes again, and copies of them get the same answer.
async fn comes_back(shop: &Shop, point: Point, version: Version) {
    let case = format!("{}, {version:?}", point.name());
    let before = shop.runs();
    let promise = cut_off(shop, point, version, &case).await;
    let mut gate = shop.gate(None).await;
    let (status, joke) = shop.buy(&promise).await.expect(&case);
    assert_eq!(status, 200, "{case}: {joke}");
    let copy = shop.buy(&promise).await.expect(&case);
    assert_eq!(copy, (200, joke), "{case}");
    gate.kill().await.unwrap();
    shop.agrees(&promise, true, &case).await;
    // Again where it ran and its answer was lost with the process: what was paid for is owed.
    let runs = 1 + u32::from(point == Point::Served);
    assert_eq!(shop.runs() - before, runs, "{case}");
}

/// Nobody sends anything again: the gate looks for what was issued by itself.
async fn stays_away(shop: &Shop) {
    // Where the sweep itself can be killed comes first: what it meets later it would be killed with.
    let mut points = CREDIT_GATE;
    points.sort_by_key(|point| *point != Point::CertificateHeld);
    let mut left = Vec::new();
    for (point, version) in points.into_iter().zip(BOTH.into_iter().cycle()) {
        let case = format!("{}, {version:?}, left", point.name());
        let promise = cut_off(shop, point, version, &case).await;
        assert_eq!(
            shop.issued(&promise).await.is_none(),
            is_before(point),
            "{case}"
        );
        left.push((point, promise, case));
    }
    sleep(LEFT_ALONE).await;
    let mut gate = launch("gate", shop.folder.path(), Some(Point::CertificateHeld));
    ended(&mut gate, "the sweep").await;
    let mut gate = shop.gate(None).await;
    let found = async {
        for (point, promise, _) in &left {
            while !is_before(*point) && !is_settled(shop, promise).await {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    timeout(SOON, found).await.unwrap();
    gate.kill().await.unwrap();
    let runs = shop.runs();
    for (point, promise, case) in &left {
        shop.agrees(promise, !is_before(*point), case).await;
    }
    // Who comes back after all gets what was paid for.
    let mut gate = shop.gate(None).await;
    for (_, promise, case) in &left {
        shop.bought(promise, case).await;
    }
    gate.kill().await.unwrap();
    let kept = left.iter().filter(|(point, ..)| *point == Point::Kept);
    assert_eq!(shop.runs() - runs, (left.len() - kept.count()) as u32);
    for (_, promise, case) in &left {
        shop.agrees(promise, true, case).await;
    }
}

async fn is_settled(shop: &Shop, promise: &Promise) -> bool {
    let (state, certificate) = held(&shop.books().await, promise).await;
    state == Some(PaymentState::Settled) && certificate.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_issued_is_held_and_sold_once() {
    let (shop, mut core) = Shop::open(1).await;
    for version in BOTH {
        for point in CREDIT_GATE {
            comes_back(&shop, point, version).await;
        }
    }
    stays_away(&shop).await;
    shop.locked(PAYER, 3 * CREDIT_GATE.len() as u64).await;
    core.kill().await.unwrap();
    shop.town.agrees().await;
}
