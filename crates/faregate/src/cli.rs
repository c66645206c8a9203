//! What can be typed. Definitions only; nothing here does anything.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::stack::DevCredit;

pub mod credit;
pub mod key;
pub mod l402;
pub mod lightning;
pub mod rails;

/// One gate, every fare: put a price on any HTTP API, pay any priced API.
#[derive(Debug, Parser)]
#[command(
    name = "faregate",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "First time here? `faregate demo` runs the whole thing in this process: a chain, a priced API and a payer."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print machine-readable JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more (-v) or everything (-vv) on standard error. `RUST_LOG` overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything in one process, buy one resource over every rail, print the receipts, stop.
    Demo,
    /// Run a local world to build against: dev chain, facilitator, gate and a priced sample API.
    Dev(DevArgs),
    /// Put a price on an API: a reverse proxy configured by one TOML file.
    Gate(ConfigArgs),
    /// Verify and settle payments for gates: the x402 facilitator API.
    Facilitator(ConfigArgs),
    /// Issue guarantees out of payers' collateral: the credit core.
    Credit(CreditArgs),
    /// Redeem the certificates that a gate holds and that were not paid in time; look with --dry-run.
    CreditRemunerate(RemunerateArgs),
    /// Receive Lightning payments for others and pay them out: l402kit's managed mode, self-hosted.
    Managed(ConfigArgs),
    /// Bring the books that a configuration names up to date, or look whether they are.
    Migrate(MigrateArgs),
    /// List a priced API in the directory of a managed mode server.
    Register(Box<RegisterArgs>),
    /// Fetch a URL and pay for it if it asks, within caps.
    Curl(Box<CurlArgs>),
    /// Keys and what was spent with them.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Look at a configuration file without starting anything.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explain a 402 answer, a payment header, a requirement, a receipt, an L402 challenge or token, an access token or permit, or a Lightning invoice.
    Decode(DecodeArgs),
    /// Verify, make and narrow L402 tokens by hand.
    #[command(subcommand)]
    L402(l402::L402Command),
    /// Make keys for tokens and callers, and save them.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Look at access tokens of the permit rail, and revoke them.
    #[command(subcommand)]
    Token(key::TokenCommand),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `faregate dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Write addresses and keys as NAME=value lines once everything answers.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// EVM chain id; known ones have the test USDC at the network's official address.
    #[arg(long, default_value_t = 84532)]
    pub chain_id: u64,
    /// Port of the gate; 0 picks a free one.
    #[arg(long, default_value_t = 4021)]
    pub gate_port: u16,
    /// Port of the facilitator; 0 picks a free one.
    #[arg(long, default_value_t = 4022)]
    pub facilitator_port: u16,
    /// Port of the dev chain's JSON-RPC; 0 picks a free one.
    #[arg(long, default_value_t = 8545)]
    pub rpc_port: u16,
    /// Port of the Lightning wallets' REST API, which is LND's; 0 picks a free one.
    #[arg(long, default_value_t = 8180)]
    pub lnd_port: u16,
    /// Port of the credit core; 0 picks a free one. 3000 if nobody has it, when not said.
    #[arg(long)]
    pub credit_port: Option<u16>,
    /// The times of the credit contract, in seconds: from when on a certificate can be redeemed, and until when, how late the core
    /// may notice a request to withdraw, and how long a withdrawal takes.
    #[arg(
        long,
        value_name = "GRACE,EXPIRATION,DELAY,WITHDRAWAL",
        default_value_t = credit::CreditTimes(DevCredit::timing())
    )]
    pub credit_timing: credit::CreditTimes,
    /// Whether everybody has to sign in at the credit core.
    #[arg(long, value_enum, default_value_t = credit::CreditAuth::Optional)]
    pub credit_auth: credit::CreditAuth,
    /// Use this JSON-RPC endpoint instead of the built-in chain. It must have the network's official USDC; credit's contracts are
    /// put there, paid for by the seventh of the well-known accounts.
    #[arg(long, value_name = "URL")]
    pub rpc_url: Option<String>,
    /// Address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,
}

/// `faregate credit`.
#[derive(Debug, Args)]
pub struct CreditArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// After a reorganisation below `confirmations`: set the books back to this block, which the chain had before and has now, read
    /// on from there, suspend payers of whom the books have what the chain has not, say what was found, and end.
    #[arg(long, value_name = "BLOCK")]
    pub rewind_to: Option<u64>,
}

/// `faregate credit-remunerate`.
#[derive(Debug, Args)]
pub struct RemunerateArgs {
    /// The gate's configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `faregate register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The API.
    pub url: url::Url,
    /// What it is called.
    #[arg(long)]
    pub name: String,
    /// What a request costs, in satoshis.
    #[arg(long, value_name = "SATS")]
    pub price_sats: u64,
    /// The Lightning address that is paid.
    #[arg(long, value_name = "NAME@HOST")]
    pub address: String,
    /// The server whose directory it is.
    #[arg(long, value_name = "URL", env = "FAREGATE_MANAGED_URL")]
    pub server: url::Url,
    /// data, ai, finance, weather, compute, storage or other.
    #[arg(long, default_value = "other")]
    pub category: String,
    /// A sentence about it.
    #[arg(long)]
    pub description: Option<String>,
    /// The key of the entry, to change it: `env:NAME` or `file:/path`. It is printed when an entry is made.
    #[arg(long, value_name = "SOURCE")]
    pub key: Option<String>,
}

