//! Credit books.

use std::collections::{BTreeMap, VecDeque};

use faregate_core::credit::{
    Account, Certificate, Collateral, Cursor, Entry, Guarantee, Happening, Identity, Issue,
    OpenTab, Opened, Place, ReqIds, Settlement, Tab, TabEvent, TabId, TabPayment, Terms,
};
use faregate_core::port::credit::{Batch, CreditError, CreditStore, Entered, Page, PutAside};
use faregate_ledger::StoreError;
use faregate_store::memory::MemoryCredit;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::credit::BlsSignature;
use faregate_types::{Address, B256, ChainId, Timestamp, U256};
use proptest::prelude::*;

use super::common::at;
use super::{limit, runtime};

const CHAIN: ChainId = ChainId::evm(31_337);

/// How long certificates can be redeemed, in seconds.
const EXPIRATION: u64 = 12;

/// Something asked of the books.
#[derive(Clone, Debug)]
enum Ask {
    Open(Box<OpenTab>, ReqIds),
    Issue(Box<Issue>, ReqIds),
    Certify(TabId, U256, Certificate),
    /// Wherever the books stand, or not there.
    Enter(Vec<Happening>, Timestamp, u32, bool),
    Telling(Vec<Place>, B256),
    Refuse(Place),
    Suspend(Address, bool, Timestamp),
    Uncertified(u32),
    Untold(u32),
    Aside(Page),
    Account(Address),
    Collateral(Address, Address),
    Collaterals(Option<(Address, Address)>, u32),
    Tab(TabId),
    OfRecipient(Address, Vec<Settlement>, Page),
    OfPayer(Address, Vec<Settlement>, Page),
    HasTab(Address, Address),
    Pending(Address, Page),
    Guarantee(TabId, U256),
    Latest(TabId),
    Guarantees(TabId, Page),
    PaymentsTo(Address, Page),
    Entries(TabId, Page),
}

/// What they said.
#[derive(Debug, PartialEq)]
enum Said {
    Opened(Result<Box<Opened>, CreditError>),
    Issued(Result<Box<Guarantee>, CreditError>),
    Done(Result<(), StoreError>),
    Entered(
        Result<Entered, StoreError>,
        Result<Option<Cursor>, StoreError>,
    ),
    Suspended(Result<Account, StoreError>),
    Guarantees(Result<Vec<Guarantee>, StoreError>),
    Payments(Result<Vec<TabPayment>, StoreError>),
    Aside(Result<Vec<PutAside>, StoreError>),
    Account(Result<Option<Account>, StoreError>),
    Collateral(Result<Option<Collateral>, StoreError>),
    Collaterals(Result<Vec<(Address, Address, Collateral)>, StoreError>),
    Tab(Box<Result<Option<Tab>, StoreError>>),
    Tabs(Result<Vec<Tab>, StoreError>),
    Has(Result<bool, StoreError>),
    Pending(Result<Vec<(Tab, Option<Guarantee>)>, StoreError>),
    Guarantee(Box<Result<Option<Guarantee>, StoreError>>),
    Entries(Result<Vec<Entry>, StoreError>),
}

fn terms(req_ids: ReqIds) -> Terms {
    Terms {
        versions: [1, 2].into(),
        assets: [asset(0), asset(1)].into(),
        expiration_secs: EXPIRATION,
        ttl_default_secs: 8,
        req_ids,
    }
}

