//! The facilitator itself: requests in, verdicts and outcomes out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, B256};
use faregate_core::port::{
    Away, Clock, Facilitator, Finality, SettleOutcome, Trail, Unknown, Verdict,
};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::x402::{FacilitatorRequest, Kind, SupportedResponse, Version};
use faregate_types::{ChainId, Code, Fingerprint, PaymentId, Refusal, Timestamp};
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::config::{ConnectError, NetworkConfig};
use crate::finality::confirm;
use crate::limits::SIGNINGS_MAX;
use crate::matter::Matter;
use crate::network::Network;
use crate::pending::{Entry, Pending};
use crate::settle::{Settling, fingerprint, nothing_sent};
use crate::signer::Signer;
use crate::verify::{self, Stop};

/// An x402 facilitator for scheme `exact` on EVM chains, in this process. Cheap to clone; its tasks end when the last
/// clone is dropped.
///
/// - `verify` changes nothing. It asks the node nothing when it knows payer, payee and chain well enough (see
///   [`FollowConfig`](crate::FollowConfig)), else two to four questions at once.
/// - `settle` is idempotent: repeating it answers [`SettleOutcome::Settled`] with the transaction that moved the money,
///   whoever sent it. **The caller must hold the claim on the payment**: N copies of one request all get the same
///   "settled". The trail is told about a transaction only by the settlement that sends it.
/// - `resolve` sends nothing.
///
/// Must be connected and used inside a Tokio runtime.
#[derive(Clone)]
pub struct ExactFacilitator(Arc<Inner>);

struct Inner {
    networks: BTreeMap<ChainId, Network>,
    signers: Vec<Address>,
    pending: Pending,
    clock: Arc<dyn Clock>,
}

/// Collects what [`ExactFacilitator::builder`] needs.
#[must_use = "call connect()"]
pub struct Builder {
    networks: Vec<NetworkConfig>,
    signers: Vec<Arc<dyn Signer>>,
    clock: Arc<dyn Clock>,
}

impl ExactFacilitator {
    /// A facilitator without networks and signers, to be filled.
    pub fn builder() -> Builder {
        Builder {
            networks: Vec::new(),
            signers: Vec::new(),
            clock: Arc::new(|| Timestamp::from(SystemTime::now())),
        }
    }

    /// The networks it settles on.
    pub fn chains(&self) -> impl Iterator<Item = ChainId> {
        self.0.networks.keys().copied()
    }

    /// The accounts that send the transactions and pay their gas.
    #[must_use]
    pub fn signers(&self) -> &[Address] {
        &self.0.signers
    }

    /// How old the newest knowledge of a chain is from which payments are verified; `None` when it is not followed, or
    /// was never read yet. Above [`FollowConfig::lag_max`](crate::FollowConfig::lag_max) the node is asked instead.
    #[must_use]
    pub fn follow_lag(&self, chain: ChainId) -> Option<Duration> {
        self.0.networks.get(&chain)?.follower.as_ref()?.lag()
    }

    pub(crate) fn network(&self, chain: ChainId) -> Option<&Network> {
        self.0.networks.get(&chain)
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.0.pending
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// See [`Inner::lead`].
    pub(crate) async fn lead<'w, M: Matter>(
        &self,
        network: &Network,
        payment: &M,
        print: Fingerprint,
        work: impl Fn() -> BoxFuture<'w, SettleOutcome> + Send,
    ) -> SettleOutcome {
        self.0.lead(network, payment, print, work).await
    }

