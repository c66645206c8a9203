//! The events of NIP-47: what we ask, and what is believed to be the wallet's answer.

use std::time::Duration;

use nostr::event::{Event, EventBuilder, FinalizeEvent as _, Kind, Tag};
use nostr::key::{Keys, PublicKey};
use nostr::nips::{nip04, nip44};
use nostr::types::Timestamp;
use serde_json::{Value, json};

/// How a request and its answer are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    /// What wallets without a word about it know.
    Nip04,
    Nip44,
}

/// The wallet, and who we are to it.
pub(super) struct Peer {
    wallet: PublicKey,
    keys: Keys,
}

impl Peer {
    pub(super) const fn new(wallet: PublicKey, keys: Keys) -> Self {
        Self { wallet, keys }
    }

    /// A request as an event that the wallet should not act on when it is older than `wait`.
    pub(super) fn request(&self, cipher: Cipher, body: &Value, wait: Duration) -> Option<Event> {
        let (secret, text) = (self.keys.secret_key(), body.to_string());
        let content = match cipher {
            Cipher::Nip04 => nip04::encrypt(secret, &self.wallet, text).ok()?,
            Cipher::Nip44 => nip44::encrypt(secret, &self.wallet, text, nip44::Version::V2).ok()?,
        };
        let until = Timestamp::now().as_secs().checked_add(wait.as_secs())?;
        let mut event = EventBuilder::new(Kind::WalletConnectRequest, content)
            .tag(Tag::parse(["p", &self.wallet.to_hex()]).ok()?)
            .tag(Tag::parse(["expiration", &until.to_string()]).ok()?);
        if cipher == Cipher::Nip44 {
            event = event.tag(Tag::parse(["encryption", "nip44_v2"]).ok()?);
        }
        event.finalize(&self.keys).ok()
    }

    /// What to listen to for the answer.
    pub(super) fn answers(&self, request: &Event) -> Value {
        json!({
            "kinds": [Kind::WalletConnectResponse.as_u16()], "authors": [self.wallet.to_hex()],
            "#e": [request.id.to_hex()],
        })
    }

    /// What to ask for the wallet's word about itself.
    pub(super) fn infos(&self) -> Value {
        json!({
            "kinds": [Kind::WalletConnectInfo.as_u16()], "authors": [self.wallet.to_hex()], "limit": 1,
        })
    }

    /// The cipher that an info event names, if it is one of the wallet.
    pub(super) fn cipher(&self, event: &Event) -> Option<Cipher> {
        if !self.is_of_wallet(event, Kind::WalletConnectInfo) {
            return None;
        }
        let named = tag(event, "encryption").unwrap_or_default();
        let nip44 = named
            .split_ascii_whitespace()
            .any(|name| name == "nip44_v2");
        Some(if nip44 { Cipher::Nip44 } else { Cipher::Nip04 })
    }

    /// The answer to a request, if the event is one and is the wallet's: right author, right signature, right request.
    pub(super) fn answer(&self, cipher: Cipher, request: &Event, event: &Event) -> Option<Value> {
        let answers = self.is_of_wallet(event, Kind::WalletConnectResponse)
            && tag(event, "e") == Some(&request.id.to_hex());
        if !answers {
            return None;
        }
        let secret = self.keys.secret_key();
        let text = match cipher {
            Cipher::Nip04 => nip04::decrypt(secret, &self.wallet, event.content.as_str()).ok()?,
            Cipher::Nip44 => nip44::decrypt(secret, &self.wallet, &event.content).ok()?,
        };
        serde_json::from_str(&text).ok()
    }

    fn is_of_wallet(&self, event: &Event, kind: Kind) -> bool {
        event.pubkey == self.wallet && event.kind == kind && event.verify().is_ok()
    }
}

/// The first value of a tag.
fn tag<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.tags.iter().find_map(|tag| {
        let parts = tag.as_slice();
        (parts.first()? == name).then_some(parts.get(1)?.as_str())
    })
}
