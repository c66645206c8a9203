//! The credit core, on a chain that outlives it. Killed at a place, it is started again on its file; what it left there adds
//! up in between, and in the end the books say of everybody what the contract says.

#[path = "credit/core.rs"]
mod core;
#[path = "credit/crowd.rs"]
mod crowd;
#[path = "credit/follower.rs"]
mod follower;
#[path = "credit/gate.rs"]
mod gate;
#[path = "credit/operator.rs"]
mod operator;
#[path = "credit/repay.rs"]
mod repay;
#[path = "credit/service.rs"]
mod service;
#[path = "credit/shop.rs"]
mod shop;

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use faregate_client::credit::{CreditClient, ETH};
use faregate_core::crash::Point;
use faregate_core::credit::{Collateral, EntryKind, Tab, TabId};
use faregate_core::port::credit::{CreditStore as _, Page};
use faregate_devnet::chain::{CREDIT_CORE, CreditConfig, CreditTiming};
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::credit::{Confirmation, CreditFollowConfig, CreditFollower};
use faregate_evm::{Endpoint, LocalSigner};
use faregate_store::sqlite::{SqliteCredit, SqliteLedger};
use faregate_types::credit::{
    BlsSecretKey, Claims, GuaranteeRequest, GuaranteeVersion, SigningScheme,
};
use faregate_types::{ChainId, SecretKey, Timestamp};
use std::sync::Arc;
use std::time::SystemTime;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::{SIGNER, SOON, free_port, launch, start};

/// Signs certificates.
pub(super) const BLS_KEY: &str = "00000000000000000000000000000000000000000000000000000000000000a7";
/// The first administrator's key follows from it.
pub(super) const ADMIN_SEED: &str = "a seed of these tests and of no others";

/// Places of the dev accounts.
const PAYER: usize = 1;
const RECIPIENT: usize = 9;
const ADMIN: usize = 6;

const TIMING: CreditTiming = CreditTiming {
    remuneration_grace: 100,
    tab_expiration: 1_000,
    synchronization_delay: 100,
    withdrawal_grace: 2_000,
};

/// Time between two looks at the chain, in milliseconds: as short as can be, and so long that there is only one.
const POLL_FAST: u32 = 50;
const POLL_ONCE: u32 = 60_000;

const ALL: Page = Page {
    skip: 0,
    limit: 1_000,
};

/// A chain with the contract, a payer and a recipient, and the file of a core.
struct Town {
    chain: Devchain,
    folder: TempDir,
    url: String,
    payer: CreditClient,
    recipient: CreditClient,
}

async fn client(url: &str, account: usize) -> CreditClient {
    let key = SecretKey::from_hex(Devchain::accounts()[account].private_key).unwrap();
    let signer = LocalSigner::new(key).unwrap();
    let builder = CreditClient::builder().service(url.parse().unwrap());
    let builder = builder.signer(signer).contract(CREDIT_CORE);
    builder.connect().await.unwrap()
}

