//! A node that runs: started from its description, heard out, stopped.

use std::fs::{DirBuilder, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use faregate::exit::{Exit, Failed};
use faregate_core::port::lightning::Settled;
use faregate_types::Code;
use faregate_types::lightning::{BitcoinNetwork, Msat, PaymentHash, Preimage};
use ldk_node::bitcoin::Network;
use ldk_node::config::Config;
use ldk_node::lightning::ln::msgs::SocketAddress;
use ldk_node::payment::{PaymentDirection, PaymentKind, PaymentStatus};
use ldk_node::{Builder, Event, Node};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::journal::Journal;
use crate::limits;
use crate::log::Log;
use crate::settings::{Chain, Peer, Settings};

/// A running node.
pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    pub(crate) journal: Journal,
    pub(crate) network: BitcoinNetwork,
    /// Invoices of ours that are paid, as they are.
    pub(crate) settled: broadcast::Sender<Settled>,
    /// Counts payments of ours that ended.
    pub(crate) ended: watch::Sender<u64>,
    started: Instant,
    stopping: watch::Sender<bool>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    _lock: File,
}

impl Running {
    /// Starts a node.
    ///
    /// # Errors
    /// A folder that others can read or another process uses, a chain that nobody tells about, an address that is taken.
    pub(crate) async fn start(settings: Settings) -> Result<Arc<Self>, Failed> {
        let lock = open_folder(&settings.folder)?;
        let journal = settings.folder.join("sent.db");
        let journal = Journal::open(&journal).map_err(|error| trouble(&journal, &error))?;
        let folder = settings.folder.clone();
        let node = spawn_blocking(move || build(&settings).map(|node| (node, settings)));
        let (node, settings) = node.await.map_err(|_| trouble(&folder, &"it panicked"))??;
        let node = Arc::new(node);
        let starting = Arc::clone(&node);
        spawn_blocking(move || starting.start())
            .await
            .map_err(|_| trouble(&folder, &"it panicked"))?
            .map_err(|error| {
                trouble(&folder, &error)
                    .hint("is the chain's node up, on this network, and the address free?")
            })?;
        let running = Arc::new(Self {
            node,
            journal,
            network: settings.network,
            settled: broadcast::channel(limits::SETTLED_BEHIND_MAX).0,
            ended: watch::channel(0).0,
            started: Instant::now(),
            stopping: watch::channel(false).0,
            tasks: std::sync::Mutex::default(),
            _lock: lock,
        });
        running.spawn(Arc::clone(&running).hear_all());
        running.spawn(Arc::clone(&running).forget_unpaid());
        running.spawn(Arc::clone(&running).connect(settings.peers));
        Ok(running)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self
            .tasks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        tasks.push(tokio::spawn(task));
    }

    /// Stops it. What it knows is on the disk afterwards.
    pub(crate) async fn stop(self: Arc<Self>) {
        self.stopping.send_replace(true);
        let tasks = {
            let mut tasks = self
                .tasks
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        for task in tasks {
            // A task that panicked has stopped, too.
            let _ended = task.await;
        }
        let node = Arc::clone(&self.node);
        match spawn_blocking(move || node.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lightning node did not stop cleanly"),
            Err(_) => tracing::error!("the Lightning node panicked while it was stopped"),
        }
    }

    /// Resolves when it is to stop.
    async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is in `self`.
        let _stopped = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Hears what happened, one event after the other; each is told until it is written down.
    async fn hear_all(self: Arc<Self>) {
        loop {
            let event = tokio::select! {
                biased;
                () = self.stopped() => return,
                event = self.node.next_event_async() => event,
            };
            let hearing = Arc::clone(&self);
            let heard = spawn_blocking(move || hearing.hear(&event)).await;
            if !matches!(heard, Ok(true)) {
                tokio::select! {
                    () = self.stopped() => return,
                    () = sleep(limits::EVENT_PAUSE) => {}
                }
            }
        }
    }

    /// Writes down what an event says. `false` when that did not work, and the event has to be heard again.
    fn hear(&self, event: &Event) -> bool {
        let mut settled = None;
        let written = match event {
            Event::PaymentSuccessful {
                payment_hash,
                payment_preimage: Some(preimage),
                fee_paid_msat,
                ..
            } => {
                let preimage = Preimage::from_bytes(preimage.0);
                self.journal
                    .paid(&hash_of(payment_hash.0), &preimage, *fee_paid_msat)
            }
            Event::PaymentFailed {
                payment_hash: Some(hash),
                reason,
                ..
            } => {
                let why = reason.map_or_else(String::new, |reason| format!("{reason:?}"));
                self.journal.failed(&hash_of(hash.0), &why)
            }
            Event::PaymentReceived {
                payment_hash,
                amount_msat,
                ..
            } => {
                settled = Some(Settled {
                    payment_hash: hash_of(payment_hash.0),
                    amount: Some(Msat::new(*amount_msat)),
                });
                Ok(())
            }
            Event::ChannelClosed {
                channel_id, reason, ..
            } => {
                tracing::warn!(%channel_id, ?reason, "a Lightning channel is closed");
                Ok(())
            }
            Event::ChannelReady { channel_id, .. } => {
                tracing::info!(%channel_id, "a Lightning channel is ready");
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = written {
            tracing::error!(%error, "what became of a Lightning payment could not be written down");
            return false;
        }
        if let Err(error) = self.node.event_handled() {
            tracing::error!(%error, "an event of the Lightning node could not be marked as heard");
            return false;
        }
        if let Some(settled) = settled {
            // Nobody has to listen.
            let _listeners = self.settled.send(settled);
        }
        self.ended
            .send_modify(|count| *count = count.wrapping_add(1));
        true
    }

    /// LDK keeps every invoice for good. One that nobody paid and nobody can pay any more is of no use.
    async fn forget_unpaid(self: Arc<Self>) {
        let mut ticks = interval(limits::UNPAID_PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stopped() => return,
                _ = ticks.tick() => {}
            }
            let node = Arc::clone(&self.node);
            let forgetting = spawn_blocking(move || forget_unpaid(&node, SystemTime::now()));
            match forgetting.await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "unpaid invoices are forgotten"),
                Err(_) => tracing::error!("forgetting unpaid invoices panicked"),
            }
        }
    }

