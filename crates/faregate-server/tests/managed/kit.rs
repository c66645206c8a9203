//! An operator on the dev Lightning network, with books in memory and a clock that stands still.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use faregate_core::custody::{Addresses, Custody, CustodyRules, FeeRule, Wallets};
use faregate_core::port::Away;
use faregate_core::port::lightning::{
    Invoice, PayOrder, PayOutcome, ReceiveBackend, Receiver, SendBackend, Sender,
};
use faregate_devnet::chain::FixedClock;
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_ledger::{AccountId, AccountStore, Balance, LedgerStore as _};
use faregate_store::memory::MemoryLedger;
use faregate_types::lightning::{BitcoinNetwork, Bolt11, LightningAddress, Msat};
use faregate_types::{AssetId, Timestamp};

pub(crate) const NETWORK: BitcoinNetwork = BitcoinNetwork::Regtest;
/// What every wallet of the dev network starts with.
pub(crate) const START: u64 = 1_000_000_000;

/// Every address is the owner's wallet, unless it was said to be away.
pub(crate) struct Book {
    pub(crate) wallet: Mutex<Result<Arc<dyn ReceiveBackend>, Away>>,
}

impl Addresses for Book {
    fn wallet(&self, _address: &LightningAddress) -> Result<Arc<dyn ReceiveBackend>, Away> {
        self.wallet.lock().unwrap().clone()
    }
}

pub(crate) struct World {
    pub(crate) net: DevLightning,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) book: Arc<Book>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let clock = Arc::new(FixedClock::at(now.as_secs()));
        let config = LightningConfig {
            clock: Arc::<FixedClock>::clone(&clock),
            ..LightningConfig::default()
        };
        let net = DevLightning::start(config).await.unwrap();
        let owner: Arc<dyn ReceiveBackend> = Arc::new(net.wallet(WalletName::Owner));
        Self {
            net,
            clock,
            ledger: Arc::new(MemoryLedger::new()),
            book: Arc::new(Book {
                wallet: Mutex::new(Ok(owner)),
            }),
        }
    }

    pub(crate) fn later(&self, secs: u64) {
        let now = faregate_devnet::chain::Clock::now_secs(&*self.clock);
        self.clock.set(now + secs);
    }

    pub(crate) fn core_clock(&self) -> Arc<dyn faregate_core::Clock> {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || Timestamp::from_secs(faregate_devnet::chain::Clock::now_secs(&*clock)))
    }

    /// The operator as one process, over any books and any wallet.
    pub(crate) fn custody_over(
        &self,
        store: Arc<dyn AccountStore>,
        sender: Arc<dyn SendBackend>,
    ) -> Custody {
        self.custody_of(store, sender, rules())
    }

    pub(crate) fn custody_with(&self, rules: CustodyRules) -> Custody {
        let sender = Arc::new(self.net.wallet(WalletName::Seller));
        self.custody_of(Arc::<MemoryLedger>::clone(&self.ledger), sender, rules)
    }

    fn custody_of(
        &self,
        store: Arc<dyn AccountStore>,
        sender: Arc<dyn SendBackend>,
        rules: CustodyRules,
    ) -> Custody {
        let seller: Arc<dyn ReceiveBackend> = Arc::new(self.net.wallet(WalletName::Seller));
        let wallets = Wallets {
            receiver: Receiver::new(seller, NETWORK, self.core_clock()),
            sender: Sender::new(sender, NETWORK, self.core_clock()).unwrap(),
            addresses: Arc::<Book>::clone(&self.book),
        };
        Custody::new(wallets, store, self.core_clock(), rules).unwrap()
    }

    pub(crate) fn custody(&self) -> Custody {
        let sender = Arc::new(self.net.wallet(WalletName::Seller));
        self.custody_over(Arc::<MemoryLedger>::clone(&self.ledger), sender)
    }

    /// The payer pays.
    pub(crate) async fn pay(&self, invoice: &Bolt11) -> PayOutcome {
        let payer = Arc::new(self.net.wallet(WalletName::Payer));
        let payer = Sender::new(payer, NETWORK, self.core_clock()).unwrap();
        let order = PayOrder {
            invoice: invoice.clone(),
            fee_max: Msat::new(1_000_000),
            time_limit: Duration::from_secs(10),
        };
        payer.pay(&order).await
    }

    /// An invoice for the owner, which the payer pays.
    pub(crate) async fn sell(&self, custody: &Custody, sat: u64) -> Invoice {
        let amount = Msat::from_sat(sat).unwrap();
        let invoice = custody.invoice(&owner(), amount).await.unwrap();
        let paid = self.pay(invoice.bolt11()).await;
        assert!(matches!(paid, PayOutcome::Paid(_)), "{paid:?}");
        invoice
    }

    pub(crate) async fn balance(&self, account: &str) -> Balance {
        let account = AccountId::parse(account).unwrap();
        let asset = AssetId::Msat(NETWORK);
        self.ledger.balance(account, asset).await.unwrap()
    }

    /// What an account has received and not given, in millisatoshis.
    pub(crate) async fn holds(&self, account: &str) -> i128 {
        let balance = self.balance(account).await;
        i128::try_from(u128::try_from(balance.credits_posted).unwrap()).unwrap()
            - i128::try_from(u128::try_from(balance.debits_posted).unwrap()).unwrap()
    }

    /// What the owner's wallet got, in millisatoshis.
    pub(crate) fn got(&self) -> u64 {
        self.net.balance(WalletName::Owner).get() - START
    }

    /// The books balance, and say what the operator's wallet holds.
    pub(crate) async fn balances(&self) {
        for total in self.ledger.totals().await.unwrap() {
            assert!(total.is_balanced(), "{total:?}");
        }
        let wallet = i128::from(self.net.balance(WalletName::Seller).get()) - i128::from(START);
        assert_eq!(-self.holds("lightning/wallet").await, wallet);
        let (fees, owed) = (
            self.holds("operator/fees").await,
            self.holds(&account()).await,
        );
        assert_eq!(fees + owed, wallet);
    }
}

pub(crate) fn owner() -> LightningAddress {
    "owner@wallet.example".parse().unwrap()
}

/// The owner's account.
pub(crate) fn account() -> String {
    format!("owner/{}", owner())
}

pub(crate) fn rules() -> CustodyRules {
    CustodyRules {
        fee: FeeRule {
            ppm: 3_000,
            min: Msat::new(1_000),
        },
        payout_min: Msat::new(100_000),
        // The dev network takes a satoshi for every way, which is more than the fee of so little.
        routing_max: FeeRule {
            ppm: 3_000,
            min: Msat::new(2_000),
        },
        ..CustodyRules::default()
    }
}