impl Town {
    /// Nobody has left anything with the contract yet, and no core runs.
    async fn new() -> Self {
        let key = BlsSecretKey::from_hex(BLS_KEY).unwrap();
        let credit = CreditConfig {
            verification_key: key.public_key().words(),
            operator: Devchain::accounts()[SIGNER].address,
            admin: Devchain::accounts()[ADMIN].address,
            timing: TIMING,
        };
        let config = ChainConfig {
            credit: Some(credit),
            ..ChainConfig::default()
        };
        let chain = Devchain::start(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bind = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{bind}");
        configure(&folder, &chain, &bind, POLL_FAST);
        let mut core = start("credit", folder.path(), &url, None).await;
        let town = Self {
            payer: client(&url, PAYER).await,
            recipient: client(&url, RECIPIENT).await,
            chain,
            folder,
            url,
        };
        core.kill().await.unwrap();
        let token = town.chain.usdc();
        town.payer.user().approve(token, U256::MAX).await.unwrap();
        town
    }

    /// The next cores look at the chain so often.
    fn poll(&self, poll_ms: u32) {
        let bind = self.url.trim_start_matches("http://");
        configure(&self.folder, &self.chain, bind, poll_ms);
    }

    /// A core that answers.
    async fn start(&self, point: Option<Point>) -> Child {
        start("credit", self.folder.path(), &self.url, point).await
    }

    /// A core that ends at a place it comes to by itself.
    async fn ends_at(&self, point: Point, case: &str) {
        let mut core = launch("credit", self.folder.path(), Some(point));
        ended(&mut core, case).await;
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("credit.db")
    }

    /// The books while no core runs. They have to add up.
    async fn books(&self) -> SqliteCredit {
        let ledger = SqliteLedger::open(self.file()).unwrap();
        let audit = ledger.audit().await.unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        ledger.credit(ChainId::BASE_SEPOLIA).await.unwrap()
    }

    async fn deposit(&self, asset: Address, amount: u64) {
        let amount = U256::from(amount);
        self.payer.user().deposit(asset, amount).await.unwrap();
    }

    async fn pay(&self, tab: TabId, asset: Address, amount: u64) {
        let (user, to) = (self.payer.user(), self.recipient.address());
        let paid = user.pay_tab(tab.0, U256::ZERO, U256::from(amount), to, asset);
        paid.await.unwrap();
    }

    /// The tab for this asset, of a core that runs.
    async fn tab(&self, asset: Address) -> TabId {
        let about = self.recipient.recipient();
        let payer = self.payer.address();
        let opened = about.create_tab(payer, asset, Some(900), GuaranteeVersion::V1);
        TabId(opened.await.unwrap().id)
    }

    /// What the payer signs for a guarantee.
    async fn signed(&self, tab: TabId, req: u64, asset: Address, amount: u64) -> GuaranteeRequest {
        let claims = Claims {
            payer: self.payer.address(),
            recipient: self.recipient.address(),
            tab_id: tab.0,
            req_id: U256::from(req),
            amount: U256::from(amount),
            asset,
            timestamp: Timestamp::from(SystemTime::now()),
            validation: None,
        };
        let signing = self.payer.user();
        let signed = signing.sign_payment(claims, SigningScheme::Eip712);
        signed.await.unwrap()
    }

    /// Lets time pass on the chain, and a block come.
    async fn pass(&self, secs: u64) {
        self.chain.increase_time(secs).await.unwrap();
        self.chain.mine(1).await.unwrap();
    }

    /// Returns when a core that runs says that so much is there, and so much of it locked.
    async fn balance(&self, asset: Address, expected: (u64, u64), case: &str) {
        let about = self.recipient.recipient();
        let is_so = async {
            loop {
                let found = about.balance(self.payer.address(), asset).await.unwrap();
                let found = found.map(|found| (found.total.to::<u64>(), found.locked.to::<u64>()));
                if found == Some(expected) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, is_so).await.expect(case);
    }

    /// The last word: a follower in this process goes to the end of the chain, and nobody has more or less than the contract says.
    async fn agrees(self) {
        let books = Arc::new(self.books().await);
        let endpoint = Endpoint::Http(self.chain.rpc_url().parse().unwrap());
        let mut config = CreditFollowConfig::new(ChainId::BASE_SEPOLIA, endpoint, CREDIT_CORE);
        config.confirmation = Confirmation::Depth(0);
        config.poll = Duration::from_millis(20);
        config.reconcile_every = None;
        let follower = CreditFollower::connect(config, Arc::clone(&books) as _);
        let follower = follower.await.unwrap();
        let end = self.chain.block_number().await.unwrap();
        assert!(timeout(SOON, follower.until(end)).await.unwrap());
        let report = timeout(SOON, follower.reconcile()).await.unwrap().unwrap();
        assert!(report.compared > 0, "{report:?}");
        assert_eq!((report.different, report.unknown), (0, 0), "{report:?}");
        assert!(books.put_aside(ALL).await.unwrap().is_empty());
        drop((follower, books));
        self.books().await;
        self.chain.shutdown().await;
    }
}

fn configure(folder: &TempDir, chain: &Devchain, bind: &str, poll_ms: u32) {
    let text = format!(
        "[credit]\nbind = \"{bind}\"\nnetwork = \"base-sepolia\"\nrpc_url = \"{rpc}\"\npublic_rpc_url = \"{rpc}\"\n\
         contract = \"{CREDIT_CORE}\"\ndeployed_at = 0\nconfirmations = 0\npoll_ms = {poll_ms}\nstore = '{store}'\n\
         public_url = \"http://{bind}\"\nauth = \"optional\"\nsigner_key = \"env:GAS_KEY\"\n\
         certificate_key = \"env:BLS_KEY\"\ntoken_key = \"env:TOKEN_KEY\"\nadmin_seed = \"env:ADMIN_SEED\"\n",
        rpc = chain.rpc_url(),
        store = folder.path().join("credit.db").display(),
    );
    std::fs::write(folder.path().join("credit.toml"), text).unwrap();
}

/// Waits for the end of a core that was to end.
async fn ended(core: &mut Child, case: &str) {
    let status = timeout(SOON, core.wait()).await.expect(case).unwrap();
    assert!(!status.success(), "{case}");
}

/// All of a payer's money in an asset.
async fn collateral(books: &SqliteCredit, payer: Address, asset: Address) -> Collateral {
    let found = books.collateral(payer, asset).await.unwrap();
    found.unwrap_or_default()
}

async fn tab_of(books: &SqliteCredit, tab: TabId) -> Tab {
    books.tab(tab).await.unwrap().unwrap()
}

/// How many lines of this kind the journal has for a tab.
async fn lines(books: &SqliteCredit, tab: TabId, kind: EntryKind) -> usize {
    let entries = books.entries_of(tab, ALL).await.unwrap();
    entries.iter().filter(|entry| entry.kind == kind).count()
}
