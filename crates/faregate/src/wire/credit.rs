//! The credit core put together: its books, the follower and the sender at its contract, and the service on top.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::credit::Terms;
use faregate_core::port::Turn;
use faregate_core::port::credit::CreditStore;
use faregate_evm::credit::{
    ContractFacts, CreditFollowConfig, CreditFollower, CreditOperator, CreditOperatorConfig,
};
use faregate_evm::{LocalSigner, WalletReader};
use faregate_server::credit::{ChainStanding, CreditServer, Service, Settings};
use faregate_server::http::Running;
use faregate_types::credit::api::SupportedToken;
use faregate_types::credit::{BlsSecretKey, GuaranteeVersion, certificate};
use faregate_types::{Address, ChainId, Secret};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::exit::{Exit, Failed};
use crate::wire::{self, CreditBooks};

/// How often it is looked whether the chain is still followed.
const READY_EVERY: Duration = Duration::from_millis(500);

/// How long a contract wallet may think about whether it signed.
const WALLET_PATIENCE: Duration = Duration::from_secs(5);

/// What a credit core is put together from.
pub(crate) struct CreditPlan {
    /// Where the service listens.
    pub(crate) bind: SocketAddr,
    /// How the contract is followed.
    pub(crate) follow: CreditFollowConfig,
    /// Who tells the contract of payments, and how.
    pub(crate) operator: (CreditOperatorConfig, LocalSigner),
    /// Its books, and those of who may call.
    pub(crate) books: CreditBooks,
    /// Signs certificates.
    pub(crate) key: BlsSecretKey,
    /// From which the first administrator's key follows.
    pub(crate) admin_seed: Option<Secret>,
    /// The service's own settings, to which the contract adds its tokens.
    pub(crate) settings: Settings,
}

/// A credit core that runs.
pub(crate) struct CreditCore {
    /// Tabs, guarantees, collateral.
    pub(crate) books: Arc<dyn CreditStore>,
    service: Running,
    chain: watch::Receiver<ChainStanding>,
    behind: Behind,
}

/// What serves the service. Stops when dropped.
pub(crate) struct Behind {
    _operator: CreditOperator,
    turn: Arc<dyn Turn>,
    /// Files stay locked until the end.
    _books: CreditBooks,
    watchers: [AbortHandle; 2],
}

impl Behind {
    /// Stops it, and lets another process record payments at once.
    pub(crate) async fn stop(self) {
        let turn = Arc::clone(&self.turn);
        drop(self);
        turn.leave().await;
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

impl fmt::Debug for CreditCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditCore")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl CreditCore {
    /// Starts everything; returns when the service answers.
    ///
    /// # Errors
    /// A node that is not of this chain, a contract that believes another key or other domains, books or a port that are taken.
    pub(crate) async fn start(plan: CreditPlan) -> Result<Self, Failed> {
        let chain = plan.follow.chain;
        let books = Arc::clone(&plan.books.books);
        let wallets = WalletReader::new(&plan.follow.endpoint, WALLET_PATIENCE);
        let wallets = Arc::new(wallets.map_err(|error| connect(&error))?);
        let follower = CreditFollower::connect(plan.follow, Arc::clone(&books));
        let follower = Arc::new(follower.await.map_err(|error| connect(&error))?);
        let facts = Arc::clone(&follower.facts().borrow());
        agree(&facts, &plan.key, chain)?;
        let (mut config, signer) = plan.operator;
        let (turn, bell) = (Arc::clone(&plan.books.turn), follower.bell());
        config.turn = Arc::clone(&turn);
        let (shared, state) = (Arc::clone(&books), follower.state());
        let operator = CreditOperator::connect(config, signer, shared, bell, state)
            .await
            .map_err(|error| connect(&error))?;
        let (terms, rules) = terms_of(&follower);
        let (ready, looks) = readiness_of(&follower);
        let mut settings = plan.settings;
        settings.parameters.tokens = tokens(&facts);
        let service = Service {
            books: Arc::clone(&books),
            access: Arc::clone(&plan.books.access),
            terms,
            chain: ready.clone(),
            key: plan.key,
            recover: faregate_evm::recover,
            contracts: Some(wallets),
            admin_seed: plan.admin_seed,
            clock: wire::clock(),
        };
        let service = CreditServer::start(plan.bind, service, settings)
            .await
            .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
        Ok(Self {
            books,
            service,
            chain: ready,
            behind: Behind {
                _operator: operator,
                turn,
                _books: plan.books,
                watchers: [rules, looks],
            },
        })
    }

    /// Waits until the books are at the end of the chain, so that guarantees are issued, but no longer than this.
    pub(crate) async fn followed(&self, longest: Duration) {
        let mut chain = self.chain.clone();
        let followed = chain.wait_for(|standing| *standing == ChainStanding::Followed);
        drop(tokio::time::timeout(longest, followed).await);
    }

    /// Where it is, e.g. `http://127.0.0.1:3000`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.service.addr())
    }

