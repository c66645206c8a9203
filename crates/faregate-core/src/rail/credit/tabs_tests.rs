#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests may"
)]

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn ticket(given: u64, start: u64, ttl: u64) -> TabTicket {
    TabTicket {
        tab_id: U256::from(7),
        payer: Address::repeat_byte(1),
        recipient: Some(Address::repeat_byte(2)),
        asset: Some(Address::repeat_byte(3)),
        start: Some(Timestamp::from_secs(start)),
        ttl_seconds: Some(ttl),
        next_req_id: Some(U256::from(given)),
    }
}

#[test]
fn the_block_of_a_number_is_nobody_elses() {
    let block = |given| {
        Known::of(&ticket(given, 999_000, 86_400), NOW)
            .unwrap()
            .next
    };
    assert_eq!(block(0), U256::ONE << 64);
    assert_eq!(block(1) - block(0), U256::ONE << 64);
    let mut all: Vec<_> = (0..100).map(block).collect();
    all.dedup();
    assert_eq!(all.len(), 100);
    // Numbers that leave no room are not remembered: the core is asked again.
    let mut far = ticket(0, 999_000, 86_400);
    for given in [U256::MAX, U256::ONE << 192] {
        far.next_req_id = Some(given);
        assert!(Known::of(&far, NOW).is_none());
    }
}

#[test]
fn a_tab_is_remembered_until_it_is_stale_or_ends_soon() {
    let until = |start, ttl| Known::of(&ticket(0, start, ttl), NOW).map(|known| known.until);
    let after = |secs| NOW.checked_add_secs(secs);
    assert_eq!(until(1_000_000, 86_400), after(FRESH_SECS));
    assert_eq!(until(999_000, 1_000 + ENDING_SECS + 5), after(5));
    assert_eq!(until(999_000, 1_000 + ENDING_SECS), None);
    assert_eq!(until(999_000, 10), None);
}
