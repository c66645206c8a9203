//! `faregate wallet`: keys, and what was spent with them.

use std::path::PathBuf;

use faregate_client::wallet::{ScryptCost, WalletError, keystore};
use faregate_client::{Wallet, WalletStore as _};
use faregate_evm::OsEntropy;
use faregate_ledger::StoreError;
use faregate_server::config::Env;
use faregate_types::lightning::Msat;
use faregate_types::{Amount, AssetRegistry, Secret};
use serde_json::json;

use crate::cli::{WalletArgs, WalletCommand};
use crate::commands::curl::books;
use crate::commands::paid::{money, sats};
use crate::commands::report::{self, Wanted};
use crate::commands::{collateral, pay_tabs, pending, tabs};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Where the password of a keystore comes from. Never an argument.
pub(crate) const PASSWORD_NAME: &str = "FAREGATE_KEYSTORE_PASSWORD";

/// Runs one of the wallet's commands.
///
/// # Errors
/// When there is no key, no password, or the files cannot be used.
pub(crate) async fn run(
    command: &WalletCommand,
    env: &Env,
    printer: Printer,
) -> Result<(), Failed> {
    match command {
        WalletCommand::New { keystore } => new(keystore.clone(), env, printer).await,
        WalletCommand::Show { wallet, limit } => show(wallet, *limit, env, printer).await,
        WalletCommand::Report {
            wallet,
            budget,
            sats,
            limit,
        } => {
            let wanted = Wanted {
                wallet,
                budget,
                sats,
                limit: *limit,
            };
            report::run(wanted, env, printer).await
        }
        WalletCommand::Tokens { wallet, limit } => tokens(wallet, *limit, env, printer).await,
        WalletCommand::Collateral(args) => collateral::show(args, env, printer).await,
        WalletCommand::Deposit(args) => collateral::deposit(args, env, printer).await,
        WalletCommand::Tabs(args) => tabs::run(args, env, printer).await,
        WalletCommand::PayTabs(args) => pay_tabs::run(args, env, printer).await,
        WalletCommand::Pending(args) => pending::run(args, env, printer).await,
    }
}

/// The wallet these arguments and the environment name. Having no key at all is an answer.
///
/// # Errors
/// When what is named is no key, or does not open.
pub(crate) async fn find(args: &WalletArgs, env: &Env) -> Result<Option<Wallet>, Failed> {
    let found = match &args.keystore {
        Some(path) => Wallet::from_keystore(path, password(env)?).await,
        None => Wallet::from_env(env),
    };
    match found {
        Ok(wallet) => Ok(Some(wallet)),
        Err(WalletError::NoKey) => Ok(None),
        Err(error) => Err(Failed::usage(error.to_string()).hint(KEY_HINT)),
    }
}

/// Somebody has to pay, and nobody is there.
pub(crate) fn no_key() -> Failed {
    Failed::usage(WalletError::NoKey.to_string()).hint(KEY_HINT)
}

const KEY_HINT: &str =
    "faregate wallet new makes a key; FAREGATE_PRIVATE_KEY or --keystore names one";

