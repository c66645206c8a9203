//! `[gate.permit]` and `permit` of routes: what they mean, and every mistake with its line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use faregate_core::{Ask, PermitAsk, TokenPolicy};
use faregate_server::config::{Config, Env, GatewayConfig, RoutePrice, SecretSource};
use faregate_types::{RailName, TransferMethod, U256};
use proptest::prelude::*;

const KEY: &str = "kept-to-itself-5f1c";

fn env() -> Env {
    [
        ("TOKEN_KEY", KEY),
        ("SIGNER", &"11".repeat(32)),
        ("EMPTY", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A gate whose prices in tokens are payable with permits too.
const PERMIT: &str = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
network = "sepolia"
pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
[gate.facilitator]
rpc_url = "http://127.0.0.1:8545"
signer_key = "env:SIGNER"
[gate.permit]
token_key = "env:TOKEN_KEY"
[[route]]
match = "GET /joke"
price = "$0.5"
"#;

fn gate(text: &str) -> GatewayConfig {
    match Config::parse(text, &env()) {
        Ok(config) => config.gate.unwrap(),
        Err(errors) => panic!("{errors}\n{text}"),
    }
}

fn asks(gate: &GatewayConfig, route: usize) -> &[Ask] {
    match &gate.routes[route].price {
        RoutePrice::Paid(offer) => &offer.asks,
        RoutePrice::Free => &[],
    }
}

fn permit(text: &str) -> PermitAsk {
    let gate = gate(text);
    let found = asks(&gate, 0).iter().find_map(Ask::as_permit);
    found.unwrap().clone()
}

fn rails(text: &str) -> Vec<RailName> {
    asks(&gate(text), 0).iter().map(Ask::rail).collect()
}

#[test]
fn a_gate_that_says_only_its_key_takes_permits_beside_x402() {
    let config = gate(PERMIT).permit.unwrap();
    assert_eq!(config.token_key, SecretSource::Env("TOKEN_KEY".into()));
    assert_eq!(config.endpoint.as_str(), "/token");
    assert_eq!(&*config.audience, "https://api.example/");
    assert!(config.deploys);
    assert_eq!(rails(PERMIT), [RailName::X402, RailName::PERMIT]);
    let ask = permit(PERMIT);
    assert_eq!(ask.amount.value(), U256::from(500_000));
    assert_eq!(
        (ask.policy, ask.token_secs),
        (TokenPolicy::Optimistic, 3_600)
    );
    assert_eq!((&*ask.currency, &*ask.asset.symbol), ("USDC", "USDC"));
    let pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
    assert_eq!(ask.treasury.to_string(), pay_to);
    assert_eq!(ask.exposure_max % ask.amount.value(), U256::ZERO);
    assert!(ask.exposure_max >= ask.amount.value());
}

#[test]
fn routes_change_what_the_gate_says_or_take_no_permits() {
    let said = PERMIT.replace(
        "token_key = \"env:TOKEN_KEY\"",
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"/pay/token\"\naudience = \"jokes\"\ndeploy_settler = false\n\
         policy = \"simulated\"\ntoken_expires_in = 60\nexposure_prices = 3",
    );
    let config = gate(&said).permit.unwrap();
    assert_eq!(
        (config.endpoint.as_str(), &*config.audience),
        ("/pay/token", "jokes")
    );
    assert!(!config.deploys);
    let inherited = permit(&said);
    assert_eq!(
        (inherited.policy, inherited.token_secs),
        (TokenPolicy::Simulated, 60)
    );
    assert_eq!(inherited.exposure_max, U256::from(1_500_000));

    let own = format!(
        "{said}permit = {{ policy = \"settled\", token_expires_in = 5, exposure_prices = 1 }}\n"
    );
    let ask = permit(&own);
    assert_eq!((ask.policy, ask.token_secs), (TokenPolicy::Settled, 5));
    assert_eq!(ask.exposure_max, U256::from(500_000));
    // What a route leaves out is what the gate says.
    let part = permit(&format!("{said}permit = {{ policy = \"optimistic\" }}\n"));
    assert_eq!(
        (part.policy, part.token_secs),
        (TokenPolicy::Optimistic, 60)
    );

    let off = format!("{said}permit = false\n");
    assert_eq!(rails(&off), [RailName::X402]);
    assert!(gate(&off).permit.is_some(), "other routes may take them");
}

/// A token without EIP-3009 in the built-in table or in the file: only permits are taken of it.
const PERMIT2_ONLY: &str = r#"
[[asset]]
id = "eip155:11155111/erc20:0xbDeaD2A70Fe794D2f97b37EFDE497e68974a296d"
symbol = "USDT"
decimals = 6
name = "Tether USD"
version = "1"
transfer = "permit2"
"#;

#[test]
fn a_token_without_eip_3009_is_payable_with_permits_only() {
    let text = format!("{}{PERMIT2_ONLY}", PERMIT.replace("$0.5", "0.5 USDT"));
    assert_eq!(rails(&text), [RailName::PERMIT]);
    let ask = permit(&text);
    assert_eq!(ask.asset.transfer, TransferMethod::Permit2);
    // Clients choose the kind of permit by this word: everything but USDC and a few others is paid through Permit2.
    assert_eq!(&*ask.currency, "USDT");
    // Both ways of one route, each asset with the rails that it has.
    let both = text.replace("\"0.5 USDT\"", "[\"$0.5\", \"0.5 USDT\"]");
    assert_eq!(
        rails(&both),
        [RailName::X402, RailName::PERMIT, RailName::PERMIT]
    );
    // On another chain there is nobody to collect it.
    let elsewhere = text.replace("rpc_url =", "network = \"base-sepolia\"\nrpc_url =");
    let errors = Config::parse(&elsewhere, &env()).unwrap_err();
    assert!(
        errors.to_string().contains("does not settle it"),
        "{errors}"
    );
    let none = format!("{text}\n").replace("price = ", "permit = false\nprice = ");
    let errors = Config::parse(&none, &env()).unwrap_err();
    assert_eq!(
        errors.iter().next().unwrap().code.as_str(),
        "no_usable_rail"
    );
}

#[test]
fn routes_that_the_token_endpoint_hides_are_mistakes() {
    let with = |matches: &str| {
        let route = format!("[[route]]\nmatch = \"{matches}\"\nprice = \"free\"\n");
        Config::parse(&format!("{PERMIT}{route}"), &env())
    };
    for hidden in [
        "/token",
        "POST /token",
        "GET /token/receipts/*",
        "GET /token/receipts/mine",
        "POST /token/q_0123",
    ] {
        let errors = with(hidden).unwrap_err();
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.code.as_str(), error.line))
            .collect();
        assert_eq!(found, [("shadowed_route", 14)], "{hidden}");
    }
    // These have requests of their own as well.
    for seen in [
        "/token/*",
        "/tokens",
        "POST /token/q_1/more",
        "/token/other",
        "/*",
        "*",
    ] {
        with(seen).unwrap();
    }
    // Without permits the path is the routes' own.
    let lines: Vec<&str> = PERMIT
        .lines()
        .filter(|line| !line.contains("token_key") && *line != "[gate.permit]")
        .collect();
    let without = format!(
        "{}\n[[route]]\nmatch = \"/token\"\nprice = \"free\"\n",
        lines.join("\n")
    );
    assert!(gate(&without).permit.is_none());
}

/// A line of `PERMIT`, what stands there instead, and the faults that this makes: code and line.
type Case = (usize, &'static str, &'static [(&'static str, usize)]);

const MISTAKES: &[Case] = &[
    (10, "", &[("missing_key", 9)]),
    (
        10,
        "token_key = \"kept-to-itself-5f1c\"",
        &[("invalid_secret", 10)],
    ),
    (10, "token_key = \"env:NOWHERE\"", &[("invalid_secret", 10)]),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\npolicy = \"fast\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\npolicy = 5",
        &[("wrong_type", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_expires_in = 0",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\nexposure_prices = 0",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"token\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"/\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"/token?q=1\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"//evil.example/token\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ntoken_endpoint = \"https://evil.example/token\"",
        &[("invalid_value", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\ndeploy_settler = \"yes\"",
        &[("wrong_type", 11)],
    ),
    (
        10,
        "token_key = \"env:TOKEN_KEY\"\nexpires_in = 60",
        &[("unknown_key", 11)],
    ),
    (
        13,
        "price = \"$0.5\"\npermit = { policy = \"never\" }",
        &[("invalid_value", 14)],
    ),
    (
        13,
        "price = \"$0.5\"\npermit = { key = \"x\" }",
        &[("unknown_key", 14)],
    ),
    (13, "price = \"$0.5\"\npermit = true", &[("wrong_type", 14)]),
    (
        13,
        "price = \"free\"\npermit = false",
        &[("contradiction", 14)],
    ),
    // Payers read the price as a float.
    (
        13,
        "price = \"1234567890.1234567 USDC\"",
        &[("invalid_price", 13)],
    ),
    (
        13,
        "price = { asset = \"USDC\", amount = \"1234567890123456\" }",
        &[("invalid_price", 13)],
    ),
];

fn instead(line: usize, instead: &str) -> String {
    let lines = PERMIT.lines().enumerate();
    let lines = lines.map(|(index, own)| if index + 1 == line { instead } else { own });
    lines
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn every_mistake_about_permits_is_named_with_its_line() {
    for (line, text, expected) in MISTAKES {
        let text = instead(*line, text);
        let Err(errors) = Config::parse(&text, &env()) else {
            panic!("accepted:\n{text}")
        };
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.code.as_str(), error.line))
            .collect();
        assert_eq!(found, *expected, "{text}\n{errors}");
        assert!(!errors.to_string().contains(KEY));
    }
}

#[test]
fn permits_need_a_table_and_a_facilitator_of_the_gates_own() {
    let remote = PERMIT.replace(
        "rpc_url = \"http://127.0.0.1:8545\"\nsigner_key = \"env:SIGNER\"",
        "url = \"https://facilitator.example\"",
    );
    let errors = Config::parse(&remote, &env()).unwrap_err();
    assert!(
        errors.to_string().contains("collected by the gate itself"),
        "{errors}"
    );
    assert_eq!(
        errors.iter().next().unwrap().code.as_str(),
        "no_usable_rail"
    );
    // A gate that takes none anywhere may have it settled by somebody else.
    gate(&format!("{remote}permit = false\n"));

    let no_table = PERMIT.replace("[gate.permit]\ntoken_key = \"env:TOKEN_KEY\"\n", "");
    assert_eq!(rails(&no_table), [RailName::X402]);
    let asked = format!("{no_table}permit = {{ policy = \"settled\" }}\n");
    let errors = Config::parse(&asked, &env()).unwrap_err();
    assert!(errors.to_string().contains("[gate.permit]"), "{errors}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_read(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        instead in "[\\[\\]{}\"'=#,a0-9$/*\n]{0,6}",
    ) {
        let start = at.index(PERMIT.len());
        let end = (start + cut).min(PERMIT.len());
        let damaged = format!("{}{instead}{}", &PERMIT[..start], &PERMIT[end..]);
        match Config::parse(&damaged, &env()) {
            Ok(config) => prop_assert!(config.gate.is_some()),
            Err(errors) => prop_assert!(errors.iter().next().is_some()),
        }
    }
}
