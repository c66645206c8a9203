//! HMAC-SHA256 with keys of any length: the one place where texts are authenticated.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// The code of the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC's own rule for keys that do not fit one block of the hash, written out because it cannot fail so.
    let mut block = Zeroizing::new([0; 64]);
    if key.len() > block.len() {
        let mut hashed: [u8; 32] = Sha256::digest(key).into();
        fill(block.as_mut_slice(), &hashed);
        hashed.zeroize();
    } else {
        fill(block.as_mut_slice(), key);
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn fill(block: &mut [u8], bytes: &[u8]) {
    for (slot, byte) in block.iter_mut().zip(bytes) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex_text::to_digits;

    #[test]
    fn codes_are_those_of_rfc_4231() {
        // Test cases 2 and 6: a short key, and one longer than a block.
        let code = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            to_digits(&code),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            to_digits(&hmac_sha256(&[0xaa; 131], &[text])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