#[allow(clippy::cognitive_complexity, reason = "a table is read at once")]
async fn ask(store: &dyn CreditStore, ask: Ask) -> Said {
    match ask {
        Ask::Open(command, ids) => {
            Said::Opened(store.open_tab(*command, terms(ids)).await.map(Box::new))
        }
        Ask::Issue(command, ids) => {
            Said::Issued(store.issue(*command, terms(ids)).await.map(Box::new))
        }
        Ask::Certify(tab, req, kept) => Said::Done(store.certify(tab, req, kept).await),
        Ask::Enter(happenings, time, most, here) => {
            let from = store.cursor().await.unwrap();
            let number = from.map_or(1, |cursor| cursor.number + 1);
            let to = Cursor {
                number,
                hash: B256::with_last_byte(9),
                time,
            };
            let batch = Batch {
                from: if here { from } else { Some(to) },
                to,
                happenings,
            };
            let entered = store.enter(batch, terms(ReqIds::Strict), most).await;
            Said::Entered(entered, store.cursor().await)
        }
        Ask::Telling(places, transaction) => Said::Done(store.telling(places, transaction).await),
        Ask::Refuse(place) => Said::Done(store.refuse_payment(place).await),
        Ask::Suspend(who, suspended, at) => {
            Said::Suspended(store.suspend(who, suspended, at).await)
        }
        Ask::Uncertified(limit) => Said::Guarantees(store.uncertified(limit).await),
        Ask::Untold(limit) => Said::Payments(store.untold_payments(limit).await),
        Ask::Aside(page) => Said::Aside(store.put_aside(page).await),
        Ask::Account(who) => Said::Account(store.account(who).await),
        Ask::Collateral(who, of) => Said::Collateral(store.collateral(who, of).await),
        Ask::Collaterals(after, limit) => Said::Collaterals(store.collaterals(after, limit).await),
        Ask::Tab(id) => Said::Tab(Box::new(store.tab(id).await)),
        Ask::OfRecipient(who, of, page) => Said::Tabs(store.tabs_of_recipient(who, of, page).await),
        Ask::HasTab(payer, recipient) => Said::Has(store.has_tab(payer, recipient).await),
        Ask::OfPayer(who, of, page) => Said::Tabs(store.tabs_of_payer(who, of, page).await),
        Ask::Pending(who, page) => Said::Pending(store.pending(who, page).await),
        Ask::Guarantee(tab, req) => Said::Guarantee(Box::new(store.guarantee(tab, req).await)),
        Ask::Latest(tab) => Said::Guarantee(Box::new(store.latest_guarantee(tab).await)),
        Ask::Guarantees(tab, page) => Said::Guarantees(store.guarantees(tab, page).await),
        Ask::PaymentsTo(who, page) => Said::Payments(store.payments_to(who, page).await),
        Ask::Entries(tab, page) => Said::Entries(store.entries_of(tab, page).await),
    }
}

const PEOPLE: u8 = 3;

fn person(number: u8) -> Address {
    Address::repeat_byte(number + 1)
}

fn asset(number: u8) -> Address {
    if number == 0 {
        Address::ZERO
    } else {
        Address::repeat_byte(0xa0 + number)
    }
}

fn who() -> impl Strategy<Value = Address> {
    (0..PEOPLE).prop_map(person)
}

fn some_asset() -> impl Strategy<Value = Address> {
    prop_oneof![5 => Just(asset(0)), 4 => Just(asset(1)), 1 => Just(asset(2))]
}

/// Few moments, so that many things happen at the same one, and not in order.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![6 => (0_u64..6).prop_map(at), 1 => (6_u64..40).prop_map(at)]
}

/// Mostly small, so that sums are met; sometimes so large that they overflow.
fn sum() -> impl Strategy<Value = U256> {
    prop_oneof![
        1 => Just(U256::ZERO),
        14 => (1_u64..12).prop_map(U256::from),
        1 => Just(U256::MAX),
        1 => Just(U256::MAX >> 64),
    ]
}

/// In the place of the number that the tab's next guarantee has, or that its last one had.
const NEXT: U256 = U256::from_limbs([7, 7, 7, 7]);

fn req() -> impl Strategy<Value = U256> {
    prop_oneof![16 => Just(NEXT), 8 => (0_u64..4).prop_map(U256::from), 1 => Just(U256::MAX)]
}

/// What the tab of these people is called before it is known.
fn tab_id(identity: &Identity) -> TabId {
    let of = [
        identity.payer.0[0],
        identity.recipient.0[0],
        identity.asset.0[0],
    ];
    TabId(U256::from_be_slice(&of) << 100)
}

fn identity() -> impl Strategy<Value = Identity> {
    let version = prop_oneof![9 => Just(1_u64), 2 => Just(2), 1 => Just(3)];
    (who(), who(), some_asset(), version).prop_map(|(payer, recipient, asset, version)| Identity {
        payer,
        recipient,
        asset,
        version,
    })
}

/// Payer, recipient and asset of the tabs that most is about.
const TABS: [(u8, u8, u8); 5] = [(0, 1, 0), (0, 2, 0), (0, 1, 1), (1, 0, 0), (1, 2, 1)];

/// One of them, and its name until the books give it another.
fn some_tab() -> impl Strategy<Value = (Identity, TabId)> {
    let version = prop_oneof![5 => Just(1_u64), 1 => Just(2)];
    (prop::sample::select(TABS.to_vec()), version).prop_map(|((from, to, of), version)| {
        let identity = Identity {
            payer: person(from),
            recipient: person(to),
            asset: asset(of),
            version,
        };
        (identity, tab_id(&identity))
    })
}

