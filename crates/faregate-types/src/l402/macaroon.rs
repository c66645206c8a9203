//! Macaroons in binary version 2: minted, narrowed, decoded and their signature checked (specs/l402.md §1.5).
//!
//! ```text
//! 02 · [01 len location] · 02 len identifier · 00
//!    · ( [01 len location] · 02 len caveat · [04 len verification id] · 00 )*
//!    · 00 · 06 20 signature
//! ```
//!
//! Lengths are LEB128. There is exactly one form of every macaroon: the decoder takes nothing else, so that the bytes can be
//! compared and hashed. Only a chain of caveats is signed. The location is not, and is never looked at for a decision.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::limits::{CAVEATS_MAX, MACAROON_BYTES_MAX};

const VERSION: u8 = 2;
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION_ID: u8 = 4;
const SIGNATURE: u8 = 6;

/// How long the end of every macaroon is: the end of the caveats, the tag and length of the signature, the signature.
const TAIL: usize = 35;

/// `macaroons-key-generator`, filled up with zeros to the block of the hash.
const KEY_GENERATOR: [u8; 64] = block(b"macaroons-key-generator");

/// A token that carries its conditions and a signature over them.
#[derive(Clone, PartialEq, Eq)]
pub struct Macaroon {
    bytes: Box<[u8]>,
    location: Span,
    identifier: Span,
    caveats: Vec<CaveatSpans>,
    signature: [u8; 32],
}

/// One condition of a macaroon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawCaveat<'a> {
    /// The condition.
    pub id: &'a [u8],
    /// Whether somebody else has to confirm it. L402 has no such caveats.
    pub is_third_party: bool,
}

/// Why bytes are no macaroon, or why one cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacaroonError {
    /// More than [`MACAROON_BYTES_MAX`] bytes or more than [`CAVEATS_MAX`] caveats.
    #[error("expected a macaroon of at most {MACAROON_BYTES_MAX} bytes and {CAVEATS_MAX} caveats")]
    TooLarge,
    /// The first byte is not 2.
    #[error("expected a macaroon in binary version 2")]
    Version,
    /// It ends in the middle.
    #[error("expected more bytes: the macaroon is cut off")]
    CutOff,
    /// There is something after its end.
    #[error("expected nothing after the signature")]
    TrailingBytes,
    /// A length has more bytes than it needs, or is larger than any macaroon.
    #[error("expected lengths in their shortest form")]
    Length,
    /// A field is missing, empty, at the wrong place or unknown.
    #[error("expected the fields of a macaroon in their order, none of them empty")]
    Field,
    /// The signature has not 32 bytes.
    #[error("expected a signature of 32 bytes")]
    Signature,
}

/// The secret that a service signs its macaroons with: 32 bytes, one per token. Wiped when dropped, never printed.
pub struct RootKey(Box<Zeroizing<[u8; 32]>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CaveatSpans {
    id: Span,
    is_third_party: bool,
}

impl RootKey {
    /// Takes 32 random bytes and wipes the argument.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let boxed = Box::new(Zeroizing::new(bytes));
        bytes.zeroize();
        Self(boxed)
    }

    /// The secret itself, to be stored. Called `expose` so that a review can find every use.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the first signature is made with. All libraries derive it, whatever the document says.
    fn derived(&self) -> Zeroizing<[u8; 32]> {
        let mut mac = HmacSha256::new(&KEY_GENERATOR.into());
        mac.update(self.0.as_slice());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(redacted)")
    }
}

impl Macaroon {
    /// Signs an identifier and its first caveats.
    ///
    /// # Errors
    /// [`MacaroonError::TooLarge`]; [`MacaroonError::Field`] without an identifier.
    pub fn mint<C: AsRef<[u8]>>(
        key: &RootKey,
        location: &str,
        identifier: &[u8],
        caveats: &[C],
    ) -> Result<Self, MacaroonError> {
        if identifier.is_empty() {
            return Err(MacaroonError::Field);
        }
        let mut bytes = vec![VERSION];
        if !location.is_empty() {
            put(&mut bytes, LOCATION, location.as_bytes())?;
        }
        put(&mut bytes, IDENTIFIER, identifier)?;
        bytes.push(END);
        let mut signature = keyed(&key.derived(), identifier);
        for caveat in caveats {
            let caveat = caveat.as_ref();
            put(&mut bytes, IDENTIFIER, caveat)?;
            bytes.push(END);
            signature = keyed(&signature, caveat);
        }
        Self::finish(bytes, &signature)
    }

    /// The same token with one more condition. Whoever holds a token can do this, and nobody can take it back.
    ///
    /// # Errors
    /// [`MacaroonError::TooLarge`].
    pub fn attenuate(&self, caveat: impl AsRef<[u8]>) -> Result<Self, MacaroonError> {
        let caveat = caveat.as_ref();
        let head = self.bytes.len().saturating_sub(TAIL);
        let mut bytes = self.bytes.get(..head).unwrap_or_default().to_vec();
        put(&mut bytes, IDENTIFIER, caveat)?;
        bytes.push(END);
        Self::finish(bytes, &keyed(&self.signature, caveat))
    }

