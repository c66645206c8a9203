//! What ties the condition of a guarantee to the guarantee (specs/4mica.md §2.5): two hashes that anybody can make again.

use alloy_primitives::{B256, U256, b256, keccak256};

use super::abi::Encoder;
use super::claims::{Claims, ValidationPolicy};

/// The hash of `4MICA_VALIDATION_SUBJECT_V1`.
const SUBJECT_DOMAIN: B256 =
    b256!("0x7c6f53278ef946b91604da7c736603e76d5808f31a7d1a9bd34d528aed9a8217");

/// The hash of [`CANONICALIZATION`].
const REQUEST_DOMAIN: B256 =
    b256!("0xd05b8a652c43e9234d252e4a241e7ccd28b5127971d79abae92216b2bc49a9a9");

/// How requests are hashed: the value of `validation_hash_canonicalization_version` among the public parameters.
pub const CANONICALIZATION: &str = "4MICA_VALIDATION_REQUEST_V2";

/// The lowest score that a validation can be asked for.
pub const SCORE_MIN: u8 = 1;

/// The highest score there is.
pub const SCORE_MAX: u8 = 100;

/// The pointer to the tag in a certificate of version 2. A job of this hash could be taken for it.
pub const TAG_POINTER: B256 =
    b256!("0x0000000000000000000000000000000000000000000000000000000000000260");

/// Why no certificate can be issued over a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// `min_validation_score` is no score.
    #[error("min_validation_score must be in [1, 100]")]
    Score,
    /// `job_hash` is zero: no work at all.
    #[error("job_hash must not be zero")]
    NoJob,
    /// `job_hash` is [`TAG_POINTER`]: a certificate over it could be read in two ways.
    #[error("job_hash must not be 0x260")]
    AmbiguousJob,
    /// `validation_subject_hash` is not that of these claims.
    #[error("validation_subject_hash is not canonical")]
    Subject,
    /// `validation_request_hash` is not that of this condition.
    #[error("validation_request_hash is not canonical")]
    Request,
}

/// What is guaranteed: the hash of everything in claims that version 1 has too.
#[must_use]
pub fn subject_hash(claims: &Claims) -> B256 {
    Encoder::default()
        .word(&SUBJECT_DOMAIN)
        .word(&claims.tab_id)
        .word(&claims.req_id)
        .word(&claims.payer)
        .word(&claims.recipient)
        .word(&claims.amount)
        .word(&claims.asset)
        .word(&claims.timestamp)
        .keccak()
}

/// The name of a validation in its registry. Takes everything of the condition but its own `request_hash`.
#[must_use]
pub fn request_hash(policy: &ValidationPolicy) -> B256 {
    Encoder::default()
        .word(&REQUEST_DOMAIN)
        .word(&U256::from(policy.chain_id))
        .word(&policy.registry)
        .word(&policy.validator)
        .word(&policy.agent_id)
        .word(&policy.subject_hash)
        .word(&policy.min_score)
        .word(&keccak256(policy.tag.as_bytes()))
        .word(&policy.job_hash)
        .keccak()
}

/// Fills in both hashes of a condition, as a payer does before signing.
#[must_use]
pub fn bind(mut claims: Claims) -> Claims {
    let subject = subject_hash(&claims);
    if let Some(policy) = &mut claims.validation {
        policy.subject_hash = subject;
        policy.request_hash = request_hash(policy);
    }
    claims
}

/// Whether the condition of claims is one that holds: claims without one do.
///
/// Which registries are trusted, and on which chain, is the service's to say.
///
/// # Errors
/// [`BindingError`] names the first thing that is wrong.
pub fn check(claims: &Claims) -> Result<(), BindingError> {
    let Some(policy) = &claims.validation else {
        return Ok(());
    };
    can_be_issued(policy)?;
    if policy.subject_hash != subject_hash(claims) {
        return Err(BindingError::Subject);
    }
    if policy.request_hash != request_hash(policy) {
        return Err(BindingError::Request);
    }
    Ok(())
}

/// What no certificate can hold, whatever the hashes are.
pub(super) fn can_be_issued(policy: &ValidationPolicy) -> Result<(), BindingError> {
    if !(SCORE_MIN..=SCORE_MAX).contains(&policy.min_score) {
        return Err(BindingError::Score);
    }
    if policy.job_hash.is_zero() {
        return Err(BindingError::NoJob);
    }
    if policy.job_hash == TAG_POINTER {
        return Err(BindingError::AmbiguousJob);
    }
    Ok(())
}
