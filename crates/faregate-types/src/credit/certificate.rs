//! Certificates: what the service signs, and what the contract pays on (specs/4mica.md §3).
//!
//! Decoding is strict. Bytes have one reading: encoding what was read gives the same bytes, or they are refused.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::abi::{Encoder, ToWord as _, WORD};
use super::binding::{self, BindingError, TAG_POINTER};
use super::bls::{BlsError, BlsPublicKey, BlsSecretKey, BlsSignature};
use super::claims::{Claims, GuaranteeVersion, ValidationPolicy};
use super::field::{Field, message, text};
use crate::chain_id::ChainId;
use crate::hex_text::{parse_digits, to_digits};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::timestamp::Timestamp;

/// The separator of certificates of this version for this contract, as the contract has it.
///
/// It never changes for a contract; compute it once and keep it, or ask the contract.
#[must_use]
pub fn domain_separator(version: GuaranteeVersion, chain: ChainId, contract: Address) -> B256 {
    domain_preimage(version, chain, contract).keccak()
}

fn domain_preimage(version: GuaranteeVersion, chain: ChainId, contract: Address) -> Encoder {
    let label: &[u8] = match version {
        GuaranteeVersion::V1 => b"4MICA_CORE_GUARANTEE_V1",
        GuaranteeVersion::V2 => b"4MICA_CORE_GUARANTEE_V2",
    };
    Encoder::default()
        .bytes(label)
        .word(&chain.get())
        .word(&contract)
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that tests and tools build by literal"
)]
pub struct Guarantee {
    /// For which contract: see [`domain_separator`].
    pub domain: B256,
    /// On which tab.
    pub tab_id: U256,
    /// Which guarantee of the tab.
    pub req_id: U256,
    /// Who owes; `client` in the contract.
    pub payer: Address,
    /// Whom it is owed to.
    pub recipient: Address,
    /// What this guarantee added.
    pub amount: U256,
    /// What is owed on the tab in all, this guarantee included and payments not taken off.
    pub total_amount: U256,
    /// The token, or the zero address for ETH.
    pub asset: Address,
    /// The payer's clock when it was signed. All periods count from here.
    pub timestamp: Timestamp,
    /// On which condition: there in version 2 only.
    pub validation: Option<ValidationPolicy>,
}

/// The order of the last two members of version 2, which the network's two halves do not agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing between the two")]
pub enum Layout {
    /// The tag, then the job: what every Python SDK decodes, and what we issue.
    #[default]
    TagFirst,
    /// The job, then the tag: what 4Mica's own contract decodes.
    JobFirst,
}

/// Why bytes are no certificate, or none can be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not hexadecimal text.
    #[error("expected hexadecimal digits")]
    Hex,
    /// More bytes than any certificate has.
    #[error("expected at most {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
    /// Not an envelope: a version, a pointer, a length and that many bytes.
    #[error("expected an envelope around the claims")]
    Envelope,
    /// Neither version 1 nor version 2.
    #[error("unsupported guarantee claims version")]
    Version,
    /// Not the words of this version, one by one.
    #[error("expected the canonical encoding of the claims")]
    Claims,
    /// For another contract, or another chain.
    #[error("guarantee domain mismatch")]
    Domain,
    /// What it says cannot be said in a certificate.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] BlsError),
}

impl Guarantee {
    /// What a certificate over these claims says, `total_amount` being owed on the tab afterwards.
    ///
    /// # Errors
    /// [`CertificateError::Binding`] for a condition that no certificate can hold. Its hashes are not looked at, see
    /// [`binding::check`].
    pub fn of(claims: &Claims, domain: B256, total_amount: U256) -> Result<Self, CertificateError> {
        if let Some(policy) = &claims.validation {
            binding::can_be_issued(policy)?;
        }
        Ok(Self {
            domain,
            tab_id: claims.tab_id,
            req_id: claims.req_id,
            payer: claims.payer,
            recipient: claims.recipient,
            amount: claims.amount,
            total_amount,
            asset: claims.asset,
            timestamp: claims.timestamp,
            validation: claims.validation.clone(),
        })
    }

    /// Which version it is.
    #[must_use]
    pub const fn version(&self) -> GuaranteeVersion {
        match self.validation {
            None => GuaranteeVersion::V1,
            Some(_) => GuaranteeVersion::V2,
        }
    }

