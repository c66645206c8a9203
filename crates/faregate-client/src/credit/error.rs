//! Why something with credit did not happen. No text here holds a key, a token or a signature.

use faregate_evm::{AskError, ConnectError, SendError, SignError};
use faregate_ledger::StoreError;
use faregate_types::credit::{
    BindingError, CertificateError, GuaranteeVersion, Malformed, SignInError,
};
use faregate_types::{Address, ChainId};

use crate::text::clean;

/// Why something with credit did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// The configuration is incomplete or wrong.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// The service said no.
    #[error(transparent)]
    Service(#[from] ServiceRefusal),
    /// The service did not answer.
    #[error("the credit service gave no answer: {0}")]
    NoAnswer(NoAnswer),
    /// What the service answered is not what it should look like.
    #[error("the credit service's answer cannot be read: {0}")]
    Unreadable(Malformed),
    /// The service says something else than the chain, the configuration or our own computation.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// These claims are not signed or sent.
    #[error(transparent)]
    Claims(#[from] ClaimsFault),
    /// This is no certificate that the contract pays on.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// Signing in failed.
    #[error(transparent)]
    SignIn(#[from] SignInFault),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The node is not one of the chain, or was not there at the start.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] AskError),
    /// Nothing was paid on a tab.
    #[error(transparent)]
    Repay(#[from] RepayFault),
    /// The transaction did not happen, or nobody knows: see [`SendError::Unknown`].
    #[error(transparent)]
    Transaction(#[from] SendError),
}

impl CreditError {
    /// The HTTP status, if the service said no.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Service(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether what was asked for may have happened all the same.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        match self {
            Self::NoAnswer(why) => !matches!(why, NoAnswer::NotSent),
            Self::Service(refusal) => refusal.status >= 500,
            Self::Unreadable(_) => true,
            Self::Transaction(error) => matches!(error, SendError::Unknown(_)),
            _ => false,
        }
    }
}

/// The service's "no".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credit service refused ({status}): {text}")]
#[non_exhaustive]
pub struct ServiceRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The service's own words, shortened, made printable, without anything that is as long as a token or a signature.
    pub text: Box<str>,
    /// The same for programs, if the service has codes.
    pub code: Option<Box<str>>,
}

/// Longest word of a service's text that is shown: a number of 256 bits with `0x`. Tokens, keys and signatures are longer.
const WORD_MAX: usize = 66;

/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 1024;

impl ServiceRefusal {
    pub(super) fn new(status: u16, text: &str, code: Option<&str>) -> Self {
        Self {
            status,
            text: shown(text),
            code: code.map(shown),
        }
    }
}

fn shown(text: &str) -> Box<str> {
    let end = text.floor_char_boundary(LOOKED_AT);
    let mut out = String::new();
    let is_word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/' | '=');
    let mut word = String::new();
    for c in text.get(..end).unwrap_or_default().chars().chain([' ']) {
        if is_word(c) {
            word.push(c);
            continue;
        }
        out.push_str(if word.len() > WORD_MAX {
            "(hidden)"
        } else {
            &word
        });
        word.clear();
        out.push(c);
    }
    clean(out.trim_end())
}

/// How there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// There was no connection: nothing was asked.
    #[error("there is no connection")]
    NotSent,
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost,
    /// No answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// It is larger than any answer.
    #[error("the answer is too large")]
    TooLarge,
}

/// What is wrong with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Neither a URL nor a network.
    #[error("expected the URL of a credit service or the name of a network")]
    NoService,
    /// No key.
    #[error("expected a key to sign with")]
    NoSigner,
    /// The service names no node, and none is configured.
    #[error("expected the URL of a node: the credit service names none")]
    NoNode,
    /// The node that the service names would be asked over plain http, or is on this machine and the service is not.
    #[error("expected https for the node that the credit service names")]
    NodeInsecure,
    /// This environment variable cannot be read. Its value is not told.
    #[error("{0} has a value that cannot be read")]
    Variable(&'static str),
    /// Not an http or https URL of scheme, host and path, or plain http to another machine.
    #[error("expected the URL of a credit service: https, or http to this machine")]
    Url,
    /// Not a header value.
    #[error("expected a token or key of printable characters")]
    Credential,
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Http,
    /// Not a UUID.
    #[error("expected the id of a key")]
    KeyId,
    /// Signing out without a session.
    #[error("expected a client that signs in")]
    NoSession,
}

