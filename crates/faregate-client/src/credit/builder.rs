//! A credit client in the making.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::{NoTrail, Trail};
use faregate_evm::{Account, NetworkConfig, Signer, Transport};
use faregate_http::{BaseUrl, Http, PlainHttp, Trust};
use faregate_types::credit::api::{Hidden, PublicParams};
use faregate_types::{Address, ChainId, U256};
use reqwest::header::HeaderMap;
use url::Url;

use super::checker::Checker;
use super::client::{CreditClient, Inner};
use super::error::{ConfigFault, CreditError};
use super::http::{Service, is_this_machine};
use super::network::CreditNetwork;
use super::rpc::{Auth, CreditRpc};
use super::session::Session;
use super::terms::{Pins, Terms};
use crate::limits;

/// A credit client in the making; see [`CreditClient::builder`]. A service and a key have no default.
#[derive(Clone)]
#[must_use]
pub struct CreditClientBuilder {
    service: Option<Url>,
    signer: Option<Arc<dyn Signer>>,
    node: Option<Node>,
    pins: Pins,
    auth: Wish,
    auth_url: Option<Url>,
    domain: Option<Box<str>>,
    margin: Duration,
    api_key: Option<Hidden>,
    trail: Arc<dyn Trail>,
    plain_http: PlainHttp,
    trust: Trust,
    timeout: Duration,
    receipt_wait: Duration,
    confirmations: u64,
}

/// How to say who calls.
#[derive(Clone)]
enum Wish {
    Open,
    Bearer(Hidden),
    SignIn,
}

#[derive(Clone)]
enum Node {
    Url(Url),
    InProcess(Arc<dyn Transport>),
}

impl fmt::Debug for CreditClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.signer.as_ref().map(|signer| signer.address());
        f.debug_struct("CreditClientBuilder")
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

