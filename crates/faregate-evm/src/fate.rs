//! What became of transactions of an earlier process, of which only what was written down is left.

use faregate_core::port::Finality;

use crate::account::{Account, AskError, Mined, SendError, away, end_of};
use crate::answer::{Said, said};
use crate::node::NodeError;
use crate::receipt::{self, Look};
use crate::transaction::Signed;

/// What became of transactions that have one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing else")]
pub enum Fate {
    /// One was mined and did what it should.
    Mined(Mined),
    /// One was mined and reverted. Before that is final, a reorganisation could let it happen after all.
    Reverted {
        /// Which.
        mined: Mined,
        /// Whether it stays so.
        is_final: bool,
    },
    /// None was and none will be: the nonce belongs to another transaction, for good.
    Overtaken,
    /// One may be mined yet.
    Open,
}

impl Account {
    /// What became of these transactions of this account, which all have the same nonce. Without any: [`Fate::Open`].
    ///
    /// # Errors
    /// [`AskError::Away`].
    pub async fn fate(&self, sent: &[Signed]) -> Result<Fate, AskError> {
        self.find(sent).await.map_err(|error| away(&error))
    }

    async fn find(&self, sent: &[Signed]) -> Result<Fate, NodeError> {
        let network = &self.network;
        // What is final comes first: a nonce that was used up by then leaves nothing to the receipts that are asked for
        // afterwards.
        let tip = network.tips.now(&network.rpc).await?;
        let next = match tip.final_block() {
            Some(block) => network.rpc.nonce_at(self.address(), block).await?,
            None => 0,
        };
        for signed in sent.iter().rev() {
            let confirmations = network.config.confirmations;
            let receipt = match receipt::look(&network.rpc, signed.hash, confirmations).await? {
                Look::Deep(receipt) if receipt.transaction_hash == signed.hash => receipt,
                Look::Deep(_) | Look::Shallow => return Ok(Fate::Open),
                Look::Absent => continue,
            };
            return Ok(match end_of(&receipt) {
                Some(Ok(mined)) => Fate::Mined(mined),
                Some(Err(SendError::Failed(mined))) => Fate::Reverted {
                    mined,
                    is_final: tip.finality(&receipt) == Finality::Final,
                },
                Some(Err(_)) | None => Fate::Open,
            });
        }
        let is_over = |signed: &Signed| signed.nonce < next;
        Ok(if !sent.is_empty() && sent.iter().all(is_over) {
            Fate::Overtaken
        } else {
            Fate::Open
        })
    }

    /// Hands a signed transaction of this account to the node again: twice is the same as once. Whether the node has it now.
    /// For transactions of an earlier process, before this one sends any.
    pub async fn send_again(&self, signed: &Signed) -> bool {
        said(self.network.rpc.send(&signed.raw).await) == Said::Accepted
    }
}