    /// The bytes that are signed, in the layout that we issue.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(Layout::default())
    }

    /// The bytes in this layout. Version 1 has only one.
    #[must_use]
    pub fn encode_as(&self, layout: Layout) -> Vec<u8> {
        Encoder::default()
            .word(&self.version().number())
            .bytes(&self.inner(layout))
            .finish()
    }

    fn inner(&self, layout: Layout) -> Vec<u8> {
        let encoder = Encoder::default()
            .word(&self.domain)
            .word(&self.tab_id)
            .word(&self.req_id)
            .word(&self.payer)
            .word(&self.recipient)
            .word(&self.amount)
            .word(&self.total_amount)
            .word(&self.asset)
            .word(&self.timestamp)
            .word(&self.version().number());
        let Some(policy) = &self.validation else {
            return encoder.finish();
        };
        let encoder = encoder
            .word(&policy.registry)
            .word(&policy.request_hash)
            .word(&policy.chain_id)
            .word(&policy.validator)
            .word(&policy.agent_id)
            .word(&policy.min_score)
            .word(&policy.subject_hash);
        let tag = policy.tag.as_bytes();
        let tuple = match layout {
            Layout::TagFirst => encoder.bytes(tag).word(&policy.job_hash).finish(),
            Layout::JobFirst => encoder.word(&policy.job_hash).bytes(tag).finish(),
        };
        // A structure with a text in it: a pointer to it comes first.
        [32_u64.to_word().as_slice(), &tuple].concat()
    }

    /// Reads the bytes that are signed, in either layout.
    ///
    /// # Errors
    /// [`CertificateError`]. Whose they are, and for which contract, are other questions.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Layout), CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let mut words = Words::new(bytes);
        let version = words.u64().ok_or(CertificateError::Envelope)?;
        let inner = words.envelope().ok_or(CertificateError::Envelope)?;
        let version = GuaranteeVersion::from_number(version).ok_or(CertificateError::Version)?;
        let (guarantee, layout) = match version {
            GuaranteeVersion::V1 => (Self::common(&mut Words::new(inner)), Layout::default()),
            GuaranteeVersion::V2 => Self::conditional(inner),
        };
        let guarantee = guarantee.ok_or(CertificateError::Claims)?;
        if let Some(policy) = &guarantee.validation {
            binding::can_be_issued(policy)?;
        }
        if guarantee.encode_as(layout) == bytes {
            Ok((guarantee, layout))
        } else {
            Err(CertificateError::Claims)
        }
    }

    fn common(words: &mut Words<'_>) -> Option<Self> {
        Some(Self {
            domain: words.next()?,
            tab_id: words.number()?,
            req_id: words.number()?,
            payer: words.address()?,
            recipient: words.address()?,
            amount: words.number()?,
            total_amount: words.number()?,
            asset: words.address()?,
            timestamp: Timestamp::from_secs(words.u64()?),
            validation: {
                // The version once more; that it is the envelope's is seen when it is encoded again.
                words.u64()?;
                None
            },
        })
    }

    fn conditional(inner: &[u8]) -> (Option<Self>, Layout) {
        let mut words = Words::new(inner);
        // The pointer to the structure.
        let guarantee = words.next().and_then(|_| Self::common(&mut words));
        let at_tag = Words::new(inner).nth(18) == Some(TAG_POINTER);
        let layout = if at_tag {
            Layout::TagFirst
        } else {
            Layout::JobFirst
        };
        let policy = Self::policy(&mut words, layout);
        let both = guarantee.zip(policy).map(|(guarantee, policy)| Self {
            validation: Some(policy),
            ..guarantee
        });
        (both, layout)
    }

    fn policy(words: &mut Words<'_>, layout: Layout) -> Option<ValidationPolicy> {
        let registry = words.address()?;
        let request_hash = words.next()?;
        let chain_id = words.u64()?;
        let validator = words.address()?;
        let agent_id = words.number()?;
        let min_score = u8::try_from(words.u64()?).ok()?;
        let subject_hash = words.next()?;
        let (seventeenth, eighteenth) = (words.next()?, words.next()?);
        let (pointer, job_hash) = match layout {
            Layout::TagFirst => (seventeenth, eighteenth),
            Layout::JobFirst => (eighteenth, seventeenth),
        };
        if pointer != TAG_POINTER {
            return None;
        }
        let tag = words.bytes()?;
        Some(ValidationPolicy {
            registry,
            request_hash,
            chain_id,
            validator,
            agent_id,
            min_score,
            subject_hash,
            tag: String::from_utf8(tag.to_vec()).ok()?,
            job_hash,
        })
    }
}

