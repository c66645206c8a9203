//! The ten accounts every development chain has, and signing with them.

use std::fmt;

use alloy_primitives::{Address, B256, Signature, U256, address, keccak256};
use secp256k1::{
    Message, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The sentence the keys come from. Everybody knows it: anything of value sent to these accounts on a public network is gone.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// One of the well-known accounts (path `m/44'/60'/0'/0/i` of [`MNEMONIC`]).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DevAccount {
    /// The address.
    pub address: Address,
    /// The private key as 64 hexadecimal digits after `0x`. Public knowledge, and kept out of `Debug` only so that the
    /// habit of looking for keys in logs stays useful.
    pub private_key: &'static str,
}

impl fmt::Debug for DevAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevAccount")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DevAccount {
    /// Signs a 32-byte digest; `None` only if the constant below were wrong.
    pub(crate) fn sign(&self, digest: B256) -> Option<Signature> {
        let key: SecretKey = self.private_key.trim_start_matches("0x").parse().ok()?;
        let (id, compact) =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &key)
                .serialize_compact();
        let (r, s) = compact.split_at(32);
        Some(Signature::new(
            U256::from_be_slice(r),
            U256::from_be_slice(s),
            id == RecoveryId::One,
        ))
    }
}

/// The dev account with this address.
pub(crate) fn find(address: Address) -> Option<&'static DevAccount> {
    ACCOUNTS.iter().find(|account| account.address == address)
}

/// The address that signed `digest`, or `None` if the signature is not one or is not in the lower half (EIP-2).
pub(crate) fn recover(digest: B256, signature: &Signature) -> Option<Address> {
    if signature.s() > HALF_ORDER {
        return None;
    }
    let mut compact = [0_u8; 64];
    let (r, s) = compact.split_at_mut(32);
    r.copy_from_slice(&signature.r().to_be_bytes::<32>());
    s.copy_from_slice(&signature.s().to_be_bytes::<32>());
    let id = if signature.v() {
        RecoveryId::One
    } else {
        RecoveryId::Zero
    };
    let key = RecoverableSignature::from_compact(&compact, id)
        .ok()?
        .recover_ecdsa(Message::from_digest(digest.0))
        .ok()?;
    let point = key.serialize_uncompressed();
    let hash = keccak256(point.get(1..)?);
    Some(Address::from_word(hash))
}

/// Half the order of secp256k1: larger `s` values are refused so that a signature has one form.
const HALF_ORDER: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// The ten accounts, in order.
pub(crate) static ACCOUNTS: [DevAccount; 10] = [
    DevAccount {
        address: address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        private_key: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    },
    DevAccount {
        address: address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        private_key: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    },
    DevAccount {
        address: address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        private_key: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    },
    DevAccount {
        address: address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
        private_key: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    },
    DevAccount {
        address: address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
        private_key: "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    },
    DevAccount {
        address: address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
        private_key: "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    },
    DevAccount {
        address: address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
        private_key: "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    },
    DevAccount {
        address: address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
        private_key: "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    },
    DevAccount {
        address: address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
        private_key: "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    },
    DevAccount {
        address: address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        private_key: "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_signs_for_its_address() {
        let digest = keccak256(b"faregate");
        for account in &ACCOUNTS {
            let signature = account.sign(digest).unwrap();
            assert_eq!(recover(digest, &signature), Some(account.address));
        }
    }

    #[test]
    fn a_signature_in_the_upper_half_is_refused() {
        let digest = keccak256(b"faregate");
        let low = ACCOUNTS[0].sign(digest).unwrap();
        let order = HALF_ORDER * U256::from(2) + U256::from(1);
        let high = Signature::new(low.r(), order - low.s(), !low.v());
        assert_eq!(recover(digest, &high), None);
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", ACCOUNTS[0]).contains("ac0974"));
    }
}
