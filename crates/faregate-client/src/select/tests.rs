use faregate_types::{TokenDomain, U256};
use serde_json::{Value, json};

use super::*;
use crate::limits::{PER_PAYMENT_DEFAULT, VALIDITY_SECS_MAX};
use crate::offer;

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

fn v2() -> Value {
    json!({"scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": USDC, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}})
}

fn v1() -> Value {
    json!({"scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000", "asset": USDC, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}, "resource": "https://a.example/x",
        "description": "", "mimeType": ""})
}

fn offers(version: Version, accepts: &[Value]) -> Offers {
    match version {
        Version::V1 => {
            let body = json!({"x402Version": 1, "accepts": accepts});
            offer::from_body(body.to_string().as_bytes()).unwrap()
        }
        Version::V2 => {
            let required = json!({"x402Version": 2, "accepts": accepts});
            let value = faregate_types::x402::header::encode(&required);
            let headers = [("payment-required".parse().unwrap(), value.parse().unwrap())];
            offer::from_headers(&headers.into_iter().collect()).unwrap()
        }
    }
}

fn judge(version: Version, accepts: &[Value]) -> Vec<Considered> {
    let assets = AssetRegistry::builtin();
    let chains = Chains::default();
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: PER_PAYMENT_DEFAULT,
        validity_secs_max: VALIDITY_SECS_MAX,
    };
    consider(&offers(version, accepts), &rules)
}

fn code(version: Version, offer: &Value) -> Option<Code> {
    let considered = judge(version, std::slice::from_ref(offer));
    considered[0]
        .verdict
        .as_ref()
        .err()
        .map(|refusal| refusal.code)
}

/// `base` with one member replaced, or taken away where the new value is null.
fn with(base: Value, path: &str, value: &Value) -> Value {
    let mut offer = base;
    let (parent, key) = path.rsplit_once('/').unwrap();
    let object = offer.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        object.remove(key);
    } else {
        object.insert(key.to_owned(), value.clone());
    }
    offer
}

#[test]
fn a_good_offer_is_priced_by_our_own_table() {
    for (version, offer) in [(Version::V2, v2()), (Version::V1, v1())] {
        let considered = judge(version, &[offer]);
        let (index, price) = first(&considered).unwrap();
        assert_eq!((index, price.validity_secs), (0, 60));
        assert_eq!(price.amount.value(), U256::from(10_000));
        assert_eq!(price.asset.domain, TokenDomain::new("USDC", "2"));
        assert_eq!(price.payee.to_string(), PAYEE);
        let cent = U256::from(10_000_000_000_000_000_u64);
        assert_eq!(price.worth, Worth::new(cent));
    }
}

