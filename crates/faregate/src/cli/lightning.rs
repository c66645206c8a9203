//! The Lightning wallet that pays L402 invoices.

use std::path::PathBuf;

use clap::Args;

/// Where the Lightning wallet is. Its key is never an argument: those are seen by everybody on the machine.
#[derive(Debug, Args)]
pub struct LightningArgs {
    /// The wallet or node that pays L402 invoices: lnd, cln, lnbits, phoenixd, blink, alby-hub, alby, strike or nwc.
    #[arg(long, value_name = "BACKEND", env = "FAREGATE_LIGHTNING")]
    pub lightning: Option<String>,
    /// Its API, e.g. `https://localhost:8080`. Not for nwc.
    #[arg(long, value_name = "URL", env = "FAREGATE_LIGHTNING_URL")]
    pub lightning_url: Option<String>,
    /// Where its key is: `env:NAME` or `file:PATH`. LND's macaroon, Core Lightning's rune, phoenixd's password, the wallet
    /// connection of nwc. By default env:FAREGATE_LIGHTNING_KEY.
    #[arg(long, value_name = "WHERE")]
    pub lightning_key: Option<String>,
    /// Its own certificate, in PEM. Without it those of this machine are believed.
    #[arg(long, value_name = "FILE", env = "FAREGATE_LIGHTNING_CERT")]
    pub lightning_cert: Option<PathBuf>,
    /// Which of the account's wallets, for blink.
    #[arg(long, value_name = "ID", env = "FAREGATE_LIGHTNING_WALLET_ID")]
    pub lightning_wallet_id: Option<String>,
    /// What the books call it as the payer; the backend's name unless told otherwise.
    #[arg(long, value_name = "NAME", env = "FAREGATE_LIGHTNING_NAME")]
    pub lightning_name: Option<String>,
    /// The network it is on, regtest by default. Real bitcoins are only spent when this says `mainnet`.
    #[arg(long, value_name = "NETWORK", env = "FAREGATE_LIGHTNING_NETWORK")]
    pub lightning_network: Option<String>,
    /// The same as `--lightning lnd --lightning-url URL`.
    #[arg(long, value_name = "URL", env = "FAREGATE_LND_REST")]
    pub lnd_rest: Option<String>,
    /// Where LND's macaroon is: `env:NAME` (hexadecimal) or `file:PATH` (as LND writes it). By default
    /// env:FAREGATE_LND_MACAROON, or env:FAREGATE_LND_MACAROON_PAYER as `faregate dev` writes it.
    #[arg(long, value_name = "WHERE")]
    pub lnd_macaroon: Option<String>,
    /// LND's own certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "FAREGATE_LND_CERT")]
    pub lnd_cert: Option<PathBuf>,
    /// The network that LND is on.
    #[arg(long, value_name = "NETWORK", env = "FAREGATE_LND_NETWORK")]
    pub lnd_network: Option<String>,
    /// A Lightning node in this process that pays L402 invoices, instead of another wallet: the file that describes it. Only in
    /// the program that has such nodes (`ldk/` of the repository).
    #[arg(
        long,
        value_name = "FILE",
        env = "FAREGATE_LDK_NODE",
        conflicts_with_all = ["lnd_rest", "lightning"]
    )]
    pub ldk_node: Option<PathBuf>,
}

impl LightningArgs {
    /// Whether they name a wallet.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.lightning.is_some() || self.lnd_rest.is_some() || self.ldk_node.is_some()
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
    /// What may be spent over Lightning besides.
    #[command(flatten)]
    pub budget: SatBudgetArgs,
}

/// What may be spent over Lightning, besides the cap for one payment.
#[derive(Debug, Args)]
pub struct SatBudgetArgs {
    /// Most to pay this host altogether over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_PER_HOST")]
    pub max_sats_per_host: Option<u64>,
    /// Most to pay anybody within a day over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_PER_DAY")]
    pub max_sats_per_day: Option<u64>,
    /// Most to pay anybody altogether over Lightning, in satoshis. Remembered across runs.
    #[arg(long, value_name = "SATS", env = "FAREGATE_MAX_SATS_TOTAL")]
    pub max_sats_total: Option<u64>,
}
