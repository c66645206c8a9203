use faregate_types::x402::header::decode_base64;
use faregate_types::{AssetRegistry, SecretKey};
use serde_json::json;

use super::*;
use crate::limits::{PER_PAYMENT_DEFAULT, VALIDITY_SECS_MAX};
use crate::offer;
use crate::select::{self, Chains, Rules};

const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const NOW: Timestamp = Timestamp::from_secs(1_740_672_089);

/// `expected.base64` of `payment_signature_header_v2_exact_eip3009.typescript` (@x402/* 2.27.0); the Python SDK's has the
/// same content in another order.
const V2: &str = "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDcwOTk3OTcwQzUxODEyZGMzQTAxMEM3ZDAxYjUwZTBkMTdkYzc5QzgiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoiMTc0MDY3MjE0OSIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn0sInNpZ25hdHVyZSI6IjB4ZjcwZmJkYzYxMWJiZTMwNzdmN2ZlMTVjYzkxMTU3OWMwYjhhM2VhMDNjMDg0ZWQ5YzQ4OWZhNTRlYzYwYzM0YzYzYzFmMjE4MTBiM2NlOTY4NzZiOTBjMTQ1MDE4NzVlZDczMzgxZmZiNzg5YzZhOTI4YjQ2YTY0YjIzYWJjMjAxYyJ9LCJyZXNvdXJjZSI6eyJ1cmwiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbS9wcmVtaXVtLWRhdGEiLCJkZXNjcmlwdGlvbiI6IkFjY2VzcyB0byBwcmVtaXVtIG1hcmtldCBkYXRhIiwibWltZVR5cGUiOiJhcHBsaWNhdGlvbi9qc29uIn0sImFjY2VwdGVkIjp7InNjaGVtZSI6ImV4YWN0IiwibmV0d29yayI6ImVpcDE1NTo4NDUzMiIsImFtb3VudCI6IjEwMDAwIiwiYXNzZXQiOiIweDAzNkNiRDUzODQyYzU0MjY2MzRlNzkyOTU0MWVDMjMxOGYzZENGN2UiLCJwYXlUbyI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsIm1heFRpbWVvdXRTZWNvbmRzIjo2MCwiZXh0cmEiOnsibmFtZSI6IlVTREMiLCJ2ZXJzaW9uIjoiMiJ9fX0=";

/// `expected.base64` of `x_payment_header_v1_exact_eip3009.typescript_v1sdk` (x402 1.2.0).
const V1: &str = "eyJ4NDAyVmVyc2lvbiI6MSwic2NoZW1lIjoiZXhhY3QiLCJuZXR3b3JrIjoiYmFzZS1zZXBvbGlhIiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOiIweDdkYWM2NmI4MGQ2NmUzMThlOTcxNjBhNzY3NzBjOWNmOWJkMzFlYTkwMjQ1ZTc0ODhmMTNkZWZiNzMwZTNmYmYxYWQ2YTc4MjM0MjI2Y2RjODQxZDk2ZTJjNjA1MjM5NDFkMzdmZjBhNWY2ODhjZDMyNmRkZjMzNGMwMDJlY2VlMWIiLCJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDcwOTk3OTcwQzUxODEyZGMzQTAxMEM3ZDAxYjUwZTBkMTdkYzc5QzgiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMTc0MDY3MTQ4OSIsInZhbGlkQmVmb3JlIjoiMTc0MDY3MjE0OSIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn19fQ==";

fn nonce() -> B256 {
    "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
        .parse()
        .unwrap()
}

fn v2_required() -> Value {
    json!({
        "x402Version": 2,
        "error": "Payment required",
        "resource": {
            "url": "https://api.example.com/premium-data",
            "description": "Access to premium market data",
            "mimeType": "application/json",
        },
        "accepts": [{
            "scheme": "exact",
            "network": "eip155:84532",
            "amount": "10000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "maxTimeoutSeconds": 60,
            "extra": {"name": "USDC", "version": "2"},
        }],
    })
}

fn v1_required() -> Value {
    json!({
        "x402Version": 1,
        "error": "X-PAYMENT header is required",
        "accepts": [{
            "scheme": "exact",
            "network": "base-sepolia",
            "maxAmountRequired": "10000",
            "resource": "https://api.example.com/premium-data",
            "description": "Access to premium market data",
            "mimeType": "application/json",
            "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "maxTimeoutSeconds": 60,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "extra": {"name": "USDC", "version": "2"},
        }],
    })
}

fn read_v2(required: &Value) -> Offers {
    let value = header::encode(required).parse().unwrap();
    let headers = [("payment-required".parse().unwrap(), value)];
    offer::from_headers(&headers.into_iter().collect()).unwrap()
}

