//! The recordings of the real peers, one test per kind of case.
//!
//! Every file of the folder named by `FAREGATE_VECTORS` is read (default: `conformance/vectors`). A kind without a case
//! there passes, unless the folder is the committed one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may"
)]

use std::collections::BTreeSet;
use std::fs;

use alloy_primitives::keccak256;
use faregate_conformance::case::Case;
use faregate_conformance::decision::Decisions;
use faregate_conformance::excuse::Excuses;
use faregate_conformance::folder;
use faregate_conformance::judge::{Heard, Tally, is_undocumented, judge};
use faregate_conformance::kind::{self, KINDS, Kind, Runner};
use faregate_conformance::x402::facilitator::{self, Way};

/// One test per kind, and the list of the kinds that have one.
macro_rules! kinds {
    ($($test:ident runs $kind:literal;)*) => {
        $(
            #[test]
            fn $test() {
                run($kind);
            }
        )*

        const TESTED: &[&str] = &[$($kind),*];
    };
}

kinds! {
    vectors_about runs "x402:_about";
    vectors_payment_signature_header_v2_exact_eip3009 runs "x402:payment_signature_header_v2_exact_eip3009";
    vectors_x_payment_header_v1_exact_eip3009 runs "x402:x_payment_header_v1_exact_eip3009";
    vectors_eip712_transfer_with_authorization runs "x402:eip712_transfer_with_authorization";
    vectors_payment_response_header runs "x402:payment_response_header";
    vectors_payment_signature_header_decode runs "x402:payment_signature_header_decode";
    vectors_payment_required_header_v2 runs "x402:payment_required_header_v2";
    vectors_parse_money runs "x402:parse_money";
    vectors_convert_to_token_amount runs "x402:convert_to_token_amount";
    vectors_network_pattern runs "x402:network_pattern";
    vectors_server_match_accepted runs "x402:server_match_accepted";
    vectors_route_match runs "x402:route_match";
    vectors_schema_payment_required runs "x402:schema.PaymentRequired";
    vectors_schema_payment_payload runs "x402:schema.PaymentPayload";
    vectors_v1_x_payment_decode runs "x402:v1.x_payment_decode";
    vectors_v1_payment_requirements runs "x402:v1.payment_requirements";
    vectors_v1_x_payment_response runs "x402:v1.x_payment_response";
    vectors_v1_price runs "x402:v1.price";
    vectors_v1_error_reasons runs "x402:v1.error_reasons";
    vectors_v1_network_chain_ids runs "x402:v1.network_chain_ids";
    vectors_v1_route_match runs "x402:v1.route_match";
    vectors_payment_identifier runs "x402:payment_identifier";
    vectors_extension_echo runs "x402:extension_echo";
    vectors_facilitator_chain_state runs "x402:facilitator.chain_state";
    vectors_facilitator_verify_eip3009 runs "x402:facilitator.verify.eip3009";
    vectors_facilitator_verify_v1 runs "x402:facilitator.verify.v1";
    vectors_facilitator_verify_permit2 runs "x402:facilitator.verify.permit2";
    vectors_facilitator_verify_permit2_2612 runs "x402:facilitator.verify.permit2_2612";
    vectors_facilitator_verify_smart_wallet runs "x402:facilitator.verify.smart_wallet";
    vectors_facilitator_verify_eip7702 runs "x402:facilitator.verify.eip7702";
    vectors_facilitator_settle_eip3009 runs "x402:facilitator.settle.eip3009";
    vectors_facilitator_settle_v1 runs "x402:facilitator.settle.v1";
    vectors_l402_about runs "l402:about";
    vectors_l402_generators runs "l402:generators";
    vectors_l402_constants runs "l402:constants";
    vectors_l402_preimage_hash_pairs runs "l402:preimage_hash_pairs";
    vectors_l402_double_decoded_preimage runs "l402:double_decoded_preimage";
    vectors_l402_bolt11 runs "l402:bolt11";
    vectors_l402_macaroons runs "l402:macaroons";
    vectors_l402_macaroon_binary_parse runs "l402:macaroon_binary_parse";
    vectors_l402_verify runs "l402:verify";
    vectors_l402_challenge_headers runs "l402:challenge_headers";
    vectors_l402_authorization_headers runs "l402:authorization_headers";
    vectors_l402_grpc runs "l402:grpc";
    vectors_l402_l402kit_now_ms runs "l402:l402kit.now_ms";
    vectors_l402_l402kit_tokens runs "l402:l402kit.tokens";
    vectors_l402_l402kit_replay runs "l402:l402kit.replay";
    vectors_l402_l402kit_replay_keys runs "l402:l402kit.replay_keys";
    vectors_l402_l402kit_webhook runs "l402:l402kit.webhook";
    vectors_l402_l402kit_wire_402 runs "l402:l402kit.wire_402";
    vectors_permit_permit runs "permit:permit";
    vectors_permit_erc3009 runs "permit:erc3009";
    vectors_permit_permit2 runs "permit:permit2";
    vectors_permit_token runs "permit:token";
    vectors_permit_authorization runs "permit:authorization";
    vectors_permit_verify runs "permit:verify";
    vectors_permit_verify030 runs "permit:verify030";
    vectors_permit_amount_to_value runs "permit:amount_to_value";
    vectors_permit_value_to_amount runs "permit:value_to_amount";
    vectors_permit_match runs "permit:match";
    vectors_permit_chain_table runs "permit:chain-table";
    vectors_permit_scheme_choice runs "permit:scheme-choice";
    vectors_permit_caip2 runs "permit:caip2";
    vectors_permit_register runs "permit:register";
    vectors_permit_body runs "permit:402-body";
    vectors_permit_compat runs "permit:compat";
    vectors_permit_client_parse_402 runs "permit:client-parse-402";
    vectors_permit_client_parse_token_response runs "permit:client-parse-token-response";
    vectors_permit_token_request_schema runs "permit:token-request-schema";
    vectors_permit_token_response_body runs "permit:token-response-body";
    vectors_permit_token_endpoint_http runs "permit:token-endpoint-http";
    vectors_permit_exchange runs "permit:exchange";
    vectors_permit_anvil runs "permit:anvil";
    vectors_4mica_eip712_v1 runs "4mica:eip712_v1";
    vectors_4mica_eip712_v1_negative runs "4mica:eip712_v1_negative";
    vectors_4mica_eip712_v2 runs "4mica:eip712_v2";
    vectors_4mica_eip191_v1 runs "4mica:eip191_v1";
    vectors_4mica_eip191_v2 runs "4mica:eip191_v2";
    vectors_4mica_validation_subject_hash runs "4mica:validation_subject_hash";
    vectors_4mica_validation_request_hash runs "4mica:validation_request_hash";
    vectors_4mica_guarantee_domain runs "4mica:guarantee_domain";
    vectors_4mica_claims_decode runs "4mica:claims_decode";
    vectors_4mica_claims_decode_negative runs "4mica:claims_decode_negative";
    vectors_4mica_cert_verify runs "4mica:cert_verify";
    vectors_4mica_bls_constant runs "4mica:bls_constant";
    vectors_4mica_bls_sign runs "4mica:bls_sign";
    vectors_4mica_bls_negative runs "4mica:bls_negative";
    vectors_4mica_calldata runs "4mica:calldata";
    vectors_4mica_selectors runs "4mica:selectors";
    vectors_4mica_record_payment_digest runs "4mica:record_payment_digest";
    vectors_4mica_x402_v1 runs "4mica:x402_v1";
    vectors_4mica_x402_v2 runs "4mica:x402_v2";
    vectors_4mica_x402_settle runs "4mica:x402_settle";
    vectors_4mica_http_body runs "4mica:http_body";
    vectors_4mica_siwe runs "4mica:siwe";
    vectors_4mica_admin_api_key runs "4mica:admin_api_key";
    vectors_4mica_sdk_parse runs "4mica:sdk_parse";
    vectors_4mica_sdk_error runs "4mica:sdk_error";
    vectors_4mica_traces_0_4_3 runs "4mica_sdk_traces:0.4.3";
    vectors_4mica_traces_1_1_1 runs "4mica_sdk_traces:1.1.1";
}

