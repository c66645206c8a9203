//! Where the contracts of credit stand: the dev chain has them from its first block on, and another node gets them.

use std::sync::Arc;

use faregate_devnet::chain::{CREDIT_CORE, CreditTiming, VALIDATION_REGISTRY, validation_registry};
use faregate_evm::credit::{Creation, Deployment, PutError, Timing};
use faregate_evm::{Account, AskError, NetworkConfig, SendError, Unsent};
use faregate_types::{Address, ChainId};
use url::Url;

use super::clockwork::Node;
use super::{ADMIN, OPERATOR, account, key};
use crate::exit::{Exit, Failed};

/// Gas of the largest contract, with room.
const GAS_LIMIT_MAX: u64 = 10_000_000;

/// A chain that is no longer is read from its first block. A longer one is asked when the contract came, and has to know its past.
const YOUNG_BLOCKS: u64 = 20_000;

/// Contracts on a chain.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Ground {
    /// What holds collateral.
    pub(super) contract: Address,
    /// What says whether work was validated.
    pub(super) registry: Address,
    /// The block in which the contract came, or one before; `None`: to be looked for.
    pub(super) deployed_at: Option<u64>,
}

impl Ground {
    /// On the dev chain.
    pub(in crate::stack) const fn dev_chain() -> Self {
        Self {
            contract: CREDIT_CORE,
            registry: VALIDATION_REGISTRY,
            deployed_at: Some(0),
        }
    }

    /// On somebody's node. What a run before this one put there is used again.
    pub(in crate::stack) async fn on_node(
        chain: ChainId,
        rpc_url: &Url,
        token: Address,
        timing: CreditTiming,
    ) -> Result<Self, Failed> {
        let admin = account(ADMIN)?.address;
        let mut network = NetworkConfig::new(chain, rpc_url.clone(), Vec::new());
        network.gas_limit_max = GAS_LIMIT_MAX;
        let signer = Arc::new(crate::stack::signer(Some(account(ADMIN)?))?);
        let sender = Account::connect(network, signer).await;
        let sender = sender.map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
        let code = validation_registry();
        let code = code.map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
        let registry = Creation::of(&code);
        let deployment = Deployment {
            chain,
            key: key()?.public_key().words(),
            tokens: vec![token],
            registries: vec![registry.address],
            timing: Timing {
                remuneration_grace: timing.remuneration_grace,
                tab_expiration: timing.tab_expiration,
                synchronization_delay: timing.synchronization_delay,
                withdrawal_grace: timing.withdrawal_grace,
            },
            admin,
            governor: admin,
            governance_delay: 0,
            guardian: admin,
            operator: account(OPERATOR)?.address,
        };
        registry.put(&sender).await.map_err(not_put)?;
        let created = deployment.put(&sender).await.map_err(not_put)?;
        Ok(Self {
            contract: deployment.core().address(),
            registry: registry.address,
            deployed_at: match created {
                Some(block) => Some(block),
                None => Node::new(rpc_url)?.newest().await.and_then(first_to_read),
            },
        })
    }
}

fn first_to_read(newest: u64) -> Option<u64> {
    (newest <= YOUNG_BLOCKS).then_some(0)
}

/// Why they are not there, in a sentence.
fn not_put(error: PutError) -> Failed {
    let text = match error {
        PutError::Send(SendError::NotSent(Unsent::NoMoney)) => {
            let who = account(ADMIN).map(|account| account.address);
            who.map_or_else(
                |failed| failed.message,
                |who| format!("{who} has no ether to put its contracts there with"),
            )
        }
        PutError::Ask(AskError::Away) => "the node gave no answer".to_owned(),
        other => format!("its contracts are not there: {other}"),
    };
    Failed::new(Exit::Failure, text)
}
