//! What decides whether a certificate of version 2 is money: a validator is asked at a registry of ERC-8004, and answers.

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall as _;
use faregate_types::credit::ValidationPolicy;

use super::Call;
use super::abi::ValidationRegistry;

/// Gas of a question or an answer: a few slots, and a text or two.
const REGISTRY_GAS: u64 = 500_000;

/// Asks the validator of a condition. On public chains only whoever the agent belongs to may.
#[must_use]
pub fn ask_validator(policy: &ValidationPolicy) -> Call {
    let ask = ValidationRegistry::validationRequestCall {
        validatorAddress: policy.validator,
        agentId: policy.agent_id,
        requestURI: String::new(),
        requestHash: policy.request_hash,
    };
    call(policy, ask.abi_encode())
}

/// The validator's answer, from 0 to 100, with the tag that the condition wants. Only the validator that was asked may send it.
#[must_use]
pub fn answer_as_validator(policy: &ValidationPolicy, score: u8) -> Call {
    let answer = ValidationRegistry::validationResponseCall {
        requestHash: policy.request_hash,
        response: score,
        responseURI: String::new(),
        responseHash: B256::ZERO,
        tag: policy.tag.clone(),
    };
    call(policy, answer.abi_encode())
}

fn call(policy: &ValidationPolicy, data: Vec<u8>) -> Call {
    Call {
        to: policy.registry,
        value: U256::ZERO,
        data: data.into(),
        gas: REGISTRY_GAS,
    }
}
