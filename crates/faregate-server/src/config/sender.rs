//! How the transactions of a network are sent: what the keys of an embedded facilitator's network say beside its node.

use std::time::Duration;

use faregate_types::{Address, U256};

use super::parts;
use super::reader::Section;

/// What the file says about sending; `None` where it says nothing and the facilitator's own default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderConfig {
    /// The contract that settles many payments in one transaction.
    pub batch_settler: Option<Address>,
    /// Payments in one transaction.
    pub batch_items_max: Option<u64>,
    /// Blocks after which a settlement is final.
    pub confirmations_final: Option<u64>,
    /// A transaction that is not mined after this time gets a higher fee.
    pub bump_after: Option<Duration>,
    /// Wei below which a signer is warned about and rests.
    pub balance_floor: Option<U256>,
    /// Factories that may deploy a payer's wallet (ERC-6492).
    pub wallet_factories: Vec<Address>,
}

/// Reads the keys from the section of a network.
pub(super) fn sender(section: &Section<'_, '_>) -> SenderConfig {
    let factories = section.texts("wallet_factories").unwrap_or_default();
    let settler = section.text("batch_settler");
    let gwei = section.number("balance_floor_gwei", 0..=u64::MAX);
    SenderConfig {
        batch_settler: settler.and_then(|text| parts::address(section, &text)),
        batch_items_max: section.number("batch_items_max", 1..=256),
        confirmations_final: section.number("confirmations_final", 0..=100_000),
        bump_after: section
            .number("bump_after_secs", 1..=3_600)
            .map(Duration::from_secs),
        // 64 bits times 30 fit 256.
        balance_floor: gwei.map(|gwei| U256::from(gwei).saturating_mul(U256::from(1_000_000_000))),
        wallet_factories: factories
            .iter()
            .filter_map(|text| parts::address(section, text))
            .collect(),
    }
}
