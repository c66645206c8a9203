//! `faregate wallet tabs`: what is owed on credit, and until when it should be paid.

use std::sync::Arc;
use std::time::Duration;

use faregate_client::credit::{
    AskError, ConfigFault, CreditClient, CreditClientBuilder, CreditDebts, CreditError, Debt,
    DebtState, ETH, NoAnswer, RepaymentStore, SendError, Unsent, Which,
};
use faregate_server::config::Env;
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{Address, Asset, AssetId, AssetRegistry, U256, to_decimal_text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::cli::WalletArgs;
use crate::cli::credit::{PayerArgs, TabsArgs};
use crate::commands::curl::books;
use crate::commands::wallet;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Decimals of ETH.
const ETH_DECIMALS: u8 = 18;

/// Digits of a tab's number that are shown where there is no room for 64.
const TAB_DIGITS: usize = 12;

/// Runs it.
///
/// # Errors
/// When there is no key or no credit core, or one of those who are asked does not answer.
pub(crate) async fn run(args: &TabsArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let payer = Payer::open(&args.payer, env).await?;
    let which = if args.all { Which::All } else { Which::Pending };
    let mut debts = payer.debts.list(which).await.map_err(failed)?;
    let soon = args.within.0;
    if !args.all {
        debts.retain(|debt| debt.state(soon) != DebtState::Settled);
    }
    if debts.is_empty() {
        printer.line("nothing is owed on credit");
    } else {
        printer.line(&payer.table(&debts, soon));
        let owed = payer.totals(&debts, |debt| debt.owed);
        printer.line(&format!("\nowed  {}", payer.sums(&owed)));
    }
    if debts.iter().any(|debt| debt.is_due(within(soon))) {
        printer.note("\n`faregate wallet pay-tabs` pays what is overdue or due soon");
    }
    let rows: Vec<Value> = debts.iter().map(|debt| payer.row(debt, soon)).collect();
    printer.data(&json!({
        "payer": payer.client.address().to_string(), "network": payer.client.chain().to_string(),
        "contract": payer.client.contract().to_string(), "tabs": rows,
    }));
    Ok(())
}

/// What is due so soon.
pub(crate) const fn within(soon: Duration) -> faregate_client::credit::Due {
    faregate_client::credit::Due::Within(soon)
}

/// Somebody who owes, and where.
pub(crate) struct Payer {
    pub(crate) client: CreditClient,
    pub(crate) debts: CreditDebts,
    books: Arc<SqliteWallet>,
    registry: AssetRegistry,
}

impl Payer {
    /// Connects to the core that these arguments and the environment name.
    ///
    /// # Errors
    /// When there is no key, no core, or it does not fit the chain.
    pub(crate) async fn open(args: &PayerArgs, env: &Env) -> Result<Self, Failed> {
        let client = connect(args.credit_url.as_ref(), &args.wallet, env).await?;
        let books = books(&args.wallet, env).await?;
        Ok(Self {
            debts: client.debts(Arc::clone(&books) as Arc<dyn RepaymentStore>),
            books,
            client,
            registry: AssetRegistry::builtin(),
        })
    }

    /// How much of what is owed was not signed with the wallet's books.
    ///
    /// # Errors
    /// When the core does not say what it is made of, or the books cannot be read.
    pub(crate) async fn unsigned(&self, debt: &Debt) -> Result<U256, Failed> {
        let signed = self
            .debts
            .signed(debt, &*self.books)
            .await
            .map_err(failed)?;
        Ok(debt.total.saturating_sub(signed).min(debt.owed))
    }

    /// What is known of an asset.
    fn asset(&self, asset: Address) -> Option<&Asset> {
        self.registry
            .find(AssetId::erc20(self.client.chain(), asset))
    }

    /// The symbol and the decimals, if it is one that is known.
    pub(crate) fn unit(&self, asset: Address) -> Option<(&str, u8)> {
        if asset == ETH {
            return Some(("ETH", ETH_DECIMALS));
        }
        self.asset(asset)
            .map(|asset| (asset.symbol.as_ref(), asset.decimals))
    }

    /// The asset of this symbol, and its decimals.
    pub(crate) fn by_symbol(&self, symbol: &str) -> Option<(Address, u8)> {
        if symbol.eq_ignore_ascii_case("ETH") {
            return Some((ETH, ETH_DECIMALS));
        }
        let found = self.registry.by_symbol(self.client.chain(), symbol)?;
        Some((found.id.token(), found.decimals))
    }

    /// An amount as people write it; of an unknown token in atomic units.
    pub(crate) fn money(&self, asset: Address, amount: U256) -> String {
        match self.unit(asset) {
            Some((symbol, decimals)) => format!("{} {symbol}", to_decimal_text(amount, decimals)),
            None => format!("{amount} units of {asset}"),
        }
    }

    /// The sum for each asset.
    pub(crate) fn totals(
        &self,
        debts: &[Debt],
        of: impl Fn(&Debt) -> U256,
    ) -> Vec<(Address, U256)> {
        let mut totals: Vec<(Address, U256)> = Vec::new();
        for debt in debts {
            let amount = of(debt);
            match totals.iter_mut().find(|(asset, _)| *asset == debt.asset) {
                Some((_, sum)) => *sum = sum.saturating_add(amount),
                None => totals.push((debt.asset, amount)),
            }
        }
        totals.retain(|(_, sum)| !sum.is_zero());
        totals
    }

    /// Sums in words.
    pub(crate) fn sums(&self, totals: &[(Address, U256)]) -> String {
        let words: Vec<String> = totals
            .iter()
            .map(|(asset, sum)| self.money(*asset, *sum))
            .collect();
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(" + ")
        }
    }

    /// Sums for programs.
    pub(crate) fn sums_data(&self, totals: &[(Address, U256)]) -> Value {
        let rows = totals.iter().map(|(asset, sum)| {
            json!({
                "asset": asset.to_string(), "amount": sum.to_string(), "money": self.money(*asset, *sum),
            })
        });
        rows.collect()
    }

    /// Tabs as a table.
    pub(crate) fn table(&self, debts: &[Debt], soon: Duration) -> String {
        let mut rows = vec![["TAB", "RECIPIENT", "OWED", "DUE", "STATE"].map(str::to_owned)];
        for debt in debts {
            rows.push([
                short(debt.tab),
                debt.recipient.to_string(),
                self.money(debt.asset, debt.owed),
                due(debt),
                self.state(debt, soon),
            ]);
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths = [0, 1, 2, 3, 4].map(width);
        let lines = rows.iter().map(|row| {
            let cells = row.iter().zip(widths);
            let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
            let cells: Vec<String> = cells.collect();
            cells.join("  ").trim_end().to_owned()
        });
        let lines: Vec<String> = lines.collect();
        lines.join("\n")
    }

    fn state(&self, debt: &Debt, soon: Duration) -> String {
        let state = debt.state(soon).as_str().replace('_', " ");
        match debt.state(soon) {
            DebtState::Paid => format!("{state}, not recorded yet"),
            DebtState::Underway => {
                let sent = self.money(debt.asset, debt.uncounted);
                format!("{state}: the end of {sent} is unknown")
            }
            _ if !debt.owed.is_zero() && !debt.certified => format!("{state}, no certificate yet"),
            _ => state,
        }
    }

    /// A tab for programs. Amounts are in atomic units.
    pub(crate) fn row(&self, debt: &Debt, soon: Duration) -> Value {
        let unit = self.unit(debt.asset);
        json!({
            "tab": format!("{:#x}", debt.tab), "recipient": debt.recipient.to_string(), "asset": debt.asset.to_string(),
            "symbol": unit.map(|(symbol, _)| symbol), "decimals": unit.map(|(_, decimals)| decimals),
            "total": debt.total.to_string(), "paid": debt.paid.to_string(), "unrecorded": debt.uncounted.to_string(),
            "remunerated": debt.remunerated.to_string(), "owed": debt.owed.to_string(),
            "money": self.money(debt.asset, debt.owed),
            "redeemableAt": debt.redeemable_at.map(faregate_types::Timestamp::as_secs),
            "expiresAt": debt.expires_at.map(faregate_types::Timestamp::as_secs),
            "certified": debt.certified, "state": debt.state(soon).as_str(),
        })
    }
}

/// The number of a tab, if need be without its end.
pub(crate) fn short(tab: U256) -> String {
    let text = format!("{tab:#x}");
    match text.get(..TAB_DIGITS.saturating_add(2)) {
        Some(digits) if digits.len() < text.len() => format!("{digits}…"),
        _ => text,
    }
}

/// When it can be taken out of the collateral, from the chain's own now.
fn due(debt: &Debt) -> String {
    let Some(at) = debt.redeemable_at else {
        return "-".to_owned();
    };
    let (now, at) = (debt.at.as_secs(), at.as_secs());
    match at.checked_sub(now) {
        Some(0) | None => format!("since {}", span(now.saturating_sub(at))),
        Some(left) => format!("in {}", span(left)),
    }
}

/// A time in its two largest units.
fn span(secs: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1_u64)];
    let mut left = secs;
    let mut words = Vec::new();
    for (name, unit) in units {
        let count = left.checked_div(unit).unwrap_or_default();
        left = left.checked_rem(unit).unwrap_or_default();
        if count > 0 {
            words.push(format!("{count} {name}"));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() {
        "0 s".to_owned()
    } else {
        words.join(" ")
    }
}

async fn builder(
    url: Option<&Url>,
    wallet: &WalletArgs,
    env: &Env,
) -> Result<CreditClientBuilder, Failed> {
    let mut builder = CreditClient::from_env(env).map_err(failed)?;
    if let Some(url) = url {
        builder = builder.service(url.clone());
    }
    if wallet.keystore.is_some()
        && let Some(wallet) = wallet::find(wallet, env).await?
    {
        builder = builder.signer(wallet.signer().clone());
    }
    Ok(builder)
}

/// A credit core: this one, or the one of the environment.
///
/// # Errors
/// When there is no key, no core, or it does not fit the chain.
pub(crate) async fn connect(
    url: Option<&Url>,
    wallet: &WalletArgs,
    env: &Env,
) -> Result<CreditClient, Failed> {
    let builder = builder(url, wallet, env).await?;
    let client = builder.clone().connect().await.map_err(failed)?;
    // Nobody signs in unless that is wanted: services of the network's first SDK do not know it.
    let asked = client.rpc().user_tabs(client.address(), &[], 0, 1).await;
    match asked {
        Err(error) if error.status() == Some(401) => {
            builder.sign_in().connect().await.map_err(failed)
        }
        _ => Ok(client),
    }
}

/// Why nothing can be said or paid, and what to do.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(crate) fn failed(error: CreditError) -> Failed {
    let text = error.to_string();
    match &error {
        CreditError::Config(ConfigFault::NoService) => Failed::usage("no credit core is configured")
            .hint("--credit-url, FAREGATE_CREDIT_URL or FAREGATE_CREDIT_NETWORK says where it is"),
        CreditError::Config(ConfigFault::NoSigner) => wallet::no_key(),
        CreditError::Config(ConfigFault::NoNode) => Failed::usage(text)
            .hint("FAREGATE_CREDIT_ETHEREUM_HTTP_RPC_URL names a node"),
        CreditError::Config(_) => Failed::usage(text),
        CreditError::Service(refusal) if refusal.status == 404 => Failed::new(Exit::Http, text)
            .hint("this credit core may not list the tabs of payers: `faregate wallet pay-tabs --tab` pays one by its whole number"),
        CreditError::Service(refusal) if matches!(refusal.status, 401 | 403) => {
            Failed::new(Exit::Http, text).hint("the key has to be that of the payer")
        }
        CreditError::NoAnswer(NoAnswer::NotSent) => {
            Failed::new(Exit::Http, text).hint("is the credit core there? --credit-url says where")
        }
        CreditError::Service(_)
        | CreditError::NoAnswer(_)
        | CreditError::Connect(_)
        | CreditError::Chain(AskError::Away) => Failed::new(Exit::Http, text),
        CreditError::Transaction(SendError::Unknown(_)) => Failed::new(Exit::Undecided, text)
            .hint("run the same command again: it is not paid twice"),
        CreditError::Transaction(SendError::NotSent(Unsent::NoMoney)) => {
            Failed::new(Exit::Failure, text).hint("the account needs ETH for the gas, and what it pays")
        }
        _ => Failed::new(Exit::Failure, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_two_largest_units() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (3_601, "1 h"),
            (90_061, "1 d 1 h"),
            (1_209_600, "14 d"),
        ] {
            assert_eq!(span(secs), text, "{secs}");
        }
    }

    #[test]
    fn long_numbers_are_cut() {
        assert_eq!(short(U256::from(0xabc)), "0xabc");
        let long = short(U256::MAX);
        assert_eq!(long, "0xffffffffffff…");
    }
}
