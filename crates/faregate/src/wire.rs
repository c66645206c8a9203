//! Putting configured parts together: who settles, and the ledger it is written in.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use faregate_core::port::{Clock, Facilitator};
use faregate_core::rail::l402::Revocations;
use faregate_evm::{ExactFacilitator, FollowConfig, LocalSigner, NetworkConfig};
use faregate_ledger::{AccountStore, EventStore, LedgerStore, RevocationStore};
use faregate_remote::{RemoteConfig, RemoteFacilitator};
use faregate_server::config::{EmbeddedConfig, Env, FacilitatorSource, SenderConfig};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{Code, Timestamp};

use crate::exit::{Exit, Failed};

pub(crate) mod lightning;
mod managed;
mod permits;
mod replay;

pub(crate) use lightning::l402;
pub(crate) use managed::custody;
pub(crate) use permits::{permits, token_key};
pub(crate) use replay::{GateName, new_name};

/// The system's clock.
#[must_use]
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(|| Timestamp::from(SystemTime::now()))
}

/// The whole environment, read once.
#[must_use]
pub(crate) fn env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Who verifies and settles for a gate.
pub(crate) struct Settling {
    /// The same whether it is here or elsewhere.
    pub(crate) facilitator: Arc<dyn Facilitator>,
    /// The one in this process, if it is here.
    pub(crate) embedded: Option<ExactFacilitator>,
}

/// Who verifies and settles for a gate.
///
/// # Errors
/// A secret that is missing, a node that does not answer or is on another chain, a facilitator URL that is not one.
pub(crate) async fn facilitator(source: &FacilitatorSource, env: &Env) -> Result<Settling, Failed> {
    match source {
        FacilitatorSource::Embedded(config) => {
            let embedded = embedded(config, env).await?;
            Ok(Settling {
                facilitator: Arc::new(embedded.clone()),
                embedded: Some(embedded),
            })
        }
        FacilitatorSource::Remote {
            url,
            token,
            plain_http,
        } => {
            let mut config = RemoteConfig::new(url.expose().clone());
            if let Some(token) = token {
                config = config.bearer(token.load(env).map_err(secret)?);
            }
            if *plain_http {
                config.plain_http = faregate_remote::config::PlainHttp::Anywhere;
            }
            let remote = RemoteFacilitator::new(config)
                .map_err(|error| Failed::usage(error.to_string()).code(error.code()))?;
            Ok(Settling {
                facilitator: Arc::new(remote),
                embedded: None,
            })
        }
    }
}

/// A facilitator of this process: connects to its nodes and compares what it finds with what it was told.
///
/// # Errors
/// As [`facilitator`].
pub(crate) async fn embedded(
    config: &EmbeddedConfig,
    env: &Env,
) -> Result<ExactFacilitator, Failed> {
    let mut builder = ExactFacilitator::builder();
    for network in &config.networks {
        let mut settings = NetworkConfig::new(
            network.chain,
            network.rpc_url.expose().clone(),
            network.assets.clone(),
        );
        settings.confirmations = network.confirmations;
        apply(&mut settings, &network.sender);
        settings.follow = network.follow.map(FollowConfig::every);
        builder = builder.network(settings);
    }
    for source in &config.signer_keys {
        let key = source.load_key(env).map_err(secret)?;
        let signer = LocalSigner::new(key)
            .map_err(|_| Failed::usage(format!("{source} holds no usable key")))?;
        builder = builder.signer(signer);
    }
    builder.connect().await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string())
            .hint("check rpc_url, and that the node is on the configured chain")
    })
}

