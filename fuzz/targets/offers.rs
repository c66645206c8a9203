//! A 402 answer and a receipt as a payer meets them, from a server that nobody trusts.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    faregate_client::fuzzing::offers(data);
    faregate_client::fuzzing::challenges(data);
    faregate_client::fuzzing::permits(data);
    faregate_client::fuzzing::credit(data);
    faregate_client::fuzzing::receipt(data);
});
