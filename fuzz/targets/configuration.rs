//! A configuration file: read or refused with lines, never a panic.
#![no_main]

use faregate_server::config::{Config, Env};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(errors) = Config::parse(text, &Env::new()) {
        assert_ne!(errors.iter().count(), 0);
    }
});