fn ids() -> impl Strategy<Value = ReqIds> {
    prop_oneof![Just(ReqIds::Strict), Just(ReqIds::Reserved)]
}

fn opening() -> impl Strategy<Value = (OpenTab, ReqIds)> {
    let identity = prop_oneof![
        6 => some_tab().prop_map(|(identity, _)| identity),
        1 => identity(),
    ];
    let ttl = prop::option::weighted(0.3, 0_u64..20);
    (identity, ttl, moment(), any::<u64>(), ids()).prop_map(
        |(identity, ttl_secs, at, chance, ids)| {
            // An id is used once: see `Names::known`.
            let id = TabId(U256::from(chance) << 30);
            let command = OpenTab {
                id,
                identity,
                ttl_secs,
                at,
            };
            (command, ids)
        },
    )
}

fn issuing() -> impl Strategy<Value = (Issue, ReqIds)> {
    let other = prop::option::weighted(0.1, identity());
    let soon = prop_oneof![8 => 0_u64..4, 1 => Just(30)];
    let times = (moment(), soon);
    (some_tab(), other, req(), sum(), times, ids()).prop_map(
        |((identity, tab), other, req, amount, (timestamp, later), ids)| {
            let command = Issue {
                tab,
                req,
                identity: other.unwrap_or(identity),
                amount,
                timestamp,
                request: amount.to_be_bytes_vec().into(),
                at: Timestamp::from_secs(timestamp.as_secs() + later),
            };
            (command, ids)
        },
    )
}

fn place() -> impl Strategy<Value = Place> {
    let log = prop_oneof![2 => Just(None), 5 => (0_u64..6).prop_map(Some)];
    (0_u8..9, log, prop::bool::weighted(0.05)).prop_map(|(number, log, moved)| Place {
        block: u64::from(number >> 1) + u64::from(moved),
        transaction: B256::repeat_byte(number),
        log,
    })
}

fn event() -> impl Strategy<Value = TabEvent> {
    let deposit =
        (who(), some_asset(), sum()).prop_map(|(payer, asset, amount)| TabEvent::Deposited {
            payer,
            asset,
            amount,
        });
    let withdrawing =
        (who(), some_asset(), sum()).prop_map(|(payer, asset, amount)| TabEvent::Withdrawing {
            payer,
            asset,
            amount,
        });
    let withdrawn =
        (who(), some_asset(), sum()).prop_map(|(payer, asset, amount)| TabEvent::Withdrawn {
            payer,
            asset,
            amount,
        });
    let other = prop::option::weighted(0.1, identity());
    let paid = (some_tab(), other, prop::option::of(req()), sum()).prop_map(
        |((identity, tab), other, req, amount)| {
            let identity = other.unwrap_or(identity);
            TabEvent::Paid {
                tab,
                req,
                payer: identity.payer,
                recipient: identity.recipient,
                asset: identity.asset,
                amount,
            }
        },
    );
    let record = prop::option::of(place().prop_map(|place| place.record()));
    let recorded = (record, some_tab(), sum()).prop_map(|(record, (identity, tab), amount)| {
        TabEvent::Recorded {
            record,
            tab,
            asset: identity.asset,
            amount,
        }
    });
    let remunerated =
        (some_tab(), sum()).prop_map(|((identity, tab), amount)| TabEvent::Remunerated {
            tab,
            asset: identity.asset,
            amount,
        });
    let what = "[a-zé]{0,3}".prop_map(|what| TabEvent::Unreadable { what: what.into() });
    prop_oneof![6 => deposit, 1 => withdrawing, 1 => withdrawn, 3 => paid, 3 => recorded, 2 => remunerated, 1 => what]
}

fn entering() -> impl Strategy<Value = Ask> {
    let happening =
        (place(), moment(), event()).prop_map(|(place, at, event)| Happening { place, at, event });
    let here = prop::bool::weighted(0.95);
    (
        prop::collection::vec(happening, 0..6),
        moment(),
        0_u32..3,
        here,
    )
        .prop_map(|(happenings, time, most, here)| Ask::Enter(happenings, time, most, here))
}

fn page() -> impl Strategy<Value = Page> {
    (0_u32..3, limit()).prop_map(|(skip, limit)| Page { skip, limit })
}

fn kept() -> impl Strategy<Value = Certificate> {
    any::<u8>().prop_map(|byte| Certificate {
        claims: vec![byte; usize::from(byte % 5)].into(),
        signature: BlsSignature::from_bytes(&[byte; 96]).unwrap(),
    })
}

