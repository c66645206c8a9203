//! What a dev Lightning network can be told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use faregate_types::lightning::Msat;

use crate::chain::{Clock, SystemClock};

/// Configuration of a dev Lightning network. By default each wallet starts with a million satoshis, and a payment costs one
/// satoshi and a ten-thousandth of its amount.
#[derive(Clone, Debug)]
pub struct LightningConfig {
    /// Where LND's REST API is served; port 0 takes a free one. Should be a loopback address.
    pub bind: SocketAddr,
    /// What each wallet holds at the start.
    pub balance: Msat,
    /// What every payment costs.
    pub fee_base: Msat,
    /// What it costs on top, in millionths of the amount, rounded down.
    pub fee_ppm: u64,
    /// What preimages and macaroons are made of. The same seed gives the same ones; without, nobody can guess them.
    pub seed: Option<[u8; 32]>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for LightningConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            balance: Msat::new(1_000_000_000),
            fee_base: Msat::new(1_000),
            fee_ppm: 100,
            seed: None,
            clock: Arc::new(SystemClock),
        }
    }
}
