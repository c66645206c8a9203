//! `faregate curl`: fetch a URL, pay for it if it asks, within caps.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use faregate_client::{
    Caps, Client, Doubt, Ends, Kind, OnCredit, Paid, PayError, PayeeChanges, Payment, Period,
    PriceRises, Quote, SpendState, Wallet, Worth,
};
use faregate_evm::OsEntropy;
use faregate_ledger::budget::WORTH_DECIMALS;
use faregate_server::config::Env;
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{Code, MoneyText};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde_json::json;

use crate::cli::{CurlArgs, UsdBudgetArgs, WalletArgs};
use crate::commands::lightning;
use crate::commands::paid::{asked, asked_report, report, spent};
use crate::commands::rails;
use crate::commands::tabs;
use crate::commands::wallet;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Largest answer that is held in memory.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest request body.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;
const DAY_SECS: u64 = 24 * 60 * 60;

/// Runs it.
///
/// # Errors
/// See the table of exit codes.
pub(crate) async fn run(args: &CurlArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let printer = printer.quiet(args.silent);
    let request = request(args)?;
    let wallet = wallet::find(&args.wallet, env).await?;
    let has_key = wallet.is_some() || args.lightning.is_some();
    let client = client(args, wallet, env, printer).await?;
    if args.dry_run {
        return dry_run(&client, request, printer).await;
    }
    match client.execute(request).await {
        Ok(paid) => answer(&client, paid, args, printer).await,
        // What costs nothing needs no key; this does.
        Err(error) if !has_key && error.kind() == Kind::OverBudget => Err(wallet::no_key()),
        Err(error) => Err(failed(&error)),
    }
}

/// A client over the wallet of these arguments. Without one it may look and may pay nothing: its key is thrown away and its
/// cap is zero.
async fn client(
    args: &CurlArgs,
    wallet: Option<Wallet>,
    env: &Env,
    printer: Printer,
) -> Result<Client, Failed> {
    let mut caps = caps(args)?;
    let sats = lightning::caps(&args.sats)?;
    let lightning = lightning::find(&args.lightning, sats, env).await?;
    let wallet = match (wallet, &lightning) {
        (Some(wallet), _) => Some(wallet),
        // Invoices need no key.
        (None, Some(_)) => None,
        (None, None) => {
            if !args.dry_run {
                caps.per_payment = Worth::ZERO;
            }
            let (nobody, _key) = Wallet::generate(&mut OsEntropy)
                .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
            Some(nobody)
        }
    };
    let store = books(&args.wallet, env).await?;
    let mut builder = Client::builder()
        .caps(caps)
        .store(store)
        .timeout(Duration::from_secs(args.max_time))
        .wait(Duration::from_secs(args.wait))
        .ends(Ends::WhenAcknowledged);
    builder = rails::apply(&args.rails, builder)?;
    if let Some(credit) = on_credit(args, env).await? {
        builder = builder.credit(credit);
    }
    if let Some(wallet) = wallet {
        builder = builder.wallet(wallet);
    }
    if let Some(lightning) = lightning {
        builder = builder.lightning(lightning);
    }
    if !args.location {
        builder = builder.redirects_max(0);
    }
    if args.accept_payee_change {
        builder = builder.payee_changes(PayeeChanges::Warn);
    }
    if args.accept_price_rise {
        builder = builder.price_rises(PriceRises::Any);
    }
    builder = builder.on_alarm(move |alarm| printer.note(&format!("warning: {alarm}")));
    for name in &args.allow_networks {
        builder = builder.allow_chain(rails::network(name)?);
    }
    builder
        .build()
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()))
}

/// How it is paid on credit, if it is.
async fn on_credit(args: &CurlArgs, env: &Env) -> Result<Option<OnCredit>, Failed> {
    let credit = rails::on_credit(&args.rails)?;
    match (credit, &args.rails.credit_url) {
        (Some(credit), Some(url)) => {
            let core = tabs::connect(Some(url), &args.wallet, env).await?;
            Ok(Some(credit.core(core)))
        }
        (credit, _) => Ok(credit),
    }
}

