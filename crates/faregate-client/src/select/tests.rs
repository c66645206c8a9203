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
        let (index, price) = first(&considered, &[]).unwrap();
        assert_eq!((index, price.validity_secs), (0, 60));
        assert_eq!(price.amount.value(), U256::from(10_000));
        assert_eq!(price.asset.domain, TokenDomain::new("USDC", "2"));
        assert_eq!(price.payee.to_string(), PAYEE);
        let cent = U256::from(10_000_000_000_000_000_u64);
        assert_eq!(price.worth, Worth::new(cent));
    }
}

/// Member, new value (null takes it away), expected code (`-`: taken). `/amount` is `/maxAmountRequired` in version 1.
const BOTH_VERSIONS: &str = r#"
    /amount                    "100000"                   -
    /amount                    "100001"                   over_payment_cap
    /amount                    "999999999999999999"       over_payment_cap
    /amount                    "0"                        malformed_offer
    /amount                    10000                      malformed_offer
    /amount                    "-1"                       malformed_offer
    /amount                    "+1"                       malformed_offer
    /amount                    "0x2710"                   malformed_offer
    /amount                    "1e4"                      malformed_offer
    /amount                    "10.5"                     malformed_offer
    /amount                    "010"                      malformed_offer
    /amount                    ""                         malformed_offer
    /amount                    null                       malformed_offer
    /scheme                    "upto"                     unsupported_scheme
    /scheme                    "Exact"                    unsupported_scheme
    /extra/paymentFlow         "upfront"                  -
    /extra/paymentFlow         "authorization"            -
    /extra/paymentFlow         "escrow"                   unsupported_scheme
    /extra/paymentFlow         7                          unsupported_scheme
    /extra/assetTransferMethod "eip3009"                  -
    /extra/assetTransferMethod "permit2"                  unsupported_scheme
    /network                   "eip155:084532"            invalid_network
    /network                   "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" invalid_network
    /asset                     "0x036cbd53842c5426634e7929541ec2318f3dcf7e" -
    /asset                     "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913" asset_unknown
    /asset                     "USDC"                     malformed_offer
    /extra/name                "USDCoin"                  domain_mismatch
    /extra/name                null                       domain_mismatch
    /extra/version             "1"                        domain_mismatch
    /extra/version             2                          domain_mismatch
    /extra/decimals            18                         -
    /payTo                     "0x0000000000000000000000000000000000000000" malformed_offer
    /payTo                     "0x12"                     malformed_offer
    /payTo                     "vitalik.eth"              malformed_offer
    /maxTimeoutSeconds         3600                       -
    /maxTimeoutSeconds         3601                       validity_too_long
    /maxTimeoutSeconds         31536000                   validity_too_long
    /maxTimeoutSeconds         0                          malformed_offer
    /maxTimeoutSeconds         -5                         malformed_offer
    /maxTimeoutSeconds         "60"                       malformed_offer
"#;

const VERSION_2: &str = r#"
    /network           "eip155:8453"      network_not_allowed
    /network           "eip155:999999999" network_not_allowed
    /network           "base-sepolia"     malformed_offer
    /extra             null               missing_eip712_domain
    /amount            "115792089237316195423570985008687907853269984665640564039457584007913129639935" over_payment_cap
    /amount            "115792089237316195423570985008687907853269984665640564039457584007913129639936" malformed_offer
    /maxTimeoutSeconds 1.5                -
    /maxTimeoutSeconds 0.5                malformed_offer
"#;

const VERSION_1: &str = r#"
    /network           "base"                network_not_allowed
    /network           "mars"                invalid_network
    /network           "eip155:84532"        invalid_network
    /extra             null                  -
    /maxAmountRequired "1000000000000000000" malformed_offer
"#;

fn check(version: Version, table: &str) {
    for line in table.trim().lines() {
        let [path, value, expected] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (base, path) = match (version, path) {
            (Version::V1, "/amount") => (v1(), "/maxAmountRequired"),
            (Version::V1, path) => (v1(), path),
            (Version::V2, path) => (v2(), path),
        };
        let offer = with(base, path, &serde_json::from_str(value).unwrap());
        let code = code(version, &offer).map_or("-", Code::as_str);
        assert_eq!(code, expected, "{version:?} {line}");
    }
}

#[test]
fn hostile_members_are_refused_with_their_reason() {
    check(Version::V2, BOTH_VERSIONS);
    check(Version::V2, VERSION_2);
    check(Version::V1, BOTH_VERSIONS);
    check(Version::V1, VERSION_1);
}

#[test]
fn the_servers_order_decides_and_every_reason_is_kept() {
    let dear = with(v2(), "/amount", &json!("5000000"));
    let cheap = with(v2(), "/amount", &json!("1"));
    let considered = judge(Version::V2, &[json!("nonsense"), dear, v2(), cheap]);
    let (index, price) = first(&considered, &[]).unwrap();
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
    assert_eq!(first(&considered, &[]).map(|(index, _)| index), Some(1));
}
