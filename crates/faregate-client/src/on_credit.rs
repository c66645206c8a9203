//! How a client pays on credit: what it signs for, and whom it asks for tabs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use alloy_primitives::Address;
use faregate_types::ChainId;
use url::Url;

use crate::credit::CreditClient;
use crate::origin;

/// How a client pays offers of scheme `4mica-credit`. Nothing is paid on credit by a client without this: see
/// [`ClientBuilder::credit`](crate::ClientBuilder::credit).
#[derive(Clone)]
#[must_use]
pub struct OnCredit {
    /// Of the EIP-712 domain of claims.
    pub(crate) name: Box<str>,
    pub(crate) version: Box<str>,
    origins: BTreeSet<Box<str>>,
    registries: Option<BTreeSet<Address>>,
    cores: BTreeMap<ChainId, CreditClient>,
}

impl Default for OnCredit {
    fn default() -> Self {
        Self {
            name: "4mica".into(),
            version: "1".into(),
            origins: BTreeSet::new(),
            registries: None,
            cores: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for OnCredit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCredit")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("origins", &self.origins)
            .field("registries", &self.registries)
            .field("cores", &self.cores.keys())
            .finish()
    }
}

impl OnCredit {
    /// With the network's own domain, tabs only from the sellers themselves, and any validation registry: what a guarantee
    /// depends on can only keep its payer from owing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name and version of the EIP-712 domain in which claims are signed, `4mica` and `1` by default. They are the credit
    /// core's, published by it, and never taken from a seller.
    pub fn domain(mut self, name: &str, version: &str) -> Self {
        self.name = name.into();
        self.version = version.into();
        self
    }

    /// Another origin that may be asked for tabs, e.g. that of a facilitator. Paths are ignored. A seller's own origin always
    /// may be asked for tabs of its offers, any other is refused. URLs without an origin change nothing.
    pub fn tabs_at(mut self, url: &Url) -> Self {
        if let Ok(origin) = origin::name(url) {
            self.origins.insert(origin);
        }
        self
    }

    /// Takes no guarantees of version 2 but those that depend on one of these validation registries.
    pub fn registries(mut self, registries: impl IntoIterator<Item = Address>) -> Self {
        self.registries = Some(registries.into_iter().collect());
        self
    }

    /// A credit core, for its own chain: certificates that sellers show are verified with its key, and it is asked about
    /// payments whose end is unknown.
    pub fn core(mut self, core: CreditClient) -> Self {
        self.cores.insert(core.chain(), core);
        self
    }

    pub(crate) fn may_ask(&self, url: &Url) -> bool {
        origin::name(url).is_ok_and(|origin| self.origins.contains(&origin))
    }

    pub(crate) fn trusts(&self, registry: Address) -> bool {
        let listed = self.registries.as_ref();
        listed.is_none_or(|registries| registries.contains(&registry))
    }

    pub(crate) fn core_of(&self, chain: ChainId) -> Option<&CreditClient> {
        self.cores.get(&chain)
    }
}
