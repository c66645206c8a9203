//! What a file may say about the facilitator service and the operator's address.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::time::Duration;

use faregate_server::config::{Config, ConfigErrors, Duplicates, Env, SecretError, SecretSource};
use faregate_server::facilitator::Access;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const SERVICE: &str = r#"
[facilitator]
bind = "127.0.0.1:4022"
signer_key = "env:GAS_KEY"
network = "base-sepolia"
rpc_url = "http://127.0.0.1:8545"
"#;

fn env() -> Env {
    [
        ("GAS_KEY", KEY),
        ("KEY_A", "key-of-a-0123456789"),
        ("KEY_B", "key-of-b-0123456789"),
        ("SHORT", "hunter2"),
        ("BLANK", "hunter2 hunter2 hunter2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, &env())
}

/// Code and key of every fault.
fn faults(text: &str) -> Vec<(&'static str, String)> {
    let errors = parse(text).unwrap_err();
    errors
        .iter()
        .map(|error| (error.code.as_str(), error.key.to_string()))
        .collect()
}

#[test]
fn the_admin_address_is_off_or_loopback_and_never_the_public_one() {
    let with = |lines: &str| format!("{SERVICE}\n[admin]\n{lines}\n");
    assert!(parse(SERVICE).unwrap().admin.is_none());
    let bind = |text: &str| parse(text).unwrap().admin.unwrap().bind.to_string();
    assert_eq!(bind(&with("")), "127.0.0.1:4023");
    assert_eq!(bind(&with("bind = \"[::1]:9\"")), "[::1]:9");
    assert_eq!(
        faults(&with("bind = \"127.0.0.1:4022\"")),
        [("contradiction", "admin".to_owned())]
    );
    assert_eq!(
        faults(&with("bnid = \"127.0.0.1:9\"")),
        [("unknown_key", "admin.bnid".to_owned())]
    );
}

#[test]
fn without_callers_the_service_is_open() {
    let service = parse(SERVICE).unwrap().facilitator.unwrap();
    assert!(service.access.callers.is_empty());
    assert_eq!(service.access.open_settle_per_second.get(), 10);
    assert_eq!(service.access.duplicates, Duplicates::Refuse);
    assert_eq!(service.shutdown, Duration::from_secs(60));
    let text = format!(
        "{SERVICE}\nduplicates = \"recorded\"\nshutdown_secs = 5\nopen_settle_per_second = 3\n"
    );
    let service = parse(&text).unwrap().facilitator.unwrap();
    assert_eq!(service.access.duplicates, Duplicates::Recorded);
    assert_eq!(service.access.open_settle_per_second.get(), 3);
    assert_eq!(service.shutdown, Duration::from_secs(5));
}

#[test]
fn a_caller_means_what_it_says() {
    let payee = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
    let text = format!(
        "{SERVICE}\n[[facilitator.caller]]\nname = \"shop-a\"\nkey = [\"env:KEY_A\", \"file:/run/secrets/a\"]\n\
         verify_per_second = 200\nsettle_per_second = 20\nsettle_per_day = 5000\npayees = [\"{payee}\"]\n\
         duplicates = \"recorded\"\n"
    );
    let access = parse(&text).unwrap().facilitator.unwrap().access;
    let [caller] = &*access.callers else {
        panic!("one caller")
    };
    assert_eq!((&*caller.name, caller.keys.len()), ("shop-a", 2));
    let rates = [
        caller.verify_per_second,
        caller.settle_per_second,
        caller.settle_per_day,
    ];
    assert_eq!(rates.map(|rate| rate.unwrap().get()), [200, 20, 5_000]);
    assert_eq!(
        caller.payees,
        [payee.parse::<faregate_types::Address>().unwrap()]
    );
    assert_eq!(caller.duplicates, Duplicates::Recorded);
}

#[test]
fn faults_of_callers_are_named() {
    let table = [
        ("name = \"a\"", "missing_key", "facilitator.caller[1].key"),
        (
            "key = \"env:KEY_A\"",
            "missing_key",
            "facilitator.caller[1].name",
        ),
        (
            "name = \"a\"\nkey = \"plain-text-key-0123456789\"",
            "invalid_secret",
            "facilitator.caller[1].key",
        ),
        (
            "name = \"a\"\nkey = \"env:NOWHERE\"",
            "invalid_secret",
            "facilitator.caller[1].key",
        ),
        (
            "name = \"open\"\nkey = \"env:KEY_A\"",
            "invalid_value",
            "facilitator.caller[1].name",
        ),
        (
            "name = \"a b\"\nkey = \"env:KEY_A\"",
            "invalid_value",
            "facilitator.caller[1].name",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\nsettle_per_second = 0",
            "invalid_value",
            "facilitator.caller[1].settle_per_second",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\npayees = []",
            "invalid_value",
            "facilitator.caller[1].payees",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\npayees = \"0x12\"",
            "invalid_address",
            "facilitator.caller[1].payees",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\nduplicates = \"maybe\"",
            "invalid_value",
            "facilitator.caller[1].duplicates",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\nquota = 7",
            "unknown_key",
            "facilitator.caller[1].quota",
        ),
        (
            "name = \"a\"\nkey = \"env:KEY_A\"\n[[facilitator.caller]]\nname = \"a\"\nkey = \"env:KEY_B\"",
            "contradiction",
            "facilitator.caller",
        ),
    ];
    for (lines, code, key) in table {
        let text = format!("{SERVICE}\n[[facilitator.caller]]\n{lines}\n");
        assert_eq!(faults(&text), [(code, key.to_owned())], "{lines}");
    }
    let both = format!(
        "{SERVICE}\nopen_settle_per_second = 3\n[[facilitator.caller]]\nname = \"a\"\nkey = \"env:KEY_A\"\n"
    );
    let expected = "facilitator.open_settle_per_second".to_owned();
    assert_eq!(faults(&both), [("contradiction", expected)]);
}

#[test]
fn keys_that_cannot_be_used_stop_the_start() {
    let access = |second: &str| {
        let text = format!(
            "{SERVICE}\n[[facilitator.caller]]\nname = \"a\"\nkey = \"env:KEY_A\"\n\
             [[facilitator.caller]]\nname = \"b\"\nkey = \"env:{second}\"\n"
        );
        let access = parse(&text).unwrap().facilitator.unwrap().access;
        Access::new(&access, &env()).map(|access| access.is_open())
    };
    assert_eq!(access("KEY_B"), Ok(false));
    let at = |name: &str| SecretSource::Env(name.into());
    assert_eq!(access("KEY_A"), Err(SecretError::Twice { at: at("KEY_A") }));
    for name in ["SHORT", "BLANK"] {
        let error = access(name).unwrap_err();
        assert_eq!(error, SecretError::NotABearerKey { at: at(name) });
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_network_is_followed_each_second_unless_the_file_says_otherwise() {
    let follow = |lines: &str| {
        let config = parse(&format!("{SERVICE}{lines}\n")).unwrap();
        let network = config.facilitator.unwrap().embedded.networks.remove(0);
        network.follow.map(|poll| poll.as_millis())
    };
    assert_eq!(follow(""), Some(1_000));
    assert_eq!(follow("poll_ms = 250"), Some(250));
    assert_eq!(follow("follow = false"), None);
    assert_eq!(
        faults(&format!("{SERVICE}poll_ms = 1\n")),
        [("invalid_value", "facilitator.poll_ms".to_owned())]
    );
}
