//! The network, through the traits everybody uses.

use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::lightning::{
    InvoiceAsk, InvoiceState, PayOrder, PayOutcome, Receiver, Sender,
};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat};
use faregate_types::{Code, Timestamp};
use futures_util::StreamExt as _;
use lightning_invoice::Bolt11Invoice;
use proptest::prelude::*;

use super::devlightning::Core;
use super::net::{Fate, WalletName};
use super::{DevWallet, LightningConfig};
use crate::chain::{Clock as _, FixedClock};

const NOW: u64 = 1_800_000_000;
const SAT: u64 = 1_000;

struct World {
    core: Arc<Core>,
    clock: Arc<FixedClock>,
    shop: Receiver,
    payer: Sender,
}

fn world() -> World {
    let clock = Arc::new(FixedClock::at(NOW));
    let config = LightningConfig {
        seed: Some([7; 32]),
        clock: clock.clone(),
        ..LightningConfig::default()
    };
    let core = Arc::new(Core::new(config).unwrap());
    let time = clock.clone();
    let now = Arc::new(move || Timestamp::from_secs(time.now_secs()));
    let wallet = |name| Arc::new(DevWallet::new(core.clone(), name));
    let regtest = BitcoinNetwork::Regtest;
    World {
        shop: Receiver::new(wallet(WalletName::Seller), regtest, now.clone()),
        payer: Sender::new(wallet(WalletName::Payer), regtest, now).unwrap(),
        core,
        clock,
    }
}

impl World {
    async fn invoice(&self, msat: u64) -> faregate_core::port::lightning::Invoice {
        let ask = InvoiceAsk {
            amount: Msat::new(msat),
            description: "a joke".into(),
            expiry_secs: 600,
        };
        self.shop.create(&ask).await.unwrap()
    }

    async fn pay(&self, invoice: &Bolt11) -> PayOutcome {
        self.payer.pay(&order(invoice, 10 * SAT)).await
    }

    fn balance(&self, wallet: WalletName) -> u64 {
        self.core.net().funds(wallet).balance.get()
    }
}

fn order(invoice: &Bolt11, fee_max: u64) -> PayOrder {
    PayOrder {
        invoice: invoice.clone(),
        fee_max: Msat::new(fee_max),
        time_limit: Duration::from_millis(50),
    }
}

fn code(outcome: &PayOutcome) -> (&'static str, Option<Code>) {
    match outcome {
        PayOutcome::Paid(_) => ("paid", None),
        PayOutcome::Failed(refusal) => ("failed", Some(refusal.code)),
        PayOutcome::Refused(refusal) => ("refused", Some(refusal.code)),
        PayOutcome::Unknown(code) => ("unknown", Some(*code)),
    }
}

#[tokio::test]
async fn an_invoice_is_one_that_strict_wallets_take() {
    let world = world();
    let invoice = world.invoice(10 * SAT).await;
    let strict: Bolt11Invoice = invoice.bolt11().as_str().parse().unwrap();
    assert!(strict.features().unwrap().requires_payment_secret());
    assert_eq!(strict.amount_milli_satoshis(), Some(10 * SAT));
    assert!(invoice.bolt11().warnings().is_empty());
    assert!(invoice.bolt11().as_str().starts_with("lnbcrt"));
    assert_eq!(
        invoice.bolt11().expires_at(),
        Timestamp::from_secs(NOW + 600)
    );
    let node = world.core.node(WalletName::Seller);
    assert_eq!(invoice.bolt11().payee().as_bytes(), node);
}

#[tokio::test]
async fn a_payment_moves_the_amount_and_the_fee_and_gives_the_preimage() {
    let world = world();
    let before = world.core.net().total();
    let invoice = world.invoice(10 * SAT).await;
    assert_eq!(
        world.shop.look_up(&invoice.wanted()).await,
        Ok(InvoiceState::Open)
    );
    let mut heard = world.shop.settled().await.unwrap();
    let PayOutcome::Paid(paid) = world.pay(invoice.bolt11()).await else {
        panic!("not paid");
    };
    assert_eq!(paid.preimage.hash(), invoice.bolt11().payment_hash());
    // One satoshi and a ten-thousandth.
    assert_eq!(paid.fee, Some(Msat::new(1_001)));
    assert_eq!(world.balance(WalletName::Payer), 1_000_000_000 - 11_001);
    assert_eq!(world.balance(WalletName::Seller), 1_000_000_000 + 10_000);
    assert_eq!(world.core.net().total(), before);
    let amount = Some(Msat::new(10 * SAT));
    let state = world.shop.look_up(&invoice.wanted()).await;
    assert_eq!(state, Ok(InvoiceState::Paid { amount }));
    let event = heard.next().await.unwrap().unwrap();
    assert_eq!(event.payment_hash, invoice.bolt11().payment_hash());
}

