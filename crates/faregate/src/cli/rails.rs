//! Options about how a payment is made when there is a choice: which rail, which asset, which kind of permit.

use clap::{Args, ValueEnum};

/// How to pay.
#[derive(Debug, Args)]
pub struct RailArgs {
    /// Which rail is tried first when a server offers several; the others come after it: x402, then l402, then permit, then
    /// credit. A list with commas names more than the first. To name credit switches it on.
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
    /// Pay on credit too, where a server offers that (x402 scheme `4mica-credit`): owed on a tab, within the same caps, covered
    /// by collateral that was deposited before.
    #[arg(long, env = "FAREGATE_CREDIT")]
    pub credit: bool,
    /// Another origin that may be asked for tabs, e.g. `https://facilitator.example`. A server's own needs no permission.
    /// Repeatable.
    #[arg(
        long = "credit-tabs",
        value_name = "ORIGIN",
        value_delimiter = ',',
        env = "FAREGATE_CREDIT_TABS"
    )]
    pub credit_tabs: Vec<String>,
    /// Name and version of the EIP-712 domain in which the credit core has its claims signed.
    #[arg(
        long,
        value_name = "NAME/VERSION",
        default_value = "4mica/1",
        env = "FAREGATE_CREDIT_DOMAIN"
    )]
    pub credit_domain: String,
    /// The credit core where the collateral is. Then certificates are verified with its key, and it is asked what became of
    /// payments that nobody answered.
    #[arg(long, value_name = "URL")]
    pub credit_url: Option<url::Url>,
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
    /// Credit: owed on a tab.
    Credit,
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