fn changes() -> impl Strategy<Value = Ask> {
    let name = || (some_tab(), req()).prop_map(|((_, tab), req)| (tab, req));
    prop_oneof![
        6 => opening().prop_map(|(command, ids)| Ask::Open(Box::new(command), ids)),
        12 => issuing().prop_map(|(command, ids)| Ask::Issue(Box::new(command), ids)),
        4 => (name(), kept()).prop_map(|((tab, req), kept)| Ask::Certify(tab, req, kept)),
        9 => entering(),
        2 => (prop::collection::vec(place(), 0..2), any::<u8>())
            .prop_map(|(places, byte)| Ask::Telling(places, B256::repeat_byte(byte))),
        1 => place().prop_map(Ask::Refuse),
        1 => (who(), prop::bool::weighted(0.2), moment())
            .prop_map(|(who, suspended, at)| Ask::Suspend(who, suspended, at)),
    ]
}

fn asks() -> impl Strategy<Value = Ask> {
    let tab = || some_tab().prop_map(|(_, tab)| tab);
    let settlements = || prop::sample::subsequence(Settlement::ALL.to_vec(), 0..3);
    let key = || prop::option::of((who(), some_asset()));
    prop_oneof![
        30 => changes(),
        1 => limit().prop_map(Ask::Uncertified),
        1 => limit().prop_map(Ask::Untold),
        1 => page().prop_map(Ask::Aside),
        1 => (key(), limit()).prop_map(|(after, limit)| Ask::Collaterals(after, limit)),
        1 => (who(), settlements(), page()).prop_map(|(who, of, page)| Ask::OfRecipient(who, of, page)),
        1 => (who(), settlements(), page()).prop_map(|(who, of, page)| Ask::OfPayer(who, of, page)),
        1 => (who(), who()).prop_map(|(payer, recipient)| Ask::HasTab(payer, recipient)),
        1 => (who(), page()).prop_map(|(who, page)| Ask::Pending(who, page)),
        1 => (tab(), page()).prop_map(|(tab, page)| Ask::Guarantees(tab, page)),
        1 => (who(), page()).prop_map(|(who, page)| Ask::PaymentsTo(who, page)),
        1 => (tab(), page()).prop_map(|(tab, page)| Ask::Entries(tab, page)),
    ]
}

/// Every question there is about what is in the books.
fn questions(tabs: &[TabId]) -> Vec<Ask> {
    let all = Page {
        skip: 0,
        limit: 999,
    };
    let mut questions = vec![
        Ask::Uncertified(999),
        Ask::Untold(999),
        Ask::Aside(all),
        Ask::Collaterals(None, 999),
    ];
    for person in (0..PEOPLE).map(person) {
        questions.extend([
            Ask::Account(person),
            Ask::OfRecipient(person, vec![], all),
            Ask::OfPayer(person, vec![], all),
            Ask::Pending(person, all),
            Ask::PaymentsTo(person, all),
        ]);
        questions.extend((0..3).map(|of| Ask::Collateral(person, asset(of))));
    }
    for tab in tabs.iter().copied() {
        questions.extend([
            Ask::Tab(tab),
            Ask::Latest(tab),
            Ask::Guarantees(tab, all),
            Ask::Guarantee(tab, U256::ZERO),
            Ask::Entries(tab, all),
        ]);
    }
    questions
}

/// Names of tabs as they were asked for, and what the books call them.
#[derive(Default)]
struct Names {
    tabs: Vec<TabId>,
    last: BTreeMap<TabId, TabId>,
    next: BTreeMap<TabId, U256>,
}

impl Names {
    /// The tab that was opened last for who is meant.
    fn tab(&self, named: TabId) -> TabId {
        self.last.get(&named).copied().unwrap_or(named)
    }

    fn next(&self, tab: TabId) -> U256 {
        self.next.get(&tab).copied().unwrap_or_default()
    }

