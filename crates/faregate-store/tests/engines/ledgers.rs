//! Ledgers.

use faregate_ledger::{
    AccountId, Answer, Balance, Claim, Claimed, Idempotency, LedgerStore, Payment, Step,
    StoreError, Totals, Transfer,
};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{
    Address, Amount, AssetId, Code, Fingerprint, IdempotencyKey, PaymentId, RailName, Timestamp,
    U256,
};
use proptest::prelude::*;

use super::common::{at, id};
use super::{asset, limit, runtime, sum};

/// Something asked of a ledger.
#[derive(Clone, Debug)]
enum Ask {
    Claim(Box<Claim>),
    Advance(PaymentId, Step, Timestamp),
    Prune(Timestamp, u64, u32),
    Payment(PaymentId),
    Named(AccountId, IdempotencyKey),
    Open(u32),
    Unfinal(u32),
    Recent(u32),
    Exposure(AccountId, AssetId),
    Balance(AccountId, AssetId),
    Totals,
}

/// What it said.
#[derive(Debug, PartialEq)]
enum Said {
    Claimed(Result<Claimed, StoreError>),
    Advanced(Result<Payment, StoreError>),
    Pruned(Result<u32, StoreError>),
    Payment(Result<Option<Payment>, StoreError>),
    List(Result<Vec<Payment>, StoreError>),
    Exposure(Result<U256, StoreError>),
    Balance(Result<Balance, StoreError>),
    Totals(Result<Totals, StoreError>),
}

async fn ask(store: &dyn LedgerStore, ask: Ask) -> Said {
    match ask {
        Ask::Claim(claim) => Said::Claimed(store.claim(*claim).await),
        Ask::Advance(id, step, at) => Said::Advanced(store.advance(id, step, at).await),
        Ask::Prune(before, bytes, limit) => Said::Pruned(store.prune(before, bytes, limit).await),
        Ask::Payment(id) => Said::Payment(store.payment(id).await),
        Ask::Named(payer, key) => Said::Payment(store.named_payment(payer, key).await),
        Ask::Open(limit) => Said::List(store.open_payments(limit).await),
        Ask::Unfinal(limit) => Said::List(store.unfinal_payments(limit).await),
        Ask::Recent(limit) => Said::List(store.recent_payments(limit).await),
        Ask::Exposure(payer, asset) => Said::Exposure(store.exposure(payer, asset).await),
        Ask::Balance(account, asset) => Said::Balance(store.balance(account, asset).await),
        Ask::Totals => Said::Totals(store.totals().await),
    }
}

const PAYMENTS: u64 = 7;
const PAYERS: u8 = 3;
const PAYEES: u8 = 2;
const ASSETS: u8 = 2;

fn payer(number: u8) -> AccountId {
    AccountId::payer(Address::repeat_byte(number))
}

/// Payees, and an account that pays too.
fn payee(number: u8) -> AccountId {
    match number {
        PAYEES => payer(0),
        number => AccountId::payee(Address::repeat_byte(number)),
    }
}

/// Few moments, so that many things happen at the same one, and not in order.
fn moment() -> impl Strategy<Value = Timestamp> {
    (0_u64..5).prop_map(at)
}

fn payment() -> impl Strategy<Value = PaymentId> {
    (0..PAYMENTS).prop_map(id)
}

fn own_key(number: u8) -> IdempotencyKey {
    IdempotencyKey::from_header(&[b'a' + number]).unwrap()
}

fn claim() -> impl Strategy<Value = Claim> {
    let who = (0..PAYERS, 0..=PAYEES, 0..ASSETS, sum());
    let transfer = who.prop_map(|(from, to, of, value)| Transfer {
        debit: payer(from),
        credit: payee(to),
        amount: Amount::new(value, asset(of)),
    });
    let named = prop::option::weighted(0.4, (0_u8..2, 0_u8..2)).prop_map(|named| {
        named.map(|(key, request)| Idempotency {
            key: own_key(key),
            request: Fingerprint::of(&[b"bought", &[request]]),
        })
    });
    let limit = || {
        prop::option::of(prop_oneof![
            (0_u64..12).prop_map(U256::from),
            Just(U256::MAX)
        ])
    };
    let limits = (limit(), limit());
    let rest = (0_u8..2, 0_u8..3, moment());
    (payment(), transfer, named, limits, rest).prop_map(
        |(id, transfer, idempotency, (exposure_max, funds), (request, route, at))| Claim {
            id,
            rail: RailName::X402,
            fingerprint: Fingerprint::of(&[b"request", &[request]]),
            transfer,
            route: ["", "GET /joke", "GET /naïve/路"][usize::from(route)].into(),
            evidence: vec![request; usize::from(route)],
            at,
            exposure_max,
            funds,
            idempotency,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    let headers = prop::collection::vec(
        ("[a-z]{1,3}", prop::collection::vec(any::<u8>(), 0..3)),
        0..2,
    );
    let body = prop::option::of(prop::collection::vec(any::<u8>(), 0..9));
    (100_u16..600, headers, body).prop_map(|(status, headers, body)| Answer {
        status,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
        body,
    })
}

fn reference() -> impl Strategy<Value = Box<str>> {
    (0_u8..3).prop_map(|number| format!("0x{number}").into())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => reference().prop_map(|transaction| Step::Broadcast { transaction }),
        3 => prop::option::of(reference()).prop_map(|transaction| Step::Settle { transaction }),
        1 => prop_oneof![Just(Code::TransactionFailed), Just(Code::Internal)]
            .prop_map(|code| Step::Fail { code }),
        2 => Just(Step::Release),
        3 => answer().prop_map(|answer| Step::Keep { answer }),
        2 => (prop::option::of(reference()), answer())
            .prop_map(|(transaction, answer)| Step::Sell { transaction, answer }),
        2 => answer().prop_map(|answer| Step::Serve { answer }),
        1 => Just(Step::Finalize),
        1 => Just(Step::Reopen),
    ]
}

fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![(0..PAYERS).prop_map(payer), (0..PAYEES).prop_map(payee)]
}

