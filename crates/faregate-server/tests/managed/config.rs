//! `[managed]` in the configuration file.

use faregate_core::custody::FeeRule;
use faregate_http::Reach;
use faregate_server::config::{Config, Env, LightningKind};
use faregate_server::managed::{OwnerRule, Owners};
use faregate_types::lightning::Msat;

const FILE: &str = r#"
[managed]
bind = "127.0.0.1:4999"
store = "m.db"
owners = ["shop@wallet.example", "*@ours.example"]
fee_ppm = 10000
fee_min = "2 sat"
payout_min = "5000 sat"

[managed.lightning]
backend = "lnd"
url = "https://lnd.example:8080"
key = "env:LND"
network = "regtest"
"#;

fn env() -> Env {
    ["LND", "KEY", "MASTER_KEY"]
        .map(|name| (name.to_owned(), "5a".repeat(32)))
        .into()
}

fn faults(text: &str) -> Vec<(String, String)> {
    let errors = Config::parse(text, &env()).unwrap_err();
    let fault = |error: &faregate_server::config::ConfigError| {
        (error.code.as_str().to_owned(), error.key.to_string())
    };
    errors.iter().map(fault).collect()
}

#[test]
fn what_is_said_is_read_and_the_rest_has_a_sensible_value() {
    let managed = Config::parse(FILE, &env()).unwrap().managed.unwrap();
    assert_eq!(managed.bind.port(), 4_999);
    let fee = FeeRule {
        ppm: 10_000,
        min: Msat::new(2_000),
    };
    assert_eq!(managed.rules.fee, fee);
    assert_eq!(managed.rules.payout_min, Msat::new(5_000_000));
    assert_eq!(managed.rules.invoice_expiry_secs, 3_600);
    assert_eq!(managed.settings.reach, Reach::Public);
    assert_eq!(managed.settings.invoices_per_minute.get(), 20);
    let owners = Owners::These(vec![
        OwnerRule::Address("shop@wallet.example".parse().unwrap()),
        OwnerRule::Host("ours.example".into()),
    ]);
    assert_eq!(managed.settings.owners, owners);
    let anybody = FILE.replace("[\"shop@wallet.example\", \"*@ours.example\"]", "\"*\"");
    let managed = Config::parse(&anybody, &env()).unwrap().managed.unwrap();
    assert_eq!(managed.settings.owners, Owners::Anybody);
}

#[test]
fn what_cannot_work_is_said_where_it_stands() {
    for (from, to, code, key) in [
        ("owners =", "# owners =", "missing_key", "managed.owners"),
        (
            "\"shop@wallet.example\"",
            "\"shop\"",
            "invalid_value",
            "managed.owners[1]",
        ),
        (
            "\"*@ours.example\"",
            "\"*@\"",
            "invalid_value",
            "managed.owners[2]",
        ),
        (
            "\"*@ours.example\"",
            "\"*\"",
            "invalid_value",
            "managed.owners[2]",
        ),
        (
            "fee_ppm = 10000",
            "fee_ppm = 1000001",
            "invalid_value",
            "managed.fee_ppm",
        ),
        ("\"2 sat\"", "\"$2\"", "invalid_price", "managed.fee_min"),
        (
            "payout_min = \"5000 sat\"",
            "payout_min = \"1 BTC\"",
            "contradiction",
            "managed.payout_max",
        ),
        (
            "backend = \"lnd\"",
            "backend = \"strike\"",
            "contradiction",
            "managed.lightning.backend",
        ),
        (
            "network = \"regtest\"",
            "network = \"mainnet\"",
            "mainnet_not_enabled",
            "managed.lightning.network",
        ),
        (
            "https://lnd",
            "http://lnd",
            "invalid_url",
            "managed.lightning.url",
        ),
        (
            "fee_min",
            "fee_minimum",
            "unknown_key",
            "managed.fee_minimum",
        ),
    ] {
        let text = FILE.replace(from, to);
        let expected = (code.to_owned(), key.to_owned());
        assert_eq!(faults(&text), [expected], "{from} {to}");
    }
    let gone = FILE.split("[managed.lightning]").next().unwrap();
    assert_eq!(
        faults(gone),
        [("missing_key".to_owned(), "managed.lightning".to_owned())]
    );
}

#[test]
fn a_gate_may_be_paid_through_somebody_elses_server() {
    let gate = r#"
        [gate]
        public_url = "https://api.example"
        upstream = "http://127.0.0.1:8000"
        [gate.lightning]
        backend = "managed"
        url = "https://managed.example"
        address = "shop@wallet.example"
        network = "regtest"
        master_key = "env:MASTER_KEY"
        [[route]]
        match = "GET /joke"
        price = "10 sat"
    "#;
    let config = Config::parse(gate, &env()).unwrap();
    let backend = config.gate.unwrap().lightning.unwrap().backend;
    let address = "shop@wallet.example".into();
    assert_eq!(backend.kind, LightningKind::Managed { address });
    assert_eq!((backend.url.is_some(), backend.key), (true, None));
    for (from, to, code, key) in [
        (
            "address = \"shop@wallet.example\"",
            "",
            "missing_key",
            "gate.lightning.address",
        ),
        (
            "shop@wallet",
            "shop at wallet",
            "invalid_value",
            "gate.lightning.address",
        ),
        (
            "url = \"https://managed.example\"",
            "",
            "missing_key",
            "gate.lightning.url",
        ),
        (
            "network =",
            "key = \"env:KEY\"\nnetwork =",
            "contradiction",
            "gate.lightning.key",
        ),
    ] {
        let expected = (code.to_owned(), key.to_owned());
        assert!(
            faults(&gate.replacen(from, to, 1)).contains(&expected),
            "{from}"
        );
    }
}
