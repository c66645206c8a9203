//! `faregate wallet pending`: payments whose end is unknown, listed, sent again, or proven unused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::B256;
use faregate_client::{
    Caps, Client, Ends, Kind, OnCredit, Paid, Pending, Proof, SpendState, Standing, Wallet, Worth,
};
use faregate_evm::{AuthorizationReader, OsEntropy};
use faregate_server::config::Env;
use faregate_types::PaymentId;
use faregate_types::lightning::Msat;
use reqwest::{Response, Url};
use serde_json::{Value, json};

use crate::cli::PendingArgs;
use crate::commands::curl::{Received, books, failed, read, receive};
use crate::commands::lightning;
use crate::commands::paid::{money, sats};
use crate::commands::tabs;
use crate::commands::wallet::data_folder;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Longest wait for one answer of a node.
const RPC_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs it.
///
/// # Errors
/// See the table of exit codes; [`Exit::Undecided`] when a payment that was sent again is still undecided.
pub(crate) async fn run(args: &PendingArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let client = client(args, env).await?;
    match &args.resume {
        Some(Some(id)) => one(&client, id, args, printer).await,
        Some(None) => all(&client, args, env, printer).await,
        None => list(&client, &Askable::of(args).await?, printer).await,
    }
}

/// A client that can sign for nobody: its key is thrown away and its cap is zero. What it sends was signed before.
async fn client(args: &PendingArgs, env: &Env) -> Result<Client, Failed> {
    let trouble = |text: String| Failed::new(Exit::Failure, text);
    let (nobody, _key) =
        Wallet::generate(&mut OsEntropy).map_err(|error| trouble(error.to_string()))?;
    let mut builder = Client::builder();
    if let Some(wallet) = lightning::find(&args.lightning, lightning::NO_CAPS, env).await? {
        builder = builder.lightning(wallet);
    }
    if let Some(url) = &args.credit_url {
        let core = tabs::connect(Some(url), &args.wallet, env).await?;
        builder = builder.credit(OnCredit::new().core(core));
    }
    builder
        .wallet(nobody)
        .caps(Caps {
            per_payment: Worth::ZERO,
            total: None,
            per_host: None,
            per_period: None,
        })
        .store(books(&args.wallet, env).await?)
        .timeout(Duration::from_secs(args.max_time))
        .wait(Duration::from_secs(args.wait))
        .ends(Ends::WhenAcknowledged)
        .build()
        .map_err(|error| trouble(error.to_string()))
}

/// Who can be asked what became of payments.
struct Askable {
    readers: Vec<AuthorizationReader>,
    /// Whether the client has a credit core.
    core: bool,
}

impl Askable {
    async fn of(args: &PendingArgs) -> Result<Self, Failed> {
        Ok(Self {
            readers: readers(args).await?,
            core: args.credit_url.is_some(),
        })
    }
}

async fn readers(args: &PendingArgs) -> Result<Vec<AuthorizationReader>, Failed> {
    let mut readers = Vec::new();
    for text in &args.rpc_urls {
        // The URL may hold a key, so it is not shown.
        let url = Url::parse(text).map_err(|_| Failed::usage("--rpc-url is no URL"))?;
        let reader = AuthorizationReader::connect(url, RPC_TIMEOUT);
        readers.push(reader.await.map_err(|away| {
            Failed::new(Exit::Http, "the node of --rpc-url does not answer").code(away.code)
        })?);
    }
    Ok(readers)
}

/// What is known about one of them.
async fn state(client: &Client, pending: &Pending, askable: &Askable) -> &'static str {
    let chain = pending.amount.asset().as_erc20().map(|asset| asset.chain());
    let reader = askable
        .readers
        .iter()
        .find(|reader| Some(reader.chain()) == chain);
    let proof = match reader {
        Some(reader) => client.prove(pending.id, reader).await.ok(),
        None => None,
    };
    let proof = match proof {
        None | Some(Proof::Undecided) if askable.core => client.ask_core(pending.id).await.ok(),
        proof => proof,
    };
    match (proof, pending.standing) {
        (Some(Proof::Unused), _) => "unused, closed",
        (Some(Proof::Used), _) => "charged, not answered",
        (_, Standing::Expired) => "expired, not proven",
        _ => "valid",
    }
}

async fn list(client: &Client, askable: &Askable, printer: Printer) -> Result<(), Failed> {
    let found = client.pending().await.map_err(|error| failed(&error))?;
    if found.is_empty() {
        printer.line("no payment is pending");
    }
    let mut rows = Vec::new();
    for pending in &found {
        let state = state(client, pending, askable).await;
        // Times as the books and the chain count them: seconds since 1970.
        printer.line(&format!(
            "{}\n  {} {}{}\n  {} to {}, signed @{}, valid until @{}: {state}",
            pending.id,
            method(pending),
            pending.origin,
            pending.path,
            price(pending),
            pending.payee,
            pending.since.as_secs(),
            pending.valid_until.as_secs(),
        ));
        rows.push(row(pending, state));
    }
    if !found.is_empty() {
        printer
            .note("\n`faregate wallet pending --resume` sends them again; nothing new is signed");
    }
    printer.data(&json!({"pending": rows}));
    Ok(())
}

