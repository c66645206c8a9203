//! Permits, verified and brought to their chains: the port `faregate_core::port::Collector` over the lanes of a facilitator.
//!
//! Payers sign for the address of a `PermitSettler`, of which each treasury has one (`contracts/README.md`). It moves all of
//! what was signed, or nothing, and only to the treasury; so the balance has to cover what was signed, and it does not matter
//! who sends the transaction.
//!
//! | module | idea |
//! |---|---|
//! | `claim` | one permit and the contract that it is for; what receipts say about it |
//! | `state` | what the chain says about a payer, at one block |
//! | `stand` | whether a permit was collected, is still good, or never will be |
//! | `check` | would it settle? and if not, why |
//! | `send` | settling it |

mod check;
mod claim;
mod send;
mod stand;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use faregate_core::port::{
    Away, Care, Collector, Finality, PermitOrder, PermitVerdict, SettleOutcome, Trail, Unknown,
};
use faregate_types::ChainId;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use self::claim::Claim;
use crate::config::ConnectError;
use crate::errand::{self, Fate};
use crate::facilitator::ExactFacilitator;
use crate::finality::confirm;
use crate::flight::Landing;
use crate::limits::PERMIT_LEFT;
use crate::matter::Matter as _;
use crate::network::Network;
use crate::node::NodeError;
use crate::permit_settler::PermitSettler;
use crate::rpc::{CHAIN_AWAY, Simulation};
use crate::settle::{Settling, nothing_sent};

/// Verifies permits and collects them, on the networks and through the signers of an [`ExactFacilitator`]. Cheap to clone.
///
/// - `verify` changes nothing. It asks the node once, and once more for [`Care::Simulate`].
/// - `settle` is idempotent, and permits that wait for the same contract leave in one transaction.
/// - `resolve` and `confirm` send nothing.
#[derive(Clone)]
pub struct PermitCollector(Arc<Inner>);

struct Inner {
    facilitator: ExactFacilitator,
    settlers: BTreeMap<(ChainId, Address), PermitSettler>,
    left: Duration,
}

/// Collects what [`PermitCollector::builder`] needs.
#[must_use = "call connect()"]
pub struct CollectorBuilder {
    facilitator: ExactFacilitator,
    treasuries: Vec<(ChainId, Address)>,
    left: Duration,
    deploys: bool,
}

impl PermitCollector {
    /// A collector that collects for nobody yet.
    pub fn builder(facilitator: &ExactFacilitator) -> CollectorBuilder {
        CollectorBuilder {
            facilitator: facilitator.clone(),
            treasuries: Vec::new(),
            left: PERMIT_LEFT,
            deploys: true,
        }
    }
}

impl CollectorBuilder {
    /// Adds an account that permits on a chain are collected for.
    pub fn treasury(mut self, chain: ChainId, treasury: Address) -> Self {
        self.treasuries.push((chain, treasury));
        self
    }

    /// How long a permit has to stay valid when it is verified, so that it can be settled; 6 seconds unless told, in whole
    /// seconds.
    pub const fn time_left(mut self, left: Duration) -> Self {
        self.left = left;
        self
    }

    /// Whether contracts that are missing are deployed at start, which costs a signer gas, once. They are unless told.
    pub const fn deploys(mut self, deploys: bool) -> Self {
        self.deploys = deploys;
        self
    }

    /// Asks whether the contract of each treasury is there, and deploys it if not.
    ///
    /// # Errors
    /// [`ConnectError`], the first thing that is not as it should be.
    pub async fn connect(self) -> Result<PermitCollector, ConnectError> {
        let mut settlers = BTreeMap::new();
        for (chain, treasury) in self.treasuries {
            let Some(network) = self.facilitator.network(chain) else {
                return Err(ConnectError::NoNetworkOf { chain });
            };
            let settler =
                PermitSettler::of(treasury).ok_or(ConnectError::ZeroTreasury { chain })?;
            prepare(network, &settler, self.deploys).await?;
            settlers.insert((chain, treasury), settler);
        }
        Ok(PermitCollector(Arc::new(Inner {
            facilitator: self.facilitator,
            settlers,
            left: self.left,
        })))
    }
}

/// Sees to it that the contract stands.
async fn prepare(
    network: &Network,
    settler: &PermitSettler,
    deploys: bool,
) -> Result<(), ConnectError> {
    let (chain, address) = (network.config.chain, settler.address());
    let unreachable = |error: NodeError| {
        tracing::warn!(%chain, %error, "a node did not answer at start");
        ConnectError::Unreachable { chain }
    };
    if network.rpc.has_code(address).await.map_err(unreachable)? {
        return Ok(());
    }
    if !deploys {
        return Err(ConnectError::NoPermitSettler { chain, address });
    }
    let deployment = settler.deployment();
    let call = Simulation {
        from: network.sender,
        to: deployment.to,
        value: U256::ZERO,
        data: deployment.data,
        gas_max: deployment.gas,
    };
    let config = &network.config;
    let patience = config.queue_wait.saturating_add(config.receipt_wait);
    let fate = match timeout(patience, errand::run(network, call)).await {
        Ok(fate) => fate.map_err(unreachable)?,
        Err(_) => None,
    };
    // Somebody else may have done it at the same time.
    if network.rpc.has_code(address).await.map_err(unreachable)? {
        if let Some(Fate::Landed(Landing::Mined(receipt))) = fate {
            tracing::info!(%chain, %address, transaction = %receipt.transaction_hash, "the contract that collects permits was deployed");
        }
        return Ok(());
    }
    tracing::warn!(%chain, %address, ?fate, "the contract that collects permits cannot be deployed");
    Err(ConnectError::PermitSettlerDeployment { chain, address })
}