fn signed(offers: &Offers) -> Signed {
    let assets = AssetRegistry::builtin();
    let chains = Chains::default();
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: PER_PAYMENT_DEFAULT,
        validity_secs_max: VALIDITY_SECS_MAX,
    };
    let considered = select::consider(offers, &rules);
    let (index, price) = select::first(&considered, &[]).unwrap();
    let signer = LocalSigner::new(SecretKey::from_hex(KEY).unwrap()).unwrap();
    let entry = &offers.entries[index];
    sign(offers, entry, price, &signer, nonce(), NOW).unwrap()
}

fn content(credential: &Credential) -> Value {
    let (_, value) = credential.header().unwrap();
    serde_json::from_slice(&decode_base64(value.as_bytes()).unwrap()).unwrap()
}

fn json_of(base64: &str) -> Value {
    serde_json::from_slice(&decode_base64(base64.as_bytes()).unwrap()).unwrap()
}

#[test]
fn the_headers_say_what_the_sdks_say() {
    let v2 = signed(&read_v2(&v2_required()));
    assert_eq!(v2.credential.header().unwrap().0, "payment-signature");
    assert_eq!(content(&v2.credential), json_of(V2));
    assert_eq!(v2.valid_until, Timestamp::from_secs(1_740_672_149));
    let offers = offer::from_body(v1_required().to_string().as_bytes()).unwrap();
    let v1 = signed(&offers);
    assert_eq!(v1.credential.header().unwrap().0, "x-payment");
    assert_eq!(content(&v1.credential), json_of(V1));
    // one authorization each, and the same natural key: the nonce is the same
    assert_eq!(v1.id, v2.id);
}

#[test]
fn what_the_server_sent_is_repeated_word_for_word() {
    let mut required = v2_required();
    required["accepts"][0]["futureMember"] = json!({"big": 1e300, "deep": [[[]]]});
    required["accepts"][0]["extra"]["quoteId"] = json!("q-1");
    required["extensions"] = json!({"bazaar": {"info": {"x": 1}, "schema": {}}});
    let paid = content(&signed(&read_v2(&required)).credential);
    assert_eq!(paid["accepted"], required["accepts"][0]);
    assert_eq!(paid["resource"], required["resource"]);
    assert_eq!(paid["extensions"], required["extensions"]);
}

#[test]
fn parts_that_are_no_objects_are_not_repeated() {
    let mut required = v2_required();
    required["resource"] = json!("https://api.example.com");
    required["extensions"] = json!([1]);
    let paid = content(&signed(&read_v2(&required)).credential);
    assert_eq!(paid.get("resource"), None);
    assert_eq!(paid.get("extensions"), None);
    required["resource"] = Value::Null;
    required["extensions"] = Value::Null;
    let paid = content(&signed(&read_v2(&required)).credential);
    assert_eq!(paid.get("resource"), None);
    assert_eq!(paid.get("extensions"), None);
}

#[test]
fn large_extensions_are_left_out_before_the_header_gets_too_large() {
    let mut required = v2_required();
    required["extensions"] = json!({"x": {"info": "y".repeat(24_000)}});
    let signed = signed(&read_v2(&required));
    assert!(content(&signed.credential).get("extensions").is_none());
    let mut required = v2_required();
    required["accepts"][0]["extra"]["x"] = json!("y".repeat(23_900));
    let offers = read_v2(&required);
    let payload = Payload {
        authorization: Authorization {
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ZERO,
            valid_after: U256::ZERO,
            valid_before: U256::ZERO,
            nonce: B256::ZERO,
        },
        signature: vec![0; 65].into(),
    };
    let refusal = v2_credential(&offers, &offers.entries[0], &payload).err();
    assert_eq!(
        refusal.map(|refusal| refusal.code),
        Some(Code::CredentialTooLarge)
    );
}

#[test]
fn the_books_give_the_same_credential_back() {
    for offers in [
        read_v2(&v2_required()),
        offer::from_body(v1_required().to_string().as_bytes()).unwrap(),
    ] {
        let credential = signed(&offers).credential;
        let again = Credential::from_bytes(&credential.to_bytes()).unwrap();
        assert!(again == credential);
        assert_eq!(again.version(), offers.version);
    }
    for bad in [
        "",
        "x-payment",
        "authorization: Basic eA==",
        "x-payment eyJ9",
    ] {
        assert!(Credential::from_bytes(bad.as_bytes()).is_none(), "{bad}");
    }
    let newline = Credential::from_bytes(b"x-payment: a\r\nx: y").unwrap();
    assert!(newline.header().is_none());
}

#[test]
fn the_header_is_not_printed() {
    let (_, value) = signed(&read_v2(&v2_required()))
        .credential
        .header()
        .unwrap();
    assert!(value.is_sensitive());
    assert!(!format!("{value:?}").contains("ey"));
}
