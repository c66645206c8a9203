//! A client in the making.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use faregate_evm::{Entropy, OsEntropy};
use faregate_http::{Http, Trust, tls};
use faregate_ledger::{Caps, WalletStore, Worth};
use faregate_types::permit::PermitKind;
use faregate_types::{AssetRegistry, ChainId, Erc20, Timestamp};
use reqwest::header::HeaderMap;
use url::Url;

use crate::alarm::{Alarm, Bell, Changes, PayeeChanges, Places, PriceRises};
use crate::budget::Books;
use crate::choose::{Order, Prefer};
use crate::client::{Client, Inner};
use crate::deliver::Patience;
use crate::events::{BudgetExceeded, Event, Handler, Source, Spent};
use crate::lightning::LightningWallet;
use crate::limits;
use crate::node::Node;
use crate::on_credit::OnCredit;
use crate::origin::{self, Origins, PlainHttp};
use crate::payment::Ends;
use crate::rail::permit::Habits;
use crate::resume::{OpenSpends, Resume};
use crate::select::Chains;
use crate::tokens::Tokens;
use crate::wallet::Wallet;

/// A client in the making; see [`Client::builder`].
///
/// [`wallet`](Self::wallet) with [`caps`](Self::caps), or [`lightning`](Self::lightning), and [`store`](Self::store) have no
/// default: a client without a cap, or one that forgets what it signed, is not made.
#[must_use]
pub struct ClientBuilder {
    wallet: Option<Wallet>,
    lightning: Option<LightningWallet>,
    order: Order,
    habits: Habits,
    credit: Option<OnCredit>,
    assets_first: Vec<Erc20>,
    nodes: BTreeMap<ChainId, Url>,
    caps: Option<Caps>,
    store: Option<Arc<dyn WalletStore>>,
    assets: AssetRegistry,
    chains: Chains,
    origins: Origins,
    changes: Changes,
    bell: Bell,
    handlers: Vec<Handler>,
    ends: Ends,
    patience: Patience,
    resume: Resume,
    redirects_max: u8,
    validity_secs_max: u64,
    timeout: Duration,
    proxy: Option<Url>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    entropy: Box<dyn Entropy>,
}

