//! What the tests of the facilitator share: a chain with a token, payers with money, and payments to bend.
//!
//! Runs on our own dev chain, or on the node at `FAREGATE_TEST_RPC` (anvil with a chain id we know). Tests share that
//! node, so each uses keys of its own and none changes the node for the others.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests; each test file uses some of them"
)]

pub mod local;
pub mod payment;
pub mod permit;
pub mod proxy;

pub use payment::Payment;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256, Bytes, U64, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_core::port::{Away, Facilitator, SettleOutcome, Settlement, Trail};
pub use faregate_devnet::chain::BATCH_SETTLER;
use faregate_devnet::chain::CreditConfig;
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, OsEntropy, random_nonce};
use faregate_types::{Asset, AssetRegistry, Authorization, ChainId, Code, SecretKey};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;

pub const PAYEE: Address = address!("0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
pub const NO_CONTRACT: Address = address!("0x000000000000000000000000000000000000dEaD");
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");
/// What every payer starts with.
pub const FUNDS: u64 = 1_000_000;
pub const PRICE: u64 = 10_000;
/// The year 2100: no clock and no test gets there.
pub const FAR: u64 = 4_102_444_800;

sol! {
    function mint(address to, uint256 value);
    function balanceOf(address account) returns (uint256 balance);
    function transfer(address to, uint256 value) returns (bool ok);
    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
        uint8 v, bytes32 r, bytes32 s
    );
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
}

/// A chain.
pub struct World {
    /// Keeps our own chain alive.
    own: Option<Devchain>,
    http: reqwest::Client,
    pub url: String,
    pub chain: ChainId,
    pub asset: Asset,
}

impl World {
    pub async fn start() -> Self {
        Self::start_as(ChainId::BASE_SEPOLIA).await
    }

    /// A chain of our own with this id, or the node there is, whatever its id.
    pub async fn start_as(chain: ChainId) -> Self {
        let (own, url) = match std::env::var("FAREGATE_TEST_RPC") {
            Ok(url) => (None, url),
            Err(_) => {
                let config = ChainConfig {
                    chain_id: chain.get(),
                    finality_depth: 100,
                    ..ChainConfig::default()
                };
                let chain = Devchain::start(config).await.unwrap();
                let url = chain.rpc_url();
                (Some(chain), url)
            }
        };
        let mut world = Self::over(own, url, chain);
        let id: U64 = world.rpc("eth_chainId", json!([])).await;
        world.chain = ChainId::new(id.to()).unwrap();
        world.asset = usdc(world.chain);
        if world.own.is_none() {
            world.place_contracts().await;
        }
        world
    }

