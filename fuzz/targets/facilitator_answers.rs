//! What a facilitator elsewhere answers, for every status it may come with: a verdict or "away", never a panic, and never
//! "settled" with an error status.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else {
        return;
    };
    let statuses = [200_u16, 201, 302, 400, 401, 402, 412, 429, 500, 503];
    let status = statuses[usize::from(first) % statuses.len()];
    faregate_remote::fuzzing::answers(status, body);
});
