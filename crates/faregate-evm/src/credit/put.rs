//! Putting the contracts onto a chain that may have some of them, or all: what is missing is created, and what is not as the
//! deployment says is set up, so whoever was interrupted begins again.

use alloy_primitives::Address;
use alloy_sol_types::{SolCall, sol};
use faregate_core::port::NoTrail;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::credit::certificate::domain_separator;

use super::abi::Core;
use super::call::{Call, Question};
use super::deploy::{CREATE2_DEPLOYER, Creation, Deployment};
use crate::account::{Account, AskError, Mined, SendError};

sol! {
    function canCall(address caller, address target, bytes4 selector) returns (bool immediate, uint32 delay);
}

/// Why the contracts are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The chain lacks what contracts at known addresses are created with.
    #[error("no CREATE2 deployer at {CREATE2_DEPLOYER}")]
    NoDeployer,
    /// The node did not say how things are.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A transaction did not do what it should.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Every transaction was mined, and the contract is not what was asked for.
    #[error("the contract is not set up as it should be")]
    Different,
}

impl Creation {
    /// Creates the contract unless it is there. In which block; `None` when it was there.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put(&self, sender: &Account) -> Result<Option<u64>, PutError> {
        if sender.has_code(self.address).await? {
            return Ok(None);
        }
        if !sender.has_code(CREATE2_DEPLOYER).await? {
            return Err(PutError::NoDeployer);
        }
        Ok(Some(sent(sender, &self.call).await?.block))
    }
}

impl Deployment {
    /// Creates what is missing, and takes the steps unless everything is set up so. `admin` is the deployment's; what was set
    /// up otherwise before can be changed if it is the governor too, without delay. In which block the core was created;
    /// `None` when it was there.
    ///
    /// # Errors
    /// [`PutError`]. Calling it again goes on where it ended.
    pub async fn put(&self, admin: &Account) -> Result<Option<u64>, PutError> {
        let mut created = None;
        for creation in self.creations() {
            created = creation.put(admin).await?;
        }
        if self.is_set_up(admin).await? {
            return Ok(created);
        }
        for step in self.steps() {
            sent(admin, &step).await?;
        }
        match self.is_set_up(admin).await? {
            true => Ok(created),
            false => Err(PutError::Different),
        }
    }

    /// Durations, version 2, and who may do what.
    async fn is_set_up(&self, asker: &Account) -> Result<bool, AskError> {
        let (core, timing) = (self.core(), self.timing);
        let durations = [
            timing.remuneration_grace,
            timing.tab_expiration,
            timing.synchronization_delay,
            timing.withdrawal_grace,
        ];
        for (question, expected) in core.timing().iter().zip(durations) {
            if asker.ask(question).await? != expected {
                return Ok(false);
            }
        }
        if let Some(decoder) = self.decoder() {
            let two = asker.ask(&core.version_config(2)).await?;
            let domain = domain_separator(GuaranteeVersion::V2, self.chain, core.address());
            let is_it = (two.decoder, two.domain, two.key) == (decoder, domain, self.key);
            if !(is_it && two.enabled) {
                return Ok(false);
            }
        }
        for (who, selector, delay) in [
            (self.operator, Core::recordPaymentsByIdCall::SELECTOR, 0),
            (self.guardian, Core::pauseCall::SELECTOR, 0),
            (
                self.governor,
                Core::setTimingParametersCall::SELECTOR,
                self.governance_delay,
            ),
        ] {
            if asker.ask(&self.may(who, selector)).await? != Some(delay) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How long somebody has to wait who calls this function of the core; `None` for whoever may not.
    fn may(&self, caller: Address, selector: [u8; 4]) -> Question<Option<u32>> {
        let call = canCallCall {
            caller,
            target: self.core().address(),
            selector: selector.into(),
        };
        Question::new(self.manager(), call.abi_encode().into(), |answer| {
            let said = canCallCall::abi_decode_returns(answer).ok()?;
            Some((said.immediate || said.delay > 0).then_some(said.delay))
        })
    }
}

/// Nothing has to be remembered of these: what was done is seen on the chain.
async fn sent(sender: &Account, call: &Call) -> Result<Mined, SendError> {
    sender.send(call, &NoTrail).await
}
