//! What decisions read, and what they say.

use alloy_primitives::{Address, U256};

use super::collateral::{Account, Collateral, Withdrawal};
use super::entry::Entry;
use super::guarantee::Guarantee;
use super::payment::TabPayment;
use super::tab::{Identity, Tab, TabId};

/// What is stored, as a decision asks for it: inside one transaction, so that nothing changes between the answers.
pub trait State {
    /// Why something cannot be read.
    type Fault;

    /// Somebody, if known.
    ///
    /// # Errors
    /// As the engine has them; so for all of these.
    fn account(&self, address: Address) -> Result<Option<Account>, Self::Fault>;

    /// What a payer has in an asset; `None` when nothing ever happened to it.
    ///
    /// # Errors
    /// As the engine has them.
    fn collateral(&self, payer: Address, asset: Address)
    -> Result<Option<Collateral>, Self::Fault>;

    /// A tab.
    ///
    /// # Errors
    /// As the engine has them.
    fn tab(&self, id: TabId) -> Result<Option<Tab>, Self::Fault>;

    /// The [active](Tab::is_active) tab of an identity.
    ///
    /// # Errors
    /// As the engine has them.
    fn active_tab(&self, identity: &Identity) -> Result<Option<Tab>, Self::Fault>;

    /// Whether there is a guarantee with this number.
    ///
    /// # Errors
    /// As the engine has them.
    fn has_guarantee(&self, tab: TabId, req: U256) -> Result<bool, Self::Fault>;

    /// The payment that is recorded by the contract under this id.
    ///
    /// # Errors
    /// As the engine has them.
    fn payment(&self, record: alloy_primitives::B256) -> Result<Option<TabPayment>, Self::Fault>;
}

/// What a decision changes. An engine writes all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Changes {
    /// Somebody, new or changed.
    pub account: Option<Account>,
    /// Tabs, new or changed.
    pub tabs: Vec<Tab>,
    /// A new guarantee.
    pub guarantee: Option<Guarantee>,
    /// A request to withdraw, in the place of what there was of this payer and asset. Counts as a change of the collateral.
    pub withdrawal: Option<Withdrawal>,
    /// A payment for a tab, new or changed.
    pub payment: Option<TabPayment>,
    /// New lines of the journal. Each moves money by its [postings](Entry::postings), in this order, and counts as a change
    /// of the payer's collateral.
    pub entries: Vec<Entry>,
}
