//! The networks we know by number, and their protocol v1 short names (specs/x402.md §4).

use crate::chain_id::ChainId;

/// A network we know something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// The chain.
    pub chain: ChainId,
    /// Its name for people.
    pub title: &'static str,
    /// Its protocol v1 short name, if v1 has one.
    pub v1_name: Option<&'static str>,
    /// Whether its money is play money. What we are not sure about counts as real.
    pub testnet: bool,
}

/// Every network we know, by ascending chain number.
#[must_use]
pub const fn networks() -> &'static [Network] {
    NETWORKS
}

/// What we know about a chain.
#[must_use]
pub fn network(chain: ChainId) -> Option<&'static Network> {
    let position = NETWORKS
        .binary_search_by_key(&chain, |network| network.chain)
        .ok()?;
    NETWORKS.get(position)
}

const fn mainnet(chain: u64, title: &'static str, v1_name: Option<&'static str>) -> Network {
    Network {
        chain: ChainId::evm(chain),
        title,
        v1_name,
        testnet: false,
    }
}

const fn testnet(chain: u64, title: &'static str, v1_name: Option<&'static str>) -> Network {
    Network {
        chain: ChainId::evm(chain),
        title,
        v1_name,
        testnet: true,
    }
}

// Where the SDKs disagree about a v1 name (story, educhain, skale-base-sepolia) the two TypeScript lines agree with
// each other, and their numbers stand here.
#[rustfmt::skip]
const NETWORKS: &[Network] = &[
    mainnet(1, "Ethereum", Some("ethereum")),
    mainnet(14, "Flare", Some("flare")),
    mainnet(50, "XDC", None),
    testnet(51, "XDC Apothem", None),
    mainnet(137, "Polygon", Some("polygon")),
    mainnet(143, "Monad", Some("monad")),
    mainnet(988, "Stable", Some("stable")),
    testnet(1328, "Sei testnet", Some("sei-testnet")),
    mainnet(1329, "Sei", Some("sei")),
    mainnet(1514, "Story", Some("story")),
    testnet(2201, "Stable testnet", Some("stable-testnet")),
    mainnet(2741, "Abstract", Some("abstract")),
    mainnet(3338, "peaq", Some("peaq")),
    mainnet(4326, "MegaETH", Some("megaeth")),
    mainnet(4689, "IoTeX", Some("iotex")),
    mainnet(5042, "Arc", None),
    mainnet(8453, "Base", Some("base")),
    testnet(10_143, "Monad testnet", None),
    testnet(11_124, "Abstract testnet", Some("abstract-testnet")),
    testnet(31_337, "local development chain", None),
    testnet(31_611, "Mezo testnet", None),
    mainnet(31_612, "Mezo", None),
    mainnet(36_900, "EVM chain 36900", None),
    mainnet(38_833, "EVM chain 38833", None),
    mainnet(41_923, "EDU Chain", Some("educhain")),
    mainnet(42_161, "Arbitrum One", None),
    mainnet(42_220, "Celo", Some("celo")),
    testnet(43_113, "Avalanche Fuji", Some("avalanche-fuji")),
    mainnet(43_114, "Avalanche", Some("avalanche")),
    testnet(72_344, "Radius testnet", None),
    testnet(80_002, "Polygon Amoy", Some("polygon-amoy")),
    testnet(84_532, "Base Sepolia", Some("base-sepolia")),
    mainnet(181_228, "EVM chain 181228", None),
    mainnet(190_415, "EVM chain 190415", None),
    testnet(421_614, "Arbitrum Sepolia", None),
    mainnet(723_487, "Radius", None),
    testnet(5_042_002, "Arc testnet", None),
    testnet(11_142_220, "Celo Sepolia", None),
    testnet(11_155_111, "Ethereum Sepolia", Some("sepolia")),
    testnet(324_705_682, "SKALE Base Sepolia", Some("skale-base-sepolia")),
];
