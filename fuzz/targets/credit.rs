//! Credit: requests, certificates, answers of a service, sign-in messages, administrators' keys. What is read is written the
//! same again, and nothing that anybody can write is signed by a payer or by the service.
#![no_main]

use std::sync::LazyLock;

use faregate_types::credit::api::{
    AdminKeyInfo, AssetBalance, CollateralEvent, CreateAdminKey, CreateTab, CreatedAdminKey,
    CreatedTab, ErrorBody, GuaranteeInfo, Health, LoggedOut, NonceAnswer, NonceRequest,
    PendingRemuneration, PublicParams, RecipientPayment, RefreshRequest, SetSuspension,
    SupportedTokens, Suspension, TabInfo, Tokens, VerifyRequest,
};
use faregate_types::credit::x402::{CreditCall, CreditEnvelope, Demand, TabRequest, TabTicket};
use faregate_types::credit::{
    AdminKey, BlsPublicKey, BlsSecretKey, BlsSignature, Certificate, Claims, DateText, Guarantee,
    GuaranteeRequest, Message, SignIn, SigningScheme, binding, parse_quantity, parse_signature,
    parse_uuid, read, read_answer, to_quantity, to_uuid, write,
};
use faregate_types::x402::Version;
use faregate_types::{Address, B256, Timestamp, U256};
use libfuzzer_sys::fuzz_target;

/// Another key than those of the vectors, whose certificates are among the seeds.
static KEY: LazyLock<BlsSecretKey> =
    LazyLock::new(|| BlsSecretKey::from_bytes(&[0x17; 32]).expect("a key"));

/// The one certificate that is good.
static ISSUED: LazyLock<Certificate> = LazyLock::new(|| {
    let claims = Claims {
        payer: Address::repeat_byte(1),
        recipient: Address::repeat_byte(2),
        tab_id: U256::from(3),
        req_id: U256::ZERO,
        amount: U256::from(4),
        asset: Address::ZERO,
        timestamp: Timestamp::from_secs(5),
        validation: None,
    };
    let guarantee = Guarantee::of(&claims, B256::ZERO, U256::from(4)).expect("a guarantee");
    Certificate::issue(&guarantee, &KEY)
});

/// Reads a message, and what it writes as the same.
fn same<M: Message + PartialEq>(data: &[u8]) {
    if let Ok(message) = read_answer::<M>(data) {
        let written = write(&message);
        assert!(read_answer::<M>(written.as_bytes()).is_ok_and(|again| again == message));
    }
}

fn messages(data: &[u8]) {
    same::<GuaranteeRequest>(data);
    same::<Certificate>(data);
    same::<PublicParams>(data);
    same::<Health>(data);
    same::<ErrorBody>(data);
    same::<CreateTab>(data);
    same::<CreatedTab>(data);
    same::<Option<TabInfo>>(data);
    same::<Vec<TabInfo>>(data);
    same::<Option<GuaranteeInfo>>(data);
    same::<Vec<GuaranteeInfo>>(data);
    same::<Vec<PendingRemuneration>>(data);
    same::<PendingRemuneration>(data);
    same::<CollateralEvent>(data);
    same::<Option<AssetBalance>>(data);
    same::<RecipientPayment>(data);
    same::<SupportedTokens>(data);
    same::<Suspension>(data);
    same::<SetSuspension>(data);
    same::<CreateAdminKey>(data);
    same::<CreatedAdminKey>(data);
    same::<AdminKeyInfo>(data);
    same::<NonceRequest>(data);
    same::<NonceAnswer>(data);
    same::<VerifyRequest>(data);
    same::<RefreshRequest>(data);
    same::<Tokens>(data);
    same::<LoggedOut>(data);
}

/// Whatever a stranger signed is not the payer's; and what is bound is bound by its own hashes only.
fn requested(data: &[u8]) {
    let claims = match read::<GuaranteeRequest>(data) {
        Ok(request) => {
            let stranger = Address::repeat_byte(0x99);
            if request.claims.payer != stranger {
                assert!(
                    request
                        .signed_as(B256::ZERO, |_, _| Some(stranger))
                        .is_none()
                );
            }
            let payer = request.claims.payer;
            assert!(request.signed_as(B256::ZERO, |_, _| Some(payer)).is_some());
            request.claims
        }
        Err(_) => match read::<Claims>(data) {
            Ok(claims) => claims,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        },
    };
    let is_bound = binding::check(&claims).is_ok();
    assert!(!is_bound || binding::bind(claims.clone()) == claims);
    if is_bound {
        let guarantee = Guarantee::of(&claims, B256::ZERO, U256::MAX).expect("bound");
        let (again, _) = Guarantee::decode(&guarantee.encode()).expect("encoded");
        assert!(again == guarantee);
    }
}

