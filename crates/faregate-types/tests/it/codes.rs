use std::collections::BTreeSet;

use faregate_types::{Blame, Code, Problem, Refusal, Retry};

#[test]
fn texts_and_aliases_name_one_code_each() {
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        for name in std::iter::once(&code.as_str()).chain(code.aliases()) {
            assert!(seen.insert(*name), "{name} is there twice");
            assert_eq!(Code::from_str(name), Some(*code), "{name}");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
    }
    assert_eq!(Code::from_str("no_such_code"), None);
    assert_eq!(Code::from_str(""), None);
}

#[test]
fn every_code_says_what_it_means_and_what_to_do() {
    for code in Code::ALL {
        let meaning = code.meaning();
        assert!(
            meaning.len() > 15 && !meaning.ends_with('.'),
            "{code}: {meaning}"
        );
        assert!((400..=504).contains(&code.http_status()), "{code}");
        if code.blame() == Blame::Us {
            assert_eq!(code.http_status(), 500, "{code}: a bug of ours is a 500");
        }
        if code.http_status() == 503 {
            assert!(
                matches!(code.retry(), Retry::AfterSecs(_)),
                "{code}: a 503 says when to come back"
            );
        }
    }
}

#[test]
fn names_of_the_specification_are_written() {
    for name in [
        "insufficient_funds",
        "invalid_exact_evm_payload_authorization_valid_after",
        "invalid_exact_evm_payload_authorization_valid_before",
        "invalid_exact_evm_payload_authorization_value_mismatch",
        "invalid_exact_evm_payload_signature",
        "invalid_exact_evm_payload_recipient_mismatch",
        "invalid_network",
        "invalid_payload",
        "invalid_payment_requirements",
        "invalid_scheme",
        "unsupported_scheme",
        "invalid_x402_version",
        "invalid_transaction_state",
        "unexpected_verify_error",
        "unexpected_settle_error",
        "network_mismatch",
        "missing_eip712_domain",
        "invalid_exact_evm_failed_to_get_network_config",
        "invalid_exact_evm_nonce_already_used",
        "invalid_exact_evm_insufficient_balance",
        "invalid_exact_evm_transaction_simulation_failed",
        "asset_not_deployed_contract",
        "eip6492_factory_not_allowed",
        "transaction_failed",
        "settlement_pending",
        "permit2_allowance_required",
        "payment_in_flight",
        "payment_conflict",
    ] {
        assert_eq!(Code::from_str(name).map(Code::as_str), Some(name));
    }
}

#[test]
fn names_of_the_other_sdks_are_understood() {
    for (theirs, ours) in [
        (
            "invalid_exact_evm_recipient_mismatch",
            Code::InvalidExactEvmPayloadRecipientMismatch,
        ),
        (
            "invalid_exact_evm_signature",
            Code::InvalidExactEvmPayloadSignature,
        ),
        (
            "invalid_exact_evm_missing_eip712_domain",
            Code::MissingEip712Domain,
        ),
        ("invalid_exact_evm_network_mismatch", Code::NetworkMismatch),
        ("invalid_exact_evm_scheme", Code::UnsupportedScheme),
        (
            "invalid_exact_evm_authorization_value",
            Code::InvalidExactEvmPayloadAuthorizationValueMismatch,
        ),
        (
            "invalid_exact_evm_payload_authorization_value",
            Code::InvalidExactEvmPayloadAuthorizationValueMismatch,
        ),
        (
            "invalid_exact_evm_transaction_failed",
            Code::TransactionFailed,
        ),
    ] {
        assert_eq!(Code::from_str(theirs), Some(ours), "{theirs}");
    }
}

/// What npm `x402` 1.2.0 exports as its list of reasons.
#[test]
fn every_reason_of_the_v1_sdk_is_known() {
    const SVM: &str = "invalid_exact_svm_payload_transaction";
    let svm = [
        "",
        "_amount_mismatch",
        "_create_ata_instruction",
        "_create_ata_instruction_incorrect_payee",
        "_create_ata_instruction_incorrect_asset",
        "_instructions",
        "_instructions_length",
        "_instructions_compute_limit_instruction",
        "_instructions_compute_price_instruction",
        "_instructions_compute_price_instruction_too_high",
        "_instruction_not_spl_token_transfer_checked",
        "_instruction_not_token_2022_transfer_checked",
        "_fee_payer_included_in_instruction_accounts",
        "_fee_payer_transferring_funds",
        "_not_a_transfer_instruction",
        "_receiver_ata_not_found",
        "_sender_ata_not_found",
        "_simulation_failed",
        "_transfer_to_incorrect_ata",
    ]
    .map(|tail| format!("{SVM}{tail}"));
    let others = [
        "insufficient_funds",
        "invalid_exact_evm_payload_authorization_valid_after",
        "invalid_exact_evm_payload_authorization_valid_before",
        "invalid_exact_evm_payload_authorization_value",
        "invalid_exact_evm_payload_signature",
        "invalid_exact_evm_payload_undeployed_smart_wallet",
        "invalid_exact_evm_payload_recipient_mismatch",
        "invalid_network",
        "invalid_payload",
        "invalid_payment_requirements",
        "invalid_scheme",
        "invalid_payment",
        "payment_expired",
        "unsupported_scheme",
        "invalid_x402_version",
        "invalid_transaction_state",
        "settle_exact_svm_block_height_exceeded",
        "settle_exact_svm_transaction_confirmation_timed_out",
        "unexpected_settle_error",
        "unexpected_verify_error",
        "duplicate_settlement",
    ];
    for reason in svm.iter().map(String::as_str).chain(others) {
        assert!(Code::from_str(reason).is_some(), "{reason}");
    }
}

#[test]
fn codes_travel_as_text() {
    let json = serde_json::to_string(&Code::PaymentInFlight).unwrap();
    assert_eq!(json, r#""payment_in_flight""#);
    assert_eq!(
        serde_json::from_str::<Code>(&json).unwrap(),
        Code::PaymentInFlight
    );
    assert!(serde_json::from_str::<Code>(r#""nothing""#).is_err());
}

#[test]
fn details_are_one_bounded_line() {
    let long = "ä".repeat(400);
    let refusal = Refusal::new(Code::InvalidPayload).detail(format!("a\r\nb\u{7}{long}"));
    let detail = refusal.detail.as_deref().unwrap();
    assert!(
        detail.starts_with("a  b ä") && detail.len() <= 300,
        "{}",
        detail.len()
    );
    assert_eq!(
        Refusal::from(Code::Internal).to_string(),
        "internal: an error of ours"
    );
}

#[test]
fn problems_are_rfc_9457() {
    let refusal = Refusal::new(Code::PaymentInFlight).detail("still running");
    let problem = Problem::from(&refusal).hint("wait");
    let json: serde_json::Value = serde_json::from_str(&problem.to_json()).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "type": "https://github.com/faregate/faregate/blob/main/docs/src/reference/codes.md#payment_in_flight",
            "title": "a request with this credential is being worked on",
            "status": 409,
            "code": "payment_in_flight",
            "detail": "still running",
            "hint": "wait",
            "retryAfterSecs": 1,
        })
    );
    let bare: serde_json::Value =
        serde_json::from_str(&Problem::new(Code::NotFound).to_json()).unwrap();
    assert_eq!(bare.as_object().unwrap().len(), 4);
    assert_eq!(
        Problem::new(Code::NotFound)
            .status(410)
            .retry_after_secs(9)
            .retry_after_secs,
        Some(9)
    );
}
