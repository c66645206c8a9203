//! The headers of a kept answer, as they stand in a ledger file that may be damaged.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| faregate_store::sqlite::fuzzing::headers(data));
