//! Whether a permit would be collected, and if not, why, in the product's words.

use alloy_primitives::U256;
use std::time::Duration;

use faregate_core::port::{Care, PermitVerdict};
use faregate_types::permit::verify::check;
use faregate_types::permit::{Checked, Expected, Price, Refused};
use faregate_types::{Code, Refusal, domain_separator};

use super::claim::Claim;
use super::state::State;
use crate::matter::Matter;
use crate::network::Network;
use crate::node::NodeError;
use crate::permit_settler::ITEM_GAS;
use crate::recover::recover;
use crate::rpc::{Called, Simulation};

impl Claim<'_> {
    /// Signature, payee and time, then what the chain says.
    pub(super) async fn verify(
        &self,
        network: &Network,
        left: Duration,
        care: Care,
    ) -> Result<PermitVerdict, NodeError> {
        let checked = match self.check(left) {
            Ok(checked) => checked,
            Err(refused) => return Ok(PermitVerdict::Refused(refused)),
        };
        let state = State::read(network, self, None).await?;
        let funds = match self.cover(&checked, state.as_ref()) {
            Ok(state) => state.balance,
            Err(refused) => return Ok(PermitVerdict::Refused(refused)),
        };
        if care == Care::Simulate
            && let Some(call) = self.alone(network)
            && let Called::Reverted(words) = network.rpc.simulate(&call).await?
        {
            // Something may have happened in between, and then has a name.
            let state = State::read(network, self, None).await?;
            let refused = self.cover(&checked, state.as_ref()).err();
            let refused = refused.unwrap_or_else(|| Refused::would_revert(words.as_deref()));
            return Ok(PermitVerdict::Refused(refused));
        }
        Ok(PermitVerdict::Valid { funds })
    }

    /// What needs no chain. Recovery runs where it is called, see `recover`.
    pub(super) fn check(&self, left: Duration) -> Result<Checked<'_>, Refused> {
        let expected = Expected {
            prices: std::slice::from_ref(&self.price),
            now: self.now(),
            margin_secs: left.as_secs(),
        };
        check(self.permit, &expected, recover)
    }

    /// Whether the payer signed this, whatever the time.
    pub(super) fn is_signed(&self) -> bool {
        let domain = &self.price.asset().domain;
        let separator = domain_separator(domain, self.permit.chain, self.permit.terms.token());
        let digest = self.permit.digest(separator);
        recover(digest, &self.permit.signature) == Some(self.payer())
    }

    /// The checks of the rail, and that the money is there for all of what was signed: the contract moves no less.
    fn cover<'s>(
        &self,
        checked: &Checked<'_>,
        state: Option<&'s State>,
    ) -> Result<&'s State, Refused> {
        let Some(state) = state else {
            return Err(self.not_of_this_token());
        };
        checked.cover(&state.facts())?;
        let (asset, payee) = (self.price.asset().clone(), self.settler.address());
        let whole = [Price::new(asset, self.permit.terms.value(), payee, payee)];
        let expected = Expected {
            prices: &whole,
            now: self.now(),
            margin_secs: 0,
        };
        // Who signed is known by now.
        let checked = check(self.permit, &expected, |_, _| Some(self.payer()))?;
        checked.cover(&state.facts())?;
        Ok(state)
    }

    /// The token does not do what this kind of permit needs.
    fn not_of_this_token(&self) -> Refused {
        let expected = Expected {
            prices: &[],
            now: self.now(),
            margin_secs: 0,
        };
        match check(self.permit, &expected, |_, _| None) {
            Err(refused) => refused,
            Ok(_) => Refused::would_revert(None),
        }
    }

    /// Why it would be reverted. What cannot be asked is not guessed: that it would be reverted is known.
    pub(super) async fn why_not(&self, network: &Network, words: Option<&str>) -> Refusal {
        let refused = match self.check(Duration::ZERO) {
            Err(refused) => Some(refused),
            Ok(checked) => match State::read(network, self, None).await {
                Ok(state) => self.cover(&checked, state.as_ref()).err(),
                Err(_) => None,
            },
        };
        let refused = refused.unwrap_or_else(|| Refused::would_revert(words));
        Refusal::from(refused).payer(self.payer())
    }

    /// The call that collects this permit and nothing else; `None` when it is for somebody else.
    pub(super) fn alone(&self, network: &Network) -> Option<Simulation> {
        let call = self.settler.single(&self.item()?, ITEM_GAS);
        Some(Simulation {
            from: network.sender,
            to: call.to,
            value: U256::ZERO,
            data: call.data,
            gas_max: network.config.gas_limit_max,
        })
    }
}

/// Whether a refusal is about the time alone.
pub(super) const fn is_late(refused: &Refused) -> bool {
    matches!(
        refused.code(),
        Code::PermitExpired | Code::PermitNotYetValid
    )
}
