//! Nobody gets credit, money or access for something that was changed after it was signed, whatever is changed; any bytes are
//! read; and what is written is read back.

use std::sync::LazyLock;

use alloy_primitives::keccak256;
use faregate_types::credit::api::{
    AssetBalance, CollateralEvent, CreateAdminKey, CreateTab, GuaranteeInfo, Health, NonceAnswer,
    PendingRemuneration, PublicParams, RecipientPayment, SupportedTokens, TabInfo, Tokens,
    VerifyRequest,
};
use faregate_types::credit::{
    AdminKey, BlsPublicKey, BlsSecretKey, BlsSignature, Certificate, Claims, DateText, Encoding,
    Guarantee, GuaranteeRequest, Layout, Message, SignIn, SignInTemplate, SigningScheme,
    ValidationPolicy, binding, digest, parse_quantity, parse_signature, parse_uuid, read,
    read_answer, to_quantity, to_uuid, write,
};
use faregate_types::{Address, B256, ChainId, Signature65, Timestamp, U256};
use proptest::prelude::*;

use crate::credit::{claims, conditional, request};
use crate::permit_mutations::{changed, changes};

static KEY: LazyLock<BlsSecretKey> =
    LazyLock::new(|| BlsSecretKey::from_hex(&format!("{:064x}", 7)).unwrap());

fn separator() -> B256 {
    digest::domain_separator("4mica", "1", ChainId::BASE_SEPOLIA)
}

/// The requests that their payers really signed: both versions in both schemes.
fn signed() -> [GuaranteeRequest; 4] {
    let [first, second] = [claims(), conditional()];
    let in_scheme = |claims: &Claims, scheme| GuaranteeRequest {
        scheme,
        ..request(claims.clone())
    };
    [
        in_scheme(&first, SigningScheme::Eip712),
        in_scheme(&first, SigningScheme::Eip191),
        in_scheme(&second, SigningScheme::Eip712),
        in_scheme(&second, SigningScheme::Eip191),
    ]
}

/// Who signed: the payers of those requests, and an address that depends on digest and signature for all others, as recovery
/// does it.
fn recover(digest: B256, signature: &Signature65) -> Option<Address> {
    let by = signed().into_iter().find(|request| {
        let first = Encoding::candidates(request.claims.version(), request.scheme)[0];
        request.claims.digest(first, separator()) == Some(digest) && request.signature == *signature
    });
    let stranger = || {
        let seed = [digest.as_slice(), &signature.to_bytes()].concat();
        Address::from_word(keccak256(seed))
    };
    Some(by.map_or_else(stranger, |request| request.claims.payer))
}

/// The request, if credit is given for it.
fn credited(body: &[u8], separator: B256) -> Option<GuaranteeRequest> {
    let request: GuaranteeRequest = read(body).ok()?;
    request.signed_as(separator, recover)?;
    binding::check(&request.claims).ok()?;
    Some(request)
}

prop_compose! {
    fn policies()(
        registry in any::<[u8; 20]>(),
        validator in any::<[u8; 20]>(),
        hashes in any::<[[u8; 32]; 3]>(),
        chain_id in any::<u64>(),
        agent in any::<[u64; 4]>(),
        min_score in 1_u8..=100,
        tag in ".{0,80}",
    ) -> ValidationPolicy {
        let [request_hash, subject_hash, job_hash] = hashes.map(B256::from);
        ValidationPolicy {
            registry: registry.into(),
            request_hash,
            chain_id,
            validator: validator.into(),
            agent_id: U256::from_limbs(agent),
            min_score,
            subject_hash,
            tag,
            job_hash,
        }
    }
}

prop_compose! {
    fn any_claims()(
        addresses in any::<[[u8; 20]; 3]>(),
        numbers in any::<[[u64; 4]; 3]>(),
        timestamp in any::<u64>(),
        validation in proptest::option::of(policies()),
    ) -> Claims {
        let [payer, recipient, asset] = addresses.map(Address::from);
        let [tab_id, req_id, amount] = numbers.map(U256::from_limbs);
        let timestamp = Timestamp::from_secs(timestamp);
        Claims { payer, recipient, tab_id, req_id, amount, asset, timestamp, validation }
    }
}

