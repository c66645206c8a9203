//! What a signer has to pay gas with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, U256};
use faregate_types::ChainId;
use tokio::time::Instant;

use crate::limits::{POOR_WARNING_EVERY, PURSE_FRESH};
use crate::meter::Meter;
use crate::node::NodeError;
use crate::rpc::Rpc;

/// A signer's balance, as far as it is known.
#[derive(Debug)]
pub(crate) struct Purse {
    chain: ChainId,
    signer: Address,
    floor: U256,
    /// When it was asked, and what is left of it.
    known: Option<(Instant, U256)>,
    /// Read by whoever chooses a signer.
    poor: Arc<AtomicBool>,
    warned: Option<Instant>,
    meter: Meter,
}

impl Purse {
    pub(crate) fn new(chain: ChainId, signer: Address, floor: U256, meter: Meter) -> Self {
        Self {
            chain,
            signer,
            floor,
            known: None,
            poor: Arc::default(),
            warned: None,
            meter,
        }
    }

    /// True while the signer has less than the floor.
    pub(crate) fn poor(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.poor)
    }

    pub(crate) fn is_poor(&self) -> bool {
        self.poor.load(Ordering::Relaxed)
    }

    /// Looks at the balance every few seconds, and whenever it does not seem enough.
    pub(crate) async fn can_pay(&mut self, rpc: &Rpc, cost: U256) -> Result<bool, NodeError> {
        if let Some((at, balance)) = self.known
            && at.elapsed() < PURSE_FRESH
            && balance >= cost
        {
            return Ok(true);
        }
        Ok(self.look(rpc).await? >= cost)
    }

    /// What there is, in wei.
    pub(crate) async fn look(&mut self, rpc: &Rpc) -> Result<U256, NodeError> {
        let balance = rpc.balance(self.signer).await?;
        self.learn(balance);
        Ok(balance)
    }

    /// The node said how much there is.
    pub(crate) fn learn(&mut self, balance: U256) {
        self.known = Some((Instant::now(), balance));
        let poor = balance < self.floor;
        if self.poor.swap(poor, Ordering::Relaxed) != poor {
            self.meter.poor.increment(if poor { 1.0 } else { -1.0 });
        }
        if !poor {
            self.warned = None;
        } else if self
            .warned
            .is_none_or(|at| at.elapsed() >= POOR_WARNING_EVERY)
        {
            self.warned = Some(Instant::now());
            tracing::warn!(
                chain = %self.chain, signer = %self.signer, wei = %balance, floor = %self.floor,
                "a signer has little left to pay gas with"
            );
        }
    }

    /// What a transaction can cost counts as spent until the node is asked again.
    pub(crate) fn spend(&mut self, cost: U256) {
        if let Some((_, balance)) = &mut self.known {
            *balance = balance.saturating_sub(cost);
        }
    }

    /// The node says it is not enough.
    pub(crate) const fn forget(&mut self) {
        self.known = None;
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        if self.is_poor() {
            self.meter.poor.decrement(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn poor_is_below_the_floor_and_ends_with_money() {
        let chain = ChainId::BASE_SEPOLIA;
        let mut purse = Purse::new(chain, Address::ZERO, U256::from(10), Meter::new(chain));
        let seen = purse.poor();
        for (balance, poor) in [(9, true), (8, true), (10, false), (0, true), (11, false)] {
            purse.learn(U256::from(balance));
            assert_eq!(seen.load(Ordering::Relaxed), poor, "{balance}");
            assert_eq!(purse.warned.is_some(), poor, "{balance}");
        }
        purse.spend(U256::from(4));
        assert_eq!(purse.known.map(|(_, left)| left), Some(U256::from(7)));
    }
}