/// Where the wallet's files are unless told otherwise.
///
/// # Errors
/// When the environment has no home.
pub(crate) fn data_folder(env: &Env) -> Result<PathBuf, Failed> {
    let named = |name: &str| {
        env.get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    named("FAREGATE_HOME")
        .or_else(|| named("XDG_DATA_HOME").map(|path| path.join("faregate")))
        .or_else(|| named("HOME").map(|path| path.join(".local/share/faregate")))
        .ok_or_else(|| {
            Failed::usage("no place for the wallet's files")
                .hint("set FAREGATE_HOME, or give --wallet-db and --keystore")
        })
}

fn password(env: &Env) -> Result<Secret, Failed> {
    env.get(PASSWORD_NAME)
        .filter(|text| !text.is_empty())
        .map(|text| Secret::new(text.as_bytes().to_vec()))
        .ok_or_else(|| {
            Failed::usage(format!("{PASSWORD_NAME} is not set"))
                .hint("a password on the command line would be seen by others")
        })
}

async fn new(path: Option<PathBuf>, env: &Env, printer: Printer) -> Result<(), Failed> {
    let path = match path {
        Some(path) => path,
        None => data_folder(env)?.join("keystore.json"),
    };
    let password = password(env)?;
    let (wallet, key) = Wallet::generate(&mut OsEntropy)
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
    printer.note("encrypting the key; this takes a moment on purpose");
    let path = keystore::create(
        &path,
        key,
        password,
        ScryptCost::STANDARD,
        Box::new(OsEntropy),
    )
    .await
    .map_err(|error| Failed::usage(format!("{}: {error}", path.display())))?;
    printer.line(&format!(
        "address   {}\nkeystore  {}",
        wallet.address(),
        path.display()
    ));
    printer.line("\nKeep the file and the password: there is no other copy of the key.");
    printer.data(
        &json!({"address": wallet.address().to_string(), "keystore": path.display().to_string()}),
    );
    Ok(())
}

async fn show(args: &WalletArgs, limit: u32, env: &Env, printer: Printer) -> Result<(), Failed> {
    let wallet = find(args, env).await?;
    let address = wallet.map(|wallet| wallet.address().to_string());
    let store = books(args, env).await?;
    let spends = store
        .recent_spends(limit)
        .await
        .map_err(|error| trouble(&error))?;
    let registry = AssetRegistry::builtin();
    if let Some(address) = &address {
        printer.line(&format!("address  {address}"));
    }
    if spends.is_empty() {
        printer.line("no payments yet");
    }
    let mut rows = Vec::new();
    for record in &spends {
        let spend = &record.spend;
        let price = price(spend.amount, &registry);
        let payer = match &*spend.payer {
            "" => "-",
            payer => payer,
        };
        let transaction = record.transaction.as_deref().unwrap_or("-");
        printer.line(&format!(
            "{:<8} {price:<16} {}  from {payer} to {}  {transaction}",
            record.state.as_str(),
            spend.resource,
            spend.payee
        ));
        rows.push(json!({
            "id": spend.id.to_string(), "state": record.state.as_str(), "price": price, "origin": &*spend.origin,
            "resource": &*spend.resource, "payee": &*spend.payee, "payer": &*spend.payer, "at": spend.at.as_secs(), "transaction": record.transaction.as_deref(),
        }));
    }
    printer.data(&json!({"address": address, "payments": rows}));
    Ok(())
}

async fn tokens(args: &WalletArgs, limit: u32, env: &Env, printer: Printer) -> Result<(), Failed> {
    let store = books(args, env).await?;
    let tokens = store.tokens(limit).await.map_err(|error| trouble(&error))?;
    if tokens.is_empty() {
        printer.line("no tokens are kept");
    }
    let mut rows = Vec::new();
    for token in &tokens {
        let left = match token.uses_left {
            Some(uses) => format!("{uses} more"),
            None => "unknown".to_owned(),
        };
        printer.line(&format!(
            "{:<6} {}{}  uses {left}, until @{}, payment {}",
            token.method,
            token.origin,
            token.path,
            token.until.as_secs(),
            token.payment
        ));
        rows.push(json!({
            "payment": token.payment.to_string(), "origin": &*token.origin, "method": &*token.method, "path": &*token.path,
            "at": token.at.as_secs(), "until": token.until.as_secs(), "usesLeft": token.uses_left,
        }));
    }
    printer.data(&json!({"tokens": rows}));
    Ok(())
}

pub(crate) fn trouble(error: &StoreError) -> Failed {
    Failed::new(Exit::Failure, format!("the wallet's books: {error}"))
}

/// An amount as people write it.
pub(crate) fn price(amount: Amount, registry: &AssetRegistry) -> String {
    if let Some(amount) = Msat::of(&amount) {
        return sats(amount);
    }
    registry
        .find(amount.asset())
        .map_or_else(|| amount.to_string(), |asset| money(amount.value(), asset))
}
