//! Options about how a payment is made when there is a choice: which rail, which asset, which kind of permit.

use clap::{Args, ValueEnum};

/// How to pay.
#[derive(Debug, Args)]
pub struct RailArgs {
    /// Which rail is tried first when a server offers several; the others come after it: x402, then l402, then permit. A list
    /// with commas names more than the first.
    #[arg(
        long,
        value_enum,
        value_name = "RAILS",
        value_delimiter = ',',
        env = "FAREGATE_PREFER"
    )]
    pub prefer: Vec<PreferArg>,
    /// Which assets are paid with first when a server takes several: `sepolia/USDC`, or the name by CAIP-19. A list with
    /// commas.
    #[arg(
        long,
        value_name = "ASSETS",
        value_delimiter = ',',
        env = "FAREGATE_PAY_WITH"
    )]
    pub pay_with: Vec<String>,
    /// A node of a network, `sepolia=https://…`: EIP-2612 permits are only signed with one, because the token contract counts
    /// them. Repeatable.
    #[arg(
        long = "node",
        value_name = "NETWORK=URL",
        value_delimiter = ',',
        env = "FAREGATE_NODES",
        hide_env_values = true
    )]
    pub nodes: Vec<String>,
    /// The only kind of permit that is signed. Without it the likeliest of those that the server may take.
    #[arg(long, value_enum, env = "FAREGATE_PERMIT_KIND")]
    pub permit_kind: Option<PermitKindArg>,
    /// How long a permit is valid, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub permit_valid: u64,
}

/// A rail.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PreferArg {
    /// x402.
    X402,
    /// L402: Lightning invoices.
    L402,
    /// Permits for access tokens, as x402-mock's servers take them.
    Permit,
}

/// A kind of permit.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PermitKindArg {
    /// An allowance: x402-mock 0.1.1.
    Eip2612,
    /// A transfer: x402-mock from 0.2.0 on, for USDC and EURC.
    Erc3009,
    /// A transfer through Permit2, which needs an allowance: x402-mock from 0.2.0 on, for everything else.
    Permit2,
}
