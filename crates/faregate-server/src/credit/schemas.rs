//! What the bodies look like, for the OpenAPI document. One line for each: its name, and its members with their kinds.

use serde_json::{Map, Value, json};

/// A kind of value; `?` behind it: or null, `*`: a list of them, `-`: may be left out.
type Members = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
const SCHEMAS: &[(&str, Members)] = &[
    ("Error", &[("error", "text"), ("code", "text-")]),
    ("Document", &[]),
    ("Nothing", &[]),
    ("PublicParams", &[("public_key", "whole*"), ("contract_address", "address"), ("ethereum_http_rpc_url", "text"), ("eip712_name", "text"),
        ("eip712_version", "text"), ("chain_id", "whole"), ("max_accepted_guarantee_version", "whole"), ("accepted_guarantee_versions", "whole*"),
        ("active_guarantee_domain_separator", "text"), ("trusted_validation_registries", "address*"), ("validation_hash_canonicalization_version", "text"),
        ("req_ids", "text?-")]),
    ("Health", &[("status", "text"), ("db", "text"), ("chain_rpc", "text"), ("listener_ready", "flag"), ("forked_at", "whole?")]),
    ("SupportedTokens", &[("chain_id", "whole"), ("tokens", "SupportedToken*")]),
    ("SupportedToken", &[("symbol", "text"), ("address", "address"), ("decimals", "whole")]),
    ("NonceRequest", &[("address", "address")]),
    ("NonceAnswer", &[("nonce", "text"), ("siwe", "SignInTemplate")]),
    ("SignInTemplate", &[("domain", "text"), ("uri", "text"), ("chainId", "whole"), ("statement", "text"), ("expiration", "text"), ("issuedAt", "text")]),
    ("VerifyRequest", &[("address", "address"), ("message", "text"), ("signature", "text")]),
    ("Tokens", &[("access_token", "text"), ("refresh_token", "text"), ("expires_in", "whole")]),
    ("RefreshRequest", &[("refresh_token", "text")]),
    ("LoggedOut", &[("revoked", "flag")]),
    ("CreateTab", &[("user_address", "address"), ("recipient_address", "address"), ("erc20_token", "address?-"), ("ttl", "whole?-"), ("guarantee_version", "whole?-")]),
    ("CreatedTab", &[("id", "number"), ("user_address", "address"), ("recipient_address", "address"), ("erc20_token", "address?"), ("asset_address", "address"),
        ("guarantee_version", "whole"), ("next_req_id", "number")]),
    ("GuaranteeRequest", &[("claims", "Claims"), ("signature", "text"), ("scheme", "text")]),
    ("Claims", &[("version", "text"), ("user_address", "address"), ("recipient_address", "address"), ("tab_id", "number"), ("req_id", "number"), ("amount", "number"),
        ("asset_address", "address"), ("timestamp", "whole"), ("validation_registry_address", "address-"), ("validation_request_hash", "text-"),
        ("validation_chain_id", "whole-"), ("validator_address", "address-"), ("validator_agent_id", "number-"), ("min_validation_score", "whole-"),
        ("validation_subject_hash", "text-"), ("required_validation_tag", "text-"), ("job_hash", "text-")]),
    ("CheckedGuarantee", &[("valid", "flag")]),
    ("Certificate", &[("claims", "text"), ("signature", "text")]),
    ("TabInfo", &[("tab_id", "number"), ("user_address", "address"), ("recipient_address", "address"), ("asset_address", "address"), ("accepted_guarantee_version", "whole"),
        ("start_timestamp", "whole"), ("ttl_seconds", "whole"), ("status", "text"), ("settlement_status", "text"), ("created_at", "whole"), ("updated_at", "whole"),
        ("total_amount", "number"), ("paid_amount", "number")]),
    ("GuaranteeInfo", &[("tab_id", "number"), ("req_id", "number"), ("version", "whole"), ("from_address", "address"), ("to_address", "address"), ("asset_address", "address"),
        ("amount", "number"), ("start_timestamp", "whole"), ("certificate", "text?")]),
    ("PendingRemuneration", &[("tab", "TabInfo"), ("latest_guarantee", "GuaranteeInfo?")]),
    ("CollateralEvent", &[("id", "text"), ("user_address", "address"), ("asset_address", "address"), ("amount", "number"), ("event_type", "text"), ("tab_id", "number?"),
        ("req_id", "number?"), ("tx_id", "text?"), ("created_at", "whole")]),
    ("AssetBalance", &[("user_address", "address"), ("asset_address", "address"), ("total", "number"), ("locked", "number"), ("version", "whole"), ("updated_at", "whole")]),
    ("RecipientPayment", &[("user_address", "address"), ("recipient_address", "address"), ("tx_hash", "text"), ("amount", "number"), ("verified", "flag"),
        ("finalized", "flag"), ("failed", "flag"), ("created_at", "whole")]),
    ("SetSuspension", &[("suspended", "flag")]),
    ("Suspension", &[("user_address", "address"), ("suspended", "flag"), ("updated_at", "whole")]),
    ("CreateAdminKey", &[("name", "text"), ("scopes", "text*")]),
    ("CreatedAdminKey", &[("id", "text"), ("name", "text"), ("scopes", "text*"), ("created_at", "whole"), ("api_key", "text")]),
    ("AdminKeyInfo", &[("id", "text"), ("name", "text"), ("scopes", "text*"), ("created_at", "whole"), ("revoked_at", "whole?")]),
];

/// `components.schemas`.
pub(super) fn all() -> Map<String, Value> {
    let schemas = SCHEMAS.iter().map(|(name, members)| {
        let required: Vec<&str> = members
            .iter()
            .filter(|(_, kind)| !kind.ends_with('-'))
            .map(|(name, _)| *name)
            .collect();
        let properties: Map<String, Value> = members
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), reference(kind.trim_end_matches('-'))))
            .collect();
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        ((*name).to_owned(), schema)
    });
    schemas.collect()
}

/// The schema of a kind, or of a name with what stands behind it.
pub(super) fn reference(kind: &str) -> Value {
    if let Some(one) = kind.strip_suffix('*') {
        return json!({ "type": "array", "items": reference(one) });
    }
    if let Some(one) = kind.strip_suffix('?') {
        return json!({ "anyOf": [reference(one), { "type": "null" }] });
    }
    match kind {
        "text" => json!({ "type": "string" }),
        "flag" => json!({ "type": "boolean" }),
        "whole" => json!({ "type": "integer", "minimum": 0 }),
        "number" => json!({ "type": "string", "pattern": "^0x[0-9a-f]{1,64}$" }),
        "address" => json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}
