//! Every row of the verification table (specs/x402.md §2.2), on a chain, in both protocol versions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use alloy_primitives::{Bytes, U256};
use common::payment::request;
use common::proxy::{Mood, Proxy};
use common::{FAR, FUNDS, NO_CONTRACT, PRICE, Payment, World, now};
use faregate_core::port::{Away, Facilitator, Verdict};
use faregate_evm::ExactFacilitator;
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{ChainId, Code, TokenDomain};
use serde_json::{Value, json};

/// The code of a verdict; `None` for a valid payment. The payer must be named in both.
async fn verdict(facilitator: &ExactFacilitator, request: &FacilitatorRequest) -> Option<Code> {
    match facilitator.verify(request).await.unwrap() {
        Verdict::Valid { payer } => {
            assert_eq!(payer, request.exact().unwrap().payer());
            None
        }
        Verdict::Invalid(refusal) => {
            assert!(
                refusal.payer.is_some() || request.exact().is_err(),
                "{refusal:?}"
            );
            Some(refusal.code)
        }
    }
}

type Row = (&'static str, Payment, Option<Code>);

/// Rows that mean the same in both versions.
#[rustfmt::skip]
async fn rows(world: &World) -> Vec<Row> {
    let payer = world.payer().await;
    let poor = common::new_key();
    let other = world.payer().await;
    let good = world.payment(&payer);
    let bent = |bend: &dyn Fn(&mut Payment)| good.clone().with(bend);
    let at = |secs: u64| U256::from(secs);
    vec![
        ("valid", good.clone(), None),
        ("all of the balance", bent(&|p| { p.authorization.value = at(FUNDS); p.amount = FUNDS; }), None),
        ("amount 0", bent(&|p| { p.authorization.value = U256::ZERO; p.amount = 0; }), None),
        ("scheme", bent(&|p| p.scheme = "upto"), Some(Code::UnsupportedScheme)),
        ("unserved network", bent(&|p| { p.network = ChainId::BASE; p.signed_chain = ChainId::BASE; }), Some(Code::InvalidExactEvmFailedToGetNetworkConfig)),
        ("no domain", bent(&|p| p.domain = None), Some(Code::MissingEip712Domain)),
        ("recipient", bent(&|p| p.authorization.to = NO_CONTRACT), Some(Code::InvalidExactEvmPayloadRecipientMismatch)),
        ("recipient before value", bent(&|p| { p.authorization.to = NO_CONTRACT; p.amount = 1; }), Some(Code::InvalidExactEvmPayloadRecipientMismatch)),
        ("value too low", bent(&|p| p.authorization.value = at(PRICE - 1)), Some(Code::InvalidExactEvmPayloadAuthorizationValueMismatch)),
        ("value too high", bent(&|p| p.authorization.value = at(PRICE + 1)), Some(Code::InvalidExactEvmPayloadAuthorizationValueMismatch)),
        ("value before time", bent(&|p| { p.amount = 1; p.authorization.valid_before = at(1000); }), Some(Code::InvalidExactEvmPayloadAuthorizationValueMismatch)),
        ("expired", bent(&|p| p.authorization.valid_before = at(1000)), Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore)),
        ("expires in three seconds", bent(&|p| p.authorization.valid_before = at(now() + 3)), Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore)),
        ("valid for a minute", bent(&|p| p.authorization.valid_before = at(now() + 60)), None),
        ("not yet valid", bent(&|p| p.authorization.valid_after = at(FAR - 10)), Some(Code::InvalidExactEvmPayloadAuthorizationValidAfter)),
        ("expired before not yet valid", bent(&|p| { p.authorization.valid_after = at(FAR); p.authorization.valid_before = at(1); }), Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore)),
        ("expired before signature", bent(&|p| { p.authorization.valid_before = at(1000); p.signature = Some(Bytes::new()); }), Some(Code::InvalidExactEvmPayloadAuthorizationValidBefore)),
        ("times beyond 64 bits", bent(&|p| p.authorization.valid_before = U256::MAX), None),
        ("signed by somebody else", bent(&|p| p.key = other.clone()), Some(Code::InvalidExactEvmPayloadSignature)),
        ("signed for another chain", bent(&|p| p.signed_chain = ChainId::BASE), Some(Code::InvalidExactEvmPayloadSignature)),
        ("signed for another token", bent(&|p| p.signed_token = NO_CONTRACT), Some(Code::InvalidExactEvmPayloadSignature)),
        ("signed over another name", bent(&|p| p.signed_domain = TokenDomain::new("USD Coin", "2")), Some(Code::InvalidExactEvmPayloadSignature)),
        ("wrong name in the requirements and the signature", bent(&|p| { p.signed_domain = TokenDomain::new("USD Coin", "2"); p.domain = Some(p.signed_domain.clone()); }), Some(Code::InvalidExactEvmPayloadSignature)),
        ("wrong version in the requirements only", bent(&|p| p.domain = Some(TokenDomain::new("USDC", "1"))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("signature of garbage", bent(&|p| p.signature = Some(Bytes::from([7; 65]))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("signature flipped", bent(&|p| p.signature = Some(flipped(p))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("high s", bent(&|p| p.signature = Some(high_s(p))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("v 0 or 1", bent(&|p| p.signature = Some(small_v(p))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("no signature", bent(&|p| p.signature = Some(Bytes::new())), Some(Code::InvalidExactEvmPayloadUndeployedSmartWallet)),
        ("two bytes", bent(&|p| p.signature = Some(Bytes::from([0x12, 0x34]))), Some(Code::InvalidExactEvmPayloadUndeployedSmartWallet)),
        ("64 bytes", bent(&|p| p.signature = Some(p.signature().slice(..64))), Some(Code::InvalidExactEvmPayloadUndeployedSmartWallet)),
        ("66 bytes", bent(&|p| p.signature = Some([p.signature().as_ref(), &[0]].concat().into())), Some(Code::InvalidExactEvmPayloadUndeployedSmartWallet)),
        ("ERC-6492 suffix without a wrapper", bent(&|p| p.signature = Some(wrapped(p))), Some(Code::InvalidExactEvmPayloadSignature)),
        ("no contract at the asset", bent(&|p| { p.asset = NO_CONTRACT; p.signed_token = NO_CONTRACT; }), Some(Code::AssetNotDeployedContract)),
        ("an asset that is not allowed", bent(&|p| { p.asset = common::MULTICALL3; p.signed_token = common::MULTICALL3; }), Some(Code::AssetNotAllowed)),
        ("no money", world.payment(&poor), Some(Code::InvalidExactEvmInsufficientBalance)),
        ("too little money", bent(&|p| { p.authorization.value = at(FUNDS + 1); p.amount = FUNDS + 1; }), Some(Code::InvalidExactEvmInsufficientBalance)),
    ]
}

fn flipped(payment: &Payment) -> Bytes {
    let mut bytes = payment.signature().to_vec();
    bytes[10] ^= 1;
    bytes.into()
}

/// The other signature that recovers to the same key.
fn high_s(payment: &Payment) -> Bytes {
    let order: U256 = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        .parse()
        .unwrap();
    let mut bytes = payment.signature().to_vec();
    let s = order - U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
    bytes.into()
}

fn small_v(payment: &Payment) -> Bytes {
    let mut bytes = payment.signature().to_vec();
    bytes[64] -= 27;
    bytes.into()
}

fn wrapped(payment: &Payment) -> Bytes {
    [payment.signature().as_ref(), &[0x64, 0x92].repeat(16)]
        .concat()
        .into()
}

#[tokio::test]
async fn every_row_in_version_2() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    for (name, payment, expected) in rows(&world).await {
        assert_eq!(
            verdict(&facilitator, &payment.v2()).await,
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_row_in_version_1() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    for (name, payment, expected) in rows(&world).await {
        assert_eq!(
            verdict(&facilitator, &payment.v1()).await,
            expected,
            "{name}"
        );
    }
}

/// Payloads that only exist as JSON.
#[tokio::test]
async fn hostile_payloads_get_a_code() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let good = world.payment(&world.payer().await);
    let cases: [(&str, Value, Option<Code>); 9] = [
        (
            "/paymentPayload/accepted/network",
            json!("eip155:8453"),
            Some(Code::NetworkMismatch),
        ),
        (
            "/paymentPayload/accepted/scheme",
            json!("upto"),
            Some(Code::UnsupportedScheme),
        ),
        // The facilitator looks at the requirements; that the client echoed them is for the server to check.
        ("/paymentPayload/accepted/amount", json!("1"), None),
        (
            "/paymentPayload/accepted/payTo",
            json!(NO_CONTRACT.to_string()),
            None,
        ),
        (
            "/paymentPayload/payload",
            json!({}),
            Some(Code::InvalidPayload),
        ),
        (
            "/paymentPayload/payload/authorization",
            json!(null),
            Some(Code::InvalidPayload),
        ),
        (
            "/paymentPayload/payload/authorization/value",
            json!("0x2710"),
            Some(Code::InvalidPayload),
        ),
        (
            "/paymentPayload/payload/authorization/value",
            json!(10000),
            Some(Code::InvalidPayload),
        ),
        (
            "/paymentPayload/payload/authorization/nonce",
            json!(format!("0x{}", "11".repeat(31))),
            Some(Code::InvalidExactEvmPayloadSignature),
        ),
    ];
    for (pointer, value, expected) in cases {
        let mut body = good.v2_json();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            verdict(&facilitator, &request(&body)).await,
            expected,
            "{pointer}"
        );
    }
    let mut body = good.v2_json();
    let to = "/paymentPayload/payload/authorization/to";
    let lower = body.pointer(to).unwrap().as_str().unwrap().to_lowercase();
    *body.pointer_mut(to).unwrap() = json!(lower);
    assert_eq!(
        verdict(&facilitator, &request(&body)).await,
        None,
        "letter case of an address"
    );
}

#[tokio::test]
async fn spent_and_cancelled_authorizations() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let (spent, cancelled) = (world.payment(&payer), world.payment(&payer));
    world.run_ahead(&spent).await;
    world.cancel(&cancelled).await;
    for payment in [spent, cancelled] {
        let code = verdict(&facilitator, &payment.v2()).await;
        assert_eq!(code, Some(Code::InvalidExactEvmNonceAlreadyUsed));
    }
}

/// Without following the chain a verdict costs two questions. A signature that is not the payer's costs one: whether the payer has code.
#[tokio::test]
async fn bad_signatures_cost_the_node_one_question() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.config_at(&proxy.url);
    config.follow = None;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await);
    let (before, codes) = (proxy.calls("eth_call"), proxy.calls("eth_getCode"));
    let bad = payment.clone().with(|p| p.key = common::new_key());
    assert_eq!(
        verdict(&facilitator, &bad.v2()).await,
        Some(Code::InvalidExactEvmPayloadSignature)
    );
    assert_eq!(
        (
            proxy.calls("eth_call") - before,
            proxy.calls("eth_getCode") - codes,
            proxy.calls("eth_sendRawTransaction")
        ),
        (0, 1, 0)
    );
    assert_eq!(verdict(&facilitator, &payment.v2()).await, None);
    assert_eq!(proxy.calls("eth_call") - before, 1);
}

#[tokio::test]
async fn a_chain_that_is_away_is_not_a_verdict() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.config_at(&proxy.url);
    config.rpc_timeout = std::time::Duration::from_millis(300);
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await).v2();
    let away = Err(Away {
        code: Code::ChainUnavailable,
    });
    for method in ["eth_call", "eth_getCode"] {
        for mood in [
            Mood::LoseCall,
            Mood::BadGateway,
            Mood::Refuse("header not found"),
        ] {
            proxy.set(method, mood);
            assert_eq!(facilitator.verify(&payment).await, away, "{method}");
            proxy.calm();
        }
    }
    drop(proxy);
    assert_eq!(
        facilitator.verify(&payment).await,
        away,
        "connection refused"
    );
    assert_eq!(
        facilitator.ping().await,
        Err(Away {
            code: Code::ChainUnavailable
        })
    );
}

/// A token that reverts without words is asked what is wrong.
#[tokio::test]
async fn reverts_without_words_are_diagnosed() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.config_at(&proxy.url);
    config.follow = None;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payer = world.payer().await;
    let spent = world.payment(&payer);
    world.run_ahead(&spent).await;
    let rich = world.payment(&payer);
    let poor = world.payment(&common::new_key());
    let cases = [
        (spent, Code::InvalidExactEvmNonceAlreadyUsed),
        (poor, Code::InvalidExactEvmInsufficientBalance),
        (rich, Code::InvalidExactEvmTransactionSimulationFailed),
    ];
    for (payment, expected) in cases {
        proxy.set("eth_call", Mood::RefuseOnce("execution reverted"));
        assert_eq!(verdict(&facilitator, &payment.v2()).await, Some(expected));
    }
    proxy.set("eth_call", Mood::Refuse("execution reverted"));
    let payment = world.payment(&payer);
    let expected = Some(Code::InvalidExactEvmTransactionSimulationFailed);
    assert_eq!(
        verdict(&facilitator, &payment.v2()).await,
        expected,
        "no Multicall3 either"
    );
}
