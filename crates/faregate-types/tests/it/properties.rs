//! Properties that hold for any input: decoders never panic, and reading undoes writing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_types::lightning::LightningAddress;
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{
    FacilitatorRequest, MaxTimeout, SettleResponse, VersionTag, header, v1, v2,
};
use faregate_types::{
    Address, AssetId, Authorization, B256, Bytes, Caip2, ChainId, Code, Erc20, MoneyText,
    PaymentId, Refusal, SecretKey, Signature65, U256, hex_text, parse_atomic, to_decimal_text,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::samples;

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn number() -> impl Strategy<Value = U256> {
    prop_oneof![
        any::<u64>().prop_map(U256::from),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes),
        Just(U256::MAX)
    ]
}

fn chain() -> impl Strategy<Value = ChainId> {
    prop_oneof![Just(84532), Just(1), 1..=u64::MAX].prop_map(|number| ChainId::new(number).unwrap())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-zA-Z0-9]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("[a-zA-Z]{1,8}", ".{0,12}".prop_map(Value::from), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn requirements() -> impl Strategy<Value = v2::PaymentRequirements> {
    let texts = (".{1,12}", chain(), number(), address(), address());
    (texts, 1..1_u64 << 40, proptest::option::of(object())).prop_map(|(texts, secs, extra)| {
        let (scheme, chain, amount, asset, pay_to) = texts;
        v2::PaymentRequirements {
            scheme,
            network: chain.to_string(),
            amount: amount.to_string(),
            asset: asset.to_string(),
            pay_to: pay_to.to_string(),
            max_timeout_seconds: MaxTimeout::from_secs(secs),
            extra,
        }
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    let authorization = (address(), address(), number(), number(), number(), word());
    (authorization, vec(any::<u8>(), 0..100)).prop_map(|(parts, signature)| {
        let (from, to, value, valid_after, valid_before, nonce) = parts;
        let authorization = Authorization {
            from,
            to,
            value,
            valid_after,
            valid_before,
            nonce,
        };
        Payload {
            authorization,
            signature: Bytes::from(signature),
        }
    })
}

fn payment() -> impl Strategy<Value = v2::PaymentPayload> {
    let resource = proptest::option::of(".{0,20}".prop_map(v2::ResourceInfo::new));
    (
        requirements(),
        payload(),
        resource,
        proptest::option::of(object()),
    )
        .prop_map(
            |(accepted, payload, resource, extensions)| v2::PaymentPayload {
                x402_version: VersionTag,
                resource,
                accepted,
                payload: payload.to_value(),
                extensions,
            },
        )
}

/// Every member of a message, by JSON pointer.
fn pointers(message: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), message)];
    while let Some((path, value)) = open.pop() {
        for (key, member) in value.as_object().into_iter().flatten() {
            found.push(format!("{path}/{key}"));
            open.push((format!("{path}/{key}"), member));
        }
    }
    found
}

/// The answer does not matter, only that there is one.
fn comes_back<T>(_: T) {}

/// Runs everything that reads bytes from outside. Nothing to check but that it comes back.
fn decode_all(bytes: &[u8]) {
    comes_back(header::decode_payment_v1(bytes));
    comes_back(header::decode_payment_v2(bytes));
    comes_back(header::decode_payment_required(bytes));
    comes_back(header::decode_settle_response(bytes));
    comes_back(v1::PaymentRequired::decode(bytes));
    comes_back(Signature65::parse(bytes));
    if let Ok(request) = FacilitatorRequest::decode(bytes) {
        comes_back(request.exact());
    }
    comes_back(serde_json::from_slice::<v2::PaymentRequired>(bytes));
    comes_back(serde_json::from_slice::<v1::PaymentRequirements>(bytes));
    comes_back(serde_json::from_slice::<SettleResponse>(bytes));
}

