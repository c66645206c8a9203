//! Whether a guarantee would be issued: the rules over what was read beforehand.

use std::convert::Infallible;

use alloy_primitives::{Address, B256, U256};

use super::change::State;
use super::collateral::{Account, Collateral};
use super::guarantee::{Issue, issue};
use super::payment::TabPayment;
use super::refusal::CreditRefusal;
use super::tab::{Identity, Tab, TabId};
use super::terms::Terms;

/// What the decision about one [`Issue`] reads. Of other tabs it knows nothing: whether an unused tab may become one of
/// another version, although there is such a tab already, is seen when the guarantee is issued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data, built by literal")]
pub struct Snapshot {
    /// Who would owe.
    pub payer: Option<Account>,
    /// Whom.
    pub recipient: Option<Account>,
    /// What the payer has in the asset.
    pub collateral: Option<Collateral>,
    /// The tab.
    pub tab: Option<Tab>,
    /// Whether the tab has a guarantee of this number.
    pub is_taken: bool,
}

impl Snapshot {
    /// Whether the guarantee would be issued.
    ///
    /// # Errors
    /// What [`issue`] would refuse it for.
    pub fn check(&self, terms: &Terms, command: &Issue) -> Result<(), CreditRefusal> {
        let read = Read {
            snapshot: self,
            command,
        };
        match issue(&read, terms, command) {
            Ok(issued) => issued.map(drop),
            Err(never) => match never {},
        }
    }
}

struct Read<'a> {
    snapshot: &'a Snapshot,
    command: &'a Issue,
}

impl State for Read<'_> {
    type Fault = Infallible;

    fn account(&self, address: Address) -> Result<Option<Account>, Infallible> {
        let is_payer = address == self.command.identity.payer;
        Ok(match is_payer {
            true => self.snapshot.payer,
            false => self.snapshot.recipient,
        })
    }

    fn collateral(&self, _: Address, _: Address) -> Result<Option<Collateral>, Infallible> {
        Ok(self.snapshot.collateral)
    }

    fn tab(&self, _: TabId) -> Result<Option<Tab>, Infallible> {
        Ok(self.snapshot.tab.clone())
    }

    fn active_tab(&self, _: &Identity) -> Result<Option<Tab>, Infallible> {
        Ok(None)
    }

    fn has_guarantee(&self, _: TabId, _: U256) -> Result<bool, Infallible> {
        Ok(self.snapshot.is_taken)
    }

    fn payment(&self, _: B256) -> Result<Option<TabPayment>, Infallible> {
        Ok(None)
    }
}
