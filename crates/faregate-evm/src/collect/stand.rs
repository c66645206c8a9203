//! Whether a permit was collected, and by which transaction; whether it is still good; or whether it never will be. Asked from
//! the chain, all at one block.

use alloy_primitives::U256;
use alloy_sol_types::SolEvent;
use faregate_types::permit::{PermitKind, Terms};

use super::claim::Claim;
use super::state::{self, State};
use crate::bindings::PermitSettler as Abi;
use crate::limits::STATE_BLOCKS;
use crate::matter::Matter;
use crate::network::Network;
use crate::node::{NodeError, Silence};
use crate::receipt::{Finding, Sender};
use crate::rpc::{Head, Log};
use crate::trace::{self, Search, Trace};

impl Claim<'_> {
    pub(super) async fn stand(
        &self,
        network: &Network,
        since: Option<u64>,
    ) -> Result<Trace, NodeError> {
        if let Some(spend) = self.spend() {
            return trace::look(network, &spend, since).await;
        }
        let head = trace::head(network, since).await?;
        let state = self.state_at(network, head.number.to()).await?;
        if state.is_used {
            return self.how(network, head, state.is_twin_used).await;
        }
        if trace::is_over(network, self.end(), head) {
            return Ok(Trace::Expired);
        }
        if !self.is_overtaken(&state) {
            return Ok(Trace::Unused);
        }
        // As deep in the chain as everything else has to be.
        let number = head.number.to::<u64>();
        let deep = number.saturating_sub(network.config.confirmations);
        if deep < number && !self.is_overtaken(&self.state_at(network, deep).await?) {
            return Ok(Trace::Lost);
        }
        Ok(Trace::Dead)
    }

    async fn state_at(&self, network: &Network, block: u64) -> Result<State, NodeError> {
        // The token answered when the permit was verified, so the node is not what it was.
        State::read(network, self, Some(block))
            .await?
            .ok_or(NodeError::Away(Silence::Unreadable))
    }

    /// The token's count is past this permit, and the contract cannot use what the permit left behind either: that takes the
    /// very next nonce and enough allowance.
    fn is_overtaken(&self, state: &State) -> bool {
        let Terms::Eip2612 { permit, .. } = &self.permit.terms else {
            return false;
        };
        if state.next_nonce <= permit.nonce {
            return false;
        }
        let is_next = state.next_nonce.checked_sub(U256::from(1)) == Some(permit.nonce);
        !(is_next && state.allowance >= permit.value)
    }

    /// Finds the transaction that collected it. The contract logs both kinds alike, so when both of one nonce are used, only a
    /// transaction that is a call of the contract with this permit counts.
    async fn how(
        &self,
        network: &Network,
        head: Head,
        is_twin_used: bool,
    ) -> Result<Trace, NodeError> {
        let terms = &self.permit.terms;
        let search = Search {
            contract: self.settler.address(),
            kinds: &[Abi::Collected::SIGNATURE_HASH],
            topics: &[
                terms.token().into_word(),
                terms.payer().into_word(),
                self.nonce().into(),
            ],
        };
        let logs = search.newest(network, head.number.to()).await?;
        for log in logs.iter().flatten().rev() {
            if let By::Us(found) = self.by(network, log, head, is_twin_used).await? {
                return Ok(found);
            }
        }
        let nowhere = logs.is_some_and(|logs| logs.is_empty());
        if self
            .is_spent_elsewhere(network, &search, head, nowhere)
            .await?
        {
            return Ok(Trace::Dead);
        }
        Ok(Trace::Lost)
    }

    /// What the transaction with this log did.
    async fn by(
        &self,
        network: &Network,
        log: &Log,
        head: Head,
        is_twin_used: bool,
    ) -> Result<By, NodeError> {
        let Some(hash) = log.transaction_hash else {
            return Ok(By::Unclear);
        };
        let (receipt, transaction) =
            tokio::join!(network.rpc.receipt(hash), network.rpc.transaction(hash));
        let (Some(receipt), Some(transaction)) = (receipt?, transaction?) else {
            return Ok(By::Unclear);
        };
        let finding = match self.carried(network, &transaction) {
            Sender::Anybody if !is_twin_used => self.logged(&receipt),
            // A call of the contract says itself which permits it brings.
            Sender::Anybody if transaction.to == Some(self.settler.address()) => {
                return Ok(By::Others);
            }
            Sender::Anybody => return Ok(By::Unclear),
            sender @ (Sender::Us | Sender::Batch { .. }) => self.read(&receipt, sender),
        };
        if !trace::counts(network, log, head) {
            return Ok(By::Us(Trace::Lost));
        }
        Ok(match finding {
            Finding::Moved => By::Us(Trace::Moved(hash)),
            Finding::Other if !is_twin_used => By::Us(Trace::Dead),
            // This permit was in it and was not collected, so the log is of something else.
            Finding::Reverted => By::Others,
            Finding::Other | Finding::Absent | Finding::Unclear => By::Unclear,
        })
    }

    /// The contract logs whatever it collects. So a Permit2 nonce that was unused at a block, is used now, and was not logged
    /// since, went to somebody else: the payer withdrew it, or another spender used it.
    ///
    /// `nowhere`: no log was found as far back as is searched.
    async fn is_spent_elsewhere(
        &self,
        network: &Network,
        search: &Search<'_>,
        head: Head,
        nowhere: bool,
    ) -> Result<bool, NodeError> {
        if self.permit.terms.kind() != PermitKind::Permit2 {
            return Ok(false);
        }
        let number = head.number.to::<u64>();
        // As deep in the chain as everything else has to be.
        let deep = number.saturating_sub(network.config.confirmations);
        if deep < number && state::was_spent(network, self, deep).await != Some(true) {
            return Ok(false);
        }
        let oldest = number.saturating_sub(network.config.search_blocks_max);
        if nowhere && self.was_unspent(network, oldest).await {
            return Ok(true);
        }
        // Most nodes know the state of so many blocks only.
        let near = number.saturating_sub(STATE_BLOCKS);
        if !self.was_unspent(network, near).await {
            return Ok(false);
        }
        let blocks = (near, number);
        let logs = network
            .rpc
            .logs(search.contract, search.kinds, search.topics, blocks)
            .await?;
        for log in &logs {
            if !matches!(self.by(network, log, head, true).await?, By::Others) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// At the very first block nothing was used.
    async fn was_unspent(&self, network: &Network, block: u64) -> bool {
        block == 0 || state::was_spent(network, self, block).await == Some(false)
    }
}

/// Whom a log of the contract is about.
enum By {
    /// This permit, which stands so.
    Us(Trace),
    /// Surely not this permit.
    Others,
    Unclear,
}
