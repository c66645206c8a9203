//! The chains of the product's own table: what it calls them, and where people look up transactions (specs/permit.md §1.7).

use std::borrow::Cow;

use crate::chain_id::ChainId;
use crate::network::network;

struct Row {
    chain: u64,
    label: &'static str,
    explorer: &'static str,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { chain: 1, label: "ethereum-mainnet", explorer: "https://etherscan.io" },
    Row { chain: 8_453, label: "base-mainnet", explorer: "https://basescan.org" },
    Row { chain: 137, label: "Polygon", explorer: "https://polygonscan.com" },
    Row { chain: 11_155_111, label: "Ethereum-Sepolia", explorer: "https://sepolia.etherscan.io" },
];

/// `metadata.network`: for people. The product's label where it has one, else our name of the chain, else its number.
#[must_use]
pub fn label(chain: ChainId) -> Cow<'static, str> {
    if let Some(row) = row(chain) {
        return row.label.into();
    }
    match network(chain) {
        Some(network) => network.title.into(),
        None => chain.to_string().into(),
    }
}

/// The site where people look up transactions of this chain, if the product knows one.
#[must_use]
pub fn explorer(chain: ChainId) -> Option<&'static str> {
    row(chain).map(|row| row.explorer)
}

fn row(chain: ChainId) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.chain == chain.get())
}
