//! What a file may say about the facilitator service and the operator's address.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use faregate_server::config::{Config, ConfigErrors, Env};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const SERVICE: &str = r#"
[facilitator]
bind = "127.0.0.1:4022"
signer_key = "env:GAS_KEY"
network = "base-sepolia"
rpc_url = "http://127.0.0.1:8545"
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    let env = Env::from([("GAS_KEY".to_owned(), KEY.to_owned())]);
    Config::parse(text, &env)
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