fn row(pending: &Pending, state: &str) -> Value {
    json!({
        "id": pending.id.to_string(),
        "method": method(pending),
        "url": format!("{}{}", pending.origin, pending.path),
        "price": price(pending),
        "amount": pending.amount.value().to_string(),
        "asset": pending.amount.asset().to_string(),
        "payee": &*pending.payee,
        "since": pending.since.as_secs(),
        "validUntil": pending.valid_until.as_secs(),
        "state": state,
    })
}

fn method(pending: &Pending) -> &str {
    pending.resource.split(' ').next().unwrap_or_default()
}

fn price(pending: &Pending) -> String {
    if let Some(amount) = Msat::of(&pending.amount) {
        return sats(amount);
    }
    pending.asset.as_ref().map_or_else(
        || pending.amount.to_string(),
        |asset| money(pending.amount.value(), asset),
    )
}

async fn one(
    client: &Client,
    id: &str,
    args: &PendingArgs,
    printer: Printer,
) -> Result<(), Failed> {
    let id = id.parse::<B256>().map_err(|_| {
        Failed::usage(format!("{id:?} is no payment")).hint("`faregate wallet pending` lists them")
    })?;
    let id = PaymentId::from_bytes(id.0);
    let paid = client.resume(id).await.map_err(|error| failed(&error))?;
    let decided = is_decided(&paid);
    let Received {
        status,
        body,
        payment,
        ..
    } = receive(paid, printer).await?;
    match &args.output {
        Some(path) => std::fs::write(path, &body)?,
        None if !printer.is_json() => printer.bytes(&body),
        None => {}
    }
    if !decided {
        return Err(still_pending(status));
    }
    // Not before the answer is out: whoever lost it may ask for it again.
    if let Some(payment) = &payment {
        client.acknowledge(payment).await;
    }
    Ok(())
}

async fn all(
    client: &Client,
    args: &PendingArgs,
    env: &Env,
    printer: Printer,
) -> Result<(), Failed> {
    let folder = folder(args, env)?;
    let found = client.pending().await.map_err(|error| failed(&error))?;
    let (mut rows, mut worst) = (Vec::new(), None);
    for pending in &found {
        let state = match again(client, pending, &folder).await {
            Ok(path) => format!("answered, kept in {}", path.display()),
            Err(trouble) => {
                if worst != Some(Exit::Undecided) {
                    worst = Some(trouble.exit);
                }
                trouble.message
            }
        };
        printer.line(&format!(
            "{}  {} {}{}: {state}",
            pending.id,
            method(pending),
            pending.origin,
            pending.path
        ));
        rows.push(row(pending, &state));
    }
    if found.is_empty() {
        printer.line("no payment is pending");
    }
    printer.data(&json!({"resumed": rows}));
    worst.map_or(Ok(()), |exit| {
        Err(Failed::new(exit, "not every payment came to a good end"))
    })
}

/// Sends one again and keeps its answer in a file.
async fn again(client: &Client, pending: &Pending, folder: &Path) -> Result<PathBuf, Failed> {
    let paid = client.resume(pending.id).await.map_err(|error| {
        let failed = failed(&error);
        // With a server that cannot be reached it is as undecided as before.
        match error.kind() {
            Kind::Http => Failed {
                exit: Exit::Undecided,
                ..failed
            },
            _ => failed,
        }
    })?;
    let (decided, status) = (is_decided(&paid), paid.answer.status());
    let body = read(paid.answer).await?;
    if !decided {
        return Err(still_pending(status));
    }
    std::fs::create_dir_all(folder)?;
    let path = folder.join(pending.id.to_string());
    std::fs::write(&path, &body)?;
    if let Some(payment) = &paid.payment {
        client.acknowledge(payment).await;
    }
    Ok(path)
}

fn is_decided(paid: &Paid<Response>) -> bool {
    let payment = paid.payment.as_ref();
    payment.is_some_and(|payment| payment.state == SpendState::Paid)
}

fn still_pending(status: reqwest::StatusCode) -> Failed {
    Failed::new(
        Exit::Undecided,
        format!("the server answered {status}; the payment stays pending"),
    )
}

fn folder(args: &PendingArgs, env: &Env) -> Result<PathBuf, Failed> {
    if let Some(folder) = &args.output {
        return Ok(folder.clone());
    }
    let beside = args
        .wallet
        .wallet_db
        .as_ref()
        .and_then(|path| path.parent());
    match beside {
        Some(beside) => Ok(beside.join("answers")),
        None => Ok(data_folder(env)?.join("answers")),
    }
}
