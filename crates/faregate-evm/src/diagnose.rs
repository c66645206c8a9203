//! Why a transfer would be reverted: the token's own words where we know them, else one Multicall3 call.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal};

use crate::bindings::{MULTICALL3, Multicall3, Token};
use crate::rpc::{Called, Rpc};

/// Turns a revert into a refusal (specs/x402.md §2.2 step 8).
///
/// When the questions cannot be asked, the refusal is the general one: the transfer would be reverted, that much is
/// known.
pub(crate) async fn diagnose(rpc: &Rpc, payment: &ExactPayment, reason: Option<&str>) -> Refusal {
    let code = match reason.and_then(known) {
        Some(code) => code,
        None => ask(rpc, payment)
            .await
            .unwrap_or(Code::InvalidExactEvmTransactionSimulationFailed),
    };
    let refusal = Refusal::new(code).payer(payment.payer());
    match reason {
        Some(words) => refusal.detail(format!("the token refuses: {words}")),
        None => refusal,
    }
}

/// The revert texts of USDC ("FiatToken") and of OpenZeppelin's ERC-20 below it.
fn known(reason: &str) -> Option<Code> {
    let has = |text| reason.contains(text);
    if has("used or canceled") {
        Some(Code::InvalidExactEvmNonceAlreadyUsed)
    } else if has("invalid signature") || has("ECRecover") {
        Some(Code::InvalidExactEvmPayloadSignature)
    } else if has("exceeds balance") {
        Some(Code::InvalidExactEvmInsufficientBalance)
    } else if has("not yet valid") {
        Some(Code::InvalidExactEvmPayloadAuthorizationValidAfter)
    } else if has("is expired") {
        Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore)
    } else {
        None
    }
}

/// `None` when there was no answer, or nothing was found wrong.
async fn ask(rpc: &Rpc, payment: &ExactPayment) -> Option<Code> {
    let authorization = &payment.payload.authorization;
    let token = payment.terms.asset.token();
    let question = |data: Vec<u8>| Multicall3::Call3 {
        target: token,
        allowFailure: true,
        callData: Bytes::from(data),
    };
    let state = Token::authorizationStateCall {
        authorizer: authorization.from,
        nonce: authorization.nonce,
    };
    let calls = vec![
        question(state.abi_encode()),
        question(Token::nameCall {}.abi_encode()),
        question(Token::versionCall {}.abi_encode()),
        question(
            Token::balanceOfCall {
                account: authorization.from,
            }
            .abi_encode(),
        ),
    ];
    let Called::Returned(answers) = rpc
        .read(MULTICALL3, &Multicall3::aggregate3Call { calls }, None)
        .await
        .ok()?
    else {
        return None;
    };
    let [state, name, version, balance] = answers.as_slice() else {
        return None;
    };
    judge(
        &Facts {
            used: decode::<Token::authorizationStateCall>(state),
            name: decode::<Token::nameCall>(name),
            version: decode::<Token::versionCall>(version),
            balance: decode::<Token::balanceOfCall>(balance),
        },
        payment,
    )
}

struct Facts {
    used: Option<bool>,
    name: Option<String>,
    version: Option<String>,
    balance: Option<U256>,
}

fn decode<C: SolCall>(answer: &Multicall3::Answer) -> Option<C::Return> {
    answer
        .success
        .then(|| C::abi_decode_returns(&answer.returnData).ok())
        .flatten()
}

/// In the order of the specification.
fn judge(facts: &Facts, payment: &ExactPayment) -> Option<Code> {
    let domain = &payment.terms.domain;
    if facts.used == Some(true) {
        Some(Code::InvalidExactEvmNonceAlreadyUsed)
    } else if facts
        .name
        .as_deref()
        .is_some_and(|name| name != domain.name)
    {
        Some(Code::InvalidExactEvmTokenNameMismatch)
    } else if facts
        .version
        .as_deref()
        .is_some_and(|version| version != domain.version)
    {
        Some(Code::InvalidExactEvmTokenVersionMismatch)
    } else if facts
        .balance
        .is_some_and(|balance| balance < payment.terms.amount)
    {
        Some(Code::InvalidExactEvmInsufficientBalance)
    } else if facts.used.is_none() {
        Some(Code::InvalidExactEvmEip3009NotSupported)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};
    use faregate_types::x402::Version;
    use faregate_types::x402::exact::{Payload, Terms};
    use faregate_types::{Authorization, ChainId, Erc20, TokenDomain};

    use super::*;

    fn payment() -> ExactPayment {
        let terms = Terms {
            asset: Erc20::new(ChainId::BASE_SEPOLIA, Address::ZERO),
            amount: U256::from(10),
            pay_to: Address::ZERO,
            max_timeout_secs: 60,
            domain: TokenDomain::new("USDC", "2"),
        };
        let authorization = Authorization {
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::from(10),
            valid_after: U256::ZERO,
            valid_before: U256::MAX,
            nonce: B256::ZERO,
        };
        ExactPayment {
            version: Version::V2,
            terms,
            payload: Payload {
                authorization,
                signature: Bytes::new(),
            },
        }
    }

    #[test]
    fn facts_are_judged_in_the_order_of_the_specification() {
        let facts = |used, name: &str, version: &str, balance| Facts {
            used,
            name: Some(name.into()),
            version: Some(version.into()),
            balance: Some(U256::from(balance)),
        };
        let table = [
            (
                facts(Some(true), "x", "x", 0),
                Some(Code::InvalidExactEvmNonceAlreadyUsed),
            ),
            (
                facts(Some(false), "x", "x", 0),
                Some(Code::InvalidExactEvmTokenNameMismatch),
            ),
            (
                facts(Some(false), "USDC", "x", 0),
                Some(Code::InvalidExactEvmTokenVersionMismatch),
            ),
            (
                facts(Some(false), "USDC", "2", 9),
                Some(Code::InvalidExactEvmInsufficientBalance),
            ),
            (
                facts(None, "USDC", "2", 10),
                Some(Code::InvalidExactEvmEip3009NotSupported),
            ),
            (facts(Some(false), "USDC", "2", 10), None),
            (
                Facts {
                    used: None,
                    name: None,
                    version: None,
                    balance: None,
                },
                Some(Code::InvalidExactEvmEip3009NotSupported),
            ),
        ];
        for (facts, expected) in table {
            assert_eq!(judge(&facts, &payment()), expected);
        }
    }

    #[test]
    fn the_words_of_tokens() {
        let table = [
            (
                "FiatTokenV2: authorization is used or canceled",
                Some(Code::InvalidExactEvmNonceAlreadyUsed),
            ),
            (
                "FiatTokenV2: invalid signature",
                Some(Code::InvalidExactEvmPayloadSignature),
            ),
            (
                "ECRecover: invalid signature 's' value",
                Some(Code::InvalidExactEvmPayloadSignature),
            ),
            (
                "ERC20: transfer amount exceeds balance",
                Some(Code::InvalidExactEvmInsufficientBalance),
            ),
            (
                "FiatTokenV2: authorization is not yet valid",
                Some(Code::InvalidExactEvmPayloadAuthorizationValidAfter),
            ),
            (
                "FiatTokenV2: authorization is expired",
                Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore),
            ),
            ("Blacklistable: account is blacklisted", None),
        ];
        for (words, expected) in table {
            assert_eq!(known(words), expected, "{words}");
        }
    }
}