impl CreditClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            service: None,
            signer: None,
            node: None,
            pins: Pins::default(),
            auth: Wish::Open,
            auth_url: None,
            domain: None,
            margin: limits::CREDIT_REFRESH_MARGIN,
            api_key: None,
            trail: Arc::new(NoTrail),
            plain_http: PlainHttp::ToThisMachine,
            trust: Trust::default(),
            timeout: limits::CREDIT_TIMEOUT,
            receipt_wait: limits::CREDIT_RECEIPT_WAIT,
            confirmations: 0,
        }
    }

    /// Where the service is; a path is kept.
    pub fn service(mut self, url: Url) -> Self {
        self.service = Some(url);
        self
    }

    /// A service by name. Its chain is pinned.
    pub fn network(mut self, network: CreditNetwork) -> Self {
        self.service = network.url.parse().ok();
        self.chain(network.chain)
    }

    /// Who signs: a [`LocalSigner`](super::LocalSigner), or a key that lives elsewhere.
    pub fn signer(mut self, signer: impl Signer) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// The node to ask and send through, in place of the one that the service names. With one's own node the service cannot
    /// lie about the contract.
    pub fn node(mut self, url: Url) -> Self {
        self.node = Some(Node::Url(url));
        self
    }

    /// The same in this process.
    pub fn transport(mut self, node: Arc<dyn Transport>) -> Self {
        self.node = Some(Node::InProcess(node));
        self
    }

    /// The only contract that collateral goes to.
    pub const fn contract(mut self, contract: Address) -> Self {
        self.pins.contract = Some(contract);
        self
    }

    /// The only chain.
    pub const fn chain(mut self, chain: ChainId) -> Self {
        self.pins.chain = Some(chain);
        self
    }

    /// Signs in with the key, at the service's own URL, when a call needs it. By default calls say nothing of who makes
    /// them.
    pub fn sign_in(mut self) -> Self {
        // A token that was given is more than the wish to get one.
        if matches!(self.auth, Wish::Open) {
            self.auth = Wish::SignIn;
        }
        self
    }

    /// Signs in elsewhere.
    pub fn sign_in_at(mut self, url: Url) -> Self {
        self.auth_url = Some(url);
        self.sign_in()
    }

    /// The name of the service in what is signed to sign in, if it is not the host of its URL. Other names are not signed,
    /// because the service could use the signature at theirs; only a service on this machine may have any name.
    pub fn sign_in_domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// How long before its end an access token is replaced; a minute by default.
    pub const fn refresh_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Sends this token with every call, in place of signing in. It may have `Bearer` before it.
    pub fn bearer_token(mut self, token: Hidden) -> Self {
        self.auth = Wish::Bearer(token);
        self
    }

    /// An administrator's key, sent with every call.
    pub fn admin_api_key(mut self, key: Hidden) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Where the hashes of transactions are recorded before they are sent. By default nowhere: a program that has to know
    /// after a crash what it sent gives one, and asks [`CreditClient::account`] about what it finds there.
    pub fn trail(mut self, trail: Arc<dyn Trail>) -> Self {
        self.trail = trail;
        self
    }

    /// Whether service and node may be asked over plain http on other machines.
    pub const fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// Whose certificates are believed.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Deadline of one call of the service.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a transaction is waited for before its end counts as unknown.
    pub const fn receipt_wait(mut self, wait: Duration) -> Self {
        self.receipt_wait = wait;
        self
    }

    /// How many blocks have to follow that of a transaction; none by default.
    pub const fn confirmations(mut self, blocks: u64) -> Self {
        self.confirmations = blocks;
        self
    }

    /// The service's API alone: for administrators and onlookers, who need no chain, and no key unless they sign in.
    ///
    /// # Errors
    /// [`CreditError::Config`].
    pub fn rpc(&self) -> Result<CreditRpc, CreditError> {
        let url = self.service.clone().ok_or(ConfigFault::NoService)?;
        let service = self.service_at(url.clone())?;
        let auth = match &self.auth {
            Wish::Open => Auth::Open,
            Wish::Bearer(token) => Auth::Bearer(token.clone()),
            Wish::SignIn => {
                let signer = self.signer.clone().ok_or(ConfigFault::NoSigner)?;
                let at = self.service_at(self.auth_url.clone().unwrap_or(url))?;
                let (domain, chain) = (self.domain.clone(), self.pins.chain);
                Auth::Session(Arc::new(Session::new(
                    at,
                    signer,
                    domain,
                    chain,
                    self.margin,
                )))
            }
        };
        Ok(CreditRpc::new(service, auth, self.api_key.clone()))
    }

    fn service_at(&self, url: Url) -> Result<Service, ConfigFault> {
        let base = BaseUrl::new(url, self.plain_http).map_err(|_| ConfigFault::Url)?;
        let http = Http::new(&self.trust, HeaderMap::new(), limits::CONNECT_TIMEOUT);
        let http = http.map_err(|_| ConfigFault::Http)?;
        Ok(Service::new(base, http, self.timeout))
    }

    /// Asks service and chain whether they fit together, and makes the client.
    ///
    /// # Errors
    /// [`CreditError`]: [`Distrust`](super::Distrust) when they do not.
    pub async fn connect(mut self) -> Result<CreditClient, CreditError> {
        let signer = self.signer.clone().ok_or(ConfigFault::NoSigner)?;
        let params = self.rpc()?.public_params().await?;
        let chain = self.pins.check(&params)?;
        // From here on also for what is signed to sign in.
        self.pins.chain = Some(chain);
        let mut config = self.node_config(chain, &params)?;
        config.receipt_wait = self.receipt_wait;
        config.confirmations = self.confirmations;
        config.gas_limit_max = limits::CREDIT_GAS_MAX;
        // Who signs in, signs claims or passes guarantees on needs no gas money.
        config.balance_floor = U256::ZERO;
        let account = Account::connect(config, Arc::clone(&signer)).await?;
        let terms = Terms::check(&params, chain, &account).await?;
        Ok(CreditClient::from_inner(Inner {
            rpc: self.rpc()?,
            checker: Checker::new(terms.key),
            terms,
            signer,
            account,
            trail: self.trail,
        }))
    }

    fn node_config(
        &self,
        chain: ChainId,
        params: &PublicParams,
    ) -> Result<NetworkConfig, ConfigFault> {
        let url = match &self.node {
            Some(Node::Url(url)) => url.clone(),
            Some(Node::InProcess(node)) => {
                let nowhere = self.service.clone().ok_or(ConfigFault::NoService)?;
                let config = NetworkConfig::new(chain, nowhere, Vec::new());
                return Ok(config.with_transport(Arc::clone(node)));
            }
            None => self.named_node(&params.node_url)?,
        };
        Ok(NetworkConfig::new(chain, url, Vec::new()))
    }

    /// The node that the service names, if that may be asked.
    fn named_node(&self, text: &str) -> Result<Url, ConfigFault> {
        if text.trim().is_empty() {
            return Err(ConfigFault::NoNode);
        }
        let url: Url = text.trim().parse().map_err(|_| ConfigFault::NoNode)?;
        // A service elsewhere has no business with what listens on this machine.
        let is_near = self.service.as_ref().is_some_and(is_this_machine);
        // Node URLs may have a key in them.
        let mut bare = url.clone();
        bare.set_query(None);
        let is_safe = BaseUrl::new(bare, self.plain_http).is_ok();
        if is_safe && (is_near || !is_this_machine(&url)) {
            Ok(url)
        } else {
            Err(ConfigFault::NodeInsecure)
        }
    }
}
