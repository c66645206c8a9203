//! Which messages are accepted: the verdicts of the official schemas (npm `@x402/core` 2.27.0, `x402` 1.2.0).

use faregate_types::x402::{MaxTimeout, VersionTag, header, matches, network_matches, v1, v2};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::samples::{
    payment_v1, payment_v2, required_v1, required_v2, requirements_v1, requirements_v2, with,
    without,
};

fn accepts<T: DeserializeOwned>(message: &Value) -> bool {
    serde_json::from_slice::<T>(message.to_string().as_bytes()).is_ok()
}

#[test]
fn offers_of_version_2() {
    let set = |key: &str, value: Value| with(required_v2(), &format!("/{key}"), value);
    let resource = |key: &str, value: Value| set(&format!("resource/{key}"), value);
    let offer = |key: &str, value: Value| {
        set(
            "accepts",
            json!([with(requirements_v2(), &format!("/{key}"), value)]),
        )
    };
    #[rustfmt::skip]
    let cases = [
        ("v2_ok", required_v2(), true),
        ("no_resource", without(required_v2(), "/resource"), false),
        ("resource_null", set("resource", Value::Null), false),
        ("empty_accepts", set("accepts", json!([])), false),
        ("no_accepts", without(required_v2(), "/accepts"), false),
        ("amount_number", offer("amount", json!(10000)), false),
        ("amount_empty", offer("amount", json!("")), false),
        ("scheme_empty", offer("scheme", json!("")), false),
        ("network_v1_name", offer("network", json!("base-sepolia")), false),
        ("network_empty", offer("network", json!("")), false),
        ("network_short", offer("network", json!("a:")), false),
        ("timeout_zero", offer("maxTimeoutSeconds", json!(0)), false),
        ("timeout_negative", offer("maxTimeoutSeconds", json!(-60)), false),
        ("timeout_float", offer("maxTimeoutSeconds", json!(1.5)), true),
        ("timeout_string", offer("maxTimeoutSeconds", json!("60")), false),
        ("timeout_null", offer("maxTimeoutSeconds", Value::Null), false),
        ("extra_null", offer("extra", Value::Null), true),
        ("extra_text", offer("extra", json!("USDC")), false),
        ("extra_array", offer("extra", json!([])), false),
        ("error_null", set("error", Value::Null), true),
        ("error_number", set("error", json!(7)), false),
        ("version3", set("x402Version", json!(3)), false),
        ("version_string", set("x402Version", json!("2")), false),
        ("version_missing", without(required_v2(), "/x402Version"), false),
        ("unknown_field", set("foo", json!({"bar": [1]})), true),
        ("tags_5", resource("tags", json!(["a", "b", "c", "d", "e"])), true),
        ("tags_6", resource("tags", json!(["a", "b", "c", "d", "e", "f"])), false),
        ("tag_33", resource("tags", json!(["x".repeat(33)])), false),
        ("serviceName_32", resource("serviceName", json!("x".repeat(32))), true),
        ("serviceName_33", resource("serviceName", json!("x".repeat(33))), false),
        ("serviceName_nonascii", resource("serviceName", json!("Café")), false),
        ("serviceName_control", resource("serviceName", json!("a\tb")), false),
        ("iconUrl_2048", resource("iconUrl", json!("x".repeat(2048))), true),
        ("iconUrl_2049", resource("iconUrl", json!("x".repeat(2049))), false),
        ("payTo_empty", offer("payTo", json!("")), false),
        ("extensions_null", set("extensions", Value::Null), true),
        ("extensions", set("extensions", json!({"bazaar": {"info": {}}})), true),
    ];
    for (name, message, expected) in cases {
        assert_eq!(accepts::<v2::PaymentRequired>(&message), expected, "{name}");
    }
}