fn asks() -> impl Strategy<Value = Ask> {
    let some_asset = || (0..ASSETS).prop_map(asset);
    prop_oneof![
        10 => claim().prop_map(|claim| Ask::Claim(Box::new(claim))),
        16 => (payment(), step(), moment()).prop_map(|(id, step, at)| Ask::Advance(id, step, at)),
        2 => (moment(), 0_u64..60, 0_u32..4).prop_map(|(at, bytes, limit)| Ask::Prune(at, bytes, limit)),
        2 => payment().prop_map(Ask::Payment),
        2 => (account(), 0_u8..2).prop_map(|(payer, key)| Ask::Named(payer, own_key(key))),
        2 => limit().prop_map(Ask::Open),
        2 => limit().prop_map(Ask::Unfinal),
        2 => limit().prop_map(Ask::Recent),
        2 => (account(), some_asset()).prop_map(|(payer, asset)| Ask::Exposure(payer, asset)),
        2 => (account(), some_asset()).prop_map(|(account, asset)| Ask::Balance(account, asset)),
        1 => Just(Ask::Totals),
    ]
}

/// Every question there is about what is in the books.
fn questions() -> Vec<Ask> {
    let lists = [
        Ask::Open(99),
        Ask::Unfinal(99),
        Ask::Recent(99),
        Ask::Totals,
    ];
    let payments = (0..PAYMENTS).map(|number| Ask::Payment(id(number)));
    let mut questions: Vec<Ask> = payments.chain(lists).collect();
    for account in (0..PAYERS).map(payer).chain((0..PAYEES).map(payee)) {
        questions.extend((0..2).map(|key| Ask::Named(account.clone(), own_key(key))));
        for asset in (0..ASSETS).map(asset) {
            questions.push(Ask::Exposure(account.clone(), asset));
            questions.push(Ask::Balance(account.clone(), asset));
        }
    }
    questions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn two_ledgers_say_the_same(asked in prop::collection::vec(asks(), 1..80)) {
        let (memory, sqlite) = (MemoryLedger::new(), SqliteLedger::in_memory().unwrap());
        runtime().block_on(async {
            for one in asked.into_iter().chain(questions()) {
                let said = ask(&memory, one.clone()).await;
                let expected = ask(&sqlite, one.clone()).await;
                prop_assert_eq!(said, expected, "asked {:?}", one);
            }
            // Sums of all accounts beyond 256 bits are what both call damage.
            let (memory, sqlite) = (memory.audit(), sqlite.audit().await);
            prop_assert_eq!(memory.is_ok(), sqlite.is_ok());
            let clean = memory.map_or(true, |audit| audit.is_clean());
            prop_assert!(clean && sqlite.map_or(true, |audit| audit.is_clean()));
            Ok(())
        })?;
    }
}

#[cfg(feature = "postgres")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn postgres_says_the_same(asked in prop::collection::vec(asks(), 1..80)) {
        let runtime = runtime();
        let Some(place) = runtime.block_on(super::kit::Place::new()) else { return Ok(()) };
        let sqlite = SqliteLedger::in_memory().unwrap();
        runtime.block_on(async {
            let postgres = place.open().await;
            for one in asked.into_iter().chain(questions()) {
                let said = ask(&postgres, one.clone()).await;
                let expected = ask(&sqlite, one.clone()).await;
                prop_assert_eq!(said, expected, "asked {:?}", one);
            }
            let (postgres, sqlite) = (postgres.audit().await, sqlite.audit().await);
            prop_assert_eq!(postgres.is_ok(), sqlite.is_ok());
            prop_assert_eq!(postgres.map(|audit| audit.faults), sqlite.map(|audit| audit.faults));
            Ok(())
        })?;
    }
}
