//! Why a call of the contract was refused.

use std::fmt;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert as Words, SolError, SolInterface};

use super::abi::Core::CoreErrors;
use super::abi::ValidationDecoder::ValidationDecoderErrors;
use crate::limits::NODE_TEXT_BYTES_MAX;
use crate::node::shorten;

/// What a call reverted with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revert {
    /// An error of the contract, of what it is made of, or of the decoder of version 2: its name, as the interface has it.
    Named(&'static str),
    /// Nothing was said: out of gas, or a malformed call.
    Silent,
    /// What somebody else said in words, e.g. a token: one line, cut off after 200 bytes.
    Said(String),
    /// What somebody else said otherwise, in hexadecimal digits, cut off after 100 bytes.
    Other(String),
}

impl Revert {
    /// Reads what a call reverted with.
    #[must_use]
    pub fn decode(data: &Bytes) -> Self {
        if data.is_empty() {
            return Self::Silent;
        }
        // All errors of the contract have at most two words.
        if data.len() <= 4 + 64
            && let Ok(error) = CoreErrors::abi_decode(data)
        {
            return Self::Named(name(&error));
        }
        let selector = data.first_chunk::<4>().copied().unwrap_or_default();
        if let Some(name) = ValidationDecoderErrors::name_by_selector(selector) {
            return Self::Named(name);
        }
        if let Ok(words) = Words::abi_decode(data) {
            return Self::said(&words.reason);
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return Self::Said(format!("panic {:#x}", panic.code));
        }
        let shown = data.get(..NODE_TEXT_BYTES_MAX >> 1).unwrap_or(data);
        Self::Other(hex::encode(shown))
    }

    /// Words from outside, as one line that leaves everything around it where it is.
    pub(crate) fn said(words: &str) -> Self {
        let line: String = words
            .chars()
            .map(|c| if is_invisible(c) { ' ' } else { c })
            .collect();
        match shorten(&line) {
            "" => Self::Silent,
            line => Self::Said(line.to_owned()),
        }
    }

    /// The same, from the first four bytes only, as [`Event::PaymentRefused`](super::Event::PaymentRefused) carries them.
    #[must_use]
    pub fn of_selector(selector: [u8; 4]) -> Self {
        let mut padded = selector.to_vec();
        // Two words of zeros are the arguments of every error there is; those with fewer do not mind the rest.
        padded.extend_from_slice(&[0; 64]);
        match CoreErrors::abi_decode(&padded) {
            Ok(error) => Self::Named(name(&error)),
            Err(_) => Self::Other(hex::encode(selector)),
        }
    }

    /// The name of the contract's own error.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Silent | Self::Said(_) | Self::Other(_) => None,
        }
    }
}

/// Control characters, and those that show nothing or turn the text around.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const fn name(error: &CoreErrors) -> &'static str {
    match error {
        CoreErrors::AccessManagedInvalidAuthority(_) => "AccessManagedInvalidAuthority",
        CoreErrors::AccessManagedRequiredDelay(_) => "AccessManagedRequiredDelay",
        CoreErrors::AccessManagedUnauthorized(_) => "AccessManagedUnauthorized",
        CoreErrors::AmountZero(_) => "AmountZero",
        CoreErrors::DirectTransferNotAllowed(_) => "DirectTransferNotAllowed",
        CoreErrors::DoubleSpendingDetected(_) => "DoubleSpendingDetected",
        CoreErrors::EnforcedPause(_) => "EnforcedPause",
        CoreErrors::ExpectedPause(_) => "ExpectedPause",
        CoreErrors::GracePeriodNotElapsed(_) => "GracePeriodNotElapsed",
        CoreErrors::IllegalValue(_) => "IllegalValue",
        CoreErrors::InsufficientAvailable(_) => "InsufficientAvailable",
        CoreErrors::InvalidAsset(_) => "InvalidAsset",
        CoreErrors::InvalidGuaranteeDomain(_) => "InvalidGuaranteeDomain",
        CoreErrors::InvalidRecipient(_) => "InvalidRecipient",
        CoreErrors::InvalidSignature(_) => "InvalidSignature",
        CoreErrors::MalformedGuarantee(_) => "MalformedGuarantee",
        CoreErrors::MissingGuaranteeDecoder(_) => "MissingGuaranteeDecoder",
        CoreErrors::NoWithdrawalRequested(_) => "NoWithdrawalRequested",
        CoreErrors::PaymentRecordConflict(_) => "PaymentRecordConflict",
        CoreErrors::ReentrancyGuardReentrantCall(_) => "ReentrancyGuardReentrantCall",
        CoreErrors::SafeERC20FailedOperation(_) => "SafeERC20FailedOperation",
        CoreErrors::TabAlreadyPaid(_) => "TabAlreadyPaid",
        CoreErrors::TabExpired(_) => "TabExpired",
        CoreErrors::TabNotYetOverdue(_) => "TabNotYetOverdue",
        CoreErrors::TabPreviouslyRemunerated(_) => "TabPreviouslyRemunerated",
        CoreErrors::TransferFailed(_) => "TransferFailed",
        CoreErrors::UnsupportedAsset(_) => "UnsupportedAsset",
        CoreErrors::UnsupportedGuaranteeVersion(_) => "UnsupportedGuaranteeVersion",
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Silent => f.write_str("without a word"),
            Self::Said(said) | Self::Other(said) => write!(f, "\"{said}\""),
        }
    }
}