    fn over(own: Option<Devchain>, url: String, chain: ChainId) -> Self {
        // Makes sure there is a TLS provider before the first client is built.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            own,
            http,
            url,
            chain,
            asset: usdc(chain),
        }
    }

    /// A chain of our own with the contracts of the credit network, whatever else there is.
    pub async fn with_credit(chain: ChainId, credit: CreditConfig) -> Self {
        let config = ChainConfig {
            chain_id: chain.get(),
            credit: Some(credit),
            ..ChainConfig::default()
        };
        let own = Devchain::start(config).await.unwrap();
        let url = own.rpc_url();
        Self::over(Some(own), url, chain)
    }

    /// One JSON-RPC call that must work.
    pub async fn rpc<T: serde::de::DeserializeOwned>(&self, method: &str, params: Value) -> T {
        let answer = self.try_rpc(method, params).await;
        let result = answer
            .get("result")
            .unwrap_or_else(|| panic!("{method}: {answer}"));
        serde_json::from_value(result.clone()).unwrap()
    }

    pub async fn try_rpc(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(&self.url).json(&call).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Puts the test token and Multicall3 onto a node that does not have them.
    async fn place_contracts(&self) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let _turn = ONE_AT_A_TIME.lock().await;
        self.place(MULTICALL3, artifact("Multicall3", "deployedBytecode"))
            .await;
        let settler = artifact("BatchSettler", "deployedBytecode");
        self.place(BATCH_SETTLER, settler).await;
        let token = self.asset.id.token();
        let domain = &self.asset.domain;
        if !self.code(token).await.is_empty() {
            return;
        }
        // The constructor runs at the token's own address: what a call returns there is the code to leave.
        let arguments = (
            domain.name.to_string(),
            domain.version.to_string(),
            self.asset.symbol.to_string(),
            U256::from(6),
        )
            .abi_encode_params();
        let creation = [
            artifact("TestUsdc", "bytecode").as_ref(),
            arguments.as_slice(),
        ]
        .concat();
        self.place(token, creation.into()).await;
        let runtime: Bytes = self
            .rpc("eth_call", json!([{ "to": token }, "latest"]))
            .await;
        self.place(token, runtime).await;
    }

    pub async fn place(&self, at: Address, code: Bytes) {
        self.rpc::<Value>("anvil_setCode", json!([at, code])).await;
    }

    pub async fn code(&self, at: Address) -> Bytes {
        self.rpc("eth_getCode", json!([at, "latest"])).await
    }

    /// A new key with test tokens and without ether.
    pub async fn payer(&self) -> LocalSigner {
        let payer = new_key();
        self.mint(payer.address(), FUNDS).await;
        payer
    }

    /// A new key with ether to pay gas with.
    pub async fn gas_payer(&self) -> LocalSigner {
        let signer = new_key();
        self.give_ether(signer.address(), U256::from(10).pow(U256::from(18)))
            .await;
        signer
    }

    pub async fn give_ether(&self, to: Address, wei: U256) {
        self.rpc::<Value>("anvil_setBalance", json!([to, wei]))
            .await;
    }

    pub async fn mint(&self, to: Address, value: u64) {
        let value = U256::from(value);
        self.send(mintCall { to, value }.abi_encode()).await;
    }

    /// Calls the token from one of the node's own accounts and waits until it is mined. True when it succeeded.
    pub async fn send(&self, data: Vec<u8>) -> bool {
        self.send_from(self.bank(), data).await.1
    }

    /// One of the node's accounts, with ether and tokens.
    pub fn bank(&self) -> Address {
        // Any but the first, which other programs like to use.
        static TURN: AtomicUsize = AtomicUsize::new(1);
        let accounts = Devchain::accounts();
        accounts[TURN.fetch_add(1, Ordering::Relaxed) % 5 + 1].address
    }

    pub async fn send_from(&self, from: Address, data: Vec<u8>) -> (B256, bool) {
        let token = self.asset.id.token();
        let receipt = self.transact(from, token, data.into(), 200_000).await;
        let hash = serde_json::from_value(receipt["transactionHash"].clone()).unwrap();
        (hash, receipt["status"] == "0x1")
    }

    /// Sends a transaction from an account of the node and answers its receipt.
    pub async fn transact(&self, from: Address, to: Address, data: Bytes, gas: u64) -> Value {
        let call = json!({ "from": from, "to": to, "data": data, "gas": U64::from(gas) });
        let hash = self.submit(call).await;
        self.receipt(hash).await
    }

    /// Sends a transaction from an account of the node. One at a time: of two that reach anvil together from one account,
    /// both get the same nonce, and one takes the other's place.
    pub async fn submit(&self, call: Value) -> B256 {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let _turn = ONE_AT_A_TIME.lock().await;
        self.rpc("eth_sendTransaction", json!([call])).await
    }

    pub async fn receipt(&self, hash: B256) -> Value {
        for _ in 0..500 {
            let receipt: Value = self.rpc("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no receipt for {hash}");
    }

    pub async fn transaction_nonce(&self, hash: &str) -> u64 {
        let transaction: Value = self.rpc("eth_getTransactionByHash", json!([hash])).await;
        let nonce: U64 = serde_json::from_value(transaction["nonce"].clone()).unwrap();
        nonce.to()
    }

    /// How many transactions an account has sent.
    pub async fn sent_by(&self, account: Address) -> u64 {
        let nonce: U64 = self
            .rpc("eth_getTransactionCount", json!([account, "latest"]))
            .await;
        nonce.to()
    }

    pub async fn balance(&self, account: Address) -> U256 {
        let data = Bytes::from(balanceOfCall { account }.abi_encode());
        let call = json!({ "to": self.asset.id.token(), "data": data });
        self.rpc("eth_call", json!([call, "latest"])).await
    }

    /// True on a chain of our own, where nobody else sends anything.
    pub const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    pub async fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.rpc::<Value>("evm_mine", json!([])).await;
        }
    }

    /// Seconds since the epoch, as the newest block says.
    pub async fn chain_time(&self) -> u64 {
        let head: Value = self
            .rpc("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        let time: U64 = serde_json::from_value(head["timestamp"].clone()).unwrap();
        time.to()
    }

    /// A payment of [`PRICE`] that is right in every respect.
    pub fn payment(&self, payer: &LocalSigner) -> Payment {
        let domain = self.asset.domain.clone();
        Payment {
            key: payer.clone(),
            authorization: Authorization {
                from: payer.address(),
                to: PAYEE,
                value: U256::from(PRICE),
                valid_after: U256::ZERO,
                valid_before: U256::from(FAR),
                nonce: random_nonce(&mut OsEntropy).unwrap(),
            },
            signed_domain: domain.clone(),
            signed_chain: self.chain,
            signed_token: self.asset.id.token(),
            signature: None,
            scheme: "exact",
            network: self.chain,
            amount: PRICE,
            asset: self.asset.id.token(),
            pay_to: PAYEE,
            domain: Some(domain),
        }
    }

    /// The configuration of a facilitator for this chain.
    pub fn config(&self) -> NetworkConfig {
        self.config_at(&self.url)
    }

    /// The same, asking the node at another URL.
    pub fn config_at(&self, url: &str) -> NetworkConfig {
        let mut config =
            NetworkConfig::new(self.chain, url.parse().unwrap(), vec![self.asset.clone()]);
        config.receipt_wait = Duration::from_secs(15);
        config
    }

    /// A configuration for payments that leave together: whoever comes within a moment goes along.
    pub fn batching_at(&self, url: &str) -> NetworkConfig {
        let mut config = self.config_at(url);
        config.batch_settler = Some(BATCH_SETTLER);
        config.batch_wait = Duration::from_millis(300);
        // Nobody makes blocks here but the transactions, so what is reverted is believed at once.
        config.confirmations_final = 0;
        config
    }

    /// A facilitator with a signer of its own.
    pub async fn facilitator(&self) -> ExactFacilitator {
        self.connect(self.config(), self.gas_payer().await).await
    }

    pub async fn connect(&self, config: NetworkConfig, signer: LocalSigner) -> ExactFacilitator {
        ExactFacilitator::builder()
            .network(config)
            .signer(signer)
            .connect()
            .await
            .unwrap()
    }

    /// Submits an authorization as anybody can; the hash of the transaction, which must succeed.
    pub async fn run_ahead(&self, payment: &Payment) -> B256 {
        let a = payment.authorization;
        let signature = payment.signature();
        let call = transferWithAuthorizationCall {
            from: a.from,
            to: a.to,
            value: a.value,
            validAfter: a.valid_after,
            validBefore: a.valid_before,
            nonce: a.nonce,
            v: signature[64],
            r: B256::from_slice(&signature[..32]),
            s: B256::from_slice(&signature[32..64]),
        };
        let (hash, succeeded) = self.send_from(self.bank(), call.abi_encode()).await;
        assert!(succeeded);
        hash
    }

    /// Withdraws an authorization in its payer's name.
    pub async fn cancel(&self, payment: &Payment) {
        let a = payment.authorization;
        let type_hash =
            alloy_primitives::keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        let message = alloy_primitives::keccak256((type_hash, a.from, a.nonce).abi_encode());
        let separator =
            faregate_types::domain_separator(&self.asset.domain, self.chain, self.asset.id.token());
        let digest = faregate_types::eip712::digest(separator, message);
        let signature = payment.key.sign_now(digest).unwrap();
        let call = cancelAuthorizationCall {
            authorizer: a.from,
            nonce: a.nonce,
            v: signature.v,
            r: signature.r,
            s: signature.s,
        };
        assert!(self.send(call.abi_encode()).await);
    }
}

