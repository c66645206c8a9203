//! A Lightning node in this process, where the program has one.
//!
//! The `faregate` command has none: the node is hundreds of thousands of lines that most sellers and payers do not need, and
//! is built into a program of its own (`ldk/` of the repository), which is this crate with a node plugged in.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use faregate_core::port::lightning::{ReceiveBackend, SendBackend};
use faregate_types::lightning::BitcoinNetwork;
use futures_util::future::BoxFuture;

use crate::exit::Failed;

/// Starts Lightning nodes in this process.
pub trait Nodes: Send + Sync + 'static {
    /// Starts the node that this file describes.
    ///
    /// # Errors
    /// What is wrong with the file, or stands in the way.
    fn start<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, Result<NodeWallet, Failed>>;

    /// Stops every node that was started, so that what it knows is on the disk. Called once, before the program ends.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// A node that runs in this process.
#[allow(
    missing_debug_implementations,
    clippy::exhaustive_structs,
    reason = "taken apart at once"
)]
pub struct NodeWallet {
    /// The network it is on.
    pub network: BitcoinNetwork,
    /// It as one that is paid.
    pub receiver: Arc<dyn ReceiveBackend>,
    /// It as one that pays.
    pub sender: Arc<dyn SendBackend>,
}

/// What the program brought along.
static NODES: OnceLock<Box<dyn Nodes>> = OnceLock::new();

/// Brings nodes along. The first call counts.
pub(crate) fn plug(nodes: Box<dyn Nodes>) {
    let _already = NODES.set(nodes);
}

/// Starts the node of this file.
///
/// # Errors
/// In a program without nodes, or as [`Nodes::start`].
pub(crate) async fn start(file: &Path) -> Result<NodeWallet, Failed> {
    match NODES.get() {
        Some(nodes) => nodes.start(file).await,
        None => Err(
            Failed::usage("this program has no Lightning node of its own").hint(
                "the one that has is built from the repository: cargo build --release --manifest-path ldk/Cargo.toml",
            ),
        ),
    }
}

/// Stops what was started.
pub(crate) async fn stop() {
    if let Some(nodes) = NODES.get() {
        nodes.stop().await;
    }
}
