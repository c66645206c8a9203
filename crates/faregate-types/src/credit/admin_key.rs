//! Keys of administrators (specs/4mica.md §1.6): `ak_`, 32 hexadecimal digits that name the key, a point, and a secret.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::hex_text::{fill, to_digits};

/// Longest secret (characters) that is looked at. Ours have 64.
const SECRET_MAX: usize = 128;

/// A key as it is shown. Its secret is not shown by `Debug`, and wiped when dropped.
///
/// ```
/// use faregate_types::credit::AdminKey;
///
/// let key = AdminKey::bootstrap(b"a long random text");
/// let again = AdminKey::parse(&key.to_text()).unwrap();
/// assert_eq!(again.id(), key.id());
/// assert!(again.is_of(&key.hash()));
/// assert!(AdminKey::parse("ak_1.2").is_none());
/// ```
pub struct AdminKey {
    id: [u8; 16],
    secret: Zeroizing<String>,
}

impl AdminKey {
    /// A new key of 16 bytes that name it and 32 random ones.
    #[must_use]
    pub fn new(id: [u8; 16], secret: &Zeroizing<[u8; 32]>) -> Self {
        Self {
            id,
            secret: Zeroizing::new(to_digits(secret.as_slice())),
        }
    }

    /// The key of the environment: it follows from a seed, so that it is the same after every start.
    #[must_use]
    pub fn bootstrap(seed: &[u8]) -> Self {
        let derived = |label: &[u8]| -> [u8; 32] {
            Sha256::new()
                .chain_update(label)
                .chain_update(seed)
                .finalize()
                .into()
        };
        let name = derived(b"4mica:core:bootstrap:id:");
        let mut id = [0; 16];
        for (slot, byte) in id.iter_mut().zip(name) {
            *slot = byte;
        }
        Self::new(
            id,
            &Zeroizing::new(derived(b"4mica:core:bootstrap:secret:")),
        )
    }

    /// Reads the value of `x-api-key`. `None` for everything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("ak_")?.split_once('.')?;
        if secret.is_empty() || secret.len() > SECRET_MAX {
            return None;
        }
        let mut bytes = [0; 16];
        fill(id, &mut bytes).ok()?;
        Some(Self {
            id: bytes,
            secret: Zeroizing::new(secret.to_owned()),
        })
    }

    /// What names it.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The value of `x-api-key`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = self.secret.as_str();
        Zeroizing::new(format!("ak_{}.{secret}", to_digits(&self.id)))
    }

    /// What is kept of it: SHA-256 of the secret as text.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Whether this is what is kept of it, in a time that does not depend on it.
    #[must_use]
    pub fn is_of(&self, kept: &[u8; 32]) -> bool {
        self.hash().ct_eq(kept).into()
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminKey({}, redacted)", to_uuid(self.id))
    }
}

/// 16 bytes as a UUID with dashes.
///
/// ```
/// assert_eq!(faregate_types::credit::to_uuid([0xab; 16]), "abababab-abab-abab-abab-abababababab");
/// ```
#[must_use]
pub fn to_uuid(bytes: [u8; 16]) -> String {
    let digits = to_digits(&bytes);
    let mut text = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// The bytes of a UUID, with dashes or without.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    fill(text, &mut bytes).ok().or_else(|| {
        let digits: String = text.split('-').collect();
        fill(&digits, &mut bytes).ok()
    })?;
    let in_one_form = text.len() == 32 || to_uuid(bytes).eq_ignore_ascii_case(text);
    in_one_form.then_some(bytes)
}
