//! What the network's SDK signed and verified, through the client.

use std::sync::Arc;

use alloy_primitives::B256;
use faregate_client::credit::CreditClient;
use faregate_evm::credit::CreditCore;
use faregate_types::credit::{BlsPublicKey, Certificate, SigningScheme};
use serde_json::{Value, json};

use crate::world::*;

fn vectors(kind: &str, sdk: &str) -> Vec<Value> {
    let text = include_str!("../../../../conformance/vectors/4mica.json");
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    let is_it = |vector: &Value| vector["kind"] == kind && vector["sdk"] == sdk;
    all.into_iter().filter(is_it).collect()
}

async fn signing_client(vector: &Value) -> CreditClient {
    let inputs = &vector["inputs"];
    let mut params = params();
    params["active_guarantee_domain_separator"] = json!("");
    let mut chain_id = 31337;
    if let Some(said) = inputs["params"].as_object() {
        for (name, value) in said {
            params[name] = value.clone();
        }
        chain_id = params["chain_id"].as_u64().unwrap();
    } else if let Some(chain) = inputs["claims"]["validation_chain_id"].as_u64() {
        (params["chain_id"], chain_id) = (json!(chain), chain);
    }
    let service = service_with(params, |_| json_answer(404, &json!({}))).await;
    let key = inputs["private_key"].as_str().unwrap();
    let client = builder(&service, &Chain::new(chain_id)).signer(signer(key));
    client.connect().await.unwrap()
}

#[tokio::test]
async fn the_client_signs_what_the_sdk_signs() {
    let mut signed = 0;
    for (kind, scheme) in [
        ("eip712_v1", SigningScheme::Eip712),
        ("eip712_v2", SigningScheme::Eip712),
        ("eip191_v1", SigningScheme::Eip191),
        ("eip191_v2", SigningScheme::Eip191),
    ] {
        for vector in vectors(kind, "1.1.1") {
            let claims: faregate_types::credit::Claims =
                serde_json::from_value(vector["inputs"]["claims"].clone()).unwrap();
            let client = signing_client(&vector).await;
            let request = match client.user().sign_payment(claims.clone(), scheme).await {
                Ok(request) => request,
                // The SDK signs these; no service issues them.
                Err(error) => {
                    let is_right = claims.amount.is_zero()
                        || faregate_types::credit::binding::check(&claims).is_err()
                        || claims
                            .validation
                            .is_some_and(|policy| policy.chain_id != client.chain().get());
                    assert!(is_right, "{}: {error}", vector["name"]);
                    continue;
                }
            };
            let ours: Value =
                serde_json::from_str(&faregate_types::credit::write(&request)).unwrap();
            assert_eq!(
                ours["signature"], vector["expected"]["signature"],
                "{}",
                vector["name"]
            );
            signed += 1;
        }
    }
    assert!(signed >= 8, "{signed}");
}

/// A client of a service with this key, on a contract with these domains.
async fn verifying_client(inputs: &Value) -> CreditClient {
    let text = inputs["public_key"].as_str().unwrap();
    let bytes = alloy_primitives::hex::decode(text).unwrap();
    let key = BlsPublicKey::from_bytes(&bytes).unwrap();
    let chain = Chain::new(31337);
    chain.state.lock().unwrap().answers.clear();
    let mut versions = Vec::new();
    for (version, domain) in inputs["domains"].as_object().unwrap() {
        let version: u64 = version.parse().unwrap();
        versions.push(version);
        let domain: B256 = domain.as_str().unwrap().parse().unwrap();
        let mut words: Vec<B256> = key.words().to_vec();
        words.extend([domain, B256::ZERO, B256::from(alloy_primitives::U256::ONE)]);
        let question = CreditCore::at(CONTRACT).version_config(version).data;
        chain
            .state
            .lock()
            .unwrap()
            .answers
            .insert(question, words.concat().into());
    }
    let mut params = params();
    params["public_key"] = json!(text);
    params["accepted_guarantee_versions"] = json!(versions);
    params["active_guarantee_domain_separator"] = json!("");
    let service = service_with(params, |_| json_answer(404, &json!({}))).await;
    builder(&service, &Arc::clone(&chain))
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_client_verifies_what_the_sdk_verifies() {
    let (mut good, mut bad) = (0, 0);
    for vector in vectors("cert_verify", "1.1.1") {
        let inputs = &vector["inputs"];
        if inputs["domains"]
            .as_object()
            .is_none_or(|domains| domains.is_empty())
        {
            continue;
        }
        let client = verifying_client(inputs).await;
        let certificate = serde_json::from_value::<Certificate>(inputs["cert"].clone());
        let verified = certificate.ok().and_then(|certificate| {
            client
                .recipient()
                .verify_payment_guarantee(&certificate)
                .ok()
        });
        let name = &vector["name"];
        match (vector["expected"]["valid"].as_bool(), verified) {
            (Some(true), Some(guarantee)) => {
                let decoded = &vector["expected"]["decoded"];
                let same = |member: &str, ours: String| {
                    assert_eq!(
                        decoded[member].as_str().unwrap().to_lowercase(),
                        ours.to_lowercase(),
                        "{name}"
                    );
                };
                same("user_address", guarantee.payer.to_string());
                same("recipient_address", guarantee.recipient.to_string());
                same("domain", guarantee.domain.to_string());
                good += 1;
            }
            (Some(true), None) => panic!("{name} is good"),
            // The SDK reads one layout of version 2, the contract and we read both.
            (_, Some(_)) if name.as_str().unwrap().contains("core_layout") => {}
            (_, Some(_)) => panic!("{name} is bad"),
            (_, None) => bad += 1,
        }
    }
    assert!(good >= 1 && bad >= 1, "{good} {bad}");
}
