//! What exactly a payer's wallet signs for claims: one encoding for version 1, and for version 2 all that are in the wild,
//! because the SDKs disagree on the order of two members (specs/4mica.md §0.2, §2.2 to §2.4).

use std::fmt;

use alloy_primitives::{Address, B256, Keccak256, U256, b256, keccak256};

use super::abi::Encoder;
use super::claims::{Claims, GuaranteeRequest, GuaranteeVersion, SigningScheme, ValidationPolicy};
use crate::chain_id::ChainId;
use crate::signature::Signature65;
use crate::{eip191, eip712};

/// The hash of `EIP712Domain(string name,string version,uint256 chainId)`.
pub const DOMAIN_TYPE_HASH: B256 =
    b256!("0xc2f8787176b8ac6bf7215b4adcc1e069bf4ab82d9ab1df05a57a91d425935b6e");

/// The hash of `SolGuaranteeRequestClaimsV1(address user,address recipient,uint256 tabId,uint256 reqId,uint256 amount,address
/// asset,uint64 timestamp)`.
pub const TYPE_HASH_V1: B256 =
    b256!("0xbe10b5cd784f76dd455836f6239e77dc646b69b07bc826ca86916579ac4fc555");

/// The hash of `SolGuaranteeRequestClaimsV2(…)` with `requiredValidationTag` before `jobHash`: SDK 1.0.1 to 1.2.0.
pub const TYPE_HASH_V2_TAG_FIRST: B256 =
    b256!("0x6ab52350437719843193b15487d412ae052bda5e7b1fa5098e0abfb471f225e6");

/// The hash of `SolGuaranteeRequestClaimsV2(…)` with `jobHash` before `requiredValidationTag`: everybody else.
pub const TYPE_HASH_V2_JOB_FIRST: B256 =
    b256!("0x49cf250766206507f288bc7d6c606e1a8db18dd1b2a4b8c0316e398170655c3e");

/// One way to turn claims into bytes that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum Encoding {
    /// Typed data of version 1.
    TypedV1,
    /// Typed data of version 2, tag before job: SDK 1.1.1.
    TypedV2TagFirst,
    /// Typed data of version 2, job before tag.
    TypedV2JobFirst,
    /// A message of version 1.
    MessageV1,
    /// A message of version 2, members in a row, tag before job: SDK 1.1.1.
    MessageV2TagFirst,
    /// A message of version 2, members in a row, job before tag.
    MessageV2JobFirst,
    /// A message of version 2, job before tag, as one structure: a pointer to it comes first.
    MessageV2Struct,
}

/// Which of the two comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Tag,
    Job,
}

impl Encoding {
    /// Those that claims of this version may be signed in, the likeliest first. Clients take the first.
    #[must_use]
    pub const fn candidates(version: GuaranteeVersion, scheme: SigningScheme) -> &'static [Self] {
        match (version, scheme) {
            (GuaranteeVersion::V1, SigningScheme::Eip712) => &[Self::TypedV1],
            (GuaranteeVersion::V1, SigningScheme::Eip191) => &[Self::MessageV1],
            (GuaranteeVersion::V2, SigningScheme::Eip712) => {
                &[Self::TypedV2TagFirst, Self::TypedV2JobFirst]
            }
            (GuaranteeVersion::V2, SigningScheme::Eip191) => &[
                Self::MessageV2TagFirst,
                Self::MessageV2JobFirst,
                Self::MessageV2Struct,
            ],
        }
    }

    /// A word for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TypedV1 => "typed_v1",
            Self::TypedV2TagFirst => "typed_v2_tag_first",
            Self::TypedV2JobFirst => "typed_v2_job_first",
            Self::MessageV1 => "message_v1",
            Self::MessageV2TagFirst => "message_v2_tag_first",
            Self::MessageV2JobFirst => "message_v2_job_first",
            Self::MessageV2Struct => "message_v2_struct",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The domain separator of claims: no contract in it. Name and version are configuration, and published.
///
/// It never changes for a service; compute it once and keep it.
#[must_use]
pub fn domain_separator(name: &str, version: &str, chain: ChainId) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(DOMAIN_TYPE_HASH);
    hasher.update(keccak256(name.as_bytes()));
    hasher.update(keccak256(version.as_bytes()));
    hasher.update(U256::from(chain.get()).to_be_bytes::<32>());
    hasher.finalize()
}

