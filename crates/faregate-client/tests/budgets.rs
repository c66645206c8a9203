//! Budgets: what happens to the money is told without holding anybody up, and summed up for all rails.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::lightning::{Net, SAT, honest_l402, msat_caps};
use common::{caps, cents, honest, memory, wallet};
use faregate_client::{
    CapRefusal, Caps, Client, ClientBuilder, Event, Kind, MsatCaps, Period, SpendState, Unit,
    WalletStore, Worth, limits,
};
use faregate_types::U256;
use faregate_types::lightning::{BitcoinNetwork, Msat};

const SATS: Unit = Unit::Msat(BitcoinNetwork::Regtest);

fn client(store: &Arc<dyn WalletStore>, caps: Caps) -> ClientBuilder {
    Client::builder()
        .wallet(wallet())
        .caps(caps)
        .store(store.clone())
}

async fn all(events: &mut faregate_client::Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event);
    }
    all
}

#[tokio::test]
async fn every_rail_tells_what_it_spends_and_how_it_ends() {
    let net = Net::start().await;
    let (x402, l402) = (honest().await, honest_l402(&net, 1).await);
    let store = memory();
    let both = net
        .client(&store)
        .wallet(wallet())
        .caps(caps())
        .build()
        .unwrap();
    let mut events = both.events();
    for seller in [&x402, &l402] {
        both.get(seller.url("/joke")).send().await.unwrap();
    }
    drop(both);
    let told = all(&mut events).await;
    let records = store.recent_spends(9).await.unwrap();
    assert_eq!((told.len(), records.len()), (4, 2), "{told:?}");
    for (record, told) in records.iter().rev().zip(told.chunks(2)) {
        let Event::Spent(spent) = &told[0] else {
            panic!("{told:?}");
        };
        let spend = &record.spend;
        assert_eq!((spent.id, spent.worth), (spend.id, spend.worth));
        assert_eq!((&spent.origin, &*spent.path), (&spend.origin, "/joke"));
        assert_eq!((&spent.payer, spent.amount), (&spend.payer, spend.amount));
        let (id, state) = (spend.id, SpendState::Paid);
        assert_eq!(told[1], Event::Ended { id, state });
    }
    assert_eq!(&*records[0].spend.payer, "lightning");
    assert_eq!(&*records[1].spend.payer, common::PAYER);
}

#[tokio::test]
async fn each_cap_says_what_it_still_allows() {
    let seller = honest().await;
    let allowed = caps();
    let store = memory();
    let first = client(&store, allowed).build().unwrap();
    let paid = first.get(seller.url("/")).send().await.unwrap();
    let price = paid.payment.unwrap().worth;
    let one_and_a_half = Worth::new(price.units() + price.units() / U256::from(2));
    let half = Worth::new(price.units() / U256::from(2));
    let day = Period {
        secs: 86_400,
        cap: one_and_a_half,
    };
    let table = [
        (
            Caps {
                per_host: Some(one_and_a_half),
                ..allowed
            },
            CapRefusal::Host,
            half,
        ),
        (
            Caps {
                per_period: Some(day),
                ..allowed
            },
            CapRefusal::Period,
            half,
        ),
        (
            Caps {
                total: Some(one_and_a_half),
                ..allowed
            },
            CapRefusal::Total,
            half,
        ),
        (Caps::per_payment(half), CapRefusal::Payment, half),
    ];
    for (caps, cap, remaining) in table {
        let client = client(&store, caps).build().unwrap();
        let mut events = client.events();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(error.code(), cap.code());
        drop(client);
        let told = all(&mut events).await;
        let [Event::BudgetExceeded(exceeded)] = &*told else {
            panic!("{cap:?}: {told:?}");
        };
        assert_eq!((exceeded.cap, exceeded.unit), (cap, Unit::Dollar));
        assert_eq!(exceeded.remaining, Some(remaining), "{cap:?}");
        let required = (cap != CapRefusal::Payment).then_some(price);
        assert_eq!(exceeded.required, required);
        assert_eq!(error.kind(), Kind::OverBudget);
    }
    assert_eq!(seller.payments().len(), 1);
}