/// Why there is no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No wallet.
    #[error("expected a wallet to pay with")]
    NoWallet,
    /// No caps.
    #[error("expected caps, one for each payment at least")]
    NoCaps,
    /// No store.
    #[error("expected a store to keep the wallet's books in")]
    NoStore,
    /// An origin that is none.
    #[error("expected an http or https URL as origin")]
    Origin,
    /// A proxy that cannot be used.
    #[error("expected the URL of an http proxy")]
    Proxy,
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up")]
    Http,
    /// The operating system gives no thread for a handler of events.
    #[error("there is no thread for a handler of events")]
    Thread,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("wallet", &self.wallet)
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            wallet: None,
            lightning: None,
            order: Order::default(),
            habits: Habits {
                pinned: None,
                validity_secs: limits::PERMIT_SECS,
            },
            credit: None,
            assets_first: Vec::new(),
            nodes: BTreeMap::new(),
            caps: None,
            store: None,
            assets: AssetRegistry::builtin(),
            chains: Chains::default(),
            origins: Origins::default(),
            changes: Changes::default(),
            bell: Bell::default(),
            handlers: Vec::new(),
            ends: Ends::default(),
            patience: Patience {
                wait: limits::WAIT,
                resends: limits::RESENDS,
            },
            resume: Resume::default(),
            redirects_max: limits::REDIRECTS_MAX,
            validity_secs_max: limits::VALIDITY_SECS_MAX,
            timeout: limits::REQUEST_TIMEOUT,
            proxy: None,
            clock: Box::new(|| Timestamp::from(SystemTime::now())),
            entropy: Box::new(OsEntropy),
        }
    }

    /// The key that pays.
    pub fn wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet);
        self
    }

    /// The Lightning wallet that pays L402 invoices, beside the key or instead of it.
    pub fn lightning(mut self, wallet: LightningWallet) -> Self {
        self.lightning = Some(wallet);
        self
    }

    /// Which rail is taken when a server offers several and more than one can be paid. The others come after it: by default
    /// x402, then L402, then permits, then credit.
    pub fn prefer(self, prefer: Prefer) -> Self {
        self.rails([prefer])
    }

    /// [`prefer`](Self::prefer) with more than one name: in which order rails are tried. The order is the payer's, whatever
    /// the order of the server's offers is.
    pub fn rails(mut self, first: impl IntoIterator<Item = Prefer>) -> Self {
        self.order = Order::default().starting_with(first);
        self
    }

    /// Which assets are paid with, the first first, when a server takes several on one rail: whatever its own order is. All
    /// others come after them, in the server's order.
    pub fn pay_with(mut self, assets: impl IntoIterator<Item = Erc20>) -> Self {
        self.assets_first = assets.into_iter().take(limits::OFFERS_MAX).collect();
        self
    }

    /// The only kind of permit that is signed, whatever the server seems to take. By default the likeliest of what it offers
    /// that can be signed, and only one: a permit that a server answers with an error is still money in its hands.
    pub const fn permit_kind(mut self, kind: PermitKind) -> Self {
        self.habits.pinned = Some(kind);
        self
    }

    /// A node of a chain, by JSON-RPC over HTTP. EIP-2612 permits need one, because the token contract counts them: without it
    /// they are not signed. With it, a Permit2 order is not signed when Permit2 may not take the money.
    pub fn node(mut self, chain: ChainId, url: Url) -> Self {
        self.nodes.insert(chain, url);
        self
    }

    /// Pays offers of scheme `4mica-credit` as well: with claims that are owed on a tab and covered by collateral that this
    /// wallet has left with a credit core. Without this nothing is ever owed. Like any other rail it is taken in its turn, by
    /// default after all others; what is signed counts against the same caps.
    pub fn credit(mut self, credit: OnCredit) -> Self {
        self.credit = Some(credit);
        self
    }

    /// How long a permit is valid, in seconds; [`limits::PERMIT_SECS`] by default, and never longer than
    /// [`validity_secs_max`](Self::validity_secs_max).
    pub const fn permit_secs(mut self, secs: u64) -> Self {
        self.habits.validity_secs = secs;
        self
    }

    /// How much may be signed, in dollars. Everything signed counts, also what servers refused.
    pub const fn caps(mut self, caps: Caps) -> Self {
        self.caps = Some(caps);
        self
    }

    /// Where the books are. Clients and processes that share a store share its caps.
    pub fn store(mut self, store: Arc<dyn WalletStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The assets that may be paid with, [`AssetRegistry::builtin`] by default. Each unit counts as a dollar: do not add coins
    /// of another value.
    pub fn assets(mut self, assets: AssetRegistry) -> Self {
        self.assets = assets;
        self
    }

    /// Allows payments on a chain. Test networks are always allowed, all others have to be named.
    pub fn allow_chain(mut self, chain: ChainId) -> Self {
        self.chains.named.insert(chain);
        self
    }

    /// Pays nobody but these origins, e.g. `https://api.example.com`. Paths are ignored.
    ///
    /// # Errors
    /// [`BuildError::Origin`] for a URL that is not http or https.
    pub fn only_origins(
        mut self,
        origins: impl IntoIterator<Item = Url>,
    ) -> Result<Self, BuildError> {
        let mut only = BTreeSet::new();
        for url in origins {
            only.insert(origin::name(&url).map_err(|_| BuildError::Origin)?.into());
        }
        self.origins.only = Some(only);
        Ok(self)
    }

    /// Whether payments may leave this machine over plain http. By default they may not.
    pub const fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.origins.plain_http = plain_http;
        self
    }

    /// What to do when a server names another payee than before. By default nothing is paid.
    pub const fn payee_changes(mut self, payee_changes: PayeeChanges) -> Self {
        self.changes.payees = payee_changes;
        self
    }

    /// How much more than last time the same path may cost. By default twice as much.
    pub const fn price_rises(mut self, price_rises: PriceRises) -> Self {
        self.changes.prices = price_rises;
        self
    }

    /// Who is told when a server changes its terms. Called while a payment is prepared: do not block.
    pub fn on_alarm(mut self, told: impl Fn(&Alarm) + Send + Sync + 'static) -> Self {
        self.bell = Bell::new(told);
        self
    }

    /// Who is told what happens to the money: see [`Event`]. May be called more than once. Each handler has a thread of its own,
    /// so it may take its time, and a panic of it is caught; who is too slow misses events and is told so. When the program
    /// ends, what was not handled yet is lost: what counts is in the books.
    pub fn on_event(mut self, told: impl Fn(&Event) + Send + 'static) -> Self {
        self.handlers.push(Box::new(told));
        self
    }

    /// [`on_event`](Self::on_event) for payments that count.
    pub fn on_spend(self, told: impl Fn(&Spent) + Send + 'static) -> Self {
        self.on_event(move |event| {
            if let Event::Spent(spent) = event {
                told(spent);
            }
        })
    }

    /// [`on_event`](Self::on_event) for payments that a cap refused.
    pub fn on_budget_exceeded(self, told: impl Fn(&BudgetExceeded) + Send + 'static) -> Self {
        self.on_event(move |event| {
            if let Event::BudgetExceeded(exceeded) = event {
                told(exceeded);
            }
        })
    }

    /// How long the end of a payment is waited for when the server says that it is not known yet;
    /// [`limits::WAIT`] by default. Never longer than the payment is valid.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.patience.wait = wait;
        self
    }

    /// When the books say that a payment was paid for. By default when the head of the answer has arrived.
    pub const fn ends(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }

    /// How often a payment is sent again after its answer was lost; [`limits::RESENDS`] by default. Requests that are not
    /// idempotent are only sent again when there was no connection.
    pub const fn resends(mut self, resends: u32) -> Self {
        self.patience.resends = resends;
        self
    }

    /// Whether payments that are open in the books are sent again. By default they are.
    pub const fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// How many redirects are followed, all on the same origin, before a payment: at most and by default
    /// [`limits::REDIRECTS_MAX`].
    pub fn redirects_max(mut self, redirects_max: u8) -> Self {
        self.redirects_max = redirects_max.min(limits::REDIRECTS_MAX);
        self
    }

    /// Longest validity of an authorization that a server may ask for, in seconds; [`limits::VALIDITY_SECS_MAX`] by default.
    pub const fn validity_secs_max(mut self, secs: u64) -> Self {
        self.validity_secs_max = secs;
        self
    }

    /// Deadline of each exchange; [`limits::REQUEST_TIMEOUT`] by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends everything through an http proxy. The environment's proxies are not used by themselves.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Other randomness than the system's. Nonces that somebody can guess, or that repeat, make payments fail.
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Makes the client. Reads the platform's root certificates; connects to nobody.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Client, BuildError> {
        let http = http(self.timeout, self.proxy)?;
        if self.wallet.is_none() && self.lightning.is_none() {
            return Err(BuildError::NoWallet);
        }
        let caps = match (self.caps, &self.wallet) {
            (Some(caps), _) => caps,
            (None, Some(_)) => return Err(BuildError::NoCaps),
            // Nothing can be signed.
            (None, None) => Caps {
                per_payment: Worth::ZERO,
                total: None,
                per_host: None,
                per_period: None,
            },
        };
        let books = Books {
            store: self.store.ok_or(BuildError::NoStore)?,
            caps,
            changes: self.changes,
            places: Places::default(),
            events: Source::new(self.handlers).map_err(|_| BuildError::Thread)?,
        };
        Ok(Client::from_inner(Inner {
            http,
            wallet: self.wallet,
            lightning: self.lightning,
            order: self.order,
            habits: self.habits,
            credit: self.credit,
            assets_first: self.assets_first,
            nodes: nodes(self.nodes)?,
            tokens: Tokens::default(),
            books,
            open: OpenSpends::default(),
            resume: self.resume,
            assets: self.assets,
            chains: self.chains,
            origins: self.origins,
            redirects_max: self.redirects_max,
            validity_secs_max: self.validity_secs_max,
            patience: self.patience,
            timeout: self.timeout,
            bell: self.bell,
            ends: self.ends,
            clock: self.clock,
            entropy: Mutex::new(self.entropy),
        }))
    }
}

fn nodes(urls: BTreeMap<ChainId, Url>) -> Result<BTreeMap<ChainId, Node>, BuildError> {
    if urls.is_empty() {
        return Ok(BTreeMap::new());
    }
    let http = Http::new(&Trust::Platform, HeaderMap::new(), limits::CONNECT_TIMEOUT);
    let http = http.map_err(|_| BuildError::Http)?;
    let node = |(chain, url)| (chain, Node::new(chain, http.clone(), url));
    Ok(urls.into_iter().map(node).collect())
}

fn http(timeout: Duration, proxy: Option<Url>) -> Result<reqwest::Client, BuildError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(&Trust::Platform).map_err(|_| BuildError::Http)?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .timeout(timeout)
        .user_agent(concat!("faregate/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy).map_err(|_| BuildError::Proxy)?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|_| BuildError::Http)
}
