//! The gate, under every policy.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::U256;
use faregate::stack::Stack;
use faregate_core::crash::{GATE, Point};
use faregate_ledger::PaymentState;
use faregate_types::x402::header;
use tokio::time::timeout;

use crate::support::{http, payment_at, received, stack};
use crate::{SOON, configure, let_it_expire, seller, start, state};
use tempfile::TempDir;
use tokio::time::sleep;

/// The answer to `GET /joke` with the payment; `None` when the gate went away instead.
async fn buy(url: &str, credential: &str) -> Option<(u16, String)> {
    let request = http()
        .get(format!("{url}/joke"))
        .header(header::PAYMENT_SIGNATURE, credential);
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// Recorded and never sent: nobody can know before the authorization expires, and then it is given up.
async fn given_up(stack: &Stack, url: &str, credential: &str, case: &str) {
    let pending = "\"code\":\"settlement_pending\"";
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && body.contains(pending), "{case}: {body}");
    let_it_expire(stack).await;
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && !body.contains(pending), "{case}: {body}");
}

/// The same payment buys the joke, and a copy gets the same answer.
async fn served(url: &str, credential: &str, case: &str) {
    for _ in 0..2 {
        let answer = buy(url, credential).await.expect(case);
        assert_eq!(answer, (200, "a joke".to_owned()), "{case}");
    }
}

/// How often the service runs altogether: again when it ran and its answer was lost with the process.
fn runs_of(point: Point, settle: &str) -> u32 {
    match (point, settle) {
        (Point::BroadcastRecorded, "before") => 0,
        (Point::Served, _)
        | (
            Point::BeforeBroadcastRecorded
            | Point::Broadcast
            | Point::ReceiptSeen
            | Point::OutcomeRecorded,
            "after",
        ) => 2,
        _ => 1,
    }
}

async fn killed_at(point: Point, settle: &str) {
    let case = format!("{}, settle {settle}", point.name());
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (upstream, runs) = seller(Duration::ZERO).await;
    let url = configure(folder.path(), &stack, &upstream, settle);
    let before = received(&stack).await;

    let mut gate = start("gate", folder.path(), &url, Some(point)).await;
    let credential = payment_at(&stack, &url, "/joke").await;
    // At the last place the answer may be out already.
    let first = buy(&url, &credential).await;
    assert!(first.is_none() || point == Point::Kept, "{case}: {first:?}");
    let ended = timeout(SOON, gate.wait()).await.expect(&case).unwrap();
    assert!(!ended.success(), "{case}");

    let mut gate = start("gate", folder.path(), &url, None).await;
    let ends = if point == Point::BroadcastRecorded {
        given_up(&stack, &url, &credential, &case).await;
        (U256::ZERO, PaymentState::Failed)
    } else {
        served(&url, &credential, &case).await;
        (U256::from(1_000), PaymentState::Settled)
    };
    gate.kill().await.unwrap();
    let charged = received(&stack).await - before;
    assert_eq!(
        (charged, state(&folder.path().join("gate.db")).await),
        ends,
        "{case}"
    );
    assert_eq!(
        runs.load(Ordering::SeqCst),
        runs_of(point, settle),
        "{case}"
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_first() {
    for point in GATE {
        killed_at(point, "before").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_afterwards() {
    for point in GATE {
        killed_at(point, "after").await;
    }
}

/// So long a payment has to be unchanged before recovery sends it again.
const RESENT_AFTER: Duration = Duration::from_secs(21);

/// A gate that was killed while it settled what had left already, started once more and killed again.
struct Lent {
    case: String,
    stack: Stack,
    folder: TempDir,
    url: String,
    before: U256,
    runs: u32,
}

async fn lent(point: Point) -> Lent {
    let case = format!("{}, settle background", point.name());
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (upstream, runs) = seller(Duration::ZERO).await;
    let url = configure(folder.path(), &stack, &upstream, "background");
    let before = received(&stack).await;

    let mut gate = start("gate", folder.path(), &url, Some(point)).await;
    let credential = payment_at(&stack, &url, "/joke").await;
    let first = buy(&url, &credential).await;
    let nothing_left = matches!(point, Point::Claimed | Point::Served);
    assert!(first.is_none() || !nothing_left, "{case}: {first:?}");
    let ended = timeout(SOON, gate.wait()).await.expect(&case).unwrap();
    assert!(!ended.success(), "{case}");

    let mut gate = start("gate", folder.path(), &url, None).await;
    served(&url, &credential, &case).await;
    gate.kill().await.unwrap();
    let again = u32::from(point == Point::Served);
    assert_eq!(runs.load(Ordering::SeqCst), 1 + again, "{case}");
    Lent {
        case,
        stack,
        folder,
        url,
        before,
        runs: 1 + again,
    }
}

impl Lent {
    async fn charged(&self) -> U256 {
        received(&self.stack).await - self.before
    }

    /// Nobody asks for anything any more: the gate has to charge by itself.
    async fn ends_charged(self) {
        let case = &self.case;
        let mut gate = start("gate", self.folder.path(), &self.url, None).await;
        let charged = async {
            while self.charged().await.is_zero() {
                sleep(Duration::from_millis(50)).await;
            }
            // What was charged before this start is recorded by the first sweep, which has begun.
            sleep(Duration::from_secs(1)).await;
        };
        timeout(SOON, charged).await.expect(case);
        gate.kill().await.unwrap();
        let ends = (
            self.charged().await,
            state(&self.folder.path().join("gate.db")).await,
        );
        assert_eq!(
            ends,
            (U256::from(1_000), PaymentState::Settled),
            "{case}, {} runs",
            self.runs
        );
        self.stack.shutdown().await;
    }
}

/// What left before it was paid is paid in the end, even when its transaction was recorded and never sent.
#[tokio::test(flavor = "multi_thread")]
async fn settled_in_the_background() {
    let mut all = Vec::new();
    for point in GATE {
        all.push(lent(point).await);
    }
    sleep(RESENT_AFTER).await;
    for lent in all {
        lent.ends_charged().await;
    }
}
