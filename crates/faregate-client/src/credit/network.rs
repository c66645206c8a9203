//! Credit services that have a name.

use faregate_types::ChainId;

/// A credit service and its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreditNetwork {
    /// Its name.
    pub name: &'static str,
    /// The chain, which is pinned when the service is chosen by name.
    pub chain: ChainId,
    /// Where the service is.
    pub url: &'static str,
}

/// Those of the 4Mica network that its SDKs know.
pub const NETWORKS: [CreditNetwork; 2] = [
    CreditNetwork {
        name: "ethereum-sepolia",
        chain: ChainId::evm(11_155_111),
        url: "https://ethereum.sepolia.4mica.xyz/",
    },
    CreditNetwork {
        name: "base-sepolia",
        chain: ChainId::BASE_SEPOLIA,
        url: "https://base.sepolia.4mica.xyz/",
    },
];

/// The one with this name, or on this chain (`eip155:84532`).
///
/// ```
/// use faregate_client::credit::network;
///
/// assert_eq!(network("eip155:84532"), network("base-sepolia"));
/// assert!(network("elsewhere").is_none());
/// ```
#[must_use]
pub fn network(name: &str) -> Option<CreditNetwork> {
    let name = name.trim();
    let chain = name.parse::<ChainId>().ok();
    NETWORKS
        .into_iter()
        .find(|network| network.name.eq_ignore_ascii_case(name) || Some(network.chain) == chain)
}
