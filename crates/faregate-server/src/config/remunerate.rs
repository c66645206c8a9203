//! `[gate.credit.remunerate]`: when held certificates are turned into money, and who sends for it.

use std::time::Duration;

use super::error::ConfigCode;
use super::reader::Section;
use super::secret::{SecretSource, key_source};

/// The table, in that of the gate's credit.
pub(super) const KEY: &str = "remunerate";

/// How often tabs are looked at unless the file says otherwise, in seconds.
const EVERY_SECS: u64 = 600;

/// Blocks that must follow before what the contract says of a tab is an end, unless the file says otherwise.
const CONFIRMATIONS: u64 = 5;

/// How long a transaction is waited for that the node does not know, unless the file says otherwise, in seconds.
const GIVE_UP_SECS: u64 = 600;

/// Wei in a gwei.
const GWEI: u64 = 1_000_000_000;

/// When certificates are redeemed, and who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemunerateConfig {
    /// Pays for the gas, and has to be used for nothing else on these chains. The money goes to the recipients, whoever sends.
    pub signer_key: SecretSource,
    /// How often all tabs are looked at.
    pub every: Duration,
    /// Certificates are redeemed so long before their last moment; `None`: as soon as they are overdue.
    pub before_deadline: Option<Duration>,
    /// Blocks that must follow.
    pub confirmations: u64,
    /// A transaction that the node has not known for so long is not waited for any more: another one is sent, and the contract pays
    /// only one of them.
    pub give_up_after: Duration,
    /// Wei per gas that no transaction offers more than; `None` is the sender's own limit.
    pub fee_per_gas_max: Option<u128>,
}

/// Reads the table.
pub(super) fn read(section: &Section<'_, '_>) -> Option<RemunerateConfig> {
    let signer_key = section
        .required(
            "signer_key",
            "expected the key that pays for gas, as env:NAME or file:/path; it needs no money but for that",
        )
        .and_then(|text| key_source(section, &text));
    let number = |key, allowed, default: Option<u64>| {
        if section.has(key) {
            section.number(key, allowed).map(Some)
        } else {
            Some(default)
        }
    };
    let every = number("every_secs", 5..=86_400, Some(EVERY_SECS));
    let before = number("before_deadline_secs", 60..=10_000_000, None);
    let confirmations = number("confirmations", 0..=1_000, Some(CONFIRMATIONS));
    let give_up = number("give_up_after_secs", 1..=86_400, Some(GIVE_UP_SECS));
    let fee = number("max_fee_gwei", 1..=u64::MAX, None);
    let (every, before, confirmations) = (every??, before?, confirmations??);
    let give_up = give_up??;
    if before.is_some_and(|before| before <= every) {
        let message =
            "expected more than every_secs: a tab is looked at only so often, and may be missed";
        section.fault(ConfigCode::Contradiction, "before_deadline_secs", message);
        return None;
    }
    Some(RemunerateConfig {
        signer_key: signer_key?,
        every: Duration::from_secs(every),
        before_deadline: before.map(Duration::from_secs),
        confirmations,
        give_up_after: Duration::from_secs(give_up),
        fee_per_gas_max: fee?.map(|gwei| u128::from(gwei).saturating_mul(u128::from(GWEI))),
    })
}
