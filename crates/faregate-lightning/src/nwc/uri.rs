//! `nostr+walletconnect://<wallet>?relay=…&secret=…`.

use faregate_types::Secret;
use nostr::key::{Keys, PublicKey};
use url::Url;
use zeroize::Zeroizing;

use super::message::Peer;
use crate::config::ConfigError;

/// Relays that are taken from one URI.
const RELAYS_MAX: usize = 4;

const WRONG: ConfigError =
    ConfigError::Other("expected nostr+walletconnect:// with the wallet, a relay and a secret");

/// Who the wallet is, who we are to it, and where we meet.
pub(super) fn read(uri: &Secret) -> Result<(Peer, Vec<Url>), ConfigError> {
    let text = std::str::from_utf8(uri.expose()).map_err(|_| WRONG)?;
    let rest = text
        .strip_prefix("nostr+walletconnect:")
        .ok_or(WRONG)?
        .trim_start_matches('/');
    let (wallet, query) = rest.split_once('?').ok_or(WRONG)?;
    let wallet = PublicKey::from_hex(wallet.trim_end_matches('/')).map_err(|_| WRONG)?;
    let mut relays = Vec::new();
    let mut secret = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "relay" => relays.push(Url::parse(&value).map_err(|_| WRONG)?),
            "secret" => {
                let value = Zeroizing::new(value.into_owned());
                let is_hex = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
                let keys = is_hex.then(|| Keys::parse(&value).ok()).flatten();
                secret = Some(keys.ok_or(WRONG)?);
            }
            _ => {}
        }
    }
    relays.truncate(RELAYS_MAX);
    match secret {
        Some(keys) if !relays.is_empty() => Ok((Peer::new(wallet, keys), relays)),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALLET: &str = "b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4";
    const SECRET: &str = "71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c";

    fn relays(text: &str) -> Result<Vec<String>, ConfigError> {
        let read = read(&Secret::new(text.as_bytes().to_vec()))?;
        Ok(read.1.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_wallets_show_is_read() {
        let relay = "relay=wss%3A%2F%2Frelay.example";
        for text in [
            format!("nostr+walletconnect://{WALLET}?{relay}&secret={SECRET}"),
            format!("nostr+walletconnect:{WALLET}?secret={SECRET}&lud16=a%40b.c&{relay}"),
        ] {
            assert_eq!(relays(&text), Ok(vec!["wss://relay.example/".to_owned()]));
        }
        let two = format!(
            "nostr+walletconnect://{WALLET}?{relay}&secret={SECRET}&relay=wss://b.example/x"
        );
        assert_eq!(relays(&two).unwrap().len(), 2);
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        let relay = "relay=wss%3A%2F%2Frelay.example";
        let short = SECRET.get(1..).unwrap();
        for text in [
            String::new(),
            format!("https://{WALLET}?{relay}&secret={SECRET}"),
            format!("nostr+walletconnect://{WALLET}"),
            format!("nostr+walletconnect://{WALLET}?{relay}"),
            format!("nostr+walletconnect://{WALLET}?secret={SECRET}"),
            format!("nostr+walletconnect://{WALLET}?{relay}&secret={short}"),
            format!(
                "nostr+walletconnect://{WALLET}?{relay}&secret={}",
                "0".repeat(64)
            ),
            format!("nostr+walletconnect://abc?{relay}&secret={SECRET}"),
            format!("nostr+walletconnect://{WALLET}?relay=nonsense&secret={SECRET}"),
        ] {
            let error = relays(&text).unwrap_err();
            assert_eq!(error, WRONG, "{text}");
            assert!(!error.to_string().contains(short));
        }
    }
}
