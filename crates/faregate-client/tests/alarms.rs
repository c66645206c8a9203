//! Servers that change their terms: another payee, another price, another asset, or another payment after the first.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::{Arc, Mutex};

use common::{
    PAYEE, PAYER, Seller, ask_v1, ask_v2, builder, cents, memory, offer_v1, offer_v2, seller,
    served,
};
use faregate_client::{
    Alarm, Client, Kind, PayError, PayeeChanges, PriceRises, Quote, SpendState, WalletStore,
};
use faregate_types::Code;
use serde_json::{Value, json};

type Alarms = Arc<Mutex<Vec<Alarm>>>;

/// A seller whose offer can be changed, and who serves whatever it is paid.
async fn changing() -> (Seller, Arc<Mutex<Value>>) {
    let offer = Arc::new(Mutex::new(offer_v2()));
    let asked = Arc::clone(&offer);
    let seller = seller(move |request| match request.payment() {
        Some(_) => served(),
        None => ask_v2(&[asked.lock().unwrap().clone()]),
    });
    (seller.await, offer)
}

fn listening(
    store: &Arc<dyn WalletStore>,
    payees: PayeeChanges,
    prices: PriceRises,
) -> (Client, Alarms) {
    let alarms = Alarms::default();
    let heard = Arc::clone(&alarms);
    let client = builder()
        .store(Arc::clone(store))
        .payee_changes(payees)
        .price_rises(prices)
        .on_alarm(move |alarm| heard.lock().unwrap().push(alarm.clone()))
        .build()
        .unwrap();
    (client, alarms)
}

fn heard(alarms: &Alarms) -> Vec<Alarm> {
    std::mem::take(&mut *alarms.lock().unwrap())
}

#[tokio::test]
async fn a_new_payee_is_refused_told_or_allowed() {
    let (seller, offer) = changing().await;
    let store = memory();
    let url = seller.url("/joke");
    let strict = listening(&store, PayeeChanges::Refuse, PriceRises::default());
    assert!(strict.0.get(&url).send().await.is_ok());
    offer.lock().unwrap()["payTo"] = json!(PAYER);

    for place in ["/joke", "/another"] {
        let error = strict.0.get(seller.url(place)).send().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (Kind::OverBudget, Code::PayeeChanged)
        );
        let told = heard(&strict.1);
        let [
            Alarm::PayeeChanged {
                known,
                asked,
                path,
                refused: true,
                ..
            },
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!(
            (&**known, asked.to_string().as_str(), &**path),
            (PAYEE, PAYER, place)
        );
    }
    // Looking at it is no alarm.
    let Quote::Priced(priced) = strict.0.get(&url).quote().await.unwrap() else {
        panic!("it has a price")
    };
    assert_eq!(priced.verdict.unwrap_err().code(), Code::PayeeChanged);
    assert_eq!(heard(&strict.1), []);
    assert_eq!(seller.payments().len(), 1);

    let warned = listening(&store, PayeeChanges::Warn, PriceRises::default());
    assert!(warned.0.get(&url).send().await.is_ok());
    assert!(matches!(
        heard(&warned.1)[..],
        [Alarm::PayeeChanged { refused: false, .. }]
    ));
    // Accepted once, it is the known one from then on, and the old one is not.
    assert!(strict.0.get(&url).send().await.is_ok());
    assert_eq!(heard(&strict.1), []);
    offer.lock().unwrap()["payTo"] = json!(PAYEE);
    assert!(strict.0.get(&url).send().await.is_err());
    let trusting = listening(&store, PayeeChanges::Allow, PriceRises::default());
    assert!(trusting.0.get(&url).send().await.is_ok());
    assert_eq!(heard(&trusting.1), []);
}

/// Two clients share their books. What one accepts the other hears, also when it is asked for what it knows itself.
#[tokio::test]
async fn what_another_client_accepted_counts_before_anything_is_sent() {
    let (seller, offer) = changing().await;
    let store = memory();
    let url = seller.url("/joke");
    let strict = listening(&store, PayeeChanges::Refuse, PriceRises::default());
    let other = listening(&store, PayeeChanges::Allow, PriceRises::Any);
    let tolerant = listening(&store, PayeeChanges::Warn, PriceRises::Any);
    for client in [&strict.0, &tolerant.0] {
        assert!(client.get(&url).send().await.is_ok());
    }
    offer.lock().unwrap()["payTo"] = json!(PAYER);
    offer.lock().unwrap()["amount"] = json!("4000");
    assert!(other.0.get(&url).send().await.is_ok());
    assert_eq!(seller.payments().len(), 3);
    offer.lock().unwrap()["payTo"] = json!(PAYEE);
    offer.lock().unwrap()["amount"] = json!("10000");

    let error = strict.0.get(&url).send().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::OverBudget, Code::PayeeChanged)
    );
    assert!(matches!(
        heard(&strict.1)[..],
        [
            Alarm::PayeeChanged { refused: true, .. },
            Alarm::PriceRaised { refused: true, .. }
        ]
    ));
    assert_eq!(seller.payments().len(), 3, "what was signed was not sent");
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 3);
    // Told and paid, if that is wanted; and from then on it is known again.
    assert!(tolerant.0.get(&url).send().await.is_ok());
    assert!(matches!(
        heard(&tolerant.1)[..],
        [
            Alarm::PayeeChanged { refused: false, .. },
            Alarm::PriceRaised { refused: false, .. }
        ]
    ));
    assert!(strict.0.get(&url).send().await.is_ok());
    assert_eq!(heard(&strict.1), []);
}

