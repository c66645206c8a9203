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
    ($($test:ident runs $prefix:literal;)*) => {
        $(
            #[test]
            fn $test() {
                run($prefix);
            }
        )*

        const TESTED: &[&str] = &[$($prefix),*];
    };
}

kinds! {
    vectors_about runs "_about";
    vectors_payment_signature_header_v2_exact_eip3009 runs "payment_signature_header_v2_exact_eip3009";
    vectors_x_payment_header_v1_exact_eip3009 runs "x_payment_header_v1_exact_eip3009";
    vectors_eip712_transfer_with_authorization runs "eip712_transfer_with_authorization";
    vectors_payment_response_header runs "payment_response_header";
    vectors_payment_signature_header_decode runs "payment_signature_header_decode";
    vectors_payment_required_header_v2 runs "payment_required_header_v2";
    vectors_parse_money runs "parse_money";
    vectors_convert_to_token_amount runs "convert_to_token_amount";
    vectors_network_pattern runs "network_pattern";
    vectors_server_match_accepted runs "server_match_accepted";
    vectors_route_match runs "route_match";
    vectors_schema_payment_required runs "schema.PaymentRequired";
    vectors_schema_payment_payload runs "schema.PaymentPayload";
    vectors_v1_x_payment_decode runs "v1.x_payment_decode";
    vectors_v1_payment_requirements runs "v1.payment_requirements";
    vectors_v1_x_payment_response runs "v1.x_payment_response";
    vectors_v1_price runs "v1.price";
    vectors_v1_error_reasons runs "v1.error_reasons";
    vectors_v1_network_chain_ids runs "v1.network_chain_ids";
    vectors_v1_route_match runs "v1.route_match";
    vectors_payment_identifier runs "payment_identifier";
    vectors_extension_echo runs "extension_echo";
    vectors_facilitator_chain_state runs "facilitator.chain_state";
    vectors_facilitator_verify_eip3009 runs "facilitator.verify.eip3009";
    vectors_facilitator_verify_v1 runs "facilitator.verify.v1";
    vectors_facilitator_verify_permit2 runs "facilitator.verify.permit2";
    vectors_facilitator_verify_permit2_2612 runs "facilitator.verify.permit2_2612";
    vectors_facilitator_verify_smart_wallet runs "facilitator.verify.smart_wallet";
    vectors_facilitator_verify_eip7702 runs "facilitator.verify.eip7702";
    vectors_facilitator_settle_eip3009 runs "facilitator.settle.eip3009";
    vectors_facilitator_settle_v1 runs "facilitator.settle.v1";
    vectors_l402_about runs "about";
    vectors_l402_generators runs "generators";
    vectors_l402_constants runs "constants";
    vectors_l402_preimage_hash_pairs runs "preimage_hash_pairs";
    vectors_l402_double_decoded_preimage runs "double_decoded_preimage";
    vectors_l402_bolt11 runs "bolt11";
    vectors_l402_macaroons runs "macaroons";
    vectors_l402_macaroon_binary_parse runs "macaroon_binary_parse";
    vectors_l402_verify runs "verify";
    vectors_l402_challenge_headers runs "challenge_headers";
    vectors_l402_authorization_headers runs "authorization_headers";
    vectors_l402_grpc runs "grpc";
    vectors_l402_l402kit_now_ms runs "l402kit.now_ms";
    vectors_l402_l402kit_tokens runs "l402kit.tokens";
    vectors_l402_l402kit_replay runs "l402kit.replay";
    vectors_l402_l402kit_replay_keys runs "l402kit.replay_keys";
    vectors_l402_l402kit_webhook runs "l402kit.webhook";
    vectors_l402_l402kit_wire_402 runs "l402kit.wire_402";
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
    let with_runner: BTreeSet<&str> = KINDS.iter().map(|kind| kind.prefix).collect();
    assert_eq!(
        with_runner,
        TESTED.iter().copied().collect(),
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
fn run(prefix: &str) {
    let kind = KINDS.iter().find(|kind| kind.prefix == prefix).unwrap();
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
        "{prefix}: {} passed, {} excused",
        tally.passed,
        tally.excused.len()
    );
    for line in &tally.excused {
        println!("excused: {line}");
    }
    assert!(
        tally.failures.is_empty(),
        "{prefix}:\n{}",
        tally.failures.join("\n")
    );
    let is_empty = tally.passed + tally.excused.len() == 0;
    assert!(
        !is_empty || !is_committed,
        "{prefix}: no case; take its runner out"
    );
}

/// What was heard about each case of a kind, with a word about the way it was asked where there are several.
fn answers<'a>(kind: &Kind, cases: &'a [Case]) -> Vec<(&'a Case, String, Result<Heard, String>)> {
    let mut own = cases
        .iter()
        .filter(|case| kind::of(case).is_some_and(|found| found.prefix == kind.prefix))
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
