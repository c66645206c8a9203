//! A process that ends at any of its effects, before or after it took effect; and wallets that misbehave.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    InvoiceAsk, MadeInvoice, PayOrder, PayReport, ReceiveAbilities, ReceiveBackend, SendAbilities,
    SendBackend,
};
use faregate_devnet::WalletName;
use faregate_devnet::lightning::DevWallet;
use faregate_ledger::{
    AccountId, AccountPage, AccountStore, Balance, Claim, Claimed, Effect, LedgerStore, Payment,
    Step, StoreError, Totals,
};
use faregate_store::memory::MemoryLedger;
use faregate_types::lightning::{Bolt11, Msat, PaymentHash};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::{BoxFuture, pending};
use tokio::sync::Notify;

use crate::kit::{World, owner};

/// Goes out after so many places, and then stays out.
#[derive(Default)]
struct Fuse {
    left: AtomicU32,
    out: Notify,
}

impl Fuse {
    /// A place where the process may end. Then it never gets any further.
    async fn place(&self) {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(left.saturating_sub(1))
            });
        if left == Ok(0) {
            self.out.notify_one();
            pending::<()>().await;
        }
    }
}

/// Books of a process with a fuse.
struct CutBooks(Arc<MemoryLedger>, Arc<Fuse>);

/// A wallet of a process with a fuse.
struct CutWallet(DevWallet, Arc<Fuse>);

type Stored<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl LedgerStore for CutBooks {
    fn claim(&self, claim: Claim) -> Stored<'_, Claimed> {
        Box::pin(async move {
            self.1.place().await;
            let claimed = self.0.claim(claim).await;
            self.1.place().await;
            claimed
        })
    }

    fn take_step(&self, id: PaymentId, step: Step, at: Timestamp) -> Stored<'_, (Payment, Effect)> {
        Box::pin(async move {
            self.1.place().await;
            let taken = self.0.take_step(id, step, at).await;
            self.1.place().await;
            taken
        })
    }

    fn payment(&self, id: PaymentId) -> Stored<'_, Option<Payment>> {
        self.0.payment(id)
    }

    fn named_payment(&self, payer: AccountId, key: IdempotencyKey) -> Stored<'_, Option<Payment>> {
        self.0.named_payment(payer, key)
    }

    fn open_payments(&self, limit: u32) -> Stored<'_, Vec<Payment>> {
        self.0.open_payments(limit)
    }

    fn unfinal_payments(&self, limit: u32) -> Stored<'_, Vec<Payment>> {
        self.0.unfinal_payments(limit)
    }

    fn prune(&self, before: Timestamp, bytes_max: u64, limit: u32) -> Stored<'_, u32> {
        self.0.prune(before, bytes_max, limit)
    }

    fn exposure(&self, payer: AccountId, asset: AssetId) -> Stored<'_, alloy_primitives::U256> {
        self.0.exposure(payer, asset)
    }

    fn recent_payments(&self, limit: u32) -> Stored<'_, Vec<Payment>> {
        self.0.recent_payments(limit)
    }

    fn balance(&self, account: AccountId, asset: AssetId) -> Stored<'_, Balance> {
        self.0.balance(account, asset)
    }

    fn totals(&self) -> Stored<'_, Totals> {
        self.0.totals()
    }
}

impl AccountStore for CutBooks {
    fn accounts(
        &self,
        role: Box<str>,
        asset: AssetId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Stored<'_, AccountPage> {
        self.0.accounts(role, asset, after, limit)
    }
}

impl SendBackend for CutWallet {
    fn abilities(&self) -> SendAbilities {
        SendBackend::abilities(&self.0)
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(async move {
            self.1.place().await;
            let report = self.0.pay(order).await;
            self.1.place().await;
            report
        })
    }

    fn track<'a>(&'a self, hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        self.0.track(hash)
    }
}

/// One sale and its payout by a process that ends at its `places`th place. `false` when it came to its end before.
async fn run(world: &World, places: u32, sold: &Mutex<Option<Bolt11>>) -> bool {
    let fuse = Arc::new(Fuse {
        left: AtomicU32::new(places),
        out: Notify::new(),
    });
    let books = Arc::new(CutBooks(Arc::clone(&world.ledger), Arc::clone(&fuse)));
    let wallet = CutWallet(world.net.wallet(WalletName::Seller), Arc::clone(&fuse));
    let custody = world.custody_over(books, Arc::new(wallet));
    let work = async {
        let amount = Msat::from_sat(2_000).unwrap();
        let invoice = custody.invoice(&owner(), amount).await.unwrap();
        *sold.lock().unwrap() = Some(invoice.bolt11().clone());
        world.pay(invoice.bolt11()).await;
        custody.sweep().await.unwrap();
    };
    tokio::select! {
        () = work => false,
        () = fuse.out.notified() => true,
    }
}

/// Wherever the process ends, whoever was sold for is paid, once, and the books say so.
#[tokio::test]
async fn killed_at_any_effect_the_owner_is_paid_once() {
    let mut places = 0;
    loop {
        let world = World::new().await;
        let sold = Mutex::new(None);
        let was_cut = run(&world, places, &sold).await;
        let custody = world.custody();
        if sold.lock().unwrap().is_none() {
            // Nobody has seen that invoice.
            world.sell(&custody, 2_000).await;
        }
        // As long as an invoice of which the wallet knows nothing could still be paid, nobody can say that it was not.
        for _ in 0..10 {
            custody.sweep().await.unwrap();
            world.later(3_601);
        }
        assert_eq!(world.got(), 1_994_000, "after {places} places");
        assert_eq!(world.holds(&crate::kit::account()).await, 0);
        assert!(world.ledger.open_payments(10).await.unwrap().is_empty());
        world.balances().await;
        if !was_cut {
            break;
        }
        places += 1;
    }
    // Two claims and two ends of the invoice; claim, trail, payment, way (two) and end of the payout; each before and after.
    assert_eq!(places, 20);
}

/// A wallet that hands out its first invoice again and again.
pub(crate) struct Repeating {
    wallet: DevWallet,
    first: Mutex<Option<MadeInvoice>>,
}

impl Repeating {
    pub(crate) fn new(wallet: DevWallet) -> Self {
        Self {
            wallet,
            first: Mutex::new(None),
        }
    }
}

impl ReceiveBackend for Repeating {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveBackend::abilities(&self.wallet)
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        Box::pin(async move {
            if let Some(first) = self.first.lock().unwrap().clone() {
                return Ok(first);
            }
            let made = self.wallet.create(ask).await?;
            *self.first.lock().unwrap() = Some(made.clone());
            Ok(made)
        })
    }
}