/// The wallet's books, made on first use.
pub(crate) async fn books(args: &WalletArgs, env: &Env) -> Result<Arc<SqliteWallet>, Failed> {
    let path: PathBuf = match &args.wallet_db {
        Some(path) => path.clone(),
        None => wallet::data_folder(env)?.join("wallet.db"),
    };
    let shown = path.display().to_string();
    tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(SqliteWallet::open(&path))
    })
    .await
    .map_err(|_| Failed::new(Exit::Failure, "opening the wallet's books did not finish"))?
    .map_err(|error: std::io::Error| Failed::new(Exit::Failure, format!("{shown}: {error}")))?
    .map(Arc::new)
    .map_err(|error| Failed::new(Exit::Failure, format!("{shown}: {error}")).code(error.code()))
}

fn caps(args: &CurlArgs) -> Result<Caps, Failed> {
    budget(&args.budget, worth("--max-amount", &args.max_amount)?)
}

/// The caps of these arguments, with this cap for one payment.
pub(crate) fn budget(args: &UsdBudgetArgs, per_payment: Worth) -> Result<Caps, Failed> {
    let optional = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| worth(name, text)).transpose()
    };
    let per_day = optional("--max-per-day", &args.max_per_day)?;
    Ok(Caps {
        per_payment,
        total: optional("--max-total", &args.max_total)?,
        per_host: optional("--max-per-host", &args.max_per_host)?,
        per_period: per_day.map(|cap| Period {
            secs: DAY_SECS,
            cap,
        }),
    })
}

fn worth(name: &str, text: &str) -> Result<Worth, Failed> {
    let units = MoneyText::parse(text).and_then(|money| money.to_atomic(WORTH_DECIMALS));
    units.map(Worth::new).map_err(|error| {
        Failed::usage(format!("{name} {text:?}: {error}")).hint("an amount like 0.10 or $5")
    })
}

fn request(args: &CurlArgs) -> Result<Request, Failed> {
    let text = if args.url.contains("://") {
        args.url.clone()
    } else {
        format!("http://{}", args.url)
    };
    let url = Url::parse(&text)
        .map_err(|error| Failed::usage(format!("{:?} is no URL: {error}", args.url)))?;
    let name = args
        .request
        .as_deref()
        .unwrap_or(if args.data.is_some() { "POST" } else { "GET" });
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| Failed::usage(format!("{name:?} is no method")))?;
    let mut request = Request::new(method, url);
    let mut headers = HeaderMap::new();
    for line in &args.headers {
        let (name, value) = header(line)?;
        headers.append(name, value);
    }
    if let Some(data) = &args.data {
        headers
            .entry(reqwest::header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(
                "application/x-www-form-urlencoded",
            ));
        *request.body_mut() = Some(body(data)?.into());
    }
    *request.headers_mut() = headers;
    Ok(request)
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failed> {
    let bad = || Failed::usage("a header is written \"Name: value\"");
    let (name, value) = line.split_once(':').ok_or_else(bad)?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
    Ok((name, value))
}

