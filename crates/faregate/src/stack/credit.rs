//! The credit core of `demo` and `dev`: its contract on the dev chain or on somebody's node, books in memory, short times.

mod clockwork;
mod ground;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use faregate_client::credit::{CoreIssuer, CreditClient, ReqIds};
use faregate_devnet::chain::{CreditConfig, CreditTiming, DevAccount, Devchain};
use faregate_evm::credit::{Confirmation, CreditFollowConfig, CreditOperatorConfig};
use faregate_evm::{Endpoint, NetworkConfig};
use faregate_server::config::StoreConfig;
use faregate_server::credit::{
    AuthSettings, Parameters, RateSettings, Role, Settings, Standing, TokenKey,
};
use faregate_types::credit::{AdminKey, BlsSecretKey};
use faregate_types::{Address, ChainId, Secret};
use tokio::task::JoinSet;
use url::Url;

use crate::exit::{Exit, Failed};
use crate::wire;
use crate::wire::credit::{CreditCore, CreditPlan};

use self::clockwork::Node;
pub(super) use self::ground::Ground;

/// Places of the well-known dev accounts. Each is used for one thing: two senders of one account would fight over its nonces.
const ADMIN: usize = 6;
const OPERATOR: usize = 7;
pub(super) const VALIDATOR: usize = 8;
/// Signs in as the facilitator and sends nothing: the facilitator's own.
const FACILITATOR: usize = super::SIGNER;

/// What guarantees of version 2 are given for at the sample gate: work of this agent, worth this score with this tag.
const AGENT: u64 = 7;
const MIN_SCORE: u8 = 80;
const TAG: &str = "joke";
const JOB: &str = "0x6a6f6b6500000000000000000000000000000000000000000000000000000001";

/// The key of every dev chain's certificates, as well known as those of its accounts.
const BLS_KEY: &str = "000000000000000000000000000000000000000000000000000000000fa7e6a7";

/// What the administrator's key of every dev chain follows from.
const ADMIN_SEED: &str = "faregate dev";

/// Where SDKs look for a credit core when nobody says where it is.
const PORT: u16 = 3000;

/// Whoever reads the env file finds a core that follows the chain, unless the chain takes longer than this.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// A chain on this machine is looked at this often.
const POLL: Duration = Duration::from_millis(200);

/// The credit core, running, and what one has to know to use it.
#[derive(Debug)]
pub struct DevCredit {
    core: CreditCore,
    ground: Ground,
    clockwork: JoinSet<()>,
}

/// What is different from one to the next.
pub(super) struct DevCreditConfig<'a> {
    pub(super) chain: ChainId,
    pub(super) rpc_url: &'a Url,
    pub(super) ground: Ground,
    /// The port as in [`StackConfig`](super::StackConfig).
    pub(super) place: (IpAddr, Option<u16>),
    /// Whether everybody has to sign in.
    pub(super) sign_in: bool,
    /// As whom the gate signs in.
    pub(super) gate: Address,
}

impl DevCredit {
    /// Short times for people who wait: five seconds until a certificate may be redeemed, five minutes until it may not.
    #[must_use]
    pub const fn timing() -> CreditTiming {
        CreditTiming {
            remuneration_grace: 5,
            tab_expiration: 300,
            synchronization_delay: 5,
            withdrawal_grace: 306,
        }
    }

    /// What the dev chain needs so that its contract believes this core.
    pub(super) fn on_chain(timing: CreditTiming) -> Result<CreditConfig, Failed> {
        Ok(CreditConfig {
            verification_key: key()?.public_key().words(),
            operator: account(OPERATOR)?.address,
            admin: account(ADMIN)?.address,
            timing,
        })
    }

    /// Starts the core of this chain.
    pub(super) async fn start(config: DevCreditConfig<'_>) -> Result<Self, Failed> {
        let DevCreditConfig {
            chain,
            rpc_url,
            ground,
            place: (bind, port),
            sign_in,
            gate,
        } = config;
        let endpoint = Endpoint::Http(rpc_url.clone());
        let mut follow = CreditFollowConfig::new(chain, endpoint, ground.contract);
        follow.deployed_at = ground.deployed_at;
        follow.confirmation = Confirmation::Depth(0);
        follow.poll = POLL;
        // One who pays for many things at once does not wait for itself.
        follow.policy.req_ids = ReqIds::Reserved;
        let network = NetworkConfig::new(chain, rpc_url.clone(), Vec::new());
        let operator = CreditOperatorConfig::new(network, ground.contract);
        let broken = |what: &str| Failed::new(Exit::Failure, what);
        let signer = super::signer(Some(account(OPERATOR)?))?;
        let bind = SocketAddr::new(bind, free_port(bind, port)?);
        let token_key = super::random_key()?;
        let key_of_tokens = TokenKey::new(token_key.as_bytes())
            .ok_or_else(|| broken("the key of access tokens is too short"))?;
        let memory = StoreConfig::File(":memory:".into());
        let plan = CreditPlan {
            bind,
            follow,
            operator: (operator, signer),
            books: wire::credit_books(&memory, chain).await?,
            key: key()?,
            admin_seed: Some(Secret::new(ADMIN_SEED.as_bytes().to_vec())),
            settings: Settings {
                parameters: parameters(chain, rpc_url, &ground),
                auth: auth(bind, key_of_tokens, sign_in, gate),
                rates: RateSettings::default(),
                origins: Vec::new(),
                proxies: Vec::new(),
                shutdown: Duration::from_secs(5),
            },
        };
        let core = CreditCore::start(plan).await?;
        core.followed(FOLLOWED_WITHIN).await;
        let mut clockwork = JoinSet::new();
        clockwork.spawn(clockwork::keep_time(
            Node::new(rpc_url)?,
            Arc::clone(&core.books),
        ));
        Ok(Self {
            core,
            ground,
            clockwork,
        })
    }

