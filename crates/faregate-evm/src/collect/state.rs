//! What the chain says about a payer and a permit, everything at one block.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_types::permit::{ChainState, PermitKind, Terms};
use faregate_types::permit2;
use futures_util::future::join_all;

use super::claim::Claim;
use crate::bindings::{MULTICALL3, Multicall3, Permit2, Token};
use crate::network::Network;
use crate::node::{NodeError, Silence};
use crate::rpc::Called;

/// The answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) balance: U256,
    /// For the contract (EIP-2612), for Permit2 (Permit2); else 0.
    pub(super) allowance: U256,
    /// Of EIP-2612; else 0.
    pub(super) next_nonce: U256,
    /// Collected (EIP-2612), used or cancelled (EIP-3009), used up by whatever (Permit2).
    pub(super) is_used: bool,
    /// The same of the other kind with this nonce, whose log looks alike.
    pub(super) is_twin_used: bool,
    separator: Option<B256>,
}

impl State {
    /// For the checks of the rail. What our books reserve is theirs to add.
    pub(super) const fn facts(&self) -> ChainState {
        ChainState {
            balance: self.balance,
            reserved: U256::ZERO,
            allowance: self.allowance,
            next_nonce: self.next_nonce,
            is_nonce_taken: self.is_used,
            domain_separator: self.separator,
        }
    }

    /// Asks at the newest block, or at a numbered one; `None` when the token has no word for what is asked.
    pub(super) async fn read(
        network: &Network,
        claim: &Claim<'_>,
        block: Option<u64>,
    ) -> Result<Option<Self>, NodeError> {
        let questions = Questions::new(network, claim);
        let answers = words(network, &questions.calls, block).await?;
        let mut answers = answers.into_iter();
        let mut next = |asked: bool| match asked {
            true => answers.next().flatten(),
            false => None,
        };
        let (kind, claims) = (claim.permit.terms.kind(), questions.checks_domain);
        let balance = next(true).ok_or(NodeError::Away(Silence::Unreadable))?;
        let separator = next(claims);
        let bit = |word: Option<U256>, nonce: U256| {
            word.is_some_and(|word| word.bit(usize::from(nonce.byte(0))))
        };
        let flag = |word: Option<U256>| word.is_some_and(|word| !word.is_zero());
        let mut state = Self {
            balance,
            allowance: U256::ZERO,
            next_nonce: U256::ZERO,
            is_used: false,
            is_twin_used: false,
            separator: separator.map(B256::from),
        };
        match kind {
            PermitKind::Erc3009 => match next(true) {
                Some(used) => state.is_used = !used.is_zero(),
                None => return Ok(None),
            },
            PermitKind::Eip2612 | PermitKind::Permit2 => {
                state.allowance = next(true).unwrap_or_default();
                let collected = flag(next(true));
                let spent = bit(next(true), claim.nonce());
                let nonce = next(kind == PermitKind::Eip2612);
                if kind == PermitKind::Eip2612 {
                    let Some(nonce) = nonce else { return Ok(None) };
                    state.next_nonce = nonce;
                    (state.is_used, state.is_twin_used) = (collected, spent);
                } else {
                    (state.is_used, state.is_twin_used) = (spent, collected);
                }
            }
        }
        if claims && separator.is_none() {
            return Ok(None);
        }
        Ok(Some(state))
    }
}

struct Questions {
    calls: Vec<(Address, Bytes)>,
    checks_domain: bool,
}

impl Questions {
    fn new(network: &Network, claim: &Claim<'_>) -> Self {
        let (terms, settler) = (&claim.permit.terms, &claim.settler);
        let (token, payer) = (terms.token(), terms.payer());
        let mut calls = vec![call(token, &Token::balanceOfCall { account: payer })];
        let domain = &claim.price.asset().domain;
        let checked = network
            .asset(token)
            .is_some_and(|known| known.domain == *domain);
        // Permit2 signs under a domain of its own.
        let checks_domain = !checked && terms.kind() != PermitKind::Permit2;
        if checks_domain {
            calls.push(call(token, &Token::DOMAIN_SEPARATORCall {}));
        }
        let spender = match terms {
            Terms::Erc3009 { authorization, .. } => {
                let question = Token::authorizationStateCall {
                    authorizer: payer,
                    nonce: authorization.nonce,
                };
                calls.push(call(token, &question));
                return Self {
                    calls,
                    checks_domain,
                };
            }
            Terms::Eip2612 { .. } => settler.address(),
            Terms::Permit2 { .. } => permit2::CONTRACT,
        };
        let nonce = claim.nonce();
        let allowance = Token::allowanceCall {
            owner: payer,
            spender,
        };
        calls.push(call(token, &allowance));
        let collected = settler.collected(token, payer, nonce);
        calls.push((settler.address(), collected));
        let bitmap = Permit2::nonceBitmapCall {
            owner: payer,
            word: nonce.wrapping_shr(8),
        };
        calls.push(call(permit2::CONTRACT, &bitmap));
        if terms.kind() == PermitKind::Eip2612 {
            calls.push(call(token, &Token::noncesCall { owner: payer }));
        }
        Self {
            calls,
            checks_domain,
        }
    }
}

fn call(to: Address, question: &impl SolCall) -> (Address, Bytes) {
    (to, question.abi_encode().into())
}

/// Whether Permit2 calls the nonce used at an earlier block; `None` when the node cannot look so far back.
pub(super) async fn was_spent(network: &Network, claim: &Claim<'_>, block: u64) -> Option<bool> {
    let nonce = claim.nonce();
    let question = Permit2::nonceBitmapCall {
        owner: claim.permit.terms.payer(),
        word: nonce.wrapping_shr(8),
    };
    let read = network
        .rpc
        .read(permit2::CONTRACT, &question, Some(block))
        .await;
    match read {
        Ok(Called::Returned(word)) => Some(word.bit(usize::from(nonce.byte(0)))),
        Ok(Called::Reverted(_)) | Err(_) => None,
    }
}

/// Answers of one word each, in one call where there is Multicall3; `None` for a contract that does not answer.
async fn words(
    network: &Network,
    calls: &[(Address, Bytes)],
    block: Option<u64>,
) -> Result<Vec<Option<U256>>, NodeError> {
    let together = calls.iter().map(|(target, data)| Multicall3::Call3 {
        target: *target,
        allowFailure: true,
        callData: data.clone(),
    });
    let question = Multicall3::aggregate3Call {
        calls: together.collect(),
    };
    if let Called::Returned(answers) = network.rpc.read(MULTICALL3, &question, block).await?
        && answers.len() == calls.len()
    {
        let answers = answers.iter();
        let words = answers.map(|answer| word(answer.success.then_some(&answer.returnData)?));
        return Ok(words.collect());
    }
    let asked = calls
        .iter()
        .map(|(to, data)| network.rpc.ask(*to, data.clone(), block));
    let answers = join_all(asked).await.into_iter();
    answers
        .map(|answer| {
            Ok(match answer? {
                Called::Returned(data) => word(&data),
                Called::Reverted(_) => None,
            })
        })
        .collect()
}

fn word(data: &Bytes) -> Option<U256> {
    let word = data.first_chunk::<32>()?;
    Some(U256::from_be_bytes(*word))
}
