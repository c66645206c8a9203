//! How fast it is, for whoever wants to know: `cargo test -p faregate-store --features postgres --test credit_postgres --
//! --ignored --nocapture measured`.

use std::sync::Arc;
use std::time::Instant;

use faregate_core::port::credit::CreditStore as _;
use faregate_store::postgres::PostgresCredit;
use faregate_types::U256;
use futures_util::stream::{self, StreamExt as _};

use super::kit;
use super::made_up::{CHAIN, deposit, enter, identity, issuing, opened, payer, terms};

/// What waits at the same time.
const AT_ONCE: usize = 1_000;

const PAYERS: u64 = 10_000;

const ISSUES: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
#[allow(clippy::print_stdout, reason = "it is there for what it prints")]
async fn guarantees_in_a_second() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let credit = Arc::new(place.open().await.credit(CHAIN).await.unwrap());
    for first in (0..PAYERS).step_by(500) {
        let some = (first..first + 500).map(|who| deposit(payer(who), 1_000_000));
        enter(&*credit, some.collect(), 1).await;
    }
    let since = Instant::now();
    let open = |who: u64| {
        let credit = Arc::clone(&credit);
        async move { opened(&*credit, identity(who, who % 100), who).await.tab }
    };
    let tabs = stream::iter(0..PAYERS).map(open).buffered(AT_ONCE);
    let tabs: Vec<_> = tabs.collect().await;
    println!("{PAYERS} tabs opened in {:?}", since.elapsed());
    for (what, payers) in [("10,000 payers", PAYERS), ("one payer", 1)] {
        let since = Instant::now();
        let issue = |number: u64| {
            let tab = &tabs[usize::try_from(number % payers).unwrap()];
            let req = U256::from(1_000_000 * (PAYERS - payers) + number);
            issue(Arc::clone(&credit), issuing(tab, req, 1))
        };
        let issued = stream::iter(0..ISSUES).map(issue);
        let issued = issued.buffer_unordered(AT_ONCE).count().await;
        let elapsed = since.elapsed();
        println!(
            "{what}: {issued} in {elapsed:?}, {} a second",
            ISSUES * 1_000 / u64::try_from(elapsed.as_millis()).unwrap()
        );
    }
}

async fn issue(credit: Arc<PostgresCredit>, command: faregate_core::credit::Issue) {
    credit.issue(command, terms()).await.unwrap();
}
