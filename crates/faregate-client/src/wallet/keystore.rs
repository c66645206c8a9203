//! Web3 Secret Storage version 3: the encrypted key file of geth, foundry and MetaMask.
//!
//! A key derivation (scrypt, or PBKDF2 when reading) turns the password into 32 bytes: the first half encrypts the key with
//! AES-128 in counter mode, the second half authenticates the ciphertext with Keccak-256. Whoever made a file may be hostile,
//! so the cost it asks for is limited before anything is derived.

use std::path::{Path, PathBuf};

use aes::Aes128;
use alloy_primitives::{Keccak256, hex};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use faregate_evm::Entropy;
use faregate_evm::LocalSigner;
use faregate_types::{Secret, SecretKey};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::file::{self, FileError};

/// Most memory a file's scrypt may ask for: 128 · n · r bytes.
const SCRYPT_BYTES_MAX: u64 = 1 << 29;
/// Most rounds of PBKDF2 a file may ask for.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Longest salt and ciphertext that are read, in bytes.
const PART_BYTES_MAX: usize = 256;

/// How much work it is to try a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the parameters of scrypt, built by literal"
)]
pub struct ScryptCost {
    /// Binary logarithm of the number of rounds.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Parallelism.
    pub p: u32,
}

impl ScryptCost {
    /// What geth uses: about a second and 256 MiB.
    pub const STANDARD: Self = Self {
        log_n: 18,
        r: 8,
        p: 1,
    };
    /// What geth calls light: for tests and small machines.
    pub const LIGHT: Self = Self {
        log_n: 12,
        r: 8,
        p: 6,
    };
}

/// Why a keystore was not opened or made. Nothing in it comes from the key or the password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The password does not open it, or the file was changed.
    #[error("the password does not open this keystore")]
    WrongPassword,
    /// Not a version 3 keystore, or one with parameters nobody uses.
    #[error("not a keystore of version 3: {0}")]
    Malformed(&'static str),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Entropy,
    /// The machine could not do the key derivation.
    #[error("the key derivation did not finish")]
    Derivation,
}

/// Opens the keystore at `path`.
///
/// # Errors
/// [`KeystoreError`].
pub async fn open(path: &Path, password: Secret) -> Result<SecretKey, KeystoreError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let text = file::read(&path)?;
        decrypt(&text, &password)
    })
    .await
    .map_err(|_| KeystoreError::Derivation)?
}

/// Writes `key` to a new file at `path`, readable by nobody else. Never overwrites.
///
/// # Errors
/// [`KeystoreError`].
pub async fn create(
    path: &Path,
    key: SecretKey,
    password: Secret,
    cost: ScryptCost,
    mut entropy: Box<dyn Entropy>,
) -> Result<PathBuf, KeystoreError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let text = encrypt(&key, &password, cost, entropy.as_mut())?;
        file::create(&path, &text)?;
        Ok(path)
    })
    .await
    .map_err(|_| KeystoreError::Derivation)?
}

/// Encrypts `key`. Takes as long as `cost` says.
///
/// # Errors
/// [`KeystoreError::Entropy`], [`KeystoreError::Derivation`].
pub fn encrypt(
    key: &SecretKey,
    password: &Secret,
    cost: ScryptCost,
    entropy: &mut dyn Entropy,
) -> Result<String, KeystoreError> {
    let mut random = |bytes: &mut [u8]| entropy.fill(bytes).map_err(|_| KeystoreError::Entropy);
    let (mut salt, mut iv, mut id) = ([0_u8; 32], [0_u8; 16], [0_u8; 16]);
    random(&mut salt)?;
    random(&mut iv)?;
    random(&mut id)?;
    let derived = scrypt_key(password, &salt, cost)?;
    let (encryption, authentication) = halves(&derived);
    let mut ciphertext = *key.expose();
    apply(encryption, &iv, &mut ciphertext);
    let mac = mac(authentication, &ciphertext);
    // The address is not secret, and tells one file from another.
    let address = SecretKey::from_bytes(*key.expose())
        .ok()
        .and_then(|copy| LocalSigner::new(copy).ok())
        .map(|signer| hex::encode(signer.address()));
    let keystore = json!({
        "address": address,
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": hex::encode(iv)},
            "ciphertext": hex::encode(ciphertext),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 1_u64.checked_shl(cost.log_n.into()).ok_or(KeystoreError::Derivation)?,
                "p": cost.p,
                "r": cost.r,
                "salt": hex::encode(salt),
            },
            "mac": hex::encode(mac),
        },
        "id": uuid_v4(id),
        "version": 3,
    });
    Ok(keystore.to_string())
}

