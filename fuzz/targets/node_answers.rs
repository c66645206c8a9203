//! A node that answers anything: verification, settlement and resolution end, without a panic, in virtual time.
//!
//! Each line of the input is the answer to one call; a line that is no JSON is no answer.
#![no_main]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use faregate_core::port::{Facilitator, NoTrail};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, Transport, TransportError};
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{AssetRegistry, ChainId, SecretKey, TokenDomain, domain_separator};
use futures_util::future::BoxFuture;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const REQUEST: &[u8] = include_bytes!("../../crates/faregate-remote/src/fuzzing/request.json");

/// Answers as configured until it is armed, then with what the input says.
#[derive(Default)]
struct Puppet {
    script: Mutex<Option<VecDeque<Option<Value>>>>,
    separator: String,
}

impl Transport for Puppet {
    fn call(
        &self,
        method: &'static str,
        _params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        let mut script = self.script.lock().expect("nobody panics with it");
        let answer = match script.as_mut() {
            Some(script) => script.pop_front().flatten().ok_or(TransportError::NoAnswer),
            None => Ok(match method {
                "eth_chainId" => json!("0x14a34"),
                "eth_getCode" => json!("0x60"),
                "eth_call" => json!(self.separator),
                _ => json!("0x1"),
            }),
        };
        Box::pin(async { answer })
    }
}

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(run(data));
});

async fn run(data: &[u8]) {
    let chain = ChainId::new(84532).expect("a chain");
    let registry = AssetRegistry::builtin();
    let asset = registry.default_for(chain).expect("USDC").clone();
    let domain = TokenDomain::new("USDC", "2");
    let separator = domain_separator(&domain, chain, asset.id.token());
    let puppet = Arc::new(Puppet {
        script: Mutex::new(None),
        separator: separator.to_string(),
    });
    let config = NetworkConfig::new(
        chain,
        "http://127.0.0.1:1".parse().expect("a URL"),
        vec![asset],
    )
    .with_transport(Arc::<Puppet>::clone(&puppet));
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let signer = LocalSigner::new(key).expect("a signer");
    let facilitator = ExactFacilitator::builder()
        .network(config)
        .signer(signer)
        .connect()
        .await
        .expect("the puppet is as configured");
    let answers = data.split(|byte| *byte == b'\n').take(64);
    let script = answers
        .map(|line| serde_json::from_slice(line).ok())
        .collect();
    *puppet.script.lock().expect("nobody panics with it") = Some(script);
    let request = FacilitatorRequest::decode(REQUEST).expect("a request");
    drop(facilitator.verify(&request).await);
    drop(facilitator.settle(&request, &NoTrail).await);
    drop(facilitator.resolve(&request, None).await);
}
