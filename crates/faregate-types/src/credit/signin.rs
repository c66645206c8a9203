//! Signing in with a wallet: the message of EIP-4361 in the one form that the SDKs write (specs/4mica.md §1.5).
//!
//! Whether the nonce was given out and not used yet is for the service to say; who signed, for a function that the caller
//! brings or for the contract of the wallet.

use alloy_primitives::{Address, B256};

use super::date::DateText;
use super::field::message;
use crate::chain_id::ChainId;
use crate::eip191;
use crate::hex_text::parse_address;
use crate::limits::SIGN_IN_BYTES_MAX;
use crate::timestamp::Timestamp;

/// How far ahead of ours the clock of who wrote the time may be, in seconds.
pub const CLOCK_SKEW_SECS: u64 = 30;

const GREETING: &str = " wants you to sign in with your Ethereum account:";

message! {
    /// What the service wants to be signed. The member names are those of the network, camel case as they are.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SignInTemplate ("a sign-in template") {
        /// Who asks: the service's host.
        pub domain: String = "domain",
        /// What is signed in to.
        pub uri: String = "uri",
        /// The chain.
        pub chain_id: u64 = "chainId" | "chain_id",
        /// What the user reads.
        pub statement: String = "statement",
        /// Until when.
        pub expiration: DateText = "expiration",
        /// Since when.
        pub issued_at: DateText = "issuedAt" | "issued_at",
    }
}

/// A sign-in message.
///
/// ```
/// use faregate_types::credit::SignIn;
///
/// let text = "core.example.com wants you to sign in with your Ethereum account:\n\
///     0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n\nSign in to 4mica.\n\nURI: https://core.example.com\nVersion: 1\n\
///     Chain ID: 84532\nNonce: 7b1d0c2e\nIssued At: 2026-11-21T00:00:00Z\nExpiration Time: 2026-11-21T00:05:00Z";
/// let message = SignIn::parse(text).unwrap();
/// assert_eq!(message.nonce, "7b1d0c2e");
/// assert_eq!(message.to_text(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the client builds by literal"
)]
pub struct SignIn {
    /// Who signs in.
    pub address: Address,
    /// The service's word that it asked.
    pub nonce: String,
    /// Everything else.
    pub template: SignInTemplate,
}

/// What a message has to say.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the service builds by literal"
)]
pub struct Asked<'a> {
    /// Who says that they sign in.
    pub address: Address,
    /// Our domain, in any letter case.
    pub domain: &'a str,
    /// Our address, exactly.
    pub uri: &'a str,
    /// Our chain.
    pub chain: ChainId,
    /// Our statement.
    pub statement: &'a str,
    /// Now.
    pub now: Timestamp,
    /// For how long a nonce is good, in seconds.
    pub nonce_ttl: u64,
}

/// Why a message signs nobody in. The texts are the network's where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// Not a message in the one form that we understand. The only one of these that is a malformed request.
    #[error("invalid siwe message: {0}")]
    Malformed(&'static str),
    /// Signed in for somebody else.
    #[error("address mismatch")]
    Address,
    /// For another chain.
    #[error("invalid chain id")]
    Chain,
    /// For another service.
    #[error("domain mismatch")]
    Domain,
    /// For another address of a service.
    #[error("uri mismatch")]
    Uri,
    /// The user read something else.
    #[error("statement mismatch")]
    Statement,
    /// Written in the future.
    #[error("message issued in the future")]
    Early,
    /// Written longer ago than a nonce is good for.
    #[error("message issued too long ago")]
    Late,
    /// After its own end.
    #[error("message expired")]
    Expired,
}