fn certified(data: &[u8]) {
    if let Ok((guarantee, layout)) = Guarantee::decode(data) {
        assert_eq!(guarantee.encode_as(layout), data);
    }
    if let Ok(certificate) = read::<Certificate>(data) {
        assert!(certificate == *ISSUED || certificate.verify(&KEY.public_key()).is_err());
    }
    if let Ok(key) = BlsPublicKey::from_bytes(data) {
        assert_eq!(key.to_bytes(), data);
        assert!(key == KEY.public_key() || ISSUED.verify(&key).is_err());
    }
    if let Ok(signature) = BlsSignature::from_bytes(data) {
        let other = Certificate {
            signature,
            ..ISSUED.clone()
        };
        assert!(other == *ISSUED || other.verify(&KEY.public_key()).is_err());
    }
    if let Ok(signature) = parse_signature(data) {
        let bytes = signature.to_bytes();
        assert!(bytes[..64] == data[..64] && matches!(bytes[64], 27 | 28));
    }
    // The good one with some of its bytes changed: one byte says where, the next how. A verification takes long.
    if data.len() <= 16 {
        let mut claims = ISSUED.claims.to_vec();
        for change in data.chunks_exact(2) {
            let at = usize::from(change[0]) % claims.len();
            claims[at] ^= change[1];
        }
        let other = Certificate {
            claims: claims.into(),
            ..ISSUED.clone()
        };
        assert!(other == *ISSUED || other.verify(&KEY.public_key()).is_err());
    }
}

/// An offer is met by what is signed for it, and by nothing else; a payment is read as it was written.
fn over_x402(data: &[u8]) {
    same::<TabTicket>(data);
    if let Ok(request) = TabRequest::read(data) {
        let body = request.for_facilitator();
        assert!(TabRequest::read(body.as_bytes()).is_ok_and(|again| again.payer == request.payer));
    }
    if let Ok(call) = CreditCall::decode(data) {
        let claims = &call.payment.request.claims;
        let more = Demand {
            amount: call.demand.amount ^ U256::ONE,
            ..call.demand.clone()
        };
        assert!(call.check().is_err() || more.met_by(claims).is_err());
    }
    let Ok(offer) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    for version in [Version::V1, Version::V2] {
        let Ok(demand) = Demand::read(version, &offer) else {
            continue;
        };
        let ticket = TabTicket {
            tab_id: U256::ONE,
            payer: Address::ZERO,
            recipient: None,
            asset: None,
            start: None,
            ttl_seconds: None,
            next_req_id: None,
        };
        let now = Timestamp::from_secs(1);
        let claims = demand
            .claims(Address::ZERO, &ticket, now)
            .expect("a demand that was read");
        assert_eq!(demand.met_by(&claims), Ok(()));
        let payment = CreditEnvelope {
            version,
            scheme: offer["scheme"].as_str().unwrap_or_default().to_owned(),
            network: demand.network.clone(),
            request: GuaranteeRequest {
                claims,
                signature: parse_signature(&[vec![1; 64], vec![27]].concat()).expect("a signature"),
                scheme: SigningScheme::Eip712,
            },
        };
        let header = payment.to_header(&offer, None);
        let body = serde_json::json!({ "paymentHeader": header, "paymentRequirements": offer });
        // Larger than any request may be, once it is in base64 as well.
        if let Ok(call) = CreditCall::decode(body.to_string().as_bytes()) {
            assert!(call.payment == payment && call.demand == demand);
        }
    }
}

fn text(text: &str) {
    if let Ok(message) = SignIn::parse(text) {
        assert_eq!(message.to_text(), text);
        assert!(message.checked_text().is_ok());
    }
    if let Some(date) = DateText::parse(text) {
        assert_eq!(date.as_str(), text);
        assert_eq!(DateText::from(date.at()).at(), date.at());
    }
    if let Some(number) = parse_quantity(text) {
        assert_eq!(parse_quantity(&to_quantity(number)), Some(number));
    }
    if let Some(key) = AdminKey::parse(text) {
        assert!(key.to_text().eq_ignore_ascii_case(text) && key.is_of(&key.hash()));
    }
    if let Some(bytes) = parse_uuid(text) {
        assert_eq!(parse_uuid(&to_uuid(bytes)), Some(bytes));
    }
}

fuzz_target!(|data: &[u8]| {
    messages(data);
    requested(data);
    certified(data);
    over_x402(data);
    if let Ok(data) = std::str::from_utf8(data) {
        text(data);
    }
});