impl Claims {
    /// The digest that is signed in this encoding; `None` when it is one of the other version. Messages do not look at the
    /// separator.
    #[must_use]
    pub fn digest(&self, encoding: Encoding, domain_separator: B256) -> Option<B256> {
        if let Some(struct_hash) = self.struct_hash(encoding) {
            return Some(eip712::digest(domain_separator, struct_hash));
        }
        self.message(encoding)
            .map(|message| eip191::digest(&message))
    }

    /// The EIP-712 hash of the claims; `None` for messages and for encodings of the other version.
    #[must_use]
    pub fn struct_hash(&self, encoding: Encoding) -> Option<B256> {
        let encoder = match (encoding, &self.validation) {
            (Encoding::TypedV1, None) => self.common(Encoder::default().word(&TYPE_HASH_V1)),
            (Encoding::TypedV2TagFirst, Some(policy)) => {
                let encoder = Encoder::default().word(&TYPE_HASH_V2_TAG_FIRST);
                policy
                    .fixed(self.common(encoder))
                    .word(&keccak256(policy.tag.as_bytes()))
                    .word(&policy.job_hash)
            }
            (Encoding::TypedV2JobFirst, Some(policy)) => {
                let encoder = Encoder::default().word(&TYPE_HASH_V2_JOB_FIRST);
                policy
                    .fixed(self.common(encoder))
                    .word(&policy.job_hash)
                    .word(&keccak256(policy.tag.as_bytes()))
            }
            _ => return None,
        };
        Some(encoder.keccak())
    }

    /// The bytes that `personal_sign` gets; `None` for typed data and for encodings of the other version.
    #[must_use]
    pub fn message(&self, encoding: Encoding) -> Option<Vec<u8>> {
        let flat = |policy: &ValidationPolicy, first| {
            policy.variable(policy.fixed(self.common(Encoder::default())), first)
        };
        let message = match (encoding, &self.validation) {
            (Encoding::MessageV1, None) => self.common(Encoder::default()).finish(),
            (Encoding::MessageV2TagFirst, Some(policy)) => flat(policy, First::Tag),
            (Encoding::MessageV2JobFirst, Some(policy)) => flat(policy, First::Job),
            (Encoding::MessageV2Struct, Some(policy)) => {
                let pointer = Encoder::default().word(&32_u64).finish();
                [pointer, flat(policy, First::Job)].concat()
            }
            _ => return None,
        };
        Some(message)
    }

    fn common(&self, encoder: Encoder) -> Encoder {
        encoder
            .word(&self.payer)
            .word(&self.recipient)
            .word(&self.tab_id)
            .word(&self.req_id)
            .word(&self.amount)
            .word(&self.asset)
            .word(&self.timestamp)
    }
}

impl ValidationPolicy {
    fn fixed(&self, encoder: Encoder) -> Encoder {
        encoder
            .word(&self.registry)
            .word(&self.request_hash)
            .word(&self.chain_id)
            .word(&self.validator)
            .word(&self.agent_id)
            .word(&self.min_score)
            .word(&self.subject_hash)
    }

    fn variable(&self, encoder: Encoder, first: First) -> Vec<u8> {
        let tag = self.tag.as_bytes();
        match first {
            First::Tag => encoder.bytes(tag).word(&self.job_hash).finish(),
            First::Job => encoder.word(&self.job_hash).bytes(tag).finish(),
        }
    }
}

impl GuaranteeRequest {
    /// In which encoding the payer signed; `None` when in none, so that the signature is not the payer's.
    ///
    /// `recover` tells who signed a digest, see `faregate-evm`. It is called once for most requests, never more than three
    /// times.
    #[must_use]
    pub fn signed_as(
        &self,
        domain_separator: B256,
        recover: impl Fn(B256, &Signature65) -> Option<Address>,
    ) -> Option<Encoding> {
        let candidates = Encoding::candidates(self.claims.version(), self.scheme);
        candidates.iter().copied().find(|encoding| {
            let digest = self.claims.digest(*encoding, domain_separator);
            let signer = digest.and_then(|digest| recover(digest, &self.signature));
            signer == Some(self.claims.payer)
        })
    }
}
