//! How far a chain is: asked once for everybody who wants to know within a moment.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::U64;
use faregate_core::port::Finality;
use tokio::time::Instant;

use crate::limits::TIP_FRESH;
use crate::node::NodeError;
use crate::receipt::is_deep;
use crate::rpc::{Head, Receipt, Rpc};

/// The newest block and, on chains that have the word, the newest final one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    head: Head,
    finalized: Option<U64>,
    confirmations: u64,
}

impl Tip {
    /// The newest block that stays; none on a chain that is shorter than that.
    pub(crate) fn final_block(self) -> Option<u64> {
        let head: u64 = self.head.number.to();
        let deep = head.checked_sub(self.confirmations);
        deep.max(self.finalized.map(|number| number.to()))
    }

    /// Whether what was mined in the block of a receipt stays. The receipt has to be read after the tip.
    pub(crate) fn finality(self, receipt: &Receipt) -> Finality {
        let block = receipt.block_number;
        if is_deep(block, self.head, self.confirmations)
            || self.finalized.is_some_and(|finalized| finalized >= block)
        {
            Finality::Final
        } else {
            Finality::Waiting
        }
    }
}

/// The last tip, and when it was asked for.
#[derive(Debug)]
pub(crate) struct Tips {
    confirmations: u64,
    last: Mutex<Option<(Instant, Tip)>>,
}

impl Tips {
    /// Blocks with so many blocks after them are final.
    pub(crate) const fn new(confirmations: u64) -> Self {
        Self {
            confirmations,
            last: Mutex::new(None),
        }
    }

    /// The tip of a moment ago at the most.
    pub(crate) async fn lately(&self, rpc: &Rpc) -> Result<Tip, NodeError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            Some((at, tip)) if at.elapsed() < TIP_FRESH => Ok(tip),
            Some(_) | None => self.now(rpc).await,
        }
    }

    /// The tip as the node sees it now.
    pub(crate) async fn now(&self, rpc: &Rpc) -> Result<Tip, NodeError> {
        let asked_at = Instant::now();
        let tip = Tip {
            head: rpc.head().await?,
            // Not every chain has the word, and without it the depth decides.
            finalized: rpc.finalized().await.ok().flatten().map(|head| head.number),
            confirmations: self.confirmations,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked_at, tip));
        Ok(tip)
    }
}
