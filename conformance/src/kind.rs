//! The kinds of cases that can be run.

use crate::case::Case;
use crate::credit;
use crate::judge::Heard;
use crate::l402::{invoice, kit, macaroon, text};
use crate::permit;
use crate::x402::{extension, header, money, route, schema, signing, words};

/// Cases that are run the same way.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The rail.
    pub rail: &'static str,
    /// What the names of its cases begin with, up to a point or the end.
    pub prefix: &'static str,
    /// Who runs them.
    pub runner: Runner,
}

impl Kind {
    /// `rail:prefix`; no two kinds have the same.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.rail, self.prefix)
    }
}

/// How a kind is run.
#[derive(Clone, Copy, Debug)]
pub enum Runner {
    /// From the case alone.
    Pure(fn(&Case) -> Result<Heard, String>),
    /// Against a facilitator on a chain, after the cases before it (see [`facilitator`](crate::x402::facilitator)).
    Facilitator,
    /// Nothing to run: words for people.
    Prose,
}

/// Every kind with a runner.
pub const KINDS: &[Kind] = &[
    prose("_about"),
    pure(
        "payment_signature_header_v2_exact_eip3009",
        signing::payment_v2,
    ),
    pure("x_payment_header_v1_exact_eip3009", signing::payment_v1),
    pure("eip712_transfer_with_authorization", signing::typed_data),
    pure("payment_response_header", header::receipt_v2),
    pure("payment_signature_header_decode", header::payment_v2),
    pure("payment_required_header_v2", header::payment_required),
    pure("parse_money", money::parse),
    pure("convert_to_token_amount", money::convert),
    pure("network_pattern", words::network),
    pure("server_match_accepted", schema::accepted),
    pure("route_match", route::v2),
    pure("schema.PaymentRequired", schema::payment_required),
    pure("schema.PaymentPayload", schema::payment_payload),
    pure("v1.x_payment_decode", header::payment_v1),
    pure("v1.payment_requirements", schema::requirements_v1),
    pure("v1.x_payment_response", header::receipt_v1),
    pure("v1.price", money::price_v1),
    pure("v1.error_reasons", words::reasons),
    pure("v1.network_chain_ids", words::networks),
    pure("v1.route_match", route::v1),
    pure("payment_identifier", extension::identifier),
    pure("extension_echo", extension::echo),
    on_chain("facilitator.chain_state"),
    on_chain("facilitator.verify.eip3009"),
    on_chain("facilitator.verify.v1"),
    on_chain("facilitator.verify.permit2"),
    on_chain("facilitator.verify.permit2_2612"),
    on_chain("facilitator.verify.smart_wallet"),
    on_chain("facilitator.verify.eip7702"),
    on_chain("facilitator.settle.eip3009"),
    on_chain("facilitator.settle.v1"),
    l402("about", Runner::Prose),
    l402("generators", Runner::Prose),
    l402("constants", Runner::Prose),
    l402("preimage_hash_pairs", Runner::Pure(invoice::preimage)),
    l402(
        "double_decoded_preimage",
        Runner::Pure(invoice::decoded_twice),
    ),
    l402("bolt11", Runner::Pure(invoice::bolt11)),
    l402("macaroons", Runner::Pure(macaroon::made)),
    l402("macaroon_binary_parse", Runner::Pure(macaroon::decoded)),
    l402("verify", Runner::Pure(macaroon::verified)),
    l402("challenge_headers", Runner::Pure(text::challenge)),
    l402("authorization_headers", Runner::Pure(text::credential)),
    l402("grpc", Runner::Pure(text::grpc)),
    l402("l402kit.now_ms", Runner::Prose),
    l402("l402kit.tokens", Runner::Pure(kit::token)),
    l402("l402kit.replay", Runner::Pure(kit::replay)),
    l402("l402kit.replay_keys", Runner::Pure(kit::replay_keys)),
    l402("l402kit.webhook", Runner::Pure(kit::webhook)),
    l402("l402kit.wire_402", Runner::Pure(kit::answer)),
    permits("permit", permit::signing::permit),
    permits("erc3009", permit::signing::erc3009),
    permits("permit2", permit::signing::permit2),
    permits("token", permit::token::token),
    permits("authorization", permit::token::header),
    permits("verify", permit::verdict::first),
    permits("verify030", permit::verdict::later),
    permits("amount_to_value", permit::words::to_value),
    permits("value_to_amount", permit::words::to_amount),
    permits("match", permit::words::matching),
    permits("chain-table", permit::words::chain),
    permits("scheme-choice", permit::words::scheme),
    permits("caip2", permit::words::caip2),
    permits("register", permit::wire::register),
    permits("402-body", permit::wire::body),
    permits("compat", permit::wire::compat),
    permits("client-parse-402", permit::wire::demand),
    permits("client-parse-token-response", permit::wire::issued),
    permits("token-request-schema", permit::wire::schema),
    permits("token-response-body", permit::wire::response),
    permits("token-endpoint-http", permit::wire::endpoint),
    permits("exchange", permit::wire::exchange),
    permits("anvil", permit::chain::precompile),
    credit("eip712_v1", credit::signing::typed),
    credit("eip712_v1_negative", credit::signing::forged),
    credit("eip712_v2", credit::signing::typed),
    credit("eip191_v1", credit::signing::message),
    credit("eip191_v2", credit::signing::message),
    credit("validation_subject_hash", credit::signing::subject),
    credit("validation_request_hash", credit::signing::request),
    credit("guarantee_domain", credit::certificate::domain),
    credit("claims_decode", credit::certificate::decode),
    credit("claims_decode_negative", credit::certificate::decode),
    credit("cert_verify", credit::certificate::verify),
    credit("bls_constant", credit::bls::constant),
    credit("bls_sign", credit::bls::sign),
    credit("bls_negative", credit::bls::verify),
    credit("calldata", credit::chain::calldata),
    credit("selectors", credit::chain::selectors),
    credit("record_payment_digest", credit::chain::record),
    credit("x402_v1", credit::pay::v1),
    credit("x402_v2", credit::pay::v2),
    credit("x402_settle", credit::pay::settle),
    credit("http_body", credit::wire::body),
    credit("siwe", credit::access::sign_in),
    credit("admin_api_key", credit::access::admin_key),
    credit("sdk_parse", credit::wire::answer),
    credit("sdk_error", credit::wire::refusal),
    traces("0.4.3"),
    traces("1.1.1"),
];