    /// The service, to be stopped first, so that guarantees in progress are finished; and what serves it.
    pub(crate) fn split(self) -> (Running, Behind) {
        (self.service, self.behind)
    }
}

fn connect(error: &faregate_evm::ConnectError) -> Failed {
    Failed::new(Exit::Failure, error.to_string())
        .hint("check rpc_url, the contract's address, and that the node is on the configured chain")
}

/// Certificates that the contract would not redeem are worth nothing: the key and the domains have to be those it checks.
fn agree(facts: &ContractFacts, key: &BlsSecretKey, chain: ChainId) -> Result<(), Failed> {
    let ours = key.public_key().words();
    for (number, config) in facts.versions.iter().filter(|(_, config)| config.enabled) {
        let Some(version) = GuaranteeVersion::from_number(*number) else {
            continue;
        };
        if config.key != ours {
            let text =
                format!("the contract believes another key for guarantees of version {number}");
            return Err(
                Failed::usage(text).hint("is this the key that the contract was set up with?")
            );
        }
        if config.domain != certificate::domain_separator(version, chain, facts.contract) {
            let text =
                format!("the contract has another domain for guarantees of version {number}");
            return Err(
                Failed::usage(text).hint("its separators have to follow from chain and address")
            );
        }
    }
    Ok(())
}

/// What can be deposited besides ETH, for people to choose from.
fn tokens(facts: &ContractFacts) -> Vec<SupportedToken> {
    let tokens = facts
        .assets
        .iter()
        .filter(|asset| asset.address != Address::ZERO);
    tokens
        .map(|asset| SupportedToken {
            symbol: asset.symbol.to_string(),
            address: asset.address,
            decimals: asset.decimals.unwrap_or(0),
        })
        .collect()
}

/// The terms, as the contract changes them.
fn terms_of(follower: &Arc<CreditFollower>) -> (watch::Receiver<Arc<Terms>>, AbortHandle) {
    let (tell, told) = watch::channel(Arc::new(follower.terms()));
    let (follower, mut facts) = (Arc::clone(follower), follower.facts());
    let task = tokio::spawn(async move {
        while facts.changed().await.is_ok() {
            tell.send_replace(Arc::new(follower.terms()));
        }
    });
    (told, task.abort_handle())
}

/// Whether the chain is followed. Nothing happens when it is not any more, so it has to be looked at.
fn readiness_of(follower: &Arc<CreditFollower>) -> (watch::Receiver<ChainStanding>, AbortHandle) {
    let (tell, told) = watch::channel(standing(follower));
    let follower = Arc::clone(follower);
    let task = tokio::spawn(async move {
        let (mut ticks, mut state) = (tokio::time::interval(READY_EVERY), follower.state());
        loop {
            // What is followed is told at once; that it is not any more, when it has not been heard of for a while.
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = state.changed() => {}
            }
            let now = standing(&follower);
            tell.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
    });
    (told, task.abort_handle())
}

fn standing(follower: &CreditFollower) -> ChainStanding {
    let fork = follower.state().borrow().fork;
    match fork {
        Some(fork) => ChainStanding::Forked { block: fork.number },
        None if follower.is_ready() => ChainStanding::Followed,
        None => ChainStanding::Away,
    }
}
