//! The payer's side of EIP-3009: signing an authorization.

use alloy_primitives::{Address, B256, Bytes};
use faregate_types::{Authorization, ChainId, TokenDomain, domain_separator};

use crate::signer::{LocalSigner, SignError};

/// Signs an EIP-3009 authorization for the token at `token`: 65 bytes, `r ‖ s ‖ v`.
///
/// The domain must come from one's own asset table, never from the server that asks for the payment: whoever chooses
/// the domain chooses what is signed. Takes about 50 µs on the calling thread.
///
/// # Errors
/// [`SignError`] when no signature was made.
pub fn sign_authorization(
    signer: &LocalSigner,
    domain: &TokenDomain,
    chain: ChainId,
    token: Address,
    authorization: &Authorization,
) -> Result<Bytes, SignError> {
    let digest = authorization.digest(domain_separator(domain, chain, token));
    Ok(Bytes::copy_from_slice(&signer.sign_now(digest)?.to_bytes()))
}

/// Where random bytes come from.
pub trait Entropy: Send {
    /// Fills the buffer with bytes nobody can guess.
    ///
    /// # Errors
    /// [`EntropyError`] when there are none.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

/// There are no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system has no random bytes")]
#[non_exhaustive]
pub struct EntropyError;

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing in it")]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

/// A nonce for a new authorization. 32 random bytes: a contract accepts a nonce of one payer once, and nobody should be
/// able to guess the next one.
///
/// # Errors
/// [`EntropyError`] when there are no random bytes.
pub fn random_nonce(entropy: &mut dyn Entropy) -> Result<B256, EntropyError> {
    let mut nonce = B256::ZERO;
    entropy.fill(nonce.as_mut_slice())?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, address, b256, bytes};
    use faregate_types::SecretKey;

    use super::*;

    /// Case `facilitator.verify.eip3009.valid` of the vectors: all SDKs produce these bytes for dev account 1.
    #[test]
    fn the_signature_is_the_one_the_sdks_produce() {
        let key = SecretKey::from_hex(
            "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        )
        .unwrap();
        let authorization = Authorization {
            from: address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            to: address!("0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            value: U256::from(10_000),
            valid_after: U256::ZERO,
            valid_before: U256::from(4_102_444_800_u64),
            nonce: b256!("0xe2aaf2120ba05e2578bb346ab0038fd02b1932d4e0dff31cd12c25bb085e7c8d"),
        };
        let signature = sign_authorization(
            &LocalSigner::new(key).unwrap(),
            &TokenDomain::new("USDC", "2"),
            ChainId::BASE_SEPOLIA,
            address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
            &authorization,
        );
        let expected = bytes!(
            "0x0c35953c8584cb378dbc4ea018c2c4886ba2f22d520c5e260a59104cb18ca8d47ccf1382078a85b51f121b28837a3a099ae86143a6347414cd87f167c2c507b01c"
        );
        assert_eq!(signature.unwrap(), expected);
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(
            random_nonce(&mut OsEntropy).unwrap(),
            random_nonce(&mut OsEntropy).unwrap()
        );
    }
}