#[test]
fn hostile_members_are_refused_with_their_reason() {
    use Code::{
        AssetUnknown, DomainMismatch, InvalidNetwork, MalformedOffer, MissingEip712Domain,
        NetworkNotAllowed, OverPaymentCap, UnsupportedScheme, ValidityTooLong,
    };
    let both = |path: &str| {
        [
            (Version::V2, v2(), path.to_owned()),
            (Version::V1, v1(), path.to_owned()),
        ]
    };
    let amount = || {
        let v1_path = "/maxAmountRequired".to_owned();
        [
            (Version::V2, v2(), "/amount".to_owned()),
            (Version::V1, v1(), v1_path),
        ]
    };
    let table = [
        (amount(), json!("100000"), None),
        (amount(), json!("100001"), Some(OverPaymentCap)),
        (amount(), json!("999999999999999999"), Some(OverPaymentCap)),
        (amount(), json!("0"), Some(MalformedOffer)),
        (amount(), json!(10_000), Some(MalformedOffer)),
        (amount(), json!("-1"), Some(MalformedOffer)),
        (amount(), json!("+1"), Some(MalformedOffer)),
        (amount(), json!("0x2710"), Some(MalformedOffer)),
        (amount(), json!("1e4"), Some(MalformedOffer)),
        (amount(), json!("10.5"), Some(MalformedOffer)),
        (amount(), json!("010"), Some(MalformedOffer)),
        (amount(), json!(" 1"), Some(MalformedOffer)),
        (amount(), json!(""), Some(MalformedOffer)),
        (amount(), Value::Null, Some(MalformedOffer)),
        (both("/scheme"), json!("upto"), Some(UnsupportedScheme)),
        (both("/scheme"), json!("Exact"), Some(UnsupportedScheme)),
        (both("/extra/paymentFlow"), json!("upfront"), None),
        (both("/extra/paymentFlow"), json!("authorization"), None),
        (
            both("/extra/paymentFlow"),
            json!("escrow"),
            Some(UnsupportedScheme),
        ),
        (
            both("/extra/paymentFlow"),
            json!(7),
            Some(UnsupportedScheme),
        ),
        (both("/extra/assetTransferMethod"), json!("eip3009"), None),
        (
            both("/extra/assetTransferMethod"),
            json!("permit2"),
            Some(UnsupportedScheme),
        ),
        (
            both("/network"),
            json!("eip155:084532"),
            Some(InvalidNetwork),
        ),
        (
            both("/network"),
            json!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
            Some(InvalidNetwork),
        ),
        // the right token address, but of another chain
        (
            both("/asset"),
            json!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
            Some(AssetUnknown),
        ),
        (both("/asset"), json!("USDC"), Some(MalformedOffer)),
        (both("/asset"), json!(USDC.to_lowercase()), None),
        (both("/extra/name"), json!("USD Coin"), Some(DomainMismatch)),
        (both("/extra/version"), json!("1"), Some(DomainMismatch)),
        (both("/extra/version"), json!(2), Some(DomainMismatch)),
        (both("/extra/name"), Value::Null, Some(DomainMismatch)),
        // decimals are ours; a server's are not even looked at
        (both("/extra/decimals"), json!(18), None),
        (
            both("/payTo"),
            json!("0x0000000000000000000000000000000000000000"),
            Some(MalformedOffer),
        ),
        (both("/payTo"), json!("0x12"), Some(MalformedOffer)),
        (both("/payTo"), json!("vitalik.eth"), Some(MalformedOffer)),
        (both("/maxTimeoutSeconds"), json!(3600), None),
        (
            both("/maxTimeoutSeconds"),
            json!(3601),
            Some(ValidityTooLong),
        ),
        (
            both("/maxTimeoutSeconds"),
            json!(31_536_000),
            Some(ValidityTooLong),
        ),
        (both("/maxTimeoutSeconds"), json!(0), Some(MalformedOffer)),
        (both("/maxTimeoutSeconds"), json!(-5), Some(MalformedOffer)),
        (
            both("/maxTimeoutSeconds"),
            json!("60"),
            Some(MalformedOffer),
        ),
    ];
    for (cases, value, expected) in table {
        for (version, base, path) in cases {
            let offer = with(base, &path, &value);
            assert_eq!(
                code(version, &offer),
                expected,
                "{version:?} {path} = {value}"
            );
        }
    }
    // what the two versions do differently
    let table = [
        (
            Version::V2,
            v2(),
            "/network",
            json!("eip155:8453"),
            Some(NetworkNotAllowed),
        ),
        (
            Version::V2,
            v2(),
            "/network",
            json!("eip155:999999999"),
            Some(NetworkNotAllowed),
        ),
        (
            Version::V2,
            v2(),
            "/network",
            json!("base-sepolia"),
            Some(MalformedOffer),
        ),
        (
            Version::V2,
            v2(),
            "/extra",
            Value::Null,
            Some(MissingEip712Domain),
        ),
        (
            Version::V2,
            v2(),
            "/amount",
            json!("9".repeat(78)),
            Some(MalformedOffer),
        ),
        (
            Version::V2,
            v2(),
            "/amount",
            json!(U256::MAX.to_string()),
            Some(OverPaymentCap),
        ),
        (Version::V2, v2(), "/maxTimeoutSeconds", json!(1.5), None),
        (
            Version::V2,
            v2(),
            "/maxTimeoutSeconds",
            json!(0.5),
            Some(MalformedOffer),
        ),
        (
            Version::V1,
            v1(),
            "/network",
            json!("base"),
            Some(NetworkNotAllowed),
        ),
        (
            Version::V1,
            v1(),
            "/network",
            json!("mars"),
            Some(InvalidNetwork),
        ),
        (
            Version::V1,
            v1(),
            "/network",
            json!("eip155:84532"),
            Some(InvalidNetwork),
        ),
        (Version::V1, v1(), "/extra", Value::Null, None),
        (
            Version::V1,
            v1(),
            "/maxAmountRequired",
            json!("1000000000000000000"),
            Some(MalformedOffer),
        ),
    ];
    for (version, base, path, value, expected) in table {
        let offer = with(base, path, &value);
        assert_eq!(
            code(version, &offer),
            expected,
            "{version:?} {path} = {value}"
        );
    }
}

#[test]
fn the_servers_order_decides_and_every_reason_is_kept() {
    let dear = with(v2(), "/amount", &json!("5000000"));
    let cheap = with(v2(), "/amount", &json!("1"));
    let considered = judge(Version::V2, &[json!("nonsense"), dear, v2(), cheap]);
    let (index, price) = first(&considered).unwrap();
    assert_eq!((index, price.amount.value()), (2, U256::from(10_000)));
    let codes: Vec<Option<Code>> = considered
        .iter()
        .map(|offer| offer.verdict.as_ref().err().map(|refusal| refusal.code))
        .collect();
    let expected = [
        Some(Code::MalformedOffer),
        Some(Code::OverPaymentCap),
        None,
        None,
    ];
    assert_eq!(codes, expected);
}

#[test]
fn permit2_assets_are_not_signed_for() {
    // MegaETH's default asset moves by Permit2 and has 18 decimals
    let assets = AssetRegistry::builtin();
    let chains = Chains {
        named: [ChainId::evm(4326)].into(),
    };
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: PER_PAYMENT_DEFAULT,
        validity_secs_max: VALIDITY_SECS_MAX,
    };
    let offer = json!({"scheme": "exact", "network": "eip155:4326", "amount": "1",
        "asset": "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7", "payTo": PAYEE, "maxTimeoutSeconds": 60,
        "extra": {"name": "MegaUSD", "version": "1"}});
    let considered = consider(&offers(Version::V2, &[offer]), &rules);
    let refusal = considered[0].verdict.as_ref().unwrap_err();
    assert_eq!(refusal.code, Code::UnsupportedScheme);
}

#[test]
fn named_main_networks_are_paid_on() {
    let assets = AssetRegistry::builtin();
    let chains = Chains {
        named: [ChainId::BASE].into(),
    };
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: PER_PAYMENT_DEFAULT,
        validity_secs_max: VALIDITY_SECS_MAX,
    };
    let offer = |name: &str| {
        json!({"scheme": "exact", "network": "eip155:8453", "amount": "1", "payTo": PAYEE,
            "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "maxTimeoutSeconds": 60,
            "extra": {"name": name, "version": "2"}})
    };
    let accepts = [offer("USDC"), offer("USD Coin")];
    let considered = consider(&offers(Version::V2, &accepts), &rules);
    // Base's USDC calls itself "USD Coin"; the test network's name there is a trap
    let refusal = considered[0].verdict.as_ref().unwrap_err();
    assert_eq!(refusal.code, Code::DomainMismatch);
    assert_eq!(first(&considered).map(|(index, _)| index), Some(1));
}
