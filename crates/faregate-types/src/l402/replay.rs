//! Under which key the use of a preimage is noted in Redis, so that a fleet may have l402kit's servers and ours (specs/l402.md
//! §2.2).
//!
//! l402kit hashes the **text** of the preimage, so each way of writing it is a fresh token there. Here the text is always the
//! lower-case one, whatever was sent: the same key for honest payers, and none left for the others.

use sha2::{Digest as _, Sha256};

use crate::hex_text;
use crate::id::PaymentId;
use crate::lightning::Preimage;

/// Whose keys are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "l402kit has these two")]
pub enum Dialect {
    /// l402kit for Python: `l402:used:`, kept for a day.
    #[default]
    Python,
    /// l402kit for TypeScript: `l402:replay:`, kept for a week.
    TypeScript,
}

impl Dialect {
    /// How long l402kit keeps a key, in seconds.
    #[must_use]
    pub const fn ttl_secs(self) -> u64 {
        match self {
            Self::Python => 86_400,
            Self::TypeScript => 604_800,
        }
    }

    /// The key under which the use of this preimage is noted, with `SET <key> 1 NX EX <seconds>`.
    #[must_use]
    pub fn key(self, preimage: &Preimage) -> String {
        let use_of = UseName {
            digest: UseName::digest_of(preimage),
            part: None,
        };
        use_of.key(self)
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Python => "l402:used:",
            Self::TypeScript => "l402:replay:",
        }
    }
}

/// One use of a payment, as a fleet calls it. Nothing in it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the rail builds by literal"
)]
pub struct UseName {
    /// SHA-256 of the preimage's lower-case text.
    pub digest: [u8; 32],
    /// Which use, of a payment that has several; the first one has the name that l402kit gives to the only one.
    pub part: Option<PaymentId>,
}

impl UseName {
    /// What stands for a preimage.
    #[must_use]
    pub fn digest_of(preimage: &Preimage) -> [u8; 32] {
        Sha256::digest(preimage.expose_hex().as_bytes()).into()
    }

    /// The key under which the use is noted.
    #[must_use]
    pub fn key(&self, dialect: Dialect) -> String {
        let (prefix, digest) = (dialect.prefix(), hex_text::to_digits(&self.digest));
        match self.part {
            None => format!("{prefix}{digest}"),
            Some(part) => format!("{prefix}{digest}:{part}"),
        }
    }
}
