//! Where secrets come from. Never from the file itself: files are copied, shown and committed.

use std::fmt;
use std::path::PathBuf;

use faregate_core::rail::l402::MasterKey;
use faregate_types::credit::BlsSecretKey;
use faregate_types::{Secret, SecretKey};

use super::error::ConfigCode;
use super::reader::{Env, Section, Text};
use crate::credit::TokenKey;

/// Where a secret is: `env:NAME` or `file:/absolute/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Env(Box<str>),
    /// A file that holds nothing else; white space around it does not count.
    File(PathBuf),
}

/// Why a secret could not be had. Never shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment has no such variable.
    #[error("the environment has no {name}")]
    NoVariable {
        /// Its name.
        name: Box<str>,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {kind}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// Longer than any secret of ours.
    #[error("{at} is too large for a secret")]
    TooLarge {
        /// Where it is.
        at: SecretSource,
    },
    /// It is there, and too short to be safe, too long, or with characters that cannot be in a header.
    #[error("{at} does not hold a key of 16 to 512 printable characters without blanks")]
    NotABearerKey {
        /// Where it is.
        at: SecretSource,
    },
    /// Two callers have the same key.
    #[error("{at} holds a key that another caller has")]
    Twice {
        /// Where it is.
        at: SecretSource,
    },
    /// It is there, and no master key of tokens.
    #[error("{at} does not hold 32 bytes in hexadecimal digits")]
    NotAMasterKey {
        /// Where it is.
        at: SecretSource,
    },
    /// It is there, and too short to sign access tokens with.
    #[error(
        "{at} does not hold a secret of at least {} bytes",
        TokenKey::BYTES_MIN
    )]
    NotATokenKey {
        /// Where it is.
        at: SecretSource,
    },
    /// It is there, and no BLS key.
    #[error("{at} does not hold a BLS12-381 key of 32 bytes in hexadecimal digits")]
    NotACertificateKey {
        /// Where it is.
        at: SecretSource,
    },
    /// It is there, and no private key.
    #[error("{at} does not hold a private key of 32 bytes in hexadecimal digits")]
    NotAKey {
        /// Where it is.
        at: SecretSource,
    },
}

/// Longest secret file, in bytes.
const SECRET_BYTES_MAX: u64 = 4_096;

const EXPECTED: &str = "expected env:NAME or file:/absolute/path, never the secret itself";

impl SecretSource {
    /// Fetches the secret.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there.
    pub fn load(&self, env: &Env) -> Result<Secret, SecretError> {
        let whole = self.load_bytes(env)?;
        Ok(Secret::new(whole.expose().trim_ascii().to_vec()))
    }

    /// Fetches a secret that may be binary: nothing is taken off its ends.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there.
    pub fn load_bytes(&self, env: &Env) -> Result<Secret, SecretError> {
        match self {
            Self::Env(name) => match env.get(&**name) {
                Some(value) => Ok(Secret::new(value.as_bytes().to_vec())),
                None => Err(SecretError::NoVariable { name: name.clone() }),
            },
            Self::File(path) => {
                let unreadable = |error: std::io::Error| SecretError::Unreadable {
                    path: path.clone(),
                    kind: error.kind(),
                };
                if std::fs::metadata(path).map_err(unreadable)?.len() > SECRET_BYTES_MAX {
                    return Err(SecretError::TooLarge { at: self.clone() });
                }
                Ok(Secret::new(std::fs::read(path).map_err(unreadable)?))
            }
        }
    }

    /// Fetches the key that the root keys of tokens are derived from.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is none.
    pub fn load_master_key(&self, env: &Env) -> Result<MasterKey, SecretError> {
        let secret = self.load(env)?;
        let text = secret.expose();
        let digits = text.strip_prefix(b"0x").unwrap_or(text);
        let no_key = || SecretError::NotAMasterKey { at: self.clone() };
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| no_key())?;
        Ok(MasterKey::from_bytes(bytes))
    }

    /// Fetches the secret that signs access tokens.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is too short.
    pub fn load_token_key(&self, env: &Env) -> Result<TokenKey, SecretError> {
        let key = TokenKey::new(self.load(env)?.expose());
        key.ok_or_else(|| SecretError::NotATokenKey { at: self.clone() })
    }

    /// Fetches the key that signs certificates.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is none.
    pub fn load_certificate_key(&self, env: &Env) -> Result<BlsSecretKey, SecretError> {
        let secret = self.load(env)?;
        let no_key = || SecretError::NotACertificateKey { at: self.clone() };
        let text = std::str::from_utf8(secret.expose()).map_err(|_| no_key())?;
        BlsSecretKey::from_hex(text).map_err(|_| no_key())
    }

    /// Fetches a private key.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is none.
    pub fn load_key(&self, env: &Env) -> Result<SecretKey, SecretError> {
        let secret = self.load(env)?;
        let no_key = || SecretError::NotAKey { at: self.clone() };
        let text = std::str::from_utf8(secret.expose()).map_err(|_| no_key())?;
        SecretKey::from_hex(text).map_err(|_| no_key())
    }

    /// Reads `env:NAME` or `file:/path`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let named = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return named.then(|| Self::Env(name.into()));
        }
        let path = PathBuf::from(text.strip_prefix("file:")?);
        path.is_absolute().then_some(Self::File(path))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A source of a private key.
pub(super) fn key_source(section: &Section<'_, '_>, text: &Text) -> Option<SecretSource> {
    source(section, text, |source, env| source.load_key(env).map(drop))
}

/// A source of any other secret.
pub(super) fn secret_source(section: &Section<'_, '_>, text: &Text) -> Option<SecretSource> {
    source(section, text, |source, env| source.load(env).map(drop))
}

/// A source of the key that the root keys of tokens are derived from.
pub(super) fn master_key_source(section: &Section<'_, '_>, text: &Text) -> Option<SecretSource> {
    source(section, text, |source, env| {
        source.load_master_key(env).map(drop)
    })
}

/// A source of the secret that signs access tokens.
pub(super) fn token_key_source(section: &Section<'_, '_>, text: &Text) -> Option<SecretSource> {
    source(section, text, |source, env| {
        source.load_token_key(env).map(drop)
    })
}

/// A source of the key that signs certificates.
pub(super) fn certificate_key_source(
    section: &Section<'_, '_>,
    text: &Text,
) -> Option<SecretSource> {
    source(section, text, |source, env| {
        source.load_certificate_key(env).map(drop)
    })
}

/// What the environment should hold is looked at right away; a file when it is needed. What stands in the wrong form may
/// be the secret itself, so it is never shown.
fn source(
    section: &Section<'_, '_>,
    text: &Text,
    look: impl FnOnce(&SecretSource, &Env) -> Result<(), SecretError>,
) -> Option<SecretSource> {
    let reader = section.reader();
    let Some(source) = SecretSource::parse(&text.value) else {
        reader.fault(ConfigCode::Secret, &text.span, &text.key, EXPECTED);
        return None;
    };
    if matches!(source, SecretSource::Env(_))
        && let Err(error) = look(&source, reader.env())
    {
        reader.fault(ConfigCode::Secret, &text.span, &text.key, error.to_string());
    }
    Some(source)
}
