//! Hashes and signatures that the Python and TypeScript SDKs produced with dev account 1.

use faregate_types::{
    Address, AssetRegistry, Authorization, B256, ChainId, Signature65, SignatureError, TokenDomain,
    U256, domain_separator, eip712,
};

use crate::samples::{NONCE, PAYEE, PAYER, SIGNATURE_V2};

fn authorization(valid_after: u64) -> Authorization {
    Authorization {
        from: PAYER.parse().unwrap(),
        to: PAYEE.parse().unwrap(),
        value: U256::from(10_000),
        valid_after: U256::from(valid_after),
        valid_before: U256::from(1_740_672_149),
        nonce: NONCE.parse().unwrap(),
    }
}

fn word(text: &str) -> B256 {
    text.parse().unwrap()
}

#[test]
fn type_hashes_are_the_hashes_of_the_types() {
    let domain =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    assert_eq!(
        alloy_primitives::keccak256(domain),
        eip712::DOMAIN_TYPE_HASH
    );
    let transfer = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
                    uint256 validBefore,bytes32 nonce)";
    assert_eq!(
        alloy_primitives::keccak256(transfer),
        Authorization::TYPE_HASH
    );
}

#[test]
fn digests_are_the_sdks_digests() {
    let struct_hash = word("0x6fecd073acaea77f423846d4df1996d4216c235081e9d6ac982a1b781e094c8f");
    assert_eq!(authorization(0).struct_hash(), struct_hash);
    for (chain, name, version, token, separator, digest) in [
        (
            8453,
            "USD Coin",
            "2",
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f",
            "0x48e399f2a79c0aa194c738ff168192ab377d1f27229d99751b6dd17ad5eb1ccd",
        ),
        (
            43114,
            "USD Coin",
            "2",
            "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
            "0xbbea200329a938bc3438984a49cb0732e66d66d7bd59c127abacc1710e77f7b3",
            "0x9d1f1054aa47fd05b35b6f899071214b042a650df9807d7cf6021bac4b935881",
        ),
        (
            31337,
            "USDC",
            "2",
            "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
            "0x435518350076f0ad35816a0a53ddb1196bddc9eb213936ebf6c9d7eae758c4e2",
            "0xd2273510ce16ae84bd1d9250d5e7c3b8bf19fd7a9b1fa4ba0d1844d7a61f4428",
        ),
        (
            14,
            "USD₮0",
            "1",
            "0xe7cd86e13AC4309349F30B3435a9d337750fC82D",
            "0x4c53d754dcb2f406ecf83695856d8c10b13296a318d9a481043412bf253d43ae",
            "0xca9264cd9bc25a819e8c4c0e108c9a0831f3ceafe0b6b3d44f8faf7af64356f1",
        ),
    ] {
        let chain = ChainId::new(chain).unwrap();
        let token: Address = token.parse().unwrap();
        let computed = domain_separator(&TokenDomain::new(name, version), chain, token);
        assert_eq!(computed, word(separator), "{chain}");
        assert_eq!(authorization(0).digest(computed), word(digest), "{chain}");
    }
}

#[test]
fn the_registry_has_the_domain_the_v1_sdk_signs_with() {
    let registry = AssetRegistry::builtin();
    let usdc = registry.default_for(ChainId::BASE_SEPOLIA).unwrap();
    let separator = domain_separator(&usdc.domain, usdc.id.chain(), usdc.id.token());
    assert_eq!(
        separator,
        word("0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818")
    );
    let digest = authorization(1_740_671_489).digest(separator);
    assert_eq!(
        digest,
        word("0xc1606bb1556be5e4c72c8b14cfb41b022724ed39e0a2f8e6baceb5bd116711ab")
    );
}

#[test]
fn problem_12_signatures_have_one_accepted_shape() {
    let good: [u8; 65] = faregate_types::hex_text::parse_array(SIGNATURE_V2).unwrap();
    let signature = Signature65::parse(&good).unwrap();
    assert_eq!(signature.v, 28);
    assert_eq!(signature.to_bytes(), good);

    let order = word("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let half = word("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    let above_half = word("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1");
    let one = B256::with_last_byte(1);
    for (r, s, v, expected) in [
        (one, one, 27, Ok(())),
        (one, half, 28, Ok(())),
        (one, above_half, 27, Err(SignatureError::HighS)),
        (B256::ZERO, one, 27, Err(SignatureError::Range)),
        (one, B256::ZERO, 27, Err(SignatureError::Range)),
        (order, one, 27, Err(SignatureError::Range)),
        (one, order, 27, Err(SignatureError::Range)),
        (B256::repeat_byte(0xff), one, 27, Err(SignatureError::Range)),
        (one, one, 0, Err(SignatureError::RecoveryNumber)),
        (one, one, 1, Err(SignatureError::RecoveryNumber)),
        (one, one, 26, Err(SignatureError::RecoveryNumber)),
        (one, one, 29, Err(SignatureError::RecoveryNumber)),
    ] {
        let bytes = [r.as_slice(), s.as_slice(), &[v]].concat();
        assert_eq!(
            Signature65::parse(&bytes).map(|_| ()),
            expected,
            "{r} {s} {v}"
        );
    }
    for length in [0, 2, 64, 66, 97] {
        assert_eq!(
            Signature65::parse(&vec![27; length]),
            Err(SignatureError::Length),
            "{length}"
        );
    }
}