    /// The core as the facilitator sees it, who signs in with a key that acts for others.
    pub(super) fn issuer(&self, chain: ChainId, rpc_url: &Url) -> Result<CoreIssuer, Failed> {
        let builder = CreditClient::builder()
            .service(super::url(&self.url())?)
            .node(rpc_url.clone())
            .contract(self.contract())
            .signer(super::signer(Some(account(FACILITATOR)?))?)
            .sign_in();
        Ok(CoreIssuer::new(builder, chain))
    }

    /// What the sample gate says about credit: guarantees of version 1, and of version 2 on a validation in the dev registry.
    pub(super) fn gate_config(&self, chain: ChainId, rpc_url: &Url) -> String {
        let validator = account(VALIDATOR).map(|account| account.address);
        format!(
            r#"
[gate.credit.condition]
registry = "{registry}"
validator = "{validator}"
agent_id = {AGENT}
min_score = {MIN_SCORE}
tag = "{TAG}"
job_hash = "{JOB}"

[[gate.credit.core]]
network = "{chain}"
url = "{url}"
rpc_url = "{rpc_url}"
contract = "{contract}"
key = "env:CREDIT_KEY"
plain_http = true
"#,
            registry = self.ground.registry,
            validator = validator.unwrap_or_default(),
            url = self.url(),
            contract = self.contract(),
        )
    }

    /// Where its API is.
    #[must_use]
    pub fn url(&self) -> String {
        self.core.url()
    }

    /// The contract that holds collateral.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.ground.contract
    }

    /// Addresses and keys as `NAME`, `value`.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("FAREGATE_CREDIT_URL", self.url()),
            ("FAREGATE_CREDIT_CONTRACT", self.contract().to_string()),
            (
                "FAREGATE_ADMIN_API_KEY",
                AdminKey::bootstrap(ADMIN_SEED.as_bytes())
                    .to_text()
                    .to_string(),
            ),
            (
                "FAREGATE_VALIDATION_REGISTRY",
                self.ground.registry.to_string(),
            ),
        ];
        for (place, address, key) in [
            (
                VALIDATOR,
                "FAREGATE_VALIDATOR_ADDRESS",
                "FAREGATE_VALIDATOR_KEY",
            ),
            (
                ADMIN,
                "FAREGATE_CREDIT_ADMIN_ADDRESS",
                "FAREGATE_CREDIT_ADMIN_KEY",
            ),
        ] {
            if let Ok(account) = account(place) {
                lines.push((address, account.address.to_string()));
                lines.push((key, account.private_key.to_owned()));
            }
        }
        lines
    }

    /// Stops it, and lets go of the chain.
    pub(super) async fn shutdown(mut self) {
        self.clockwork.shutdown().await;
        let (service, behind) = self.core.split();
        service.shutdown().await;
        behind.stop().await;
    }
}

fn account(place: usize) -> Result<&'static DevAccount, Failed> {
    let account = Devchain::accounts().get(place);
    account.ok_or_else(|| Failed::new(Exit::Failure, "the dev chain has too few accounts"))
}

fn key() -> Result<BlsSecretKey, Failed> {
    BlsSecretKey::from_hex(BLS_KEY)
        .map_err(|error| Failed::new(Exit::Failure, format!("the key of certificates: {error}")))
}

/// This port, or the usual one unless somebody has it, or any: known before anything is started, because what wallets sign names it.
fn free_port(bind: IpAddr, wanted: Option<u16>) -> Result<u16, Failed> {
    let any = |port| std::net::TcpListener::bind((bind, port)).and_then(|taken| taken.local_addr());
    let found = match wanted {
        Some(0) => any(0)?,
        Some(port) => return Ok(port),
        None => any(PORT).or_else(|_| any(0))?,
    };
    Ok(found.port())
}

fn parameters(chain: ChainId, rpc_url: &Url, ground: &Ground) -> Parameters {
    Parameters {
        chain,
        contract: ground.contract,
        node_url: rpc_url.as_str().trim_end_matches('/').into(),
        eip712_name: "4mica".into(),
        eip712_version: "1".into(),
        tokens: Vec::new(),
        registries: vec![ground.registry],
    }
}

/// Who signs in is told apart, whether or not everybody has to.
fn auth(bind: SocketAddr, key: TokenKey, required: bool, gate: Address) -> AuthSettings {
    let facilitator = account(FACILITATOR).ok().map(|account| account.address);
    let act_for_others = facilitator.into_iter().chain([gate]).map(|address| {
        let standing = Standing {
            role: Role::Facilitator,
            ..Standing::default()
        };
        (address, standing)
    });
    let wallets = act_for_others.collect();
    AuthSettings {
        required,
        key,
        issuer: "4mica-core".into(),
        audience: "4mica".into(),
        domain: bind.to_string().into(),
        uri: format!("http://{bind}").into(),
        statement: "Sign in to the credit core.".into(),
        nonce_ttl_secs: 300,
        access_ttl_secs: 900,
        refresh_ttl_secs: 2_592_000,
        wallets,
    }
}