/// `faregate gate`, `faregate facilitator` and `faregate managed`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "FAREGATE_CONFIG",
        default_value = "faregate.toml"
    )]
    pub config: PathBuf,
}

/// `faregate migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where the books are named.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Change nothing; exit with 1 when something would be changed.
    #[arg(long)]
    pub check: bool,
}

/// `faregate curl`. The short flags mean what they mean to curl.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it worked · 1 unexpected · 2 wrong command line or no key · 3 a cap or rule of the wallet \
forbids it, nothing signed · 4 no offer this wallet can pay, nothing signed · 5 the server refused the payment · 6 sent and \
unanswered, run the same command again · 7 no connection, or an error with --fail"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct CurlArgs {
    /// What to fetch.
    pub url: String,
    /// Request method.
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub request: Option<String>,
    /// Request header, `Name: value`. Repeatable.
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    pub headers: Vec<String>,
    /// Request body; makes the method POST. `@file` reads a file, `@-` standard input.
    #[arg(short, long, value_name = "DATA")]
    pub data: Option<String>,
    /// Write the body to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show the answer's status and headers before the body.
    #[arg(short, long)]
    pub include: bool,
    /// Say nothing on standard error but errors.
    #[arg(short, long)]
    pub silent: bool,
    /// Exit with an error when the answer's status is 400 or above.
    #[arg(short, long)]
    pub fail: bool,
    /// Follow redirects that stay on the same origin.
    #[arg(short = 'L', long)]
    pub location: bool,
    /// Give up after this many seconds.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 120)]
    pub max_time: u64,
    /// Most to pay for this request, in dollars.
    #[arg(
        long,
        value_name = "USD",
        default_value = "0.10",
        env = "FAREGATE_MAX_AMOUNT"
    )]
    pub max_amount: String,
    /// What may be spent in dollars besides.
    #[command(flatten)]
    pub budget: UsdBudgetArgs,
    /// Show what would be paid and to whom, sign nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Pay on this main network too (a v1 name like `base` or CAIP-2 like `eip155:8453`). Test networks need no permission.
    /// Repeatable.
    #[arg(
        long = "allow-network",
        value_name = "NETWORK",
        env = "FAREGATE_ALLOW_NETWORKS",
        value_delimiter = ','
    )]
    pub allow_networks: Vec<String>,
    /// Pay even though this host asks for another payee than last time. The new one is expected from then on.
    #[arg(long, alias = "allow-new-payee")]
    pub accept_payee_change: bool,
    /// Pay even though the same path costs more than twice what it did last time.
    #[arg(long)]
    pub accept_price_rise: bool,
    /// Wait this many seconds for a payment whose end the server does not know yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u64,
    /// The Lightning wallet.
    #[command(flatten)]
    pub lightning: lightning::LightningArgs,
    /// What it may spend.
    #[command(flatten)]
    pub sats: lightning::SatArgs,
    /// How to pay when there is a choice.
    #[command(flatten)]
    pub rails: rails::RailArgs,
    /// Where the keys and the books are.
    #[command(flatten)]
    pub wallet: WalletArgs,
}

