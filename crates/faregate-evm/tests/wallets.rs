//! Payers with code: contract wallets (EIP-1271), delegated accounts (EIP-7702), wrapped signatures (ERC-6492).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use common::proxy::{Mood, Proxy};
use common::{FUNDS, Notes, PRICE, Payment, World, failed, new_key, settle, settled, transaction};
use faregate_core::port::access::ContractWallets as _;
use faregate_core::port::{Facilitator, Verdict};
use faregate_evm::{ExactFacilitator, LocalSigner, WalletReader};
use faregate_types::Code;
use serde_json::{Value, json};

const FACTORY: Address = address!("0x00000000000000000000000000000000fac70123");

/// Assembler of a wallet that recovers the signer of the call's first word from the 65 bytes that follow, and confirms
/// if it is the owner:
///
/// ```text
/// mem[0x00] = calldata[0x04]                 hash
/// mem[0x20] = byte 0 of calldata[0xa4]       v
/// mem[0x40] = calldata[0x64]                 r
/// mem[0x60] = calldata[0x84]                 s
/// staticcall(gas, 1, 0, 0x80, 0x80, 0x20)    ecrecover
/// mem[0] = (mem[0x80] == owner) * (0x1626ba7e << 224)
/// return(0, 0x20)
/// ```
fn recovering(push_owner: &str) -> Bytes {
    let code = [
        "600435600052",
        "60a43560001a602052",
        "606435604052",
        "608435606052",
        "602060806080600060015afa50",
        "608051",
        push_owner,
        "14",
        "631626ba7e60e01b02",
        "60005260206000f3",
    ];
    code.concat().parse().unwrap()
}

fn owned_by(owner: Address) -> Bytes {
    recovering(&format!("73{}", alloy_primitives::hex::encode(owner)))
}

/// ADDRESS: behind a delegation, the account itself.
fn owned_by_itself() -> Bytes {
    recovering("30")
}

/// return 0x1626ba7e << 224, whatever is asked.
const CONFIRMS: &str = "631626ba7e60e01b60005260206000f3";
/// revert(0, 0)
const REVERTS: &str = "60006000fd";

fn delegated_to(implementation: Address) -> Bytes {
    [&[0xef, 0x01, 0x00], implementation.as_slice()]
        .concat()
        .into()
}

/// A contract with this code and money.
async fn wallet(world: &World, code: &str) -> Address {
    let at = new_key().address();
    world.mint(at, FUNDS).await;
    world.place(at, code.parse().unwrap()).await;
    at
}

/// A contract with money that belongs to a key.
async fn owned(world: &World) -> (Address, LocalSigner) {
    let owner = new_key();
    let at = wallet(world, &owned_by(owner.address()).to_string()).await;
    (at, owner)
}

fn from(world: &World, wallet: Address, owner: &LocalSigner) -> Payment {
    world.payment(owner).with(|p| p.authorization.from = wallet)
}

fn wrapped(factory: Address, inner: &Bytes) -> Bytes {
    let parts = (factory, Bytes::from_static(&[0xde, 0xad]), inner.clone());
    [parts.abi_encode_params(), [0x64, 0x92].repeat(16)]
        .concat()
        .into()
}

async fn verdict(facilitator: &ExactFacilitator, payment: &Payment) -> Option<Code> {
    match facilitator.verify(&payment.v2()).await.unwrap() {
        Verdict::Valid { payer } => {
            assert_eq!(payer, payment.authorization.from);
            None
        }
        Verdict::Invalid(refusal) => Some(refusal.code),
    }
}

/// Refused with the same code when verified and when settled, and nothing is sent.
async fn assert_refused(facilitator: &ExactFacilitator, payment: &Payment, code: Code, name: &str) {
    assert_eq!(verdict(facilitator, payment).await, Some(code), "{name}");
    let notes = Notes::default();
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(failed(&outcome), code, "{name}");
    assert!(notes.take().is_empty(), "{name}");
}

/// The function that a settlement called.
async fn selector(world: &World, hash: &str) -> String {
    let transaction: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    transaction["input"].as_str().unwrap()[..10].to_owned()
}

