//! What the host of an API says about who is paid: `/.well-known/l402.txt`.
//!
//! Strangers name these hosts. So the file is asked for once, without following redirects, within a few seconds, up to a few
//! kilobytes, over TLS, and at public addresses only, unless the operator works on a network of their own.

use faregate_http::{Http, Reach, TlsError, Trust};
use http::{HeaderMap, Method};
use url::Url;

use crate::limits::{PROOF_BYTES_MAX, PROOF_CONNECT_TIMEOUT, PROOF_TIMEOUT};

const PATH: &str = "/.well-known/l402.txt";

/// What the host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing: it did not answer, or may not be asked.
    Away,
    /// This; nothing at all where there is no such file.
    Said(Box<str>),
}

impl Proof {
    /// Whether this Lightning address stands there, as a word of its own.
    pub(super) fn names(&self, address: &str) -> bool {
        self.words().any(|word| {
            // Perhaps after a label: `address:shop@wallet.example`.
            let labelled = word.strip_suffix(address);
            labelled.is_some_and(|label| label.is_empty() || label.ends_with(':'))
        })
    }

    /// Whether the SHA-256 of this key stands there.
    pub(super) fn names_key(&self, hash: &[u8; 32]) -> bool {
        let hash = hex::encode(hash);
        self.words().any(|word| word == hash)
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let said = match self {
            Self::Away => "",
            Self::Said(said) => said,
        };
        said.split(|one: char| !(one.is_ascii_alphanumeric() || "-_.+@:".contains(one)))
    }
}

/// Asks hosts.
#[derive(Clone, Debug)]
pub(super) struct Prover {
    http: Http,
    reach: Reach,
}

impl Prover {
    pub(super) fn new(reach: Reach) -> Result<Self, TlsError> {
        let http = Http::reaching(
            reach,
            &Trust::Platform,
            HeaderMap::new(),
            PROOF_CONNECT_TIMEOUT,
        )?;
        Ok(Self { http, reach })
    }

    /// Asks the host of this URL.
    pub(super) async fn ask(&self, url: &Url) -> Proof {
        // Without TLS anybody on the way could say anything.
        if url.scheme() != "https" && self.reach == Reach::Public {
            return Proof::Away;
        }
        let mut url = url.clone();
        url.set_path(PATH);
        url.set_query(None);
        let request = self.http.request(Method::GET, url);
        match self
            .http
            .send(request, PROOF_TIMEOUT, PROOF_BYTES_MAX)
            .await
        {
            Ok(answer) if answer.status.is_success() => {
                let text = String::from_utf8_lossy(&answer.body);
                Proof::Said(text.to_ascii_lowercase().into())
            }
            Ok(answer) if answer.status.is_server_error() => Proof::Away,
            Ok(_) => Proof::Said("".into()),
            Err(error) => {
                tracing::debug!(why = %error, "a host did not say who is paid");
                Proof::Away
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_word_and_not_a_part_of_one() {
        let address = "bob@w.example";
        for (text, named) in [
            ("bob@w.example", true),
            ("# who is paid\nlightning: bob@w.example\n", true),
            ("lightning:bob@w.example", true),
            ("lightning=\"bob@w.example\";", true),
            ("notbob@w.example", false),
            ("not-bob@w.example", false),
            ("bob@w.example.org", false),
            ("bob@w.example:8080", false),
            ("", false),
        ] {
            assert_eq!(Proof::Said(text.into()).names(address), named, "{text}");
        }
        assert!(!Proof::Away.names(address));
        let named = Proof::Said(format!("key sha256={}", "ab".repeat(32)).into());
        assert!(named.names_key(&[0xab; 32]) && !named.names_key(&[0xac; 32]));
    }
}
