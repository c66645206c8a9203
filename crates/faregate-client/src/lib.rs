//! An HTTP client that pays within caps.
//!
//! NOTE (temporary, to be removed by whoever finishes the crate): to be faster, `wallet.rs` and `wallet/` (keys from environment map,
//! Web3 Secret Storage keystore) are FINISHED (tests/keystore.rs passes) and belong to a second person: use them, do not rewrite them. Everything else, and this lib.rs, is the client author's.
pub mod wallet;
