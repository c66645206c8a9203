//! ECDSA over secp256k1: who signed a digest, and signing one. The C library does the work: a recovery takes about
//! 54 µs, half of what the fastest pure Rust implementation needs.
//!
//! Recovery runs where it is called, in async code too. Handing so short a piece of work to another thread was measured
//! to cost half of it again in processor time (on two processors, 64 at once: 27 µs here, 41 µs there), and the async
//! threads bound how many run at once. A signer's work may be longer and has its own threads.

use alloy_primitives::{Address, B256, keccak256};
use faregate_types::Signature65;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};

/// The address whose key made `signature` over `digest`; `None` when there is no such key.
///
/// The shape of a [`Signature65`] is already checked (low `s`, `v` 27 or 28), so one signer and one digest have exactly
/// one signature that is accepted here.
#[must_use]
pub fn recover(digest: B256, signature: &Signature65) -> Option<Address> {
    let id = match signature.v {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        _ => return None,
    };
    let bytes = signature.to_bytes();
    let compact = bytes.first_chunk::<64>()?;
    let signature = RecoverableSignature::from_compact(compact, id).ok()?;
    let key = signature
        .recover_ecdsa(Message::from_digest(digest.0))
        .ok()?;
    Some(address_of(&key))
}

/// Signs a digest. `None` in one of 2¹²⁷ cases: the curve allows signatures that contracts cannot check.
pub(crate) fn sign(digest: B256, key: &SecretKey) -> Option<Signature65> {
    let signature =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), key);
    let (id, compact) = signature.serialize_compact();
    let v = match id {
        RecoveryId::Zero => 27,
        RecoveryId::One => 28,
        RecoveryId::Two | RecoveryId::Three => return None,
    };
    let mut bytes = [v; 65];
    bytes.first_chunk_mut::<64>()?.copy_from_slice(&compact);
    Signature65::parse(&bytes).ok()
}

/// The account that belongs to a public key: the last 20 bytes of the hash of its point.
pub(crate) fn address_of(key: &PublicKey) -> Address {
    let [_form, point @ ..] = key.serialize_uncompressed();
    Address::from_word(keccak256(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_secret_bytes([byte; 32]).unwrap()
    }

    #[test]
    fn what_a_key_signs_recovers_to_its_address_and_to_no_other() {
        for byte in 1..50 {
            let (digest, key) = (keccak256([byte]), key(byte));
            let signature = sign(digest, &key).unwrap();
            assert_eq!(
                recover(digest, &signature),
                Some(address_of(&key.public_key()))
            );
            assert_ne!(
                recover(keccak256([byte, 0]), &signature),
                Some(address_of(&key.public_key()))
            );
        }
    }

    #[test]
    fn the_address_of_a_known_key_is_right() {
        let key: SecretKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
            .parse()
            .unwrap();
        let expected: Address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
            .parse()
            .unwrap();
        assert_eq!(address_of(&key.public_key()), expected);
    }
}
