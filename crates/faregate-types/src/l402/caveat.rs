//! The conditions in our tokens: how they are written (specs/l402.md §1.6). How they are read is in
//! [`verify`](mod@super::verify).
//!
//! | condition | value | what it says |
//! |---|---|---|
//! | `services` | `name:tier`, several with commas | the services it opens, and how far |
//! | `<service>_capabilities` | names with commas | what of the service it opens |
//! | `<service>_valid_until` | seconds since 1970 | it works before that moment |
//! | `path` | a route of the seller, or one path in it | where it works |
//! | `method` | methods with commas; `GET` covers `HEAD` | for what it works there |
//! | `price_msat` | millisatoshis | what was paid: it opens nothing that costs more |
//! | `max_uses` | a number above zero | how many requests it opens |
//! | `client` | any word of the seller's | who may use it |
//!
//! The first three are the published ones, and what other servers read in our tokens; the rest is ours.

use super::identifier::Identifier;
use super::macaroon::{Macaroon, MacaroonError, RootKey};
use crate::lightning::Msat;
use crate::limits::{CAVEAT_NAME_BYTES_MAX, CAVEAT_ROUTE_BYTES_MAX};
use crate::timestamp::Timestamp;

pub(super) const SERVICES: &str = "services";
pub(super) const CAPABILITIES: &str = "_capabilities";
pub(super) const VALID_UNTIL: &str = "_valid_until";
pub(super) const PATH: &str = "path";
pub(super) const METHOD: &str = "method";
pub(super) const PRICE: &str = "price_msat";
pub(super) const USES: &str = "max_uses";
pub(super) const CLIENT: &str = "client";
/// Not a condition: how gRPC clients carry the preimage (specs/l402.md §1.3).
pub(super) const PREIMAGE: &str = "preimage";

/// Everything a token of ours is bound to. There is no token without these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that sellers build by literal"
)]
pub struct Binding<'a> {
    /// The service it opens.
    pub service: &'a str,
    /// How far; 0 is the base tier.
    pub tier: u8,
    /// What of the service it opens; empty for all of it.
    pub capabilities: &'a [&'a str],
    /// It works before this moment.
    pub valid_until: Timestamp,
    /// The route it opens, as the seller writes it.
    pub path: &'a str,
    /// The method it opens.
    pub method: &'a str,
    /// What it costs.
    pub price: Msat,
    /// How many requests it opens; `None` for as many as fit before it expires.
    pub max_uses: Option<u32>,
    /// Who may use it, where that matters.
    pub client: Option<&'a str>,
}

/// What our tokens say where to use them: Aperture's word, for the clients that look for it.
pub const LOCATION: &str = "lsat";

/// A token cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// A bound cannot be written.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The token would be too large.
    #[error(transparent)]
    Macaroon(#[from] MacaroonError),
}

/// A part of a [`Binding`] cannot be written into a caveat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// A service, a capability, a method or a client is empty, too long or has a character that separates.
    #[error(
        "expected {0} of 1 to {CAVEAT_NAME_BYTES_MAX} letters, digits, \"_\", \"-\", \".\" and \"/\""
    )]
    Name(&'static str),
    /// A capability is named twice.
    #[error("expected every capability once")]
    Repeated,
    /// A route is empty, too long or has a blank or control character.
    #[error("expected a route of 1 to {CAVEAT_ROUTE_BYTES_MAX} visible characters")]
    Path,
    /// A token for no request.
    #[error("expected at least one use")]
    Uses,
}

impl Binding<'_> {
    /// Mints the token for a payment. One payment has one token: whoever pays an invoice that several tokens name, pays for all
    /// of them.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn mint(&self, key: &RootKey, identifier: &Identifier) -> Result<Macaroon, MintError> {
        let caveats = self.caveats()?;
        let token = Macaroon::mint(key, LOCATION, &identifier.encode(), &caveats)?;
        Ok(token)
    }

    /// The caveats, in the order of the table.
    ///
    /// # Errors
    /// [`BindingError`] when a part could be read as something else.
    pub fn caveats(&self) -> Result<Vec<String>, BindingError> {
        let Self { service, tier, .. } = *self;
        name("a service", service)?;
        name("a method", self.method)?;
        let visible = self.path.bytes().all(|byte| byte.is_ascii_graphic());
        if self.path.is_empty() || self.path.len() > CAVEAT_ROUTE_BYTES_MAX || !visible {
            return Err(BindingError::Path);
        }
        let mut caveats = vec![format!("{SERVICES}={service}:{tier}")];
        if !self.capabilities.is_empty() {
            for (position, capability) in self.capabilities.iter().enumerate() {
                name("a capability", capability)?;
                let mut before = self.capabilities.iter().take(position);
                if before.any(|other| other == capability) {
                    return Err(BindingError::Repeated);
                }
            }
            let listed = self.capabilities.join(",");
            caveats.push(format!("{service}{CAPABILITIES}={listed}"));
        }
        caveats.push(format!("{service}{VALID_UNTIL}={}", self.valid_until));
        caveats.push(format!("{PATH}={}", self.path));
        caveats.push(format!("{METHOD}={}", self.method));
        caveats.push(format!("{PRICE}={}", self.price.get()));
        match self.max_uses {
            Some(0) => return Err(BindingError::Uses),
            Some(uses) => caveats.push(format!("{USES}={uses}")),
            None => {}
        }
        if let Some(client) = self.client {
            name("a client", client)?;
            caveats.push(format!("{CLIENT}={client}"));
        }
        Ok(caveats)
    }
}

fn name(what: &'static str, text: &str) -> Result<(), BindingError> {
    if is_name(text) {
        Ok(())
    } else {
        Err(BindingError::Name(what))
    }
}

/// Whether a word has none of the characters that separate words, lists and conditions.
pub(super) fn is_name(text: &str) -> bool {
    (1..=CAVEAT_NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'))
}
