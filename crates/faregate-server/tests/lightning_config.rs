//! Prices in satoshis and `[gate.lightning]`: what they mean, and every mistake with its line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::num::NonZeroU32;

use faregate_core::{Ask, LightningAsk, Scope};
use faregate_ledger::EventKind;
use faregate_server::config::{Config, Env, RoutePrice};
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{RailName, Timestamp};
use proptest::prelude::*;

fn env() -> Env {
    [
        ("TOKEN", "tok"),
        ("SHORT_KEY", "0x1234"),
        ("MASTER_KEY", &"5a".repeat(32)),
        ("OLD_KEY", &"6b".repeat(32)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A line of `LIGHTNING`, what stands there instead, and the faults that this makes: code and line.
type Case = (usize, &'static str, &'static [(&'static str, usize)]);

/// A gate that is paid over Lightning only.
const LIGHTNING: &str = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
[gate.lightning]
backend = "lnd"
url = "https://127.0.0.1:8080"
key = "env:TOKEN"
network = "regtest"
master_key = "env:MASTER_KEY"
[[route]]
match = "GET /joke/*"
price = "10 sat"
"#;

const LIGHTNING_MISTAKES: &[Case] = &[
    (
        3,
        "upstream = \"http://127.0.0.1:8000\"\nwebhook = { url = \"http://shop.example/hook\", secret = \"env:TOKEN\" }",
        &[("invalid_url", 4)],
    ),
    (
        3,
        "upstream = \"http://127.0.0.1:8000\"\nwebhook = { url = \"https://shop.example/hook\", event = \"x\" }",
        &[("missing_key", 4), ("unknown_key", 4)],
    ),
    (
        3,
        "upstream = \"http://127.0.0.1:8000\"\nwebhook = { url = \"https://shop.example/hook\", secret = \"env:TOKEN\", events = [\"payment.failed\", \"payment\"] }",
        &[("invalid_value", 4)],
    ),
    (
        3,
        "upstream = \"http://127.0.0.1:8000\"\nwebhook = { url = \"https://shop.example/hook\", secret = \"env:TOKEN\", events = [] }",
        &[("invalid_value", 4)],
    ),
    (
        3,
        "upstream = \"http://127.0.0.1:8000\"\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.1/8\", \"proxy.example\"]",
        &[("invalid_value", 4), ("invalid_value", 4)],
    ),
    (
        8,
        "network = \"regtest\"\nreplay = \"redis://10.0.0.1\"",
        &[("invalid_url", 9)],
    ),
    (
        8,
        "network = \"regtest\"\nreplay = \"redis://:pw@localhost\"",
        &[("invalid_url", 9)],
    ),
    (
        8,
        "network = \"regtest\"\nreplay_password = \"env:TOKEN\"",
        &[("contradiction", 9)],
    ),
    (
        8,
        "network = \"regtest\"\nreplay_keys = \"python\"",
        &[("contradiction", 9)],
    ),
    (
        8,
        "network = \"regtest\"\nreplay = \"redis://localhost\"\nreplay_keys = \"go\"",
        &[("invalid_value", 10)],
    ),
    (
        4,
        "[gate.lightening]",
        &[("unknown_key", 4), ("no_usable_rail", 12)],
    ),
    (5, "", &[("missing_key", 4)]),
    (5, "backend = \"moon\"", &[("invalid_value", 5)]),
    (
        5,
        "backend = \"cln\"\nprivate_hints = true",
        &[("contradiction", 6)],
    ),
    (5, "backend = \"blink\"", &[("missing_key", 4)]),
    (
        5,
        "backend = \"lnbits\"\nwallet_id = \"x\"",
        &[("contradiction", 6)],
    ),
    (
        5,
        "backend = \"address\"\naddress = \"shop@wallet.example\"",
        &[("contradiction", 7), ("contradiction", 8)],
    ),
    (5, "backend = \"ldk\"", &[("missing_key", 4)]),
    (
        5,
        "backend = \"ldk\"\nnode = \"/etc/node.toml\"",
        &[("contradiction", 7), ("contradiction", 8)],
    ),
    (
        5,
        "backend = \"lnd\"\nnode = \"/etc/node.toml\"",
        &[("contradiction", 6)],
    ),
    (5, "backend = \"nwc\"", &[("contradiction", 6)]),
    (6, "", &[("missing_key", 4)]),
    (6, "url = \"http://wallet.example\"", &[("invalid_url", 6)]),
    (
        6,
        "url = \"https://u:p@wallet.example\"",
        &[("invalid_url", 6)],
    ),
    (7, "", &[("missing_key", 4)]),
    (7, "key = \"0201abcdef\"", &[("invalid_secret", 7)]),
    (7, "key = \"env:NOWHERE\"", &[("invalid_secret", 7)]),
    (8, "", &[("missing_key", 4)]),
    (8, "network = \"moonnet\"", &[("unknown_network", 8)]),
    (8, "network = \"mainnet\"", &[("mainnet_not_enabled", 8)]),
    (9, "", &[("missing_key", 4)]),
    (
        9,
        "master_key = \"env:SHORT_KEY\"",
        &[("invalid_secret", 9)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nold_master_keys = [\"env:OLD_KEY\", \"env:TOKEN\"]",
        &[("invalid_secret", 10)],
    ),
    (
        5,
        "backend = \"strike\"\nstrict = true",
        &[("contradiction", 6)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nl402kit_texts = true\nreplay_status = 402",
        &[("contradiction", 11)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nroot_key = \"env:MASTER_KEY\"",
        &[("contradiction", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nold_master_keys = [{ key = \"env:OLD_KEY\", until = 2026-12-01 }, { until = 5 }]",
        &[("wrong_type", 10), ("missing_key", 10), ("wrong_type", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nold_master_keys = [{ key = \"env:OLD_KEY\", till = 2026-12-01T00:00:00Z }]",
        &[("unknown_key", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nold_master_keys = \"env:OLD_KEY\"",
        &[("wrong_type", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\ninvoice_expiry_secs = 59",
        &[("invalid_value", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\ninvoices_per_minute = 0",
        &[("invalid_value", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nreplay_status = 403",
        &[("invalid_value", 10)],
    ),
    (
        9,
        "master_key = \"env:MASTER_KEY\"\nlsat_line = 1",
        &[("wrong_type", 10)],
    ),
    (12, "price = \"0 sat\"", &[("zero_price", 12)]),
    (12, "price = \"0.0001 sat\"", &[("invalid_price", 12)]),
    (
        12,
        "price = \"99999999999999999999 sat\"",
        &[("invalid_price", 12)],
    ),
    (12, "price = []", &[("invalid_price", 12)]),
    (
        12,
        "price = [\"10 sat\", \"20 sat\"]",
        &[("contradiction", 12)],
    ),
    (
        12,
        "price = [\"10 sat\", \"free\"]",
        &[("contradiction", 12)],
    ),
    (12, "price = [\"10 sat\", [\"$1\"]]", &[("wrong_type", 12)]),
    (12, "price = [\"10 sat\", 1]", &[("invalid_price", 12)]),
    (
        12,
        "price = [\"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\", \"1 sat\"]",
        &[("too_many", 12)],
    ),
    (12, "price = [\"10 sat\", \"$1\"]", &[("missing_key", 10)]),
    (
        12,
        "price = [\"10 sat\", \"$1\"]\nnetwork = \"base-sepolia\"\npay_to = \"0xa0Ee7A142d267C1f36714E4a8F75612F20a79720\"",
        &[("missing_key", 1)],
    ),
    (
        12,
        "price = \"10 sat\"\npay_to = \"0x1\"",
        &[("contradiction", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nsettle = \"background\"",
        &[("contradiction", 13)],
    ),
    (
        12,
        "price = \"free\"\nl402 = { uses = 2 }",
        &[("contradiction", 13)],
    ),
    (12, "price = \"10 sat\"\nl402 = 5", &[("wrong_type", 13)]),
    (
        12,
        "price = \"10 sat\"\nl402 = { use = 2 }",
        &[("unknown_key", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { uses = 0 }",
        &[("invalid_value", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { uses = \"many\" }",
        &[("invalid_value", 13)],
    ),
    (
        12,
        "price = \"10 msat\"\nl402 = { uses = 11 }",
        &[("contradiction", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { valid_secs = 600 }",
        &[("invalid_value", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { scope = \"all\" }",
        &[("invalid_value", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { tier = 256 }",
        &[("invalid_value", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { service = \"a:b\" }",
        &[("invalid_token_word", 13)],
    ),
    (
        12,
        "price = \"10 sat\"\nl402 = { capability = \"a,b\" }",
        &[("invalid_token_word", 13)],
    ),
    (
        11,
        "match = \"GET /caf\u{e9}\"",
        &[("invalid_token_word", 11)],
    ),
];

#[test]
fn every_mistake_about_lightning_is_named_with_its_line() {
    assert!(Config::parse(LIGHTNING, &env()).is_ok());
    for (line, instead, expected) in LIGHTNING_MISTAKES {
        let text: String = LIGHTNING
            .lines()
            .enumerate()
            .map(|(index, own)| if index + 1 == *line { *instead } else { own })
            .filter(|line| !line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect();
        let Err(errors) = Config::parse(&text, &env()) else {
            panic!("accepted:\n{text}")
        };
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.code.as_str(), error.line))
            .collect();
        assert_eq!(found, *expected, "{text}\n{errors}");
        assert!(!errors.to_string().contains("0201abcdef"));
    }
}

#[test]
fn old_keys_are_good_for_as_long_as_the_file_says() {
    let lightning = |text: &str| {
        let gate = Config::parse(text, &env()).unwrap().gate.unwrap();
        gate.lightning.unwrap()
    };
    let rotated = lightning(&LIGHTNING.replace(
        "env:MASTER_KEY\"",
        "env:MASTER_KEY\"\nold_master_keys = [\"env:OLD_KEY\", { key = \"file:/etc/oldest\", until = 2026-12-01T00:00:00Z }]",
    ));
    let untils: Vec<_> = rotated
        .old_master_keys
        .iter()
        .map(|old| old.until)
        .collect();
    assert_eq!(untils, [None, Some(Timestamp::from_secs(1_796_083_200))]);
    // The earlier name of the setting is still read.
    let earlier = lightning(&LIGHTNING.replace("master_key", "root_key"));
    assert_eq!(earlier, lightning(LIGHTNING));
}

#[test]
fn satoshis_are_asked_for_as_the_file_says() {
    let gate = |text: &str| Config::parse(text, &env()).unwrap().gate.unwrap();
    let ask = |text: &str| {
        let RoutePrice::Paid(offer) = &gate(text).routes[0].price else {
            panic!()
        };
        let ask = offer.asks.iter().find_map(Ask::as_lightning);
        ask.unwrap().clone()
    };
    let plain = LightningAsk {
        network: BitcoinNetwork::Regtest,
        price: Msat::new(10_000),
        route: "/joke/*".into(),
        service: "api.example".into(),
        tier: 0,
        capability: None,
        uses: NonZeroU32::new(1),
        valid_secs: 3_600,
        scope: Scope::Route,
        is_bound_to_client: false,
    };
    assert_eq!(gate(LIGHTNING).facilitator, None);
    assert_eq!(ask(LIGHTNING), plain);
    let unusual = LIGHTNING.replace(
        "price = \"10 sat\"",
        "host = \"b.example\"\nprice = [\"2500 msat\"]\n[route.l402]\nuses = \"unlimited\"\nvalid_secs = 86400\nscope = \"path\"\n\
         service = \"jokes\"\ntier = 2\ncapability = \"bad\"\nbind_client = true",
    );
    let expected = LightningAsk {
        price: Msat::new(2_500),
        route: "b.example/joke/*".into(),
        service: "jokes".into(),
        tier: 2,
        capability: Some("bad".into()),
        uses: None,
        valid_secs: 86_400,
        scope: Scope::Path,
        is_bound_to_client: true,
        ..plain
    };
    assert_eq!(ask(&unusual), expected);
    // A token lasts at least as long as its invoice.
    let slow = LIGHTNING.replace("master_key", "invoice_expiry_secs = 7200\nmaster_key");
    assert_eq!(ask(&slow).valid_secs, 7_260);
    let no_host = LIGHTNING.replace("https://api.example", "http://[::1]:4021");
    assert_eq!(&*ask(&no_host).service, "faregate");
    let everywhere = LIGHTNING.replace("GET /joke/*", "*");
    assert_eq!(&*ask(&everywhere).route, "/*");

    let both = LIGHTNING
        .replace("\"10 sat\"", "[\"$0.001\", \"10 sat\"]")
        .replace(
            "[gate.lightning]",
            "network = \"base-sepolia\"\npay_to = \"0xa0Ee7A142d267C1f36714E4a8F75612F20a79720\"\n\
         facilitator = { url = \"https://facilitator.example\" }\n[gate.lightning]",
        );
    let RoutePrice::Paid(offer) = &gate(&both).routes[0].price else {
        panic!()
    };
    let rails: Vec<_> = offer.asks.iter().map(Ask::rail).collect();
    assert_eq!(rails, [RailName::X402, RailName::L402]);
    assert!(gate(&both).facilitator.is_some());
}

#[test]
fn a_webhook_hears_of_payments_and_of_what_else_it_asks_for() {
    let told = |line: &str| {
        let table = format!(
            "[gate.webhook]\nurl = \"https://shop.example/hook\"\nsecret = \"env:TOKEN\"\n{line}\n[gate.lightning]"
        );
        let text = LIGHTNING.replace("[gate.lightning]", &table);
        let config = Config::parse(&text, &env()).unwrap();
        let events = config.gate.unwrap().webhook.unwrap().events;
        EventKind::ALL.map(|kind| events.has(kind))
    };
    assert_eq!(told(""), [true, false, false]);
    assert_eq!(told("events = \"token.issued\""), [false, false, true]);
    let both = "events = [\"payment.failed\", \"payment.received\"]";
    assert_eq!(told(both), [true, true, false]);
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_read(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        instead in "[\\[\\]{}\"'=#,a0-9$\n]{0,6}",
    ) {
        let start = at.index(LIGHTNING.len());
        let end = (start + cut).min(LIGHTNING.len());
        let damaged = format!("{}{instead}{}", &LIGHTNING[..start], &LIGHTNING[end..]);
        match Config::parse(&damaged, &env()) {
            Ok(config) => prop_assert!(config.gate.is_some()),
            Err(errors) => prop_assert!(errors.iter().next().is_some()),
        }
    }

    #[test]
    fn any_price_is_read_or_refused(price in "[\"\\[\\], a-zA-Z0-9.$]{0,30}") {
        let text = LIGHTNING.replace("\"10 sat\"", &price);
        drop(Config::parse(&text, &env()));
    }
}

#[test]
fn a_store_of_used_tokens_is_shared_by_gates() {
    let with = |lines: &str| {
        let text = LIGHTNING.replace(
            "network = \"regtest\"",
            &format!("network = \"regtest\"\n{lines}"),
        );
        let gate = Config::parse(&text, &env()).unwrap().gate.unwrap();
        gate.lightning.unwrap().replay
    };
    assert_eq!(with(""), None);
    let shared = with(
        "replay = \"redis://10.0.0.1:7000/3\"\nreplay_plain = true\nreplay_user = \"gate\"\nreplay_password = \"env:TOKEN\"\nreplay_keys = \"typescript\"",
    );
    let shared = shared.unwrap();
    assert_eq!(
        (&*shared.host, shared.port, shared.database),
        ("10.0.0.1", 7000, 3)
    );
    assert_eq!(shared.user.as_deref(), Some("gate"));
    assert_eq!(
        shared.dialect,
        faregate_types::l402::replay::Dialect::TypeScript
    );
    let password = shared.password.unwrap().load(&env()).unwrap();
    assert_eq!(password.expose(), b"tok");
}
