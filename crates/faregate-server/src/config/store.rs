//! `store`: where a ledger is kept.

use std::fmt;
use std::path::PathBuf;

use super::error::ConfigCode;
use super::reader::Section;

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreConfig {
    /// A file, or `:memory:`.
    File(PathBuf),
    /// A database of PostgreSQL.
    Postgres(StoreUrl),
}

/// The address of a database. It may have a password in it: `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Box<str>);

impl StoreUrl {
    /// The whole address. Not for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(postgres://…)")
    }
}

/// Reads the key `store`, which may be missing.
pub(super) fn read(section: &Section<'_, '_>, default: &str) -> StoreConfig {
    let text = section.text("store");
    let text = text.map_or_else(|| default.to_owned(), |text| text.value);
    let text = text.trim();
    let is_address = ["postgres:", "postgresql:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if !is_address {
        if text.contains("://") {
            let message = "expected a file, or postgres://user@host/database";
            section.fault(ConfigCode::Url, "store", message);
        }
        return StoreConfig::File(text.into());
    }
    StoreConfig::Postgres(StoreUrl(text.into()))
}
