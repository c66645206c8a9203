//! Wallets.

use faregate_ledger::{
    Caps, KeptToken, KnownTerms, Period, Reserved, Signed, Spend, SpendEnd, SpendRecord,
    StoreError, TermsRule, Unit, Usage, WalletStore, Worth,
};
use faregate_store::memory::MemoryWallet;
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{Amount, AssetId, Code, PaymentId, Timestamp, U256};
use proptest::prelude::*;

use super::common::{at, id};
use super::{asset, limit, runtime, sum};

/// Something asked of a wallet.
#[derive(Clone, Debug)]
enum Ask {
    Reserve(Box<Spend>, Caps, TermsRule),
    Finish(PaymentId, SpendEnd, Timestamp),
    FinishLater(PaymentId, SpendEnd, Timestamp),
    Usage(Box<str>, Unit, Timestamp),
    Recent(u32),
    Open(u32),
    Spend(PaymentId),
    Known(Box<str>, Box<str>, AssetId, Box<str>),
    Signed(u32),
    Keep(KeptToken),
    TokensAt(Box<str>, Timestamp),
    Tokens(u32),
    Use(PaymentId),
    UseLater(PaymentId),
    Forget(PaymentId),
}

/// What it said.
#[derive(Debug, PartialEq)]
enum Said {
    Reserved(Result<Reserved, StoreError>),
    Finished(Result<(), StoreError>),
    Queued(bool),
    Usage(Result<Usage, StoreError>),
    List(Result<Vec<SpendRecord>, StoreError>),
    Spend(Result<Option<SpendRecord>, StoreError>),
    Known(Result<KnownTerms, StoreError>),
    Signed(Result<Vec<Signed>, StoreError>),
    Tokens(Result<Vec<KeptToken>, StoreError>),
}

async fn ask(store: &dyn WalletStore, ask: Ask) -> Said {
    match ask {
        Ask::Reserve(spend, caps, terms) => {
            Said::Reserved(store.reserve_spend(*spend, caps, terms).await)
        }
        Ask::Finish(id, end, at) => Said::Finished(store.finish_spend(id, end, at).await),
        Ask::FinishLater(id, end, at) => Said::Queued(store.finish_spend_later(id, end, at)),
        Ask::Usage(origin, unit, since) => Said::Usage(store.usage(origin, unit, since).await),
        Ask::Recent(limit) => Said::List(store.recent_spends(limit).await),
        Ask::Open(limit) => Said::List(store.open_spends(limit).await),
        Ask::Spend(id) => Said::Spend(store.spend(id).await),
        Ask::Known(origin, path, asset, payee) => {
            Said::Known(store.known_terms(origin, path, asset, payee).await)
        }
        Ask::Signed(limit) => Said::Signed(store.signed(limit).await),
        Ask::Keep(token) => Said::Finished(store.keep_token(token).await),
        Ask::TokensAt(origin, now) => {
            Said::Tokens(store.tokens_at(origin, "GET".into(), now).await)
        }
        Ask::Tokens(limit) => Said::Tokens(store.tokens(limit).await),
        Ask::Use(id) => Said::Finished(store.use_token(id).await),
        Ask::UseLater(id) => Said::Queued(store.use_token_later(id)),
        Ask::Forget(id) => Said::Finished(store.forget_token(id).await),
    }
}

const SPENDS: u64 = 9;

/// Within the same minute, hour and month, and apart.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0_u64..5).prop_map(at),
        2 => (0_u64..10_000).prop_map(at),
        2 => (0_u64..20_000_000).prop_map(at),
        1 => Just(Timestamp::from_secs(0)),
        1 => Just(Timestamp::from_secs(u64::MAX)),
    ]
}