#[tokio::test]
async fn a_wallet_pays_when_its_owner_signs() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let (wallet, owner) = owned(&world).await;
    let payment = from(&world, wallet, &owner);
    assert_eq!(verdict(&facilitator, &payment).await, None);
    let first = settle(&facilitator, &payment).await;
    assert_eq!(settled(&first).payer, Some(wallet));
    assert_eq!(world.balance(wallet).await, U256::from(FUNDS - PRICE));
    assert_eq!(selector(&world, &transaction(&first)).await, "0xcf092995");
    // A process that remembers nothing finds it on the chain, sent by us or not.
    let stranger = world.facilitator().await;
    assert_eq!(settle(&stranger, &payment).await, first);
    let hash = transaction(&first);
    let resolved = stranger.resolve(&payment.v2(), Some(&hash)).await;
    assert_eq!(resolved, first);
}

#[tokio::test]
async fn signatures_of_any_length_are_for_the_wallet_to_judge() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let wallet = wallet(&world, CONFIRMS).await;
    for length in [0, 1, 31, 64, 65, 66, 97, 1000, 4096] {
        let signature = Bytes::from(vec![0x5a; length]);
        let payment = from(&world, wallet, &new_key()).with(|p| p.signature = Some(signature));
        assert_eq!(verdict(&facilitator, &payment).await, None, "{length}");
        let outcome = settle(&facilitator, &payment).await;
        assert_eq!(
            selector(&world, &transaction(&outcome)).await,
            "0xcf092995",
            "{length}"
        );
    }
    let long = Bytes::from(vec![0x5a; 4097]);
    let payment = from(&world, wallet, &new_key()).with(|p| p.signature = Some(long));
    assert_refused(
        &facilitator,
        &payment,
        Code::InvalidExactEvmPayloadSignature,
        "4097",
    )
    .await;
}

#[tokio::test]
async fn wallets_that_do_not_confirm() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let ones = format!("7f{}60005260206000f3", "ff".repeat(32));
    for (name, code) in [
        ("reverts", REVERTS),
        ("stops without an answer", "00"),
        ("answers one byte", "60ff60005360016000f3"),
        ("answers true", "600160005260206000f3"),
        (
            "answers the value at the wrong end",
            "631626ba7e60005260206000f3",
        ),
        (
            "answers only four bytes",
            "631626ba7e60e01b60005260046000f3",
        ),
        ("answers all ones", &ones),
        ("runs until the gas is gone", "5b600056"),
        ("has an invalid instruction", "fe"),
        ("pops from nothing", "50"),
    ] {
        let wallet = wallet(&world, code).await;
        for length in [65, 70] {
            let signature = Bytes::from(vec![1; length]);
            let payment = from(&world, wallet, &new_key()).with(|p| p.signature = Some(signature));
            assert_refused(
                &facilitator,
                &payment,
                Code::InvalidExactEvmPayloadSignature,
                name,
            )
            .await;
        }
    }
    let (wallet, _) = owned(&world).await;
    let payment = from(&world, wallet, &new_key());
    assert_refused(
        &facilitator,
        &payment,
        Code::InvalidExactEvmPayloadSignature,
        "wrong owner",
    )
    .await;
}

/// As the token: a key's signature counts for accounts without code only.
#[tokio::test]
async fn delegated_accounts_are_asked_and_their_key_is_not_enough() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let payment = world.payment(&payer);
    assert_eq!(verdict(&facilitator, &payment).await, None, "before");
    let (refuses, confirms) = (new_key().address(), new_key().address());
    world.place(refuses, REVERTS.parse().unwrap()).await;
    world.place(confirms, owned_by_itself()).await;
    world.place(payer.address(), delegated_to(refuses)).await;
    let code = Code::InvalidExactEvmPayloadSignature;
    assert_refused(&facilitator, &payment, code, "to code without EIP-1271").await;
    world.place(payer.address(), delegated_to(confirms)).await;
    assert_eq!(verdict(&facilitator, &payment).await, None, "to a wallet");
    let first = settle(&facilitator, &payment).await;
    assert_eq!(selector(&world, &transaction(&first)).await, "0xcf092995");
    // What moved has moved, whoever the account is delegated to by now.
    world.place(payer.address(), delegated_to(refuses)).await;
    assert_eq!(settle(&world.facilitator().await, &payment).await, first);
    // Whoever makes up another signature is not told.
    let forged = payment.clone().with(|p| p.signature = Some([7; 65].into()));
    assert_eq!(failed(&settle(&facilitator, &forged).await), code);
}

