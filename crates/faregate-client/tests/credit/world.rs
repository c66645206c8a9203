//! A fake credit service and a fake node, both in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faregate_client::credit::{CreditClient, CreditClientBuilder, LocalSigner};
use faregate_evm::credit::CreditCore;
use faregate_evm::{RpcRefusal, Transport, TransportError};
use faregate_types::SecretKey;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{BlsSecretKey, Claims, GuaranteeVersion};
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::common::{Seen, Seller, seller};

/// The first account of every development chain, as in the traces.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const OTHER_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
pub const ME: Address = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub const OTHER: Address = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
pub const CONTRACT: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
pub const TOKEN: Address = address!("0x7777777777777777777777777777777777777777");
pub const CHAIN: ChainId = ChainId::evm(31337);

/// A node of a chain on which nothing but transactions happens.
pub struct Chain {
    pub chain: u64,
    pub state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// What the contract answers to which calldata.
    pub answers: HashMap<Bytes, Bytes>,
    /// What every transaction is refused with.
    pub refuses: Option<Bytes>,
    /// Whether transactions fail after all when they are mined.
    pub fails: bool,
    pub sent: Vec<B256>,
    /// What was asked, with its parameters.
    pub asked: Vec<(&'static str, Value)>,
}

impl Transport for Chain {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            state.asked.push((method, params.clone()));
            let data = || {
                params[0]["data"]
                    .as_str()
                    .unwrap()
                    .parse::<Bytes>()
                    .unwrap()
            };
            Ok(match method {
                "eth_chainId" => json!(format!("{:#x}", self.chain)),
                "eth_getBlockByNumber" => json!({"number": "0x64", "timestamp": "0x664fb620"}),
                "eth_getBalance" => json!("0x56bc75e2d63100000"),
                "eth_getTransactionCount" => json!(format!("{:#x}", state.sent.len())),
                "eth_feeHistory" => json!({"baseFeePerGas": ["0x1", "0x1"], "reward": [["0x1"]]}),
                "eth_call" => match state.answers.get(&data()) {
                    Some(answer) => json!(answer),
                    None => refused(state.refuses.clone())?,
                },
                "eth_estimateGas" => match state.refuses.clone() {
                    None => json!("0x186a0"),
                    refuses => refused(refuses)?,
                },
                "eth_sendRawTransaction" => {
                    let raw: Bytes = params[0].as_str().unwrap().parse().unwrap();
                    state.sent.push(keccak256(&raw));
                    json!(keccak256(&raw))
                }
                "eth_getTransactionReceipt" => json!({
                    "transactionHash": params[0], "blockNumber": "0x1", "gasUsed": "0x1", "logs": [],
                    "status": if state.fails { "0x0" } else { "0x1" },
                }),
                _ => return Err(TransportError::NoAnswer),
            })
        })
    }
}

/// A revert with these bytes; without any, an answer of nothing.
fn refused(data: Option<Bytes>) -> Result<Value, TransportError> {
    let Some(data) = data else {
        return Ok(json!("0x"));
    };
    Err(TransportError::Refused(RpcRefusal {
        code: 3,
        message: "execution reverted".into(),
        data: Some(json!(data)),
    }))
}

impl Chain {
    pub fn new(chain: u64) -> Arc<Self> {
        let chain = Self {
            chain,
            state: Mutex::default(),
        };
        for version in GuaranteeVersion::ALL {
            chain.configure(version, &bls(), domain(version), true);
        }
        Arc::new(chain)
    }

    pub fn configure(&self, version: GuaranteeVersion, key: &BlsSecretKey, domain: B256, on: bool) {
        let mut words: Vec<B256> = key.public_key().words().to_vec();
        words.extend([domain, B256::ZERO, B256::from(U256::from(u8::from(on)))]);
        let question = CreditCore::at(CONTRACT)
            .version_config(version.number())
            .data;
        let answer = words.concat().into();
        self.state.lock().unwrap().answers.insert(question, answer);
    }

    /// The contract's calls that were estimated: value, receiver, calldata.
    pub fn estimated(&self) -> Vec<(U256, Address, String)> {
        let state = self.state.lock().unwrap();
        let estimates = state
            .asked
            .iter()
            .filter(|(method, _)| *method == "eth_estimateGas");
        estimates
            .map(|(_, params)| {
                let call = &params[0];
                let value = call["value"]
                    .as_str()
                    .map_or(U256::ZERO, |value| value.parse().unwrap());
                let to = call["to"].as_str().unwrap().parse().unwrap();
                (value, to, call["data"].as_str().unwrap().to_owned())
            })
            .collect()
    }
}

pub fn bls() -> BlsSecretKey {
    BlsSecretKey::from_hex(&format!("{:064x}", 7)).unwrap()
}

pub fn domain(version: GuaranteeVersion) -> B256 {
    domain_separator(version, CHAIN, CONTRACT)
}

pub fn params() -> Value {
    json!({
        "public_key": bls().public_key().to_bytes().to_vec(), "contract_address": CONTRACT,
        "ethereum_http_rpc_url": "", "eip712_name": "4mica", "eip712_version": "1", "chain_id": 31337,
        "max_accepted_guarantee_version": 2, "accepted_guarantee_versions": [1, 2],
        "active_guarantee_domain_separator": domain(GuaranteeVersion::V2),
        "trusted_validation_registries": [],
        "validation_hash_canonicalization_version": "4MICA_VALIDATION_REQUEST_V2",
    })
}

pub fn json_answer(status: u16, body: &Value) -> Response {
    (
        StatusCode::from_u16(status).unwrap(),
        axum::Json(body.clone()),
    )
        .into_response()
}

/// A service with these parameters that answers everything else like this.
pub async fn service_with(
    params: Value,
    answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> Seller {
    seller(move |seen: &Seen| {
        if seen.path == "/core/public-params" {
            json_answer(200, &params)
        } else {
            answer(seen)
        }
    })
    .await
}

pub async fn service(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Seller {
    service_with(params(), answer).await
}

pub fn signer(key: &str) -> LocalSigner {
    LocalSigner::new(SecretKey::from_hex(key).unwrap()).unwrap()
}

pub fn builder(service: &Seller, chain: &Arc<Chain>) -> CreditClientBuilder {
    CreditClient::builder()
        .service(service.url("/").parse().unwrap())
        .signer(signer(KEY))
        .transport(chain.clone())
}

pub fn claims(payer: Address, recipient: Address) -> Claims {
    Claims {
        payer,
        recipient,
        tab_id: U256::from(0xabc),
        req_id: U256::from(17),
        amount: U256::from(1000),
        asset: Address::ZERO,
        timestamp: Timestamp::from_secs(1_716_500_000),
        validation: None,
    }
}

/// The body of a request.
pub fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or(Value::Null)
}

/// Method and path of everything but the parameters.
pub fn asked(service: &Seller) -> Vec<String> {
    let seen = service.seen();
    let others = seen
        .iter()
        .filter(|seen| seen.path != "/core/public-params");
    others
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect()
}

pub fn to_hex(text: &str) -> String {
    hex::encode_prefixed(text)
}
