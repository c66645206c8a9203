//! What the command line says of credit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use faregate_devnet::chain::CreditTiming;

use super::WalletArgs;

/// Where the credit core is, and whose tabs.
#[derive(Debug, Args)]
pub struct PayerArgs {
    /// The credit core. Without it FAREGATE_CREDIT_URL or FAREGATE_CREDIT_NETWORK, or the 4MICA_ variables of the network's SDKs; so
    /// with the node (FAREGATE_CREDIT_ETHEREUM_HTTP_RPC_URL) and the contract (FAREGATE_CREDIT_CONTRACT).
    #[arg(long, value_name = "URL")]
    pub credit_url: Option<url::Url>,
    /// Where the keys and the books are. FAREGATE_CREDIT_WALLET_PRIVATE_KEY comes before the other names of keys.
    #[command(flatten)]
    pub wallet: WalletArgs,
}

/// `faregate wallet deposit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it is in the contract · 1 unexpected, or refused by the chain · 2 wrong command line or no key · 3 the \
network is not allowed · 6 sent, end unknown · 7 no connection"
)]
pub struct DepositArgs {
    /// Which payer.
    #[command(flatten)]
    pub payer: PayerArgs,
    /// How much, of what: `10 USDC`, `0.01 ETH`. Without a symbol it is USDC.
    #[arg(value_name = "AMOUNT")]
    pub amount: String,
    /// Deposit on this main network too (a v1 name like `base` or CAIP-2 like `eip155:8453`). Test networks need no permission.
    /// Repeatable.
    #[arg(
        long = "allow-network",
        value_name = "NETWORK",
        env = "FAREGATE_ALLOW_NETWORKS",
        value_delimiter = ','
    )]
    pub allow_networks: Vec<String>,
    /// Wait this many seconds for the credit core to count it, which it does when the block is final.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
}

/// `faregate wallet tabs`.
#[derive(Debug, Args)]
pub struct TabsArgs {
    /// Which payer.
    #[command(flatten)]
    pub payer: PayerArgs,
    /// What counts as soon: `30m`, `24h`, `7d`.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub within: Span,
    /// List tabs too on which nothing is left to pay.
    #[arg(long)]
    pub all: bool,
}

/// `faregate wallet pay-tabs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all of it is paid, or nothing was due · 1 unexpected, or something was not paid · 2 wrong command line or \
no key · 3 a cap forbids it, nothing sent · 6 sent, end unknown: run the same command again · 7 no connection"
)]
pub struct PayTabsArgs {
    /// Which payer.
    #[command(flatten)]
    pub payer: PayerArgs,
    /// Pay what can be taken out of the collateral within this time, or now: `30m`, `24h`, `7d`.
    #[arg(long, value_name = "TIME", default_value = "24h", conflicts_with_all = ["all", "tab"])]
    pub within: Span,
    /// Pay everything that can ever be taken out of the collateral.
    #[arg(long, conflicts_with = "tab")]
    pub all: bool,
    /// Pay this tab, whenever it is due: its number, or as many digits of it as only one has. Repeatable.
    #[arg(long, value_name = "ID")]
    pub tab: Vec<String>,
    /// Show what would be paid, send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Most to pay in one asset, by its symbol or its address (then in atomic units): `USDC=5`, `ETH=0.01`. If more is due, nothing
    /// is paid. Repeatable; with any, an asset without one is not paid at all.
    #[arg(
        long,
        value_name = "ASSET=AMOUNT",
        env = "FAREGATE_MAX_TABS",
        value_delimiter = ','
    )]
    pub max: Vec<String>,
    /// Pay on this main network too (a v1 name like `base` or CAIP-2 like `eip155:8453`). Test networks need no permission.
    /// Repeatable.
    #[arg(
        long = "allow-network",
        value_name = "NETWORK",
        env = "FAREGATE_ALLOW_NETWORKS",
        value_delimiter = ','
    )]
    pub allow_networks: Vec<String>,
    /// Wait this many seconds for the end of a payment, also of an earlier command.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub wait: u64,
}

/// A length of time, as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || "expected a time like 90s, 30m, 24h or 7d".to_owned();
        let (number, unit) = match text.char_indices().last() {
            Some((at, unit)) if unit.is_ascii_alphabetic() => (text.get(..at), unit),
            _ => (Some(text), 's'),
        };
        let secs = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(bad()),
        };
        let number: u64 = number.unwrap_or_default().parse().map_err(|_| bad())?;
        let secs = number.checked_mul(secs).ok_or_else(bad)?;
        Ok(Self(Duration::from_secs(secs)))
    }
}

/// Whether the credit core wants everybody to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CreditAuth {
    /// What is private takes a token.
    Required,
    /// Who signs in is told apart, and nobody has to.
    Optional,
}

/// The four times of a credit contract.
#[derive(Clone, Copy, Debug)]
pub struct CreditTimes(pub CreditTiming);

impl fmt::Display for CreditTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreditTiming {
            remuneration_grace: grace,
            tab_expiration: expiration,
            synchronization_delay: delay,
            withdrawal_grace: withdrawal,
        } = self.0;
        write!(f, "{grace},{expiration},{delay},{withdrawal}")
    }
}

impl FromStr for CreditTimes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
        let Ok([grace, expiration, delay, withdrawal]) = times.as_deref() else {
            return Err("expected four numbers of seconds, e.g. 5,300,5,306".into());
        };
        let limit = expiration.checked_add(*delay);
        let fits = *grace > 0 && *delay > 0 && grace < expiration;
        if !fits || limit.is_none_or(|limit| limit >= *withdrawal) {
            return Err(
                "none may be 0, grace < expiration, expiration + delay < withdrawal".into(),
            );
        }
        Ok(Self(CreditTiming {
            remuneration_grace: *grace,
            tab_expiration: *expiration,
            synchronization_delay: *delay,
            withdrawal_grace: *withdrawal,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        for (text, secs) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("0h", Some(0)),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("1w", None),
            ("1.5h", None),
            ("1h30m", None),
            ("213503982334602d", None),
        ] {
            let span = text.parse::<Span>().ok();
            assert_eq!(span.map(|span| span.0.as_secs()), secs, "{text}");
        }
    }

    #[test]
    fn times_fit_together() {
        for (text, good) in [
            ("5,300,5,306", true),
            ("1,2,1,4", true),
            ("0,300,5,306", false),
            ("5,300,0,306", false),
            ("300,300,5,306", false),
            ("5,300,5,305", false),
            ("5,300,5", false),
            ("5,300,5,306,1", false),
            ("a,b,c,d", false),
            ("1,18446744073709551615,1,2", false),
        ] {
            assert_eq!(text.parse::<CreditTimes>().is_ok(), good, "{text}");
        }
    }
}
