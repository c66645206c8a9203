//! Credit: claims, what is signed for them, conditions, certificates and their signatures. The recorded answers of the SDKs
//! are run in `conformance`; here are the edges around them.

use alloy_primitives::keccak256;
use faregate_types::credit::bls::BlsError;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{
    BindingError, BlsPublicKey, BlsSecretKey, BlsSignature, Certificate, CertificateError, Claims,
    Encoding, Guarantee, GuaranteeRequest, GuaranteeVersion, Layout, SigningScheme,
    ValidationPolicy, binding, digest, parse_signature, read, write,
};
use faregate_types::{Address, B256, Bytes, ChainId, Signature65, SignatureError, Timestamp, U256};

pub(crate) fn claims() -> Claims {
    Claims {
        payer: Address::repeat_byte(0x11),
        recipient: Address::repeat_byte(0x22),
        tab_id: U256::from(42),
        req_id: U256::ZERO,
        amount: U256::from(1_000),
        asset: Address::ZERO,
        timestamp: Timestamp::from_secs(1_716_500_000),
        validation: None,
    }
}

pub(crate) fn conditional() -> Claims {
    binding::bind(Claims {
        validation: Some(ValidationPolicy {
            registry: Address::repeat_byte(0x33),
            request_hash: B256::ZERO,
            chain_id: 84532,
            validator: Address::repeat_byte(0x44),
            agent_id: U256::from(7),
            min_score: 80,
            subject_hash: B256::ZERO,
            tag: "hard-finality".into(),
            job_hash: B256::repeat_byte(0x55),
        }),
        ..claims()
    })
}

fn policy(change: impl FnOnce(&mut ValidationPolicy)) -> Claims {
    let mut claims = conditional();
    change(claims.validation.as_mut().unwrap());
    claims
}

fn signature() -> Signature65 {
    let mut bytes = [7; 65];
    bytes[64] = 28;
    Signature65::parse(&bytes).unwrap()
}

pub(crate) fn request(claims: Claims) -> GuaranteeRequest {
    GuaranteeRequest {
        claims,
        signature: signature(),
        scheme: SigningScheme::Eip712,
    }
}

fn key(number: u8) -> BlsSecretKey {
    let mut bytes = [0; 32];
    bytes[31] = number;
    BlsSecretKey::from_bytes(&bytes).unwrap()
}

