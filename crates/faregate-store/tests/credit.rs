//! The suite of credit books, for every engine.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use faregate_store::memory::MemoryCredit;
use faregate_types::ChainId;

mod credit_of_maps {
    use super::{ChainId, MemoryCredit};

    faregate_core::credit_store_suite!((MemoryCredit::new(ChainId::evm(31_337)), ()));
}
