//! Whoever turns held certificates into money: for one round, or by a schedule beside a gate.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faregate_client::credit::{CreditClient, CreditPlainHttp};
use faregate_core::port::{Alone, HeldTabStore, Turn};
use faregate_evm::credit::{CreditRedeemer, RedeemError, RedeemMode, RedeemerConfig};
use faregate_evm::{NetworkConfig, Signer};
use faregate_server::config::{CreditCoreConfig, Env, RemunerateConfig, StoreConfig};
use faregate_store::postgres::PostgresLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{Address, Code};
use futures_util::future::BoxFuture;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::exit::{Exit, Failed};
use crate::wire;

/// What processes with the same certificates take turns at: redeeming them.
const REDEEMS: &str = "credit redemptions";

/// Longest wait for a core to say which contract is its own.
const CONTRACT_WAIT: Duration = Duration::from_secs(20);

/// Pause before a chain that could not be reached is tried again.
const CONNECT_PAUSE: Duration = Duration::from_secs(30);

/// Held certificates, for whoever redeems them beside a gate that keeps more of them.
pub(crate) struct HeldBooks {
    /// The certificates.
    pub(crate) store: Arc<dyn HeldTabStore>,
    /// Who redeems them.
    pub(crate) turn: Arc<dyn Turn>,
}

/// Opens the certificates of a gate, which may be running.
///
/// # Errors
/// When the ledger is not there, damaged, from another version or cannot be reached.
pub(crate) async fn held_books(config: &StoreConfig) -> Result<HeldBooks, Failed> {
    match config {
        StoreConfig::Postgres(url) => {
            let url = wire::postgres(url)?;
            let ledger = PostgresLedger::open(&url).await.map_err(|error| {
                let message = format!("the ledger {url} cannot be used: {error}");
                Failed::new(Exit::Failure, message).code(error.code())
            })?;
            Ok(HeldBooks {
                turn: turn_of(&ledger)?,
                store: Arc::new(ledger),
            })
        }
        StoreConfig::File(path) if path == Path::new(":memory:") => Err(Failed::usage(
            "the gate's ledger is in memory: only the gate itself has its certificates",
        )
        .hint("give it a schedule: [gate.credit.remunerate]")),
        StoreConfig::File(path) => {
            let path = path.to_owned();
            if !path.exists() {
                return Err(Failed::usage(format!(
                    "there is no ledger {}",
                    path.display()
                )));
            }
            let turn = Arc::new(FileTurn::beside(&path));
            let opened = tokio::task::spawn_blocking(move || {
                SqliteLedger::open(&path).map_err(|error| {
                    let message = format!("the ledger {} cannot be used: {error}", path.display());
                    Failed::new(Exit::Failure, message).code(error.code())
                })
            });
            let unfinished = |_| Failed::new(Exit::Failure, "opening the ledger did not finish");
            Ok(HeldBooks {
                store: Arc::new(opened.await.map_err(unfinished)??),
                turn,
            })
        }
        _ => Err(Failed::usage("this program does not know such a store")),
    }
}

/// Turns at redeeming in a database.
pub(crate) fn turn_of(ledger: &PostgresLedger) -> Result<Arc<dyn Turn>, Failed> {
    let turn = ledger.turn(REDEEMS).map_err(|error| {
        Failed::new(Exit::Failure, format!("the ledger cannot be used: {error}")).code(error.code())
    })?;
    Ok(Arc::new(turn))
}

/// Turns at redeeming beside a file, or in memory, where nobody else is.
pub(crate) fn turn_beside(path: &Path) -> Arc<dyn Turn> {
    if path == Path::new(":memory:") {
        Arc::new(Alone)
    } else {
        Arc::new(FileTurn::beside(path))
    }
}

/// Whoever locks a file beside the ledger has the turn, for as long as its process lives or until it leaves.
#[derive(Debug)]
pub(crate) struct FileTurn {
    path: PathBuf,
    held: Mutex<Option<File>>,
}

impl FileTurn {
    fn beside(ledger: &Path) -> Self {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".redeem.lock");
        Self {
            path: name.into(),
            held: Mutex::default(),
        }
    }

    fn take(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return true;
        }
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let Ok(file) = options.open(&self.path) else {
            return false;
        };
        match file.try_lock() {
            Ok(()) => {
                *held = Some(file);
                true
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        }
    }
}

impl Turn for FileTurn {
    fn is_ours(&self) -> BoxFuture<'_, bool> {
        // Never waits for anybody.
        Box::pin(async { self.take() })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        })
    }
}

