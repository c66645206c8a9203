//! The Lightning wallets of `dev`, opened with what its env file says.

use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::lightning::{InvoiceAsk, PayOrder, PayOutcome, Receiver, Sender};
use faregate_devnet::WalletName;
use faregate_lightning::{BackendConfig, Endpoint, LndConfig};
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Secret, Timestamp};

use crate::support::stack;

#[tokio::test]
async fn the_env_file_opens_both_wallets() {
    let stack = stack().await;
    let env = stack.env();
    let value = |wanted: &str| {
        let found = env.iter().find(|(name, _)| *name == wanted);
        found.unwrap_or_else(|| panic!("no {wanted}")).1.clone()
    };
    let lnd = |macaroon: &str| {
        let endpoint = Endpoint::new(value("FAREGATE_LND_REST").parse().unwrap());
        BackendConfig::Lnd(LndConfig::new(
            endpoint,
            Secret::new(value(macaroon).into_bytes()),
        ))
    };
    let clock = Arc::new(|| Timestamp::from(std::time::SystemTime::now()));
    let seller = lnd("FAREGATE_LND_MACAROON_SELLER").receiver().unwrap();
    let seller = Receiver::new(seller, BitcoinNetwork::Regtest, clock.clone());
    let payer = lnd("FAREGATE_LND_MACAROON_PAYER").sender().unwrap();
    let payer = Sender::new(payer, BitcoinNetwork::Regtest, clock).unwrap();

    let ask = InvoiceAsk {
        amount: Msat::new(10_000),
        description: "a joke".into(),
        expiry_secs: 60,
    };
    let invoice = seller.create(&ask).await.unwrap();
    let order = PayOrder {
        invoice: invoice.bolt11().clone(),
        fee_max: Msat::new(10_000),
        time_limit: Duration::from_secs(30),
    };
    let before = stack.lightning().balance(WalletName::Seller);
    let outcome = payer.pay(&order).await;
    assert!(matches!(outcome, PayOutcome::Paid(_)), "{outcome:?}");
    let after = stack.lightning().balance(WalletName::Seller);
    assert_eq!(after.checked_sub(before), Some(ask.amount));
    stack.shutdown().await;
}
