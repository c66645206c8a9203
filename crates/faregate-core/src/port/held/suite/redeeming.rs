//! What becomes of tabs: listed, redeemed, paid, lost, counted.

use alloy_primitives::{B256, U256};
use faregate_ledger::StoreError;
use faregate_ledger::suite::Bench;
use faregate_types::{Amount, ChainId, Erc20, PaymentId};

use super::kit::{CHAIN, address, asset, at, held, money, payer};
use crate::port::{
    HeldCertificate, HeldPage, HeldSums, HeldTab, HeldTabKey, HeldTabStore, Redemption,
    RedemptionEnd, Shares, Standing,
};

fn key(tab: u64) -> HeldTabKey {
    held(tab, 0).tab_key()
}

fn hash(number: u8) -> B256 {
    B256::repeat_byte(number)
}

async fn keep<S: HeldTabStore>(store: &S, all: impl IntoIterator<Item = HeldCertificate>) {
    for held in all {
        store.keep(held).await.unwrap();
    }
}

async fn tab<S: HeldTabStore>(store: &S, number: u64) -> HeldTab {
    store.held_tab(key(number)).await.unwrap().unwrap()
}

async fn open<S: HeldTabStore>(store: &S) -> Vec<U256> {
    let tabs = store.open_tabs(CHAIN, HeldPage::first(1_000)).await;
    tabs.unwrap().iter().map(|tab| tab.key.tab).collect()
}

fn paid(units: u64) -> Standing {
    Standing {
        paid: money(units),
        ..Standing::default()
    }
}

/// In whatever order certificates come, a tab is worth its largest total.
pub async fn a_tab_is_worth_its_largest_certificate<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.held_tab(key(1)).await, Ok(None));
    assert_eq!(store.certificates_of(key(1), 10).await, Ok(vec![]));
    keep(store, [3, 11, 0, 7].map(|req| held(1, req))).await;
    let found = tab(store, 1).await;
    let expected = HeldTab {
        certificates: 4,
        total: money(120),
        promised_at: at(11),
        first_promised_at: at(0),
        changed_at: at(8),
        ..HeldTab::of(&held(1, 3)).unwrap()
    };
    assert_eq!(found, expected);
    // 120 comes before 80, whatever their first digits.
    let largest = store.certificates_of(key(1), 3).await;
    assert_eq!(largest, Ok(vec![held(1, 11), held(1, 7), held(1, 3)]));
}

/// The nearest deadline first, page by page, on one chain, without those that have ended.
pub async fn open_tabs_are_in_the_order_of_their_deadlines<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, secs) in [(1, 50), (2, 10), (3, 50), (4, 30), (5, 20)] {
        let one = HeldCertificate {
            promised_at: at(secs),
            ..held(number, 0)
        };
        keep(store, [one]).await;
    }
    let other = ChainId::BASE;
    let elsewhere = HeldCertificate {
        chain: other,
        amount: Amount::new(money(10), Erc20::new(other, asset(1).token())),
        ..held(6, 0)
    };
    keep(store, [elsewhere]).await;
    assert_eq!(open(store).await, [2, 5, 4, 1, 3].map(money));
    let mut pages = Vec::new();
    let mut page = HeldPage::first(2);
    loop {
        let tabs = store.open_tabs(CHAIN, page).await.unwrap();
        let Some(last) = tabs.last() else { break };
        page = HeldPage::after(last, 2);
        pages.push(tabs.len());
    }
    assert_eq!(pages, [2, 2, 1]);
    store.stand(key(4), paid(10), at(60)).await.unwrap();
    assert_eq!(open(store).await, [2, 5, 1, 3].map(money));
    let there = store.open_tabs(other, HeldPage::first(9)).await.unwrap();
    assert_eq!(there.len(), 1);
    // A younger certificate moves its tab.
    keep(
        store,
        [HeldCertificate {
            promised_at: at(90),
            ..held(2, 1)
        }],
    )
    .await;
    assert_eq!(open(store).await, [5, 1, 3, 2].map(money));
}

