//! `[credit]` of a file.

use faregate_core::credit::ReqIds;
use faregate_server::config::{Config, ConfigErrors, CreditConfig, Env, SecretError, SecretSource};
use faregate_server::credit::Role;

const LEAST: &str = r#"
    [credit]
    network = "base-sepolia"
    rpc_url = "https://node.example/key"
    contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    public_url = "https://core.example:8443/"
    signer_key = "env:SIGNER"
    certificate_key = "env:BLS"
    token_key = "env:TOKENS"
"#;

fn env() -> Env {
    let key = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
    [
        ("SIGNER", key),
        (
            "BLS",
            "0000000000000000000000000000000000000000000000000000000000000007",
        ),
        ("TOKENS", "a secret of at least thirty-two bytes"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn read(text: &str) -> Result<CreditConfig, ConfigErrors> {
    Config::parse(text, &env()).map(|config| config.credit.unwrap())
}

fn faults(text: &str) -> Vec<(String, String)> {
    let errors = Config::parse(text, &env()).unwrap_err();
    let faults = errors.iter();
    faults
        .map(|error| (error.code.as_str().to_owned(), error.key.to_string()))
        .collect()
}

#[test]
fn little_has_to_be_said_and_what_is_not_said_is_safe() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.bind.to_string(), "127.0.0.1:3000");
    assert_eq!((config.confirmations, config.deployed_at), (None, None));
    assert_eq!(config.terms.req_ids, ReqIds::Strict);
    assert_eq!(config.terms.versions, [1, 2].into());
    assert!(config.admin_seed.is_none());
    let settings = config.settings(&env()).unwrap();
    assert!(settings.auth.required && settings.origins.is_empty() && settings.proxies.is_empty());
    assert_eq!(
        (&*settings.auth.domain, &*settings.auth.uri),
        ("core.example:8443", "https://core.example:8443")
    );
    assert_eq!(
        (&*settings.auth.issuer, &*settings.auth.audience),
        ("4mica-core", "4mica")
    );
    assert_eq!(
        (settings.auth.access_ttl_secs, settings.auth.nonce_ttl_secs),
        (900, 300)
    );
    assert_eq!(
        &*settings.parameters.node_url, "",
        "the node's own URL may hold a key"
    );
    assert!(!format!("{config:?} {settings:?}").contains("thirty-two"));
}

#[test]
fn everything_can_be_said() {
    let config = read(&format!(
        r#"{LEAST}
        bind = "127.0.0.1:9"
        store = "books.db"
        deployed_at = 5
        confirmations = 3
        public_rpc_url = "https://open.example"
        admin_seed = "env:TOKENS"
        auth = "optional"
        statement = "Sign in to us."
        versions = [1]
        request_ids = "reserved"
        ttl_default_secs = 60
        access_ttl_secs = 300
        registries = ["0x8004b663056a597dffe9eccc1965a193b7388713"]
        origins = ["https://shop.example/"]
        trusted_proxies = ["10.0.0.0/8"]
        calls_per_second = 7

        [[credit.wallet]]
        address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        role = "facilitator"

        [[credit.wallet]]
        address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        scopes = ["tab:read"]
        active = false
        "#
    ))
    .unwrap();
    assert_eq!(
        (config.confirmations, config.deployed_at),
        (Some(3), Some(5))
    );
    assert_eq!(config.terms.req_ids, ReqIds::Reserved);
    assert_eq!(config.terms.versions, [1].into());
    let settings = config.settings(&env()).unwrap();
    assert!(!settings.auth.required);
    assert_eq!(settings.origins, ["https://shop.example"]);
    assert_eq!(settings.rates.calls_per_second.get(), 7);
    assert_eq!(&*settings.parameters.node_url, "https://open.example/");
    let [(_, first), (_, second)] = settings.auth.wallets[..] else {
        panic!("two wallets");
    };
    assert_eq!((first.role, first.barred), (Role::Facilitator, false));
    assert!(second.barred && second.scopes.has(faregate_server::credit::Scope::ReadTab));
    assert!(!second.scopes.has(faregate_server::credit::Scope::CreateTab));
}

#[test]
fn the_variables_of_the_networks_own_core_are_understood() {
    let text = r#"
        [credit]
        network = "base-sepolia"
        public_url = "https://core.example"
    "#;
    let mut env = env();
    let moved = [
        ("SIGNER", "ETHEREUM_PRIVATE_KEY"),
        ("BLS", "BLS_PRIVATE_KEY"),
        ("TOKENS", "AUTH_JWT_SECRET"),
    ];
    for (from, to) in moved {
        let value = env.remove(from).unwrap();
        env.insert(to.to_owned(), value);
    }
    for (name, value) in [
        ("ETHEREUM_HTTP_RPC_URL", "https://node.example"),
        (
            "ETHEREUM_CONTRACT_ADDRESS",
            "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        ),
        ("CORE_ADMIN_SEED_KEY", "a seed"),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    let config = Config::parse(text, &env).unwrap().credit.unwrap();
    assert_eq!(
        config.certificate_key,
        SecretSource::Env("BLS_PRIVATE_KEY".into())
    );
    assert_eq!(
        config.admin_seed,
        Some(SecretSource::Env("CORE_ADMIN_SEED_KEY".into()))
    );
    config.settings(&env).unwrap();
}

#[test]
fn every_fault_is_told_at_its_key() {
    let keys =
        |text: &str| -> Vec<String> { faults(text).into_iter().map(|(_, key)| key).collect() };
    let missing = keys("[credit]\nnetwork = \"base-sepolia\"\n");
    for key in [
        "contract",
        "rpc_url",
        "signer_key",
        "certificate_key",
        "token_key",
        "public_url",
    ] {
        assert!(
            missing.contains(&format!("credit.{key}")),
            "{key}: {missing:?}"
        );
    }
    for (line, code, key) in [
        ("auht = \"optional\"", "unknown_key", "credit.auht"),
        ("auth = \"open\"", "invalid_value", "credit.auth"),
        ("versions = [3]", "invalid_value", "credit.versions"),
        ("versions = []", "invalid_value", "credit.versions"),
        (
            "request_ids = \"any\"",
            "invalid_value",
            "credit.request_ids",
        ),
        (
            "access_ttl_secs = 60",
            "invalid_value",
            "credit.access_ttl_secs",
        ),
        // What can be deposited says the contract.
        ("tokens = [\"USDC\"]", "unknown_key", "credit.tokens"),
        (
            "admin_seed = \"the seed itself\"",
            "invalid_secret",
            "credit.admin_seed",
        ),
        (
            "[[credit.wallet]]\nrole = \"king\"\naddress = \"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\"",
            "invalid_value",
            "credit.wallet[1].role",
        ),
        (
            "[[credit.wallet]]\nrole = \"user\"",
            "missing_key",
            "credit.wallet[1].address",
        ),
        (
            "[admin]\nbind = \"127.0.0.1:3000\"",
            "contradiction",
            "admin",
        ),
    ] {
        let found = faults(&format!("{LEAST}\n{line}\n"));
        assert_eq!(found, [(code.to_owned(), key.to_owned())], "{line}");
    }
    let mainnet = LEAST.replace("base-sepolia", "base");
    assert_eq!(faults(&mainnet)[0].0, "mainnet_not_enabled");
}

#[test]
fn keys_that_are_none_are_refused_and_not_shown() {
    for (name, value) in [
        ("BLS", "12345"),
        ("TOKENS", "too-short"),
        ("SIGNER", "xyz-not-a-key"),
    ] {
        let mut env = env();
        env.insert(name.to_owned(), value.to_owned());
        let errors = Config::parse(LEAST, &env).unwrap_err();
        assert_eq!(errors.iter().count(), 1, "{name}");
        assert!(!errors.to_string().contains(value));
        assert!(!format!("{errors:?}").contains(value));
    }
    let config = read(LEAST).unwrap();
    let gone = config.settings(&Env::new()).unwrap_err();
    assert_eq!(
        gone,
        SecretError::NoVariable {
            name: "TOKENS".into()
        }
    );
}
