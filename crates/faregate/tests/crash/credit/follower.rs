//! What happens on the chain while no core runs, killed on its way into the books: in them once, with all it frees, or not at
//! all and then the next time.

use faregate_core::crash::CREDIT_FOLLOWER;
use faregate_core::credit::{Cursor, PaymentStage, Settlement, TabPayment};
use faregate_types::credit::Certificate;

use super::*;

/// What the books say.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    cursor: Option<Cursor>,
    tokens: Collateral,
    ether: Collateral,
    /// Of the tab for tokens and of the one for ETH: paid, paid from collateral, expired.
    tabs: Vec<(U256, U256, bool)>,
    payments: usize,
}

struct Follows {
    town: Town,
    tabs: Vec<TabId>,
}

impl Follows {
    async fn told(&self) -> Told {
        let (books, payer) = (self.town.books().await, self.town.payer.address());
        let mut tabs = Vec::new();
        for id in &self.tabs {
            let tab = tab_of(&books, *id).await;
            tabs.push((tab.paid, tab.remunerated, tab.expired));
        }
        let payments = books.payments_to(self.town.recipient.address(), ALL);
        Told {
            cursor: books.cursor().await.unwrap(),
            tokens: collateral(&books, payer, self.town.chain.usdc()).await,
            ether: collateral(&books, payer, ETH).await,
            tabs,
            payments: payments.await.unwrap().len(),
        }
    }

    /// Something has happened: cores that end at each place in turn, then one that lives.
    async fn killed(&self, what: &str) -> (Told, Child) {
        let before = self.told().await;
        let mut after = None;
        for point in CREDIT_FOLLOWER {
            let case = format!("{what}, {}", point.name());
            self.town.ends_at(point, &case).await;
            let told = self.told().await;
            match point {
                Point::PartRead | Point::PartWritten => assert_eq!(told, before, "{case}"),
                Point::PartEntered => {
                    assert_ne!(told.cursor, before.cursor, "{case}");
                    after = Some(told);
                }
                _ => panic!("{case}: what has to be true there?"),
            }
        }
        (after.unwrap(), self.town.start(None).await)
    }

    /// The tab of a core that runs, with a guarantee on it; and its certificate.
    async fn guaranteed(&mut self, asset: Address, amount: u64) -> Certificate {
        let tab = self.town.tab(asset).await;
        self.tabs.push(tab);
        let request = self.town.signed(tab, 0, asset, amount).await;
        let about = self.town.recipient.recipient();
        let issued = about.issue_payment_guarantee(&request).await.unwrap();
        issued.certificate
    }
}

fn amounts(of: &Collateral) -> (u64, u64, u64) {
    (of.total.to(), of.locked.to(), of.withdrawing.to())
}

async fn deposits(follows: &mut Follows) {
    let (town, token) = (&follows.town, follows.town.chain.usdc());
    town.deposit(token, 1_000).await;
    town.deposit(ETH, 500).await;
    let asked = town.payer.user();
    let asked = asked.request_withdrawal(token, U256::from(100));
    asked.await.unwrap();
    let (told, mut core) = follows.killed("deposits").await;
    assert_eq!(amounts(&told.tokens), (1_000, 0, 100));
    assert_eq!(amounts(&told.ether), (500, 0, 0));
    core.kill().await.unwrap();
}

/// The certificate of what is not paid.
async fn payments(follows: &mut Follows) -> Certificate {
    let token = follows.town.chain.usdc();
    let mut core = follows.town.start(None).await;
    follows.guaranteed(token, 300).await;
    let certificate = follows.guaranteed(ETH, 50).await;
    core.kill().await.unwrap();
    let town = &follows.town;
    town.pay(follows.tabs[0], token, 300).await;
    town.pay(follows.tabs[1], ETH, 20).await;
    let (told, mut core) = follows.killed("payments").await;
    // They are known, and free nothing before the contract knows them too.
    assert_eq!((told.payments, told.tokens.locked.to()), (2, 300_u64));
    town.balance(token, (1_000, 0), "payments").await;
    town.balance(ETH, (500, 30), "payments").await;
    core.kill().await.unwrap();
    let books = town.books().await;
    let found = books.payments_to(town.recipient.address(), ALL);
    let found = found.await.unwrap();
    let is_recorded = |payment: &TabPayment| matches!(payment.stage, PaymentStage::Recorded(_));
    assert!(
        found.len() == 2 && found.iter().all(is_recorded),
        "{found:?}"
    );
    certificate
}

async fn a_remuneration(follows: &mut Follows, certificate: Certificate) {
    follows.town.pass(TIMING.remuneration_grace + 1).await;
    let about = follows.town.recipient.recipient();
    about.remunerate(&certificate).await.unwrap();
    let (told, mut core) = follows.killed("a remuneration").await;
    assert_eq!(amounts(&told.ether), (470, 0, 0));
    assert_eq!(told.tabs[1], (U256::from(20), U256::from(30), false));
    core.kill().await.unwrap();
}

async fn the_end_of_a_certificate(follows: &mut Follows) {
    let mut core = follows.town.start(None).await;
    follows.guaranteed(follows.town.chain.usdc(), 200).await;
    assert_ne!(follows.tabs[2], follows.tabs[0], "the first one is paid");
    core.kill().await.unwrap();
    assert_eq!(amounts(&follows.told().await.tokens), (1_000, 200, 100));
    follows.town.pass(TIMING.tab_expiration + 1).await;
    let (told, mut core) = follows.killed("the end of a certificate").await;
    assert_eq!(amounts(&told.tokens), (1_000, 0, 100));
    assert_eq!(told.tabs[2], (U256::ZERO, U256::ZERO, true));
    core.kill().await.unwrap();
}

async fn a_withdrawal(follows: &mut Follows) {
    let (town, token) = (&follows.town, follows.town.chain.usdc());
    town.pass(TIMING.withdrawal_grace).await;
    let user = town.payer.user();
    user.finalize_withdrawal(token).await.unwrap();
    let (told, mut core) = follows.killed("a withdrawal").await;
    assert_eq!(amounts(&told.tokens), (900, 0, 0));
    town.balance(token, (900, 0), "a withdrawal").await;
    core.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_entered_once() {
    let mut follows = Follows {
        town: Town::new().await,
        tabs: Vec::new(),
    };
    deposits(&mut follows).await;
    let certificate = payments(&mut follows).await;
    a_remuneration(&mut follows, certificate).await;
    the_end_of_a_certificate(&mut follows).await;
    a_withdrawal(&mut follows).await;

    let books = follows.town.books().await;
    let ends = [
        (EntryKind::Unlock, Settlement::Settled),
        (EntryKind::Remunerate, Settlement::Remunerated),
        (EntryKind::CancelReserve, Settlement::Failed),
    ];
    assert_eq!(follows.tabs.len(), ends.len());
    for (tab, (kind, settlement)) in follows.tabs.iter().zip(ends) {
        assert_eq!(lines(&books, *tab, EntryKind::Reserve).await, 1);
        assert_eq!(lines(&books, *tab, kind).await, 1, "{kind:?}");
        assert_eq!(tab_of(&books, *tab).await.settlement(), settlement);
    }
    drop(books);
    follows.town.agrees().await;
}
