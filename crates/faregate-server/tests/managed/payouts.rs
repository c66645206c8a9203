//! What is owed, when it is paid, and what becomes of payouts that do not go well.

use std::sync::Arc;

use faregate_core::custody::{CustodyRules, Standing};
use faregate_core::port::Away;
use faregate_devnet::WalletName;
use faregate_devnet::lightning::Fate;
use faregate_ledger::LedgerStore as _;
use faregate_types::Code;
use faregate_types::lightning::{Msat, PaymentHash};

use crate::kit::{World, account, owner};

#[tokio::test]
async fn what_was_received_is_fee_and_owed_and_what_is_owed_is_paid() {
    let world = World::new().await;
    let custody = world.custody();
    let invoice = world.sell(&custody, 2_000).await;
    let hash = invoice.bolt11().payment_hash();
    // Not in the books before somebody looks.
    assert_eq!(world.holds(&account()).await, 0);
    assert_eq!(custody.standing(hash).await, Ok(Standing::Paid));
    assert_eq!(world.holds(&account()).await, 1_994_000);
    assert_eq!(world.holds("operator/fees").await, 6_000);
    world.balances().await;
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.paid_out, report.collected), (1, 0));
    assert_eq!(world.got(), 1_994_000);
    assert_eq!(world.holds(&account()).await, 0);
    // The way cost a satoshi and a ten-thousandth, which the operator pays.
    assert_eq!(world.holds("operator/fees").await, 6_000 - 1_199);
    world.balances().await;
    assert_eq!(custody.sweep().await.unwrap(), <_>::default());
}

#[tokio::test]
async fn small_sums_wait_until_they_are_worth_a_payout() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 60).await;
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.collected, report.paid_out), (1, 0));
    world.sell(&custody, 60).await;
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.collected, report.paid_out), (1, 1));
    assert_eq!(world.got(), 118_000);
    world.balances().await;
}

#[tokio::test]
async fn an_invoice_that_nobody_pays_leaves_nothing_owed() {
    let world = World::new().await;
    let custody = world.custody();
    let amount = Msat::from_sat(500).unwrap();
    let invoice = custody.invoice(&owner(), amount).await.unwrap();
    let hash = invoice.bolt11().payment_hash();
    assert_eq!(custody.standing(hash).await, Ok(Standing::Open));
    world.later(3_601);
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.ended, report.collected), (1, 0));
    assert_eq!(custody.standing(hash).await, Ok(Standing::Ended));
    assert!(world.ledger.open_payments(10).await.unwrap().is_empty());
    world.balances().await;
    let other = PaymentHash::from_bytes([9; 32]);
    assert_eq!(custody.standing(other).await, Ok(Standing::NotOurs));
}

#[tokio::test]
async fn a_payout_that_failed_is_owed_and_made_again_later() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 2_000).await;
    world.net.next_payments([Fate::Fail]);
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.collected, report.failed), (1, 1));
    assert_eq!(world.holds(&account()).await, 1_994_000);
    world.balances().await;
    // It rests, and the time without a payout grows.
    assert_eq!(custody.sweep().await.unwrap(), <_>::default());
    world.later(31);
    world.net.next_payments([Fate::Fail]);
    assert_eq!(custody.sweep().await.unwrap().failed, 1);
    world.later(31);
    assert_eq!(custody.sweep().await.unwrap(), <_>::default());
    world.later(30);
    assert_eq!(custody.sweep().await.unwrap().paid_out, 1);
    assert_eq!(world.got(), 1_994_000);
    world.balances().await;
}