fn one_of(texts: [&'static str; 3]) -> impl Strategy<Value = Box<str>> {
    (0_usize..3).prop_map(move |number| texts[number].into())
}

fn origin() -> impl Strategy<Value = Box<str>> {
    one_of(["https://a.example", "http://a.example", "https://b.example"])
}

fn path() -> impl Strategy<Value = Box<str>> {
    one_of(["", "/joke", "/naïve/路"])
}

fn payee() -> impl Strategy<Value = Box<str>> {
    one_of(["payee/1", "payee/2", "payee/3"])
}

fn spend() -> impl Strategy<Value = Spend> {
    let place = (origin(), path(), payee(), 0_u8..2);
    let request = prop_oneof![Just(vec![]), Just(b"GET /joke".to_vec())];
    let rest = (0_u8..2, request, moment());
    (0..SPENDS, place, sum(), sum(), rest).prop_map(
        |(number, (origin, path, payee, of), value, worth, (credential, request, at))| Spend {
            id: id(number),
            origin,
            resource: path.clone(),
            path,
            payee,
            payer: ["", "a", "b"][usize::from(credential)].into(),
            amount: Amount::new(value, asset(of)),
            worth: Worth::new(worth),
            at,
            valid_until: at,
            credential: vec![credential],
            request,
        },
    )
}

fn token() -> impl Strategy<Value = KeptToken> {
    let place = (origin(), any::<bool>(), path());
    let rest = (moment(), moment(), prop::option::of(0_u32..3));
    (0..SPENDS, place, rest).prop_map(|(number, (origin, get, path), (at, until, uses_left))| {
        KeptToken {
            payment: id(number),
            origin,
            method: if get { "GET" } else { "POST" }.into(),
            path,
            at,
            until,
            uses_left,
            credential: number.to_le_bytes().to_vec(),
        }
    })
}

fn caps() -> impl Strategy<Value = Caps> {
    let cap = || (0_u64..20).prop_map(|units| Worth::new(U256::from(units)));
    let period = (prop_oneof![0_u64..5, Just(100_000), Just(u64::MAX)], cap());
    let most = prop_oneof![4 => Just(Worth::new(U256::MAX)), 1 => cap()];
    (
        most,
        prop::option::weighted(0.3, cap()),
        prop::option::weighted(0.3, period),
        prop::option::weighted(0.2, cap()),
    )
        .prop_map(|(per_payment, per_host, period, total)| Caps {
            per_payment,
            per_host,
            per_period: period.map(|(secs, cap)| Period { secs, cap }),
            total,
        })
}

fn terms() -> impl Strategy<Value = TermsRule> {
    (any::<bool>(), prop::option::of(0_u32..200)).prop_map(|(any_payee, rise_percent_max)| {
        TermsRule {
            any_payee,
            rise_percent_max,
        }
    })
}

fn end() -> impl Strategy<Value = SpendEnd> {
    let transaction = prop::option::of(one_of(["0x1", "0x2", "0x3"]));
    prop_oneof![
        transaction.prop_map(|transaction| SpendEnd::Paid { transaction }),
        Just(SpendEnd::Refused {
            code: Code::TransactionFailed
        }),
        Just(SpendEnd::Unused),
    ]
}

fn asks() -> impl Strategy<Value = Ask> {
    let some = || (0..SPENDS).prop_map(id);
    let some_asset = || (0_u8..2).prop_map(asset);
    prop_oneof![
        14 => (spend(), caps(), terms())
            .prop_map(|(spend, caps, terms)| Ask::Reserve(Box::new(spend), caps, terms)),
        4 => (some(), end(), moment()).prop_map(|(id, end, at)| Ask::Finish(id, end, at)),
        2 => (some(), end(), moment()).prop_map(|(id, end, at)| Ask::FinishLater(id, end, at)),
        3 => (origin(), some_asset(), moment())
            .prop_map(|(origin, asset, since)| Ask::Usage(origin, Unit::of(asset), since)),
        2 => limit().prop_map(Ask::Recent),
        2 => limit().prop_map(Ask::Open),
        2 => some().prop_map(Ask::Spend),
        3 => (origin(), path(), some_asset(), payee())
            .prop_map(|(origin, path, asset, payee)| Ask::Known(origin, path, asset, payee)),
        2 => limit().prop_map(Ask::Signed),
        4 => token().prop_map(Ask::Keep),
        2 => (origin(), moment()).prop_map(|(origin, now)| Ask::TokensAt(origin, now)),
        2 => limit().prop_map(Ask::Tokens),
        2 => some().prop_map(Ask::Use),
        1 => some().prop_map(Ask::UseLater),
        1 => some().prop_map(Ask::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn two_wallets_say_the_same(
        first in spend(),
        asked in prop::collection::vec(asks(), 1..80),
    ) {
        let (memory, sqlite) = (MemoryWallet::new(), SqliteWallet::in_memory().unwrap());
        // The same spend again, later, whatever it was.
        let no_caps = Caps::per_payment(Worth::new(U256::MAX));
        let again = Ask::Reserve(Box::new(first), no_caps, TermsRule::ANY);
        let lists = [Ask::Recent(99), Ask::Open(99), Ask::Signed(99), Ask::Tokens(99)];
        let spends = (0..SPENDS).map(|number| Ask::Spend(id(number)));
        let asked = std::iter::once(again.clone()).chain(asked).chain([again]).chain(lists).chain(spends);
        runtime().block_on(async {
            for one in asked {
                let said = ask(&memory, one.clone()).await;
                let expected = ask(&sqlite, one.clone()).await;
                prop_assert_eq!(said, expected, "asked {:?}", one);
            }
            prop_assert!(sqlite.audit().await.unwrap().is_clean());
            Ok(())
        })?;
    }
}