/// A trail that remembers, and can be told to fail.
#[derive(Default)]
pub struct Notes {
    pub hashes: std::sync::Mutex<Vec<String>>,
    pub fails: bool,
    pub hangs: bool,
    /// Fails after so many.
    pub good_for: Option<usize>,
}

impl Notes {
    pub fn failing() -> Self {
        Self {
            fails: true,
            ..Self::default()
        }
    }

    pub fn good_for(count: usize) -> Self {
        Self {
            good_for: Some(count),
            ..Self::default()
        }
    }

    pub fn hanging() -> Self {
        Self {
            hangs: true,
            ..Self::default()
        }
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.hashes.lock().unwrap())
    }
}

impl Trail for Notes {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        Box::pin(async move {
            let count = {
                let mut hashes = self.hashes.lock().unwrap();
                hashes.push(transaction.to_owned());
                hashes.len()
            };
            if self.hangs {
                std::future::pending::<()>().await;
            }
            if self.fails || self.good_for.is_some_and(|good| count > good) {
                Err(Away {
                    code: Code::StoreUnavailable,
                })
            } else {
                Ok(())
            }
        })
    }
}

/// What settled, or the test fails.
pub fn settled(outcome: &SettleOutcome) -> &Settlement {
    match outcome {
        SettleOutcome::Settled(settlement) => settlement,
        SettleOutcome::Failed(_) | SettleOutcome::Unknown(_) => {
            panic!("expected settled: {outcome:?}")
        }
    }
}

