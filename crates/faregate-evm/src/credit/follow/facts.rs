//! What the contract says of itself: its parameters, assets, versions, keys.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_core::credit::{ReqIds, Terms};

use super::ask;
use super::scan::Setback;
use crate::credit::{CreditCore, ETH, Timing, VersionConfig};
use crate::limits::CREDIT_SYMBOL_BYTES_MAX;
use crate::rpc::Rpc;

sol! {
    interface Metadata {
        function symbol() external view returns (string memory symbol);
        function decimals() external view returns (uint8 decimals);
    }
}

/// What is known of the contract. Read when following begins, after every event that may have changed it, and now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContractFacts {
    /// The contract.
    pub contract: Address,
    /// Its timing parameters.
    pub timing: Timing,
    /// What it takes: ETH first, then tokens in the order of their registration.
    pub assets: Vec<CreditAsset>,
    /// How certificates are checked, by version; only versions the contract knows.
    pub versions: BTreeMap<u64, VersionConfig>,
    /// Whether deposits, new withdrawals and payments of tabs are paused.
    pub paused: bool,
}

/// An asset of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreditAsset {
    /// The token, or [`ETH`].
    pub address: Address,
    /// What it calls itself: at most 32 bytes of printable ASCII, empty when it does not say. Two may say the same.
    pub symbol: Box<str>,
    /// Its decimals, if it tells them.
    pub decimals: Option<u8>,
}

/// What the operator decides of [`Terms`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the service builds by literal"
)]
pub struct TermsPolicy {
    /// Guarantee versions that are accepted where the contract has them enabled.
    pub versions: BTreeSet<u64>,
    /// A tab's life when nobody says otherwise, in seconds; not longer than certificates can be redeemed.
    pub ttl_default_secs: u64,
    /// How request ids are given out.
    pub req_ids: ReqIds,
}

impl Default for TermsPolicy {
    /// Versions 1 and 2, a day, and ids in sequence.
    fn default() -> Self {
        Self {
            versions: BTreeSet::from([1, 2]),
            ttl_default_secs: 86_400,
            req_ids: ReqIds::Strict,
        }
    }
}

impl ContractFacts {
    /// The versions that guarantees may have now.
    #[must_use]
    pub fn enabled(&self) -> BTreeSet<u64> {
        let versions = self.versions.iter().filter(|(_, config)| config.enabled);
        versions.map(|(version, _)| *version).collect()
    }

    /// What tabs and guarantees have to keep to.
    #[must_use]
    pub fn terms(&self, policy: &TermsPolicy) -> Terms {
        let expiration_secs = self.timing.tab_expiration;
        Terms {
            versions: &self.enabled() & &policy.versions,
            assets: self.assets.iter().map(|asset| asset.address).collect(),
            expiration_secs,
            ttl_default_secs: policy.ttl_default_secs.min(expiration_secs),
            req_ids: policy.req_ids,
        }
    }

    /// Asks the contract, at the newest block.
    pub(super) async fn read(
        rpc: &Rpc,
        core: &CreditCore,
        versions: &BTreeSet<u64>,
    ) -> Result<Self, Setback> {
        let timing = core.timing();
        let (paused, tokens) = (core.paused(), core.tokens());
        let versions: Vec<_> = versions
            .iter()
            .map(|version| (*version, core.version_config(*version)))
            .collect();
        let timings = timing
            .iter()
            .map(|question| (question.to, question.data.clone()));
        let others = [
            (paused.to, paused.data.clone()),
            (tokens.to, tokens.data.clone()),
        ];
        let configs = versions
            .iter()
            .map(|(_, question)| (question.to, question.data.clone()));
        let calls: Vec<_> = timings.chain(others).chain(configs).collect();
        let mut answers = ask::answers(rpc, &calls, None).await?.into_iter();
        let mut next = || answers.next().flatten();
        let mut seconds = [0_u64; 4];
        for (second, question) in seconds.iter_mut().zip(&timing) {
            let answer = next().and_then(|answer| question.read(&answer));
            *second = answer.ok_or(Setback::Contract)?;
        }
        let [
            remuneration_grace,
            tab_expiration,
            synchronization_delay,
            withdrawal_grace,
        ] = seconds;
        let paused = next().and_then(|answer| paused.read(&answer));
        let tokens = next().and_then(|answer| tokens.read(&answer));
        let (paused, tokens) = paused.zip(tokens).ok_or(Setback::Contract)?;
        let versions = versions.iter().filter_map(|(version, question)| {
            // One it has never heard of may be refused.
            let config = question.read(&next()?)?;
            Some((*version, config))
        });
        Ok(Self {
            contract: core.address(),
            timing: Timing {
                remuneration_grace,
                tab_expiration,
                synchronization_delay,
                withdrawal_grace,
            },
            versions: versions.collect(),
            assets: assets(rpc, tokens).await?,
            paused,
        })
    }
}

