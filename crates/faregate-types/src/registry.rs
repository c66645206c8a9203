//! The assets we know: addresses, decimals and EIP-712 domains that are never taken from a peer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use alloy_primitives::{Address, address};

use crate::asset::{Asset, AssetId, Erc20, TokenDomain, TransferMethod};
use crate::chain_id::ChainId;

/// A table of assets with one default per chain.
///
/// ```
/// use faregate_types::{AssetRegistry, ChainId};
///
/// let registry = AssetRegistry::builtin();
/// let usdc = registry.default_for(ChainId::BASE).unwrap();
/// assert_eq!((usdc.symbol.as_ref(), usdc.decimals, usdc.domain.name.as_ref()), ("USDC", 6, "USD Coin"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetRegistry {
    assets: BTreeMap<Erc20, Asset>,
    defaults: BTreeMap<ChainId, Erc20>,
}

impl AssetRegistry {
    /// A table without any asset.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            assets: BTreeMap::new(),
            defaults: BTreeMap::new(),
        }
    }

    /// The default assets of specs/x402.md §4, plus Circle's USDC on Ethereum Sepolia, plus the local development
    /// chain 31337 with the address, name and version of Base Sepolia's USDC.
    #[must_use]
    pub fn builtin() -> Self {
        BUILTIN
            .iter()
            .map(Row::asset)
            .fold(Self::empty(), Self::with)
    }

    /// Adds an asset, or replaces the one with the same id. The first asset of a chain becomes its default.
    #[must_use]
    pub fn with(mut self, asset: Asset) -> Self {
        self.defaults.entry(asset.id.chain()).or_insert(asset.id);
        self.assets.insert(asset.id, asset);
        self
    }

    /// Adds or replaces an asset and makes it the default of its chain.
    #[must_use]
    pub fn with_default(mut self, asset: Asset) -> Self {
        self.defaults.insert(asset.id.chain(), asset.id);
        self.with(asset)
    }

    /// The asset with this id.
    #[must_use]
    pub fn find(&self, id: impl Into<AssetId>) -> Option<&Asset> {
        self.assets.get(&id.into().as_erc20()?)
    }

    /// The asset that a bare price (`"$0.001"`) means on this chain.
    #[must_use]
    pub fn default_for(&self, chain: ChainId) -> Option<&Asset> {
        self.defaults.get(&chain).and_then(|id| self.assets.get(id))
    }

    /// The asset of a chain with this symbol, letter case aside. Where two share a symbol, the default wins, then the
    /// lower address. `USD` is the default where no asset is called so: `1.50 USD` means what `$1.50` does.
    #[must_use]
    pub fn by_symbol(&self, chain: ChainId, symbol: &str) -> Option<&Asset> {
        let fits =
            |asset: &&Asset| asset.id.chain() == chain && asset.symbol.eq_ignore_ascii_case(symbol);
        let default = self.default_for(chain);
        default
            .filter(fits)
            .or_else(|| self.iter().find(fits))
            .or_else(|| default.filter(|_| symbol.eq_ignore_ascii_case("USD")))
    }

    /// Every asset, by chain and address.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }
}

struct Row {
    chain: u64,
    token: Address,
    symbol: &'static str,
    name: &'static str,
    version: &'static str,
    decimals: u8,
    transfer: TransferMethod,
}

impl Row {
    fn asset(&self) -> Asset {
        Asset {
            id: Erc20::new(ChainId::evm(self.chain), self.token),
            symbol: Cow::Borrowed(self.symbol),
            decimals: self.decimals,
            domain: TokenDomain {
                name: Cow::Borrowed(self.name),
                version: Cow::Borrowed(self.version),
            },
            transfer: self.transfer,
        }
    }
}

const fn eip3009(
    chain: u64,
    token: Address,
    symbol: &'static str,
    name: &'static str,
    version: &'static str,
) -> Row {
    Row {
        chain,
        token,
        symbol,
        name,
        version,
        decimals: 6,
        transfer: TransferMethod::Eip3009,
    }
}

const fn permit2(
    chain: u64,
    token: Address,
    symbol: &'static str,
    name: &'static str,
    decimals: u8,
) -> Row {
    Row {
        chain,
        token,
        symbol,
        name,
        version: "1",
        decimals,
        transfer: TransferMethod::Permit2,
    }
}

