//! Configuration files: the examples load, and every kind of mistake is named with its line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use faregate_core::SettlePolicy;
use faregate_server::config::{
    Config, ConfigErrors, Env, FacilitatorSource, RoutePrice, SecretSource, SenderConfig,
    StoreConfig, Unmatched,
};
use faregate_tower::Cors;
use faregate_types::{ChainId, U256};
use proptest::prelude::*;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn env() -> Env {
    [
        ("FAREGATE_FACILITATOR_KEY", KEY),
        ("FACILITATOR_KEY", KEY),
        ("FAREGATE_SIGNER_KEY", KEY),
        ("FAREGATE_TOKEN_KEY", "a key for access tokens"),
        ("RPC_URL", "http://user:secret@127.0.0.1:8545/v3/topsecret"),
        ("SHORT_KEY", "0x1234"),
        ("QUOTE", "x\"]\nmainnet = true"),
        ("TOKEN", "tok"),
        ("LND_MACAROON", "0201"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_ledger_is_a_file_or_a_database_whose_password_is_not_shown() {
    let read = |store: &str| {
        let text = format!(
            "[gate]\npublic_url = \"http://localhost\"\nupstream = \"http://127.0.0.1:1\"\nstore = '{store}'\n\
             [[route]]\nmatch = \"GET /free\"\nprice = \"free\"\n"
        );
        Config::parse(&text, &env()).map(|config| config.gate.unwrap().store)
    };
    for file in ["books.db", "/var/lib/books.db", ":memory:", "postgres.db"] {
        assert_eq!(read(file).unwrap(), StoreConfig::File(file.into()));
    }
    for scheme in ["postgres", "postgresql"] {
        let store = read(&format!("{scheme}://gate:${{TOKEN}}@db.internal/books")).unwrap();
        assert!(!format!("{store:?}").contains("tok"), "{store:?}");
        let StoreConfig::Postgres(url) = store else {
            panic!("a file");
        };
        assert_eq!(
            url.expose(),
            format!("{scheme}://gate:tok@db.internal/books")
        );
    }
    for wrong in [
        "mysql://gate@db/books",
        "http://db/books",
        "postgres://gate:${NOBODY}@db/books",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).unwrap();
            Config::parse(&text, &env())
                .unwrap_or_else(|errors| panic!("{}", errors.display(&path.display().to_string())));
            count += 1;
        }
    }
    assert_eq!(count, 5);
}

#[test]
fn a_file_means_what_it_says() {
    let gate = Config::parse(&example("gate-remote.toml"), &env())
        .unwrap()
        .gate
        .unwrap();
    assert_eq!(gate.bind.to_string(), "127.0.0.1:4021");
    assert_eq!(gate.unmatched, Unmatched::Refuse);
    assert_eq!(gate.cors, Cors::Any);
    let policies: Vec<Option<(SettlePolicy, U256)>> = gate
        .routes
        .iter()
        .map(|route| match &route.price {
            RoutePrice::Free => None,
            RoutePrice::Paid(offer) => Some((offer.settle, offer.asks[0].amount().value())),
        })
        .collect();
    let usd = |units: u64| U256::from(units);
    assert_eq!(
        policies,
        [
            Some((SettlePolicy::After, usd(1_000))),
            Some((SettlePolicy::Before, usd(50_000))),
            None
        ]
    );

    let gate = Config::parse(&example("gate-embedded.toml"), &env())
        .unwrap()
        .gate
        .unwrap();
    let Some(FacilitatorSource::Embedded(embedded)) = &gate.facilitator else {
        panic!()
    };
    assert_eq!(embedded.networks[0].chain, ChainId::BASE_SEPOLIA);
    assert_eq!(
        embedded.networks[0].rpc_url.expose().as_str(),
        "http://user:secret@127.0.0.1:8545/v3/topsecret"
    );
    assert_eq!(
        embedded.signer_keys,
        [SecretSource::Env("FAREGATE_FACILITATOR_KEY".into())]
    );
    assert!(embedded.signer_keys[0].load_key(&env()).is_ok());
    assert_eq!(gate.limits.upstream_timeout, Duration::from_secs(30));
    assert_eq!(gate.limits.response_bytes_max, 1_048_576);
    assert_eq!(gate.limits.replay_window, Duration::from_secs(7_200));
    assert_eq!(gate.routes[0].upstream.as_str(), "http://127.0.0.1:8001/");
    let shown = format!("{gate:?}");
    assert!(
        !shown.contains("topsecret") && !shown.contains("user:secret") && !shown.contains(KEY),
        "{shown}"
    );

    let facilitator = Config::parse(&example("facilitator.toml"), &env())
        .unwrap()
        .facilitator
        .unwrap();
    assert_eq!(facilitator.embedded.networks.len(), 2);
    assert_eq!(facilitator.embedded.networks[1].assets[1].decimals, 18);
    let sender = &facilitator.embedded.networks[0].sender;
    assert_eq!(
        sender.balance_floor,
        Some(U256::from(10).pow(U256::from(15)))
    );
    assert_eq!(sender.bump_after, Some(Duration::from_secs(30)));
    assert_eq!(sender.confirmations_final, Some(12));
    let sender = &facilitator.embedded.networks[1].sender;
    assert_eq!(*sender, SenderConfig::default());
}

#[test]
fn sending_is_configured_per_network() {
    let text = |lines: &str| {
        format!(
            "[facilitator]\nsigner_key = \"env:FACILITATOR_KEY\"\nnetwork = \"eip155:84532\"\nrpc_url = \"http://127.0.0.1:1\"\n{lines}"
        )
    };
    let address = "0xC544eF3F48DFF0Fa2A948e5F4811BAe36C653EF7";
    let good = text(&format!(
        "batch_settler = \"{address}\"\nbatch_items_max = 256\nbalance_floor_gwei = 0\nwallet_factories = [\"{address}\"]\n"
    ));
    let config = Config::parse(&good, &env()).unwrap();
    let sender = config.facilitator.unwrap().embedded.networks[0]
        .sender
        .clone();
    let address = address.parse().unwrap();
    let expected = SenderConfig {
        batch_settler: Some(address),
        batch_items_max: Some(256),
        balance_floor: Some(U256::ZERO),
        wallet_factories: vec![address],
        ..SenderConfig::default()
    };
    assert_eq!(sender, expected);
    for line in [
        "batch_settler = \"0x12\"",
        "batch_items_max = 0",
        "batch_items_max = 257",
        "bump_after_secs = 0",
        "confirmations_final = -1",
        "balance_floor_gwei = \"much\"",
        "wallet_factories = [\"somebody\"]",
    ] {
        assert!(Config::parse(&text(line), &env()).is_err(), "{line}");
    }
}

const GATE: &str = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
network = "eip155:84532"
pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
facilitator = { url = "https://facilitator.example" }
[[route]]
match = "GET /joke"
price = "$0.001"
"#;

fn faults(errors: &ConfigErrors) -> Vec<(&'static str, usize)> {
    errors
        .iter()
        .map(|error| (error.code.as_str(), error.line))
        .collect()
}

/// A line of `GATE`, what stands there instead, and the faults that this makes: code and line.
type Case = (usize, &'static str, &'static [(&'static str, usize)]);

const MISTAKES: &[Case] = &[
    (
        1,
        "[gate]\nlimits = { request_body_bytes_max = 9, paid_body_bytes_max = 10 }",
        &[("contradiction", 2)],
    ),
    (1, "[gates]", &[("unknown_key", 1), ("contradiction", 7)]),
    (1, "[gate", &[("syntax", 1)]),
    (1, "[gate]\ncolour = \"red\"", &[("unknown_key", 2)]),
    (
        1,
        "[gate]\nbind = \"localhost:80\"",
        &[("invalid_value", 2)],
    ),
    (1, "[gate]\nbind = 4021", &[("wrong_type", 2)]),
    (1, "[gate]\nunmatched = \"pay\"", &[("invalid_value", 2)]),
    (
        1,
        "[gate]\ncors = [\"https://a.example/path\"]",
        &[("invalid_value", 2)],
    ),
    (1, "[gate]\ncors = []", &[("invalid_value", 2)]),
    (1, "[gate]\nmax_timeout_secs = 5", &[("invalid_value", 2)]),
    (1, "[gate]\nmax_timeout_secs = -1", &[("invalid_value", 2)]),
    (1, "[gate]\nmax_timeout_secs = \"60\"", &[("wrong_type", 2)]),
    (
        1,
        "[gate]\nlimits = { requests_max = 0 }",
        &[("invalid_value", 2)],
    ),
    (
        1,
        "[gate]\nlimits = { replay_window_secs = 3599 }",
        &[("invalid_value", 2)],
    ),
    (
        1,
        "[gate]\nlimits = { request_max = 1 }",
        &[("unknown_key", 2)],
    ),
    (
        1,
        "[gate]\nstart_without_facilitator = 1",
        &[("wrong_type", 2)],
    ),
    (2, "", &[("missing_key", 1)]),
    (2, "public_url = \"\"", &[("invalid_value", 2)]),
    (2, "public_url = \"api.example\"", &[("invalid_url", 2)]),
    (
        2,
        "public_url = \"ftp://api.example\"",
        &[("invalid_url", 2)],
    ),
    (
        2,
        "public_url = \"https://u:p@api.example\"",
        &[("invalid_url", 2)],
    ),
    (
        2,
        "public_url = \"https://api.example/?x=1\"",
        &[("invalid_url", 2)],
    ),
    (2, "public_url = \"${NOWHERE}\"", &[("environment", 2)]),
    (2, "public_url = \"${NOWHERE\"", &[("environment", 2)]),
    (2, "public_url = \"${QUOTE}\"", &[("invalid_url", 2)]),
    (3, "", &[("missing_key", 7)]),
    (3, "upstream = \"ftp://127.0.0.1\"", &[("invalid_url", 3)]),
    (
        3,
        "upstream = \"http://127.0.0.1/?q\"",
        &[("invalid_url", 3)],
    ),
    (4, "", &[("missing_key", 7)]),
    (
        4,
        "network = \"eip155:123456789\"",
        &[("unknown_network", 4)],
    ),
    (
        4,
        "network = \"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp\"",
        &[("unknown_network", 4)],
    ),
    (4, "network = \"moon\"", &[("unknown_network", 4)]),
    (
        4,
        "network = \"eip155:8453\"",
        &[("mainnet_not_enabled", 4)],
    ),
    (4, "network = \"base\"", &[("mainnet_not_enabled", 4)]),
    (5, "", &[("missing_key", 7)]),
    (5, "pay_to = \"0x1234\"", &[("invalid_address", 5)]),
    (
        5,
        "pay_to = \"0xA0Ee7A142d267C1f36714E4a8F75612F20a79720\"",
        &[("invalid_address", 5)],
    ),
    (
        5,
        "pay_to = \"a0Ee7A142d267C1f36714E4a8F75612F20a79720\"",
        &[("invalid_address", 5)],
    ),
    (
        5,
        "pay_to = \"0x0000000000000000000000000000000000000000\"",
        &[("invalid_address", 5)],
    ),
    (6, "", &[("missing_key", 1)]),
    (
        6,
        "facilitator = {}",
        &[("missing_key", 6), ("missing_key", 6)],
    ),
    (
        6,
        "facilitator = \"https://facilitator.example\"",
        &[("wrong_type", 6)],
    ),
    (
        6,
        "facilitator = { url = \"http://facilitator.example\" }",
        &[("invalid_url", 6)],
    ),
    (
        6,
        "facilitator = { url = \"https://f.example\", signer_key = \"env:FACILITATOR_KEY\" }",
        &[("contradiction", 6)],
    ),
    (
        6,
        "facilitator = { url = \"https://f.example\", token = \"abc\" }",
        &[("invalid_secret", 6)],
    ),
    (
        6,
        "facilitator = { rpc_url = \"http://127.0.0.1:8545\" }",
        &[("missing_key", 6)],
    ),
    (
        6,
        "facilitator = { rpc_url = \"http://127.0.0.1:8545\", signer_key = \"env:NOWHERE\" }",
        &[("invalid_secret", 6)],
    ),
    (
        6,
        "facilitator = { rpc_url = \"http://127.0.0.1:8545\", signer_key = \"env:SHORT_KEY\" }",
        &[("invalid_secret", 6)],
    ),
    (
        6,
        "facilitator = { rpc_url = \"http://127.0.0.1:8545\", signer_key = \"file:key.hex\" }",
        &[("invalid_secret", 6)],
    ),
    (
        6,
        "facilitator = { rpc_url = \"http://127.0.0.1\", signer_key = \"env:FACILITATOR_KEY\", network = \"eip155:31337\" }",
        &[("no_usable_rail", 6)],
    ),
    (
        7,
        "",
        &[("missing_key", 1), ("unknown_key", 8), ("unknown_key", 9)],
    ),
    (8, "", &[("missing_key", 7)]),
    (8, "match = \"GET joke\"", &[("invalid_pattern", 8)]),
    (8, "match = \"GTE /joke\"", &[("invalid_pattern", 8)]),
    (8, "match = \"OPTIONS /joke\"", &[("invalid_pattern", 8)]),
    (8, "match = \"/joke/../x\"", &[("invalid_pattern", 8)]),
    (
        8,
        "match = \"GET /joke\"\nhost = \"a:80\"",
        &[("invalid_pattern", 9)],
    ),
    (9, "", &[("missing_key", 7)]),
    (9, "price = \"\"", &[("invalid_price", 9)]),
    (9, "price = 0.001", &[("invalid_price", 9)]),
    (9, "price = 1", &[("invalid_price", 9)]),
    (9, "price = true", &[("wrong_type", 9)]),
    (9, "price = \"abc\"", &[("invalid_price", 9)]),
    (9, "price = \"-1\"", &[("invalid_price", 9)]),
    (9, "price = \"1,000\"", &[("invalid_price", 9)]),
    (9, "price = \"$0\"", &[("zero_price", 9)]),
    (9, "price = \"0.000\"", &[("zero_price", 9)]),
    (9, "price = \"$0.0000001\"", &[("zero_price", 9)]),
    (9, "price = \"1 DOGE\"", &[("unknown_asset", 9)]),
    (9, "price = { amount = \"1000\" }", &[("missing_key", 9)]),
    (9, "price = { asset = \"USDC\" }", &[("missing_key", 9)]),
    (
        9,
        "price = { asset = \"USDC\", amount = \"0\" }",
        &[("zero_price", 9)],
    ),
    (
        9,
        "price = { asset = \"USDC\", amount = \"1e3\" }",
        &[("invalid_price", 9)],
    ),
    (
        9,
        "price = { asset = \"USDC\", amount = 1000 }",
        &[("wrong_type", 9)],
    ),
    (
        9,
        "price = { asset = \"USDC\", amount = \"1\", decimals = 6 }",
        &[("unknown_key", 9)],
    ),
    (
        9,
        "price = { asset = \"eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\", amount = \"1\" }",
        &[("contradiction", 9)],
    ),
    (
        9,
        "price = \"free\"\nsettle = \"after\"\npay_to = \"0x1\"",
        &[("contradiction", 10), ("contradiction", 11)],
    ),
    (
        9,
        "price = \"$1\"\nsettle = \"during\"",
        &[("invalid_value", 10)],
    ),
    (
        9,
        "price = \"$1\"\nsettle = \"after\"\nwebsocket = true",
        &[("contradiction", 11)],
    ),
    (
        9,
        "price = \"$1\"\nsettle = \"background\"",
        &[("missing_key", 7)],
    ),
    (
        9,
        "price = \"$1\"\nsettle = \"background\"\nexposure_max = \"$0.50\"",
        &[("invalid_value", 11)],
    ),
    (
        9,
        "price = \"$1\"\nsettle = \"background\"\nexposure_max = \"2 EURC\"",
        &[("invalid_price", 11)],
    ),
    (
        9,
        "price = \"$1\"\nexposure_max = \"$5\"",
        &[("contradiction", 10)],
    ),
    (
        9,
        "price = \"$1\"\npayment_identifier = \"maybe\"",
        &[("invalid_value", 10)],
    ),
    (
        9,
        "price = \"$1\"\nwebsocket = \"yes\"",
        &[("wrong_type", 10)],
    ),
    (9, "price = \"$1\"\nprise = \"$2\"", &[("unknown_key", 10)]),
    (
        9,
        "price = \"$1\"\nnetwork = \"eip155:8453\"",
        &[("mainnet_not_enabled", 10)],
    ),
    (
        9,
        "price = \"$1\"\n[[route]]\nmatch = \"GET /JOKE/\"\nprice = \"$2\"",
        &[("duplicate_route", 10)],
    ),
    (
        9,
        "price = \"$1\"\n[[route]]\nmatch = \"HEAD /joke\"\nprice = \"free\"",
        &[("shadowed_route", 10)],
    ),
    (
        9,
        "price = \"$1\"\n[[route]]\nmatch = \"/[x]\"\nprice = \"$2\"\n[[route]]\nmatch = \"/y\"\nprice = \"$3\"",
        &[("shadowed_route", 13)],
    ),
    (
        9,
        "price = \"$1\"\nhost = \"a.example\"\n[[route]]\nmatch = \"/b\"\nprice = \"nope\"\nextra = 1",
        &[("invalid_price", 13), ("unknown_key", 14)],
    ),
];

#[test]
fn every_mistake_is_named_with_its_line() {
    for (line, instead, expected) in MISTAKES {
        let text: String = GATE
            .lines()
            .enumerate()
            .map(|(index, old)| {
                if index + 1 == *line {
                    format!("{instead}\n")
                } else {
                    format!("{old}\n")
                }
            })
            .collect();
        let errors = Config::parse(&text, &env())
            .err()
            .unwrap_or_else(|| panic!("accepted:\n{text}"));
        assert_eq!(faults(&errors), *expected, "{text}\n{errors}");
    }
    assert!(Config::parse(GATE, &env()).is_ok());
}

#[test]
fn mistakes_are_reported_together_and_secrets_never() {
    let text = format!(
        "[gate]\npublic_url = \"x\"\nupstream = \"y\"\nnetwork = \"z\"\npay_to = \"w\"\n\
         facilitator = {{ rpc_url = \"${{RPC_URL}}/%%%#frag\", signer_key = \"{KEY}\" }}\n[[route]]\nmatch = \"?\"\nprice = \"?\"\n"
    );
    let errors = Config::parse(&text, &env()).unwrap_err();
    assert_eq!(
        faults(&errors),
        [
            ("invalid_url", 2),
            ("invalid_url", 3),
            ("unknown_network", 4),
            ("invalid_address", 5),
            ("invalid_url", 6),
            ("invalid_secret", 6),
            ("invalid_pattern", 8),
            ("invalid_price", 9),
        ]
    );
    let shown = errors.display("faregate.toml");
    assert!(
        !shown.contains(&KEY[2..]) && !shown.contains("topsecret"),
        "{shown}"
    );
    assert!(
        shown.starts_with("faregate.toml:2:14: gate.public_url: expected a URL"),
        "{shown}"
    );
}

#[test]
fn a_free_rest_and_routes_for_one_host_do_not_go_together() {
    let text =
        GATE.replace("[gate]\n", "[gate]\nunmatched = \"free\"\n") + "host = \"a.example\"\n";
    assert_eq!(
        faults(&Config::parse(&text, &env()).unwrap_err()),
        [("contradiction", 2)]
    );
}

#[test]
fn the_environment_names_a_facilitator_the_way_other_gates_read_it() {
    let text = r#"
        [gate]
        public_url = "https://api.example"
        upstream = "http://127.0.0.1:8000"
        network = "base-sepolia"
        pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        [[route]]
        match = "GET /joke"
        price = "$0.001"
    "#;
    let with = |url: &str| {
        let mut env = env();
        env.insert("FACILITATOR_URL".to_owned(), url.to_owned());
        Config::parse(text, &env).map(|config| config.gate.unwrap().facilitator)
    };
    for url in ["https://facilitator.example/base", "http://127.0.0.1:4022"] {
        assert!(
            matches!(
                with(url),
                Ok(Some(FacilitatorSource::Remote { token: None, .. }))
            ),
            "{url}"
        );
    }
    for url in [
        "",
        "nonsense",
        "ftp://facilitator.example",
        "http://facilitator.example",
    ] {
        let errors = with(url).unwrap_err();
        assert_eq!(faults(&errors), [("invalid_url", 2)], "{url}: {errors}");
    }
    assert_eq!(
        faults(&Config::parse(text, &env()).unwrap_err()),
        [("missing_key", 2)]
    );
}

#[test]
fn mainnet_is_used_once_it_is_named() {
    let text = GATE.replace("eip155:84532", "base");
    let config = Config::parse(&format!("mainnet = true\n{text}"), &env()).unwrap();
    let gate = config.gate.unwrap();
    let RoutePrice::Paid(offer) = &gate.routes[0].price else {
        panic!()
    };
    assert_eq!(
        offer.asks[0].as_token().unwrap().asset.id.chain(),
        ChainId::BASE
    );
    assert_eq!(
        offer.asks[0].as_token().unwrap().asset.domain.name,
        "USD Coin"
    );
}

#[test]
fn an_empty_file_is_no_configuration() {
    for text in ["", "mainnet = true", "# nothing"] {
        assert_eq!(
            faults(&Config::parse(text, &env()).unwrap_err()),
            [("missing_key", 1)],
            "{text}"
        );
    }
}

#[test]
fn a_key_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, format!("  {KEY}\n")).unwrap();
    let source = SecretSource::File(path.clone());
    assert!(source.load_key(&Env::new()).is_ok());
    fs::write(&path, "not a key").unwrap();
    let error = source.load_key(&Env::new()).unwrap_err().to_string();
    assert!(
        error.contains("does not hold a private key") && !error.contains("not a key"),
        "{error}"
    );
    fs::write(&path, "1".repeat(5_000)).unwrap();
    assert!(source.load_key(&Env::new()).is_err());
    assert!(
        SecretSource::File(folder.path().join("none"))
            .load_key(&Env::new())
            .is_err()
    );
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_refused(text in ".{0,200}") {
        drop(Config::parse(&text, &env()));
    }

    #[test]
    fn a_damaged_file_is_refused_or_read_and_never_more(
        name in prop::sample::select(vec!["gate-remote.toml", "gate-embedded.toml", "gate-permit.toml", "facilitator.toml"]),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        instead in "[\\[\\]{}\"'=#a0-9$é\n]{0,4}",
    ) {
        let text = example(name);
        let start = text.floor_char_boundary(at.index(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len()));
        let damaged = format!("{}{instead}{}", &text[..start], &text[end..]);
        match Config::parse(&damaged, &env()) {
            Ok(config) => prop_assert!(config.gate.is_some() || config.facilitator.is_some()),
            Err(errors) => prop_assert!(errors.iter().next().is_some()),
        }
    }
}
