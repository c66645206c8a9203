//! `faregate-ldk node`: what the owner of a node has to do besides running it. Each command starts the node, does its work,
//! and stops it; the gate of this node cannot run at the same time.

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use faregate::exit::{Exit, Failed};
use faregate::node::Nodes as _;
use faregate_core::port::lightning::{PayOrder, PayOutcome, Sender};
use faregate_types::Timestamp;
use faregate_types::lightning::{Bolt11, Msat};
use ldk_node::bitcoin::Address;
use ldk_node::bitcoin::address::NetworkUnchecked;
use ldk_node::{ChannelDetails, Node, UserChannelId};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::LdkNodes;
use crate::backend::Wallet;
use crate::limits;
use crate::node::Running;
use crate::settings::Peer;

/// Looks after a Lightning node.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The file that describes the node.
    pub file: PathBuf,
    /// What to do. Answers in one line of JSON.
    #[command(subcommand)]
    pub command: NodeCommand,
}

/// What can be done with a node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Who it is, what it has, and its channels.
    Info,
    /// A new address of the chain to send bitcoins to: for channels, and 25,000 sat for each as a reserve.
    Address,
    /// Opens a channel and waits until it can be used.
    Open {
        /// The other node: `<public key>@<host>:<port>`.
        peer: String,
        /// Its size, in satoshis.
        sats: u64,
        /// How long to wait, in seconds.
        #[arg(long, default_value_t = 3_600)]
        wait: u64,
    },
    /// Closes every channel with this peer, together with it.
    Close {
        /// Its public key.
        peer: String,
    },
    /// Sends everything on the chain, but what channels need, to this address.
    Empty {
        /// A bitcoin address.
        address: String,
    },
    /// Pays an invoice, once. Says the preimage.
    Pay {
        /// The invoice.
        invoice: String,
    },
}

impl LdkNodes {
    /// Does what was asked and stops the node.
    ///
    /// # Errors
    /// What stood in the way.
    pub async fn command(&self, args: &NodeArgs) -> Result<(), Failed> {
        let running = self.run(&args.file).await?;
        let told = act(&running, &args.command).await;
        drop(running);
        self.stop().await;
        writeln!(std::io::stdout(), "{}", told?)?;
        Ok(())
    }
}

async fn act(running: &Arc<Running>, command: &NodeCommand) -> Result<Value, Failed> {
    let node = Arc::clone(&running.node);
    match command {
        NodeCommand::Info => {
            running.peers().await;
            blocking(move || Ok(info(&node))).await
        }
        NodeCommand::Address => {
            blocking(move || {
                let address = node.onchain_payment().new_address().map_err(failed)?;
                Ok(json!({"address": address.to_string()}))
            })
            .await
        }
        NodeCommand::Open { peer, sats, wait } => {
            let peer = Peer::parse(peer).map_err(Failed::usage)?;
            let until = Instant::now().checked_add(std::time::Duration::from_secs(*wait));
            let id = open(Arc::clone(&node), peer, *sats).await?;
            until_usable(&node, id, until).await
        }
        NodeCommand::Close { peer } => {
            let peer = peer.parse();
            let peer = peer.map_err(|_| Failed::usage("expected the peer's public key"))?;
            running.peers().await;
            blocking(move || {
                let channels = node.list_channels();
                let theirs = |channel: &&ChannelDetails| channel.counterparty_node_id == peer;
                let mut closed = 0_usize;
                for channel in channels.iter().filter(theirs) {
                    node.close_channel(&channel.user_channel_id, peer)
                        .map_err(failed)?;
                    closed = closed.saturating_add(1);
                }
                Ok(json!({"closing": closed}))
            })
            .await
        }
        NodeCommand::Empty { address } => {
            let address = Address::<NetworkUnchecked>::from_str(address)
                .ok()
                .and_then(|address| address.require_network(node.config().network).ok());
            let address =
                address.ok_or_else(|| Failed::usage("that is no address of this network"))?;
            blocking(move || {
                node.sync_wallets().map_err(failed)?;
                let sent = node.onchain_payment();
                let sent = sent.send_all_to_address(&address, true, None);
                Ok(json!({"transaction": sent.map_err(failed)?.to_string()}))
            })
            .await
        }
        NodeCommand::Pay { invoice } => pay(running, invoice).await,
    }
}

