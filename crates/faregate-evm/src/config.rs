//! What an operator says about a network, and what can be wrong with it at start.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use faregate_types::{Asset, ChainId, Erc20};
use url::Url;

use crate::follow::FollowConfig;
use crate::transport::{Endpoint, Transport};

/// One network the facilitator verifies and settles on. Start from [`NetworkConfig::new`] and change what differs.
#[derive(Clone)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// The chain. At start the node is asked whether it agrees.
    pub chain: ChainId,
    /// Where its node is.
    pub endpoint: Endpoint,
    /// The allow-list of assets; payments in anything else are refused. Each must be on `chain` and speak EIP-3009.
    pub assets: Vec<Asset>,
    /// Factories that may deploy a payer's wallet when its first payment is settled (ERC-6492). Empty, the default: none.
    /// The signer pays for the gas of that transaction, too, and calls the factory with whatever the payer says: allow only
    /// factories that deploy wallets and do nothing else.
    pub wallet_factories: Vec<Address>,
    /// Time for one call of the node.
    pub rpc_timeout: Duration,
    /// How long a settlement waits for its receipt before it answers "unknown".
    pub receipt_wait: Duration,
    /// How long the caller's trail may take to record a transaction before it is given up, unsent.
    pub trail_timeout: Duration,
    /// How long a settlement may wait for its turn at a signer.
    pub queue_wait: Duration,
    /// Settlements that may wait for one signer; more are turned away at once.
    pub queue_len_max: usize,
    /// Blocks that must follow the one with the transaction before it counts. 0: the receipt is enough.
    pub confirmations: u64,
    /// The gas limit no transaction goes above. A transfer that needs more is refused.
    pub gas_limit_max: u64,
    /// Wei per gas no transaction offers more than.
    pub fee_per_gas_max: u128,
    /// How transactions offer their fee.
    pub fee_style: FeeStyle,
    /// How the chain is followed so that payments can be verified without asking the node. `None`: not at all, and the
    /// node is asked about each payment.
    pub follow: Option<FollowConfig>,
    /// The `BatchSettler` contract (`contracts/README.md`). With it, payments that wait for the same signer leave in one
    /// transaction. `None`, the default: each leaves alone. At start the address must have code.
    pub batch_settler: Option<Address>,
    /// Payments in one transaction, at most; the contract takes 256.
    pub batch_items_max: usize,
    /// Gas that one payment of a batch may burn. A payment that needs more leaves alone.
    pub batch_item_gas: u64,
    /// How long the first payment of a batch waits for others. Zero, the default: only those that wait anyway go along.
    pub batch_wait: Duration,
    /// A transaction that is not mined after this time is replaced by one with the same nonce and a higher fee.
    pub bump_after: Duration,
    /// Wei. A signer that has less is warned about, and gets work only when every other one has less, too.
    pub balance_floor: U256,
    /// Blocks that must follow the one with the transaction before a settlement counts as final, so that nobody looks at
    /// it again. Unlike `confirmations`, nobody waits for this many when a payment is settled. A block that the node calls
    /// finalized is deep enough.
    pub confirmations_final: u64,
    /// How many blocks back a transfer is searched that somebody else may have submitted.
    pub search_blocks_max: u64,
    /// Blocks per `eth_getLogs`; nodes have limits of their own.
    pub search_page_blocks: u64,
    /// Seconds by which an authorization must have been expired, in the chain's time, before an unused one counts as
    /// failed for good. Covers short reorganisations.
    pub expiry_margin_secs: u64,
}

/// How a transaction says what it pays for gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeeStyle {
    /// EIP-1559: the base fee plus a tip.
    #[default]
    Eip1559,
    /// One gas price, for chains without a base fee.
    Legacy,
}

impl NetworkConfig {
    /// A network with the defaults of every limit, whose node answers JSON-RPC over HTTP at `rpc_url`.
    #[must_use]
    pub const fn new(chain: ChainId, rpc_url: Url, assets: Vec<Asset>) -> Self {
        Self {
            chain,
            endpoint: Endpoint::Http(rpc_url),
            assets,
            wallet_factories: Vec::new(),
            rpc_timeout: Duration::from_secs(10),
            receipt_wait: Duration::from_secs(60),
            trail_timeout: Duration::from_secs(10),
            queue_wait: Duration::from_secs(20),
            queue_len_max: 1024,
            confirmations: 0,
            gas_limit_max: 500_000,
            fee_per_gas_max: 500_000_000_000,
            fee_style: FeeStyle::Eip1559,
            follow: Some(FollowConfig::DEFAULT),
            batch_settler: None,
            batch_items_max: 100,
            batch_item_gas: 100_000,
            batch_wait: Duration::ZERO,
            bump_after: Duration::from_secs(30),
            balance_floor: U256::from_limbs([1_000_000_000_000_000, 0, 0, 0]),
            confirmations_final: 12,
            search_blocks_max: 20_000,
            search_page_blocks: 2_000,
            expiry_margin_secs: 60,
        }
    }