/// Words one after the other.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn next(&mut self) -> Option<B256> {
        let (word, rest) = self.0.split_first_chunk::<WORD>()?;
        self.0 = rest;
        Some(B256::from(*word))
    }

    fn nth(&mut self, index: usize) -> Option<B256> {
        for _ in 0..index {
            self.next()?;
        }
        self.next()
    }

    fn number(&mut self) -> Option<U256> {
        self.next().map(Into::into)
    }

    fn u64(&mut self) -> Option<u64> {
        u64::try_from(self.number()?).ok()
    }

    fn address(&mut self) -> Option<Address> {
        // Bytes before an address are seen when it is encoded again.
        self.next().map(Address::from_word)
    }

    /// A length and that many bytes.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.0.get(..length)
    }

    /// A pointer right behind itself, and what it points to.
    fn envelope(&mut self) -> Option<&'a [u8]> {
        (self.u64()? == 64).then(|| self.bytes())?
    }
}

/// A guarantee as the service gives it out: the bytes and the signature over them.
///
/// Both are hexadecimal text on the wire, read with and without `0x`, written without as the network's service does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain wire data, built by literal in the other crates"
)]
pub struct Certificate {
    /// What is signed: see [`Guarantee::decode`].
    pub claims: Bytes,
    /// By the service's key.
    pub signature: BlsSignature,
}

impl Certificate {
    /// Signs a guarantee.
    #[must_use]
    pub fn issue(guarantee: &Guarantee, key: &BlsSecretKey) -> Self {
        let claims = Bytes::from(guarantee.encode());
        let signature = key.sign(&claims);
        Self { claims, signature }
    }

    /// What it says, if this key signed it.
    ///
    /// # Errors
    /// [`CertificateError`]. For which contract it is has to be compared too, see [`verify_for`](Self::verify_for).
    pub fn verify(&self, key: &BlsPublicKey) -> Result<Guarantee, CertificateError> {
        key.verify(&self.claims, &self.signature)?;
        let (guarantee, _) = Guarantee::decode(&self.claims)?;
        Ok(guarantee)
    }

    /// What it says, if this key signed it for this contract. `domain` tells the separator of each version that the contract
    /// takes, and `None` for the others.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify_for(
        &self,
        key: &BlsPublicKey,
        domain: impl Fn(GuaranteeVersion) -> Option<B256>,
    ) -> Result<Guarantee, CertificateError> {
        let guarantee = self.verify(key)?;
        match domain(guarantee.version()) {
            None => Err(CertificateError::Version),
            Some(domain) if domain == guarantee.domain => Ok(guarantee),
            Some(_) => Err(CertificateError::Domain),
        }
    }
}

message! {
    /// The same as texts.
    struct Texts ("a certificate") {
        claims: Digits = "claims",
        signature: Digits = "signature",
    }
}

/// Bytes as hexadecimal text.
struct Digits(Vec<u8>);

impl Field for Digits {
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_digits(&self.0))
    }

    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = text(deserializer, "expected hexadecimal digits")?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if digits.len() > CERTIFICATE_BYTES_MAX.saturating_mul(2) {
            return Err(D::Error::custom(CertificateError::TooLong));
        }
        let bytes = parse_digits(digits).map_err(|_| D::Error::custom(CertificateError::Hex))?;
        Ok(Self(bytes))
    }
}

impl Field for Certificate {
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = Texts {
            claims: Digits(self.claims.to_vec()),
            signature: Digits(self.signature.as_bytes().to_vec()),
        };
        texts.write(serializer)
    }

    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let Texts { claims, signature } = Texts::read(deserializer)?;
        let signature = BlsSignature::from_bytes(&signature.0)
            .map_err(|error| D::Error::custom(format_args!("signature: {error}")))?;
        Ok(Self {
            claims: claims.0.into(),
            signature,
        })
    }
}

impl serde::Serialize for Certificate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Certificate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer)
    }
}