/// Opens the text of a keystore file.
///
/// # Errors
/// [`KeystoreError::WrongPassword`], [`KeystoreError::Malformed`].
pub fn decrypt(text: &str, password: &Secret) -> Result<SecretKey, KeystoreError> {
    let keystore: Keystore = serde_json::from_str(text)
        .map_err(|_| KeystoreError::Malformed("members are missing or wrong"))?;
    if keystore.version != 3 {
        return Err(KeystoreError::Malformed("another version"));
    }
    let crypto = keystore.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(KeystoreError::Malformed("another cipher"));
    }
    let iv: [u8; 16] = bytes(&crypto.cipherparams.iv)?
        .try_into()
        .map_err(|_| KeystoreError::Malformed("the iv is not 16 bytes"))?;
    let ciphertext = bytes(&crypto.ciphertext)?;
    let expected = bytes(&crypto.mac)?;
    let derived = match crypto.kdf {
        Kdf::Scrypt(params) => params.derive(password)?,
        Kdf::Pbkdf2(params) => params.derive(password)?,
    };
    let (encryption, authentication) = halves(&derived);
    if !bool::from(mac(authentication, &ciphertext).ct_eq(&expected)) {
        return Err(KeystoreError::WrongPassword);
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    if ciphertext.len() != key.len() {
        return Err(KeystoreError::Malformed("the key inside is not 32 bytes"));
    }
    key.copy_from_slice(&ciphertext);
    apply(encryption, &iv, key.as_mut());
    SecretKey::from_bytes(*key).map_err(|_| KeystoreError::Malformed("the key inside is no key"))
}

#[derive(Deserialize)]
struct Keystore {
    // Old writers capitalise it.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    version: u32,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt(ScryptParams),
    Pbkdf2(Pbkdf2Params),
}

#[derive(Deserialize)]
struct ScryptParams {
    dklen: u32,
    n: u64,
    p: u32,
    r: u32,
    salt: String,
}

#[derive(Deserialize)]
struct Pbkdf2Params {
    c: u32,
    dklen: u32,
    prf: String,
    salt: String,
}

type Derived = Zeroizing<[u8; 32]>;

impl ScryptParams {
    fn derive(&self, password: &Secret) -> Result<Derived, KeystoreError> {
        let memory = self
            .n
            .checked_mul(u64::from(self.r))
            .and_then(|blocks| blocks.checked_mul(128));
        let modest = memory.is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX) && self.p <= 16;
        if self.dklen != 32 || !self.n.is_power_of_two() || self.n < 2 || !modest {
            return Err(KeystoreError::Malformed("scrypt parameters out of range"));
        }
        let log_n = u8::try_from(self.n.trailing_zeros()).map_err(|_| KeystoreError::Derivation)?;
        scrypt_key(
            password,
            &bytes(&self.salt)?,
            ScryptCost {
                log_n,
                r: self.r,
                p: self.p,
            },
        )
    }
}

impl Pbkdf2Params {
    fn derive(&self, password: &Secret) -> Result<Derived, KeystoreError> {
        if self.dklen != 32
            || self.prf != "hmac-sha256"
            || !(1..=PBKDF2_ROUNDS_MAX).contains(&self.c)
        {
            return Err(KeystoreError::Malformed("pbkdf2 parameters out of range"));
        }
        let mut derived = Derived::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(
            password.expose(),
            &bytes(&self.salt)?,
            self.c,
            derived.as_mut(),
        );
        Ok(derived)
    }
}

fn scrypt_key(password: &Secret, salt: &[u8], cost: ScryptCost) -> Result<Derived, KeystoreError> {
    let params = scrypt::Params::new(cost.log_n, cost.r, cost.p)
        .map_err(|_| KeystoreError::Malformed("scrypt parameters out of range"))?;
    let mut derived = Derived::default();
    scrypt::scrypt(password.expose(), salt, &params, derived.as_mut())
        .map_err(|_| KeystoreError::Derivation)?;
    Ok(derived)
}

/// The encryption key and the authentication key.
fn halves(derived: &Derived) -> (&[u8], &[u8]) {
    derived.split_at(16)
}

fn apply(key: &[u8], iv: &[u8; 16], data: &mut [u8]) {
    if let Ok(mut cipher) = Ctr128BE::<Aes128>::new_from_slices(key, iv) {
        cipher.apply_keystream(data);
    }
}

fn mac(key: &[u8], ciphertext: &[u8]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(key);
    hash.update(ciphertext);
    hash.finalize().0
}

fn bytes(text: &str) -> Result<Vec<u8>, KeystoreError> {
    if text.len() > PART_BYTES_MAX.saturating_mul(2) {
        return Err(KeystoreError::Malformed("a member is too long"));
    }
    hex::decode(text).map_err(|_| KeystoreError::Malformed("expected hexadecimal digits"))
}

/// RFC 9562 version 4, from 16 random bytes.
fn uuid_v4(random: [u8; 16]) -> String {
    let number =
        u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}