fn body(data: &str) -> Result<Vec<u8>, Failed> {
    let Some(path) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    let mut source: Box<dyn std::io::Read> = if path == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    let mut bytes = Vec::new();
    source
        .by_ref()
        .take(BODY_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn dry_run(client: &Client, request: Request, printer: Printer) -> Result<(), Failed> {
    match client
        .quote(request)
        .await
        .map_err(|error| failed(&error))?
    {
        Quote::Priced(priced) => {
            for line in asked(&priced) {
                printer.line(&line);
            }
            match &priced.verdict {
                Ok(_) => {
                    printer.line("nothing was signed");
                    printer.data(&asked_report(&priced));
                    Ok(())
                }
                Err(error) => Err(failed(error)),
            }
        }
        Quote::Free { status } => {
            printer.line(&format!("no payment is asked for: the answer is {status}"));
            printer.data(&json!({"status": status, "options": [], "dryRun": true}));
            Ok(())
        }
        _ => Err(Failed::new(
            Exit::Failure,
            "an answer this version does not know",
        )),
    }
}

async fn answer(
    client: &Client,
    paid: Paid<Response>,
    args: &CurlArgs,
    printer: Printer,
) -> Result<(), Failed> {
    let Received {
        status,
        headers,
        body,
        payment,
    } = receive(paid, printer).await?;
    if !printer.is_json() {
        let mut out = Vec::new();
        if args.include {
            out.extend_from_slice(format!("HTTP/1.1 {status}\r\n").as_bytes());
            for (name, value) in &headers {
                out.extend_from_slice(name.as_str().as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&body);
        match &args.output {
            Some(path) => std::fs::write(path, &out)?,
            None => printer.bytes(&out),
        }
    }
    // Not before the answer is out: whoever lost it runs the same command again and gets it for the same payment.
    if let Some(payment) = payment.filter(|payment| payment.state == SpendState::Paid) {
        client.acknowledge(&payment).await;
    }
    if args.fail && status.as_u16() >= 400 {
        return Err(Failed::new(
            Exit::Http,
            format!("the server answered {status}"),
        ));
    }
    Ok(())
}

/// An answer that was read whole.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) payment: Option<Payment>,
}

/// Tells what was spent, reads the answer, and reports both when a program listens.
pub(crate) async fn receive(paid: Paid<Response>, printer: Printer) -> Result<Received, Failed> {
    let Paid {
        answer, payment, ..
    } = paid;
    let (status, headers) = (answer.status(), answer.headers().clone());
    if let Some(payment) = &payment {
        printer.note(&spent(payment));
    }
    let body = read(answer).await?;
    if printer.is_json() {
        printer.data(&report(status.as_u16(), &headers, &body, payment.as_ref()));
    }
    Ok(Received {
        status,
        headers,
        body,
        payment,
    })
}

pub(crate) async fn read(mut answer: Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| {
        Failed::new(Exit::Http, "the answer broke off")
            .hint("run the same command again: a payment is not made twice")
    })? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err(Failed::new(Exit::Http, "the answer is larger than 64 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the client says, as an exit code and advice.
pub(crate) fn failed(error: &PayError) -> Failed {
    let (exit, hint) = match error.kind() {
        Kind::Request => (Exit::Usage, None),
        Kind::Http => (Exit::Http, None),
        Kind::NoOffer => (
            Exit::NoOffer,
            Some("`--dry-run` lists what is offered; main networks need --allow-network"),
        ),
        Kind::OverBudget => (
            Exit::OverBudget,
            Some(match error.code() {
                Code::PayeeChanged => {
                    "nothing was signed; --accept-payee-change pays the new one, if you are sure who that is"
                }
                Code::PriceRaised => "nothing was signed; --accept-price-rise pays it",
                _ => "nothing was signed; raise the cap if you mean it",
            }),
        ),
        Kind::Refused => (
            Exit::Refused,
            Some(
                "the signed payment still counts against the caps: a signature cannot be taken back",
            ),
        ),
        Kind::Undecided => (
            Exit::Undecided,
            Some(match error {
                PayError::Undecided(undecided) if matches!(undecided.why, Doubt::Permit(_)) => {
                    "run the same command again to send the same permit; --permit-kind signs another kind besides, and the server may collect both"
                }
                _ => {
                    "run the same command again, or `faregate wallet pending --resume`: the same payment is sent, not a second one"
                }
            }),
        ),
        Kind::Wallet => (Exit::Failure, None),
        _ => (Exit::Failure, None),
    };
    let failed = Failed {
        exit,
        code: Some(error.code()),
        message: error.to_string(),
        hint: None,
    };
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}
