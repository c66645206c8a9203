//! Texts that must not be shown: tokens and keys.

use std::fmt;

use serde::{Deserializer, Serializer};
use zeroize::Zeroizing;

use crate::credit::field::Field;

/// A token or key in a message. Not shown by `Debug`, wiped when dropped.
///
/// ```
/// let token = faregate_types::credit::api::Hidden::new("refresh_1f".to_owned());
/// assert_eq!(format!("{token:?}"), "Hidden(redacted)");
/// assert_eq!(token.expose(), "refresh_1f");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Called `expose` so that a review can find every use.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(redacted)")
    }
}

impl Field for Hidden {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::read(deserializer).map(Self::new)
    }
}
