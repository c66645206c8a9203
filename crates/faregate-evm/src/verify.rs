//! Verification of scheme `exact` with EIP-3009, in the order of specs/x402.md §2.2: the first check that fails is the
//! reason that is reported. Steps 1 and 2 are [`FacilitatorRequest::exact`](faregate_types::x402::FacilitatorRequest).
//!
//! Payers with code at their address (contract wallets, EIP-7702 delegations) are asked by EIP-1271, and only they: an
//! ECDSA signature counts for accounts without code alone, because the token sees it so.
//!
//! A payment signed by a key is accepted without a question when what is known of the chain suffices (see `follow`).
//! Everything else, every refusal included, is decided by asking.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_core::port::Away;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal, Signature65, SignatureError, Timestamp, domain_separator};
use tokio::time::Instant;

use crate::bindings::Token;
use crate::diagnose::diagnose;
use crate::follow::{Block, Doubt, Gaps, Known, Question, Read};
use crate::limits::{SIGNATURE_BYTES_MAX, VALIDITY_LEFT_SECS};
use crate::network::Network;
use crate::node::NodeError;
use crate::probe::probe;
use crate::recover::recover;
use crate::rpc::{CHAIN_AWAY, Called, Simulation};
use crate::wallet::{self, Deployment};

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

/// How a verdict came about; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From what is known of the chain.
    Known,
    /// What the payer says is wrong in itself.
    Refused,
    /// Asked: nothing follows this network.
    Off,
    /// Asked: the network is not followed closely enough at the moment.
    Lag,
    /// Asked: payer, payee or authorization were not known yet.
    Unknown,
    /// Asked: a wallet signed, or nobody.
    Wallet,
    /// Asked: the asset is not on the allow-list.
    Asset,
    /// Asked: what is known speaks against it.
    Doubt(Doubt),
}

impl Way {
    /// Whether the node was asked, and why.
    pub(crate) const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Known => ("local", "known"),
            Self::Refused => ("local", "refused"),
            Self::Off => ("rpc", "off"),
            Self::Lag => ("rpc", "lag"),
            Self::Unknown => ("rpc", "unknown"),
            Self::Wallet | Self::Doubt(Doubt::Code) => ("rpc", "wallet"),
            Self::Asset => ("rpc", "asset"),
            Self::Doubt(Doubt::Spent) => ("rpc", "spent"),
            Self::Doubt(Doubt::Funds) => ("rpc", "funds"),
            Self::Doubt(Doubt::Held) => ("rpc", "held"),
        }
    }
}

/// What has to be asked, and can be learned by it.
struct Inquiry {
    proof: Proof,
    way: Way,
    question: Question,
    /// What is not known as of which block.
    gaps: Option<(Gaps, Block)>,
}

/// All steps after the second. Says also how it was decided.
pub(crate) async fn verify(
    network: &Network,
    payment: &ExactPayment,
    now: Timestamp,
) -> (Way, Result<(), Stop>) {
    match locally(network, payment, now) {
        Ok(None) => (Way::Known, Ok(())),
        Ok(Some(inquiry)) => {
            let asked = Box::pin(ask(network, payment, &inquiry)).await;
            (inquiry.way, asked)
        }
        Err(refusal) => (Way::Refused, Err(refusal.into())),
    }
}

/// Everything that needs no question. `None`: it is a payment.
fn locally(
    network: &Network,
    payment: &ExactPayment,
    now: Timestamp,
) -> Result<Option<Inquiry>, Refusal> {
    parties(payment)?;
    window(payment, now)?;
    let proof = proof(network, payment)?;
    let authorization = &payment.payload.authorization;
    let question = Question {
        token: payment.terms.asset.token(),
        payer: authorization.from,
        payee: authorization.to,
        nonce: authorization.nonce,
        value: authorization.value,
        valid_after: authorization.valid_after,
    };
    let (way, gaps) = if proof.key.is_none() {
        (Way::Wallet, None)
    } else if network.asset(question.token).is_none() {
        (Way::Asset, None)
    } else {
        match network.follower.as_ref().map(|it| it.judge(&question)) {
            Some(Some((Known::Payable, _))) => return Ok(None),
            Some(Some((Known::Missing(gaps), tip))) => (Way::Unknown, Some((gaps, tip))),
            Some(Some((Known::Doubtful(doubt), _))) => (Way::Doubt(doubt), None),
            Some(None) => (Way::Lag, None),
            None => (Way::Off, None),
        }
    };
    Ok(Some(Inquiry {
        proof,
        way,
        question,
        gaps,
    }))
}

/// The steps that need the chain.
async fn ask(network: &Network, payment: &ExactPayment, inquiry: &Inquiry) -> Result<(), Stop> {
    let proof = &inquiry.proof;
    let Some(signature) = &proof.key else {
        let means = means(network, payment, proof).await?;
        asset(network, payment).await?;
        return match means {
            Means::Transfer(call) => {
                movable(network, payment, network.rpc.simulate(&call).await?).await
            }
            Means::Deployment(deployment) => probe(network, payment, proof, deployment).await,
        };
    };
    asset(network, payment).await?;
    let call = transfer(network, payment, signature);
    let at = Instant::now();
    let (has_code, simulated, read) = tokio::join!(
        network.rpc.has_code(payment.payer()),
        network.rpc.simulate(&call),
        fill(network, inquiry),
    );
    let (has_code, simulated) = (has_code?, simulated?);
    if let (Some(follower), Some((tip, balance, unspent))) = (&network.follower, read) {
        let read = Read {
            tip,
            at,
            moves: matches!(simulated, Called::Returned(())),
            has_code,
            balance,
            unspent,
        };
        follower.learn(&inquiry.question, &read);
    }
    if has_code {
        let call = wallet_call(network, payment, proof).await?;
        return movable(network, payment, network.rpc.simulate(&call).await?).await;
    }
    movable(network, payment, simulated).await?;
    if inquiry.way == Way::Doubt(Doubt::Held) {
        return affordable(network, payment, &inquiry.question).await;
    }
    Ok(())
}