impl SignIn {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let SignInTemplate {
            domain,
            uri,
            chain_id,
            statement,
            expiration,
            issued_at,
        } = &self.template;
        let (address, nonce) = (self.address, &self.nonce);
        format!(
            "{domain}{GREETING}\n{address}\n\n{statement}\n\nURI: {uri}\nVersion: 1\nChain ID: {chain_id}\nNonce: {nonce}\n\
             Issued At: {issued_at}\nExpiration Time: {expiration}"
        )
    }

    /// The text that is signed, if it says what it seems to say: no member of a template from outside reaches into the next.
    /// Clients sign this one.
    ///
    /// # Errors
    /// [`SignInError::Malformed`].
    pub fn checked_text(&self) -> Result<String, SignInError> {
        let text = self.to_text();
        if Self::parse(&text)? == *self {
            Ok(text)
        } else {
            Err(SignInError::Malformed("ambiguous"))
        }
    }

    /// Reads a message. There is one text of every message: what is read is written as the same text.
    ///
    /// # Errors
    /// [`SignInError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, SignInError> {
        if text.len() > SIGN_IN_BYTES_MAX {
            return Err(SignInError::Malformed("too long"));
        }
        let mut lines = text.split('\n');
        let mut line = |what: &'static str| lines.next().ok_or(SignInError::Malformed(what));
        let domain = line("domain")?.strip_suffix(GREETING);
        let domain = one_word(domain, "domain")?;
        let address = line("address")?;
        let address = parse_address(address).map_err(|_| SignInError::Malformed("address"))?;
        empty(line("statement")?)?;
        let statement = line("statement")?.to_owned();
        empty(line("statement")?)?;
        let uri = one_word(line("URI")?.strip_prefix("URI: "), "URI")?;
        if line("version")? != "Version: 1" {
            return Err(SignInError::Malformed("version"));
        }
        let chain_id = line("chain id")?.strip_prefix("Chain ID: ");
        let chain_id = chain_id.and_then(|number| number.parse().ok());
        // Any word: what a nonce looks like is the business of the service that makes it.
        let nonce = one_word(line("nonce")?.strip_prefix("Nonce: "), "nonce")?;
        let issued_at = line("issued at")?.strip_prefix("Issued At: ");
        let expiration = line("expiration")?.strip_prefix("Expiration Time: ");
        let date = |text: Option<&str>, what| {
            let date = text.and_then(DateText::parse);
            date.ok_or(SignInError::Malformed(what))
        };
        let message = Self {
            address,
            nonce,
            template: SignInTemplate {
                domain,
                uri,
                chain_id: chain_id.ok_or(SignInError::Malformed("chain id"))?,
                statement,
                expiration: date(expiration, "expiration")?,
                issued_at: date(issued_at, "issued at")?,
            },
        };
        // An address without its checksum, a number with zeros before it, a line too many.
        if message.to_text() == text {
            Ok(message)
        } else {
            Err(SignInError::Malformed("not in canonical form"))
        }
    }

    /// Compares with what was asked for, in the order of the network.
    ///
    /// # Errors
    /// [`SignInError`] names the first difference.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), SignInError> {
        let said = &self.template;
        if self.address != asked.address {
            return Err(SignInError::Address);
        }
        if said.chain_id != asked.chain.get() {
            return Err(SignInError::Chain);
        }
        if !said.domain.eq_ignore_ascii_case(asked.domain) {
            return Err(SignInError::Domain);
        }
        if said.uri != asked.uri {
            return Err(SignInError::Uri);
        }
        if said.statement.trim() != asked.statement.trim() {
            return Err(SignInError::Statement);
        }
        let issued = said.issued_at.at();
        if issued.secs_since(asked.now) > CLOCK_SKEW_SECS {
            return Err(SignInError::Early);
        }
        if asked.now.secs_since(issued) > asked.nonce_ttl {
            return Err(SignInError::Late);
        }
        if said.expiration.at() <= asked.now {
            return Err(SignInError::Expired);
        }
        Ok(())
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> B256 {
        eip191::digest(self.to_text().as_bytes())
    }
}

/// Something on one line without blanks.
fn one_word(text: Option<&str>, what: &'static str) -> Result<String, SignInError> {
    let is_word = |text: &&str| {
        !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
    };
    let word = text.filter(is_word);
    word.map(ToOwned::to_owned)
        .ok_or(SignInError::Malformed(what))
}

fn empty(line: &str) -> Result<(), SignInError> {
    if line.is_empty() {
        Ok(())
    } else {
        Err(SignInError::Malformed("statement"))
    }
}