/// What the file says about sending; the defaults of the facilitator hold for the rest.
fn apply(settings: &mut NetworkConfig, sender: &SenderConfig) {
    settings.batch_settler = sender.batch_settler;
    settings
        .wallet_factories
        .clone_from(&sender.wallet_factories);
    if let Some(items) = sender.batch_items_max {
        settings.batch_items_max = usize::try_from(items).unwrap_or(usize::MAX);
    }
    if let Some(blocks) = sender.confirmations_final {
        settings.confirmations_final = blocks;
    }
    if let Some(time) = sender.bump_after {
        settings.bump_after = time;
    }
    if let Some(wei) = sender.balance_floor {
        settings.balance_floor = wei;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(crate) fn secret(error: faregate_server::config::SecretError) -> Failed {
    Failed::usage(error.to_string()).code(Code::ConfigInvalid)
}

/// A ledger and the lock that keeps a second process off it.
pub(crate) struct Ledger {
    /// The ledger.
    pub(crate) store: Arc<dyn LedgerStore>,
    /// Tokens that open nothing any more.
    pub(crate) revocations: Arc<Revocations>,
    /// What others are to be told.
    pub(crate) events: Arc<dyn EventStore>,
    /// The ledger as one that lists whom money is owed to.
    pub(crate) accounts: Arc<dyn AccountStore>,
    /// What a gate over it is called among others.
    pub(crate) name: GateName,
    _lock: Option<File>,
}

/// Opens the ledger at `path`, or one in memory for `:memory:`.
///
/// One process per file: whether a reservation is being worked on or was left behind is known only to the process that made
/// it, so two gates on one file could both serve one payment.
///
/// # Errors
/// When the file is locked, damaged, from a newer version or cannot be made.
pub(crate) async fn ledger(path: &Path) -> Result<Ledger, Failed> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let opened =
        opened.map_err(|_| Failed::new(Exit::Failure, "opening the ledger did not finish"))??;
    Ok(Ledger {
        revocations: revocations(opened.revocations).await?,
        events: opened.events,
        store: opened.store,
        accounts: opened.accounts,
        name: opened.name,
        _lock: opened.lock,
    })
}

/// The list of revoked tokens.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn revocations(
    store: Arc<dyn RevocationStore>,
) -> Result<Arc<Revocations>, Failed> {
    let list = Revocations::load(store).await;
    list.map(Arc::new).map_err(|away| {
        Failed::new(Exit::Failure, "the list of revoked tokens cannot be read").code(away.code)
    })
}

/// A ledger whose lists were not read yet.
struct Opened {
    store: Arc<dyn LedgerStore>,
    accounts: Arc<dyn AccountStore>,
    revocations: Arc<dyn RevocationStore>,
    name: GateName,
    events: Arc<dyn EventStore>,
    lock: Option<File>,
}

impl Opened {
    fn new(
        store: Arc<impl AccountStore + RevocationStore + EventStore>,
        name: GateName,
        lock: Option<File>,
    ) -> Self {
        Self {
            revocations: Arc::clone(&store) as _,
            events: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            store,
            name,
            lock,
        }
    }
}

fn open(path: &Path) -> Result<Opened, Failed> {
    let at = |error: &dyn std::fmt::Display| {
        format!("the ledger {} cannot be used: {error}", path.display())
    };
    if path == Path::new(":memory:") {
        tracing::warn!(
            "the ledger is in memory: what was claimed is forgotten when this process ends"
        );
        return Ok(Opened::new(
            Arc::new(MemoryLedger::new()),
            new_name()?,
            None,
        ));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut lock = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(|error| Failed::new(Exit::Failure, at(&error)))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Failed::usage(format!(
                "another process uses the ledger {}",
                path.display()
            ))
            .hint("one gate or facilitator per ledger file"));
        }
        Err(TryLockError::Error(error)) => return Err(Failed::new(Exit::Failure, at(&error))),
    }
    let store = SqliteLedger::open(path)
        .map_err(|error| Failed::new(Exit::Failure, at(&error)).code(error.code()))?;
    let name = replay::name(&mut lock);
    let name = name.map_err(|error| Failed::new(Exit::Failure, at(&error)))?;
    Ok(Opened::new(Arc::new(store), name, Some(lock)))
}