impl Inner {
    /// The permit with its network and contract; `None` when nothing is collected there.
    fn claim<'a>(&'a self, order: &'a PermitOrder) -> Option<(Claim<'a>, &'a Network)> {
        let network = self.facilitator.network(order.permit.chain)?;
        let known = self.settlers.get(&(order.permit.chain, order.treasury));
        Some((Claim::new(order, *known?, &self.facilitator), network))
    }

    /// The same for permits that were taken earlier, whatever is collected now.
    fn past_claim<'a>(&'a self, order: &'a PermitOrder) -> Option<(Claim<'a>, &'a Network)> {
        let network = self.facilitator.network(order.permit.chain)?;
        let known = self.settlers.get(&(order.permit.chain, order.treasury));
        let settler = known
            .copied()
            .or_else(|| PermitSettler::of(order.treasury))?;
        Some((Claim::new(order, settler, &self.facilitator), network))
    }

    async fn verify(&self, order: &PermitOrder, care: Care) -> Result<PermitVerdict, Away> {
        let Some((claim, network)) = self.claim(order) else {
            tracing::error!(chain = %order.permit.chain, treasury = %order.treasury, "a permit is to be collected for a treasury that is not configured");
            return Err(CHAIN_AWAY);
        };
        let judged = claim.verify(network, self.left, care).await;
        judged.map_err(|error| {
            tracing::debug!(%error, "the chain did not answer a question of verification");
            CHAIN_AWAY
        })
    }

    async fn settle(&self, order: &PermitOrder, trail: &dyn Trail) -> SettleOutcome {
        let Some((claim, network)) = self.claim(order) else {
            return nothing_sent(CHAIN_AWAY.code);
        };
        let holding = network.holding(claim.share(), trail);
        let work = || -> BoxFuture<'_, SettleOutcome> {
            Box::pin(async {
                let (outcome, forwards) = self.settling(network, &claim).run(&holding).await;
                if forwards {
                    send::forward(&self.facilitator, network.config.chain, &claim);
                }
                outcome
            })
        };
        self.facilitator
            .lead(network, &claim, claim.fingerprint(), work)
            .await
    }

    async fn resolve(&self, order: &PermitOrder, transaction: Option<&str>) -> SettleOutcome {
        let hash = transaction.and_then(|text| text.parse::<B256>().ok());
        match self.past_claim(order) {
            Some((claim, network)) => self.settling(network, &claim).resolve(hash).await,
            // The network was taken out of the configuration; the payment may have moved before that.
            None => SettleOutcome::Unknown(Unknown {
                code: CHAIN_AWAY.code,
                transaction: transaction.map(Into::into),
            }),
        }
    }

    fn settling<'a>(
        &'a self,
        network: &'a Network,
        claim: &'a Claim<'a>,
    ) -> Settling<'a, Claim<'a>> {
        Settling {
            network,
            pending: self.facilitator.pending(),
            payment: claim,
            now: self.facilitator.now(),
        }
    }
}

impl Collector for PermitCollector {
    fn payee(&self, chain: ChainId, treasury: Address) -> Option<Address> {
        let settler = self.0.settlers.get(&(chain, treasury))?;
        Some(settler.address())
    }

    fn verify<'a>(
        &'a self,
        order: &'a PermitOrder,
        care: Care,
    ) -> BoxFuture<'a, Result<PermitVerdict, Away>> {
        Box::pin(self.0.verify(order, care))
    }

    fn settle<'a>(
        &'a self,
        order: &'a PermitOrder,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.0.settle(order, trail))
    }

    fn resolve<'a>(
        &'a self,
        order: &'a PermitOrder,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.0.resolve(order, transaction))
    }

    fn confirm<'a>(
        &'a self,
        order: &'a PermitOrder,
        transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        Box::pin(async move {
            match self.0.past_claim(order) {
                Some((claim, network)) => confirm(network, &claim, transaction).await,
                None => Finality::Unknown,
            }
        })
    }
}

impl fmt::Debug for PermitCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitCollector")
            .field("facilitator", &self.0.facilitator)
            .field("settlers", &self.0.settlers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CollectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorBuilder")
            .field("treasuries", &self.treasuries)
            .finish_non_exhaustive()
    }
}
