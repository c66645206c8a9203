//! Whoever redeems what a gate is owed, killed at each place: the next one finds what was sent, and nothing is redeemed twice or
//! forgotten.

use std::time::Duration;

use faregate_core::crash::{Point, REDEEMER};
use faregate_core::port::{HeldTabStore as _, RedemptionEnd};
use faregate_types::ChainId;
use tokio::time::{sleep, timeout};

use crate::{SIGNER, SOON, held, launch};

const COMMAND: &str = "credit-remunerate";

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_every_tab_is_redeemed_once() {
    for point in REDEEMER {
        let case = point.name();
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let chain = held::chain(1_000).await;
        held::file(folder, &chain, "credit-remunerate.toml");
        held::hold(folder, &chain, 1, 30).await;
        held::pass(&chain, held::GRACE).await;
        let mut killed = launch(COMMAND, folder, Some(point));
        let status = timeout(SOON, killed.wait()).await.unwrap().unwrap();
        assert!(!status.success(), "{case}: it came to its end");
        let noted = held::books(folder)
            .redemptions(ChainId::BASE_SEPOLIA, 9)
            .await;
        let noted = noted.unwrap();
        let is_open = !matches!(point, Point::RedeemSigned | Point::RedeemEntered);
        assert_eq!(noted.len(), usize::from(is_open), "{case}");
        let was_sent = !matches!(point, Point::RedeemSigned | Point::RedeemNoted);
        assert_eq!(
            held::sent_by(&chain, SIGNER).await,
            u64::from(was_sent),
            "{case}"
        );
        // Before that a transaction that no node knows may still come.
        sleep(Duration::from_millis(2_100)).await;
        for _ in 0..2 {
            let mut next = launch(COMMAND, folder, None);
            let status = timeout(SOON, next.wait()).await.unwrap().unwrap();
            assert!(status.success(), "{case}");
        }
        assert_eq!(held::sent_by(&chain, SIGNER).await, 1, "{case}");
        assert_eq!(held::till(&chain).await, 30, "{case}");
        let books = held::books(folder);
        let sums = books.held_sums().await.unwrap();
        assert_eq!(sums[0].shares.redeemed, sums[0].promised, "{case}");
        let open = books.redemptions(ChainId::BASE_SEPOLIA, 9).await;
        assert_eq!(open, Ok(vec![]), "{case}");
        if let Some(first) = noted.first() {
            let paid_by = books.paid_by(first.key).await.unwrap().unwrap();
            let same = paid_by == first.transaction;
            assert!(same || !was_sent, "{case}: found, and not sent twice");
            // Its end is known, so it stays.
            let again = books.redeemed(first.key, first.transaction, RedemptionEnd::Reverted);
            again.await.unwrap();
            assert_eq!(books.paid_by(first.key).await, Ok(Some(paid_by)), "{case}");
        }
    }
}
