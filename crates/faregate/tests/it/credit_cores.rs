//! Two credit cores, processes of their own, on one PostgreSQL and one chain: whoever is asked, no collateral is locked twice and
//! nothing that was answered is lost, also while cores and the database are killed. `conformance/run postgres` starts a server and
//! names the command that kills it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use alloy_primitives::Bytes;
use faregate_client::credit::{CreditClient, CreditError, CreditRpc, ETH};
use faregate_core::port::credit::{CreditStore as _, Page};
use faregate_devnet::Devchain;
use faregate_devnet::chain::CREDIT_CORE;
use faregate_store::postgres::{PostgresLedger, PostgresUrl};
use faregate_types::credit::api::{
    CreateTab, CreatedTab, NonceAnswer, NonceRequest, RefreshRequest, Tokens, VerifyRequest,
};
use faregate_types::credit::{
    Certificate, Claims, GuaranteeRequest, SignIn, SigningScheme, read_answer, write,
};
use faregate_types::{Address, ChainId, SecretKey, Timestamp, U256, eip191};
use futures_util::future::{LocalBoxFuture, join_all};
use serde_json::{Value, json};
use tokio::process::Child;

use super::credit_process::{self, OPERATOR, bls, client};
use super::support;

/// Places of dev accounts. The last of the payers has too little for what is asked of it.
const PAYERS: [usize; 3] = [1, 2, 3];
const RECIPIENTS: [usize; 2] = [9, 5];
const PAYS: usize = 4;

const LARGE: u64 = 1_000_000;
const SMALL: u64 = 400;

/// Requests of each tab.
const REQUESTS: usize = 4 * TURNS;
const TURNS: usize = 6;
const ALL: usize = PAYERS.len() * RECIPIENTS.len() * REQUESTS;

/// A place of its own in the database, and how the server is killed. Who takes it is alone there.
struct Place {
    address: String,
    schema: &'static str,
    kill: Option<String>,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Place {
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    async fn new(schema: &'static str) -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let Some(address) = variable("FAREGATE_TEST_POSTGRES") else {
            eprintln!("skipped: needs PostgreSQL (FAREGATE_TEST_POSTGRES names none)");
            return None;
        };
        let place = Self {
            address,
            schema,
            kill: variable("FAREGATE_TEST_POSTGRES_KILL"),
            _alone: ALONE.lock().await,
        };
        let connected = tokio_postgres::connect(&place.address, tokio_postgres::NoTls).await;
        let (sql, connection) = connected.unwrap();
        let driver = tokio::spawn(connection);
        let made = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
        sql.batch_execute(&made).await.unwrap();
        drop(sql);
        driver.await.unwrap().unwrap();
        Some(place)
    }

    fn text(&self) -> String {
        let first = if self.address.contains('?') { '&' } else { '?' };
        let schema = self.schema;
        format!("{}{first}options=-c%20search_path%3D{schema}", self.address)
    }

    /// Kills the server; it comes back by itself.
    async fn kill(&self) {
        let Some(words) = &self.kill else { return };
        let mut words = words.split(' ');
        let mut command = tokio::process::Command::new(words.next().unwrap());
        assert!(command.args(words).status().await.unwrap().success());
    }
}

/// Two cores, and which address each of them has now.
struct Cores {
    file: PathBuf,
    rpcs: RwLock<[CreditRpc; 2]>,
    urls: RwLock<[String; 2]>,
    children: [tokio::sync::Mutex<Child>; 2],
}

fn rpc(url: &str) -> CreditRpc {
    let service = CreditClient::builder().service(url.parse().unwrap());
    service.timeout(Duration::from_secs(30)).rpc().unwrap()
}

impl Cores {
    async fn start(file: PathBuf) -> Self {
        let (first, second) =
            tokio::join!(credit_process::core(&file), credit_process::core(&file));
        Self {
            rpcs: RwLock::new([rpc(&first.1), rpc(&second.1)]),
            urls: RwLock::new([first.1, second.1]),
            children: [first.0.into(), second.0.into()],
            file,
        }
    }

    fn rpc(&self, core: usize) -> CreditRpc {
        self.rpcs.read().unwrap()[core % 2].clone()
    }

