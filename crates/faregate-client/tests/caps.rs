//! Caps hold: under concurrency, across restarts and processes, and against servers that refuse what they got.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use common::{
    NOW, PAYEE, ask_v2, builder, caps, cents, client, honest, memory, offer_v2, seller, served,
};
use faregate_client::{
    Caps, Client, Kind, PayError, PayeeChanges, Period, Quote, SpendState, WalletStore, Worth,
};
use faregate_ledger::{
    CapRefusal, KeptToken, KnownTerms, Reserved, Signed, Spend, SpendEnd, SpendRecord, StoreError,
    TermsRule, Unit, Usage,
};
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{AssetId, Code, PaymentId, Timestamp};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;

fn per_host(cap: Worth) -> Caps {
    Caps {
        total: None,
        per_host: Some(cap),
        ..caps()
    }
}

fn per_day(cap: Worth) -> Caps {
    let secs = 86_400;
    Caps {
        per_period: Some(Period { secs, cap }),
        ..caps()
    }
}

fn open(path: &Path, caps: Caps) -> Client {
    let store = Arc::new(SqliteWallet::open(path).unwrap());
    builder().store(store).caps(caps).build().unwrap()
}

/// How many requests of `count` at once were paid; the others have to be refused by `refusal`.
async fn paid_of(client: &Client, url: &str, count: usize, refusal: CapRefusal) -> usize {
    let requests = (0..count).map(|_| client.get(url).send());
    let mut paid = 0;
    for result in join_all(requests).await {
        match result {
            Ok(answer) => paid += usize::from(answer.payment.is_some()),
            Err(PayError::Cap(cap)) => assert_eq!(cap, refusal),
            Err(other) => panic!("{other}"),
        }
    }
    paid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_stay_below_the_cap() {
    for (caps, refusal) in [
        (per_host(cents(25)), CapRefusal::Host),
        (per_day(cents(25)), CapRefusal::Period),
    ] {
        let seller = honest().await;
        let store = memory();
        let client = builder().store(store.clone()).caps(caps).build().unwrap();
        let paid = paid_of(&client, &seller.url("/joke"), 64, refusal).await;
        assert_eq!(paid, 25);
        let payments = seller.payments();
        let different: BTreeSet<&String> = payments.iter().collect();
        assert_eq!((payments.len(), different.len()), (25, 25));
        assert_eq!(store.recent_spends(99).await.unwrap().len(), 25);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clients_on_one_file_share_their_caps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let seller = honest().await;
    let clients = [
        open(&path, per_host(cents(9))),
        open(&path, per_host(cents(9))),
    ];
    let (a, b) = (seller.url("/a"), seller.url("/b"));
    let (first, second) = tokio::join!(
        paid_of(&clients[0], &a, 16, CapRefusal::Host),
        paid_of(&clients[1], &b, 16, CapRefusal::Host)
    );
    assert_eq!(first + second, 9);
    assert_eq!(seller.payments().len(), 9);
}

#[tokio::test]
async fn caps_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let seller = honest().await;
    let url = seller.url("/");
    for (caps, code) in [
        (per_host(cents(2)), Code::OverHostCap),
        (per_day(cents(2)), Code::OverPeriodCap),
    ] {
        if seller.payments().is_empty() {
            for _ in 0..2 {
                assert!(open(&path, caps).get(&url).send().await.is_ok());
            }
        }
        let error = open(&path, caps).get(&url).send().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Kind::OverBudget));
        let Quote::Priced(priced) = open(&path, caps).get(&url).quote().await.unwrap() else {
            panic!("it has a price")
        };
        assert_eq!(priced.verdict.unwrap_err().code(), code);
    }
    assert_eq!(seller.payments().len(), 2);
}

#[tokio::test]
async fn a_period_ends() {
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = now.clone();
    let client = builder()
        .store(memory())
        .caps(per_day(cents(1)))
        .clock(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))
        .build()
        .unwrap();
    let seller = honest().await;
    let url = seller.url("/");
    assert!(client.get(&url).send().await.is_ok());
    assert!(client.get(&url).send().await.is_err());
    now.fetch_add(86_401, Ordering::SeqCst);
    assert!(client.get(&url).send().await.is_ok());
}

