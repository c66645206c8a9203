//! Both engines list accounts the same way.

use faregate_ledger::{AccountId, AccountStore, Claim, Step, Transfer};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{AssetId, Fingerprint, PaymentId, RailName, Timestamp};

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

async fn lists_accounts_of_a_role(store: &dyn AccountStore) {
    let network = BitcoinNetwork::Regtest;
    let credits = [
        "owner/b", "owner/a", "owner/c", "owner0/x", "ownes/x", "own/x", "owner/a",
    ];
    for (number, credit) in credits.into_iter().enumerate() {
        let id = [u8::try_from(number).unwrap(); 32];
        let claim = Claim {
            id: PaymentId::from_bytes(id),
            rail: RailName::MANAGED,
            fingerprint: Fingerprint::from_bytes(id),
            transfer: Transfer {
                debit: account("lightning/wallet"),
                credit: account(credit),
                amount: Msat::new(5).on(network),
            },
            route: "share".into(),
            evidence: Vec::new(),
            at: Timestamp::from_secs(1),
            exposure_max: None,
            funds: None,
            idempotency: None,
        };
        store.claim(claim).await.unwrap();
        let settle = Step::Settle { transaction: None };
        let at = Timestamp::from_secs(2);
        store
            .advance(PaymentId::from_bytes(id), settle, at)
            .await
            .unwrap();
    }
    let list = async |role: &str, network, after: Option<&str>, limit| {
        let after = after.map(account);
        let asset = AssetId::Msat(network);
        let page = store
            .accounts(role.into(), asset, after, limit)
            .await
            .unwrap();
        let one = |(name, sums): (AccountId, faregate_ledger::Balance)| {
            (
                name.to_string(),
                u64::try_from(sums.credits_posted).unwrap(),
            )
        };
        page.into_iter().map(one).collect::<Vec<_>>()
    };
    let [a, b, c] =
        [("owner/a", 10), ("owner/b", 5), ("owner/c", 5)].map(|(name, sum)| (name.to_owned(), sum));
    assert_eq!(
        list("owner", network, None, 9).await,
        [a.clone(), b.clone(), c.clone()]
    );
    assert_eq!(list("owner", network, None, 2).await, [a, b.clone()]);
    assert_eq!(list("owner", network, Some("owner/a"), 9).await, [b, c]);
    assert_eq!(list("owner", network, Some("owner/c"), 9).await, []);
    assert_eq!(list("owner", network, Some("zz/z"), 9).await, []);
    assert_eq!(list("nobody", network, None, 9).await, []);
    assert_eq!(list("owner", BitcoinNetwork::Signet, None, 9).await, []);
}

#[tokio::test]
async fn in_memory() {
    lists_accounts_of_a_role(&MemoryLedger::new()).await;
}

#[tokio::test]
async fn on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    lists_accounts_of_a_role(&ledger).await;
}