    /// Asks this node instead of the one at the URL: a chain in this process, or a model of one.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.endpoint = Endpoint::InProcess(transport);
        self
    }
}

impl std::fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("chain", &self.chain)
            .field("endpoint", &self.endpoint)
            .field("assets", &self.assets.len())
            .finish_non_exhaustive()
    }
}

/// Why the facilitator did not start. Each is something an operator has to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No network was configured.
    #[error("expected at least one network")]
    NoNetwork,
    /// No signer was configured.
    #[error("expected at least one signer")]
    NoSigner,
    /// The same chain stands in the configuration twice.
    #[error("expected {chain} once")]
    NetworkTwice {
        /// The chain.
        chain: ChainId,
    },
    /// A network without assets settles nothing.
    #[error("expected at least one asset on {chain}")]
    NoAsset {
        /// The chain.
        chain: ChainId,
    },
    /// An asset of another chain.
    #[error("expected an asset on {chain}, found {asset}")]
    AssetElsewhere {
        /// The chain it is configured under.
        chain: ChainId,
        /// The asset.
        asset: Erc20,
    },
    /// An asset that does not move by EIP-3009.
    #[error("expected an asset with EIP-3009: {asset}")]
    TransferMethod {
        /// The asset.
        asset: Erc20,
    },
    /// No HTTP client could be made.
    #[error("the HTTP client could not be made, probably because of the system's certificates")]
    HttpClient,
    /// The node did not answer, or not usefully.
    #[error("no usable answer from the node of {chain}")]
    Unreachable {
        /// The chain it was configured for.
        chain: ChainId,
    },
    /// The node is on another chain.
    #[error("expected a node of {expected}, found one of chain {found}")]
    WrongChain {
        /// The configured chain.
        expected: ChainId,
        /// What the node says.
        found: u64,
    },
    /// There is no contract at the asset's address.
    #[error("expected a contract at {asset}")]
    NoContract {
        /// The asset.
        asset: Erc20,
    },
    /// There is no contract at the address of the batch settler.
    #[error("expected the batch settler on {chain} at {address}")]
    NoBatchSettler {
        /// The chain.
        chain: ChainId,
        /// Where it should be.
        address: Address,
    },
    /// Permits are to be collected on a chain that is not configured.
    #[error("expected a network of {chain} to collect permits on")]
    NoNetworkOf {
        /// The chain.
        chain: ChainId,
    },
    /// Permits are to be collected for the zero address.
    #[error("expected a treasury on {chain}, found the zero address")]
    ZeroTreasury {
        /// The chain.
        chain: ChainId,
    },
    /// There is no contract that collects permits for a treasury, and none is to be deployed.
    #[error("expected the permit settler of the treasury on {chain} at {address}")]
    NoPermitSettler {
        /// The chain.
        chain: ChainId,
        /// Where it should be.
        address: Address,
    },
    /// The contract that collects permits for a treasury could not be deployed.
    #[error("the permit settler of the treasury on {chain} cannot be deployed to {address}")]
    PermitSettlerDeployment {
        /// The chain.
        chain: ChainId,
        /// Where it should be.
        address: Address,
    },
    /// The contract does not tell its EIP-712 domain.
    #[error("expected DOMAIN_SEPARATOR() to answer at {asset}")]
    NoDomain {
        /// The asset.
        asset: Erc20,
    },
    /// The contract's EIP-712 domain is not the configured name and version on this chain.
    #[error("expected the contract at {asset} to have the configured EIP-712 name and version")]
    DomainMismatch {
        /// The asset.
        asset: Erc20,
    },
    /// There is no credit contract at the address, or it does not answer as one.
    #[error("expected the credit contract on {chain} at {address}")]
    NoCreditCore {
        /// The chain.
        chain: ChainId,
        /// Where it should be.
        address: Address,
    },
    /// Nobody knows since when the credit contract is there: the node does not know the past.
    #[error("expected the block in which the credit contract on {chain} at {address} was deployed")]
    CreditDeployment {
        /// The chain.
        chain: ChainId,
        /// Where it is.
        address: Address,
    },
    /// The books of the credit core do not say where they stand.
    #[error("the credit books of {chain} cannot be read")]
    CreditBooks {
        /// The chain.
        chain: ChainId,
    },
}
