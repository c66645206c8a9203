#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};

use super::*;
use crate::code::Code;
use crate::credit::claims::{Claims, GuaranteeRequest, SigningScheme, parse_signature};
use crate::timestamp::Timestamp;
use crate::x402::{Version, header};

const PAYER: Address = Address::repeat_byte(0x11);
const RECIPIENT: Address = Address::repeat_byte(0x22);
const TOKEN: Address = Address::repeat_byte(0x33);
const JOB: B256 = B256::repeat_byte(0x44);

fn offer(version: Version) -> Value {
    let amount = match version {
        Version::V1 => "maxAmountRequired",
        Version::V2 => "amount",
    };
    let mut offer = json!({
        "scheme": SCHEME, "network": "eip155:84532", "payTo": RECIPIENT, "asset": TOKEN,
        "extra": { "tabEndpoint": "https://api.example.com/tab" },
    });
    offer[amount] = "1000".into();
    if version == Version::V2 {
        let extra = &mut offer["extra"];
        extra["validationRegistryAddress"] = json!(Address::repeat_byte(0x55));
        extra["validatorAddress"] = json!(Address::repeat_byte(0x66));
        extra["validatorAgentId"] = 7.into();
        extra["minValidationScore"] = "80".into();
        extra["requiredValidationTag"] = "hard".into();
        extra["jobHash"] = json!(JOB);
    }
    offer
}

fn demand(version: Version) -> Demand {
    Demand::read(version, &offer(version)).unwrap()
}

const fn ticket() -> TabTicket {
    TabTicket {
        tab_id: U256::ONE,
        payer: PAYER,
        recipient: Some(RECIPIENT),
        asset: Some(TOKEN),
        start: None,
        ttl_seconds: None,
        next_req_id: Some(U256::ZERO),
    }
}

fn claims(version: Version) -> Claims {
    let now = Timestamp::from_secs(1_716_500_000);
    demand(version).claims(PAYER, &ticket(), now).unwrap()
}

fn payment(version: Version) -> CreditEnvelope {
    let mut signature = [1; 65];
    signature[64] = 27;
    CreditEnvelope {
        version,
        scheme: SCHEME.to_owned(),
        network: "eip155:84532".to_owned(),
        request: GuaranteeRequest {
            claims: claims(version),
            signature: parse_signature(&signature).unwrap(),
            scheme: SigningScheme::Eip712,
        },
    }
}

fn body(version: Version) -> Value {
    let offer = offer(version);
    let header = payment(version).to_header(&offer, None);
    json!({ "paymentHeader": header, "paymentRequirements": offer })
}

fn decode(body: &Value) -> Result<CreditCall, Code> {
    CreditCall::decode(body.to_string().as_bytes()).map_err(|refusal| refusal.code)
}

#[test]
fn a_payment_in_a_header_or_as_an_object_is_the_same() {
    for version in [Version::V1, Version::V2] {
        let by_header = body(version);
        let header = by_header["paymentHeader"].as_str().unwrap();
        let mut by_object = json!({ "x402Version": version.number() });
        by_object["paymentPayload"] = header::decode_any(header.as_bytes()).unwrap();
        by_object["paymentRequirements"] = offer(version);
        let call = decode(&by_header).unwrap();
        assert_eq!(decode(&by_object), Ok(call.clone()));
        assert_eq!(call.payment, payment(version));
        assert_eq!(call.check(), Ok(()));
    }
}

#[test]
fn a_call_that_is_none_has_a_reason() {
    let changed = |change: fn(&mut Value)| {
        let mut body = body(Version::V1);
        change(&mut body);
        decode(&body).err()
    };
    assert_eq!(
        changed(|body| body["x402Version"] = 2.into()),
        Some(Code::InvalidX402Version)
    );
    assert_eq!(
        changed(|body| body["paymentPayload"] = json!({})),
        Some(Code::InvalidPayload)
    );
    assert_eq!(
        changed(|body| body["paymentHeader"] = Value::Null),
        Some(Code::InvalidPayload)
    );
    assert_eq!(
        changed(|body| body["paymentHeader"] = "%".into()),
        Some(Code::MalformedCredential)
    );
    assert_eq!(
        changed(|body| body["paymentRequirements"]["scheme"] = "exact".into()),
        Some(Code::UnsupportedScheme)
    );
    assert_eq!(
        changed(|body| body["paymentRequirements"]["maxAmountRequired"] = "0".into()),
        Some(Code::InvalidPaymentRequirements)
    );
    assert_eq!(decode(&json!([])), Err(Code::InvalidPayload));
    let long = vec![b' '; crate::limits::BODY_BYTES_MAX + 1];
    let refused = CreditCall::decode(&long).map_err(|refusal| refusal.code);
    assert_eq!(refused, Err(Code::BodyTooLarge));
    let garbage = CreditCall::decode(b"{").map_err(|refusal| refusal.code);
    assert_eq!(garbage, Err(Code::MalformedJson));
}

