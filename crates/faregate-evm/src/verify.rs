//! Verification of scheme `exact` with EIP-3009, in the order of specs/x402.md §2.2: the first check that fails is the
//! reason that is reported. Steps 1 and 2 are [`FacilitatorRequest::exact`](faregate_types::x402::FacilitatorRequest).
//!
//! Payers with code at their address (contract wallets, EIP-7702 delegations) are asked by EIP-1271, and only they: an
//! ECDSA signature counts for accounts without code alone, because the token sees it so.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_core::port::Away;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal, Signature65, SignatureError, Timestamp, domain_separator};

use crate::bindings::Token;
use crate::diagnose::diagnose;
use crate::limits::{SIGNATURE_BYTES_MAX, VALIDITY_LEFT_SECS};
use crate::network::Network;
use crate::node::NodeError;
use crate::recover::recover;
use crate::rpc::{CHAIN_AWAY, Called, Simulation};
use crate::wallet;

/// Why verification stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused(Refusal),
    /// The payer's code says no. It may have said yes before, to the same signature.
    Disowned(Refusal),
    Away(Away),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NodeError> for Stop {
    fn from(error: NodeError) -> Self {
        tracing::debug!(%error, "the chain did not answer a question of verification");
        Self::Away(CHAIN_AWAY)
    }
}

/// All steps after the second.
pub(crate) async fn verify(
    network: &Network,
    payment: &ExactPayment,
    now: Timestamp,
) -> Result<(), Stop> {
    parties(payment)?;
    window(payment, now)?;
    let proof = proof(network, payment)?;
    let call = if let Some(signature) = &proof.key {
        asset(network, payment).await?;
        let call = transfer(network, payment, signature);
        let (has_code, simulated) = tokio::join!(
            network.rpc.has_code(payment.payer()),
            network.rpc.simulate(&call)
        );
        if !has_code? {
            return movable(network, payment, simulated?).await;
        }
        wallet_call(network, payment, &proof).await?
    } else {
        let call = call(network, payment, &proof).await?;
        asset(network, payment).await?;
        call
    };
    movable(network, payment, network.rpc.simulate(&call).await?).await
}

/// Step 8.
async fn movable(
    network: &Network,
    payment: &ExactPayment,
    simulated: Called<()>,
) -> Result<(), Stop> {
    match simulated {
        Called::Returned(()) => Ok(()),
        Called::Reverted(reason) => Err(diagnose(&network.rpc, payment, reason.as_deref())
            .await
            .into()),
    }
}

/// Steps 3 and 4: who gets how much.
pub(crate) fn parties(payment: &ExactPayment) -> Result<(), Refusal> {
    let (terms, authorization) = (&payment.terms, &payment.payload.authorization);
    if authorization.to != terms.pay_to {
        return Err(no(payment, Code::InvalidExactEvmPayloadRecipientMismatch));
    }
    if authorization.value != terms.amount {
        return Err(no(
            payment,
            Code::InvalidExactEvmPayloadAuthorizationValueMismatch,
        ));
    }
    Ok(())
}

/// Step 5: when.
pub(crate) fn window(payment: &ExactPayment, now: Timestamp) -> Result<(), Refusal> {
    let authorization = &payment.payload.authorization;
    let now = U256::from(now.as_secs());
    // 64 bits and a little fit 256.
    if authorization.valid_before < now.saturating_add(U256::from(VALIDITY_LEFT_SECS)) {
        return Err(no(
            payment,
            Code::InvalidExactEvmPayloadAuthorizationValidBefore,
        ));
    }
    if authorization.valid_after > now {
        return Err(no(
            payment,
            Code::InvalidExactEvmPayloadAuthorizationValidAfter,
        ));
    }
    Ok(())
}

/// The payer's signature, as far as it can be judged without asking the chain.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The signature, when the payer's own key made it. Counts only while the payer has no code.
    pub(crate) key: Option<Signature65>,
    /// What a wallet at the payer's address is asked about.
    bytes: Bytes,
    digest: B256,
    /// The digest is over another domain than the token's: no signature of it can move the token.
    foreign: bool,
    /// The answer when no key made it and the payer has no code.
    codeless: Refusal,
}