/// Which contract a core's certificates are redeemed with: the one that the file names, or that the core does.
///
/// # Errors
/// When neither says it.
pub(crate) async fn contract_of(core: &CreditCoreConfig) -> Result<Address, Failed> {
    if let Some(contract) = core.contract {
        return Ok(contract);
    }
    let mut builder = CreditClient::builder()
        .service(core.url.expose().clone())
        .node(core.rpc_url.expose().clone())
        .signer(wire::nobody()?);
    if core.plain_http {
        builder = builder.plain_http(CreditPlainHttp::Anywhere);
    }
    let away = || {
        let message = format!(
            "the credit core of {} does not say which contract is its own",
            core.chain
        );
        Failed::new(Exit::Failure, message).hint(
            "name it as `contract` of the core: certificates are redeemed without the core then",
        )
    };
    match timeout(CONTRACT_WAIT, builder.connect()).await {
        Ok(Ok(client)) => Ok(client.contract()),
        Ok(Err(_)) | Err(_) => Err(away()),
    }
}

/// What redeems the certificates of one core. Without a schedule in the file nothing can be sent.
///
/// # Errors
/// A chain, a contract or a core that is not what it should be, or does not answer.
pub(crate) async fn redeemer(
    core: &CreditCoreConfig,
    config: Option<&RemunerateConfig>,
    env: &Env,
    books: &HeldBooks,
) -> Result<CreditRedeemer, Failed> {
    let signer: Option<Arc<dyn Signer>> = match config {
        Some(config) => Some(Arc::new(wire::signer(&config.signer_key, env)?)),
        None => None,
    };
    let contract = contract_of(core).await?;
    let mut network = NetworkConfig::new(core.chain, core.rpc_url.expose().clone(), Vec::new());
    if let Some(config) = config {
        network.confirmations = config.confirmations;
        if let Some(fee) = config.fee_per_gas_max {
            network.fee_per_gas_max = fee;
        }
    }
    let mut settings = RedeemerConfig::new(network, contract);
    settings.turn = Arc::clone(&books.turn);
    if let Some(config) = config {
        settings.before_deadline = config.before_deadline;
        settings.give_up_after = config.give_up_after;
    }
    let redeemer = CreditRedeemer::connect(settings, signer, Arc::clone(&books.store)).await;
    redeemer
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()).code(Code::ChainUnavailable))
}

/// Redeems by a schedule, each chain in its own task, until it is dropped. A chain that is away holds nobody up.
pub(crate) struct Remunerations {
    tasks: Vec<AbortHandle>,
    turn: Arc<dyn Turn>,
}

impl Remunerations {
    /// Starts. The key is read at once, everything else is tried until it is there.
    ///
    /// # Errors
    /// A key that is missing or is none.
    pub(crate) fn start(
        cores: &[CreditCoreConfig],
        config: &RemunerateConfig,
        env: &Env,
        books: HeldBooks,
    ) -> Result<Self, Failed> {
        wire::signer(&config.signer_key, env)?;
        let turn = Arc::clone(&books.turn);
        let (books, env) = (Arc::new(books), Arc::new(env.clone()));
        let tasks = cores.iter().map(|core| {
            let (core, config) = (core.clone(), config.clone());
            let (books, env) = (Arc::clone(&books), Arc::clone(&env));
            tokio::spawn(async move { run(&core, &config, &env, &books).await }).abort_handle()
        });
        Ok(Self {
            tasks: tasks.collect(),
            turn,
        })
    }

    /// Stops, if it was started, and lets another process have the turn. What was sent is found by whoever comes next.
    pub(crate) async fn stop(this: Option<Self>) {
        let Some(this) = this else { return };
        for task in &this.tasks {
            task.abort();
        }
        this.turn.leave().await;
    }
}

impl Drop for Remunerations {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Never ends.
async fn run(core: &CreditCoreConfig, config: &RemunerateConfig, env: &Env, books: &HeldBooks) {
    let redeemer = loop {
        match redeemer(core, Some(config), env, books).await {
            Ok(redeemer) => break redeemer,
            Err(error) => {
                tracing::warn!(chain = %core.chain, error = error.message, "certificates cannot be redeemed yet");
                sleep(CONNECT_PAUSE.min(config.every)).await;
            }
        }
    };
    loop {
        let pause = match redeemer.round(RedeemMode::Redeem).await {
            Ok(_) => config.every,
            Err(RedeemError::NotOurTurn) => {
                tracing::debug!(chain = %core.chain, "another process redeems certificates");
                config.every
            }
            Err(error) => {
                tracing::warn!(chain = %core.chain, %error, "certificates could not be looked at");
                CONNECT_PAUSE.min(config.every)
            }
        };
        sleep(pause).await;
    }
}
