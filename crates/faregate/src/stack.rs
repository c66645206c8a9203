//! The whole stack in one call: dev chain, Lightning wallets, facilitator, gate, and a sample API behind it. What `demo` and
//! `dev` run, and what tests of the whole run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use alloy_primitives::Address;
use faregate_core::port::Issuer;
use faregate_core::rail::l402::Revocations;
use faregate_devnet::chain::{BATCH_SETTLER, CreditTiming};
use faregate_devnet::{
    ChainConfig, DevAccount, DevLightning, Devchain, LightningConfig, WalletName,
};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig};
use faregate_ledger::RevokedName;
use faregate_server::facilitator::{CreditNetworks, FacilitatorServer, Settings};
use faregate_server::gateway::{Events, Gateway};
use faregate_server::http::{self, Running};
use faregate_store::memory::MemoryLedger;
use faregate_types::{Asset, AssetRegistry, ChainId, PaymentId, SecretKey};
use url::Url;

use crate::exit::{Exit, Failed};
use crate::seller::Seller;
use crate::wire;

mod credit;
mod gate;

pub use credit::DevCredit;
use credit::{DevCreditConfig, Ground};

/// Places of the well-known dev accounts.
const SIGNER: usize = 0;
const PAYER: usize = 1;
const PAYEE: usize = 9;

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The chain. Known ones have the test USDC at the official address.
    pub chain: ChainId,
    /// Where everything listens.
    pub bind: IpAddr,
    /// Port of the gate; 0 picks one.
    pub gate_port: u16,
    /// Port of the facilitator; 0 picks one.
    pub facilitator_port: u16,
    /// Port of the dev chain; 0 picks one.
    pub rpc_port: u16,
    /// Port of the Lightning wallets' REST API; 0 picks one.
    pub lnd_port: u16,
    /// Port of the credit core; 0 picks one, and `None` takes 3000 if nobody has it.
    pub credit_port: Option<u16>,
    /// The four times of the credit contract.
    pub credit_timing: CreditTiming,
    /// Whether everybody has to sign in at the credit core.
    pub credit_sign_in: bool,
    /// A node to use instead of the dev chain.
    pub rpc_url: Option<Url>,
}

impl Default for StackConfig {
    /// Base Sepolia's chain id on free ports of the loopback interface.
    fn default() -> Self {
        Self {
            chain: ChainId::BASE_SEPOLIA,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            gate_port: 0,
            facilitator_port: 0,
            rpc_port: 0,
            lnd_port: 0,
            credit_port: Some(0),
            credit_timing: DevCredit::timing(),
            credit_sign_in: false,
            rpc_url: None,
        }
    }
}

/// Everything, running.
#[derive(Debug)]
pub struct Stack {
    /// The chain everything settles on.
    pub chain: ChainId,
    /// The asset that is paid with.
    pub asset: Asset,
    /// The gate's ledger.
    pub ledger: Arc<MemoryLedger>,
    /// What happens at the gate, for whoever listens.
    pub events: Events,
    rpc_url: Url,
    devchain: Option<Arc<Devchain>>,
    lightning: DevLightning,
    credit: Result<DevCredit, String>,
    seller: Seller,
    facilitator: Running,
    gate: Running,
    token_path: Option<String>,
    permit_settler: Option<Address>,
    revocations: Arc<Revocations>,
}

impl Stack {
    /// Starts everything; returns when everything answers.
    ///
    /// # Errors
    /// A port that is taken, a chain without a known asset, a node that is not the chain it should be.
    pub async fn start(config: StackConfig) -> Result<Self, Failed> {
        let chain = config.chain;
        let asset = AssetRegistry::builtin()
            .default_for(chain)
            .cloned()
            .ok_or_else(|| {
                Failed::usage(format!("no test asset is known for {chain}"))
                    .hint("try 84532, 8453, 11155111 or 31337")
            })?;
        let devchain = match config.rpc_url {
            Some(_) => None,
            None => Some(Arc::new(start_chain(&config).await?)),
        };
        let lightning = start_lightning(&config).await?;
        let rpc_url = match (&config.rpc_url, &devchain) {
            (Some(url), _) => url.clone(),
            (None, Some(devchain)) => url(&devchain.rpc_url())?,
            (None, None) => return Err(Failed::new(Exit::Failure, "there is no chain")),
        };
        let credit_key = random_key()?;
        let credit = start_credit(&config, &asset, &rpc_url, &credit_key).await?;
        // The dev chain has it; somebody's node need not.
        let settler = devchain.as_ref().map(|_| BATCH_SETTLER);
        let settling = settling(chain, &rpc_url, &asset, settler).await?;
        let facilitator = start_facilitator(&config, &settling, credit.as_ref().ok(), &rpc_url);
        let facilitator = facilitator.await?;
        let seller = Seller::start(config.bind).await?;
        let ledger = Arc::new(MemoryLedger::new());
        let listener = http::listen(SocketAddr::new(config.bind, config.gate_port))
            .await
            .map_err(start_failed)?;
        let places = (listener.local_addr()?, seller.addr());
        let on_credit = credit
            .as_ref()
            .ok()
            .map(|core| (core, &rpc_url, &*credit_key));
        let (settings, env) = gate::config(&config, places, &lightning, on_credit)?;
        let events = Events::default();
        let (deps, revocations) = gate::deps(&settings, &env, settling, &ledger, &events).await?;
        let permits = deps.permits.as_ref();
        let permit_settler = permits
            .zip(payee())
            .and_then(|(permits, payee)| permits.settler(chain, payee.address));
        let token_path = permits.map(|permits| permits.endpoint().to_string());
        let gate = Gateway::start_on(listener, settings, deps)
            .await
            .map_err(start_failed)?;
        Ok(Self {
            chain,
            asset,
            ledger,
            events,
            rpc_url,
            devchain,
            lightning,
            credit,
            seller,
            facilitator,
            gate,
            token_path,
            permit_settler,
            revocations,
        })
    }