    /// Asks every node for its chain id: an answer means that this facilitator can work now.
    ///
    /// # Errors
    /// [`Code::ChainUnavailable`] when one of them gives none, or another one than at start.
    pub async fn ping(&self) -> Result<(), Away> {
        for (chain, network) in &self.0.networks {
            match network.rpc.chain_id().await {
                Ok(found) if found == chain.get() => {}
                Ok(_) | Err(_) => {
                    return Err(Away {
                        code: Code::ChainUnavailable,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Builder {
    /// Adds a network.
    pub fn network(mut self, config: NetworkConfig) -> Self {
        self.networks.push(config);
        self
    }

    /// Adds a signer. Every signer works on every network; several share the load.
    pub fn signer(mut self, signer: impl Signer) -> Self {
        self.signers.push(Arc::new(signer));
        self
    }

    /// Replaces the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Asks every node whether it is on the configured chain and every asset whether it is the configured one, then
    /// starts the signers' tasks.
    ///
    /// # Errors
    /// [`ConnectError`], the first thing that is not as configured.
    pub async fn connect(self) -> Result<ExactFacilitator, ConnectError> {
        if self.networks.is_empty() {
            return Err(ConnectError::NoNetwork);
        }
        let mut signers: Vec<Arc<dyn Signer>> = Vec::new();
        for signer in self.signers {
            // Two lanes for one account would fight over its nonces.
            if !signers
                .iter()
                .any(|known| known.address() == signer.address())
            {
                signers.push(signer);
            }
        }
        if signers.is_empty() {
            return Err(ConnectError::NoSigner);
        }
        let (pending, mut networks) = (Pending::default(), BTreeMap::new());
        for config in self.networks {
            let chain = config.chain;
            if config.assets.is_empty() {
                return Err(ConnectError::NoAsset { chain });
            }
            if networks.contains_key(&chain) {
                return Err(ConnectError::NetworkTwice { chain });
            }
            networks.insert(chain, Network::connect(config, &signers, &pending).await?);
        }
        let signers = signers.iter().map(|signer| signer.address()).collect();
        let inner = Inner {
            networks,
            signers,
            pending,
            clock: self.clock,
        };
        Ok(ExactFacilitator(Arc::new(inner)))
    }
}

impl Inner {
    /// Steps 1 and 2, and whether the network is one of ours.
    fn payment(&self, request: &FacilitatorRequest) -> Result<(ExactPayment, &Network), Refusal> {
        let payment = request.exact()?;
        match self.networks.get(&payment.terms.asset.chain()) {
            Some(network) => Ok((payment, network)),
            None => {
                let refusal = Refusal::new(Code::InvalidExactEvmFailedToGetNetworkConfig);
                Err(refusal.payer(payment.payer()))
            }
        }
    }

    async fn verify(&self, request: &FacilitatorRequest) -> Result<Verdict, Away> {
        let (payment, network) = match self.payment(request) {
            Ok(found) => found,
            Err(refusal) => return Ok(Verdict::Invalid(refusal)),
        };
        let (way, verified) = verify::verify(network, &payment, self.clock.now()).await;
        network.count_verified(way);
        match verified {
            Ok(()) => Ok(Verdict::Valid {
                payer: payment.payer(),
            }),
            Err(Stop::Refused(refusal) | Stop::Disowned(refusal)) => Ok(Verdict::Invalid(refusal)),
            Err(Stop::Away(away)) => Err(away),
        }
    }

    async fn settle(&self, request: &FacilitatorRequest, trail: &dyn Trail) -> SettleOutcome {
        let (payment, network) = match self.payment(request) {
            Ok(found) => found,
            Err(refusal) => return SettleOutcome::Failed(refusal),
        };
        let trail = &network.holding(payment.share(), trail);
        let work = || -> BoxFuture<'_, SettleOutcome> {
            let settling = self.settling(network, &payment);
            Box::pin(async move { settling.run(trail).await })
        };
        self.lead(network, &payment, fingerprint(&payment), work)
            .await
    }

    /// Settles a payment, or waits for whoever is settling it. `print` tells apart what claims the same payment.
    async fn lead<'w, M: Matter>(
        &self,
        network: &Network,
        payment: &M,
        print: Fingerprint,
        work: impl Fn() -> BoxFuture<'w, SettleOutcome> + Send,
    ) -> SettleOutcome {
        let id = payment.id();
        // Whoever is on this payment now needs at most so long; afterwards nobody can say.
        let patience = longest(&network.config);
        loop {
            match self.pending.enter(id, print, self.clock.now()) {
                Entry::Lead(lead) => {
                    let outcome = work().await;
                    network.settled(&payment.share(), &outcome);
                    lead.finish(&outcome);
                    return outcome;
                }
                Entry::Follow(result) => match timeout(patience, result.wait()).await {
                    Ok(Some(outcome)) => return outcome,
                    // The one who was on it gave up.
                    Ok(None) => {}
                    Err(_) => return self.undecided(id),
                },
                Entry::Wait(result) => {
                    if timeout(patience, result.wait()).await.is_err() {
                        return self.undecided(id);
                    }
                }
                Entry::Full => return nothing_sent(Code::Overloaded),
            }
        }
    }

    async fn resolve(
        &self,
        request: &FacilitatorRequest,
        transaction: Option<&str>,
    ) -> SettleOutcome {
        let payment = match request.exact() {
            Ok(payment) => payment,
            // What cannot be read was never sent.
            Err(refusal) => return SettleOutcome::Failed(refusal),
        };
        let hash = transaction.and_then(|text| text.parse::<B256>().ok());
        match self.networks.get(&payment.terms.asset.chain()) {
            Some(network) => Box::pin(self.settling(network, &payment).resolve(hash)).await,
            // The network was taken out of the configuration; the payment may have moved before that.
            None => SettleOutcome::Unknown(Unknown {
                code: Code::ChainUnavailable,
                transaction: transaction.map(Into::into),
            }),
        }
    }

    fn settling<'a>(
        &'a self,
        network: &'a Network,
        payment: &'a ExactPayment,
    ) -> Settling<'a, ExactPayment> {
        Settling {
            network,
            pending: &self.pending,
            payment,
            now: self.clock.now(),
        }
    }

    fn undecided(&self, id: PaymentId) -> SettleOutcome {
        let transaction = self
            .pending
            .sent(id)
            .map(|outside| outside.hash.to_string().into());
        SettleOutcome::Unknown(Unknown {
            code: Code::SettlementPending,
            transaction,
        })
    }

    fn supported(&self) -> SupportedResponse {
        let kinds = |chain: &ChainId| {
            let v2 = Kind::exact(Version::V2, chain.to_string());
            let v1 = chain.v1_name().map(|name| Kind::exact(Version::V1, name));
            [Some(v2), v1].into_iter().flatten()
        };
        let signers = self.signers.iter().map(Address::to_string).collect();
        SupportedResponse {
            kinds: self.networks.keys().flat_map(kinds).collect(),
            extensions: Vec::new(),
            signers: BTreeMap::from([("eip155:*".to_owned(), signers)]),
        }
    }
}

/// The longest a settlement can take, and a bit.
fn longest(config: &NetworkConfig) -> Duration {
    let deployment = match config.wallet_factories.as_slice() {
        [] => Duration::ZERO,
        [_, ..] => config.queue_wait.saturating_add(config.receipt_wait),
    };
    [
        deployment,
        config.receipt_wait,
        config.queue_wait,
        config.trail_timeout.saturating_mul(SIGNINGS_MAX),
        config.rpc_timeout.saturating_mul(12),
    ]
    .into_iter()
    .fold(Duration::ZERO, Duration::saturating_add)
}

impl Facilitator for ExactFacilitator {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        Box::pin(async { Ok(self.0.supported()) })
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(self.0.verify(request))
    }

    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.0.settle(request, trail))
    }

    fn uses_trail(&self) -> bool {
        true
    }

    fn resolve<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.0.resolve(request, transaction))
    }

    fn confirm<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        Box::pin(async move {
            match self.0.payment(request) {
                Ok((payment, network)) => confirm(network, &payment, transaction).await,
                // The network was taken out of the configuration.
                Err(_) => Finality::Unknown,
            }
        })
    }
}

impl fmt::Debug for ExactFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactFacilitator")
            .field("networks", &self.0.networks.keys())
            .field("signers", &self.0.signers)
            .field("pending", &self.0.pending)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("networks", &self.networks)
            .field("signers", &self.signers)
            .finish_non_exhaustive()
    }
}
