//! The three kinds of permits, and how the peers name chains and choose a kind.

use std::fmt;

use crate::chain_id::{ChainId, ChainIdError};

/// How a payer lets go of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum PermitKind {
    /// An allowance by signature, taken by the payee afterwards. What x402-mock 0.1.1 signs.
    Eip2612,
    /// A transfer by signature. What x402-mock from 0.2.0 on signs for USDC and its relatives.
    Erc3009,
    /// A transfer through Uniswap's contract. What x402-mock from 0.2.0 on signs for everything else.
    Permit2,
}

impl PermitKind {
    /// `permit_type` and `signature_type` on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eip2612 => "EIP2612",
            Self::Erc3009 => "ERC3009",
            Self::Permit2 => "Permit2",
        }
    }

    /// The kind with this name, letter by letter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Eip2612, Self::Erc3009, Self::Permit2]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// What clients from 0.2.0 on sign for a currency (specs/permit.md §2.3): they look at its label, letter case aside.
    #[must_use]
    pub fn for_currency(currency: &str) -> Self {
        let by_signature = ["USDC", "EURC", "AXLUSDC"];
        if by_signature
            .iter()
            .any(|label| label.eq_ignore_ascii_case(currency))
        {
            Self::Erc3009
        } else {
            Self::Permit2
        }
    }
}

impl fmt::Display for PermitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads `caip2` of a payment component: `eip155:1` or `eip155-1`, blanks around it aside (specs/permit.md §2.2).
///
/// # Errors
/// [`ChainIdError`].
pub fn parse_chain(text: &str) -> Result<ChainId, ChainIdError> {
    let text = text.trim();
    match text.strip_prefix("eip155-") {
        Some(number) => format!("eip155:{number}").parse(),
        None => text.parse(),
    }
}
