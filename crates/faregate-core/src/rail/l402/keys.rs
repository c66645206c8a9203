//! Keys of tokens: one master key, and for every token a key of its own that is derived from it.

use std::fmt;
use std::net::IpAddr;

use faregate_types::l402::{Identifier, RootKey};
use faregate_types::lightning::PaymentHash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::customer;

type HmacSha256 = Hmac<Sha256>;

/// What tokens are signed with. The first key signs; tokens of the others are still good, until they expire or the key is
/// taken away.
pub struct MasterKeys {
    first: RootKey,
    older: Vec<RootKey>,
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeys")
            .field("older", &self.older.len())
            .finish_non_exhaustive()
    }
}

impl MasterKeys {
    /// Signs with this key.
    #[must_use]
    pub const fn new(first: RootKey) -> Self {
        Self {
            first,
            older: Vec::new(),
        }
    }

    /// Takes tokens of an earlier key as well.
    #[must_use]
    pub fn and_older(mut self, key: RootKey) -> Self {
        self.older.push(key);
        self
    }

    /// The identifier of the one token of a payment. Its token id could be any number that nobody can guess.
    pub(super) fn identifier(&self, payment_hash: PaymentHash) -> Identifier {
        let token_id = derive(&self.first, "token-id", payment_hash.as_bytes());
        Identifier {
            payment_hash,
            token_id,
        }
    }

    /// The key that signs a token.
    pub(super) fn signing(&self, identifier: &Identifier) -> RootKey {
        root(&self.first, identifier)
    }

    /// The keys that may have signed a token, newest first.
    pub(super) fn of(&self, identifier: &Identifier) -> impl Iterator<Item = RootKey> {
        let all = std::iter::once(&self.first).chain(&self.older);
        all.map(|master| root(master, identifier))
    }

    /// What a client is called in tokens: the same for all addresses of a customer, and nothing that shows them.
    pub(super) fn client_name(&self, client: Option<IpAddr>) -> String {
        let name = client.map_or_else(
            || "unknown".to_owned(),
            |client| customer(client).to_string(),
        );
        let tag = derive(&self.first, "client", name.as_bytes());
        tag.iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn root(master: &RootKey, identifier: &Identifier) -> RootKey {
    RootKey::from_bytes(derive(master, "root-key", &identifier.encode()))
}

/// `HMAC-SHA256(master, "faregate/l402/<what>/1/" ‖ of)`.
fn derive(master: &RootKey, what: &str, of: &[u8]) -> [u8; 32] {
    // Keys of a whole block: the rest is zeros, which is what HMAC does with a shorter key by itself.
    let mut block = Zeroizing::new([0; 64]);
    if let Some(start) = block.first_chunk_mut() {
        *start = *master.expose();
    }
    let mut mac = HmacSha256::new((&*block).into());
    for part in [b"faregate/l402/", what.as_bytes(), b"/1/", of] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
