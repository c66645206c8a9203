//! `[gate.credit]` and `credit` of routes: what they mean, and every mistake with its line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use faregate_core::{Ask, CreditAsk};
use faregate_server::config::{Config, Env, GatewayConfig, RoutePrice};
use faregate_types::{Address, B256, RailName, U256};

const SECRET: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const PAY_TO: &str = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
const OWED: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

fn env() -> Env {
    [("CORE_KEY", SECRET), ("SIGNER", SECRET)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A gate whose prices in tokens are payable on credit too: 17 lines.
const CREDIT: &str = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
network = "sepolia"
pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
[gate.facilitator]
rpc_url = "http://127.0.0.1:8545"
signer_key = "env:SIGNER"
[gate.credit]
[[gate.credit.core]]
network = "sepolia"
url = "https://core.example"
rpc_url = "https://node.example"
key = "env:CORE_KEY"
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

fn asks(text: &str) -> Vec<Ask> {
    match &gate(text).routes[0].price {
        RoutePrice::Paid(offer) => offer.asks.clone(),
        RoutePrice::Free => Vec::new(),
    }
}

fn credit(text: &str) -> Vec<CreditAsk> {
    let asks = asks(text).into_iter();
    asks.filter_map(|ask| ask.as_credit().cloned()).collect()
}

fn rails(text: &str) -> Vec<RailName> {
    asks(text).iter().map(Ask::rail).collect()
}

/// The gate with these lines in `[gate.credit]`.
fn said(lines: &str) -> String {
    CREDIT.replace("[gate.credit]\n", &format!("[gate.credit]\n{lines}\n"))
}

/// The gate with this line in its route.
fn route(line: &str) -> String {
    format!("{CREDIT}{line}\n")
}

fn faults(text: &str) -> Vec<(String, usize)> {
    let errors = Config::parse(text, &env()).unwrap_err();
    assert!(!errors.to_string().contains(SECRET), "{errors}");
    let errors = errors.iter();
    errors
        .map(|error| (error.code.as_str().to_owned(), error.line))
        .collect()
}

#[track_caller]
fn fault(text: &str, code: &str, line: usize) {
    assert_eq!(faults(text), [(code.to_owned(), line)], "{text}");
}

const CONDITION: &str = "condition = { registry = \"0x00000000000000000000000000000000000000aa\", \
    validator = \"0x00000000000000000000000000000000000000bb\", agent_id = 7, min_score = 80, tag = \"quality\", \
    job_hash = \"0x2222222222222222222222222222222222222222222222222222222222222222\" }";

#[test]
fn a_gate_that_names_a_core_takes_credit_beside_x402() {
    let config = gate(CREDIT).credit.unwrap();
    assert_eq!(&*config.tab_path, "/.well-known/faregate/tabs");
    let [core] = &*config.cores else {
        panic!("{:?}", config.cores)
    };
    assert_eq!(core.chain.get(), 11_155_111);
    assert_eq!(rails(CREDIT), [RailName::X402, RailName::CREDIT]);
    let [ask] = &*credit(CREDIT) else {
        panic!("one ask per price")
    };
    assert_eq!(ask.amount.value(), U256::from(500_000));
    assert_eq!(ask.recipient.to_string(), PAY_TO);
    assert_eq!(
        &*ask.tab_endpoint,
        "https://api.example/.well-known/faregate/tabs"
    );
    assert!(ask.is_plain && ask.condition.is_none() && ask.owed_max.is_none());
    // The same key, the same core, without any of it in what is printed.
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn routes_change_what_the_gate_says_or_take_no_credit() {
    let said = said(&format!(
        "tab_path = \"/tabs\"\nrecipient = \"{OWED}\"\nowed_max = \"$5\"\n{CONDITION}"
    ));
    let [ask] = &*credit(&said) else { panic!() };
    assert_eq!(ask.recipient.to_string(), OWED);
    assert_eq!(ask.owed_max, Some(U256::from(5_000_000)));
    assert_eq!(&*ask.tab_endpoint, "https://api.example/tabs");
    let condition = ask.condition.clone().unwrap();
    assert_eq!(condition.chain_id, Some(11_155_111));
    assert_eq!(
        (
            condition.agent_id,
            condition.min_score,
            condition.tag.as_str()
        ),
        (U256::from(7), 80, "quality")
    );
    assert_eq!(condition.job_hash, B256::repeat_byte(0x22));

    let own = format!(
        "{said}credit = {{ price = \"$0.01\", recipient = \"{PAY_TO}\", owed_max = \"0.02 USDC\", plain = false }}\n"
    );
    let [ask] = &*credit(&own) else { panic!() };
    assert_eq!(ask.amount.value(), U256::from(10_000));
    assert_eq!(ask.recipient.to_string(), PAY_TO);
    assert_eq!(ask.owed_max, Some(U256::from(20_000)));
    assert!(!ask.is_plain && ask.condition.is_some());
    // The price of everybody else is what it was.
    assert_eq!(asks(&own)[0].amount().value(), U256::from(500_000));

    let plain = format!("{said}credit = {{ condition = false }}\n");
    let [ask] = &*credit(&plain) else { panic!() };
    assert!(ask.is_plain && ask.condition.is_none() && ask.owed_max.is_some());
    let off = format!("{said}credit = false\n");
    assert_eq!(rails(&off), [RailName::X402]);
    assert!(gate(&off).credit.is_some(), "other routes may take it");
    assert_eq!(credit(&format!("{said}credit = true\n")).len(), 1);
}

#[test]
fn every_price_in_tokens_is_one_on_credit_and_eth_is_one_on_credit_only() {
    let both = CREDIT.replace(
        "price = \"$0.5\"",
        "price = [\"$0.5\", { asset = \"USDC\", amount = \"7\" }]",
    );
    fault(&both, "contradiction", 17);
    let eth = route("credit = { price = [\"0.001 ETH\", \"$0.4\"], owed_max = \"1\" }");
    let [eth, usdc] = &*credit(&eth) else {
        panic!("two prices")
    };
    assert_eq!(eth.asset.token(), Address::ZERO);
    assert_eq!(eth.amount.value(), U256::from(1_000_000_000_000_000_u64));
    assert_eq!(
        eth.owed_max,
        Some(U256::from(1_000_000_000_000_000_000_u64))
    );
    assert_eq!(usdc.amount.value(), U256::from(400_000));
    assert_eq!(usdc.owed_max, Some(U256::from(1_000_000)));
    fault(&CREDIT.replace("$0.5", "0.001 ETH"), "unknown_asset", 17);
}

#[test]
fn mistakes_are_named_where_they_are() {
    // Lines 10 and 18 are those that are put in.
    for (lines, code) in [
        ("tab_path = \"tabs\"", "invalid_value"),
        ("tab_path = \"/\"", "invalid_value"),
        ("tab_path = \"/readyz\"", "invalid_value"),
        ("tab_path = \"/tabs/*\"", "invalid_value"),
        ("tab_path = \"/a/../tabs\"", "invalid_value"),
        ("tab_path = \"/tabs?x=1\"", "invalid_value"),
        ("recipient = \"0x12\"", "invalid_address"),
        ("owed_max = \"much\"", "invalid_price"),
        ("owed_max = \"$0\"", "zero_price"),
        ("owed_max = \"$0.4\"", "invalid_value"),
        ("plain = \"yes\"", "wrong_type"),
        ("condition = 5", "wrong_type"),
        ("price = \"$1\"", "unknown_key"),
    ] {
        let found = faults(&said(lines));
        assert_eq!(found[0].0, code, "{lines}: {found:?}");
    }
    fault(&said("plain = false"), "contradiction", 10);
    for (line, code) in [
        ("credit = { price = \"10 sat\" }", "contradiction"),
        ("credit = { price = \"free\" }", "contradiction"),
        ("credit = { price = \"$0\" }", "zero_price"),
        ("credit = { owed_max = \"$0.1\" }", "invalid_value"),
        ("credit = { owed_max = \"5 EURC\" }", "invalid_price"),
        ("credit = { plain = false }", "contradiction"),
        ("credit = { tab_path = \"/x\" }", "unknown_key"),
        ("credit = 5", "wrong_type"),
    ] {
        fault(&route(line), code, 18);
    }
    // A free route has no terms, and one over Lightning only nothing that credit could be given on.
    fault(
        &route("credit = true").replace("\"$0.5\"", "\"free\""),
        "contradiction",
        18,
    );
}

#[test]
fn a_condition_that_no_guarantee_could_meet_is_a_mistake() {
    for (from, to, code) in [
        ("min_score = 80", "min_score = 0", "invalid_value"),
        ("min_score = 80", "min_score = 101", "invalid_value"),
        ("min_score = 80, ", "", "missing_key"),
        ("agent_id = 7", "agent_id = \"seven\"", "invalid_value"),
        ("agent_id = 7, ", "", "missing_key"),
        ("2222222222222222\" }", "22\" }", "invalid_value"),
        (
            "0x2222222222222222222222222222222222222222222222222222222222222222",
            "0x0000000000000000000000000000000000000000000000000000000000000000",
            "invalid_value",
        ),
        (
            "0x2222222222222222222222222222222222222222222222222222222222222222",
            "0x0000000000000000000000000000000000000000000000000000000000000260",
            "invalid_value",
        ),
        (
            "0x00000000000000000000000000000000000000aa",
            "0x0000000000000000000000000000000000000000",
            "invalid_address",
        ),
        ("validator = ", "validater = ", "missing_key"),
    ] {
        let line = format!("credit = {{ {} }}", CONDITION.replace(from, to));
        let found = faults(&route(&line));
        assert_eq!(found[0], (code.to_owned(), 18), "{line}: {found:?}");
    }
    let large = format!(
        "credit = {{ {} }}",
        CONDITION.replace("agent_id = 7", "agent_id = \"0xffffffffffffffffff\"")
    );
    let [ask] = &*credit(&route(&large)) else {
        panic!()
    };
    assert!(ask.condition.clone().unwrap().agent_id > U256::from(u64::MAX));
}

#[test]
fn nobody_gives_credit_without_a_core_on_the_network() {
    let none: Vec<&str> = CREDIT.lines().collect();
    let without = format!("{}\n{}\n", none[..9].join("\n"), none[14..].join("\n"));
    assert_eq!(faults(&without)[0], ("missing_key".to_owned(), 9));
    // No table at all: nothing is on credit, and saying so is a mistake.
    let without = format!("{}\n{}\n", none[..8].join("\n"), none[14..].join("\n"));
    assert_eq!(rails(&without), [RailName::X402]);
    fault(&format!("{without}credit = true\n"), "no_usable_rail", 12);
    let elsewhere = CREDIT.replace(
        "[[gate.credit.core]]\nnetwork = \"sepolia\"",
        "[[gate.credit.core]]\nnetwork = \"base-sepolia\"",
    );
    assert_eq!(faults(&elsewhere)[0].0, "no_usable_rail");
    let twice = CREDIT.replace(
        "[[route]]",
        "[[gate.credit.core]]\nnetwork = \"sepolia\"\nurl = \"https://b.example\"\nrpc_url = \"https://c.example\"\n[[route]]",
    );
    assert_eq!(faults(&twice)[0].0, "contradiction");
    let plain = CREDIT.replace("https://core.example", "http://core.example");
    fault(&plain, "invalid_url", 12);
    let no_node = CREDIT.replace("rpc_url = \"https://node.example\"\n", "");
    assert_eq!(faults(&no_node)[0].0, "missing_key");
    let nobody = CREDIT.replace(&format!("pay_to = \"{PAY_TO}\"\n"), "");
    let codes: Vec<String> = faults(&nobody).into_iter().map(|(code, _)| code).collect();
    assert!(codes.iter().all(|code| code == "missing_key"), "{codes:?}");
    assert!(!codes.is_empty());
}

#[test]
fn the_tab_endpoint_hides_no_route_and_is_not_hidden() {
    let with = |route: &str| format!("{CREDIT}[[route]]\nmatch = \"{route}\"\nprice = \"free\"\n");
    for hidden in [
        "/.well-known/faregate/tabs",
        "POST /.well-known/faregate/tabs",
    ] {
        fault(&with(hidden), "shadowed_route", 18);
    }
    for seen in ["/.well-known/*", "/*", "/.well-known/faregate/tabs/1"] {
        gate(&with(seen));
    }
    let permit = |path: &str| {
        said(&format!("tab_path = \"{path}\"")).replace(
            "[[route]]",
            "[gate.permit]\ntoken_key = \"env:SIGNER\"\n[[route]]",
        )
    };
    for taken in ["/token", "/token/q_1"] {
        fault(&permit(taken), "contradiction", 10);
    }
    gate(&permit("/tokens"));
}

/// [`CREDIT`] with a schedule of these lines.
fn scheduled(lines: &str) -> String {
    let table = format!("[gate.credit.remunerate]\n{lines}\n[[route]]");
    CREDIT.replace("[[route]]", &table)
}

#[test]
fn certificates_are_redeemed_by_a_schedule_if_the_file_has_one() {
    assert_eq!(gate(CREDIT).credit.unwrap().remunerate, None);
    let plain = gate(&scheduled("signer_key = \"env:SIGNER\""));
    let plain = plain.credit.unwrap().remunerate.unwrap();
    assert_eq!(plain.every.as_secs(), 600);
    assert_eq!((plain.before_deadline, plain.fee_per_gas_max), (None, None));
    assert_eq!(
        (plain.confirmations, plain.give_up_after.as_secs()),
        (5, 600)
    );
    let all = gate(&scheduled(
        "signer_key = \"env:SIGNER\"\nevery_secs = 60\nbefore_deadline_secs = 86400\nconfirmations = 0\n\
         give_up_after_secs = 30\nmax_fee_gwei = 3",
    ));
    let all = all.credit.unwrap().remunerate.unwrap();
    assert_eq!(all.every.as_secs(), 60);
    assert_eq!(all.before_deadline.unwrap().as_secs(), 86_400);
    assert_eq!((all.confirmations, all.give_up_after.as_secs()), (0, 30));
    assert_eq!(all.fee_per_gas_max, Some(3_000_000_000));
}

#[test]
fn every_mistake_in_a_schedule_is_told_with_its_line() {
    let key = "signer_key = \"env:SIGNER\"";
    for (lines, line, field) in [
        (String::new(), 15, "signer_key"),
        ("signer_key = \"0x11\"".to_owned(), 16, "signer_key"),
        (format!("{key}\nevery_secs = 1"), 17, "every_secs"),
        (
            format!("{key}\nevery_secs = 600\nbefore_deadline_secs = 600"),
            18,
            "before_deadline_secs",
        ),
        (format!("{key}\nconfirmations = -1"), 17, "confirmations"),
        (format!("{key}\nsometimes = 1"), 17, "sometimes"),
    ] {
        let errors = Config::parse(&scheduled(&lines), &env()).unwrap_err();
        let text = errors.to_string();
        let place = format!("{line}:");
        let whole = format!("gate.credit.remunerate.{field}");
        assert!(text.contains(&place) && text.contains(&whole), "{text}");
    }
}
