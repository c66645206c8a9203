//! Points of BLS12-381 as the contract takes them (specs/4mica.md §3.6): each coordinate of 48 bytes as two words, the upper
//! one with 16 zero bytes before its 16.

use alloy_primitives::B256;

/// The words of a public key: x, y.
pub type KeyWords = [B256; 4];

/// The words of a signature: x.c0, x.c1, y.c0, y.c1. In bytes, c1 comes first.
pub type SignatureWords = [B256; 8];

/// The words of an uncompressed point of G1.
pub(super) fn of_g1(point: &[u8; 96]) -> KeyWords {
    let (x, y) = halves(point);
    let ([xa, xb], [ya, yb]) = (coordinate(x), coordinate(y));
    [xa, xb, ya, yb]
}

/// The words of an uncompressed point of G2.
pub(super) fn of_g2(point: &[u8; 192]) -> SignatureWords {
    let (x, y) = halves(point);
    let ((x1, x0), (y1, y0)) = (halves(x), halves(y));
    let [x0a, x0b] = coordinate(x0);
    let [x1a, x1b] = coordinate(x1);
    let [y0a, y0b] = coordinate(y0);
    let [y1a, y1b] = coordinate(y1);
    [x0a, x0b, x1a, x1b, y0a, y0b, y1a, y1b]
}

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().div_euclid(2))
}

/// 48 bytes as two words.
fn coordinate(bytes: &[u8]) -> [B256; 2] {
    let (high, low) = bytes.split_at(bytes.len().min(16));
    [B256::left_padding_from(high), B256::left_padding_from(low)]
}