#[tokio::test]
async fn what_a_server_refuses_counts_all_the_same() {
    let liar = seller(|_| ask_v2(&[offer_v2()])).await;
    let client = builder()
        .store(memory())
        .caps(per_host(cents(3)))
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = client.get(liar.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
    }
    let error = client.get(liar.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::OverHostCap);
    assert_eq!(liar.payments().len(), 3);
}

#[tokio::test]
async fn a_cheaper_offer_is_taken_when_the_first_is_too_dear() {
    let seller = seller(|request| match request.payment() {
        Some(_) => served(),
        None => {
            let mut dear = offer_v2();
            dear["amount"] = json!("50000000");
            ask_v2(&[dear, offer_v2()])
        }
    })
    .await;
    let paid = client(&memory()).get(seller.url("/")).send().await.unwrap();
    assert_eq!(paid.payment.unwrap().amount.value().to_string(), "10000");
}

/// A seller that names `PAYEE` first and somebody else from the second purchase on.
fn fickle() -> impl Fn(&common::Seen) -> Response + Clone + Send + Sync + 'static {
    let sold = Arc::new(AtomicUsize::new(0));
    move |request| {
        if request.payment().is_some() {
            sold.fetch_add(1, Ordering::SeqCst);
            return served();
        }
        let mut offer = offer_v2();
        if sold.load(Ordering::SeqCst) > 0 {
            offer["payTo"] = json!(common::PAYER);
        }
        ask_v2(&[offer])
    }
}

#[tokio::test]
async fn a_new_payee_is_not_paid_unless_that_is_wanted() {
    let seller = seller(fickle()).await;
    let store = memory();
    let url = seller.url("/");
    assert!(client(&store).get(&url).send().await.is_ok());
    let error = client(&store).get(&url).send().await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (Code::PayeeChanged, Kind::OverBudget)
    );
    let PayError::PayeeChanged(change) = error else {
        panic!("{error}")
    };
    assert_eq!(
        (&*change.known, change.asked.to_string().as_str()),
        (PAYEE, common::PAYER)
    );
    assert_eq!(seller.payments().len(), 1);
    let trusting = builder().store(store).payee_changes(PayeeChanges::Allow);
    assert!(trusting.build().unwrap().get(&url).send().await.is_ok());
}

/// A store that writes down what it is asked, and can be broken.
struct Watched {
    inner: Arc<dyn WalletStore>,
    log: Arc<Mutex<Vec<&'static str>>>,
    broken: Option<StoreError>,
    /// Ends are taken without waiting for the disk.
    queues: bool,
}

impl WalletStore for Watched {
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(async move {
            if let Some(error) = self.broken {
                return Err(error);
            }
            let verdict = self.inner.reserve_spend(spend, caps, terms).await;
            self.log.lock().unwrap().push("in the books");
            verdict
        })
    }

    fn finish_spend(
        &self,
        id: PaymentId,
        end: SpendEnd,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.log.lock().unwrap().push("finished");
        self.inner.finish_spend(id, end, at)
    }

    fn finish_spend_later(&self, id: PaymentId, end: SpendEnd, at: Timestamp) -> bool {
        if self.queues {
            self.log.lock().unwrap().push("queued");
        }
        self.queues && self.inner.finish_spend_later(id, end, at)
    }

    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.inner.usage(origin, unit, since)
    }

    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>> {
        self.inner.signed(limit)
    }
    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.keep_token(token)
    }
    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.inner.tokens_at(origin, method, now)
    }
    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.inner.tokens(limit)
    }
    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.use_token(payment)
    }
    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.forget_token(payment)
    }
    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.inner.recent_spends(limit)
    }

    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.inner.open_spends(limit)
    }

    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>> {
        self.inner.spend(id)
    }

    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>> {
        self.log.lock().unwrap().push("looked up");
        self.inner.known_terms(origin, path, asset, payee)
    }
}