    /// Where the gate is, e.g. `http://127.0.0.1:4021`.
    #[must_use]
    pub fn gate_url(&self) -> String {
        format!("http://{}", self.gate.addr())
    }

    /// Where access tokens are sold for permits.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<String> {
        let path = self.token_path.as_ref()?;
        Some(format!("{}{path}", self.gate_url()))
    }

    /// The contract that collects permits for the payee.
    #[must_use]
    pub const fn permit_settler(&self) -> Option<Address> {
        self.permit_settler
    }

    /// Makes the token of a payment worthless, as `faregate token revoke` does. True when it was good before.
    ///
    /// # Errors
    /// When the gate's books do not take it.
    pub async fn revoke(&self, payment: PaymentId) -> Result<bool, Failed> {
        let name = RevokedName::from_bytes(*payment.as_bytes());
        let new = self.revocations.revoke(name, wire::clock().now()).await;
        new.map_err(|away| Failed::new(Exit::Failure, "it was not revoked").code(away.code))
    }

    /// Where the facilitator is.
    #[must_use]
    pub fn facilitator_url(&self) -> String {
        format!("http://{}", self.facilitator.addr())
    }

    /// Where the chain's JSON-RPC is.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        self.rpc_url.to_string().trim_end_matches('/').to_owned()
    }

    /// The dev chain, unless another node is used.
    #[must_use]
    pub fn devchain(&self) -> Option<&Devchain> {
        self.devchain.as_deref()
    }

    /// The Lightning network.
    #[must_use]
    pub const fn lightning(&self) -> &DevLightning {
        &self.lightning
    }

    /// The credit core, where the chain has its contract; or why it has not.
    ///
    /// # Errors
    /// A sentence: only on somebody's node.
    pub fn credit(&self) -> Result<&DevCredit, &str> {
        self.credit.as_ref().map_err(String::as_str)
    }

    /// How often the sample API really ran its `/joke`.
    #[must_use]
    pub fn jokes_told(&self) -> u64 {
        self.seller.jokes()
    }

    /// Addresses and keys as `NAME`, `value`. The keys are the well-known ones of every dev chain.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("FAREGATE_RPC_URL", self.rpc_url()),
            ("FAREGATE_CHAIN_ID", self.chain.get().to_string()),
            ("FAREGATE_USDC", self.asset.id.token().to_string()),
            ("FAREGATE_GATE_URL", self.gate_url()),
            ("FAREGATE_FACILITATOR_URL", self.facilitator_url()),
        ];
        let settler = self.permit_settler.map(|settler| settler.to_string());
        for (name, value) in [
            ("FAREGATE_TOKEN_ENDPOINT", self.token_endpoint()),
            ("FAREGATE_PERMIT_SETTLER", settler),
        ] {
            lines.extend(value.map(|value| (name, value)));
        }
        for (account, key, address) in [
            (payer(), "FAREGATE_PAYER_KEY", "FAREGATE_PAYER_ADDRESS"),
            (payee(), "FAREGATE_PAYEE_KEY", "FAREGATE_PAYEE_ADDRESS"),
        ] {
            if let Some(account) = account {
                lines.push((key, account.private_key.to_owned()));
                lines.push((address, account.address.to_string()));
            }
        }
        lines.push(("FAREGATE_LND_REST", self.lightning.rest_url()));
        for (wallet, name) in [
            (WalletName::Payer, "FAREGATE_LND_MACAROON_PAYER"),
            (WalletName::Seller, "FAREGATE_LND_MACAROON_SELLER"),
        ] {
            lines.push((name, self.lightning.macaroon(wallet)));
        }
        lines.extend(self.credit.iter().flat_map(DevCredit::env));
        lines
    }

    /// Stops everything, the gate first, so that what was claimed is finished.
    pub async fn shutdown(self) {
        self.gate.shutdown().await;
        self.facilitator.shutdown().await;
        if let Ok(credit) = self.credit {
            credit.shutdown().await;
        }
        self.seller.shutdown().await;
        self.lightning.shutdown().await;
        if let Some(devchain) = self.devchain.and_then(Arc::into_inner) {
            devchain.shutdown().await;
        }
    }
}

