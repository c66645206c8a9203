//! A network that was checked at start: its node, its assets, its lanes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::{Address, B256};
use faregate_core::port::{Away, SettleOutcome, Trail};
use faregate_types::{Asset, TokenDomain, TransferMethod, domain_separator};
use futures_util::future::BoxFuture;
use metrics::counter;

use crate::bindings::Token;
use crate::config::{ConnectError, NetworkConfig};
use crate::deploy::Deployments;
use crate::fees::Fees;
use crate::follow::Follower;
use crate::job::Job;
use crate::lane::Lane;
use crate::matter::Share;
use crate::node::{Node, NodeError};
use crate::pending::Pending;
use crate::rpc::{Called, Rpc};
use crate::signer::Signer;
use crate::tip::Tips;
use crate::verify::Way;

/// Everything needed to verify and settle on one chain.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) config: NetworkConfig,
    pub(crate) rpc: Arc<Rpc>,
    /// Who sends the transactions, as far as simulations need a sender.
    pub(crate) sender: Address,
    /// What is known of the chain without asking.
    pub(crate) follower: Option<Follower>,
    /// How far the chain is.
    pub(crate) tips: Tips,
    /// The label of metrics.
    label: Arc<str>,
    assets: BTreeMap<Address, KnownAsset>,
    lanes: Vec<Lane>,
    /// Payers' wallets that are being deployed.
    pub(crate) deployments: Deployments,
    turn: AtomicUsize,
}

/// An asset on the allow-list.
#[derive(Clone, Debug)]
pub(crate) struct KnownAsset {
    pub(crate) domain: TokenDomain,
    /// The hash of the domain, which never changes; the contract said the same at start.
    pub(crate) separator: B256,
}

impl Network {
    /// Asks the node whether it is what the configuration says, and starts one lane per signer.
    pub(crate) async fn connect(
        config: NetworkConfig,
        signers: &[Arc<dyn Signer>],
        pending: &Pending,
    ) -> Result<Self, ConnectError> {
        let chain = config.chain;
        let node = Node::new(&config.endpoint, config.rpc_timeout);
        let rpc = Arc::new(Rpc::new(node.map_err(|_| ConnectError::HttpClient)?));
        let unreachable = |error: NodeError| {
            tracing::warn!(%chain, %error, "a node did not answer at start");
            ConnectError::Unreachable { chain }
        };
        let found = rpc.chain_id().await.map_err(unreachable)?;
        if found != chain.get() {
            return Err(ConnectError::WrongChain {
                expected: chain,
                found,
            });
        }
        let mut assets = BTreeMap::new();
        for asset in &config.assets {
            let known = check_asset(&config, &rpc, asset).await?;
            assets.insert(asset.id.token(), known);
        }
        if let Some(address) = config.batch_settler
            && !rpc.has_code(address).await.map_err(unreachable)?
        {
            return Err(ConnectError::NoBatchSettler { chain, address });
        }
        let follower = config.follow.map(|follow| {
            let tokens = assets.keys().copied().collect();
            Follower::start(&config, follow, Arc::clone(&rpc), tokens)
        });
        let fees = Arc::new(Fees::new(config.fee_style, config.fee_per_gas_max));
        let mut lanes = Vec::new();
        for signer in signers {
            let balance = rpc.balance(signer.address()).await.map_err(unreachable)?;
            let (rpc, fees) = (Arc::clone(&rpc), Arc::clone(&fees));
            let (signer, pending) = (Arc::clone(signer), pending.clone());
            lanes.push(Lane::start(&config, rpc, fees, signer, balance, pending));
        }
        let sender = signers.first().ok_or(ConnectError::NoSigner)?.address();
        Ok(Self {
            label: chain.to_string().into(),
            tips: Tips::new(config.confirmations_final),
            config,
            rpc,
            sender,
            follower,
            assets,
            lanes,
            deployments: Deployments::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// The asset with this contract, if it is on the allow-list.
    pub(crate) fn asset(&self, token: Address) -> Option<&KnownAsset> {
        self.assets.get(&token)
    }

    /// Counts a verdict.
    pub(crate) fn count_verified(&self, way: Way) {
        let (source, reason) = way.labels();
        let network = Arc::clone(&self.label);
        counter!(
            "faregate_verify_total",
            "network" => network, "source" => source, "reason" => reason
        )
        .increment(1);
    }

    /// The same trail. What is about to be sent counts as spent from then on.
    pub(crate) const fn holding<'a>(&'a self, share: Share, trail: &'a dyn Trail) -> Holding<'a> {
        Holding {
            follower: self.follower.as_ref(),
            share,
            trail,
        }
    }

    /// The end of a settlement, for what counts as spent.
    pub(crate) fn settled(&self, share: &Share, outcome: &SettleOutcome) {
        if let Some(follower) = &self.follower {
            follower.settled(share, outcome);
        }
    }

    /// Some transactions may not be where they were: every lane asks for its nonce again.
    pub(crate) fn doubt(&self) {
        for lane in &self.lanes {
            lane.doubt();
        }
    }

    /// Puts a job into the queue of the first lane that takes it.
    pub(crate) fn offer(&self, mut job: Box<Job>) -> Option<&Lane> {
        for lane in self.lanes_by_burden() {
            match lane.offer(job) {
                Ok(()) => return Some(lane),
                Err(back) => job = back,
            }
        }
        None
    }

    /// The lanes, those with gas money and a short queue first; equals take turns.
    fn lanes_by_burden(&self) -> Vec<&Lane> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(self.lanes.len()).unwrap_or(0);
        let turns = self.lanes.iter().cycle().skip(first);
        let mut lanes: Vec<_> = turns.take(self.lanes.len()).collect();
        // Stable, and each is asked once: a queue may grow meanwhile.
        lanes.sort_by_cached_key(|lane| lane.burden());
        lanes
    }
}

/// See [`Network::holding`].
pub(crate) struct Holding<'a> {
    follower: Option<&'a Follower>,
    share: Share,
    trail: &'a dyn Trail,
}

impl Trail for Holding<'_> {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        if let Some(follower) = self.follower {
            follower.hold(&self.share);
        }
        self.trail.broadcast(transaction)
    }
}

async fn check_asset(
    config: &NetworkConfig,
    rpc: &Rpc,
    asset: &Asset,
) -> Result<KnownAsset, ConnectError> {
    let (chain, id, token) = (config.chain, asset.id, asset.id.token());
    if id.chain() != chain {
        return Err(ConnectError::AssetElsewhere { chain, asset: id });
    }
    if asset.transfer != TransferMethod::Eip3009 {
        return Err(ConnectError::TransferMethod { asset: id });
    }
    let unreachable = |error: NodeError| {
        tracing::warn!(%chain, %error, "a node did not answer at start");
        ConnectError::Unreachable { chain }
    };
    if !rpc.has_code(token).await.map_err(unreachable)? {
        return Err(ConnectError::NoContract { asset: id });
    }
    let separator = domain_separator(&asset.domain, chain, token);
    match rpc
        .read(token, &Token::DOMAIN_SEPARATORCall {}, None)
        .await
        .map_err(unreachable)?
    {
        Called::Returned(found) if found == separator => Ok(KnownAsset {
            domain: asset.domain.clone(),
            separator,
        }),
        Called::Returned(_) => Err(ConnectError::DomainMismatch { asset: id }),
        Called::Reverted(_) => Err(ConnectError::NoDomain { asset: id }),
    }
}