#[test]
fn what_differs_from_the_offer_is_refused_by_its_name() {
    let changed = |version, change: fn(&mut CreditCall)| {
        let mut call = decode(&body(version)).unwrap();
        change(&mut call);
        let refusal = call.check().unwrap_err();
        assert_eq!(refusal.payer, Some(PAYER));
        refusal.code
    };
    let v1 = |change| changed(Version::V1, change);
    assert_eq!(
        v1(|call| call.payment.scheme = "exact".into()),
        Code::UnsupportedScheme
    );
    assert_eq!(
        v1(|call| call.payment.network = "eip155:8453".into()),
        Code::NetworkMismatch
    );
    assert_eq!(
        v1(|call| call.demand.recipient = TOKEN),
        Code::CreditRecipientMismatch
    );
    assert_eq!(
        v1(|call| call.demand.asset = PAYER),
        Code::CreditAssetMismatch
    );
    for amount in [999, 1_001] {
        let mut call = decode(&body(Version::V1)).unwrap();
        call.demand.amount = U256::from(amount);
        assert_eq!(
            call.check().map_err(|refusal| refusal.code),
            Err(Code::CreditAmountMismatch)
        );
    }
    assert_eq!(
        v1(|call| call.payment.request.claims = claims(Version::V2)),
        Code::CreditVersionMismatch
    );
    let v2 = |change| changed(Version::V2, change);
    assert_eq!(
        v2(|call| call.payment.request.claims = claims(Version::V1)),
        Code::CreditVersionMismatch
    );
    // What was signed is bound to its hashes, so another amount is found by them too, after the amount itself.
    assert_eq!(
        v2(|call| {
            let claims = &mut call.payment.request.claims;
            claims.timestamp = Timestamp::from_secs(1);
        }),
        Code::CreditConditionInvalid
    );
    let conditions: [fn(&mut Condition); 6] = [
        |condition| condition.registry = TOKEN,
        |condition| condition.validator = TOKEN,
        |condition| condition.agent_id = U256::ZERO,
        |condition| condition.min_score = 81,
        |condition| condition.tag.clear(),
        |condition| condition.job_hash = B256::repeat_byte(1),
    ];
    for change in conditions {
        let mut call = decode(&body(Version::V2)).unwrap();
        change(call.demand.condition.as_mut().unwrap());
        assert_eq!(
            call.check().map_err(|refusal| refusal.code),
            Err(Code::CreditConditionMismatch)
        );
    }
}

#[test]
fn a_network_has_more_than_one_name() {
    let mut call = decode(&body(Version::V1)).unwrap();
    call.payment.network = "base-sepolia".to_owned();
    assert_eq!(call.check(), Ok(()));
    // What nobody knows is only the same when it is spelled the same.
    call.payment.network = "nowhere".to_owned();
    assert!(call.check().is_err());
    call.demand.network = "nowhere".to_owned();
    assert_eq!(call.check(), Ok(()));
}

#[test]
fn a_tab_of_somebody_else_is_not_signed_for() {
    let now = Timestamp::from_secs(1);
    let refused = |change: fn(&mut TabTicket)| {
        let mut ticket = ticket();
        change(&mut ticket);
        demand(Version::V1).claims(PAYER, &ticket, now).is_err()
    };
    assert!(refused(|ticket| ticket.payer = RECIPIENT));
    assert!(refused(|ticket| ticket.recipient = Some(PAYER)));
    assert!(refused(|ticket| ticket.asset = Some(PAYER)));
    assert!(!refused(|ticket| ticket.asset = None));
}

#[test]
fn a_request_for_a_tab_has_many_names() {
    let long = json!({
        "user_address": PAYER, "recipient_address": RECIPIENT, "network_id": "base-sepolia", "asset_address": TOKEN,
        "ttl_seconds": "60", "guarantee_version": 2,
    });
    let read = TabRequest::read(long.to_string().as_bytes()).unwrap();
    let expected = TabRequest {
        payer: PAYER,
        recipient: Some(RECIPIENT),
        token: Some(TOKEN),
        network: Some("base-sepolia".to_owned()),
        ttl: Some(60),
        version: 2,
        demand: None,
    };
    assert_eq!(read, expected);
    assert_eq!(
        TabRequest::read(expected.for_facilitator().as_bytes()),
        Ok(expected)
    );
    let short = json!({ "userAddress": PAYER });
    let short = TabRequest::read(short.to_string().as_bytes()).unwrap();
    assert_eq!((short.version, short.token), (1, None));
    let torn = json!({ "userAddress": PAYER, "guaranteeVersion": 2, "x402Version": 1 });
    let torn = TabRequest::read(torn.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        torn.to_string(),
        "guaranteeVersion 2 does not match x402Version 1"
    );
}

#[test]
fn an_answer_is_for_both_kinds_of_clients() {
    let refusal = crate::refusal::Refusal::new(Code::CreditAmountMismatch)
        .detail("claim amount is zero")
        .payer(PAYER);
    let answer = serde_json::to_value(CreditSettlement::failed("base", &refusal)).unwrap();
    assert_eq!(
        answer,
        json!({
            "success": false, "error": "claim amount is zero", "txHash": null, "networkId": "base",
            "errorReason": "credit_amount_mismatch", "transaction": "", "network": "base", "payer": PAYER.to_string(),
        })
    );
    let read: crate::x402::SettleResponse = serde_json::from_value(answer).unwrap();
    assert_eq!(read.code(), Some(Code::CreditAmountMismatch));
    let verdict = serde_json::to_value(CreditVerdict::valid(PAYER)).unwrap();
    assert_eq!(
        verdict,
        json!({ "isValid": true, "invalidReason": null, "payer": PAYER.to_string() })
    );
}
