//! The few lines of ABI encoding that claims and certificates need: words, one text behind them.

use alloy_primitives::{Address, B256, Keccak256, U256};

use crate::timestamp::Timestamp;

/// Bytes of a word.
pub(super) const WORD: usize = 32;

/// A value that is one word.
pub(super) trait ToWord {
    fn to_word(&self) -> B256;
}

impl ToWord for B256 {
    fn to_word(&self) -> B256 {
        *self
    }
}

impl ToWord for Address {
    fn to_word(&self) -> B256 {
        self.into_word()
    }
}

impl ToWord for U256 {
    fn to_word(&self) -> B256 {
        B256::from(*self)
    }
}

impl ToWord for u64 {
    fn to_word(&self) -> B256 {
        U256::from(*self).to_word()
    }
}

impl ToWord for u8 {
    fn to_word(&self) -> B256 {
        U256::from(*self).to_word()
    }
}

impl ToWord for Timestamp {
    fn to_word(&self) -> B256 {
        self.as_secs().to_word()
    }
}

/// Words one after the other, and at most one text whose place among them is a pointer.
#[derive(Default)]
pub(super) struct Encoder {
    head: Vec<B256>,
    /// Which word of the head points to the text, and the text.
    tail: Option<(usize, Vec<u8>)>,
}

impl Encoder {
    pub(super) fn word(mut self, value: &impl ToWord) -> Self {
        self.head.push(value.to_word());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.tail = Some((self.head.len(), bytes.to_vec()));
        self.head.push(B256::ZERO);
        self
    }

    /// The encoding of what was put in, as a sequence: what Solidity's `abi.encode` of several arguments is.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let pointer = byte_count(self.head.len());
        let mut tail = Vec::new();
        if let Some((place, bytes)) = self.tail {
            if let Some(word) = self.head.get_mut(place) {
                *word = pointer;
            }
            tail.extend_from_slice(U256::from(bytes.len()).to_word().as_slice());
            tail.extend_from_slice(&bytes);
            tail.resize(tail.len().next_multiple_of(WORD), 0);
        }
        let mut out: Vec<u8> = self.head.iter().flatten().copied().collect();
        out.append(&mut tail);
        out
    }

    pub(super) fn keccak(self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(self.finish());
        hasher.finalize()
    }
}

fn byte_count(words: usize) -> B256 {
    U256::from(words.saturating_mul(WORD)).to_word()
}