#[tokio::test]
async fn a_payout_on_its_way_is_followed_and_never_sent_again() {
    for settles in [true, false] {
        let world = World::new().await;
        let custody = world.custody();
        world.sell(&custody, 2_000).await;
        world.net.next_payments([Fate::Hold]);
        let wait = tokio::time::timeout(std::time::Duration::from_secs(2), custody.sweep());
        assert!(wait.await.is_err(), "it waits for the payment");
        // Another process takes over. More is owed meanwhile, and waits.
        let custody = world.custody();
        world.sell(&custody, 2_000).await;
        let report = custody.sweep().await.unwrap();
        assert_eq!(
            (report.unknown, report.paid_out, report.collected),
            (1, 0, 1)
        );
        world.later(86_400);
        assert_eq!(custody.sweep().await.unwrap().unknown, 1);
        assert_eq!(world.got(), 0);
        if settles {
            world.net.settle_held();
        } else {
            world.net.fail_held();
        }
        world.later(3_601);
        let report = custody.sweep().await.unwrap();
        // What failed is paid together with the rest.
        let (out, failed) = if settles { (2, 0) } else { (1, 1) };
        assert_eq!(
            (report.paid_out, report.failed),
            (out, failed),
            "{report:?}"
        );
        assert_eq!(world.got(), 2 * 1_994_000);
        world.balances().await;
    }
}

#[tokio::test]
async fn a_payment_whose_answer_was_lost_is_found_paid() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 2_000).await;
    world.net.next_payments([Fate::LoseAnswer]);
    assert_eq!(custody.sweep().await.unwrap().unknown, 1);
    world.later(31);
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.paid_out, report.unknown), (1, 0));
    assert_eq!(world.got(), 1_994_000);
    world.balances().await;
}

#[tokio::test]
async fn an_owner_whose_wallet_is_away_is_paid_when_it_is_back() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 2_000).await;
    let away = Away {
        code: Code::LightningUnavailable,
    };
    let wallet = std::mem::replace(&mut *world.book.wallet.lock().unwrap(), Err(away));
    assert_eq!(custody.sweep().await.unwrap().refused, 1);
    *world.book.wallet.lock().unwrap() = wallet;
    world.later(31);
    assert_eq!(custody.sweep().await.unwrap().paid_out, 1);
    world.balances().await;
}

/// The owner's wallet is the payer's here, whose invoice the operator can pay; then it hands out the same one again.
#[tokio::test]
async fn an_invoice_that_was_paid_before_is_not_paid_again() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 2_000).await;
    let repeated = Arc::new(crate::cut::Repeating::new(
        world.net.wallet(WalletName::Owner),
    ));
    *world.book.wallet.lock().unwrap() = Ok(repeated);
    assert_eq!(custody.sweep().await.unwrap().paid_out, 1);
    world.sell(&custody, 2_000).await;
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.refused, report.paid_out), (1, 0));
    assert_eq!(world.got(), 1_994_000);
    world.balances().await;
}

#[tokio::test]
async fn many_sweeps_at_once_pay_once() {
    let world = World::new().await;
    let custody = world.custody();
    world.sell(&custody, 2_000).await;
    let sweeps = (0..20).map(|_| custody.sweep());
    let reports = futures_util::future::join_all(sweeps).await;
    let paid: u32 = reports
        .into_iter()
        .map(|report| report.unwrap().paid_out)
        .sum();
    assert_eq!((paid, world.got()), (1, 1_994_000));
    world.balances().await;
}

/// An owner whose own node is on the way could earn what the operator loses.
#[tokio::test]
async fn the_way_of_a_payout_costs_no_more_than_its_fee_brought_in() {
    let rules = CustodyRules::default();
    for sat in [1_000, 1_003, 50_000, 999_999] {
        let gross = Msat::from_sat(sat).unwrap();
        let split = rules.fee.split(gross).unwrap();
        assert!(rules.routing_max.fee(split.share).unwrap() <= split.fee);
    }
    // A way that costs more is not taken.
    let world = World::new().await;
    let rules = CustodyRules {
        payout_min: Msat::new(100_000),
        ..CustodyRules::default()
    };
    let custody = world.custody_with(rules);
    world.sell(&custody, 200).await;
    let report = custody.sweep().await.unwrap();
    assert_eq!((report.paid_out, report.failed), (0, 1));
    world.balances().await;
}