/// What was paid and what was redeemed add up to an end, and never shrink.
pub async fn a_tab_ends_when_it_is_covered<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let nobody = store.stand(key(1), paid(1), at(9)).await;
    assert_eq!(nobody, Err(StoreError::NotFound));
    keep(store, [held(1, 0), held(1, 1), held(1, 2)]).await;
    let owed = || store.owed(payer(1), "/joke", asset(1));
    let some = store.stand(key(1), paid(12), at(10)).await.unwrap();
    assert_eq!((some.shares().owed, some.has_ended()), (money(18), false));
    assert_eq!((owed().await, some.changed_at), (Ok(money(30)), at(10)));
    let less = store.stand(key(1), paid(3), at(11)).await.unwrap();
    assert_eq!(less, some, "an older word changes nothing");
    let rest = Standing {
        paid: money(12),
        redeemed: money(18),
        over: None,
    };
    let all = store.stand(key(1), rest, at(12)).await.unwrap();
    let shares = Shares {
        redeemed: money(18),
        repaid: money(12),
        ..Shares::default()
    };
    assert_eq!((all.shares(), all.has_ended()), (shares, true));
    assert_eq!((owed().await, open(store).await), (Ok(money(0)), vec![]));
    assert_eq!(tab(store, 1).await, all);
    // One more certificate, and it is open again.
    keep(store, [held(1, 3)]).await;
    assert_eq!(tab(store, 1).await.shares().owed, money(10));
    assert_eq!(
        (owed().await, open(store).await),
        (Ok(money(40)), vec![money(1)])
    );
}

/// What nobody paid in time is lost, unless there is a younger certificate.
pub async fn a_tab_is_over_for_what_it_was_then<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    keep(store, [held(1, 0), held(1, 1)]).await;
    let over = |total| Standing {
        over: Some(money(total)),
        ..paid(5)
    };
    let grown = store.stand(key(1), over(10), at(20)).await.unwrap();
    assert_eq!(
        grown.shares().owed,
        money(15),
        "it was said of a smaller tab"
    );
    let lost = store.stand(key(1), over(20), at(21)).await.unwrap();
    let shares = Shares {
        repaid: money(5),
        lost: money(15),
        ..Shares::default()
    };
    assert_eq!((lost.shares(), lost.has_ended()), (shares, true));
    assert_eq!(store.owed(payer(1), "/joke", asset(1)).await, Ok(money(0)));
    let still = store.stand(key(1), paid(5), at(22)).await.unwrap();
    assert!(still.is_over && open(store).await.is_empty());
    keep(store, [held(1, 2)]).await;
    assert_eq!(tab(store, 1).await.shares().owed, money(25));
    assert_eq!(open(store).await, [money(1)]);
}