/// What may be spent in dollars, besides the cap for one payment.
#[derive(Debug, Args)]
pub struct UsdBudgetArgs {
    /// Most to pay this host altogether, in dollars. Remembered across runs.
    #[arg(long, value_name = "USD", env = "FAREGATE_MAX_PER_HOST")]
    pub max_per_host: Option<String>,
    /// Most to pay anybody within a day, in dollars. Remembered across runs.
    #[arg(long, value_name = "USD", env = "FAREGATE_MAX_PER_DAY")]
    pub max_per_day: Option<String>,
    /// Most to pay anybody altogether, in dollars. Remembered across runs.
    #[arg(long, value_name = "USD", env = "FAREGATE_MAX_TOTAL")]
    pub max_total: Option<String>,
}

/// Which wallet to use.
#[derive(Debug, Args)]
pub struct WalletArgs {
    /// Encrypted keystore (Web3 Secret Storage V3). The password comes from FAREGATE_KEYSTORE_PASSWORD. Without it the key
    /// comes from FAREGATE_PRIVATE_KEY, EVM_PRIVATE_KEY or PRIVATE_KEY.
    #[arg(long, value_name = "FILE", env = "FAREGATE_KEYSTORE")]
    pub keystore: Option<PathBuf>,
    /// The wallet's books: what was signed, for the caps.
    #[arg(long, value_name = "FILE", env = "FAREGATE_WALLET_DB")]
    pub wallet_db: Option<PathBuf>,
}

/// `faregate wallet …`.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a key and write it to an encrypted keystore file.
    New {
        /// The file to write; it must not exist.
        #[arg(long, value_name = "FILE", env = "FAREGATE_KEYSTORE")]
        keystore: Option<PathBuf>,
    },
    /// Show the address and the newest payments.
    Show {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// How many payments to show.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Sum up what was spent: in each unit, for each host, the newest payments; and what the budgets still allow.
    Report {
        /// The wallet's books.
        #[command(flatten)]
        wallet: WalletArgs,
        /// The budgets in dollars.
        #[command(flatten)]
        budget: Box<UsdBudgetArgs>,
        /// The budgets in satoshis.
        #[command(flatten)]
        sats: lightning::SatBudgetArgs,
        /// How many payments to list.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// List the tokens that were bought over L402 or with permits and may be shown again, without what is secret in them.
    Tokens {
        /// The wallet's books.
        #[command(flatten)]
        wallet: WalletArgs,
        /// How many tokens to list.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show what this wallet has left with the credit contract, and what of it is locked for what it owes.
    Collateral(Box<credit::PayerArgs>),
    /// Leave collateral with the credit contract, so that things can be bought on credit.
    Deposit(Box<credit::DepositArgs>),
    /// List what is owed on credit, until when it should be paid, and what became of the rest.
    Tabs(Box<credit::TabsArgs>),
    /// Pay what is owed on credit before it is taken out of the collateral.
    PayTabs(Box<credit::PayTabsArgs>),
    /// List payments whose end is unknown, send them again, or prove that they were not used.
    Pending(Box<PendingArgs>),
}

/// `faregate wallet pending`.
#[derive(Debug, Args)]
pub struct PendingArgs {
    /// Send this payment again, or all of them: the same payload to the same URL. Nothing new is signed.
    #[arg(long, value_name = "ID", num_args = 0..=1)]
    pub resume: Option<Option<String>>,
    /// Ask this node whether expired payments were used; those that were not are closed. Repeatable, one for each network.
    #[arg(long = "rpc-url", value_name = "URL", env = "FAREGATE_RPC_URL")]
    pub rpc_urls: Vec<String>,
    /// Ask this credit core what became of payments on credit; those that can never be charged any more are closed. Needs the key
    /// of their payer.
    #[arg(long, value_name = "URL")]
    pub credit_url: Option<url::Url>,
    /// Where the answers go: a file for one payment (standard output by default), a folder for all of them (by default
    /// `answers` beside the wallet's books).
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Give up on an answer after this many seconds.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 120)]
    pub max_time: u64,
    /// Wait this many seconds for a payment whose end the server does not know yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u64,
    /// The Lightning wallet that knows what became of invoices.
    #[command(flatten)]
    pub lightning: lightning::LightningArgs,
    /// Which wallet. No key is needed.
    #[command(flatten)]
    pub wallet: WalletArgs,
}

/// `faregate config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the file, report everything that is wrong with it, start nothing.
    Check(ConfigArgs),
}

/// `faregate decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// The text: a header value, base64, JSON or an invoice. `-` reads standard input.
    pub text: String,
}