#[tokio::test]
async fn what_cannot_be_paid_fails_and_costs_nothing() {
    let world = world();
    let dear = world.invoice(1_000_000_001).await;
    let late = world.invoice(SAT).await;
    let cancelled = world.invoice(SAT).await;
    assert!(
        world
            .core
            .net()
            .cancel(WalletName::Seller, &cancelled.bolt11().payment_hash())
    );
    let state = world.shop.look_up(&cancelled.wanted()).await;
    assert_eq!(state, Ok(InvoiceState::Cancelled));
    let cheap = world.invoice(SAT).await;

    let outcome = world.pay(dear.bolt11()).await;
    assert_eq!(code(&outcome), ("failed", Some(Code::InsufficientFunds)));
    let outcome = world.pay(cancelled.bolt11()).await;
    assert_eq!(
        code(&outcome),
        ("failed", Some(Code::LightningPaymentFailed))
    );
    let outcome = world.payer.pay(&order(cheap.bolt11(), 999)).await;
    assert_eq!(code(&outcome), ("failed", Some(Code::LightningNoRoute)));
    world.core.net().line_up([Fate::Fail]);
    let outcome = world.pay(cheap.bolt11()).await;
    assert_eq!(code(&outcome), ("failed", Some(Code::LightningNoRoute)));
    world.clock.set(NOW + 600);
    let outcome = world.pay(late.bolt11()).await;
    assert_eq!(code(&outcome), ("refused", Some(Code::InvoiceExpired)));
    let state = world.shop.look_up(&late.wanted()).await;
    assert_eq!(state, Ok(InvoiceState::Expired));
    assert_eq!(world.balance(WalletName::Payer), 1_000_000_000);
}

#[tokio::test]
async fn paying_twice_pays_once_and_says_the_same() {
    let world = world();
    let invoice = world.invoice(SAT).await;
    let first = world.pay(invoice.bolt11()).await;
    let balance = world.balance(WalletName::Payer);
    let second = world.pay(invoice.bolt11()).await;
    assert_eq!(first, second);
    assert_eq!(world.balance(WalletName::Payer), balance);
}

#[tokio::test]
async fn a_held_payment_is_unknown_until_it_ends() {
    for settles in [true, false] {
        let world = world();
        let before = world.core.net().total();
        let invoice = world.invoice(SAT).await;
        world.core.net().line_up([Fate::Hold]);
        let pending = ("unknown", Some(Code::LightningPaymentPending));
        assert_eq!(code(&world.pay(invoice.bolt11()).await), pending);
        assert_eq!(code(&world.pay(invoice.bolt11()).await), pending);
        assert_eq!(code(&world.payer.track(invoice.bolt11()).await), pending);
        assert_eq!(world.core.net().total(), before);
        assert!(world.balance(WalletName::Payer) < 1_000_000_000);

        let settled = world.core.net().release(settles, NOW);
        assert_eq!(settled.len(), usize::from(settles));
        let outcome = world.payer.track(invoice.bolt11()).await;
        if settles {
            assert_eq!(code(&outcome).0, "paid");
        } else {
            assert_eq!(code(&outcome), ("failed", Some(Code::LightningNoRoute)));
            assert_eq!(world.balance(WalletName::Payer), 1_000_000_000);
            assert_eq!(code(&world.pay(invoice.bolt11()).await).0, "paid");
        }
        assert_eq!(world.core.net().total(), before);
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_tracking() {
    let world = world();
    let invoice = world.invoice(SAT).await;
    world.core.net().line_up([Fate::LoseAnswer]);
    let outcome = world.pay(invoice.bolt11()).await;
    assert_eq!(
        code(&outcome),
        ("unknown", Some(Code::LightningUnavailable))
    );
    assert_eq!(code(&world.payer.track(invoice.bolt11()).await).0, "paid");
}

#[tokio::test]
async fn a_payment_that_never_arrived_fails_only_long_after_its_invoice_expired() {
    let world = world();
    let invoice = world.invoice(SAT).await;
    let unknown = ("unknown", Some(Code::LightningPaymentNotFound));
    assert_eq!(code(&world.payer.track(invoice.bolt11()).await), unknown);
    world.clock.set(NOW + 600 + 599);
    assert_eq!(code(&world.payer.track(invoice.bolt11()).await), unknown);
    world.clock.set(NOW + 600 + 600);
    let outcome = world.payer.track(invoice.bolt11()).await;
    assert_eq!(code(&outcome), ("failed", Some(Code::InvoiceExpired)));
}

#[tokio::test]
async fn a_wallet_does_not_pay_itself() {
    let world = world();
    let invoice = world.invoice(SAT).await;
    let wallet = Arc::new(DevWallet::new(world.core.clone(), WalletName::Seller));
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    let seller = Sender::new(wallet, BitcoinNetwork::Regtest, clock).unwrap();
    let outcome = seller.pay(&order(invoice.bolt11(), SAT)).await;
    assert_eq!(code(&outcome), ("refused", Some(Code::InvoiceUnusable)));
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Settle),
        Just(Fate::Hold),
        Just(Fate::Fail),
        Just(Fate::LoseAnswer)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn money_is_neither_made_nor_lost(
        steps in prop::collection::vec((fate(), 1_u64..400_000_000, 0_u8..4), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world();
            let before = world.core.net().total();
            let mut last = None;
            for (fate, msat, action) in steps {
                match (action, &last) {
                    (0, _) => drop(world.core.net().release(true, NOW)),
                    (1, _) => drop(world.core.net().release(false, NOW)),
                    (2, Some(invoice)) => {
                        let invoice: &Bolt11 = invoice;
                        let again = PayOrder { time_limit: Duration::ZERO, ..order(invoice, u64::MAX) };
                        drop(world.payer.pay(&again).await);
                    }
                    _ => {
                        world.core.net().line_up([fate]);
                        let invoice = world.invoice(msat).await;
                        let first = PayOrder { time_limit: Duration::ZERO, ..order(invoice.bolt11(), u64::MAX) };
                        drop(world.payer.pay(&first).await);
                        last = Some(invoice.bolt11().clone());
                    }
                }
                assert_eq!(world.core.net().total(), before);
            }
        });
    }
}