#[test]
fn payments_of_both_versions() {
    for (name, message, expected) in [
        ("v2_ok", payment_v2(), true),
        (
            "v2_loose_payload",
            with(
                payment_v2(),
                "/payload",
                json!({"signature": "0x", "authorization": {}}),
            ),
            true,
        ),
        ("v2_no_accepted", without(payment_v2(), "/accepted"), false),
        ("v2_no_payload", without(payment_v2(), "/payload"), false),
        (
            "resource_null",
            with(payment_v2(), "/resource", Value::Null),
            true,
        ),
        (
            "extensions_null",
            with(payment_v2(), "/extensions", Value::Null),
            true,
        ),
        (
            "version_missing",
            without(payment_v2(), "/x402Version"),
            false,
        ),
    ] {
        assert_eq!(accepts::<v2::PaymentPayload>(&message), expected, "{name}");
    }
    for (name, message, expected) in [
        ("v1_ok", payment_v1(), true),
        ("v1_no_network", without(payment_v1(), "/network"), false),
        ("v1_no_scheme", without(payment_v1(), "/scheme"), false),
        (
            "v1_version_2",
            with(payment_v1(), "/x402Version", json!(2)),
            false,
        ),
        // The scheme is judged later, so that a facilitator can name the reason.
        (
            "v1_other_scheme",
            with(payment_v1(), "/scheme", json!("upto")),
            true,
        ),
    ] {
        assert_eq!(accepts::<v1::PaymentPayload>(&message), expected, "{name}");
    }
}

#[test]
fn offers_of_version_1() {
    let set = |key: &str, value: Value| with(requirements_v1(), &format!("/{key}"), value);
    for (name, message, expected) in [
        ("ok", requirements_v1(), true),
        (
            "no_description",
            without(requirements_v1(), "/description"),
            false,
        ),
        ("no_mime", without(requirements_v1(), "/mimeType"), false),
        ("resource_not_url", set("resource", json!("/x")), false),
        (
            "resource_no_host",
            set("resource", json!("https:///x")),
            false,
        ),
        (
            "resource_blank",
            set("resource", json!("https://a b")),
            false,
        ),
        ("resource_mcp", set("resource", json!("mcp://tool/x")), true),
        ("outputSchema_null", set("outputSchema", Value::Null), false),
        (
            "outputSchema",
            set("outputSchema", json!({"input": {}})),
            true,
        ),
        ("extra_null", set("extra", Value::Null), false),
        ("no_extra", without(requirements_v1(), "/extra"), true),
        (
            "amount_decimal",
            set("maxAmountRequired", json!("0.01")),
            false,
        ),
        ("amount_hex", set("maxAmountRequired", json!("0x10")), false),
        (
            "amount_number",
            set("maxAmountRequired", json!(10000)),
            false,
        ),
        ("timeout_float", set("maxTimeoutSeconds", json!(1.5)), false),
        ("unknown_field", set("foo", json!(1)), true),
    ] {
        assert_eq!(
            accepts::<v1::PaymentRequirements>(&message),
            expected,
            "{name}"
        );
    }
    assert!(accepts::<v1::PaymentRequired>(&required_v1()));
    assert!(!accepts::<v1::PaymentRequired>(&with(
        required_v1(),
        "/x402Version",
        json!(2)
    )));
}

#[test]
fn nothing_is_written_as_null() {
    let v2: v2::PaymentRequired =
        serde_json::from_value(with(required_v2(), "/error", Value::Null)).unwrap();
    assert!(!header::encode(&v2).is_empty());
    let [offer] = v2.accepts.as_slice() else {
        panic!("one offer")
    };
    let offer = v2::PaymentRequirements {
        extra: None,
        ..offer.clone()
    };
    let bare = v2::PaymentRequired {
        x402_version: VersionTag,
        error: None,
        resource: v2::ResourceInfo::new("https://a.example"),
        accepts: vec![offer.clone()],
        extensions: None,
    };
    assert!(!serde_json::to_string(&bare).unwrap().contains("null"));
    let v1 = v1::PaymentRequirements::from_v2(&offer, &bare.resource).unwrap();
    let text = serde_json::to_string(&v1).unwrap();
    assert!(
        !text.contains("null")
            && accepts::<v1::PaymentRequirements>(&serde_json::from_str(&text).unwrap())
    );
}