/// A transaction is known from before it leaves until its end, once.
pub async fn a_redemption_is_open_until_it_ends<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    keep(store, [held(1, 0), held(2, 0)]).await;
    let redemption = |tab, number, secs| Redemption {
        key: key(tab),
        transaction: hash(number),
        at: at(secs),
    };
    let unknown = store.redeeming(redemption(3, 1, 0)).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
    let all = [
        redemption(1, 9, 5),
        redemption(2, 1, 6),
        redemption(1, 2, 7),
    ];
    for one in all {
        store.redeeming(one).await.unwrap();
    }
    store.redeeming(redemption(1, 9, 8)).await.unwrap();
    assert_eq!(store.redemptions(CHAIN, 9).await, Ok(all.to_vec()));
    assert_eq!(store.redemptions(CHAIN, 1).await, Ok(vec![all[0]]));
    assert_eq!(store.redemptions(ChainId::BASE, 9).await, Ok(vec![]));
    let end = |tab, number, end| store.redeemed(key(tab), hash(number), end);
    end(1, 9, RedemptionEnd::GivenUp).await.unwrap();
    end(1, 2, RedemptionEnd::Mined).await.unwrap();
    end(1, 2, RedemptionEnd::Reverted).await.unwrap();
    let unknown = end(2, 2, RedemptionEnd::Mined).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
    assert_eq!(store.redemptions(CHAIN, 9).await, Ok(vec![all[1]]));
    assert_eq!(store.paid_by(key(1)).await, Ok(Some(hash(2))));
    // The same bytes are sent again, and mined this time.
    store.redeeming(redemption(1, 2, 8)).await.unwrap();
    store.redeeming(redemption(1, 9, 8)).await.unwrap();
    let open = store.redemptions(CHAIN, 9).await.unwrap();
    assert_eq!(open, [redemption(1, 9, 8), all[1]]);
    end(1, 9, RedemptionEnd::GivenUp).await.unwrap();
    end(1, 9, RedemptionEnd::Reverted).await.unwrap();
    end(1, 9, RedemptionEnd::Mined).await.unwrap();
    assert_eq!(store.redemptions(CHAIN, 9).await, Ok(vec![all[1]]));
    assert_eq!(store.paid_by(key(1)).await, Ok(Some(hash(2))));
    end(2, 1, RedemptionEnd::Reverted).await.unwrap();
    assert_eq!(store.redemptions(CHAIN, 9).await, Ok(vec![]));
    assert_eq!(store.paid_by(key(2)).await, Ok(None));
    assert_eq!(store.paid_by(key(3)).await, Ok(None));
}

/// By asset, with what was promised divided into its four parts.
pub async fn what_is_held_is_counted_by_asset<S: HeldTabStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.held_sums().await, Ok(vec![]));
    let ether = HeldCertificate {
        amount: Amount::new(money(10), asset(0)),
        recipient: address(0xbbbb_0002),
        ..held(4, 0)
    };
    keep(store, [held(1, 0), held(2, 4), held(3, 0), ether]).await;
    store.stand(key(1), paid(99), at(9)).await.unwrap();
    let lost = Standing {
        redeemed: money(20),
        over: Some(money(50)),
        ..paid(10)
    };
    store.stand(key(2), lost, at(9)).await.unwrap();
    let sums = |asset, open, ended, promised, [redeemed, repaid, lost, owed]: [u64; 4]| HeldSums {
        asset,
        open,
        ended,
        promised: money(promised),
        shares: Shares {
            redeemed: money(redeemed),
            repaid: money(repaid),
            lost: money(lost),
            owed: money(owed),
        },
    };
    let expected = vec![
        sums(asset(0), 1, 0, 10, [0, 0, 0, 10]),
        sums(asset(1), 1, 2, 70, [20, 20, 20, 10]),
    ];
    assert_eq!(store.held_sums().await, Ok(expected));
}

/// While a tab is looked at it goes on being used: nothing of either is lost.
pub async fn a_crowd_keeps_and_redeems_at_once<S: HeldTabStore>(bench: &Bench<S>) {
    keep(&*bench.store, [held(1, 0)]).await;
    let all: Vec<u64> = (0..64).collect();
    let done = bench
        .crowd(all, |store, number| {
            Box::pin(async move {
                if number < 32 {
                    store.keep(held(1, number)).await.unwrap();
                } else {
                    let standing = Standing {
                        paid: money(number),
                        redeemed: money(100 - number),
                        over: Some(money(10)),
                    };
                    store.stand(key(1), standing, at(number)).await.unwrap();
                }
            })
        })
        .await;
    assert_eq!(done.len(), 64);
    let store = &*bench.store;
    let found = tab(store, 1).await;
    assert_eq!((found.certificates, found.total), (32, money(320)));
    assert_eq!((found.paid, found.redeemed), (money(63), money(68)));
    assert!(!found.is_over && !found.has_ended());
    assert_eq!(
        store.owed(payer(1), "/joke", asset(1)).await,
        Ok(money(320))
    );
    let payment = PaymentId::from_bytes([3; 32]);
    assert_eq!(store.certificate(payment).await, Ok(None));
}