/// The transaction that settled.
pub fn transaction(outcome: &SettleOutcome) -> String {
    settled(outcome).transaction.as_deref().unwrap().to_owned()
}

/// Why it failed, or the test fails.
pub fn failed(outcome: &SettleOutcome) -> Code {
    match outcome {
        SettleOutcome::Failed(refusal) => refusal.code,
        SettleOutcome::Settled(_) | SettleOutcome::Unknown(_) => {
            panic!("expected failed: {outcome:?}")
        }
    }
}

/// What is unknown and which transaction, or the test fails.
pub fn unknown(outcome: &SettleOutcome) -> (Code, Option<String>) {
    match outcome {
        SettleOutcome::Unknown(unknown) => (
            unknown.code,
            unknown.transaction.as_deref().map(str::to_owned),
        ),
        SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => {
            panic!("expected unknown: {outcome:?}")
        }
    }
}

/// Settles in the form of version 2 with a trail that keeps notes.
pub async fn settle(facilitator: &ExactFacilitator, payment: &Payment) -> SettleOutcome {
    facilitator.settle(&payment.v2(), &Notes::default()).await
}

pub fn new_key() -> LocalSigner {
    let bytes = random_nonce(&mut OsEntropy).unwrap();
    LocalSigner::new(SecretKey::from_bytes(bytes.0).unwrap()).unwrap()
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn usdc(chain: ChainId) -> Asset {
    let mut asset = AssetRegistry::builtin().default_for(chain).unwrap().clone();
    asset.symbol = Cow::Borrowed("USDC");
    asset
}

pub fn artifact(contract: &str, field: &str) -> Bytes {
    let path = format!(
        "{}/../../contracts/artifacts/{contract}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    json[field].as_str().unwrap().parse().unwrap()
}
