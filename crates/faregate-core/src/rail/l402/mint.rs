//! Making the one token that goes with an invoice.

use faregate_types::l402::{Binding, Macaroon};
use faregate_types::lightning::PaymentHash;
use faregate_types::{Code, Timestamp};
use http::Method;

use super::MasterKeys;
use crate::offer::{LightningAsk, Scope};
use crate::order::Asked;
use crate::port::Away;

/// What a token is bound to.
pub(super) struct Terms<'a> {
    pub(super) ask: &'a LightningAsk,
    pub(super) asked: &'a Asked,
    pub(super) now: Timestamp,
    pub(super) client: Option<&'a str>,
}

impl Terms<'_> {
    fn mint(&self, keys: &MasterKeys, hash: PaymentHash) -> Option<Macaroon> {
        let Self { ask, asked, .. } = self;
        let path = ask.path_word(asked.uri.path());
        let capability = ask.capability.as_deref();
        let binding = Binding {
            service: &ask.service,
            tier: ask.tier,
            capabilities: capability.as_slice(),
            valid_until: self.now.checked_add_secs(ask.valid_secs)?,
            path: match ask.scope {
                Scope::Route => &ask.route,
                Scope::Path => &path,
            },
            method: sold_as(&asked.method),
            price: ask.price,
            max_uses: ask.uses.map(std::num::NonZeroU32::get),
            client: self.client,
        };
        keys.mint(hash, &binding).ok()
    }
}

/// The token of an invoice, in base64.
///
/// # Errors
/// What a route of [`is_possible`] has only for paths that no token can name.
pub(super) fn token(
    keys: &MasterKeys,
    hash: PaymentHash,
    terms: &Terms<'_>,
) -> Result<String, Away> {
    let token = terms.mint(keys, hash).ok_or(Away {
        code: Code::Internal,
    })?;
    Ok(token.to_base64())
}

/// Whether tokens can be made for a route at all: its word, the service's and the capability's can stand in one.
pub(super) fn is_possible(keys: &MasterKeys, ask: &LightningAsk) -> bool {
    let terms = Terms {
        ask,
        asked: &Asked::default(),
        now: Timestamp::from_secs(0),
        client: None,
    };
    terms.mint(keys, PaymentHash::from_bytes([0; 32])).is_some()
}

/// `HEAD` is sold like `GET`.
fn sold_as(method: &Method) -> &str {
    match method.as_str() {
        "HEAD" => "GET",
        other => other,
    }
}
