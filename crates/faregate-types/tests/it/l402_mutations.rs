//! Nobody gets in with a token that was changed: whatever is done to two good tokens, what opens the route is one of them,
//! byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use faregate_types::Secret;
use faregate_types::Timestamp;
use faregate_types::l402::{
    Binding, Challenge, Credential, Identifier, Macaroon, MacaroonV1, Presented, Request, RootKey,
    Rules, Target, UnsignedToken, verify, webhook,
};
use faregate_types::lightning::{Bolt11, Msat, Preimage};
use proptest::prelude::*;

/// What is done to the bytes of a token.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, prop::sample::Index),
    /// The start of this one and the end of the other.
    Splice(prop::sample::Index, prop::sample::Index),
    /// Two stretches change places: among others, caveats in another order.
    Swap([prop::sample::Index; 3]),
    Append(Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..8);
    prop_oneof![
        (index(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (index(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Change::Remove(from, to)),
        (index(), index()).prop_map(|(from, to)| Change::Splice(from, to)),
        any::<[prop::sample::Index; 3]>().prop_map(Change::Swap),
        bytes().prop_map(Change::Append),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, more) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.drain(from.min(to)..=from.max(to));
            }
            Self::Splice(from, to) => {
                bytes.truncate(from.index(length));
                bytes.extend(&other[to.index(other.len())..]);
            }
            Self::Swap(places) => {
                let mut places = places.map(|place| place.index(length));
                places.sort_unstable();
                bytes[places[0]..places[2]].rotate_left(places[1] - places[0]);
            }
            Self::Append(more) => bytes.extend(more),
        }
    }
}

const NOW: u64 = 1_000;

fn preimage() -> Preimage {
    Preimage::from_bytes([7; 32])
}

/// A token for the route of `target` and one for a cheaper route of the same shop, signed with the same key and paid with the
/// same preimage, which makes life as easy for a forger as it can be.
fn tokens(key: &RootKey) -> [Macaroon; 2] {
    [("/dear", 9_000, [2; 32]), ("/cheap", 1_000, [3; 32])].map(|(path, msat, token_id)| {
        let binding = Binding {
            service: "shop",
            tier: 0,
            capabilities: &[],
            valid_until: Timestamp::from_secs(NOW + 100),
            path,
            method: "GET",
            price: Msat::new(msat),
            max_uses: Some(1),
            client: None,
        };
        let identifier = Identifier {
            payment_hash: preimage().hash(),
            token_id,
        };
        binding.mint(key, &identifier).unwrap()
    })
}

const TARGET: Target<'static> = Target {
    service: "shop",
    tier: 0,
    capability: None,
    now: Timestamp::from_secs(NOW),
    rules: Rules::Ours(Request {
        route: "/dear",
        path: "/dear",
        method: "GET",
        price: Msat::new(9_000),
        client: None,
    }),
};

