//! What a token says about itself. Most tokens say nothing that we can read, and then nothing is known.
//!
//! Nothing here is checked: the seller knows better, and says so when a token is shown.

use faregate_core::route::{RoutePattern, normalise_path};
use faregate_types::Timestamp;
use faregate_types::l402::Macaroon;

/// The conditions that say when and where it is worth showing (specs/l402.md §1.6, and `l402::caveat` for ours).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The path or the pattern of paths that it opens.
    pub(super) path: Option<Box<str>>,
    /// It works before this moment.
    pub(super) until: Option<Timestamp>,
    /// How many requests it buys.
    pub(super) uses: Option<u32>,
}

impl Words {
    /// Reads the conditions of a token. A later one can only narrow.
    pub(super) fn of(token: &str) -> Self {
        let Ok(macaroon) = Macaroon::from_base64(token) else {
            return Self::default();
        };
        let mut words = Self::default();
        let (mut paths, mut ours) = (Vec::new(), 0_u32);
        for caveat in macaroon.caveats() {
            let text = std::str::from_utf8(caveat.id).unwrap_or_default();
            let Some((name, value)) = text.split_once('=') else {
                continue;
            };
            match name {
                "path" => paths.push(value),
                "method" | "price_msat" => ours = ours.saturating_add(1),
                "max_uses" => words.uses = least(words.uses, value.parse().ok()),
                _ if name.ends_with("_valid_until") => {
                    let until = value.parse().ok().map(Timestamp::from_secs);
                    words.until = least(words.until, until);
                }
                _ => {}
            }
        }
        // In other dialects the same words may mean something else.
        if let ([path], 2..) = (&*paths, ours) {
            words.path = Some((*path).into());
        }
        words
    }
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether a token for `class`, a path or a pattern of paths, may be shown at `path`.
pub(super) fn covers(class: &str, path: &str) -> bool {
    if class == path {
        return true;
    }
    let pattern = class.starts_with('/').then(|| RoutePattern::parse(class));
    match (pattern, normalise_path(path)) {
        (Some(Ok(pattern)), Ok(path)) => pattern.matches_path(&path),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use faregate_types::l402::{Binding, Identifier, RootKey};
    use faregate_types::lightning::{Msat, PaymentHash};
    use proptest::prelude::*;

    use super::*;

    fn identifier() -> Identifier {
        Identifier {
            payment_hash: PaymentHash::from_bytes([1; 32]),
            token_id: [2; 32],
        }
    }

    fn key() -> RootKey {
        RootKey::from_bytes([3; 32])
    }

    #[test]
    fn a_token_of_our_gate_says_where_and_until_when_and_how_often() {
        let binding = Binding {
            service: "shop",
            tier: 0,
            capabilities: &[],
            valid_until: Timestamp::from_secs(99),
            path: "/jokes/*",
            method: "GET",
            price: Msat::new(10),
            max_uses: Some(3),
            client: None,
        };
        let token = binding.mint(&key(), &identifier()).unwrap();
        let words = Words::of(&token.to_base64());
        let expected = Words {
            path: Some("/jokes/*".into()),
            until: Some(Timestamp::from_secs(99)),
            uses: Some(3),
        };
        assert_eq!(words, expected);
        // Whoever narrows it can only narrow it.
        let mut narrowed = token;
        for caveat in [
            "max_uses=2",
            "shop_valid_until=100",
            "max_uses=7",
            "path=/jokes/1",
        ] {
            narrowed = narrowed.attenuate(caveat).unwrap();
        }
        let words = Words::of(&narrowed.to_base64());
        let (until, uses) = (Some(Timestamp::from_secs(99)), Some(2));
        assert_eq!(
            words,
            Words {
                path: None,
                until,
                uses
            }
        );
    }

    #[test]
    fn other_tokens_say_what_can_be_read_of_them() {
        let with = |caveats: &[&str]| {
            let token = Macaroon::mint(&key(), "", &identifier().encode(), caveats).unwrap();
            Words::of(&token.to_base64())
        };
        assert_eq!(
            with(&["path=/x", "max_uses=x", "RequestPath = /x"]),
            Words::default()
        );
        let aperture = with(&["services=a:0", "a_capabilities=b", "a_valid_until=7"]);
        assert_eq!(aperture.until, Some(Timestamp::from_secs(7)));
        for text in ["", "opaque", "eyJoYXNoIjogIiJ9"] {
            assert_eq!(Words::of(text), Words::default());
        }
    }

    #[test]
    fn a_pattern_covers_its_paths() {
        let table = [
            ("/joke", "/joke", true),
            ("/joke", "/jokes", false),
            ("/jokes/*", "/jokes/1", true),
            ("/jokes/*", "/jokes", true),
            ("/jokes/[id]", "/jokes/1", true),
            ("/jokes/[id]", "/jokes/1/2", false),
            ("/*", "/anything", true),
            ("*", "/anything", false),
            ("shop.example/*", "/anything", false),
            ("", "", true),
            ("", "/", false),
        ];
        for (class, path, expected) in table {
            assert_eq!(covers(class, path), expected, "{class} {path}");
        }
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(class: String, path: String) {
            covers(&class, &path);
            Words::of(&class);
        }
    }
}
