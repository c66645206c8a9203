//! `[admin]`: where metrics and health are, for the operator only.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::parts;
use super::reader::Section;
use super::secret::{SecretSource, secret_source};
use crate::gateway::limits::ADMIN_PORT;

/// `[admin]`. Without the section nothing listens and nothing is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where it listens; 127.0.0.1:4023 unless the file says otherwise.
    pub bind: SocketAddr,
    /// What whoever changes something there has to show. Without it nothing can be changed.
    pub key: Option<SecretSource>,
}

/// Reads `[admin]` of the file.
pub(super) fn read(root: &Section<'_, '_>) -> Option<AdminConfig> {
    let section = root.section("admin")?;
    let default = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, ADMIN_PORT));
    let bind = parts::bind(&section, default);
    let key = section.text("key");
    let key = key.map(|text| secret_source(&section, &text));
    section.finish();
    Some(AdminConfig {
        bind,
        key: match key {
            None => None,
            Some(source) => Some(source?),
        },
    })
}