    /// Connects to the peers of the file. LDK connects again to those that it has channels with by itself.
    async fn connect(self: Arc<Self>, peers: Vec<Peer>) {
        for peer in peers {
            let node = Arc::clone(&self.node);
            let id = peer.id;
            let connecting = spawn_blocking(move || node.connect(peer.id, peer.address, true));
            if !matches!(connecting.await, Ok(Ok(()))) {
                tracing::warn!(peer = %id, "a Lightning peer cannot be reached");
            }
        }
    }

    /// Waits until the peers of all channels are there, or long enough after the start: what has just started has to find
    /// them before it can pay.
    pub(crate) async fn peers(&self) {
        let until = self.started + limits::PEERS_WAIT;
        while Instant::now() < until {
            let channels = self.node.list_channels();
            let waits =
                |channel: &ldk_node::ChannelDetails| channel.is_channel_ready && !channel.is_usable;
            if !channels.iter().any(waits) {
                return;
            }
            sleep(limits::PEERS_PAUSE).await;
        }
    }
}

fn forget_unpaid(node: &Node, now: SystemTime) -> usize {
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let before = now.map_or(Duration::ZERO, |now| now).as_secs();
    let before = before.saturating_sub(limits::UNPAID_SECS_MAX);
    let unpaid = node.list_payments_with_filter(|payment| {
        payment.direction == PaymentDirection::Inbound
            && payment.status == PaymentStatus::Pending
            && matches!(payment.kind, PaymentKind::Bolt11 { .. })
            && payment.latest_update_timestamp < before
    });
    let forgotten = unpaid
        .iter()
        .filter(|payment| node.remove_payment(&payment.id).is_ok());
    forgotten.count()
}

pub(crate) const fn hash_of(bytes: [u8; 32]) -> PaymentHash {
    PaymentHash::from_bytes(bytes)
}

pub(crate) fn trouble(folder: &Path, error: &dyn std::fmt::Display) -> Failed {
    Failed::new(
        Exit::Failure,
        format!("the Lightning node in {}: {error}", folder.display()),
    )
}

/// Makes the folder, for its owner only, and keeps other processes out: two nodes on one folder would lose its money.
fn open_folder(folder: &Path) -> Result<File, Failed> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| trouble(folder, &error))?;
    #[cfg(unix)]
    {
        let about = std::fs::metadata(folder).map_err(|error| trouble(folder, &error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
        if mode & 0o077 != 0 {
            return Err(Failed::usage(format!(
                "the folder {} holds the keys of a Lightning node, and others can look into it",
                folder.display()
            ))
            .code(Code::ConfigInvalid)
            .hint(format!("chmod 700 {}", folder.display())));
        }
    }
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(|error| trouble(folder, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failed::usage(format!(
            "another process runs the Lightning node in {}",
            folder.display()
        ))
        .hint("one process per folder")),
        Err(TryLockError::Error(error)) => Err(trouble(folder, &error)),
    }
}

fn build(settings: &Settings) -> Result<Node, Failed> {
    let at = |error: &dyn std::fmt::Display| trouble(&settings.folder, error);
    let folder = settings.folder.to_str();
    let config = Config {
        network: network(settings.network),
        listening_addresses: settings
            .listen
            .map(|listen| vec![SocketAddress::from(listen)]),
        storage_dir_path: folder
            .ok_or_else(|| at(&"its path is not UTF-8"))?
            .to_owned(),
        ..Config::default()
    };
    let mut builder = Builder::from_config(config);
    match &settings.chain {
        Chain::Bitcoind { host, port, key } => {
            let key = String::from_utf8_lossy(key.expose());
            let (user, password) = key.split_once(':').unwrap_or_default();
            builder.set_chain_source_bitcoind_rpc(
                host.clone(),
                *port,
                user.to_owned(),
                password.to_owned(),
            );
        }
        Chain::Esplora(url) => {
            let url = url.as_str().trim_end_matches('/');
            builder.set_chain_source_esplora(url.to_owned(), None);
        }
    }
    match &settings.rapid_gossip {
        Some(url) => builder.set_gossip_source_rgs(url.to_string()),
        None => builder.set_gossip_source_p2p(),
    };
    builder.set_custom_logger(Arc::new(Log));
    builder.build().map_err(|error| at(&error))
}

const fn network(network: BitcoinNetwork) -> Network {
    match network {
        BitcoinNetwork::Mainnet => Network::Bitcoin,
        BitcoinNetwork::Testnet => Network::Testnet,
        BitcoinNetwork::Signet => Network::Signet,
        BitcoinNetwork::Regtest => Network::Regtest,
    }
}