/// The kind of a case; the longest prefix decides. `None`: nobody knows how to run it.
#[must_use]
pub fn of(case: &Case) -> Option<&'static Kind> {
    let fits = |kind: &&Kind| {
        kind.rail == case.rail
            && case
                .name
                .strip_prefix(kind.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(end(kind.rail)))
    };
    KINDS
        .iter()
        .filter(fits)
        .max_by_key(|kind| kind.prefix.len())
}

const fn pure(prefix: &'static str, runner: fn(&Case) -> Result<Heard, String>) -> Kind {
    Kind {
        rail: "x402",
        prefix,
        runner: Runner::Pure(runner),
    }
}

const fn l402(prefix: &'static str, runner: Runner) -> Kind {
    Kind {
        rail: "l402",
        prefix,
        runner,
    }
}

const fn permits(prefix: &'static str, runner: fn(&Case) -> Result<Heard, String>) -> Kind {
    Kind {
        rail: "permit",
        prefix,
        runner: Runner::Pure(runner),
    }
}

const fn credit(prefix: &'static str, runner: fn(&Case) -> Result<Heard, String>) -> Kind {
    Kind {
        rail: "4mica",
        prefix,
        runner: Runner::Pure(runner),
    }
}

const fn traces(sdk: &'static str) -> Kind {
    Kind {
        rail: "4mica_sdk_traces",
        prefix: sdk,
        runner: Runner::Pure(credit::trace::calls),
    }
}

/// What stands behind the kind in the name of a case.
const fn end(rail: &str) -> char {
    match rail.as_bytes() {
        b"permit" | b"4mica" => '/',
        _ => '.',
    }
}

const fn on_chain(prefix: &'static str) -> Kind {
    Kind {
        rail: "x402",
        prefix,
        runner: Runner::Facilitator,
    }
}

const fn prose(prefix: &'static str) -> Kind {
    Kind {
        rail: "x402",
        prefix,
        runner: Runner::Prose,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_kind_ends_at_a_point() {
        let prefix = |rail, name: &str| {
            let (inputs, expected) = (Value::Null, Value::Null);
            let case = Case {
                rail,
                name: name.into(),
                source: String::new(),
                inputs,
                expected,
            };
            of(&case).map(|kind| kind.prefix)
        };
        assert_eq!(prefix("x402", "parse_money.1"), Some("parse_money"));
        assert_eq!(prefix("x402", "parse_moneys.1"), None);
        assert_eq!(prefix("permit", "parse_money.1"), None);
        assert_eq!(prefix("permit", "verify/ok"), Some("verify"));
        assert_eq!(prefix("permit", "verify030/erc3009 ok"), Some("verify030"));
        assert_eq!(prefix("permit", "verify.ok"), None);
        assert_eq!(prefix("x402", "v1.error_reasons"), Some("v1.error_reasons"));
        assert_eq!(prefix("x402", "facilitator.verify.upto.valid"), None);
    }
}
