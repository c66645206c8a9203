//! The dev chain: any body is answered, any transaction is taken or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| faregate_devnet::chain::fuzzing::body(data));
