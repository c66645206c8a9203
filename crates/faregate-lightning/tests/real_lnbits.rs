//! Against a real LNbits with its FakeWallet (1.6.2): `LNBITS_URL`, `LNBITS_SHOP_KEY` (an invoice key), `LNBITS_PAYER_KEY` (an
//! admin key of a wallet with a thousand satoshis) and `LNBITS_ADDRESS` (the shop's) say where. Without them there is nothing
//! to do, so it is run by name: `cargo test -p faregate-lightning --test real_lnbits -- --ignored`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use faregate_core::Clock;
use faregate_core::port::lightning::{
    InvoiceAsk, InvoiceState, PayOrder, PayOutcome, Receiver, Sender, Wanted,
};
use faregate_lightning::{BackendConfig, Endpoint, LnbitsConfig, LnurlConfig};
use faregate_types::lightning::{BitcoinNetwork, Msat, PaymentHash};
use faregate_types::{Code, Secret, Timestamp};

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn endpoint() -> Endpoint {
    Endpoint::new(var("LNBITS_URL").parse().unwrap())
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(|| Timestamp::from(SystemTime::now()))
}

fn lnbits(key: String) -> BackendConfig {
    BackendConfig::Lnbits(LnbitsConfig::new(endpoint(), Secret::new(key.into_bytes())))
}

/// FakeWallet makes invoices of the main network, of no value.
const NETWORK: BitcoinNetwork = BitcoinNetwork::Mainnet;

fn receiver(config: BackendConfig) -> Receiver {
    Receiver::new(config.receiver().unwrap(), NETWORK, clock())
}

fn sender(key: String) -> Sender {
    Sender::new(lnbits(key).sender().unwrap(), NETWORK, clock()).unwrap()
}

fn ask(sat: u64) -> InvoiceAsk {
    InvoiceAsk {
        amount: Msat::from_sat(sat).unwrap(),
        description: "a joke".into(),
        expiry_secs: 600,
    }
}

fn order(invoice: &faregate_core::port::lightning::Invoice) -> PayOrder {
    PayOrder {
        invoice: invoice.bolt11().clone(),
        fee_max: Msat::new(10_000),
        time_limit: Duration::from_secs(30),
    }
}

#[tokio::test]
#[ignore = "needs an LNbits server"]
async fn sells_pays_refuses_and_finds_again() {
    let shop = receiver(lnbits(var("LNBITS_SHOP_KEY")));
    let payer = sender(var("LNBITS_PAYER_KEY"));
    let invoice = shop.create(&ask(10)).await.unwrap();
    let wanted = invoice.wanted();
    assert_eq!(shop.look_up(&wanted).await, Ok(InvoiceState::Open));
    assert_eq!(
        payer.track(invoice.bolt11()).await,
        PayOutcome::Unknown(Code::LightningPaymentNotFound)
    );
    let first = payer.pay(&order(&invoice)).await;
    let PayOutcome::Paid(paid) = &first else {
        panic!("{first:?}");
    };
    assert_eq!(paid.preimage.hash(), wanted.payment_hash);
    assert!(matches!(
        shop.look_up(&wanted).await,
        Ok(InvoiceState::Paid { .. })
    ));
    // Paying again, and asking, say the same; the fee is only told the first time.
    for again in [
        payer.pay(&order(&invoice)).await,
        payer.track(invoice.bolt11()).await,
    ] {
        assert!(matches!(again, PayOutcome::Paid(_)), "{again:?}");
    }
    let never = Wanted {
        payment_hash: PaymentHash::from_bytes([9; 32]),
        ..wanted
    };
    assert_eq!(shop.look_up(&never).await, Ok(InvoiceState::Unknown));

    let refused = |outcome: PayOutcome| match outcome {
        PayOutcome::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    };
    let dear = shop.create(&ask(1_000_000)).await.unwrap();
    let outcome = payer.pay(&order(&dear)).await;
    assert_eq!(refused(outcome), Code::InsufficientFunds);
    let cheap = shop.create(&ask(1)).await.unwrap();
    for key in [var("LNBITS_SHOP_KEY"), "0".repeat(32)] {
        let outcome = sender(key).pay(&order(&cheap)).await;
        assert_eq!(refused(outcome), Code::LightningUnauthorized);
    }
    let stranger = receiver(lnbits("0".repeat(32)));
    let error = stranger.create(&ask(1)).await.unwrap_err();
    assert_eq!(error.code, Code::LightningUnauthorized);
}

#[tokio::test]
#[ignore = "needs an LNbits server"]
async fn sells_through_its_lightning_address() {
    let address = format!("{}@wallet.example", var("LNBITS_ADDRESS"));
    let config = LnurlConfig::new(&address).unwrap().at(endpoint());
    let shop = receiver(BackendConfig::Lnurl(config));
    let invoice = shop.create(&ask(21)).await.unwrap();
    let payer = sender(var("LNBITS_PAYER_KEY"));
    let outcome = payer.pay(&order(&invoice)).await;
    assert!(matches!(outcome, PayOutcome::Paid(_)), "{outcome:?}");
}
