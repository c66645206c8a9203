//! A key file from somewhere. Its costs are made cheap before anything is derived.
#![no_main]

use faregate_client::wallet::keystore;
use faregate_types::Secret;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let password = Secret::new(b"password".to_vec());
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            cheapen(&mut value);
            drop(keystore::decrypt(&value.to_string(), &password));
        }
        Err(_) => drop(keystore::decrypt(text, &password)),
    }
});

/// A number that is a cost stays below what a fuzzer has time for.
fn cheapen(value: &mut Value) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        match member.as_u64() {
            Some(cost) if matches!(name.as_str(), "n" | "r" | "p" | "c") => {
                *member = (cost % 17).into()
            }
            Some(_) | None => cheapen(member),
        }
    }
}
