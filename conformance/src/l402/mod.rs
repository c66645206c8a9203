//! The runners of the L402 recordings. A case is one JSON object with what was given and what each library made of it; what it
//! expects of us stands in `expect`, `expected` or `we`, and is never edited.

pub mod invoice;
pub mod kit;
pub mod macaroon;
pub mod text;

use faregate_types::hex_text;

/// The clock of the recordings (`constants.now_unix`).
const NOW: u64 = 1_800_000_000;

/// Insists that two things are equal.
pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    ours: &T,
) -> Result<(), String> {
    if expected == ours {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {ours:?}"))
    }
}

fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    hex_text::parse_bytes(&format!("0x{digits}"))
        .map(Into::into)
        .map_err(|error| error.to_string())
}

fn bytes32(digits: &str) -> Result<[u8; 32], String> {
    hex_text::parse_array(&format!("0x{digits}")).map_err(|error| error.to_string())
}

/// The first word of an expectation: `reject (preimage caveat not found)` is `reject`.
fn first_word(text: &str) -> &str {
    text.split([' ', '(']).next().unwrap_or_default()
}

/// `accept` or `reject`.
const fn verdict<T, E>(result: &Result<T, E>) -> &'static str {
    match result {
        Ok(_) => "accept",
        Err(_) => "reject",
    }
}
