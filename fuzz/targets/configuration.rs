//! A configuration file: read or refused with lines, never a panic.
#![no_main]

use std::sync::LazyLock;

use faregate_server::config::{Config, Env};
use libfuzzer_sys::fuzz_target;

/// The keys that the examples name, so that what comes after them is read too.
static ENV: LazyLock<Env> = LazyLock::new(|| {
    [
        "FACILITATOR_KEY",
        "FAREGATE_ADMIN_KEY",
        "FAREGATE_L402_MASTER_KEY",
        "FAREGATE_LIGHTNING_KEY",
        "FAREGATE_WEBHOOK_SECRET",
        "L402_MASTER_KEY",
        "L402_MASTER_KEY_2",
        "LND_MACAROON",
        "NAME",
        "REDIS_PASSWORD",
        "SHOP_A_KEY",
    ]
    .map(|name| (name.to_owned(), "c0ffee42".repeat(8)))
    .into()
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(errors) = Config::parse(text, &ENV) {
        assert_ne!(errors.iter().count(), 0);
    }
});