fn opens(bytes: &[u8], key: &RootKey) -> bool {
    Macaroon::decode(bytes).is_ok_and(|token| verify(&token, &preimage(), key, &TARGET).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_opens_the_route_is_the_token_that_was_sold(
        changes in prop::collection::vec(change(), 1..4),
        from_dear in any::<bool>(),
    ) {
        let key = RootKey::from_bytes([1; 32]);
        let [dear, cheap] = tokens(&key);
        prop_assert!(opens(dear.as_bytes(), &key) && !opens(cheap.as_bytes(), &key));
        let (start, other) = if from_dear { (&dear, &cheap) } else { (&cheap, &dear) };
        let mut bytes = start.as_bytes().to_vec();
        for change in &changes {
            change.apply(&mut bytes, other.as_bytes());
        }
        prop_assert!(!opens(&bytes, &key) || bytes == dear.as_bytes());
    }

    #[test]
    fn a_text_that_opens_the_route_is_base64_of_that_token(
        changes in prop::collection::vec(change(), 1..3),
        form in 0_usize..4,
    ) {
        let key = RootKey::from_bytes([1; 32]);
        let [dear, cheap] = tokens(&key);
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let digits = preimage().expose_hex();
        let write = |token: &Macaroon| format!("{}:{}", engines[form].encode(token.as_bytes()), digits.as_str());
        let mut text = write(&dear).into_bytes();
        for change in &changes {
            change.apply(&mut text, write(&cheap).as_bytes());
        }
        let value = [b"L402 ", text.as_slice()].concat();
        if let Ok(Some(Presented::Signed(credential))) = Presented::read(&value) {
            let opening = credential.tokens.iter().filter(|token| {
                verify(token, &credential.preimage, &key, &TARGET).is_ok()
            });
            for token in opening {
                prop_assert_eq!(token, &dear);
                prop_assert_eq!(&credential.preimage, &preimage());
            }
        }
    }

    #[test]
    fn other_caveats_in_other_orders_do_not_open_it(
        order in Just((0_usize..6).collect::<Vec<_>>()).prop_shuffle(),
        kept in 0_usize..=6,
    ) {
        let key = RootKey::from_bytes([1; 32]);
        let [dear, _] = tokens(&key);
        let all: Vec<Vec<u8>> = dear.caveats().map(|caveat| caveat.id.to_vec()).collect();
        prop_assert_eq!(all.len(), 6);
        let chosen: Vec<&Vec<u8>> = order.iter().take(kept).map(|index| &all[*index]).collect();
        // A holder does not know the key: all they can do is put caveats beside the signature they have.
        let other = RootKey::from_bytes([9; 32]);
        let mut bytes = Macaroon::mint(&other, "lsat", dear.identifier(), &chosen).unwrap().as_bytes().to_vec();
        let start = bytes.len() - 32;
        bytes[start..].copy_from_slice(dear.signature());
        prop_assert_eq!(opens(&bytes, &key), bytes == dear.as_bytes());
    }

    #[test]
    fn what_a_holder_adds_never_opens_more(added in prop::collection::vec("[a-z_]{0,12}=?[a-z0-9:,/*]{0,12}|services=shop:[0-9]{1,3}|path=/[a-z]{0,5}|method=[A-Z,]{1,9}|(price_msat|max_uses|shop_valid_until)=[0-9]{1,20}", 1..4)) {
        let key = RootKey::from_bytes([1; 32]);
        let [dear, cheap] = tokens(&key);
        let grow = |token: Macaroon| {
            added.iter().try_fold(token, |token, caveat| token.attenuate(caveat)).unwrap()
        };
        prop_assert!(!opens(grow(cheap).as_bytes(), &key));
        if let Ok(grant) = verify(&grow(dear), &preimage(), &key, &TARGET) {
            prop_assert_eq!(grant.max_uses, Some(1));
            prop_assert!(grant.valid_until.unwrap() <= Timestamp::from_secs(NOW + 100));
            prop_assert!(grant.price.unwrap() == Msat::new(9_000) && grant.tier == 0);
        }
    }
}

proptest! {
    #[test]
    fn what_is_minted_is_read_back(
        key in any::<[u8; 32]>(),
        location in "[ -~é]{0,20}",
        identifier in prop::collection::vec(any::<u8>(), 1..200),
        caveats in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
    ) {
        let key = RootKey::from_bytes(key);
        let token = Macaroon::mint(&key, &location, &identifier, &caveats).unwrap();
        prop_assert!(token.is_signed_by(&key));
        prop_assert_eq!(token.location(), location.as_bytes());
        prop_assert_eq!(token.identifier(), &identifier[..]);
        let read: Vec<&[u8]> = token.caveats().map(|caveat| caveat.id).collect();
        prop_assert_eq!(read, caveats.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(Macaroon::decode(token.as_bytes()).unwrap(), token.clone());
        prop_assert_eq!(Macaroon::from_base64(&token.to_base64()).unwrap(), token);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), body in ".{0,40}") {
        if let Ok(token) = Macaroon::decode(&bytes) {
            prop_assert_eq!(token.as_bytes(), &bytes[..]);
        }
        drop(MacaroonV1::inspect(&bytes));
        drop(Credential::from_metadata(&bytes));
        drop(Presented::read(&[b"L402 ", bytes.as_slice()].concat()));
        drop(Challenge::parse_all([bytes.as_slice()]));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            drop(UnsignedToken::parse(text));
            drop(Bolt11::parse(text));
        }
        let secret = Secret::new(bytes);
        let now = Timestamp::from_secs(NOW);
        let header = webhook::sign(&secret, now, body.as_bytes());
        prop_assert_eq!(webhook::verify(&secret, &header, body.as_bytes(), now), Ok(()));
        let _ = webhook::verify(&secret, &body, body.as_bytes(), now);
    }

    #[test]
    fn any_line_of_parameters_is_read_without_a_panic(line in r#"((L402|LSAT|l402|Basic|Payment)? ?([a-z]{1,8} ?= ?("([^"\\]|\\.)*"|[A-Za-z0-9+/=]*))?[ ,\t"=\\]{0,3}){0,8}"#) {
        if let Ok(found) = Challenge::parse_all([line.as_bytes()]) {
            for challenge in found {
                prop_assert!(!challenge.token.is_empty() && !challenge.invoice.is_empty());
            }
        }
    }
}
