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
            if let Some(found) = self.by(network, log, head, is_twin_used).await? {
                return Ok(found);
            }
        }
        let is_searched = logs.is_some_and(|logs| logs.is_empty());
        if is_searched && self.is_spent_elsewhere(network, head).await {
            return Ok(Trace::Dead);
        }
        Ok(Trace::Lost)
    }

    /// What the transaction with this log did; `None` when the log is about the other kind, or may be.
    async fn by(
        &self,
        network: &Network,
        log: &Log,
        head: Head,
        is_twin_used: bool,
    ) -> Result<Option<Trace>, NodeError> {
        let Some(hash) = log.transaction_hash else {
            return Ok(None);
        };
        let Some(receipt) = network.rpc.receipt(hash).await? else {
            return Ok(None);
        };
        let sender = match network.rpc.transaction(hash).await? {
            Some(transaction) => self.carried(network, &transaction),
            None => Sender::Anybody,
        };
        let finding = match sender {
            Sender::Anybody if is_twin_used => return Ok(None),
            Sender::Anybody => self.logged(&receipt),
            Sender::Us | Sender::Batch { .. } => self.read(&receipt, sender),
        };
        if !trace::counts(network, log, head) {
            return Ok(Some(Trace::Lost));
        }
        Ok(match finding {
            Finding::Moved => Some(Trace::Moved(hash)),
            Finding::Other if !is_twin_used => Some(Trace::Dead),
            Finding::Other | Finding::Absent | Finding::Reverted | Finding::Unclear => None,
        })
    }

    /// The contract logs whatever it collects. So a Permit2 nonce that was unused at a block, is used now, and was not logged
    /// since, went to somebody else: the payer withdrew it, or another spender used it.
    async fn is_spent_elsewhere(&self, network: &Network, head: Head) -> bool {
        if self.permit.terms.kind() != PermitKind::Permit2 {
            return false;
        }
        let number = head.number.to::<u64>();
        let oldest = number.saturating_sub(network.config.search_blocks_max);
        if oldest == 0 {
            return true;
        }
        // Most nodes know the state of so many blocks; some know all.
        let near = number.saturating_sub(STATE_BLOCKS).max(oldest);
        let deep = number.saturating_sub(network.config.confirmations);
        for block in [near, oldest] {
            if state::was_spent(network, self, block).await == Some(false) {
                return state::was_spent(network, self, deep).await == Some(true);
            }
        }
        false
    }
}
