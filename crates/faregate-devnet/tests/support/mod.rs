//! What the integration tests share.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "one module, several test binaries")]

use std::sync::Arc;

use alloy_consensus::{
    Signed, TxEip1559, TxEnvelope, TypedTransaction, transaction::SignableTransaction,
};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use faregate_devnet::{
    ChainConfig, Devchain,
    chain::{DevAccount, FixedClock},
};
use reqwest::Client;
use secp256k1::{
    Message, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde_json::{Value, json};

pub const NOW: u64 = 1_800_000_000;
pub const GWEI: u128 = 1_000_000_000;

/// A running chain with an HTTP client.
#[derive(Debug)]
pub struct World {
    pub chain: Devchain,
    pub clock: Arc<FixedClock>,
    pub http: Client,
}

impl World {
    pub async fn start() -> Self {
        Self::with(ChainConfig::default()).await
    }

    pub async fn with(config: ChainConfig) -> Self {
        // The HTTP client wants a TLS provider even for plain connections. A second test may find one installed.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let clock = Arc::new(FixedClock::at(NOW));
        let chain = Devchain::start(ChainConfig {
            clock: clock.clone(),
            ..config
        })
        .await
        .unwrap();
        Self {
            chain,
            clock,
            http: Client::new(),
        }
    }

    /// Sends any body and answers status and text.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let response = self
            .http
            .post(self.chain.rpc_url())
            .body(body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Calls a method and answers the whole reply.
    pub async fn reply(&self, method: &str, params: Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (status, text) = self.post(call.to_string()).await;
        assert_eq!(status, 200);
        serde_json::from_str(&text).unwrap()
    }

    /// Calls a method that must succeed.
    pub async fn ok(&self, method: &str, params: Value) -> Value {
        let mut reply = self.reply(method, params).await;
        assert!(reply.get("error").is_none(), "{method}: {reply}");
        reply["result"].take()
    }

    /// Calls a method that must fail; code and text.
    pub async fn err(&self, method: &str, params: Value) -> (i64, String) {
        let reply = self.reply(method, params).await;
        let error = reply
            .get("error")
            .unwrap_or_else(|| panic!("{method}: {reply}"));
        (
            error["code"].as_i64().unwrap(),
            error["message"].as_str().unwrap().to_owned(),
        )
    }

    /// Signs and sends; answers the transaction's hash.
    pub async fn send(&self, from: &DevAccount, tx: TxEip1559) -> String {
        let raw = raw(from, tx);
        self.ok("eth_sendRawTransaction", json!([raw]))
            .await
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// One wei from one dev account to another.
pub fn transfer(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: 84532,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(account(1).address),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

pub fn account(index: usize) -> &'static DevAccount {
    &Devchain::accounts()[index]
}

/// The bytes of a signed transaction.
pub fn raw(from: &DevAccount, tx: impl Into<TypedTransaction>) -> Bytes {
    let tx: TypedTransaction = tx.into();
    let signature = sign(from, tx.signature_hash());
    let signed: Signed<TypedTransaction> = tx.into_signed(signature);
    TxEnvelope::from(signed).encoded_2718().into()
}

/// Signs a digest with the private key as text, the way a program outside would.
pub fn sign(from: &DevAccount, digest: B256) -> Signature {
    let key: SecretKey = from
        .private_key
        .strip_prefix("0x")
        .unwrap()
        .parse()
        .unwrap();
    let (id, compact) =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &key)
            .serialize_compact();
    Signature::from_bytes_and_parity(&compact, id == RecoveryId::One)
}