#[test]
fn vectors_every_case_has_a_runner_or_an_excuse() {
    let excuses = Excuses::committed().unwrap();
    let cases = folder::cases(&folder::chosen()).unwrap();
    let unknown: Vec<String> = cases
        .iter()
        .filter(|case| kind::of(case).is_none() && excuses.find(case).is_none())
        .map(Case::id)
        .collect();
    assert!(unknown.is_empty(), "nobody knows how to run: {unknown:#?}");
    let with_runner: BTreeSet<String> = KINDS.iter().map(Kind::id).collect();
    assert_eq!(
        with_runner,
        TESTED.iter().map(ToString::to_string).collect(),
        "one test per kind"
    );
}

#[test]
fn vectors_no_excuse_and_no_decision_is_stale() {
    let cases = folder::cases(&folder::committed()).unwrap();
    let excuses = Excuses::committed().unwrap();
    assert_eq!(excuses.stale(&cases), [""; 0], "excuses that fit no case");
    let decisions = Decisions::committed().unwrap();
    assert_eq!(decisions.stale(&cases), [""; 0], "decisions about no case");
}

#[test]
fn vectors_are_as_they_were_recorded() {
    let sums = fs::read_to_string(folder::committed().join("SUMS")).unwrap();
    let found: Vec<String> = folder::files(&folder::committed())
        .unwrap()
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            format!("{:x}  {name}", keccak256(fs::read(path).unwrap()))
        })
        .collect();
    let noted: Vec<&str> = sums.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(noted, found, "vectors/SUMS (Keccak-256) against the files");
}

