//! Nobody gets in with a changed token or a changed permit, whatever is changed; and any bytes are read.

use faregate_types::permit::{
    Claims, Demand, Expected, Issued, Permit, Terms, TokenError, TokenKey, authorization, request,
    token, verify,
};
use faregate_types::{Address, B256, ChainId, Signature65, Timestamp, U256};
use proptest::prelude::*;

use crate::permit::{NOW, permits, price, rich};

/// What is done to the bytes of a text.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index, prop::sample::Index),
    Append(Vec<u8>),
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<prop::sample::Index>;
    // Characters that mean something in JSON, numbers and base64 more often than others.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"{}[]\":,.=-_0123456789abcdefAx ".to_vec())
        ]
    };
    let change = prop_oneof![
        (index(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (index(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (index(), index()).prop_map(|(from, to)| Change::Remove(from, to)),
        prop::collection::vec(byte(), 1..4).prop_map(Change::Append),
    ];
    prop::collection::vec(change, 1..4)
}

pub(crate) fn changed(text: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for change in changes {
        let length = bytes.len();
        match change {
            Change::Append(more) => bytes.extend(more),
            _ if length == 0 => {}
            Change::Set(at, byte) => bytes[at.index(length)] = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Change::Remove(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.drain(from.min(to)..from.max(to));
            }
        }
    }
    bytes
}

fn key() -> TokenKey {
    TokenKey::new("x402mock_private_key_test".to_owned()).unwrap()
}

/// Who signed: the payers of the permits that were really signed, and an address that depends on the digest for all others,
/// as recovery does it.
fn recover(signed: &[Permit], digest: B256, signature: &Signature65) -> Option<Address> {
    let separator = faregate_types::domain_separator(
        &price().asset().domain,
        price().asset().id.chain(),
        price().asset().id.token(),
    );
    let by = signed
        .iter()
        .find(|permit| permit.digest(separator) == digest && permit.signature == *signature);
    Some(by.map_or_else(|| Address::from_word(digest), |permit| permit.terms.payer()))
}

fn opens(body: &[u8]) -> Option<Permit> {
    let permit = request::read(body).ok()?;
    let prices = [price()];
    let expected = Expected {
        prices: &prices,
        now: NOW,
        margin_secs: 0,
    };
    let who = |digest, signature: &Signature65| recover(&permits(), digest, signature);
    let checked = verify::check(&permit, &expected, who).ok()?;
    checked.cover(&rich()).ok()?;
    Some(permit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_changed_token_opens_anything(changes in changes()) {
        let good = token::mint(&key(), &Claims { exp: NOW, iat: Some(NOW), ..Claims::default() });
        let bytes = changed(&good, &changes);
        let line = [b"Bearer ", bytes.as_slice()].concat();
        let checked = authorization::check([line.as_slice()], &key(), NOW);
        // Blanks around the token are the header's, not the token's.
        if bytes.trim_ascii() == good.as_bytes() {
            prop_assert!(checked.is_ok());
        } else {
            prop_assert!(checked.is_err());
        }
    }

    #[test]
    fn no_changed_permit_pays(which in 0_usize..3, changes in changes()) {
        let permit = permits()[which];
        let text = request::write(&permit, NOW);
        prop_assert_eq!(opens(text.as_bytes()), Some(permit));
        if let Some(opened) = opens(&changed(&text, &changes)) {
            // Another text of the very same permit: letter case, blanks, dates.
            prop_assert_eq!(opened, permit);
        }
    }

    #[test]
    fn whatever_is_signed_is_read_back(
        numbers in any::<[[u64; 4]; 4]>(),
        addresses in any::<[[u8; 20]; 3]>(),
        nonce in any::<[u8; 32]>(),
        chain in 1_u64..,
    ) {
        let [value, first, second, third] = numbers.map(U256::from_limbs);
        let [a, b, c] = addresses.map(Address::from);
        for mut permit in permits() {
            permit.chain = ChainId::evm(chain);
            match &mut permit.terms {
                Terms::Eip2612 { token, permit } => {
                    (*token, permit.owner, permit.spender) = (a, b, c);
                    (permit.value, permit.nonce, permit.deadline) = (value, first, second);
                }
                Terms::Erc3009 { token, authorization } => {
                    (*token, authorization.from, authorization.to) = (a, b, c);
                    authorization.value = value;
                    (authorization.valid_after, authorization.valid_before) = (first, second);
                    authorization.nonce = B256::from(nonce);
                }
                Terms::Permit2 { owner, contract, transfer } => {
                    (*owner, *contract, transfer.spender) = (a, b, c);
                    (transfer.amount, transfer.nonce, transfer.deadline) = (value, first, third);
                }
            }
            let text = request::write(&permit, NOW);
            prop_assert_eq!(request::read(text.as_bytes()), Ok(permit));
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            drop(request::read(bytes));
            drop(Demand::read(bytes));
            drop(Issued::read(bytes));
            drop(authorization::check([bytes], &key(), NOW));
            let signed = format!("{text}.{text}");
            prop_assert!(token::verify(&signed, &key(), NOW).is_err());
        }
    }

    #[test]
    fn claims_are_read_back(
        exp in any::<u64>(),
        iat in proptest::option::of(any::<u64>()),
        texts in prop::array::uniform9(proptest::option::of(".{0,40}")),
    ) {
        let [nonce, aud, route, method, quote, payer, amount, asset, jti] = texts;
        let claims = Claims {
            exp: Timestamp::from_secs(exp),
            iat: iat.map(Timestamp::from_secs),
            nonce, aud, route, method, quote, payer, amount, asset, jti,
        };
        let text = token::mint(&key(), &claims);
        let read = token::verify(&text, &key(), claims.exp);
        prop_assert_eq!(read.map(|token| token.claims), Ok(claims.clone()));
        if let Some(later) = claims.exp.checked_add_secs(1) {
            prop_assert_eq!(token::verify(&text, &key(), later), Err(TokenError::Expired));
        }
    }

    #[test]
    fn amounts_are_exact(units in any::<[u64; 4]>(), decimals in 0_u8..78) {
        let units = U256::from_limbs(units);
        let amount = faregate_types::permit::Decimal::from_units(units, decimals);
        prop_assert_eq!(amount.to_units(decimals), Ok(units));
        let again = faregate_types::permit::Decimal::parse(&amount.to_string());
        if amount.to_string().len() <= 128 {
            prop_assert_eq!(again, Ok(amount));
        }
    }
}
