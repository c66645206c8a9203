//! Signing in with a wallet, and the key of the environment.

use faregate_types::credit::{AdminKey, SignIn, SignInTemplate, parse_uuid, to_uuid};
use faregate_types::{B256, Bytes, eip191};

use super::{equal, expected_bytes, signer};
use crate::case::Case;
use crate::judge::Heard;

/// The message that the SDK signs.
///
/// # Errors
/// Names the first difference.
pub fn sign_in(case: &Case) -> Result<Heard, String> {
    case.only(
        &["template", "address", "nonce", "private_key"],
        &["message", "digest", "signature"],
    )?;
    let message = SignIn {
        address: case.input("address")?,
        nonce: case.input("nonce")?,
        template: case.input::<SignInTemplate>("template")?,
    };
    let theirs: String = case.expected("message")?;
    let ours = message.checked_text().map_err(|error| error.to_string())?;
    equal("message", &theirs, &ours)?;
    equal("read", &Ok(message.clone()), &SignIn::parse(&theirs))?;
    let digest: B256 = case.expected("digest")?;
    equal("digest", &digest, &message.digest())?;
    equal(
        "digest of the text",
        &digest,
        &eip191::digest(theirs.as_bytes()),
    )?;
    let signature = signer(case)?.sign_now(digest);
    let signature = signature.map_err(|error| error.to_string())?.to_bytes();
    equal(
        "signature",
        &expected_bytes(case, "signature")?.to_vec(),
        &signature.to_vec(),
    )?;
    Ok(Heard::same(case))
}

/// A key that follows from a seed.
///
/// # Errors
/// Names the first difference.
pub fn admin_key(case: &Case) -> Result<Heard, String> {
    case.only(&["seed"], &["id", "secret", "api_key", "stored_key_hash"])?;
    let seed: String = case.input("seed")?;
    let key = AdminKey::bootstrap(seed.as_bytes());
    let id: String = case.expected("id")?;
    equal("id", &id, &to_uuid(key.id()))?;
    equal("id", &parse_uuid(&id), &Some(key.id()))?;
    let text: String = case.expected("api_key")?;
    equal("key", &text.as_str(), &key.to_text().as_str())?;
    let secret: String = case.expected("secret")?;
    equal("secret", &true, &text.ends_with(&format!(".{secret}")))?;
    let hash = Bytes::copy_from_slice(&key.hash()).to_string();
    equal(
        "hash",
        &format!("0x{}", case.expected::<String>("stored_key_hash")?),
        &hash,
    )?;
    let read = AdminKey::parse(&text).ok_or("is not read")?;
    equal("read", &true, &read.is_of(&key.hash()))?;
    Ok(Heard::same(case))
}