#[test]
fn a_v2_offer_has_a_v1_form_when_v1_can_say_it() {
    let required: v2::PaymentRequired = serde_json::from_value(required_v2()).unwrap();
    let convert = |offer: Value| {
        let offer: v2::PaymentRequirements = serde_json::from_value(offer).unwrap();
        v1::PaymentRequirements::from_v2(&offer, &required.resource)
    };
    assert_eq!(
        serde_json::to_value(convert(requirements_v2())).unwrap(),
        requirements_v1()
    );
    for (pointer, value) in [
        ("/network", json!("eip155:31337")),
        ("/network", json!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")),
        ("/scheme", json!("upto")),
        ("/extra/assetTransferMethod", json!("permit2")),
    ] {
        assert_eq!(
            convert(with(requirements_v2(), pointer, value)),
            None,
            "{pointer}"
        );
    }
    let named = with(
        requirements_v2(),
        "/extra/assetTransferMethod",
        json!("eip3009"),
    );
    assert!(convert(named).is_some());
}

#[test]
fn timeouts_are_kept_as_they_came() {
    for (json, secs, written) in [
        ("60", 60, "60"),
        ("60.0", 60, "60"),
        ("6e1", 60, "60"),
        ("1.5", 1, "1.5"),
        ("0.25", 0, "0.25"),
        (
            "9007199254740991",
            9_007_199_254_740_991,
            "9007199254740991",
        ),
    ] {
        let timeout: MaxTimeout = serde_json::from_str(json).unwrap();
        assert_eq!(timeout.as_secs(), secs, "{json}");
        assert_eq!(serde_json::to_string(&timeout).unwrap(), written);
    }
    assert_eq!(
        serde_json::from_str::<MaxTimeout>("60.0").unwrap(),
        MaxTimeout::from_secs(60)
    );
    assert_ne!(
        serde_json::from_str::<MaxTimeout>("60.5").unwrap(),
        MaxTimeout::from_secs(60)
    );
    for json in [
        "0",
        "0.0",
        "-0.0",
        "-1",
        "-1.5",
        "1e300",
        "1e-9",
        "9007199254740992",
        "true",
        "\"60\"",
        "null",
    ] {
        assert!(serde_json::from_str::<MaxTimeout>(json).is_err(), "{json}");
    }
}

/// The verdicts of PyPI `x402` 2.25.0 on whether an accepted offer is the server's own.
#[test]
fn problem_10_accepted_offers_match_exactly() {
    let accepted = |pointer: &str, value: Value| with(requirements_v2(), pointer, value);
    let own: v2::PaymentRequirements = serde_json::from_value(requirements_v2()).unwrap();
    for (name, message, expected) in [
        ("same", requirements_v2(), true),
        (
            "asset_case",
            accepted(
                "/asset",
                json!("0x036cbd53842c5426634e7929541ec2318f3dcf7e"),
            ),
            false,
        ),
        (
            "payTo_case",
            accepted(
                "/payTo",
                json!("0x209693bc6afc0c5328ba36faf03c514ef312287c"),
            ),
            false,
        ),
        ("amount", accepted("/amount", json!("10001")), false),
        ("timeout", accepted("/maxTimeoutSeconds", json!(61)), false),
        (
            "timeout_fraction",
            accepted("/maxTimeoutSeconds", json!(60.5)),
            false,
        ),
        ("extra_added", accepted("/extra/x", json!(1)), true),
        (
            "extra_missing",
            without(requirements_v2(), "/extra/version"),
            false,
        ),
        ("extra_null", accepted("/extra", Value::Null), false),
        (
            "extra_changed",
            accepted("/extra/name", json!("USDX")),
            false,
        ),
        ("network", accepted("/network", json!("eip155:8453")), false),
        ("scheme", accepted("/scheme", json!("upto")), false),
    ] {
        let accepted: v2::PaymentRequirements = serde_json::from_value(message).unwrap();
        assert_eq!(matches(&own, &accepted), expected, "{name}");
    }
    let plain = v2::PaymentRequirements {
        extra: None,
        ..own.clone()
    };
    assert!(matches(&plain, &own) && !matches(&own, &plain));
}

#[test]
fn a_pattern_is_a_name_or_a_whole_namespace() {
    for (network, pattern, expected) in [
        ("eip155:8453", "eip155:8453", true),
        ("eip155:84532", "eip155:8453", false),
        ("eip155:8453", "eip155:*", true),
        ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "eip155:*", false),
        ("eip155:8453", "eip155:84*", false),
        ("eip155:8453", "eip*", false),
        ("eip155:8453", "*", false),
        ("base", "eip155:*", false),
        ("base", "base", true),
    ] {
        assert_eq!(
            network_matches(network, pattern),
            expected,
            "{network} {pattern}"
        );
    }
}
