//! EIP-191 `personal_sign`: bytes signed as a message to people, not as typed data.

use alloy_primitives::{B256, Keccak256};

/// The digest that is signed for these bytes: the prefix of Ethereum and their number come first.
///
/// ```
/// let digest = faregate_types::eip191::digest(b"hello");
/// assert_eq!(digest.to_string(), "0x50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750");
/// ```
#[must_use]
pub fn digest(message: &[u8]) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string());
    hasher.update(message);
    hasher.finalize()
}
