//! The product's sender on the model chain.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use faregate_evm::{
    ExactFacilitator, LocalSigner, NetworkConfig, RpcRefusal, SignError, Signer, Transport,
    TransportError,
};
use faregate_types::{Asset, SecretKey, Signature65};
use futures_util::future::{BoxFuture, ready};
use serde_json::Value;
use tokio::time::sleep;

use crate::chain::decode::BATCH_SETTLER;
use crate::node::{Node, RpcError};
use crate::process::Process;

/// The way from a process to the node.
#[derive(Debug)]
struct Wire {
    process: Process,
    node: Arc<Node>,
}

impl Transport for Wire {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        if method == "eth_sendRawTransaction" {
            self.node.leaves(&params[0]);
        }
        let node = Arc::clone(&self.node);
        let there = move || -> BoxFuture<'static, Option<Result<Value, RpcError>>> {
            Box::pin(ready(Some(node.answer(method, &params))))
        };
        Box::pin(async move {
            match self.process.world().ask(&self.process, method, there).await {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(TransportError::Refused(RpcRefusal {
                    code: error.code,
                    message: error.message,
                    data: None,
                })),
                Err(_) => Err(TransportError::NoAnswer),
            }
        })
    }
}

/// A key that signs on the spot: a run has one thread.
struct Key(LocalSigner);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.address())
    }
}

impl Signer for Key {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign_digest(&self, digest: B256) -> BoxFuture<'_, Result<Signature65, SignError>> {
        Box::pin(ready(self.0.sign_now(digest)))
    }
}

/// The signer with this number.
#[must_use]
pub fn signer(number: u8) -> LocalSigner {
    let key = SecretKey::from_bytes([number; 32]).expect("a small number is a key");
    LocalSigner::new(key).expect("a key")
}

/// Starts the sender in `process`; asks the node until it answers.
pub async fn start(
    process: &Process,
    node: &Arc<Node>,
    asset: &Asset,
    signers: u8,
) -> ExactFacilitator {
    let world = process.world().clone();
    loop {
        let url = "http://node.example".parse().expect("a URL");
        let wire = Wire {
            process: process.clone(),
            node: Arc::clone(node),
        };
        let mut config = NetworkConfig::new(asset.id.chain(), url, vec![asset.clone()])
            .with_transport(Arc::new(wire));
        config.confirmations = world.plan().confirmations;
        config.confirmations_final = world.plan().finality;
        config.receipt_wait = Duration::from_secs(world.plan().receipt_secs);
        config.bump_after = Duration::from_secs(world.plan().bump_secs);
        if let Some(wait) = world.plan().batch_secs {
            config.batch_settler = Some(BATCH_SETTLER);
            config.batch_wait = Duration::from_secs(wait);
        }
        let time = world.clone();
        let mut builder = ExactFacilitator::builder()
            .network(config)
            .clock(move || time.now());
        for number in 1..=signers {
            builder = builder.signer(Key(signer(number)));
        }
        match builder.connect().await {
            Ok(sender) => return sender,
            Err(error) => world.note(format_args!("{process} cannot start: {error}")),
        }
        sleep(Duration::from_secs(2)).await;
    }
}
