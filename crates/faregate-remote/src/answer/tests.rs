use faregate_types::x402::{MaxTimeout, VersionTag};
use faregate_types::x402::{exact, v1, v2};
use faregate_types::{Authorization, B256, Bytes, TokenDomain, U256};
use reqwest::StatusCode;

use super::*;

const PAYER: Address = Address::repeat_byte(0xaa);
const PAYEE: Address = Address::repeat_byte(0xbb);
const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

fn payload(value: u64, to: Address) -> serde_json::Value {
    let authorization = Authorization {
        from: PAYER,
        to,
        value: U256::from(value),
        valid_after: U256::ZERO,
        valid_before: U256::from(u64::MAX),
        nonce: B256::repeat_byte(7),
    };
    let signature = Bytes::from(vec![1; 65]);
    exact::Payload {
        authorization,
        signature,
    }
    .to_value()
}

fn v2_request(value: u64, to: Address) -> FacilitatorRequest {
    let requirements = v2::PaymentRequirements {
        scheme: "exact".into(),
        network: "eip155:84532".into(),
        amount: "1000".into(),
        asset: Address::repeat_byte(0xcc).to_string(),
        pay_to: PAYEE.to_string(),
        max_timeout_seconds: MaxTimeout::from_secs(60),
        extra: Some(TokenDomain::new("USDC", "2").to_extra()),
    };
    let payload = v2::PaymentPayload {
        x402_version: VersionTag,
        resource: None,
        accepted: requirements.clone(),
        payload: payload(value, to),
        extensions: None,
    };
    FacilitatorRequest::V2 {
        payload,
        requirements,
    }
}

