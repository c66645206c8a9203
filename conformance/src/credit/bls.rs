//! BLS signatures: made, expanded to the contract's words, verified.

use faregate_types::B256;
use faregate_types::credit::{BlsError, BlsPublicKey, BlsSecretKey, BlsSignature};

use super::{equal, expected_bytes, input_bytes, said, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// The order of the groups.
const ORDER: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

/// The generator of G1 and its opposite: the public keys of 1 and of the order less 1.
///
/// # Errors
/// Names the first difference.
pub fn constant(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["words", "generator_words"])?;
    let one = key(&format!("{:064x}", 1))?;
    let words: [B256; 4] = case.expected("generator_words")?;
    equal("generator", &words, &one.public_key().words())?;
    let before = ORDER.replace("00000001", "00000000");
    let words: [B256; 4] = case.expected("words")?;
    equal("its opposite", &words, &key(&before)?.public_key().words())?;
    Ok(Heard::same(case))
}

/// A signature.
///
/// # Errors
/// Names the first difference.
pub fn sign(case: &Case) -> Result<Heard, String> {
    case.only(
        &["secret_key", "message", "dst"],
        &[
            "public_key",
            "signature_compressed",
            "signature_words",
            "hash_to_g2_words",
        ],
    )?;
    let message = input_bytes(case, "message")?;
    let signer = key(&case.input::<String>("secret_key")?)?;
    let public = expected_bytes(case, "public_key")?;
    equal(
        "key",
        &public.to_vec(),
        &signer.public_key().to_bytes().to_vec(),
    )?;
    let signature = signer.sign(&message);
    let compressed = expected_bytes(case, "signature_compressed")?;
    equal(
        "signature",
        &compressed.to_vec(),
        &signature.as_bytes().to_vec(),
    )?;
    let words = signature.words().map_err(|error| error.to_string())?;
    equal("words", &case.expected("signature_words")?, &words)?;
    // The signature of 1 is the message on the curve.
    let hash = key(&format!("{:064x}", 1))?.sign(&message).words();
    equal("hash", &Ok(case.expected("hash_to_g2_words")?), &hash)?;
    let verified = signer.public_key().verify(&message, &signature);
    equal("verified", &Ok(()), &verified)?;
    Ok(Heard::same(case))
}

/// A signature that is wrong, or none at all; what has no message is only to be expanded.
///
/// # Errors
/// Names the first difference.
pub fn verify(case: &Case) -> Result<Heard, String> {
    case.only(
        &["public_key", "message", "signature", "dst_used", "py_ecc"],
        &["result", "error", "message"],
    )?;
    let signature = input_bytes(case, "signature");
    let signature = signature
        .and_then(|bytes| BlsSignature::from_bytes(&bytes).map_err(|error| error.to_string()));
    let is_accepted = match (signature, case.inputs.get("message")) {
        (Err(_), _) => false,
        (Ok(signature), None) => signature.words().is_ok(),
        (Ok(signature), Some(_)) => {
            let message = input_bytes(case, "message")?;
            let key = BlsPublicKey::from_bytes(&input_bytes(case, "public_key")?);
            let verify = |key: BlsPublicKey| -> Result<(), BlsError> {
                let one = key.verify(&message, &signature);
                let many = key.verify_batch(&[(&message, signature)]);
                if one == many { one } else { Ok(()) }
            };
            key.and_then(verify).is_ok()
        }
    };
    Ok(Heard::one(case, said(case), verdict(is_accepted)))
}

fn key(digits: &str) -> Result<BlsSecretKey, String> {
    BlsSecretKey::from_hex(digits).map_err(|error| error.to_string())
}