#[tokio::test]
async fn the_books_have_the_payment_before_the_server_does() {
    for (queues, ended) in [(false, "finished"), (true, "queued")] {
        let log = Arc::new(Mutex::new(Vec::new()));
        let sent = log.clone();
        let seller = seller(move |request| match request.payment() {
            Some(_) => {
                sent.lock().unwrap().push("sent");
                served()
            }
            None => ask_v2(&[offer_v2()]),
        })
        .await;
        let store: Arc<dyn WalletStore> = Arc::new(Watched {
            inner: memory(),
            log: log.clone(),
            broken: None,
            queues,
        });
        let client = client(&store);
        let path = ["in the books", "sent", ended];
        assert!(client.get(seller.url("/")).send().await.is_ok());
        let first = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(first, [&["looked up"], &path[..]].concat());
        // On the very same terms one transaction is all it takes.
        assert!(client.get(seller.url("/")).send().await.is_ok());
        assert_eq!(*log.lock().unwrap(), path);
        let spends = store.recent_spends(9).await.unwrap();
        assert_eq!(spends.len(), 2);
        let paid = |record: &SpendRecord| record.state == SpendState::Paid;
        assert!(spends.iter().all(paid), "whoever asks sees the ends");
    }
}

#[tokio::test]
async fn an_end_is_in_the_file_after_a_flush_or_when_the_store_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let seller = honest().await;
    for flushes in [true, false] {
        let path = folder.path().join(format!("{flushes}.db"));
        let client = open(&path, caps());
        for _ in 0..3 {
            assert!(client.get(seller.url("/")).send().await.is_ok());
        }
        let client = if flushes {
            client.flush().await.unwrap();
            Some(client)
        } else {
            drop(client);
            None
        };
        let other = SqliteWallet::open(&path).unwrap();
        assert_eq!(other.open_spends(9).await, Ok(vec![]), "{flushes}");
        assert_eq!(other.recent_spends(9).await.unwrap().len(), 3);
        drop(client);
    }
}

#[tokio::test]
async fn without_books_nothing_is_sent() {
    for error in [StoreError::Unavailable, StoreError::Damaged] {
        let seller = honest().await;
        let store: Arc<dyn WalletStore> = Arc::new(Watched {
            inner: memory(),
            log: Arc::default(),
            broken: Some(error),
            queues: true,
        });
        let refused = client(&store)
            .get(seller.url("/"))
            .send()
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Wallet);
        assert!(matches!(refused, PayError::Store(found) if found == error));
        assert_eq!(seller.payments(), [""; 0]);
    }
}

/// A store that can write down no end.
struct NoEnd(Arc<dyn WalletStore>);
impl WalletStore for NoEnd {
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        self.0.reserve_spend(spend, caps, terms)
    }
    fn finish_spend(
        &self,
        _id: PaymentId,
        _end: SpendEnd,
        _at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable) })
    }
    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.0.usage(origin, unit, since)
    }
    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>> {
        self.0.signed(limit)
    }
    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.keep_token(token)
    }
    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.0.tokens_at(origin, method, now)
    }
    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.0.tokens(limit)
    }
    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.use_token(payment)
    }
    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.forget_token(payment)
    }
    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.0.recent_spends(limit)
    }
    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.0.open_spends(limit)
    }

    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>> {
        self.0.spend(id)
    }

    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>> {
        self.0.known_terms(origin, path, asset, payee)
    }
}

#[tokio::test]
async fn an_answer_is_not_thrown_away_when_its_end_cannot_be_written() {
    let seller = honest().await;
    let inner = memory();
    let store: Arc<dyn WalletStore> = Arc::new(NoEnd(inner.clone()));
    let paid = client(&store).get(seller.url("/")).send().await.unwrap();
    assert_eq!(paid.answer.text().await.unwrap(), "served");
    assert_eq!(
        inner.recent_spends(9).await.unwrap()[0].state,
        SpendState::Open
    );
}

#[test]
fn the_default_cap_is_ten_cents() {
    assert_eq!(faregate_client::limits::PER_PAYMENT_DEFAULT, cents(10));
}

#[test]
fn a_client_without_caps_books_or_key_is_not_made() {
    use faregate_client::BuildError;
    let build = |builder: faregate_client::ClientBuilder| builder.build().unwrap_err();
    let wallet = common::wallet;
    assert_eq!(
        build(Client::builder().wallet(wallet()).store(memory())),
        BuildError::NoCaps
    );
    assert_eq!(
        build(Client::builder().wallet(wallet()).caps(caps())),
        BuildError::NoStore
    );
    assert_eq!(
        build(Client::builder().caps(caps()).store(memory())),
        BuildError::NoWallet
    );
}