async fn assets(rpc: &Rpc, tokens: Vec<Address>) -> Result<Vec<CreditAsset>, Setback> {
    let ether = CreditAsset {
        address: ETH,
        symbol: "ETH".into(),
        decimals: Some(18),
    };
    let symbol = Bytes::from(Metadata::symbolCall {}.abi_encode());
    let decimals = Bytes::from(Metadata::decimalsCall {}.abi_encode());
    let calls: Vec<_> = tokens
        .iter()
        .flat_map(|token| [(*token, symbol.clone()), (*token, decimals.clone())])
        .collect();
    let answers = match calls.is_empty() {
        true => Vec::new(),
        false => ask::answers(rpc, &calls, None).await?,
    };
    let said = answers.chunks(2).zip(tokens).map(|(said, address)| {
        let [symbol, decimals] =
            [said.first(), said.get(1)].map(|said| said.and_then(Option::as_ref));
        CreditAsset {
            address,
            symbol: symbol.map(text).unwrap_or_default(),
            decimals: decimals
                .and_then(|said| Metadata::decimalsCall::abi_decode_returns(said).ok()),
        }
    });
    Ok(std::iter::once(ether).chain(said).collect())
}

/// A symbol, as a string or, as old tokens have it, as one word.
fn text(answer: &Bytes) -> Box<str> {
    let bytes = match String::abi_decode(answer) {
        Ok(text) => text.into_bytes(),
        Err(_) if answer.len() == 32 => answer.to_vec(),
        Err(_) => Vec::new(),
    };
    let shown = bytes
        .into_iter()
        .take(CREDIT_SYMBOL_BYTES_MAX)
        .take_while(u8::is_ascii_graphic);
    shown.map(char::from).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    #[test]
    fn symbols_are_short_and_printable_whoever_says_them() {
        let said = |bytes: Vec<u8>| text(&bytes.into()).into_string();
        assert_eq!(said("USDC".to_owned().abi_encode()), "USDC");
        let mut word = b"MKR".to_vec();
        word.resize(32, 0);
        assert_eq!(said(word), "MKR");
        assert_eq!(said("A\u{202e}B".to_owned().abi_encode()), "A");
        assert_eq!(said("x".repeat(100).abi_encode()).len(), 32);
        assert_eq!(said(vec![1, 2, 3]), "");
    }

    #[test]
    fn terms_have_what_the_contract_and_the_operator_both_allow() {
        let config = |enabled| VersionConfig {
            key: [B256::ZERO; 4],
            domain: B256::ZERO,
            decoder: Address::ZERO,
            enabled,
        };
        let facts = ContractFacts {
            contract: Address::ZERO,
            timing: Timing {
                remuneration_grace: 1,
                tab_expiration: 60,
                synchronization_delay: 1,
                withdrawal_grace: 100,
            },
            assets: vec![CreditAsset {
                address: ETH,
                symbol: "ETH".into(),
                decimals: Some(18),
            }],
            versions: BTreeMap::from([(1, config(true)), (2, config(false)), (3, config(true))]),
            paused: false,
        };
        let terms = facts.terms(&TermsPolicy::default());
        assert_eq!(terms.versions, BTreeSet::from([1]));
        assert_eq!(terms.assets, BTreeSet::from([ETH]));
        assert_eq!((terms.expiration_secs, terms.ttl_default_secs), (60, 60));
    }
}
