//! The words that make a plain ETH transfer a payment for a tab: `tab_id:0x…;req_id:0x…` as its calldata, in UTF-8
//! (specs/4mica.md §4.1).

use alloy_primitives::U256;
use faregate_core::credit::TabId;

const TAB: &[u8] = b"tab_id:0x";
const REQ: &[u8] = b";req_id:0x";

/// Hexadecimal digits of 256 bits.
const DIGITS_MAX: usize = 64;

/// What calldata says about a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is a payment for this request of this tab.
    Tab(TabId, U256),
    /// It begins like one and cannot be read.
    Garbled,
    /// It says nothing of a tab.
    Absent,
}

/// Reads the calldata of a transfer.
pub(super) fn read(input: &[u8]) -> Marker {
    if !input.starts_with(b"tab_id:") {
        return Marker::Absent;
    }
    let Some((tab, rest)) = input.strip_prefix(TAB).and_then(number) else {
        return Marker::Garbled;
    };
    match rest.strip_prefix(REQ).and_then(number) {
        Some((req, [])) => Marker::Tab(TabId(tab), req),
        Some(_) | None => Marker::Garbled,
    }
}

/// Whether the marker stands somewhere inside: a wallet's calldata holds that of the transfer it is to make.
pub(super) fn is_inside(input: &[u8]) -> bool {
    input.windows(TAB.len()).any(|window| window == TAB)
}

/// Digits up to the first byte that is none, at least one and at most 64, and what follows.
fn number(text: &[u8]) -> Option<(U256, &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    Some((U256::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credit::eth_tab_calldata;

    #[test]
    fn markers_are_told_from_garbage_and_from_nothing() {
        let tab = |tab: u64, req: u64| Marker::Tab(TabId(U256::from(tab)), U256::from(req));
        let full = format!("tab_id:0x{0};req_id:0x{0}", "f".repeat(64));
        for (input, said) in [
            ("tab_id:0xabc;req_id:0x0", tab(0xabc, 0)),
            ("tab_id:0xABC;req_id:0x01", tab(0xabc, 1)),
            (&full, Marker::Tab(TabId(U256::MAX), U256::MAX)),
            ("", Marker::Absent),
            ("tab_id", Marker::Absent),
            (" tab_id:0x1;req_id:0x1", Marker::Absent),
            ("tab_id:", Marker::Garbled),
            ("tab_id:0x", Marker::Garbled),
            ("tab_id:1;req_id:1", Marker::Garbled),
            ("tab_id:0x1", Marker::Garbled),
            ("tab_id:0x1;req_id:0x", Marker::Garbled),
            ("tab_id:0x1;req_id:0x1;", Marker::Garbled),
            ("tab_id:0x1;req_id:0x1\0", Marker::Garbled),
            ("tab_id:0x+1;req_id:0x1", Marker::Garbled),
            ("tab_id:0x1_0;req_id:0x1", Marker::Garbled),
            (&format!("{full}0"), Marker::Garbled),
        ] {
            assert_eq!(read(input.as_bytes()), said, "{input}");
        }
    }

    proptest! {
        #[test]
        fn what_payers_write_is_read(tab: [u8; 32], req: [u8; 32], around in prop::collection::vec(any::<u8>(), 0..40)) {
            let (tab, req) = (U256::from_be_bytes(tab), U256::from_be_bytes(req));
            let written = eth_tab_calldata(tab, req);
            prop_assert_eq!(read(&written), Marker::Tab(TabId(tab), req));
            let wrapped = [&around[..], &written, &around].concat();
            prop_assert!(is_inside(&wrapped));
        }

        #[test]
        fn nothing_panics(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let input = [b"tab_id:0x", &tail[..]].concat();
            prop_assert_ne!(read(&input), Marker::Absent);
            let _any = (read(&tail), is_inside(&tail));
        }
    }
}