#[test]
fn requests_are_written_as_the_sdk_writes_them_and_read_back() {
    let json = write(&request(claims()));
    let head = r#"{"claims":{"version":"v1","user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","tab_id":"0x2a","req_id":"0x0","amount":"0x3e8","asset_address":"0x0000000000000000000000000000000000000000","timestamp":1716500000},"signature":"0x0707"#;
    assert!(json.starts_with(head), "{json}");
    assert!(json.ends_with(r#"071c","scheme":"eip712"}"#), "{json}");
    for claims in [claims(), conditional()] {
        let request = request(claims);
        assert_eq!(read(write(&request).as_bytes()), Ok(request));
    }
}

#[test]
fn numbers_and_versions_are_read_in_every_form() {
    let json = write(&request(claims()));
    let same = |from: &str, to: &str| {
        let changed = json.replace(from, to);
        assert_ne!(changed, json, "{from}");
        let read = read::<GuaranteeRequest>(changed.as_bytes());
        assert_eq!(read, Ok(request(claims())), "{to}");
    };
    for tab in [
        "42",
        "\"42\"",
        "\"0x2A\"",
        "\"0X2a\"",
        "\" 0x2a \"",
        &format!("\"0x{:0>64}\"", "2a"),
        "\"042\"",
    ] {
        same("\"0x2a\"", tab);
    }
    same("1716500000", "\"1716500000\"");
    for version in ["1", "\"1\""] {
        same("\"v1\"", version);
    }
    same(
        "\"v1\"",
        "\"v1\",\"job_hash\":null,\"nobody\":{\"knows\":[1,null]}",
    );
    let large = U256::MAX.to_string();
    let changed = json.replace("\"0x3e8\"", &large);
    let read = read::<GuaranteeRequest>(changed.as_bytes()).unwrap();
    assert_eq!(read.claims.amount, U256::MAX, "digit by digit");
}

#[test]
#[allow(clippy::too_many_lines, reason = "one line per case")]
fn what_is_no_request_is_refused_by_the_member_that_is_wrong() {
    let json = write(&request(conditional()));
    let refused = |from: &str, to: &str| {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from}");
        let error = read::<GuaranteeRequest>(changed.as_bytes()).unwrap_err();
        error.to_string()
    };
    for (from, to, error) in [
        (
            "\"v2\"",
            "\"v3\"",
            "claims: version: expected \"v1\" or \"v2\"",
        ),
        ("\"v2\"", "3", "claims: version: expected \"v1\" or \"v2\""),
        (
            "\"0x2a\"",
            "-1",
            "claims: tab_id: expected a number below 2^256, in hexadecimal or decimal digits",
        ),
        (
            "\"0x2a\"",
            "1.5",
            "claims: tab_id: expected a number below 2^256, in hexadecimal or decimal digits",
        ),
        (
            "\"0x2a\"",
            "\"0x\"",
            "claims: tab_id: expected a number below 2^256, in hexadecimal or decimal digits",
        ),
        (
            "\"0x2a\"",
            "\"\"",
            "claims: tab_id: expected a number below 2^256, in hexadecimal or decimal digits",
        ),
        (
            "\"0x2a\"",
            "null",
            "claims: tab_id: expected a number below 2^256, in hexadecimal or decimal digits",
        ),
        (
            "\"0x2a\"",
            "\"0x2a\",\"tab_id\":1",
            "claims: tab_id: expected only once",
        ),
        (
            "\"tab_id\"",
            "\"tabId\"",
            "claims: tab_id: expected to be there",
        ),
        (
            "0x1111111111111111111111111111111111111111",
            "secret",
            "claims: user_address: expected an address of \"0x\" and 40 hexadecimal digits",
        ),
        (
            "1716500000",
            "-1",
            "claims: timestamp: expected a whole number below 2^64",
        ),
        (
            ":80,",
            ":0,",
            "claims: min_validation_score: expected a number from 1 to 100",
        ),
        (
            ":80,",
            ":101,",
            "claims: min_validation_score: expected a number from 1 to 100",
        ),
        (
            ":80,",
            ":356,",
            "claims: min_validation_score: expected a number from 1 to 100",
        ),
        (
            "\"job_hash\"",
            "\"jobs\"",
            "claims: job_hash: expected in version 2",
        ),
        (
            "\"eip712\"",
            "\"eip1\"",
            "scheme: expected \"eip712\" or \"eip191\"",
        ),
        (
            "1c\",\"scheme\"",
            "zz\",\"scheme\"",
            "signature: invalid hex signature",
        ),
        (
            "1c\",\"scheme\"",
            "\",\"scheme\"",
            "signature: invalid signature length",
        ),
        (
            "1c\",\"scheme\"",
            "1d\",\"scheme\"",
            "signature: Invalid signature: expected 27 or 28 as the last byte of the signature",
        ),
    ] {
        assert_eq!(refused(from, to), error, "{to}");
    }
    assert_eq!(refused("{\"claims\"", "{claims"), "expected JSON");
    let tag = "x".repeat(1_025);
    assert_eq!(
        refused("hard-finality", &tag),
        "claims: required_validation_tag: expected a shorter text"
    );
    let long = format!("{json}{}", " ".repeat(16 * 1024));
    let error = read::<GuaranteeRequest>(long.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "expected at most 16384 bytes");
    assert!(read::<GuaranteeRequest>(b"[]").is_err());
    assert!(read::<GuaranteeRequest>(b"\xff").is_err());
}

#[test]
fn the_tag_may_be_left_out() {
    let claims = binding::bind(policy(|policy| policy.tag.clear()));
    let json = write(&claims).replace("\"required_validation_tag\":\"\",", "");
    assert!(!json.contains("tag"));
    assert_eq!(read(json.as_bytes()), Ok(claims));
}

#[test]
fn signatures_end_with_any_of_four_bytes_and_have_a_low_s() {
    let mut bytes = signature().to_bytes();
    for (last, v) in [(0, 27), (1, 28), (27, 27), (28, 28)] {
        bytes[64] = last;
        assert_eq!(parse_signature(&bytes).unwrap().v, v);
    }
    for last in [2, 26, 29, 255] {
        bytes[64] = last;
        assert_eq!(parse_signature(&bytes), Err(SignatureError::RecoveryNumber));
    }
    bytes[64] = 0;
    bytes[32] = 0x80;
    assert_eq!(parse_signature(&bytes), Err(SignatureError::HighS));
    assert_eq!(parse_signature(&bytes[..64]), Err(SignatureError::Length));
}

#[test]
fn a_request_is_recovered_once_per_encoding_until_it_is_the_payers() {
    let separator = digest::domain_separator("4mica", "1", ChainId::BASE_SEPOLIA);
    for (claims, scheme) in [
        (claims(), SigningScheme::Eip712),
        (claims(), SigningScheme::Eip191),
        (conditional(), SigningScheme::Eip712),
        (conditional(), SigningScheme::Eip191),
    ] {
        let candidates = Encoding::candidates(claims.version(), scheme);
        let request = GuaranteeRequest {
            scheme,
            ..request(claims)
        };
        for (place, encoding) in candidates.iter().enumerate() {
            let signed = request.claims.digest(*encoding, separator).unwrap();
            let asked = std::cell::Cell::new(0);
            let found = request.signed_as(separator, |digest, signature| {
                asked.set(asked.get() + 1);
                assert_eq!(*signature, request.signature);
                let someone = Address::repeat_byte(0x99);
                Some(if digest == signed {
                    request.claims.payer
                } else {
                    someone
                })
            });
            assert_eq!((found, asked.get()), (Some(*encoding), place + 1));
        }
        assert_eq!(request.signed_as(separator, |_, _| None), None);
        assert_eq!(
            request.signed_as(separator, |_, _| Some(Address::ZERO)),
            None
        );
    }
}

#[test]
fn the_hashes_of_types_are_those_of_their_texts() {
    let common = "address user,address recipient,uint256 tabId,uint256 reqId,uint256 amount,address asset,uint64 timestamp";
    let policy = "address validationRegistryAddress,bytes32 validationRequestHash,uint256 validationChainId,\
                  address validatorAddress,uint256 validatorAgentId,uint8 minValidationScore,bytes32 validationSubjectHash";
    let v2 = |last| format!("SolGuaranteeRequestClaimsV2({common},{policy},{last})");
    for (hash, text) in [
        (
            digest::DOMAIN_TYPE_HASH,
            "EIP712Domain(string name,string version,uint256 chainId)",
        ),
        (
            digest::TYPE_HASH_V1,
            &format!("SolGuaranteeRequestClaimsV1({common})"),
        ),
        (
            digest::TYPE_HASH_V2_TAG_FIRST,
            &v2("string requiredValidationTag,bytes32 jobHash"),
        ),
        (
            digest::TYPE_HASH_V2_JOB_FIRST,
            &v2("bytes32 jobHash,string requiredValidationTag"),
        ),
    ] {
        assert_eq!(hash, keccak256(text), "{text}");
    }
}

#[test]
fn encodings_of_the_other_version_have_no_digest() {
    for encoding in [
        Encoding::TypedV2TagFirst,
        Encoding::TypedV2JobFirst,
        Encoding::MessageV2TagFirst,
        Encoding::MessageV2JobFirst,
        Encoding::MessageV2Struct,
    ] {
        assert_eq!(claims().digest(encoding, B256::ZERO), None);
        assert!(conditional().digest(encoding, B256::ZERO).is_some());
    }
    for encoding in [Encoding::TypedV1, Encoding::MessageV1] {
        assert_eq!(conditional().digest(encoding, B256::ZERO), None);
        assert!(claims().digest(encoding, B256::ZERO).is_some());
    }
}

#[test]
fn conditions_carry_their_own_hashes_a_job_and_a_score() {
    assert_eq!(binding::check(&claims()), Ok(()));
    assert_eq!(binding::check(&conditional()), Ok(()));
    for (claims, error) in [
        (policy(|policy| policy.min_score = 0), BindingError::Score),
        (policy(|policy| policy.min_score = 101), BindingError::Score),
        (
            policy(|policy| policy.job_hash = B256::ZERO),
            BindingError::NoJob,
        ),
        (
            policy(|policy| policy.job_hash = binding::TAG_POINTER),
            BindingError::AmbiguousJob,
        ),
        (
            policy(|policy| policy.subject_hash = B256::ZERO),
            BindingError::Subject,
        ),
        (
            policy(|policy| policy.request_hash = B256::ZERO),
            BindingError::Request,
        ),
        (policy(|policy| policy.tag.push('!')), BindingError::Request),
        (policy(|policy| policy.chain_id += 1), BindingError::Request),
        (
            Claims {
                amount: U256::from(1_001),
                ..conditional()
            },
            BindingError::Subject,
        ),
    ] {
        assert_eq!(binding::check(&claims), Err(error));
    }
}

#[test]
fn certificates_say_what_was_claimed_and_are_read_in_both_layouts() {
    let domain = domain_separator(GuaranteeVersion::V2, ChainId::BASE, Address::ZERO);
    for claims in [claims(), conditional()] {
        let guarantee = Guarantee::of(&claims, domain, U256::from(5_000)).unwrap();
        assert_eq!(guarantee.validation, claims.validation);
        for layout in [Layout::TagFirst, Layout::JobFirst] {
            let bytes = guarantee.encode_as(layout);
            let (read, found) = Guarantee::decode(&bytes).unwrap();
            assert_eq!(read, guarantee);
            assert!(found == layout || claims.validation.is_none());
        }
        let key = key(7);
        let certificate = Certificate::issue(&guarantee, &key);
        assert_eq!(certificate.verify(&key.public_key()), Ok(guarantee));
        let other = certificate.verify(&self::key(8).public_key());
        assert_eq!(other, Err(CertificateError::Signature(BlsError::Mismatch)));
    }
}

#[test]
fn no_certificate_is_issued_or_read_that_has_two_readings() {
    let ambiguous = policy(|policy| policy.job_hash = binding::TAG_POINTER);
    let refused = Guarantee::of(&ambiguous, B256::ZERO, U256::ZERO).unwrap_err();
    assert_eq!(
        refused,
        CertificateError::Binding(BindingError::AmbiguousJob)
    );
    let mut guarantee = Guarantee::of(&conditional(), B256::ZERO, U256::ZERO).unwrap();
    guarantee.validation = ambiguous.validation;
    for layout in [Layout::TagFirst, Layout::JobFirst] {
        let read = Guarantee::decode(&guarantee.encode_as(layout));
        assert_eq!(read, Err(refused));
    }
}

#[test]
fn certificates_have_one_encoding() {
    let guarantee = Guarantee::of(&conditional(), B256::ZERO, U256::from(9)).unwrap();
    let bytes = guarantee.encode();
    assert!(Guarantee::decode(&bytes).is_ok());
    let after = [bytes.clone(), vec![0; 32]].concat();
    assert_eq!(
        Guarantee::decode(&after),
        Err(CertificateError::Claims),
        "something behind it"
    );
    // The last byte is padding behind the tag, the first of the payer's word is before the address.
    for place in [bytes.len() - 1, 96 + 32 + 3 * 32] {
        let mut dirty = bytes.clone();
        dirty[place] = 1;
        assert_eq!(
            Guarantee::decode(&dirty),
            Err(CertificateError::Claims),
            "{place}"
        );
    }
    let inner = &bytes[96..];
    assert!(Guarantee::decode(inner).is_err(), "no envelope");
    assert_eq!(
        Guarantee::decode(&[0; 2_049]),
        Err(CertificateError::TooLong)
    );
    for end in 0..bytes.len() {
        assert!(Guarantee::decode(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn whatever_can_be_asked_for_can_be_certified() {
    let longest = binding::bind(policy(|policy| policy.tag = "\u{e9}".repeat(512)));
    let json = write(&request(longest.clone()));
    assert_eq!(read(json.as_bytes()), Ok(request(longest.clone())));
    assert_eq!(binding::check(&longest), Ok(()));
    let guarantee = Guarantee::of(&longest, B256::ZERO, U256::MAX).unwrap();
    let certificate = Certificate::issue(&guarantee, &key(7));
    let text = write(&certificate);
    let again: Certificate = read(text.as_bytes()).unwrap();
    assert_eq!(again.verify(&key(7).public_key()), Ok(guarantee));
}

#[test]
fn a_certificate_is_for_one_contract_and_its_versions() {
    let guarantee = Guarantee::of(&claims(), B256::repeat_byte(1), U256::from(9)).unwrap();
    let certificate = Certificate::issue(&guarantee, &key(7));
    let public = key(7).public_key();
    let domain = |domain: u8| move |_| Some(B256::repeat_byte(domain));
    assert_eq!(certificate.verify_for(&public, domain(1)), Ok(guarantee));
    let refused = certificate.verify_for(&public, domain(2));
    assert_eq!(refused, Err(CertificateError::Domain));
    let refused = certificate.verify_for(&public, |_| None);
    assert_eq!(refused, Err(CertificateError::Version));
}

#[test]
fn certificates_are_texts_with_and_without_a_prefix() {
    let guarantee = Guarantee::of(&claims(), B256::ZERO, U256::from(9)).unwrap();
    let certificate = Certificate::issue(&guarantee, &key(7));
    let json = write(&certificate);
    assert!(json.starts_with("{\"claims\":\"00"), "{json}");
    assert_eq!(read(json.as_bytes()), Ok(certificate.clone()));
    let prefixed = json.replace(":\"", ":\"0x");
    assert_eq!(read(prefixed.as_bytes()), Ok(certificate));
    for (from, to) in [
        ("{\"claims\":\"00", "{\"claims\":\"0"),
        ("{\"claims\":\"00", "{\"claims\":\"zz"),
        ("\"}", "00\"}"),
    ] {
        let changed = json.replace(from, to);
        assert!(read::<Certificate>(changed.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn points_outside_the_group_and_at_infinity_are_refused() {
    let key = key(7);
    let public = key.public_key();
    assert_eq!(BlsPublicKey::from_bytes(&public.to_bytes()), Ok(public));
    assert_eq!(
        BlsPublicKey::from_bytes(&public.to_bytes()[..47]),
        Err(BlsError::Length)
    );
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert_eq!(BlsPublicKey::from_bytes(&infinity), Err(BlsError::Infinity));
    // x = 4 is on the curve, and not in the group.
    let mut outside = [0; 48];
    (outside[0], outside[47]) = (0x80, 4);
    assert_eq!(BlsPublicKey::from_bytes(&outside), Err(BlsError::Subgroup));
    assert_eq!(
        BlsPublicKey::from_bytes(&[0xff; 48]),
        Err(BlsError::Encoding)
    );
    let mut flagless = public.to_bytes();
    flagless[0] &= 0x7f;
    assert_eq!(BlsPublicKey::from_bytes(&flagless), Err(BlsError::Encoding));

    let refused = |bytes: &[u8]| {
        let signature = BlsSignature::from_bytes(bytes).unwrap();
        let error = signature.words().unwrap_err();
        assert_eq!(public.verify(b"", &signature), Err(error));
        assert_eq!(public.verify_batch(&[(b"", signature)]), Err(error));
        error
    };
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    assert_eq!(refused(&infinity), BlsError::Infinity);
    let mut outside = [0; 96];
    (outside[0], outside[95]) = (0x80, 2);
    assert_eq!(refused(&outside), BlsError::Subgroup);
    assert_eq!(refused(&[0xff; 96]), BlsError::Encoding);
    let mut flagless = *key.sign(b"").as_bytes();
    flagless[0] &= 0x7f;
    assert_eq!(refused(&flagless), BlsError::Encoding);
    assert_eq!(BlsSignature::from_bytes(&[0; 95]), Err(BlsError::Length));
}

#[test]
fn secret_keys_are_below_the_order_and_never_shown() {
    let order = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    let below = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000";
    assert!(BlsSecretKey::from_hex(below).is_ok());
    assert_eq!(BlsSecretKey::from_hex(order).unwrap_err(), BlsError::Range);
    assert_eq!(
        BlsSecretKey::from_hex(&"0".repeat(64)).unwrap_err(),
        BlsError::Range
    );
    assert_eq!(BlsSecretKey::from_hex("0x07").unwrap_err(), BlsError::Hex);
    assert!(!format!("{:?}", BlsSecretKey::from_hex(below)).contains("73eda"));
}

#[test]
fn a_batch_is_right_when_every_signature_is() {
    let key = key(7);
    let public = key.public_key();
    let messages: Vec<Vec<u8>> = (0..5_u8).map(|byte| vec![byte; 416]).collect();
    let signed: Vec<(&[u8], BlsSignature)> = messages
        .iter()
        .map(|message| (message.as_slice(), key.sign(message)))
        .collect();
    assert_eq!(public.verify_batch(&signed), Ok(()));
    assert_eq!(public.verify_batch(&signed[..1]), Ok(()));
    assert_eq!(public.verify_batch(&[]), Ok(()));
    for wrong in 0..signed.len() {
        let mut changed = signed.clone();
        changed[wrong].0 = b"another";
        assert_eq!(
            public.verify_batch(&changed),
            Err(BlsError::Mismatch),
            "{wrong}"
        );
    }
    // Two signatures over each other's messages: their sum is right, and neither of them is.
    let mut swapped = signed.clone();
    (swapped[0].1, swapped[1].1) = (signed[1].1, signed[0].1);
    assert_eq!(public.verify_batch(&swapped), Err(BlsError::Mismatch));
    assert_eq!(
        self::key(8).public_key().verify_batch(&signed),
        Err(BlsError::Mismatch)
    );
}

#[test]
fn requests_certificates_and_keys_do_not_show_signatures() {
    let guarantee = Guarantee::of(&claims(), B256::ZERO, U256::from(9)).unwrap();
    let certificate = Certificate::issue(&guarantee, &key(7));
    let digits = Bytes::copy_from_slice(certificate.signature.as_bytes()).to_string();
    assert!(!format!("{certificate:?}").contains(&digits[2..20]));
    assert!(!format!("{:?}", request(claims())).contains("0707"));
}
