//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use super::codec;

/// Reads the headers of a stored answer; what can be read is written back as the same bytes.
pub fn headers(bytes: &[u8]) {
    if let Some(headers) = codec::headers_of(bytes) {
        assert_eq!(codec::headers_to_bytes(&headers).as_deref(), Some(bytes));
    }
}
