//! Under which key the use of a preimage is noted in Redis, so that a fleet may have l402kit's servers and ours (specs/l402.md
//! §2.2).
//!
//! l402kit hashes the **text** of the preimage, so each way of writing it is a fresh token there. Here the text is always the
//! lower-case one, whatever was sent: the same key for honest payers, and none left for the others.

use sha2::{Digest as _, Sha256};

use crate::hex_text;
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
        let digest = Sha256::digest(preimage.expose_hex().as_bytes());
        let prefix = match self {
            Self::Python => "l402:used:",
            Self::TypeScript => "l402:replay:",
        };
        format!("{prefix}{}", hex_text::to_digits(&digest))
    }
}