#[tokio::test]
async fn a_price_may_rise_so_far() {
    let (seller, offer) = changing().await;
    let store = memory();
    let strict = listening(&store, PayeeChanges::Refuse, PriceRises::default());
    let pay = async |client: &Client, path: &str, amount: &str| {
        offer.lock().unwrap()["amount"] = json!(amount);
        client.get(seller.url(path)).send().await
    };
    assert!(pay(&strict.0, "/joke", "10000").await.is_ok());
    assert!(pay(&strict.0, "/joke", "20000").await.is_ok());
    let told = heard(&strict.1);
    let [
        Alarm::PriceRaised {
            before,
            asked,
            refused: false,
            ..
        },
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((before, asked), (cents(1), cents(2)));
    let error = pay(&strict.0, "/joke", "40001").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::OverBudget, Code::PriceRaised)
    );
    let PayError::PriceRaised(raised) = &error else {
        panic!("{error}")
    };
    assert_eq!((raised.before, &*raised.path), (cents(2), "/joke"));
    assert!(matches!(
        heard(&strict.1)[..],
        [Alarm::PriceRaised { refused: true, .. }]
    ));
    assert_eq!(seller.payments().len(), 2);
    // Another path has another price, and a lower one is no alarm.
    assert!(pay(&strict.0, "/long-joke", "90000").await.is_ok());
    assert!(pay(&strict.0, "/joke", "5000").await.is_ok());
    assert_eq!(heard(&strict.1), []);
    let any = listening(&store, PayeeChanges::Refuse, PriceRises::Any);
    assert!(pay(&any.0, "/joke", "90000").await.is_ok());
    assert!(matches!(
        heard(&any.1)[..],
        [Alarm::PriceRaised { refused: false, .. }]
    ));
}

#[tokio::test]
async fn another_asset_is_told() {
    let (seller, offer) = changing().await;
    let store = memory();
    let (client, alarms) = listening(&store, PayeeChanges::Refuse, PriceRises::default());
    assert!(client.get(seller.url("/")).send().await.is_ok());
    {
        let sepolia = faregate_types::AssetRegistry::builtin();
        let sepolia = sepolia.default_for("eip155:11155111".parse().unwrap());
        let sepolia = sepolia.unwrap().clone();
        let mut offer = offer.lock().unwrap();
        offer["network"] = json!("eip155:11155111");
        offer["asset"] = json!(sepolia.id.token().to_string());
        offer["extra"] = json!({"name": sepolia.domain.name, "version": sepolia.domain.version});
    }
    assert!(client.get(seller.url("/")).send().await.is_ok());
    let told = heard(&alarms);
    assert!(matches!(told[..], [Alarm::AssetChanged { .. }]), "{told:?}");
}

/// A server that takes the payment and then asks for another one, in both versions: whatever it asks for, nothing is signed.
#[tokio::test]
async fn asking_again_on_other_terms_is_never_paid() {
    let table = [
        ("amount", json!("10001"), Code::TermsChanged),
        ("amount", json!("9999"), Code::TermsChanged),
        ("payTo", json!(PAYER), Code::TermsChanged),
        ("network", json!("eip155:8453"), Code::TermsChanged),
        ("maxTimeoutSeconds", json!(61), Code::PaymentRefused),
    ];
    for (member, value, code) in table {
        let (mut first, mut second) = (offer_v2(), offer_v2());
        second[member] = value.clone();
        let v2 = {
            let (first, second) = (first.clone(), second.clone());
            seller(move |request| match request.payment() {
                Some(_) => ask_v2(std::slice::from_ref(&second)),
                None => ask_v2(std::slice::from_ref(&first)),
            })
        };
        let mut sellers = vec![v2.await];
        if member != "network" {
            let member = if member == "amount" {
                "maxAmountRequired"
            } else {
                member
            };
            (first, second) = (offer_v1(), offer_v1());
            second[member] = value;
            let v1 = seller(move |request| match request.payment() {
                Some(_) => ask_v1(std::slice::from_ref(&second)),
                None => ask_v1(std::slice::from_ref(&first)),
            });
            sellers.push(v1.await);
        }
        for seller in sellers {
            let store = memory();
            let (client, alarms) = listening(&store, PayeeChanges::Allow, PriceRises::Any);
            let error = client.get(seller.url("/")).send().await.unwrap_err();
            assert_eq!(
                (error.kind(), error.code()),
                (Kind::Refused, code),
                "{member}: {error}"
            );
            assert_eq!(seller.payments().len(), 1, "{member}");
            let spends = store.recent_spends(9).await.unwrap();
            assert_eq!(
                (spends.len(), spends[0].state),
                (1, SpendState::Refused),
                "{member}"
            );
            let told = heard(&alarms);
            let asked_again =
                matches!(&told[..], [Alarm::AskedAgain { id, .. }] if Some(*id) == error.payment());
            assert_eq!(
                asked_again,
                code == Code::TermsChanged,
                "{member}: {told:?}"
            );
        }
    }
}
