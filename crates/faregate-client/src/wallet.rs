//! The payer's key: from the environment, or from an encrypted keystore file.
//!
//! A key never comes from the command line. It is in no `Debug` text, log or error, and it is wiped when it is dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use alloy_primitives::Address;
use faregate_evm::Entropy;
use faregate_evm::LocalSigner;
use faregate_types::{Secret, SecretKey};

pub mod file;
pub mod keystore;

pub use keystore::{KeystoreError, ScryptCost};

/// The environment names a key is looked for in, first match wins. The last two are what other payers use.
pub const KEY_NAMES: [&str; 3] = ["FAREGATE_PRIVATE_KEY", "EVM_PRIVATE_KEY", "PRIVATE_KEY"];

/// A key that can sign payments. Its `Debug` shows the address.
#[derive(Clone)]
pub struct Wallet {
    signer: LocalSigner,
}

/// Why there is no wallet. No text of this error holds any part of a key or a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// None of [`KEY_NAMES`] is set.
    #[error("no key: set FAREGATE_PRIVATE_KEY or give a keystore file")]
    NoKey,
    /// The environment has something that is no key.
    #[error("{name} is no private key: expected 64 hexadecimal digits")]
    NotAKey {
        /// The name it was found under.
        name: &'static str,
    },
    /// The keystore cannot be read, opened or written.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Entropy,
}

impl Wallet {
    /// A wallet over a signer.
    #[must_use]
    pub const fn new(signer: LocalSigner) -> Self {
        Self { signer }
    }

    /// The key in `env`, under the first of [`KEY_NAMES`] that is set and not empty.
    ///
    /// # Errors
    /// [`WalletError::NoKey`], [`WalletError::NotAKey`].
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self, WalletError> {
        let (name, text) = KEY_NAMES
            .into_iter()
            .filter_map(|name| Some((name, env.get(name)?.trim())))
            .find(|(_, text)| !text.is_empty())
            .ok_or(WalletError::NoKey)?;
        let key = SecretKey::from_hex(text).map_err(|_| WalletError::NotAKey { name })?;
        let signer = LocalSigner::new(key).map_err(|_| WalletError::NotAKey { name })?;
        Ok(Self { signer })
    }

    /// A new key from the system's (or a test's) randomness, and the key itself, to be saved with
    /// [`keystore::create`].
    ///
    /// # Errors
    /// [`WalletError::Entropy`].
    pub fn generate(entropy: &mut dyn Entropy) -> Result<(Self, SecretKey), WalletError> {
        // A random 32 bytes is no valid key with a chance of one in 2^128; a second draw is for the proof readers.
        for _ in 0..2 {
            let mut bytes = [0_u8; 32];
            entropy.fill(&mut bytes).map_err(|_| WalletError::Entropy)?;
            let (Ok(key), Ok(kept)) = (SecretKey::from_bytes(bytes), SecretKey::from_bytes(bytes))
            else {
                continue;
            };
            zeroize::Zeroize::zeroize(&mut bytes);
            if let Ok(signer) = LocalSigner::new(key) {
                return Ok((Self { signer }, kept));
            }
        }
        Err(WalletError::Entropy)
    }

    /// Opens an encrypted keystore file. Slow on purpose; the work is done on a blocking thread.
    ///
    /// # Errors
    /// [`WalletError::Keystore`].
    pub async fn from_keystore(path: &Path, password: Secret) -> Result<Self, WalletError> {
        let key = keystore::open(path, password).await?;
        let signer = LocalSigner::new(key)
            .map_err(|_| KeystoreError::Malformed("the key inside is no key"))?;
        Ok(Self { signer })
    }

    /// The address that pays.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// What signs.
    #[must_use]
    pub const fn signer(&self) -> &LocalSigner {
        &self.signer
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wallet").field(&self.address()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_first_name_that_is_set_wins() {
        let address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        for pairs in [
            vec![("FAREGATE_PRIVATE_KEY", KEY), ("PRIVATE_KEY", "nonsense")],
            vec![("EVM_PRIVATE_KEY", KEY)],
            vec![
                ("FAREGATE_PRIVATE_KEY", " "),
                ("PRIVATE_KEY", KEY.trim_start_matches("0x")),
            ],
        ] {
            let wallet = Wallet::from_env(&env(&pairs)).unwrap();
            assert_eq!(wallet.address().to_string(), address);
            assert_eq!(
                format!("{wallet:?}"),
                format!("Wallet({:?})", wallet.address())
            );
        }
        assert!(matches!(
            Wallet::from_env(&env(&[])),
            Err(WalletError::NoKey)
        ));
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        for bad in [
            "0x12",
            "secret-passphrase",
            &"0".repeat(64),
            &"f".repeat(64),
        ] {
            let error = Wallet::from_env(&env(&[("EVM_PRIVATE_KEY", bad)])).unwrap_err();
            assert!(matches!(
                error,
                WalletError::NotAKey {
                    name: "EVM_PRIVATE_KEY"
                }
            ));
            assert!(!format!("{error} {error:?}").contains(bad));
        }
    }
}