/// Step 6, without the question whether the payer has code. Asks nobody.
pub(crate) fn proof(network: &Network, payment: &ExactPayment) -> Result<Proof, Refusal> {
    let bytes = &payment.payload.signature;
    let wrong = || no(payment, Code::InvalidExactEvmPayloadSignature);
    if bytes.len() > SIGNATURE_BYTES_MAX {
        return Err(wrong().detail(format!("expected at most {SIGNATURE_BYTES_MAX} bytes")));
    }
    let asset = payment.terms.asset;
    let known = network.asset(asset.token());
    let separator = match known {
        Some(known) if known.domain == payment.terms.domain => known.separator,
        Some(_) | None => domain_separator(&payment.terms.domain, asset.chain(), asset.token()),
    };
    let mut proof = Proof {
        key: None,
        bytes: bytes.clone(),
        digest: payment.payload.authorization.digest(separator),
        foreign: known.is_some_and(|known| known.domain != payment.terms.domain),
        codeless: wrong(),
    };
    match wallet::unwrap(bytes) {
        Some(Ok(wrapped)) => {
            proof.codeless = undeployed(network, payment, &wrapped);
            proof.bytes = wrapped.signature;
            return Ok(proof);
        }
        Some(Err(wallet::Malformed)) => {
            return Err(wrong().detail("the ERC-6492 wrapper is malformed"));
        }
        None => {}
    }
    match Signature65::parse(bytes) {
        Ok(signature) => {
            if recover(proof.digest, &signature) == Some(payment.payer()) {
                if proof.foreign {
                    return Err(foreign_domain(payment));
                }
                proof.key = Some(signature);
            }
        }
        // A signature that is not 65 bytes can only be a contract wallet's.
        Err(SignatureError::Length) => {
            proof.codeless = no(payment, Code::InvalidExactEvmPayloadUndeployedSmartWallet)
                .detail("expected a signature of 65 bytes from an account without code");
        }
        Err(error) => proof.codeless = wrong().detail(error.to_string()),
    }
    Ok(proof)
}

/// Why a wrapped signature of a wallet that is not deployed does not pay.
fn undeployed(network: &Network, payment: &ExactPayment, wrapped: &wallet::Wrapped) -> Refusal {
    if network.config.wallet_factories.contains(&wrapped.factory) {
        no(payment, Code::InvalidExactEvmPayloadUndeployedSmartWallet)
            .detail("the payer's wallet has to be deployed first")
    } else {
        no(payment, Code::Eip6492FactoryNotAllowed)
    }
}

/// The token would recover another signer, because its domain is another one.
fn foreign_domain(payment: &ExactPayment) -> Refusal {
    no(payment, Code::InvalidExactEvmPayloadSignature)
        .detail("the EIP-712 name or version in the requirements is not the token's")
}

/// The rest of step 6: how the payer signs now, and the transfer that goes with it.
pub(crate) async fn call(
    network: &Network,
    payment: &ExactPayment,
    proof: &Proof,
) -> Result<Simulation, Stop> {
    if network.rpc.has_code(payment.payer()).await? {
        return wallet_call(network, payment, proof).await;
    }
    match &proof.key {
        Some(signature) => Ok(transfer(network, payment, signature)),
        None => Err(proof.codeless.clone().into()),
    }
}

/// The same for a payer with code, who is asked.
pub(crate) async fn wallet_call(
    network: &Network,
    payment: &ExactPayment,
    proof: &Proof,
) -> Result<Simulation, Stop> {
    if proof.foreign {
        return Err(foreign_domain(payment).into());
    }
    if !wallet::agrees(network, payment, proof.digest, &proof.bytes).await? {
        let refusal = no(payment, Code::InvalidExactEvmPayloadSignature);
        let detail = "the payer has code, which does not confirm the signature (EIP-1271)";
        return Err(Stop::Disowned(refusal.detail(detail)));
    }
    let authorization = &payment.payload.authorization;
    let call = Token::transferWithAuthorization_1Call {
        from: authorization.from,
        to: authorization.to,
        value: authorization.value,
        validAfter: authorization.valid_after,
        validBefore: authorization.valid_before,
        nonce: authorization.nonce,
        signature: proof.bytes.clone(),
    };
    Ok(token_call(network, payment, call.abi_encode()))
}

/// Step 7. An asset on the allow-list was looked at when the facilitator started.
pub(crate) async fn asset(network: &Network, payment: &ExactPayment) -> Result<(), Stop> {
    let token = payment.terms.asset.token();
    if network.asset(token).is_some() {
        return Ok(());
    }
    let code = if network.rpc.has_code(token).await? {
        Code::AssetNotAllowed
    } else {
        Code::AssetNotDeployedContract
    };
    Err(no(payment, code).into())
}

/// The call that moves the money of an account with a key.
pub(crate) fn transfer(
    network: &Network,
    payment: &ExactPayment,
    signature: &Signature65,
) -> Simulation {
    let authorization = &payment.payload.authorization;
    let call = Token::transferWithAuthorization_0Call {
        from: authorization.from,
        to: authorization.to,
        value: authorization.value,
        validAfter: authorization.valid_after,
        validBefore: authorization.valid_before,
        nonce: authorization.nonce,
        v: signature.v,
        r: signature.r,
        s: signature.s,
    };
    token_call(network, payment, call.abi_encode())
}

fn token_call(network: &Network, payment: &ExactPayment, data: Vec<u8>) -> Simulation {
    Simulation {
        from: network.sender,
        to: payment.terms.asset.token(),
        data: data.into(),
        gas_max: network.config.gas_limit_max,
    }
}

fn no(payment: &ExactPayment, code: Code) -> Refusal {
    Refusal::new(code).payer(payment.payer())
}
