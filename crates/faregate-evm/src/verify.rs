//! Verification of scheme `exact` with EIP-3009, in the order of specs/x402.md §2.2: the first check that fails is the
//! reason that is reported. Steps 1 and 2 are [`FacilitatorRequest::exact`](faregate_types::x402::FacilitatorRequest).
//!
//! Payers with code at their address (contract wallets, EIP-7702 delegations) are refused with the signature code for
//! now: their signatures are checked by calling them (EIP-1271), and that comes with a later change. The token would
//! refuse a plain ECDSA signature of such an account too, so nothing is refused here that could settle.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_core::port::Away;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal, Signature65, SignatureError, Timestamp, domain_separator};

use crate::bindings::Token;
use crate::diagnose::diagnose;
use crate::limits::VALIDITY_LEFT_SECS;
use crate::network::Network;
use crate::node::NodeError;
use crate::recover::Recovery;
use crate::rpc::{CHAIN_AWAY, Called, Simulation};

/// Why verification stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused(Refusal),
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
    recovery: &Recovery,
    payment: &ExactPayment,
    now: Timestamp,
) -> Result<(), Stop> {
    parties(payment)?;
    window(payment, now)?;
    let signature = signature(network, recovery, payment).await?;
    asset(network, payment).await?;
    let call = transfer(network, payment, &signature);
    let (payer_has_code, simulated) = tokio::join!(
        network.rpc.has_code(payment.payer()),
        network.rpc.simulate(&call)
    );
    plain_account(payment, payer_has_code?)?;
    match simulated? {
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

/// Step 6, without the question whether the payer has code.
pub(crate) async fn signature(
    network: &Network,
    recovery: &Recovery,
    payment: &ExactPayment,
) -> Result<Signature65, Stop> {
    let bytes = &payment.payload.signature;
    let wrong = || no(payment, Code::InvalidExactEvmPayloadSignature);
    let signature = match Signature65::parse(bytes) {
        Ok(signature) => signature,
        Err(SignatureError::Length) => return Err(other_length(network, payment).await),
        Err(error) => return Err(wrong().detail(error.to_string()).into()),
    };
    let asset = payment.terms.asset;
    let known = network.asset(asset.token());
    let separator = match known {
        Some(known) if known.domain == payment.terms.domain => known.separator,
        Some(_) | None => domain_separator(&payment.terms.domain, asset.chain(), asset.token()),
    };
    let digest = payment.payload.authorization.digest(separator);
    if recovery.recover(digest, signature).await != Some(payment.payer()) {
        return Err(wrong().into());
    }
    // The token would recover another signer, because its domain is another one.
    if known.is_some_and(|known| known.domain != payment.terms.domain) {
        let detail = "the EIP-712 name or version in the requirements is not the token's";
        return Err(wrong().detail(detail).into());
    }
    Ok(signature)
}

/// A signature that is not 65 bytes can only be a contract wallet's.
async fn other_length(network: &Network, payment: &ExactPayment) -> Stop {
    if is_erc6492(&payment.payload.signature) {
        // The list of allowed factories is empty.
        return no(payment, Code::Eip6492FactoryNotAllowed).into();
    }
    match network.rpc.has_code(payment.payer()).await {
        Ok(true) => contract_wallet(payment).into(),
        Ok(false) => {
            let refusal = no(payment, Code::InvalidExactEvmPayloadUndeployedSmartWallet);
            refusal
                .detail("expected a signature of 65 bytes from an account without code")
                .into()
        }
        Err(error) => error.into(),
    }
}

/// ERC-6492: the wrapper of signatures of wallets that do not exist yet ends with 32 bytes `0x6492…`.
fn is_erc6492(signature: &Bytes) -> bool {
    signature
        .last_chunk::<32>()
        .is_some_and(|end| end.chunks_exact(2).all(|pair| pair == [0x64, 0x92]))
}

/// The rest of step 6.
pub(crate) fn plain_account(payment: &ExactPayment, has_code: bool) -> Result<(), Refusal> {
    if has_code {
        Err(contract_wallet(payment))
    } else {
        Ok(())
    }
}

fn contract_wallet(payment: &ExactPayment) -> Refusal {
    let detail = "the payer has code; contract wallets are not supported yet";
    no(payment, Code::InvalidExactEvmPayloadSignature).detail(detail)
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

/// The call that moves the money.
pub(crate) fn transfer(
    network: &Network,
    payment: &ExactPayment,
    signature: &Signature65,
) -> Simulation {
    let authorization = &payment.payload.authorization;
    let call = Token::transferWithAuthorizationCall {
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
    Simulation {
        from: network.sender,
        to: payment.terms.asset.token(),
        data: call.abi_encode().into(),
        gas_max: network.config.gas_limit_max,
    }
}

fn no(payment: &ExactPayment, code: Code) -> Refusal {
    Refusal::new(code).payer(payment.payer())
}
