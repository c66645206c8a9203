use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use faregate_types::{
    ChainId, Timestamp,
    credit::{
        BlsSecretKey, Certificate, Guarantee, GuaranteeVersion, certificate::domain_separator,
    },
};

use super::{NOW, account, call_to};
use crate::chain::{
    CREDIT_CORE, CREDIT_MANAGER, ChainConfig, CreditConfig, CreditTiming, DevchainError,
    FixedClock, VALIDATION_DECODER, VALIDATION_REGISTRY,
    engine::{BlockRef, Chain},
    error::CallError,
};

sol! {
    function tabExpirationTime() returns (uint256);
    function withdrawalGracePeriod() returns (uint256);
    function getERC20Tokens() returns (address[]);
    function authority() returns (address);
    function guaranteeDomainSeparator() returns (bytes32);
    function getGuaranteeVersionConfig(uint64 version) returns (bytes32[4] key, bytes32 domain, address decoder, bool enabled);
    function isTrustedValidationRegistry(address registry) returns (bool);
    function recordPayment(uint256 tabId, address asset, uint256 amount);
    function pause();
    function verifyAndDecodeGuarantee(bytes guarantee, bytes32[8] signature) returns (bytes32 domain, uint256 tabId);
}

const TIMING: CreditTiming = CreditTiming {
    remuneration_grace: 5,
    tab_expiration: 60,
    synchronization_delay: 2,
    withdrawal_grace: 70,
};

fn key() -> BlsSecretKey {
    BlsSecretKey::from_hex(&format!("{:064x}", 7)).unwrap()
}

fn credit() -> CreditConfig {
    CreditConfig {
        verification_key: key().public_key().words(),
        operator: account(3),
        admin: account(4),
        timing: TIMING,
    }
}

fn start(credit: CreditConfig) -> Result<Chain, DevchainError> {
    Chain::new(&ChainConfig {
        credit: Some(credit),
        clock: std::sync::Arc::new(FixedClock::at(NOW)),
        ..ChainConfig::default()
    })
}

fn try_as(chain: &Chain, from: Address, to: Address, input: Vec<u8>) -> Result<Bytes, CallError> {
    let mut call = call_to(to, input);
    call.request.from = Some(from);
    chain.call(&call, BlockRef::Latest)
}

fn ask<C: SolCall>(chain: &Chain, to: Address, question: &C) -> C::Return {
    let answer = try_as(chain, account(0), to, question.abi_encode()).unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

#[test]
fn the_contracts_are_there_with_the_parameters_that_were_given() {
    let chain = start(credit()).unwrap();
    assert_eq!(
        ask(&chain, CREDIT_CORE, &tabExpirationTimeCall {}),
        U256::from(60)
    );
    assert_eq!(
        ask(&chain, CREDIT_CORE, &withdrawalGracePeriodCall {}),
        U256::from(70)
    );
    assert_eq!(ask(&chain, CREDIT_CORE, &authorityCall {}), CREDIT_MANAGER);
    assert_eq!(
        ask(&chain, CREDIT_CORE, &getERC20TokensCall {})[0],
        chain.usdc
    );
    let domain = |version| domain_separator(version, ChainId::BASE_SEPOLIA, CREDIT_CORE);
    for version in [1, 2] {
        let config = ask(
            &chain,
            CREDIT_CORE,
            &getGuaranteeVersionConfigCall { version },
        );
        assert_eq!(config.key, key().public_key().words());
        assert!(config.enabled);
        let (decoder, words) = match version {
            1 => (Address::ZERO, domain(GuaranteeVersion::V1)),
            _ => (VALIDATION_DECODER, domain(GuaranteeVersion::V2)),
        };
        assert_eq!((config.decoder, config.domain), (decoder, words));
    }
    let trusted = isTrustedValidationRegistryCall {
        registry: VALIDATION_REGISTRY,
    };
    assert!(ask(&chain, VALIDATION_DECODER, &trusted));
    assert_eq!(
        chain.pending_nonce(account(4)),
        0,
        "the administrator sent nothing yet"
    );
}

#[test]
fn the_operator_records_and_the_administrator_pauses() {
    let chain = start(credit()).unwrap();
    let record = recordPaymentCall {
        tabId: U256::from(1),
        asset: Address::ZERO,
        amount: U256::from(1),
    };
    let may = |who: usize, input: Vec<u8>| try_as(&chain, account(who), CREDIT_CORE, input).is_ok();
    assert!(may(3, record.abi_encode()));
    assert!(!may(4, record.abi_encode()));
    assert!(!may(3, pauseCall {}.abi_encode()));
    assert!(may(4, pauseCall {}.abi_encode()));
}

/// The pairing and the hash to the curve work in this process too.
#[test]
fn certificates_of_the_key_are_believed() {
    let chain = start(credit()).unwrap();
    let guarantee = Guarantee {
        domain: ask(&chain, CREDIT_CORE, &guaranteeDomainSeparatorCall {}),
        tab_id: U256::from(77),
        req_id: U256::ZERO,
        payer: account(1),
        recipient: account(2),
        amount: U256::from(5),
        total_amount: U256::from(5),
        asset: Address::ZERO,
        timestamp: Timestamp::from_secs(NOW),
        validation: None,
    };
    let certificate = Certificate::issue(&guarantee, &key());
    let check = |signature: [B256; 8]| {
        let call = verifyAndDecodeGuaranteeCall {
            guarantee: certificate.claims.clone(),
            signature,
        };
        // The 8 words stand in place, like the members of the tuple; the selector is that of the tuple.
        let mut input = call.abi_encode();
        input[..4].copy_from_slice(&[0xe5, 0xe1, 0x2b, 0x85]);
        try_as(&chain, account(0), CREDIT_CORE, input)
    };
    let words = certificate.signature.words().unwrap();
    let answer = check(words).unwrap();
    let read = verifyAndDecodeGuaranteeCall::abi_decode_returns(&answer).unwrap();
    assert_eq!(read.tabId, U256::from(77));
    let other = BlsSecretKey::from_hex(&format!("{:064x}", 8)).unwrap();
    let other = other.sign(&certificate.claims).words().unwrap();
    assert!(check(other).is_err());
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    let refused = |credit: CreditConfig| {
        assert!(matches!(start(credit), Err(DevchainError::Contract { .. })));
    };
    refused(CreditConfig {
        verification_key: [B256::ZERO; 4],
        ..credit()
    });
    refused(CreditConfig {
        timing: CreditTiming {
            withdrawal_grace: 62,
            ..TIMING
        },
        ..credit()
    });
    refused(CreditConfig {
        admin: Address::ZERO,
        ..credit()
    });
    let own = CreditConfig {
        timing: CreditTiming::default(),
        ..credit()
    };
    assert!(start(own).is_ok());
}
