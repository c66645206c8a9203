//! Stable codes: the machine-readable reason of every refusal and error, with who is to blame and whether to retry.
//!
//! The texts never change once published. The x402 codes carry the names of the specification (the Python SDK's);
//! the other SDKs' names for the same reason are aliases, understood when read and never written
//! (specs/x402.md §2.2).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod table;

pub use table::Code;

/// Who has to change something before the request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a match on the guilty party should be complete"
)]
pub enum Blame {
    /// Who pays: the credential, the funds or the request are wrong.
    Payer,
    /// Who sells: the price or the payee is configured wrong.
    Seller,
    /// Another system: a facilitator, a node, an upstream.
    Peer,
    /// Who runs this service: configuration, gas, capacity.
    Operator,
    /// A bug of ours. Logged as an error, answered with 500.
    Us,
}

impl Blame {
    /// The lower-case word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payer => "payer",
            Self::Seller => "seller",
            Self::Peer => "peer",
            Self::Operator => "operator",
            Self::Us => "us",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether sending the same thing again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a match on the retry answer should be complete"
)]
pub enum Retry {
    /// The same request with the same credential will fail again. A new credential may work.
    Never,
    /// The same request may be sent again at once, with the same credential.
    Same,
    /// The same request may be sent again after so many seconds, with the same credential.
    AfterSecs(u32),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_str(&text).ok_or_else(|| serde::de::Error::custom("unknown code"))
    }
}

/// Builds `Code` and everything that is known about each code from one table.
macro_rules! codes {
    ($($variant:ident $text:literal [$($alias:literal),*] $blame:ident $retry:expr, $status:literal, $meaning:literal;)*) => {
        /// The stable reason of a refusal or error. See the [module](crate::code) for the rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $meaning, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable text. For x402 reasons this is the specification's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The code with this text, or with this text as the name another SDK gives it.
            #[must_use]
            #[allow(clippy::should_implement_trait, reason = "an unknown code is an answer here, not an error")]
            #[allow(clippy::too_many_lines, reason = "one line per code")]
            pub fn from_str(text: &str) -> Option<Self> {
                Some(match text {
                    $($text $(| $alias)* => Self::$variant,)*
                    _ => return None,
                })
            }

            /// The names other SDKs give this code.
            #[must_use]
            pub const fn aliases(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($alias),*],)* }
            }

            /// Who has to change something.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// Whether sending the same thing again can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => $retry,)* }
            }

            /// The HTTP status of an answer of ours with this code, unless a protocol's own table says otherwise.
            ///
            /// Facilitator verdicts are such an exception: they are always 200.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One sentence for people, without a full stop.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}
use codes;
