//! Keys of tokens: one master key, and for every token a root key of its own that is derived from it.

use std::fmt;
use std::net::IpAddr;

use faregate_types::l402::{
    Binding, Grant, Identifier, Macaroon, MintError, RootKey, Target, opened, verify,
};
use faregate_types::lightning::{PaymentHash, Preimage};
use faregate_types::{Code, Refusal, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::customer;

type HmacSha256 = Hmac<Sha256>;

/// What a gate has: the key that the root keys of all its tokens are derived from. Not a [`RootKey`], which is one token's own.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key that signs one token, and no other.
    fn root(&self, identifier: &Identifier) -> RootKey {
        RootKey::from_bytes(derive(self, "root-key", &identifier.encode()))
    }
}

/// A gate's keys. The first one signs; tokens of the others are still good, until they expire or the key does.
pub struct MasterKeys {
    first: MasterKey,
    older: Vec<Older>,
}

struct Older {
    key: MasterKey,
    until: Option<Timestamp>,
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
    pub const fn new(first: MasterKey) -> Self {
        Self {
            first,
            older: Vec::new(),
        }
    }

    /// Takes tokens of an earlier key as well, for as long as they are valid.
    #[must_use]
    pub fn and_older(mut self, key: MasterKey) -> Self {
        self.older.push(Older { key, until: None });
        self
    }

    /// Takes tokens of an earlier key as well, before `until`, and none from then on.
    #[must_use]
    pub fn and_older_until(mut self, key: MasterKey, until: Timestamp) -> Self {
        let until = Some(until);
        self.older.push(Older { key, until });
        self
    }

    /// The identifier of the one token of a payment. Its token id could be any number that nobody can guess.
    #[must_use]
    pub fn identifier(&self, payment_hash: PaymentHash) -> Identifier {
        let token_id = derive(&self.first, "token-id", payment_hash.as_bytes());
        Identifier {
            payment_hash,
            token_id,
        }
    }

    /// The token of a payment.
    ///
    /// # Errors
    /// [`MintError`] for a binding that no token can say.
    pub fn mint(&self, hash: PaymentHash, binding: &Binding<'_>) -> Result<Macaroon, MintError> {
        let identifier = self.identifier(hash);
        binding.mint(&self.first.root(&identifier), &identifier)
    }

    /// [Checks](fn@verify) a token that any of the keys signed. It is good for no longer than its key.
    ///
    /// # Errors
    /// As [`verify`](fn@verify); [`Code::L402TokenExpired`] for one whose key has expired.
    pub fn verify(
        &self,
        token: &Macaroon,
        preimage: &Preimage,
        target: &Target<'_>,
    ) -> Result<Grant, Refusal> {
        let identifier = opened(token, preimage)?;
        let older = self.older.iter().map(|older| (&older.key, older.until));
        for (key, until) in std::iter::once((&self.first, None)).chain(older) {
            match verify(token, preimage, &key.root(&identifier), target) {
                Err(refusal) if refusal.code == Code::L402TokenForged => {}
                // Signed with this key, so no other needs to be tried.
                checked => return checked.and_then(|grant| bounded(grant, until, target.now)),
            }
        }
        Err(Refusal::new(Code::L402TokenForged))
    }

    /// What a client is called in tokens: the same for all addresses of a customer, and nothing that shows them.
    #[must_use]
    pub fn client_name(&self, client: Option<IpAddr>) -> String {
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

/// What was granted, for as long as its key is good.
fn bounded(grant: Grant, until: Option<Timestamp>, now: Timestamp) -> Result<Grant, Refusal> {
    let Some(until) = until else {
        return Ok(grant);
    };
    if now >= until {
        let expired = Refusal::new(Code::L402TokenExpired);
        return Err(expired.detail("the key that signed it is no longer taken"));
    }
    let mut bounded = grant;
    bounded.valid_until = grant
        .valid_until
        .map_or(Some(until), |end| Some(end.min(until)));
    Ok(bounded)
}

/// `HMAC-SHA256(master, "faregate/l402/<what>/1/" ‖ of)`.
fn derive(master: &MasterKey, what: &str, of: &[u8]) -> [u8; 32] {
    // Keys of a whole block: the rest is zeros, which is what HMAC does with a shorter key by itself.
    let mut block = Zeroizing::new([0; 64]);
    if let Some(start) = block.first_chunk_mut() {
        *start = *master.0;
    }
    let mut mac = HmacSha256::new((&*block).into());
    for part in [b"faregate/l402/", what.as_bytes(), b"/1/", of] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
