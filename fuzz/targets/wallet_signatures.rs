//! Signatures of keys and of wallets, ERC-6492 wrappers included: one meaning, one form.
#![no_main]

use faregate_types::Signature65;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(signature) = Signature65::parse(data) {
        assert!(matches!(signature.v, 27 | 28));
    }
    faregate_evm::fuzzing::wrapper(data);
});