    /// Puts the names of the books into what is asked.
    fn known(&self, ask: Ask) -> Ask {
        match ask {
            Ask::Open(mut command, ids) => {
                let fresh = u64::try_from(self.tabs.len()).unwrap();
                command.id.0 |= U256::from(fresh + 1) << 140;
                Ask::Open(command, ids)
            }
            Ask::Issue(mut command, ids) => {
                command.tab = self.tab(command.tab);
                if command.req == NEXT {
                    command.req = self.next(command.tab);
                }
                Ask::Issue(command, ids)
            }
            Ask::Certify(tab, req, kept) => {
                let tab = self.tab(tab);
                let last = self.next(tab).saturating_sub(U256::ONE);
                Ask::Certify(tab, if req == NEXT { last } else { req }, kept)
            }
            Ask::Guarantees(tab, page) => Ask::Guarantees(self.tab(tab), page),
            Ask::Entries(tab, page) => Ask::Entries(self.tab(tab), page),
            Ask::Enter(mut happenings, time, most, here) => {
                for happening in &mut happenings {
                    if let TabEvent::Paid {
                        req: Some(req),
                        tab,
                        ..
                    } = &mut happening.event
                        && *req == NEXT
                    {
                        *req = self.next(self.tab(*tab));
                    }
                    match &mut happening.event {
                        TabEvent::Paid { tab, .. }
                        | TabEvent::Recorded { tab, .. }
                        | TabEvent::Remunerated { tab, .. } => *tab = self.tab(*tab),
                        _ => {}
                    }
                }
                Ask::Enter(happenings, time, most, here)
            }
            other => other,
        }
    }

    fn learn(&mut self, said: &Said) {
        match said {
            Said::Opened(Ok(opened)) => {
                let id = opened.tab.id;
                if opened.is_new {
                    self.tabs.push(id);
                    self.last.insert(tab_id(&opened.tab.identity), id);
                }
                self.next.insert(id, opened.next_req);
            }
            Said::Issued(Ok(issued)) => {
                let next = issued.req.saturating_add(U256::ONE);
                self.next.insert(issued.tab, next);
            }
            _ => {}
        }
    }
}

/// What is asked of two books, with the names that the first gives, and then every question there is.
async fn compare(
    one: &dyn CreditStore,
    other: &dyn CreditStore,
    asked: Vec<Ask>,
) -> Result<(), TestCaseError> {
    let mut names = Names::default();
    // Who has nothing can do nothing.
    let start = (0..3).map(|number| Happening {
        place: Place {
            block: 0,
            transaction: B256::ZERO,
            log: Some(100 + u64::from(number)),
        },
        at: at(0),
        event: TabEvent::Deposited {
            payer: person(number % 2),
            asset: asset(number >> 1),
            amount: U256::from(40),
        },
    });
    let start = Ask::Enter(start.collect(), at(0), 0, true);
    let open = TABS.map(|(from, to, of)| {
        let identity = Identity {
            payer: person(from),
            recipient: person(to),
            asset: asset(of),
            version: 1,
        };
        let command = OpenTab {
            id: TabId(U256::ZERO),
            identity,
            ttl_secs: None,
            at: at(0),
        };
        Ask::Open(Box::new(command), ReqIds::Strict)
    });
    let start = [start].into_iter().chain(open);
    let mut asked: VecDeque<Ask> = start.chain(asked).collect();
    let mut at_the_end = false;
    loop {
        let Some(next) = asked.pop_front() else {
            if at_the_end {
                return Ok(());
            }
            at_the_end = true;
            asked.extend(questions(&names.tabs));
            continue;
        };
        let next = names.known(next);
        let said = ask(one, next.clone()).await;
        let expected = ask(other, next.clone()).await;
        names.learn(&said);
        prop_assert_eq!(said, expected, "asked {:?}", next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn two_books_say_the_same(asked in prop::collection::vec(asks(), 1..120)) {
        let (memory, ledger) = (MemoryCredit::new(CHAIN), SqliteLedger::in_memory().unwrap());
        runtime().block_on(async {
            let sqlite = ledger.credit(CHAIN).await.unwrap();
            compare(&memory, &sqlite, asked).await?;
            let audit = ledger.audit().await.unwrap();
            prop_assert_eq!(audit.faults, []);
            Ok(())
        })?;
    }
}

#[cfg(feature = "postgres")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn books_on_postgres_say_the_same(asked in prop::collection::vec(asks(), 1..120)) {
        let runtime = runtime();
        let Some(place) = runtime.block_on(super::kit::Place::new()) else { return Ok(()) };
        runtime.block_on(async {
            let (memory, ledger) = (MemoryCredit::new(CHAIN), place.open().await);
            let postgres = ledger.credit(CHAIN).await.unwrap();
            compare(&memory, &postgres, asked).await?;
            let audit = ledger.audit().await.unwrap();
            prop_assert_eq!(audit.faults, []);
            Ok(())
        })?;
    }
}