/// What the service says and is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Another chain than the one that was pinned, or none.
    #[error("the credit service is on another chain ({said}) than expected")]
    Chain {
        /// What it says.
        said: u64,
    },
    /// Another contract than the one that was pinned.
    #[error("the credit service names another contract ({said}) than expected")]
    Contract {
        /// What it says.
        said: Address,
    },
    /// The contract checks certificates of this version with another key.
    #[error(
        "the contract checks guarantees of version {0} with another key than the credit service's"
    )]
    Key(GuaranteeVersion),
    /// The contract has another domain for the newest version.
    #[error("the contract has another guarantee domain than the credit service says")]
    Domain,
    /// The contract takes none of the versions that the service issues.
    #[error("the contract takes none of the guarantees that the credit service issues")]
    NoVersion,
    /// The answer is about something else than was asked for.
    #[error("the credit service answered about something else than was asked for")]
    Answer,
}

/// Why claims are not signed, or not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsFault {
    /// They are another payer's.
    #[error("expected claims of this payer")]
    Payer,
    /// They are owed to somebody else.
    #[error("expected claims that are owed to this recipient")]
    Recipient,
    /// Of nothing.
    #[error("expected an amount above zero")]
    Amount,
    /// Nobody issues or pays this version here.
    #[error("guarantees of version {0} are not issued here")]
    Version(GuaranteeVersion),
    /// The condition does not hold together.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The validation would stand on another chain.
    #[error("expected a validation on chain {0}")]
    ValidationChain(ChainId),
    /// The registry is none that the service trusts.
    #[error("expected a registry that the credit service trusts")]
    Registry,
    /// The signature is not the payer's.
    #[error("the signature is not the payer's")]
    Signature,
}

/// Why nothing was paid on a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepayFault {
    /// There is nothing left to pay.
    #[error("nothing is owed on this tab any more")]
    NothingOwed,
    /// The end of an earlier payment on it is unknown.
    #[error("the end of an earlier payment on this tab is not known yet")]
    Underway,
    /// There is no certificate over what is owed: nothing could be taken out of the collateral for it.
    #[error("there is no certificate over what is owed on this tab yet")]
    NoCertificate,
    /// Something is not as it was when the payment was decided, or somebody else pays this tab with the same books.
    #[error("this tab has changed, or somebody else is paying it: look again")]
    Changed,
    /// What is paid could not be written down.
    #[error("payments cannot be written down: {0}")]
    Books(StoreError),
}

/// Why bytes are no certificate of this contract. The texts are the network's where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not the service's signature, or not a certificate at all.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// For another contract, chain or version.
    #[error("guarantee domain mismatch")]
    Domain,
    /// A version that the contract does not take.
    #[error("unsupported guarantee claims version: {0}")]
    Version(GuaranteeVersion),
    /// It does not say what the payer signed.
    #[error("the certificate says something else than the signed claims")]
    Claims,
}

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInFault {
    /// The message to sign is ambiguous.
    #[error(transparent)]
    Message(#[from] SignInError),
    /// The message signs in somewhere else: the signature could be used there.
    #[error("the credit service wants a sign-in to another service signed")]
    Domain,
    /// The message signs in on another chain.
    #[error("the credit service wants a sign-in on another chain signed")]
    Chain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_echoes_of_our_secrets_is_not_shown() {
        let signature = format!("0x{}", "ab".repeat(65));
        let key = format!("ak_{}.{}", "1".repeat(32), "2".repeat(64));
        let text = format!("bad {signature}, key {key}; tab 0x{}", "f".repeat(64));
        let refusal = ServiceRefusal::new(400, &text, Some(&key));
        let shown = format!("{refusal} {refusal:?}");
        assert!(
            !shown.contains("abababab") && !shown.contains("2222"),
            "{shown}"
        );
        assert!(shown.contains("tab 0xffff"), "{shown}");
    }
}