/// Runs every case of a kind and fails with one line for each that is not as it has to be.
fn run(id: &str) {
    let kind = KINDS.iter().find(|kind| kind.id() == id).unwrap();
    let (excuses, decisions) = (
        Excuses::committed().unwrap(),
        Decisions::committed().unwrap(),
    );
    let cases = folder::cases(&folder::chosen()).unwrap();
    let is_committed = folder::chosen() == folder::committed();
    let mut tally = Tally::default();
    for (case, way, heard) in answers(kind, &cases) {
        if let Ok(heard) = &heard
            && is_committed
            && is_undocumented(case, heard, &decisions)
        {
            let line = format!(
                "{case}: a rule says {:?}; write it into decisions.toml",
                heard.ruling
            );
            tally.failures.push(line);
        }
        let judged = judge(case, heard, &decisions).map_err(|error| format!("{error}{way}"));
        tally.count(case, judged, &excuses);
    }
    println!(
        "{id}: {} passed, {} excused",
        tally.passed,
        tally.excused.len()
    );
    for line in &tally.excused {
        println!("excused: {line}");
    }
    assert!(
        tally.failures.is_empty(),
        "{id}:\n{}",
        tally.failures.join("\n")
    );
    let is_empty = tally.passed + tally.excused.len() == 0;
    assert!(
        !is_empty || !is_committed,
        "{id}: no case; take its runner out"
    );
}

/// What was heard about each case of a kind, with a word about the way it was asked where there are several.
fn answers<'a>(kind: &Kind, cases: &'a [Case]) -> Vec<(&'a Case, String, Result<Heard, String>)> {
    let mut own = cases
        .iter()
        .filter(|case| kind::of(case).is_some_and(|found| found.id() == kind.id()))
        .peekable();
    match kind.runner {
        Runner::Pure(hear) => own.map(|case| (case, String::new(), hear(case))).collect(),
        Runner::Prose => own
            .map(|case| (case, String::new(), Ok(Heard::same(case))))
            .collect(),
        // No chain for nothing.
        Runner::Facilitator if own.peek().is_none() => Vec::new(),
        Runner::Facilitator => Way::ALL
            .into_iter()
            .flat_map(|way| {
                let heard = facilitator::hear(cases, kind, way).unwrap().into_iter();
                heard.map(move |(case, heard)| (case, format!(" ({way:?})"), heard))
            })
            .collect(),
    }
}