fn never_panics(bytes: &[u8]) {
    fn reads<M: Message>(bytes: &[u8]) {
        drop(read::<M>(bytes));
        drop(read_answer::<Option<Vec<M>>>(bytes));
    }
    reads::<GuaranteeRequest>(bytes);
    reads::<Claims>(bytes);
    reads::<Certificate>(bytes);
    reads::<PublicParams>(bytes);
    reads::<Health>(bytes);
    reads::<CreateTab>(bytes);
    reads::<TabInfo>(bytes);
    reads::<GuaranteeInfo>(bytes);
    reads::<PendingRemuneration>(bytes);
    reads::<CollateralEvent>(bytes);
    reads::<AssetBalance>(bytes);
    reads::<RecipientPayment>(bytes);
    reads::<SupportedTokens>(bytes);
    reads::<NonceAnswer>(bytes);
    reads::<VerifyRequest>(bytes);
    reads::<Tokens>(bytes);
    reads::<CreateAdminKey>(bytes);
    drop(Guarantee::decode(bytes));
    let _ = BlsPublicKey::from_bytes(bytes);
    let _ = BlsSignature::from_bytes(bytes).map(|signature| signature.words());
    let _ = parse_signature(bytes);
    let text = String::from_utf8_lossy(bytes);
    drop(SignIn::parse(&text));
    drop(DateText::parse(&text));
    let _ = parse_quantity(&text);
    drop(AdminKey::parse(&text));
    let _ = parse_uuid(&text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_changed_request_gets_credit(which in 0_usize..4, changes in changes()) {
        let request = signed()[which].clone();
        let text = write(&request);
        let same = credited(text.as_bytes(), separator());
        prop_assert_eq!(same, Some(request.clone()));
        if let Some(credited) = credited(&changed(&text, &changes), separator()) {
            // Another text of the very same request: letter case, blanks, numbers in other forms.
            prop_assert_eq!(credited, request);
        }
    }

    #[test]
    fn claims_are_written_and_read_back(claims in any_claims(), is_message in any::<bool>()) {
        let scheme = if is_message { SigningScheme::Eip191 } else { SigningScheme::Eip712 };
        let request = GuaranteeRequest { scheme, ..request(claims) };
        prop_assert_eq!(read(write(&request).as_bytes()), Ok(request));
    }

    #[test]
    fn different_claims_have_different_digests(one in any_claims(), other in any_claims()) {
        prop_assume!(one != other);
        for scheme in [SigningScheme::Eip712, SigningScheme::Eip191] {
            let digests = |claims: &Claims| {
                let candidates = Encoding::candidates(claims.version(), scheme).iter();
                let all: Vec<_> = candidates.map(|encoding| claims.digest(*encoding, separator()).unwrap()).collect();
                all
            };
            let (ours, theirs) = (digests(&one), digests(&other));
            prop_assert!(ours.iter().all(|digest| !theirs.contains(digest)));
        }
    }

    #[test]
    fn typed_claims_are_of_one_domain(claims in any_claims(), chain in 1_u64.., name in ".{0,20}") {
        let other = digest::domain_separator(&name, "1", ChainId::evm(chain));
        prop_assume!(other != separator());
        for encoding in Encoding::candidates(claims.version(), SigningScheme::Eip712) {
            prop_assert_ne!(claims.digest(*encoding, other), claims.digest(*encoding, separator()));
        }
    }

    #[test]
    fn what_is_bound_holds_and_nothing_else(claims in any_claims(), wrong in any::<[u8; 32]>()) {
        let bound = binding::bind(claims);
        prop_assert_eq!(binding::check(&bound), Ok(()));
        if let Some(policy) = &bound.validation {
            let mut other = bound.clone();
            other.validation.as_mut().unwrap().subject_hash = wrong.into();
            prop_assert!(policy.subject_hash == B256::from(wrong) || binding::check(&other).is_err());
            let mut other = bound.clone();
            other.validation.as_mut().unwrap().job_hash = wrong.into();
            prop_assert!(policy.job_hash == B256::from(wrong) || binding::check(&other).is_err());
        }
    }

    #[test]
    fn guarantees_are_written_and_read_back(
        claims in any_claims(), domain in any::<[u8; 32]>(), total in any::<[u64; 4]>(),
    ) {
        let guarantee = Guarantee::of(&claims, domain.into(), U256::from_limbs(total)).unwrap();
        for layout in [Layout::TagFirst, Layout::JobFirst] {
            let read = Guarantee::decode(&guarantee.encode_as(layout)).map(|(guarantee, _)| guarantee);
            prop_assert_eq!(read.as_ref(), Ok(&guarantee));
        }
    }

    #[test]
    fn bytes_of_a_certificate_have_one_reading(claims in any_claims(), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let guarantee = Guarantee::of(&claims, B256::ZERO, U256::ZERO).unwrap();
        let mut bytes = guarantee.encode();
        bytes[at.index(guarantee.encode().len())] ^= bits;
        if let Ok((other, layout)) = Guarantee::decode(&bytes) {
            prop_assert_ne!(&other, &guarantee);
            prop_assert_eq!(other.encode_as(layout), bytes);
        }
    }

    #[test]
    fn numbers_are_written_and_read_back(limbs in any::<[u64; 4]>(), bytes in any::<[u8; 16]>()) {
        let number = U256::from_limbs(limbs);
        prop_assert_eq!(parse_quantity(&to_quantity(number)), Some(number));
        prop_assert_eq!(parse_quantity(&number.to_string()), Some(number));
        prop_assert_eq!(parse_uuid(&to_uuid(bytes)), Some(bytes));
    }

    #[test]
    fn times_are_written_and_read_back(secs in 0_u64..253_402_300_800) {
        let date = DateText::from(Timestamp::from_secs(secs));
        prop_assert_eq!(date.at().as_secs(), secs);
        prop_assert_eq!(DateText::parse(date.as_str()), Some(date));
    }

    #[test]
    fn what_a_client_signs_says_what_it_seems_to_say(
        texts in prop::array::uniform4(prop_oneof!["[a-z:/.]{1,20}", "[ -~\n]{0,40}", ".{0,20}"]),
        secs in 0_u64..253_402_300_800,
        chain_id in any::<u64>(),
        address in any::<[u8; 20]>(),
    ) {
        let [domain, uri, statement, nonce] = texts;
        let at = DateText::from(Timestamp::from_secs(secs));
        let template = SignInTemplate { domain, uri, chain_id, statement, expiration: at.clone(), issued_at: at };
        let message = SignIn { address: address.into(), nonce, template };
        if let Ok(text) = message.checked_text() {
            prop_assert_eq!(SignIn::parse(&text), Ok(message));
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,200}", changes in changes()) {
        never_panics(&bytes);
        never_panics(text.as_bytes());
        let signed = &signed()[2];
        never_panics(&changed(&write(signed), &changes));
        let certificate = Guarantee::of(&signed.claims, B256::ZERO, U256::ZERO).unwrap().encode();
        // The first bytes are padding: what is interesting comes after them.
        let mut cut = certificate;
        cut.truncate(bytes.len() * 3);
        never_panics(&cut);
    }
}

proptest! {
    // A verification takes a millisecond.
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_changed_certificate_is_good(claims in any_claims(), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let guarantee = Guarantee::of(&claims, B256::ZERO, U256::from(9)).unwrap();
        let good = Certificate::issue(&guarantee, &KEY);
        let key = KEY.public_key();
        prop_assert_eq!(good.verify(&key), Ok(guarantee));
        let mut claims = good.claims.to_vec();
        let at_claims = at.index(claims.len());
        claims[at_claims] ^= bits;
        let other = Certificate { claims: claims.into(), signature: good.signature };
        prop_assert!(other.verify(&key).is_err());
        let mut signature = *good.signature.as_bytes();
        let at_signature = at.index(signature.len());
        signature[at_signature] ^= bits;
        let signature = BlsSignature::from_bytes(&signature).unwrap();
        let other = Certificate { signature, ..good.clone() };
        prop_assert!(other.verify(&key).is_err());
        // Neither is it good in a batch with good ones.
        let batch = [(&good.claims[..], good.signature), (&other.claims[..], other.signature)];
        prop_assert!(key.verify_batch(&batch).is_err());
    }
}