fn payment() -> ExactPayment {
    precheck(&v2_request(1000, PAYEE)).unwrap()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn a_payment_that_does_not_fit_is_refused_before_anybody_is_asked() {
    use Code::{
        InvalidExactEvmPayloadAuthorizationValueMismatch as Value,
        InvalidExactEvmPayloadRecipientMismatch as Recipient,
    };
    let code = |request| precheck(&request).unwrap_err().code;
    assert_eq!(code(v2_request(999, PAYEE)), Value);
    assert_eq!(code(v2_request(1001, PAYEE)), Value);
    assert_eq!(code(v2_request(1000, PAYER)), Recipient);
    let FacilitatorRequest::V2 {
        payload,
        requirements,
    } = v2_request(1000, PAYEE)
    else {
        panic!("version 2 was asked for")
    };
    let old = FacilitatorRequest::V1 {
        payload: v1::PaymentPayload {
            x402_version: VersionTag,
            scheme: "exact".into(),
            network: "base".into(),
            payload: payload.payload,
        },
        requirements: v1::PaymentRequirements::from_v2(
            &requirements,
            &v2::ResourceInfo::new("https://a.example"),
        )
        .unwrap(),
    };
    assert_eq!(code(old), Code::NetworkMismatch);
}

fn check_verify(table: &[(u16, &str, Result<Verdict, Away>)]) {
    for (status, body, expected) in table {
        assert_eq!(
            &verify(&payment(), &answer(*status, body)),
            expected,
            "{status} {body}"
        );
    }
}

const fn away(code: Code) -> Result<Verdict, Away> {
    Err(Away { code })
}

#[test]
fn valid_needs_a_good_status_and_no_other_payer() {
    let valid = || Ok(Verdict::Valid { payer: PAYER });
    let ours = format!(r#"{{"isValid":true,"payer":"{PAYER}"}}"#);
    let lower = ours.to_lowercase().replace("isvalid", "isValid");
    let other = format!(r#"{{"isValid":true,"payer":"{PAYEE}"}}"#);
    let broken = || away(Code::FacilitatorAnswerInvalid);
    check_verify(&[
        (200, &ours, valid()),
        (200, &lower, valid()),
        (200, r#"{"isValid":true}"#, valid()),
        (200, r#"{"isValid":true,"payer":""}"#, valid()),
        (200, r#"{"isValid":true,"payer":null,"news":[]}"#, valid()),
        (200, &other, broken()),
        (200, r#"{"isValid":true,"payer":"0x12"}"#, broken()),
        (500, &ours, broken()),
    ]);
}

#[test]
fn reasons_of_all_sdks_are_understood() {
    let invalid = |code, detail: Option<&str>| {
        let refusal = Refusal::new(code).payer(PAYER);
        Ok(Verdict::Invalid(match detail {
            Some(detail) => refusal.detail(detail),
            None => refusal,
        }))
    };
    let signature = || invalid(Code::InvalidExactEvmPayloadSignature, None);
    check_verify(&[
        (
            200,
            r#"{"isValid":false,"invalidReason":"invalid_exact_evm_payload_signature"}"#,
            signature(),
        ),
        (
            200,
            r#"{"isValid":false,"invalidReason":"invalid_exact_evm_signature"}"#,
            signature(),
        ),
        (
            400,
            r#"{"isValid":false,"invalidReason":"insufficient_funds","invalidMessage":"has 3"}"#,
            invalid(Code::InsufficientFunds, Some("has 3")),
        ),
        (
            412,
            r#"{"isValid":false,"invalidReason":"permit2_allowance_required","payer":""}"#,
            invalid(Code::Permit2AllowanceRequired, None),
        ),
        (
            200,
            r#"{"isValid":false,"invalidReason":"weather"}"#,
            invalid(Code::InvalidPayment, Some("weather")),
        ),
        (
            200,
            r#"{"isValid":false,"invalidReason":"weather","invalidMessage":"rain"}"#,
            invalid(Code::InvalidPayment, Some("weather: rain")),
        ),
        (
            200,
            r#"{"isValid":false}"#,
            invalid(Code::InvalidPayment, None),
        ),
    ]);
}

#[test]
fn whoever_gives_no_verdict_is_away() {
    let (broken, down) = (Code::FacilitatorAnswerInvalid, Code::FacilitatorUnavailable);
    check_verify(&[
        (200, "", away(broken)),
        (200, "<html>", away(broken)),
        (200, "[]", away(broken)),
        (200, "{}", away(broken)),
        (200, r#"{"isValid":"true"}"#, away(broken)),
        (200, r#"{"isValid":false,"isValid":true}"#, away(broken)),
        (401, r#"{"error":"key"}"#, away(broken)),
        (404, "", away(broken)),
        (429, "", away(down)),
        (500, r#"{"error":"x"}"#, away(down)),
        (503, "", away(down)),
    ]);
}

#[test]
fn an_unknown_reason_is_kept_within_bounds() {
    let reason = "é".repeat(10_000);
    let body = format!(r#"{{"isValid":false,"invalidReason":"{reason}"}}"#);
    let Ok(Verdict::Invalid(refusal)) = verify(&payment(), &answer(200, &body)) else {
        panic!("a refusal was expected")
    };
    assert!(refusal.detail.unwrap().len() <= faregate_types::limits::DETAIL_BYTES_MAX);
}

fn ok() -> SettleOutcome {
    SettleOutcome::Settled(Settlement {
        transaction: Some(HASH.into()),
        payer: Some(PAYER),
    })
}

fn check_settle(table: &[(u16, String, SettleOutcome)]) {
    for (status, body, expected) in table {
        assert_eq!(
            &settle(&payment(), &answer(*status, body)),
            expected,
            "{status} {body}"
        );
    }
}

#[test]
fn settled_needs_a_transaction_and_no_contradiction() {
    let success = |rest: &str| format!(r#"{{"success":true,{rest}}}"#);
    let hash = format!(r#""transaction":"{HASH}""#);
    let with = |rest: &str| success(&format!("{hash},{rest}"));
    let broken = |transaction: Option<&str>| {
        unknown(Code::FacilitatorAnswerInvalid, transaction.map(Into::into))
    };
    check_settle(&[
        (
            200,
            with(&format!(r#""network":"eip155:84532","payer":"{PAYER}""#)),
            ok(),
        ),
        (200, with(r#""network":"base-sepolia""#), ok()),
        (200, success(&hash), ok()),
        (200, with(r#""network":"","payer":"","amount":null"#), ok()),
        (
            200,
            success(r#""transaction":"relay-17""#),
            SettleOutcome::Settled(Settlement {
                transaction: Some("relay-17".into()),
                payer: Some(PAYER),
            }),
        ),
        (200, with(r#""network":"eip155:8453""#), broken(Some(HASH))),
        (200, with(r#""network":"base""#), broken(Some(HASH))),
        (200, with(r#""network":"mars""#), broken(Some(HASH))),
        (
            200,
            with(&format!(r#""payer":"{PAYEE}""#)),
            broken(Some(HASH)),
        ),
        (500, success(&hash), broken(Some(HASH))),
        (200, success(r#""transaction":"""#), broken(None)),
        (200, success(r#""transaction":"0x""#), broken(None)),
        (200, success(r#""transaction":null"#), broken(None)),
        (200, r#"{"success":true}"#.into(), broken(None)),
        (200, success(r#""transaction":"a b""#), broken(None)),
        (
            200,
            success(&format!(r#""transaction":"{}""#, "1".repeat(129))),
            broken(None),
        ),
    ]);
}

#[test]
fn failed_needs_proof() {
    let failure = |reason: &str, transaction: &str| {
        format!(r#"{{"success":false,"errorReason":"{reason}","transaction":"{transaction}"}}"#)
    };
    let failed = |code| SettleOutcome::Failed(Refusal::new(code).payer(PAYER));
    let open = |code, transaction: Option<&str>| unknown(code, transaction.map(Into::into));
    let (pending, nobody) = (Code::SettlementPending, Code::PaymentUnknown);
    let signature = Code::InvalidExactEvmPayloadSignature;
    check_settle(&[
        (
            200,
            failure("invalid_exact_evm_signature", ""),
            failed(signature),
        ),
        (
            400,
            failure("insufficient_funds", ""),
            failed(Code::InsufficientFunds),
        ),
        (
            200,
            r#"{"success":false,"errorReason":"network_mismatch"}"#.into(),
            failed(Code::NetworkMismatch),
        ),
        (
            200,
            failure("insufficient_funds", HASH),
            open(Code::InsufficientFunds, Some(HASH)),
        ),
        (
            200,
            failure("insufficient_funds", "a b"),
            open(Code::InsufficientFunds, None),
        ),
        (
            200,
            failure("settlement_pending", HASH),
            open(pending, Some(HASH)),
        ),
        (200, failure("settlement_pending", ""), open(pending, None)),
        (
            200,
            failure("transaction_failed", HASH),
            open(Code::TransactionFailed, Some(HASH)),
        ),
        (
            200,
            failure("transaction_failed", ""),
            open(Code::TransactionFailed, None),
        ),
        (
            200,
            failure("invalid_exact_evm_nonce_already_used", ""),
            open(Code::InvalidExactEvmNonceAlreadyUsed, None),
        ),
        (
            200,
            failure("invalid_exact_evm_transaction_simulation_failed", ""),
            open(Code::InvalidExactEvmTransactionSimulationFailed, None),
        ),
        (
            200,
            failure("unexpected_settle_error", ""),
            open(Code::UnexpectedSettleError, None),
        ),
        (200, failure("weather", ""), open(nobody, None)),
        (200, failure("weather", HASH), open(pending, Some(HASH))),
        (200, r#"{"success":false}"#.into(), open(nobody, None)),
    ]);
}

#[test]
fn garbage_settles_nothing_and_fails_nothing() {
    let open = |code| unknown(code, None);
    let broken = Code::FacilitatorAnswerInvalid;
    check_settle(&[
        (200, String::new(), open(broken)),
        (200, "ok".into(), open(broken)),
        (200, "[true]".into(), open(broken)),
        (
            200,
            r#"{"success":"true","transaction":"0x1"}"#.into(),
            open(broken),
        ),
        (
            200,
            r#"{"success":false,"success":true,"transaction":"0x1"}"#.into(),
            open(broken),
        ),
        (401, r#"{"error":"no"}"#.into(), open(broken)),
        (
            500,
            r#"{"error":"no"}"#.into(),
            open(Code::FacilitatorUnavailable),
        ),
        (503, String::new(), open(Code::FacilitatorUnavailable)),
    ]);
}
