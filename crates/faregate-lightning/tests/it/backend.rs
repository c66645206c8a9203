//! Which backends can be a wallet, and what none of them takes or prints.

use faregate_lightning::{
    AlbyConfig, AlbyKind, BackendConfig, BlinkConfig, ClnConfig, ConfigError, Endpoint,
    LnbitsConfig, LndConfig, LnurlConfig, ManagedConfig, OpenNodeConfig, PhoenixdConfig,
    StrikeConfig,
};
use faregate_types::{Code, Secret};

pub(crate) const NAMES: [&str; 10] = [
    "lnd", "cln", "lnbits", "phoenixd", "blink", "alby", "strike", "opennode", "lnurl", "managed",
];

pub(crate) fn config(name: &str, url: &str, secret: &str) -> BackendConfig {
    let endpoint = Endpoint::new(url.parse().unwrap());
    let secret = Secret::new(secret.as_bytes().to_vec());
    match name {
        "lnd" => BackendConfig::Lnd(LndConfig::new(endpoint, secret)),
        "cln" => BackendConfig::Cln(ClnConfig::new(endpoint, secret)),
        "lnbits" => BackendConfig::Lnbits(LnbitsConfig::new(endpoint, secret)),
        "phoenixd" => BackendConfig::Phoenixd(PhoenixdConfig::new(endpoint, secret)),
        "blink" => BackendConfig::Blink(BlinkConfig::new(endpoint, secret, "w".into())),
        "alby" => BackendConfig::Alby(AlbyConfig::new(AlbyKind::Hub, endpoint, secret)),
        "strike" => BackendConfig::Strike(StrikeConfig::new(endpoint, secret)),
        "opennode" => BackendConfig::OpenNode(OpenNodeConfig::new(endpoint, secret)),
        "managed" => {
            let url = endpoint.base.clone();
            let mut config = ManagedConfig::from_address("a@b.example", url).unwrap();
            config.endpoint = endpoint;
            BackendConfig::Managed(config)
        }
        _ => BackendConfig::Lnurl(LnurlConfig::new("a@b.example").unwrap().at(endpoint)),
    }
}

#[test]
fn a_backend_that_only_receives_is_no_wallet() {
    for name in NAMES {
        let new = || config(name, "https://backend.example", "c0ffee");
        assert_eq!(new().name(), name);
        let receiver = new().receiver().unwrap();
        assert!(receiver.abilities().unit.get() > 0);
        let receives_only = ["opennode", "lnurl", "managed"].contains(&name);
        match new().sender() {
            Ok(sender) => assert!(!receives_only && sender.abilities().preimage, "{name}"),
            Err(error) => assert!(receives_only && error == ConfigError::ReceiveOnly, "{name}"),
        }
    }
}

#[test]
fn no_backend_takes_a_bad_url_or_an_empty_key_and_none_prints_its_key() {
    for name in NAMES {
        let printed = format!("{:?}", config(name, "https://backend.example", "c0ffee"));
        assert!(
            !printed.contains("c0ffee") && !printed.contains("99, 48"),
            "{name}"
        );
        for (url, code) in [
            ("http://backend.example", Code::InsecureUrl),
            ("https://me:pass@backend.example", Code::ConfigInvalid),
            ("ftp://backend.example", Code::ConfigInvalid),
        ] {
            let error = config(name, url, "c0ffee")
                .receiver()
                .map(drop)
                .unwrap_err();
            assert_eq!(error.code(), code, "{name} {url}");
        }
        if !["lnurl", "managed"].contains(&name) {
            for secret in ["", "new\nline", "ü"] {
                // LND takes bytes, phoenixd encodes them.
                if !secret.is_empty() && ["lnd", "phoenixd"].contains(&name) {
                    continue;
                }
                let bad = config(name, "https://backend.example", secret);
                assert_eq!(bad.receiver().map(drop), Err(ConfigError::Secret), "{name}");
            }
        }
    }
}
