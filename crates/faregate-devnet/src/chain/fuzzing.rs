//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use super::config::ChainConfig;
use super::engine::Chain;
use super::rpc::Node;
use super::tx::SignedTx;

/// Sends a body to a fresh chain's JSON-RPC, and the same bytes as a raw transaction.
pub fn body(bytes: &[u8]) {
    let config = ChainConfig::default();
    drop(SignedTx::decode(bytes, config.chain_id));
    let Ok(chain) = Chain::new(&config) else {
        unreachable!("the default chain starts");
    };
    if let Some(answer) = Node::new(chain).handle(bytes) {
        assert!(serde_json::from_str::<serde_json::Value>(&answer).is_ok());
    }
}
