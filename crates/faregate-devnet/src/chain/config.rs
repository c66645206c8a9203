//! What a dev chain can be told before it starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use faregate_types::Asset;

use super::{
    clock::{Clock, SystemClock},
    credit::CreditConfig,
};

/// Configuration of a dev chain. The default is Base Sepolia's chain id on a free port of the loopback interface, with
/// every transaction mined at once.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// Chain id (EIP-155). It decides where the test USDC stands and what it is called.
    pub chain_id: u64,
    /// Address to listen on; port 0 takes a free one. Anybody who reaches it can do anything with the chain, so it
    /// should be a loopback address.
    pub bind: SocketAddr,
    /// How many blocks `finalized` and `safe` are behind `latest`.
    pub finality_depth: u64,
    /// `None`: a transaction is mined at once, in its own block. `Some`: a block is mined every so often, with or without
    /// transactions, and transactions wait for it.
    pub block_time: Option<Duration>,
    /// The token that prices on this chain are meant in, if it is not the one of the built-in table: for chain ids
    /// without a known USDC. Test code is put at its address.
    pub asset: Option<Asset>,
    /// The contracts of the credit network, if the chain is to have them.
    pub credit: Option<CreditConfig>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            chain_id: 84532,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            finality_depth: 0,
            block_time: None,
            asset: None,
            credit: None,
            clock: Arc::new(SystemClock),
        }
    }
}