fn failed(error: ldk_node::NodeError) -> Failed {
    Failed::new(Exit::Failure, format!("the Lightning node: {error}"))
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    let done = spawn_blocking(act).await;
    done.map_err(|_| Failed::new(Exit::Failure, "the Lightning node panicked"))?
}

fn info(node: &Node) -> Value {
    let balances = node.list_balances();
    let channels: Vec<Value> = node.list_channels().iter().map(channel).collect();
    json!({
        "id": node.node_id().to_string(),
        "network": node.config().network.to_string(),
        "height": node.status().current_best_block.height,
        "onchainSats": balances.total_onchain_balance_sats,
        "spendableSats": balances.spendable_onchain_balance_sats,
        "reserveSats": balances.total_anchor_channels_reserve_sats,
        "channels": channels,
    })
}

fn channel(channel: &ChannelDetails) -> Value {
    json!({
        "peer": channel.counterparty_node_id.to_string(),
        "sats": channel.channel_value_sats,
        "sendMsat": channel.outbound_capacity_msat,
        "receiveMsat": channel.inbound_capacity_msat,
        "ready": channel.is_channel_ready,
        "usable": channel.is_usable,
    })
}

async fn open(node: Arc<Node>, peer: Peer, sats: u64) -> Result<UserChannelId, Failed> {
    blocking(move || {
        node.sync_wallets().map_err(failed)?;
        node.open_channel(peer.id, peer.address, sats, None, None)
            .map_err(failed)
    })
    .await
}

/// Waits for the chain, and for the other side.
async fn until_usable(
    node: &Node,
    id: UserChannelId,
    until: Option<Instant>,
) -> Result<Value, Failed> {
    let mut was_there = false;
    loop {
        let channels = node.list_channels();
        let ours = channels
            .iter()
            .find(|channel| channel.user_channel_id == id);
        match ours {
            Some(ours) if ours.is_usable => return Ok(channel(ours)),
            None if was_there => {
                return Err(
                    Failed::new(Exit::Refused, "the other node took no such channel")
                        .hint("it needs 25,000 sat on the chain for each channel"),
                );
            }
            ours => was_there |= ours.is_some(),
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Err(Failed::new(Exit::Undecided, "the channel is not ready yet")
                .hint("it goes on by itself whenever this node runs"));
        }
        sleep(limits::CHANNEL_PAUSE).await;
    }
}

/// Pays as the client does: through the checks of [`Sender`].
async fn pay(running: &Arc<Running>, invoice: &str) -> Result<Value, Failed> {
    let invoice = Bolt11::parse(invoice)
        .map_err(|error| Failed::usage(format!("that is no invoice: {error}")))?;
    let amount = invoice.amount().map_or(0, Msat::get);
    let share = amount.checked_mul(limits::FEE_PERCENT);
    let share = share.and_then(|share| share.checked_div(100));
    let order = PayOrder {
        fee_max: Msat::new(share.unwrap_or(0).max(limits::FEE_MIN)),
        time_limit: limits::PATIENCE,
        invoice,
    };
    let wallet = Wallet {
        running: Arc::clone(running),
    };
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let sender = Sender::new(Arc::new(wallet), running.network, clock);
    let sender = sender.map_err(|away| Failed::usage(away.code.meaning()).code(away.code))?;
    match sender.pay(&order).await {
        PayOutcome::Paid(paid) => Ok(json!({
            "paymentHash": order.invoice.payment_hash().to_string(),
            "preimage": *paid.preimage.expose_hex(),
            "feeMsat": paid.fee.map(Msat::get),
        })),
        PayOutcome::Failed(refusal) | PayOutcome::Refused(refusal) => {
            Err(Failed::new(Exit::Refused, refusal.code.meaning()).code(refusal.code))
        }
        PayOutcome::Unknown(code) => Err(Failed::new(Exit::Undecided, code.meaning()).code(code)),
    }
}