#[tokio::test]
async fn problem_07_a_delegation_that_changes_between_verification_and_settlement() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let (refuses, confirms) = (new_key().address(), new_key().address());
    world.place(refuses, REVERTS.parse().unwrap()).await;
    world.place(confirms, owned_by_itself()).await;
    let code = Code::InvalidExactEvmPayloadSignature;
    for (name, before) in [
        ("none before", Bytes::new()),
        ("another before", delegated_to(confirms)),
    ] {
        let payer = world.payer().await;
        world.place(payer.address(), before).await;
        let payment = world.payment(&payer);
        assert_eq!(verdict(&facilitator, &payment).await, None, "{name}");
        world.place(payer.address(), delegated_to(refuses)).await;
        assert_refused(&facilitator, &payment, code, name).await;
    }
    // It is given up: the key signs again.
    let payer = world.payer().await;
    world.place(payer.address(), delegated_to(confirms)).await;
    let payment = world.payment(&payer);
    assert_eq!(verdict(&facilitator, &payment).await, None);
    world.place(payer.address(), Bytes::new()).await;
    let outcome = settle(&facilitator, &payment).await;
    assert_eq!(selector(&world, &transaction(&outcome)).await, "0xe3ee160e");
}

/// The last question before sending is the transfer itself.
#[tokio::test]
async fn a_delegation_that_changes_while_it_is_settled() {
    let world = Arc::new(World::start().await);
    let proxy = Proxy::start(&world.url).await;
    let facilitator = world
        .connect(world.config_at(&proxy.url), world.gas_payer().await)
        .await;
    let refuses = new_key().address();
    world.place(refuses, REVERTS.parse().unwrap()).await;
    let payer = world.payer().await.address();
    world.place(payer, CONFIRMS.parse().unwrap()).await;
    let (shared, code) = (Arc::clone(&world), delegated_to(refuses));
    proxy.set(
        "eth_estimateGas",
        Mood::First(Arc::new(move || {
            let (world, code) = (Arc::clone(&shared), code.clone());
            Box::pin(async move { world.place(payer, code).await })
        })),
    );
    let confirmed = from(&world, payer, &new_key());
    assert_eq!(verdict(&facilitator, &confirmed).await, None);
    let outcome = settle(&facilitator, &confirmed).await;
    assert_eq!(failed(&outcome), Code::InvalidExactEvmPayloadSignature);
    assert_eq!(proxy.calls("eth_sendRawTransaction"), 0);
}

#[tokio::test]
async fn wrapped_signatures() {
    let world = World::start().await;
    let mut config = world.config();
    config.wallet_factories = vec![FACTORY];
    let allowing = world.connect(config, world.gas_payer().await).await;
    let denying = world.facilitator().await;
    let wrap = |payment: &Payment, factory| {
        let signature = wrapped(factory, &payment.signature());
        payment.clone().with(|p| p.signature = Some(signature))
    };
    let (wallet, owner) = owned(&world).await;
    // Deployed already: the factory does not matter.
    let payment = wrap(&from(&world, wallet, &owner), FACTORY);
    assert_eq!(verdict(&denying, &payment).await, None);
    let outcome = settle(&denying, &payment).await;
    assert_eq!(selector(&world, &transaction(&outcome)).await, "0xcf092995");
    let forged = wrap(&from(&world, wallet, &new_key()), FACTORY);
    let wrong = Code::InvalidExactEvmPayloadSignature;
    assert_refused(&allowing, &forged, wrong, "wrong owner inside").await;
    // Not deployed.
    let absent = wrap(&world.payment(&world.payer().await), FACTORY);
    let not_allowed = Code::Eip6492FactoryNotAllowed;
    assert_refused(&denying, &absent, not_allowed, "empty list").await;
    let other = wrap(&world.payment(&world.payer().await), wallet);
    assert_refused(&allowing, &other, not_allowed, "another factory").await;
    let undeployed = Code::InvalidExactEvmPayloadUndeployedSmartWallet;
    assert_refused(&allowing, &absent, undeployed, "allowed").await;
    // No wrapper, for a wallet that would confirm anything.
    let careless = new_key().address();
    world.mint(careless, FUNDS).await;
    world.place(careless, CONFIRMS.parse().unwrap()).await;
    let bent = from(&world, careless, &owner).with(|p| {
        let mut bytes = wrapped(FACTORY, &p.signature()).to_vec();
        bytes[63] ^= 0x20;
        p.signature = Some(bytes.into());
    });
    assert_refused(&allowing, &bent, wrong, "malformed").await;
}