    fn url(&self, core: usize) -> String {
        self.urls.read().unwrap()[core % 2].clone()
    }

    /// Kills a core (-9) and starts another in its place.
    async fn replace(&self, core: usize) {
        let mut child = self.children[core].lock().await;
        child.kill().await.unwrap();
        let (next, url) = credit_process::core(&self.file).await;
        self.rpcs.write().unwrap()[core] = rpc(&url);
        self.urls.write().unwrap()[core] = url;
        *child = next;
    }

    async fn are_there(&self) -> bool {
        for child in &self.children {
            if child.lock().await.try_wait().unwrap().is_some() {
                return false;
            }
        }
        true
    }

    /// Asks one core, the other, and again, until there is an answer; nothing but "come back" is taken for none.
    async fn certain<T>(
        &self,
        first: usize,
        ask: impl AsyncFn(CreditRpc) -> Result<T, CreditError>,
    ) -> Result<T, Box<str>> {
        for attempt in 0..600 {
            match ask(self.rpc(first + attempt)).await {
                Ok(answer) => return Ok(answer),
                Err(CreditError::Service(said)) if said.status == 400 => return Err(said.text),
                Err(CreditError::Service(said)) if said.status == 503 => {}
                Err(CreditError::NoAnswer(_)) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no core came back");
    }

    async fn issue(
        &self,
        core: usize,
        request: &GuaranteeRequest,
    ) -> Result<Certificate, Box<str>> {
        let claims = &request.claims;
        let key = format!("{}-{}-{}", claims.tab_id, claims.req_id, claims.amount);
        let key = key.as_str();
        self.certain(core, async |rpc| rpc.issue_guarantee(request, key).await)
            .await
    }
}

/// By tab and number, the amount and the certificate.
type Issued = BTreeMap<(U256, U256), (u64, Certificate)>;

/// Everybody who has a part.
struct Market {
    chain: Devchain,
    cores: Cores,
    payers: BTreeMap<usize, CreditClient>,
    /// What was answered.
    issued: Mutex<Issued>,
    refused: AtomicUsize,
    done: AtomicUsize,
    /// Nothing is going to be killed any more.
    is_calm: AtomicBool,
    at: Timestamp,
}

/// What somebody deposits.
fn has(payer: usize) -> u64 {
    if PAYERS.last() == Some(&payer) {
        SMALL
    } else {
        LARGE
    }
}

fn address(account: usize) -> Address {
    Devchain::accounts()[account].address
}

impl Market {
    async fn open(place: &Place, folder: &Path, request_ids: &str) -> Self {
        let chain = credit_process::chain().await;
        let file = credit_process::file(folder, &chain, &place.text(), request_ids);
        let cores = Cores::start(file).await;
        let mut payers = BTreeMap::new();
        for account in PAYERS.into_iter().chain([PAYS]) {
            let payer = client(&cores.url(account), CREDIT_CORE, account).await;
            let amount = U256::from(has(account));
            payer.user().deposit(ETH, amount).await.unwrap();
            payers.insert(account, payer);
        }
        let at = Timestamp::from_secs(chain.now().await.unwrap());
        let market = Self {
            chain,
            cores,
            payers,
            issued: Mutex::default(),
            refused: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            is_calm: AtomicBool::new(false),
            at,
        };
        for account in PAYERS.into_iter().chain([PAYS]) {
            for core in 0..2 {
                market.balance(core, account, (has(account), 0)).await;
            }
        }
        market
    }

    /// What a payer has and what of it is locked, once it is this.
    async fn balance(&self, core: usize, payer: usize, expected: (u64, u64)) {
        let mut found = None;
        for _ in 0..400 {
            let balance = self
                .cores
                .certain(core, async |rpc| rpc.balance(address(payer), ETH).await);
            let balance = balance.await.unwrap();
            found = balance.map(|sums| (sums.total.to::<u64>(), sums.locked.to::<u64>()));
            if found == Some(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{found:?} and not {expected:?}");
    }

    async fn tab(&self, core: usize, payer: usize, recipient: usize) -> CreatedTab {
        let asked = CreateTab {
            payer: address(payer),
            recipient: address(recipient),
            token: None,
            ttl: Some(900),
            version: Some(1),
        };
        let opened = self
            .cores
            .certain(core, async |rpc| rpc.create_tab(&asked).await);
        opened.await.unwrap()
    }

    async fn signed(
        &self,
        payer: usize,
        tab: &CreatedTab,
        req: U256,
        amount: u64,
    ) -> GuaranteeRequest {
        let claims = Claims {
            payer: tab.payer,
            recipient: tab.recipient,
            tab_id: tab.id,
            req_id: req,
            amount: U256::from(amount),
            asset: ETH,
            timestamp: self.at,
            validation: None,
        };
        let user = self.payers[&payer].user();
        let signed = user.sign_payment(claims, SigningScheme::Eip712);
        signed.await.unwrap()
    }

    fn note(&self, request: &GuaranteeRequest, certificate: Certificate) {
        let claims = &request.claims;
        let known = (claims.amount.to::<u64>(), certificate);
        let name = (claims.tab_id, claims.req_id);
        let before = self.issued.lock().unwrap().insert(name, known);
        assert!(before.is_none(), "{name:?} was issued twice");
    }

    /// One request to both cores at once: both say the same.
    async fn same(&self, request: &GuaranteeRequest) -> bool {
        let (cores, second) = (&self.cores, request.clone());
        let (one, other) = tokio::join!(cores.issue(0, request), cores.issue(1, &second));
        assert_eq!(one, other);
        match one {
            Ok(certificate) => {
                self.note(request, certificate);
                true
            }
            Err(text) => {
                assert_eq!(&*text, "Not enough free collateral");
                self.refused.fetch_add(1, Ordering::AcqRel);
                false
            }
        }
    }

    /// Two requests for one number, one to each core: one of them is issued, unless there is too little for either.
    async fn rivals(&self, requests: [&GuaranteeRequest; 2]) -> bool {
        let [first, second] = requests;
        let (one, other) = tokio::join!(self.cores.issue(0, first), self.cores.issue(1, second));
        match (one, other) {
            (Ok(certificate), Err(text)) => {
                assert!(text.contains("already exists"), "{text}");
                self.note(first, certificate);
                true
            }
            (Err(text), Ok(certificate)) => {
                // The larger one may have been looked at when there was too little for it already.
                let expected = ["already exists", "Not enough free collateral"];
                assert!(expected.iter().any(|words| text.contains(words)), "{text}");
                self.note(second, certificate);
                true
            }
            (Err(one), Err(other)) => {
                assert_eq!([&*one, &*other], ["Not enough free collateral"; 2]);
                self.refused.fetch_add(1, Ordering::AcqRel);
                false
            }
            (Ok(_), Ok(_)) => panic!("two guarantees with one number"),
        }
    }

    /// A tab whose numbers follow one another.
    async fn one_by_one(&self, payer: usize, recipient: usize) {
        let (tab, same) =
            tokio::join!(self.tab(0, payer, recipient), self.tab(1, payer, recipient));
        assert_eq!(tab.id, same.id);
        let mut goes_on = true;
        for number in 0..REQUESTS {
            self.keeps_some().await;
            if goes_on {
                let req = U256::from(number);
                let amount = 10 + u64::try_from(number).unwrap();
                let request = self.signed(payer, &tab, req, amount).await;
                goes_on = if number % 2 == 0 {
                    self.same(&request).await
                } else {
                    let rival = self.signed(payer, &tab, req, amount - 1).await;
                    self.rivals([&request, &rival]).await
                };
            }
            self.done.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A tab whose numbers are given out, to four at once.
    async fn reserved(&self, payer: usize, recipient: usize) {
        let part = async |first: usize| {
            for turn in 0..TURNS {
                self.keeps_some().await;
                let tab = self.tab(first + turn, payer, recipient).await;
                let req = tab.next_req_id.unwrap();
                let amount = 20 + u64::try_from(first + turn).unwrap();
                let request = self.signed(payer, &tab, req, amount).await;
                self.same(&request).await;
                self.done.fetch_add(1, Ordering::AcqRel);
            }
        };
        tokio::join!(part(0), part(1), part(2), part(3));
    }

    /// The last fifth is asked for when everything was killed, so that something is asked for afterwards.
    async fn keeps_some(&self) {
        while !self.is_calm.load(Ordering::Acquire)
            && 5 * self.done.load(Ordering::Acquire) >= 4 * ALL
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills what there is, one after the other, while the rest goes on.
    async fn trouble(&self, place: &Place, pays: Option<&CreatedTab>) {
        for blow in 0..3 {
            while 5 * self.done.load(Ordering::Acquire) < ALL * (blow + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            match blow {
                2 => place.kill().await,
                core => self.cores.replace(core).await,
            }
            if let Some(tab) = pays {
                self.pay(tab).await;
            }
        }
        let done = self.done.load(Ordering::Acquire);
        assert!(done < ALL, "the last was killed when all was done");
        self.is_calm.store(true, Ordering::Release);
    }

    async fn pay(&self, tab: &CreatedTab) {
        let payer = self.payers[&PAYS].user();
        let paid = payer.pay_tab(tab.id, U256::ZERO, U256::from(10), tab.recipient, ETH);
        paid.await.unwrap();
    }

    /// How many transactions the operator sent.
    async fn told(&self) -> u64 {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount", "params": [address(OPERATOR), "latest"],
        });
        let asked = support::http()
            .post(self.chain.rpc_url())
            .body(call.to_string());
        let asked = asked.header("content-type", "application/json").send();
        let said: Value =
            serde_json::from_slice(&asked.await.unwrap().bytes().await.unwrap()).unwrap();
        let count: U256 = said["result"].as_str().unwrap().parse().unwrap();
        count.to()
    }

    /// Everything that was answered is there, and nothing else; both cores and the database say so.
    async fn adds_up(&self, place: &Place) {
        assert!(self.cores.are_there().await, "a core ended by itself");
        let issued = self.issued.lock().unwrap().clone();
        let (locked, tabs) = sums(&issued);
        for core in 0..2 {
            for payer in PAYERS {
                let (total, locked) = (has(payer), locked[&address(payer)]);
                assert!(locked <= total);
                self.balance(core, payer, (total, locked)).await;
            }
            for tab in &tabs {
                let known = self.cores.rpc(core).guarantees(*tab).await.unwrap();
                let known = known.into_iter();
                let known = known.map(|one| ((one.tab_id, one.req_id), one.certificate.unwrap().0));
                let answered = issued.iter().filter(|((of, _), _)| of == tab);
                let answered =
                    answered.map(|(name, (_, certificate))| (*name, certificate.clone()));
                assert_eq!(
                    known.collect::<BTreeMap<_, _>>(),
                    answered.collect::<BTreeMap<_, _>>()
                );
            }
        }
        let refused = self.refused.load(Ordering::Acquire);
        assert!(refused > 0, "nobody had too little");
        let url = PostgresUrl::parse(&place.text()).unwrap();
        let ledger = PostgresLedger::open(&url).await.unwrap();
        assert_eq!(ledger.audit().await.unwrap().faults, []);
        let books = ledger.credit(ChainId::evm(84_532)).await.unwrap();
        assert_eq!(books.uncertified(10).await.unwrap(), []);
        let page = Page { skip: 0, limit: 10 };
        assert_eq!(books.put_aside(page).await.unwrap(), []);
    }

    /// Signs in: the nonce from one core, everything else from the other in turn.
    async fn signs_in_anywhere(&self) {
        let account = Devchain::accounts()[RECIPIENTS[0]];
        let key = SecretKey::from_hex(account.private_key).unwrap();
        let signer = faregate_evm::LocalSigner::new(key).unwrap();
        let post = async |core: usize, path: &str, body: String| {
            let url = format!("{}/{path}", self.cores.url(core));
            let asked = support::http().post(url).body(body);
            let said = asked.header("content-type", "application/json").send();
            let said = said.await.unwrap();
            (said.status().as_u16(), said.bytes().await.unwrap())
        };
        let asked = NonceRequest {
            address: account.address,
        };
        let (status, said) = post(0, "auth/nonce", write(&asked)).await;
        assert_eq!(status, 200);
        let said: NonceAnswer = read_answer(&said).unwrap();
        let message = SignIn {
            address: account.address,
            nonce: said.nonce,
            template: said.siwe,
        };
        let message = message.checked_text().unwrap();
        let signature = signer.sign_now(eip191::digest(message.as_bytes())).unwrap();
        let shown = write(&VerifyRequest {
            address: account.address,
            message,
            signature: Bytes::copy_from_slice(&signature.to_bytes()),
        });
        let ((one, said), (other, said_too)) = tokio::join!(
            post(0, "auth/verify", shown.clone()),
            post(1, "auth/verify", shown)
        );
        let (said, no) = if one == 200 {
            (said, other)
        } else {
            (said_too, one)
        };
        assert_eq!(no, 401, "a nonce is good once");
        let first: Tokens = read_answer(&said).unwrap();
        let refresh = |tokens: &Tokens| {
            write(&RefreshRequest {
                refresh_token: tokens.refresh_token.clone(),
            })
        };
        let (status, said) = post(1, "auth/refresh", refresh(&first)).await;
        assert_eq!(status, 200);
        let second: Tokens = read_answer(&said).unwrap();
        // Stolen, as far as anybody knows: the session is over at both.
        let (status, _) = post(0, "auth/refresh", refresh(&first)).await;
        assert_eq!(status, 401);
        let (status, _) = post(1, "auth/refresh", refresh(&second)).await;
        assert_eq!(status, 401);
    }
}

/// What was locked of whom, and the tabs; no certificate of a tab forgets another.
fn sums(issued: &Issued) -> (BTreeMap<Address, u64>, BTreeSet<U256>) {
    let mut locked = BTreeMap::<Address, u64>::new();
    let mut tabs = BTreeMap::<U256, (u64, BTreeSet<U256>)>::new();
    for ((tab, req), (amount, certificate)) in issued {
        let said = certificate.verify(&bls().public_key()).unwrap();
        assert_eq!((said.tab_id, said.req_id), (*tab, *req));
        assert_eq!(said.amount, U256::from(*amount));
        *locked.entry(said.payer).or_default() += amount;
        let (sum, totals) = tabs.entry(*tab).or_default();
        *sum += amount;
        assert!(totals.insert(said.total_amount), "a lost update");
    }
    for (sum, totals) in tabs.values() {
        assert_eq!(totals.last(), Some(&U256::from(*sum)));
    }
    (locked, tabs.into_keys().collect())
}

/// Everybody at once, and trouble.
async fn all_at_once(market: &Market, place: &Place, strict: bool, pays: Option<&CreatedTab>) {
    let mut tabs = Vec::<LocalBoxFuture<'_, ()>>::new();
    for payer in PAYERS {
        for recipient in RECIPIENTS {
            tabs.push(match strict {
                true => Box::pin(market.one_by_one(payer, recipient)),
                false => Box::pin(market.reserved(payer, recipient)),
            });
        }
    }
    tokio::join!(join_all(tabs), market.trouble(place, pays));
}

#[tokio::test(flavor = "multi_thread")]
async fn cores_that_share_a_database_lock_nothing_twice_and_lose_nothing() {
    let Some(place) = Place::new("faregate_cores").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let market = Market::open(&place, folder.path(), "strict").await;
    market.signs_in_anywhere().await;
    let before = market.told().await;
    let tab = market.tab(0, PAYS, RECIPIENTS[0]).await;
    let promise = market.signed(PAYS, &tab, U256::ZERO, 100).await;
    market.cores.issue(1, &promise).await.unwrap();
    all_at_once(&market, &place, true, Some(&tab)).await;
    market.adds_up(&place).await;
    // Each payment was recorded, whichever core was there to do it, and the operator paid for each once at most.
    market.balance(0, PAYS, (LARGE, 70)).await;
    let told = market.told().await - before;
    assert!(
        (1..=3).contains(&told),
        "{told} transactions for 3 payments"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cores_that_share_a_database_give_each_number_out_once() {
    let Some(place) = Place::new("faregate_cores_reserved").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let market = Market::open(&place, folder.path(), "reserved").await;
    all_at_once(&market, &place, false, None).await;
    market.adds_up(&place).await;
}