// The first row of a chain is its default asset.
#[rustfmt::skip]
const BUILTIN: &[Row] = &[
    eip3009(8453, address!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"), "USDC", "USD Coin", "2"),
    eip3009(84_532, address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "USDC", "USDC", "2"),
    eip3009(31_337, address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "USDC", "USDC", "2"),
    eip3009(1, address!("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"), "USDC", "USD Coin", "2"),
    eip3009(11_155_111, address!("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"), "USDC", "USDC", "2"),
    eip3009(137, address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"), "USDC", "USD Coin", "2"),
    eip3009(42_161, address!("0xaf88d065e77c8cC2239327C5EDb3A432268e5831"), "USDC", "USD Coin", "2"),
    eip3009(421_614, address!("0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d"), "USDC", "USD Coin", "2"),
    eip3009(43_114, address!("0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E"), "USDC", "USD Coin", "2"),
    eip3009(42_220, address!("0xcebA9300f2b948710d2653dD7B07f33A8B32118C"), "USDC", "USDC", "2"),
    eip3009(42_220, address!("0x48065fbBE25f71C9282ddf5e1cD6D6A887483D5e"), "USDT", "Tether USD", "1"),
    eip3009(42_220, address!("0xD2ab3C9A02DBBAB236BfEC45D1d755DF4267F771"), "USAT", "Tether America USD", "1"),
    eip3009(11_142_220, address!("0x01C5C0122039549AD1493B8220cABEdD739BC44E"), "USDC", "USDC", "2"),
    eip3009(1329, address!("0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392"), "USDC", "USDC", "2"),
    eip3009(1328, address!("0x4fCF1784B31630811181f670Aea7A7bEF803eaED"), "USDC", "USDC", "2"),
    eip3009(143, address!("0x754704Bc059F8C67012fEd69BC8A327a5aafb603"), "USDC", "USDC", "2"),
    eip3009(10_143, address!("0x534b2f3A21130d7a60830c2Df862319e593943A3"), "USDC", "USDC", "2"),
    eip3009(988, address!("0x779Ded0c9e1022225f8E0630b35a9b54bE713736"), "USDT0", "USDT0", "1"),
    eip3009(2201, address!("0x78Cf24370174180738C5B8E352B6D14c83a6c9A9"), "USDT0", "USDT0", "1"),
    eip3009(50, address!("0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1"), "USDC", "USDC", "2"),
    eip3009(51, address!("0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4"), "USDC", "USDC", "2"),
    eip3009(14, address!("0xe7cd86e13AC4309349F30B3435a9d337750fC82D"), "USDT0", "USD₮0", "1"),
    eip3009(5042, address!("0x3600000000000000000000000000000000000000"), "USDC", "USDC", "2"),
    eip3009(5_042_002, address!("0x3600000000000000000000000000000000000000"), "USDC", "USDC", "2"),
    permit2(4326, address!("0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7"), "MegaUSD", "MegaUSD", 18),
    permit2(31_612, address!("0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186"), "MUSD", "Mezo USD", 18),
    permit2(31_611, address!("0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"), "MUSD", "Mezo USD", 18),
    permit2(723_487, address!("0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb"), "SBC", "Stable Coin", 6),
    permit2(72_344, address!("0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb"), "SBC", "Stable Coin", 6),
    eip3009(36_900, address!("0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2"), "USDC.e", "USDC.e", "2"),
    eip3009(190_415, address!("0x401eCb1D350407f13ba348573E5630B83638E30D"), "USDC", "Bridged USDC", "2"),
    eip3009(181_228, address!("0x401eCb1D350407f13ba348573E5630B83638E30D"), "USDC", "Bridged USDC", "2"),
    permit2(38_833, address!("0xA5b8BF902b2844dA17d4506cc827F7F1681735E7"), "USDC", "USDC", 6),
    eip3009(43_113, address!("0x5425890298aed601595a70AB815c96711a31Bc65"), "USDC", "USD Coin", "2"),
    eip3009(80_002, address!("0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582"), "USDC", "USDC", "2"),
    eip3009(2741, address!("0x84a71ccd554cc1b02749b35d22f684cc8ec987e1"), "USDC", "Bridged USDC", "2"),
    eip3009(4689, address!("0xcdf79194c6c285077a58da47641d4dbe51f63542"), "USDC", "Bridged USDC", "2"),
    eip3009(3338, address!("0xbbA60da06c2c5424f03f7434542280FCAd453d10"), "USDC", "USDC", "2"),
    eip3009(1514, address!("0xF1815bd50389c46847f0Bda824eC8da914045D14"), "USDC", "Bridged USDC", "2"),
    eip3009(41_923, address!("0x12a272A581feE5577A5dFa371afEB4b2F3a8C2F8"), "USDC", "Bridged USDC (Stargate)", "2"),
    eip3009(324_705_682, address!("0x2e08028E3C4c2356572E096d8EF835cD5C6030bD"), "USDC", "Bridged USDC (SKALE Bridge)", "2"),
];
