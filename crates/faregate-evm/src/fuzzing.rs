//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use alloy_primitives::Bytes;

use crate::wallet;

/// Takes a signature apart as verification does. A wrapper's inner signature is shorter than the wrapper.
pub fn wrapper(bytes: &[u8]) {
    if let Some(Ok(wrapped)) = wallet::unwrap(bytes) {
        assert!(wrapped.signature.len() < bytes.len());
        assert!(wrapped.factory_data.len() < bytes.len());
    }
    let shown = wallet::shown(&Bytes::copy_from_slice(bytes));
    assert!(shown.len() <= bytes.len());
}