fn parse_all(text: &str) {
    comes_back(text.parse::<ChainId>());
    comes_back(text.parse::<Caip2>());
    comes_back(text.parse::<AssetId>());
    comes_back(text.parse::<PaymentId>());
    comes_back(MoneyText::parse(text).map(|money| money.to_atomic(6)));
    comes_back(parse_atomic(text));
    comes_back(SecretKey::from_hex(text));
    comes_back(hex_text::parse_bytes(text));
    comes_back(hex_text::parse_address(text));
    comes_back(Code::from_str(text));
    comes_back(ChainId::from_v1_name(text));
    comes_back(Refusal::new(Code::Internal).detail(text));
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
        decode_all(STANDARD.encode(&bytes).as_bytes());
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,100}", prefix in "(eip155:|0x|\\$|)") {
        parse_all(&text);
        parse_all(&format!("{prefix}{text}"));
    }

    /// Whatever a stranger names as an address is read or refused; what is read says the same again, and names a host only.
    #[test]
    fn lightning_addresses_are_read_or_refused(text in "[a-zA-Z0-9@.:/_+-]{0,24}|[a-z.]{1,8}@[a-z.:0-9]{1,12}|.{0,24}") {
        if let Ok(address) = text.parse::<LightningAddress>() {
            let again = format!("{}@{}", address.name(), address.host());
            prop_assert_eq!(&again, address.as_str());
            prop_assert_eq!(again.parse::<LightningAddress>(), Ok(address.clone()));
            prop_assert!(!address.host().contains(['/', '?', '#', '@', '\\', ' ']), "{}", again);
        }
    }

    #[test]
    fn no_json_makes_a_decoder_panic(json in any_json()) {
        let text = json.to_string();
        decode_all(text.as_bytes());
        decode_all(STANDARD.encode(&text).as_bytes());
        comes_back(Payload::from_value(&json));
    }

    /// A good request with any one member replaced by anything is decided, and the reason is never ours.
    #[test]
    fn a_spoiled_request_is_refused_or_accepted(v1 in any::<bool>(), pick in any::<prop::sample::Index>(), json in any_json()) {
        let good = if v1 { samples::request_v1() } else { samples::request_v2() };
        let pointer = pick.get(&pointers(&good)).clone();
        let spoiled = samples::with(good, &pointer, json);
        match FacilitatorRequest::decode(spoiled.to_string().as_bytes()) {
            Ok(request) => {
                if let Err(refusal) = request.exact() {
                    prop_assert!(refusal.code.http_status() < 500, "{refusal}");
                }
            }
            Err(error) => prop_assert_eq!(error.http_status(), 400),
        }
    }

    /// A good header with one byte changed, or cut off, is decided.
    #[test]
    fn a_damaged_header_is_decided(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut text = STANDARD.encode(samples::payment_v2().to_string()).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        decode_all(&text);
        text.truncate(cut.index(text.len()));
        decode_all(&text);
    }

    #[test]
    fn payments_survive_headers_and_requests(payment in payment(), requirements in requirements()) {
        let text = header::encode(&payment);
        prop_assert_eq!(&header::decode_payment_v2(text.as_bytes()).unwrap(), &payment);
        let request = FacilitatorRequest::V2 { payload: payment, requirements };
        prop_assert_eq!(&FacilitatorRequest::decode(&request.encode()).unwrap(), &request);
    }

    #[test]
    fn payloads_survive_json(payload in payload()) {
        prop_assert_eq!(Payload::from_value(&payload.to_value()).unwrap(), payload);
    }

    #[test]
    fn names_survive_text(chain in chain(), token in address(), bytes in any::<[u8; 32]>()) {
        prop_assert_eq!(chain.to_string().parse(), Ok(chain));
        prop_assert_eq!(ChainId::try_from(&Caip2::from(chain)), Ok(chain));
        prop_assert_eq!(chain.to_string().parse(), Ok(Caip2::from(chain)));
        let asset = Erc20::new(chain, token);
        prop_assert_eq!(asset.to_string().parse(), Ok(asset));
        prop_assert_eq!(asset.to_string().to_lowercase().parse(), Ok(asset));
        let id = PaymentId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(serde_json::from_value::<PaymentId>(serde_json::to_value(id).unwrap()).unwrap(), id);
    }

    #[test]
    fn amounts_survive_text(value in number(), decimals in 0_u8..=40) {
        prop_assert_eq!(parse_atomic(&value.to_string()), Ok(value));
        let money = MoneyText::parse(&to_decimal_text(value, decimals)).unwrap();
        prop_assert_eq!(money.to_atomic(decimals), Ok(value));
    }

    /// Whole and fraction digits, against arithmetic on integers.
    #[test]
    fn money_is_rounded_down(whole in 0_u64..1_000_000, fraction in "[0-9]{1,12}", decimals in 0_u32..=18) {
        let digits = u32::try_from(fraction.len()).unwrap();
        let scaled = u128::from(whole) * 10_u128.pow(digits) + fraction.parse::<u128>().unwrap();
        let expected = (scaled * 10_u128.pow(decimals)).div_euclid(10_u128.pow(digits));
        let atomic = MoneyText::parse(&format!("${whole}.{fraction}")).unwrap().to_atomic(decimals.try_into().unwrap());
        match atomic {
            Ok(value) => prop_assert_eq!(value, U256::from(expected)),
            Err(_) => prop_assert!(expected == 0 && scaled > 0),
        }
    }

    #[test]
    fn timeouts_survive_json(secs in 1..1_u64 << 53, thousandths in 0_u32..1000) {
        let text = format!("{}.{thousandths:03}", secs >> 20);
        for text in [secs.to_string(), text] {
            if let Ok(timeout) = serde_json::from_str::<MaxTimeout>(&text) {
                let again: MaxTimeout = serde_json::from_str(&serde_json::to_string(&timeout).unwrap()).unwrap();
                prop_assert_eq!(again, timeout);
            }
        }
        prop_assert_eq!(MaxTimeout::from(secs).as_secs(), secs);
    }
}
