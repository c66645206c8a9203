//! Keys that sign: a trait, so that a key may live elsewhere (a KMS, a hardware module), and the key in memory.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use faregate_types::{SecretKey, Signature65};
use futures_util::future::BoxFuture;

use crate::recover;

/// Somebody who can sign a digest for one account.
///
/// Implementations must never print the key, and must answer or fail in bounded time.
pub trait Signer: Send + Sync + fmt::Debug + 'static {
    /// The account.
    fn address(&self) -> Address;

    /// Signs a 32-byte digest: `s` in the lower half, `v` 27 or 28.
    ///
    /// # Errors
    /// [`SignError`] when no signature was made.
    fn sign_digest(&self, digest: B256) -> BoxFuture<'_, Result<Signature65, SignError>>;
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The bytes are no key of the curve.
    #[error("expected a private key between 1 and the order of secp256k1")]
    Key,
    /// The signature cannot be written with 27 or 28 (one of 2¹²⁷ digests).
    #[error("this digest has no signature that contracts can check")]
    Digest,
    /// Whoever holds the key did not answer, or this process is stopping.
    #[error("the signer is away")]
    Away,
}

/// A key in this process's memory. `Debug` shows the address only; the key is wiped when the last copy is dropped.
#[derive(Clone)]
pub struct LocalSigner {
    address: Address,
    key: Arc<Key>,
}

/// The key as the C library takes it.
struct Key(secp256k1::SecretKey);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl LocalSigner {
    /// Takes a key over.
    ///
    /// # Errors
    /// [`SignError::Key`] when it is no key of the curve; a [`SecretKey`] always is one.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the caller's copy is wiped here"
    )]
    pub fn new(key: SecretKey) -> Result<Self, SignError> {
        let key =
            secp256k1::SecretKey::from_secret_bytes(*key.expose()).map_err(|_| SignError::Key)?;
        let address = recover::address_of(&key.public_key());
        Ok(Self {
            address,
            key: Arc::new(Key(key)),
        })
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs on the calling thread, in about 40 µs.
    ///
    /// # Errors
    /// [`SignError::Digest`].
    pub fn sign_now(&self, digest: B256) -> Result<Signature65, SignError> {
        recover::sign(digest, &self.key.0).ok_or(SignError::Digest)
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalSigner").field(&self.address).finish()
    }
}

impl Signer for LocalSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign_digest(&self, digest: B256) -> BoxFuture<'_, Result<Signature65, SignError>> {
        let signer = self.clone();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || signer.sign_now(digest))
                .await
                .map_err(|_| SignError::Away)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> LocalSigner {
        LocalSigner::new(SecretKey::from_bytes([7; 32]).unwrap()).unwrap()
    }

    #[test]
    fn debug_shows_the_address_and_no_key() {
        let text = format!("{:?}", signer());
        assert_eq!(text, format!("LocalSigner({:?})", signer().address()));
        assert!(!text.contains("0707"));
    }

    #[tokio::test]
    async fn both_ways_of_signing_give_one_signature() {
        let digest = B256::repeat_byte(3);
        let signature = Signer::sign_digest(&signer(), digest).await.unwrap();
        assert_eq!(signature, signer().sign_now(digest).unwrap());
        assert_eq!(recover(digest, &signature), Some(signer().address()));
    }
}