/// The account that pays in `demo` and `dev`.
#[must_use]
pub fn payer() -> Option<&'static DevAccount> {
    Devchain::accounts().get(PAYER)
}

/// The account that is paid.
#[must_use]
pub fn payee() -> Option<&'static DevAccount> {
    Devchain::accounts().get(PAYEE)
}

/// The account that says what work was worth.
#[must_use]
pub fn validator() -> Option<&'static DevAccount> {
    Devchain::accounts().get(credit::VALIDATOR)
}

/// Signs as a dev account.
pub(crate) fn signer(account: Option<&DevAccount>) -> Result<LocalSigner, Failed> {
    signer_of(account.map_or("", |account| account.private_key))
}

fn signer_of(key: &str) -> Result<LocalSigner, Failed> {
    let key = SecretKey::from_hex(key).ok();
    key.and_then(|key| LocalSigner::new(key).ok())
        .ok_or_else(|| Failed::new(Exit::Failure, "the dev chain has no signer"))
}

async fn start_chain(config: &StackConfig) -> Result<Devchain, Failed> {
    let chain = ChainConfig {
        chain_id: config.chain.get(),
        bind: SocketAddr::new(config.bind, config.rpc_port),
        credit: Some(DevCredit::on_chain(config.credit_timing)?),
        ..ChainConfig::default()
    };
    Devchain::start(chain).await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string()).hint("another port: --rpc-port 0")
    })
}

/// The credit core, or why its contract cannot be on somebody's node; the rest works without.
async fn start_credit(
    config: &StackConfig,
    asset: &Asset,
    rpc_url: &Url,
    gate_key: &str,
) -> Result<Result<DevCredit, String>, Failed> {
    let ground = match &config.rpc_url {
        None => Ground::dev_chain(),
        Some(_) => {
            let (chain, token) = (config.chain, asset.id.token());
            match Ground::on_node(chain, rpc_url, token, config.credit_timing).await {
                Ok(ground) => ground,
                Err(why) => return Ok(Err(why.message)),
            }
        }
    };
    let credit = DevCreditConfig {
        chain: config.chain,
        rpc_url,
        ground,
        place: (config.bind, config.credit_port),
        sign_in: config.credit_sign_in,
        gate: signer_of(gate_key)?.address(),
    };
    DevCredit::start(credit).await.map(Ok)
}

/// The facilitator's API, which stands before the credit core too.
async fn start_facilitator(
    config: &StackConfig,
    settling: &ExactFacilitator,
    credit: Option<&DevCredit>,
    rpc_url: &Url,
) -> Result<Running, Failed> {
    let issuers = credit.iter().map(|credit| {
        let issuer = credit.issuer(config.chain, rpc_url)?;
        Ok(Arc::new(issuer) as Arc<dyn Issuer>)
    });
    let issuers = issuers.collect::<Result<_, Failed>>()?;
    FacilitatorServer::start_with(
        SocketAddr::new(config.bind, config.facilitator_port),
        Arc::new(settling.clone()),
        Arc::new(MemoryLedger::new()),
        wire::clock(),
        Settings::default().credit(CreditNetworks::new(issuers)),
    )
    .await
    .map_err(start_failed)
}

async fn start_lightning(config: &StackConfig) -> Result<DevLightning, Failed> {
    let lightning = LightningConfig {
        bind: SocketAddr::new(config.bind, config.lnd_port),
        ..LightningConfig::default()
    };
    DevLightning::start(lightning).await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string()).hint("another port: --lnd-port 0")
    })
}

/// One facilitator for the gate and for the facilitator's API: they share a signer, and a signer has one lane.
async fn settling(
    chain: ChainId,
    rpc_url: &Url,
    asset: &Asset,
    batch_settler: Option<Address>,
) -> Result<ExactFacilitator, Failed> {
    let signer = signer(Devchain::accounts().get(SIGNER))?;
    let mut network = NetworkConfig::new(chain, rpc_url.clone(), vec![asset.clone()]);
    network.batch_settler = batch_settler;
    ExactFacilitator::builder()
        .network(network)
        .signer(signer)
        .connect()
        .await
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()))
}

/// What the tokens of this run are signed with.
fn random_key() -> Result<String, Failed> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|_| Failed::new(Exit::Failure, "the system gives no random numbers"))?;
    Ok(hex::encode(key))
}

fn url(text: &str) -> Result<Url, Failed> {
    Url::parse(text).map_err(|error| Failed::new(Exit::Failure, error.to_string()))
}

fn start_failed(error: impl std::fmt::Display) -> Failed {
    Failed::new(Exit::Failure, error.to_string()).hint("is the port taken? 0 picks a free one")
}