/// Reads what is not known, as of the block that everything else is known of. What cannot be read stays unknown.
async fn fill(network: &Network, inquiry: &Inquiry) -> Option<(Block, Option<U256>, bool)> {
    let (gaps, tip) = inquiry.gaps?;
    let question = &inquiry.question;
    let balance = async {
        let account = question.payer;
        let call = Token::balanceOfCall { account };
        let read = network.rpc.read_at(question.token, &call, tip.hash);
        match gaps.account.then_some(read)?.await {
            Ok(Called::Returned(balance)) => Some(balance),
            Ok(Called::Reverted(_)) | Err(_) => None,
        }
    };
    let unspent = async {
        let call = Token::authorizationStateCall {
            authorizer: question.payer,
            nonce: question.nonce,
        };
        let read = network.rpc.read_at(question.token, &call, tip.hash);
        match gaps.nonce.then_some(read) {
            Some(read) => matches!(read.await, Ok(Called::Returned(false))),
            None => false,
        }
    };
    let (balance, unspent) = tokio::join!(balance, unspent);
    Some((tip, balance, unspent))
}

/// Whether the payer has the money beside what this process is moving for them already, which the chain does not show.
async fn affordable(
    network: &Network,
    payment: &ExactPayment,
    question: &Question,
) -> Result<(), Stop> {
    let Some(follower) = &network.follower else {
        return Ok(());
    };
    let account = question.payer;
    let call = Token::balanceOfCall { account };
    let held = follower.held(question);
    match network.rpc.read(question.token, &call, None).await? {
        Called::Returned(balance) if balance.saturating_sub(held) < question.value => {
            let refusal = no(payment, Code::InvalidExactEvmInsufficientBalance);
            let detail = "the balance is needed for other payments that are being settled";
            Err(refusal.detail(detail).into())
        }
        Called::Returned(_) | Called::Reverted(_) => Ok(()),
    }
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
    pub(crate) bytes: Bytes,
    digest: B256,
    /// The digest is over another domain than the token's: no signature of it can move the token.
    foreign: bool,
    /// How a payer gets code who has none yet.
    deployment: Option<Deployment>,
    /// The answer when no key made it, the payer has no code and will not get any.
    codeless: Refusal,
}

/// How a payment moves.
#[derive(Debug)]
pub(crate) enum Means<'p> {
    /// By this call.
    Transfer(Simulation),
    /// By a wallet that has to be deployed first.
    Deployment(&'p Deployment),
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
        deployment: None,
        codeless: wrong(),
    };
    match wallet::unwrap(bytes) {
        Some(Ok(wrapped)) => {
            proof.bytes = wrapped.signature;
            if network.config.wallet_factories.contains(&wrapped.factory) {
                proof.deployment = Some(Deployment {
                    factory: wrapped.factory,
                    data: wrapped.factory_data,
                });
            } else {
                proof.codeless = no(payment, Code::Eip6492FactoryNotAllowed);
            }
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

/// The token would recover another signer, because its domain is another one.
fn foreign_domain(payment: &ExactPayment) -> Refusal {
    no(payment, Code::InvalidExactEvmPayloadSignature)
        .detail("the EIP-712 name or version in the requirements is not the token's")
}

/// The rest of step 6: how the payer signs now, and what goes with it. A wallet that is not deployed is not asked yet.
pub(crate) async fn means<'p>(
    network: &Network,
    payment: &ExactPayment,
    proof: &'p Proof,
) -> Result<Means<'p>, Stop> {
    if network.rpc.has_code(payment.payer()).await? {
        let call = wallet_call(network, payment, proof).await?;
        return Ok(Means::Transfer(call));
    }
    match (&proof.key, &proof.deployment) {
        (Some(signature), _) => Ok(Means::Transfer(transfer(network, payment, signature))),
        (None, Some(_)) if proof.foreign => Err(foreign_domain(payment).into()),
        (None, Some(deployment)) => Ok(Means::Deployment(deployment)),
        (None, None) => Err(proof.codeless.clone().into()),
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
    Ok(wallet_transfer(network, payment, proof))
}

/// The call that moves the money of a contract wallet.
pub(crate) fn wallet_transfer(
    network: &Network,
    payment: &ExactPayment,
    proof: &Proof,
) -> Simulation {
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
    token_call(network, payment, call.abi_encode())
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
        value: U256::ZERO,
        data: data.into(),
        gas_max: network.config.gas_limit_max,
    }
}

fn no(payment: &ExactPayment, code: Code) -> Refusal {
    Refusal::new(code).payer(payment.payer())
}