    fn finish(mut bytes: Vec<u8>, signature: &[u8; 32]) -> Result<Self, MacaroonError> {
        bytes.push(END);
        put(&mut bytes, SIGNATURE, signature)?;
        // What is written is read again: there is one rule for what a macaroon is.
        Self::decode(&bytes)
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// [`MacaroonError`] names what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, MacaroonError> {
        if bytes.len() > MACAROON_BYTES_MAX {
            return Err(MacaroonError::TooLarge);
        }
        let mut reader = Reader { bytes, at: 0 };
        if reader.byte()? != VERSION {
            return Err(MacaroonError::Version);
        }
        let location = reader.optional(LOCATION)?.unwrap_or_default();
        let identifier = reader.optional(IDENTIFIER)?.ok_or(MacaroonError::Field)?;
        if identifier.start == identifier.end {
            return Err(MacaroonError::Field);
        }
        reader.end()?;
        let mut caveats = Vec::new();
        while reader.peek()? != END {
            if caveats.len() == CAVEATS_MAX {
                return Err(MacaroonError::TooLarge);
            }
            caveats.push(reader.caveat()?);
        }
        reader.end()?;
        if reader.byte()? != SIGNATURE {
            return Err(MacaroonError::Field);
        }
        let signature = reader.length_and_bytes()?;
        let signature = bytes.get(signature.start..signature.end);
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or(MacaroonError::Signature)?;
        if reader.at != bytes.len() {
            return Err(MacaroonError::TrailingBytes);
        }
        Ok(Self {
            bytes: bytes.into(),
            location,
            identifier,
            caveats,
            signature,
        })
    }

    /// The canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A hint where to use it, for people. Not signed: anybody can write anything here.
    #[must_use]
    pub fn location(&self) -> &[u8] {
        self.slice(self.location)
    }

    /// What it was issued for, see [`Identifier`](super::Identifier).
    #[must_use]
    pub fn identifier(&self) -> &[u8] {
        self.slice(self.identifier)
    }

    /// The conditions, in the order they were added.
    #[must_use]
    pub fn caveats(&self) -> impl DoubleEndedIterator<Item = RawCaveat<'_>> {
        self.caveats.iter().map(|caveat| RawCaveat {
            id: self.slice(caveat.id),
            is_third_party: caveat.is_third_party,
        })
    }

    /// The last signature of the chain. Who has it can narrow the token, so it is as secret as the token.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// Whether this key signed identifier and caveats, in constant time. Never true with a third party's caveat: nothing here
    /// could check its discharge.
    #[must_use]
    pub fn is_signed_by(&self, key: &RootKey) -> bool {
        let mut signature = keyed(&key.derived(), self.identifier());
        for caveat in self.caveats() {
            if caveat.is_third_party {
                return false;
            }
            signature = keyed(&signature, caveat.id);
        }
        signature.ct_eq(&self.signature).into()
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start..span.end).unwrap_or_default()
    }
}

impl fmt::Debug for Macaroon {
    /// Everything but the signature, which is the secret part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let caveats: Vec<String> = self.caveats().map(|caveat| text(caveat.id)).collect();
        f.debug_struct("Macaroon")
            .field("identifier", &text(self.identifier()))
            .field("caveats", &caveats)
            .finish_non_exhaustive()
    }
}

type HmacSha256 = Hmac<Sha256>;

/// A key as HMAC takes it: filled up with zeros to one block of the hash. Saves the case that it is too long.
const fn block<const N: usize>(key: &[u8; N]) -> [u8; 64] {
    assert!(N <= 64);
    let mut block = [0; 64];
    let (start, _) = block.split_at_mut(N);
    start.copy_from_slice(key);
    block
}

fn keyed(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let block = Zeroizing::new(block(key));
    let mut mac = HmacSha256::new((&*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn put(bytes: &mut Vec<u8>, tag: u8, field: &[u8]) -> Result<(), MacaroonError> {
    let room = MACAROON_BYTES_MAX.saturating_sub(bytes.len());
    if field.len() > room {
        return Err(MacaroonError::TooLarge);
    }
    bytes.push(tag);
    let mut rest = field.len();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend_from_slice(field);
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Result<u8, MacaroonError> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(MacaroonError::CutOff)
    }

    fn byte(&mut self) -> Result<u8, MacaroonError> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn end(&mut self) -> Result<(), MacaroonError> {
        match self.byte()? {
            END => Ok(()),
            _ => Err(MacaroonError::Field),
        }
    }

    fn optional(&mut self, tag: u8) -> Result<Option<Span>, MacaroonError> {
        if self.peek()? != tag {
            return Ok(None);
        }
        self.byte()?;
        let span = self.length_and_bytes()?;
        // Whoever has nothing to write leaves the field out. Only a condition may be empty.
        if span.start == span.end && tag != IDENTIFIER {
            return Err(MacaroonError::Field);
        }
        Ok(Some(span))
    }

    fn caveat(&mut self) -> Result<CaveatSpans, MacaroonError> {
        let location = self.optional(LOCATION)?;
        let id = self.optional(IDENTIFIER)?.ok_or(MacaroonError::Field)?;
        let verification = self.optional(VERIFICATION_ID)?;
        // The location of a caveat says where its third party is. Without one it would be a place to write unsigned bytes.
        if location.is_some() && verification.is_none() {
            return Err(MacaroonError::Field);
        }
        self.end()?;
        Ok(CaveatSpans {
            id,
            is_third_party: verification.is_some(),
        })
    }

    fn length_and_bytes(&mut self) -> Result<Span, MacaroonError> {
        let length = self.length()?;
        let start = self.at;
        let end = start.saturating_add(length);
        if end > self.bytes.len() {
            return Err(MacaroonError::CutOff);
        }
        self.at = end;
        Ok(Span { start, end })
    }

    /// LEB128 in its shortest form: a last byte of zero would add nothing. Three bytes are more than any macaroon needs.
    fn length(&mut self) -> Result<usize, MacaroonError> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(MacaroonError::Length)
                } else {
                    Ok(length)
                };
            }
        }
        Err(MacaroonError::Length)
    }
}