/// One handler panics at everything, one never comes back, one works: purchases go on, and who works hears all of it.
#[tokio::test]
async fn handlers_can_neither_hang_nor_break_a_purchase() {
    let seller = honest().await;
    let store = memory();
    let (release, held) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let panicked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&panicked);
    let refused = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&refused);
    let mut small = caps();
    small.total = Some(cents(1));
    let client = client(&store, small)
        .on_event(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("a handler of a test panics");
        })
        .on_event(move |_| assert!(held.recv().is_err(), "nobody sends"))
        .on_budget_exceeded(move |exceeded| list.lock().unwrap().push(exceeded.cap))
        .on_spend(move |spent| tell.send(spent.id).unwrap())
        .build()
        .unwrap();
    let mut ids = Vec::new();
    let error = loop {
        match client.get(seller.url("/")).send().await {
            Ok(paid) => ids.push(paid.payment.unwrap().id),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::OverBudget);
    assert!(!ids.is_empty());
    for id in &ids {
        assert_eq!(
            told.recv_timeout(std::time::Duration::from_secs(30)),
            Ok(*id)
        );
    }
    // Each handler ends with the client.
    drop((client, release));
    assert!(
        told.recv_timeout(std::time::Duration::from_secs(30))
            .is_err()
    );
    while panicked.load(Ordering::SeqCst) < 2 || refused.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*refused.lock().unwrap(), [CapRefusal::Total]);
}

#[tokio::test]
async fn who_is_slow_is_told_how_much_was_missed() {
    let seller = honest().await;
    let client = client(&memory(), caps()).build().unwrap();
    let mut events = client.events();
    let purchases = limits::EVENTS_KEPT;
    for _ in 0..purchases {
        client.get(seller.url("/")).send().await.unwrap();
    }
    let missed = 2 * purchases - limits::EVENTS_KEPT;
    let missed = u64::try_from(missed).unwrap();
    assert_eq!(events.next().await, Some(Event::Missed(missed)));
    assert!(matches!(events.next().await, Some(Event::Spent(_))));
}

#[tokio::test]
async fn a_report_sums_up_all_rails_and_all_clients() {
    let net = Net::start().await;
    let sellers = [honest().await, honest().await];
    let bitcoin = honest_l402(&net, 1).await;
    let store = memory();
    let sats = MsatCaps {
        total: Some(Msat::new(100 * SAT)),
        ..msat_caps(20 * SAT)
    };
    let budget = Caps {
        per_host: Some(cents(2)),
        per_period: Some(Period {
            secs: 60,
            cap: cents(5),
        }),
        ..caps()
    };
    let make = || {
        let sender = net.sender();
        net.client_with(sender, sats, &store)
            .wallet(wallet())
            .caps(budget)
            .build()
            .unwrap()
    };
    let empty = make().spending_report(9).await.unwrap();
    assert!(empty.hosts.is_empty() && empty.transactions.is_empty());
    assert_eq!(empty.units.len(), 2);
    for seller in [&sellers[0], &sellers[0], &sellers[1], &bitcoin] {
        make().get(seller.url("/a?b")).send().await.unwrap();
    }
    let report = make().spending_report(3).await.unwrap();
    assert_eq!(report.transactions.len(), 3);
    assert_eq!(&*report.transactions[0].payer, "lightning");
    assert_eq!(&*report.transactions[0].path, "/a");
    assert_eq!(report.transactions[1].state, SpendState::Paid);
    let price = report.transactions[1].worth;
    let times = |count: u64| Worth::new(price.units() * U256::from(count));
    let left = |cap: Worth, spent: Worth| Some(Worth::new(cap.units() - spent.units()));
    let [dollars, bitcoins] = &*report.units else {
        panic!("{report:?}");
    };
    assert_eq!((dollars.unit, dollars.total), (Unit::Dollar, times(3)));
    assert_eq!(dollars.remaining, None);
    let period = dollars.period.unwrap();
    assert_eq!((period.secs, period.spent), (60, times(3)));
    assert_eq!(Some(period.remaining), left(cents(5), times(3)));
    // With the most that the way may cost.
    let most = Worth::of_msat(Msat::new(15 * SAT));
    assert_eq!((bitcoins.unit, bitcoins.total), (SATS, most));
    assert_eq!(
        bitcoins.remaining,
        Some(Worth::of_msat(Msat::new(85 * SAT)))
    );
    assert_eq!(bitcoins.period, None);
    let of = |seller: &common::Seller| {
        let origin = seller.url("");
        let mut hosts = report.hosts.iter();
        let host = hosts.find(|host| *host.origin == *origin).unwrap();
        (host.unit, host.total, host.remaining)
    };
    assert_eq!(
        of(&sellers[0]),
        (Unit::Dollar, times(2), left(cents(2), times(2)))
    );
    assert_eq!(
        of(&sellers[1]),
        (Unit::Dollar, times(1), left(cents(2), times(1)))
    );
    assert_eq!(of(&bitcoin), (SATS, most, None));
    assert_eq!(report.hosts.len(), 3);
}
