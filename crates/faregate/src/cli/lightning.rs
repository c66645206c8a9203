//! The Lightning wallet that pays L402 invoices.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the Lightning wallet is. Its macaroon is never an argument: those are seen by everybody on the machine.
#[derive(Debug, Args)]
pub struct LightningArgs {
    /// REST API of an LND node that pays L402 invoices, e.g. `https://localhost:8080`.
    #[arg(long, value_name = "URL", env = "FAREGATE_LND_REST")]
    pub lnd_rest: Option<String>,
    /// Where its macaroon is: `env:NAME` (hexadecimal) or `file:PATH` (as LND writes it). By default
    /// env:FAREGATE_LND_MACAROON, or env:FAREGATE_LND_MACAROON_PAYER as `faregate dev` writes it.
    #[arg(long, value_name = "WHERE")]
    pub lnd_macaroon: Option<String>,
    /// Its own certificate, in PEM. Without it those of this machine are believed.
    #[arg(long, value_name = "FILE", env = "FAREGATE_LND_CERT")]
    pub lnd_cert: Option<PathBuf>,
    /// The network it is on. Real bitcoins are only spent when this says `mainnet`.
    #[arg(
        long,
        value_name = "NETWORK",
        default_value = "regtest",
        env = "FAREGATE_LND_NETWORK"
    )]
    pub lnd_network: String,
    /// A Lightning node in this process that pays L402 invoices, instead of LND: the file that describes it. Only in the
    /// program that has such nodes (`ldk/` of the repository).
    #[arg(
        long,
        value_name = "FILE",
        env = "FAREGATE_LDK_NODE",
        conflicts_with = "lnd_rest"
    )]
    pub ldk_node: Option<PathBuf>,
}

impl LightningArgs {
    /// Whether they name a wallet.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.lnd_rest.is_some() || self.ldk_node.is_some()
    }
}

/// What may be spent over Lightning.
#[derive(Debug, Args)]
pub struct SatArgs {
    /// Most to pay for this request over Lightning, in satoshis, with what the way may cost.
    #[arg(
        long,
        value_name = "SATS",
        default_value_t = 200,
        env = "FAREGATE_MAX_SATS"
    )]
    pub max_sats: u64,
    /// Most to pay this host altogether over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_PER_HOST")]
    pub max_sats_per_host: Option<u64>,
    /// Most to pay anybody within a day over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_PER_DAY")]
    pub max_sats_per_day: Option<u64>,
    /// Most to pay anybody altogether over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_TOTAL")]
    pub max_sats_total: Option<u64>,
    /// Which rail is taken when a server offers both.
    #[arg(long, value_enum, default_value_t = PreferArg::X402)]
    pub prefer: PreferArg,
}

/// A rail.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PreferArg {
    /// x402; L402 when no offer can be taken.
    X402,
    /// L402; x402 when the invoice cannot be paid.
    L402,
}
