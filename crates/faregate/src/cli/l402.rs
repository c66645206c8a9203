//! `faregate l402 …`: tokens by hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `faregate l402 …`.
#[derive(Debug, Subcommand)]
pub enum L402Command {
    /// Check a credential against a route: who signed it, what its conditions allow, whether the preimage belongs to it.
    Verify(VerifyArgs),
    /// Make the token for a payment.
    Mint(MintArgs),
    /// Add conditions to a token. No key is needed, and nobody can take them off again.
    Attenuate(AttenuateArgs),
    /// Say that a gate's token opens nothing any more, from now on.
    Revoke(RevokeArgs),
}

/// Where the key is. It is never an argument: those are seen by everybody on the machine.
///
/// A gate has one master key, and every token a root key of its own that is derived from it.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// File with the gate's master key, 64 hexadecimal digits: for the tokens of a gate. Without it the key comes from
    /// FAREGATE_L402_MASTER_KEY.
    #[arg(long, value_name = "FILE", env = "FAREGATE_L402_MASTER_KEY_FILE")]
    pub master_key_file: Option<PathBuf>,
    /// File with the root key of one token, 64 hexadecimal digits: for tokens of other servers. Without it the key comes
    /// from FAREGATE_L402_ROOT_KEY.
    #[arg(long, value_name = "FILE", env = "FAREGATE_L402_ROOT_KEY_FILE")]
    pub root_key_file: Option<PathBuf>,
}

/// What a token is bound to, or has to open.
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// The service.
    #[arg(long, value_name = "NAME")]
    pub service: String,
    /// The tier, 0 is the base.
    #[arg(long, default_value_t = 0)]
    pub tier: u8,
    /// The route as the seller writes it, or one path in it.
    #[arg(long, value_name = "ROUTE")]
    pub path: String,
    /// The method.
    #[arg(long, default_value = "GET")]
    pub method: String,
    /// The price, with its unit: `10 sat`, `2500 msat`, `0.0001 BTC`.
    #[arg(long, value_name = "PRICE")]
    pub price: String,
    /// Who may use the token, in the seller's word for it; with a master key also the client's IP address.
    #[arg(long, value_name = "WORD")]
    pub client: Option<String>,
}

/// `faregate l402 verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The credential: the value of `Authorization`, or `token:preimage`. `-` reads standard input, which others do not see.
    #[arg(default_value = "-")]
    pub credential: String,
    /// The route that was asked for.
    #[command(flatten)]
    pub route: RouteArgs,
    /// What of the service the route is, where it has parts.
    #[arg(long, value_name = "NAME")]
    pub capability: Option<String>,
    /// The time to check for, in seconds since 1970; now by default.
    #[arg(long, value_name = "SECONDS")]
    pub now: Option<u64>,
    /// Apply the published rules instead of ours: what is not bound opens everything, what is not known is passed over.
    #[arg(long)]
    pub published_rules: bool,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `faregate l402 mint`.
#[derive(Debug, Args)]
pub struct MintArgs {
    /// The invoice that has to be paid; its hash is what the token asks for.
    #[arg(long, value_name = "BOLT11", required_unless_present = "payment_hash")]
    pub invoice: Option<String>,
    /// The payment hash, where there is no invoice at hand: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "invoice")]
    pub payment_hash: Option<String>,
    /// What the token opens.
    #[command(flatten)]
    pub route: RouteArgs,
    /// What of the service it opens; all of it without. Repeatable.
    #[arg(long = "capability", value_name = "NAME")]
    pub capabilities: Vec<String>,
    /// How long it works, in seconds from now.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub valid_for: u64,
    /// How many requests it opens; as many as fit before it expires without.
    #[arg(long, value_name = "N")]
    pub max_uses: Option<u32>,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `faregate l402 attenuate`.
#[derive(Debug, Args)]
pub struct AttenuateArgs {
    /// The token, in base64 or hexadecimal digits. `-` reads standard input.
    #[arg(default_value = "-")]
    pub token: String,
    /// A condition to add, `name=value`, for example `max_uses=1`. Repeatable; they are added in this order.
    #[arg(long = "caveat", value_name = "CONDITION", required = true)]
    pub caveats: Vec<String>,
}

/// `faregate l402 revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Payment hashes or token ids, 64 hexadecimal digits each. A token has both; `faregate decode` shows them.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Whose tokens.
    #[command(flatten)]
    pub gate: GateArgs,
}

/// Which gate, running or not.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// The admin address of the gate.
    #[arg(
        long,
        value_name = "URL",
        env = "FAREGATE_ADMIN_URL",
        default_value = "http://127.0.0.1:4023"
    )]
    pub admin_url: String,
    /// File with the key of the admin address. Without it the key comes from FAREGATE_ADMIN_KEY.
    #[arg(long, value_name = "FILE", env = "FAREGATE_ADMIN_KEY_FILE")]
    pub admin_key_file: Option<PathBuf>,
    /// The ledger of a gate that is not running, instead of its admin address.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}