#[tokio::test]
async fn a_wallet_that_needs_more_gas_than_allowed_is_refused() {
    let world = World::start().await;
    let mut config = world.config();
    config.gas_limit_max = 60_000;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    // Counts 3000 rounds down, 26 gas each, and confirms.
    let slow = format!("610bb85b600190038060035750{CONFIRMS}");
    let at = wallet(&world, &slow).await;
    let signature = Bytes::from_static(&[1; 65]);
    let payment = from(&world, at, &new_key()).with(|p| p.signature = Some(signature));
    let code = Code::InvalidExactEvmPayloadSignature;
    assert_refused(&facilitator, &payment, code, "capped").await;
    assert_eq!(
        verdict(&world.facilitator().await, &payment).await,
        None,
        "with the usual cap"
    );
}

/// What is no payment, e.g. signing in: the wallet's word is asked for, whoever's it is, and nobody's word is a no.
#[tokio::test]
async fn a_wallet_says_what_it_signed() {
    let world = World::start().await;
    let endpoint = world.config().endpoint;
    let reader = WalletReader::new(&endpoint, Duration::from_secs(10)).unwrap();
    let digest = keccak256("somebody signs in");
    let (contract, owner) = owned(&world).await;
    let by = |signer: &LocalSigner| signer.sign_now(digest).unwrap().to_bytes().to_vec();
    let good = by(&owner);
    let asks = |wallet, digest, signature: Vec<u8>| {
        let reader = &reader;
        async move { reader.signed(wallet, digest, &signature).await }
    };
    assert_eq!(asks(contract, digest, good.clone()).await, Ok(true));
    // Wallets wrap what they sign before they exist, and some go on with it.
    let inside = wrapped(FACTORY, &good.clone().into());
    assert_eq!(asks(contract, digest, inside.to_vec()).await, Ok(true));
    assert_eq!(
        asks(contract, keccak256("else"), good.clone()).await,
        Ok(false)
    );
    assert_eq!(asks(contract, digest, by(&new_key())).await, Ok(false));
    assert_eq!(asks(contract, digest, vec![]).await, Ok(false));
    for (code, said) in [(CONFIRMS, true), (REVERTS, false), ("00", false)] {
        let other = wallet(&world, code).await;
        assert_eq!(asks(other, digest, good.clone()).await, Ok(said), "{code}");
    }
    // An account without code, and one that is no contract but computes: the identity.
    for nobody in [owner.address(), Address::with_last_byte(4)] {
        assert_eq!(asks(nobody, digest, good.clone()).await, Ok(false));
    }
    // Nobody could say: neither yes nor no.
    let proxy = Proxy::start(&world.url).await;
    let endpoint = world.config_at(&proxy.url).endpoint;
    let reader = WalletReader::new(&endpoint, Duration::from_secs(2)).unwrap();
    for (method, mood) in [
        ("eth_getCode", Mood::BadGateway),
        ("eth_call", Mood::LoseAnswer),
        ("eth_call", Mood::Refuse("slow down")),
    ] {
        proxy.calm();
        proxy.set(method, mood);
        let away = reader.signed(contract, digest, &good).await.unwrap_err();
        assert_eq!(away.code, Code::ChainUnavailable, "{method}");
    }
    proxy.calm();
    assert_eq!(reader.signed(contract, digest, &good).await, Ok(true));
}
