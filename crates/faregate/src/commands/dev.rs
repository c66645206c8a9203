//! `faregate dev`: a local world to build against.

use std::fmt::Write as _;
use std::path::Path;

use faregate_types::{ChainId, network};
use serde_json::{Map, Value};
use url::Url;

use crate::cli::DevArgs;
use crate::cli::credit::CreditAuth;
use crate::exit::Failed;
use crate::printer::Printer;
use crate::signals;
use crate::stack::{Stack, StackConfig};

/// Runs until it is told to stop.
///
/// # Errors
/// When something cannot be started, or the file cannot be written.
pub(crate) async fn run(args: &DevArgs, printer: Printer) -> Result<(), Failed> {
    let rpc_url = args
        .rpc_url
        .as_deref()
        .map(|text| Url::parse(text).map_err(|error| Failed::usage(format!("--rpc-url: {error}"))))
        .transpose()?;
    let chain =
        ChainId::new(args.chain_id).ok_or_else(|| Failed::usage("--chain-id 0 is no chain"))?;
    let stack = Stack::start(StackConfig {
        chain,
        bind: args.bind,
        gate_port: args.gate_port,
        facilitator_port: args.facilitator_port,
        rpc_port: args.rpc_port,
        lnd_port: args.lnd_port,
        credit_port: args.credit_port,
        credit_timing: args.credit_timing.0,
        credit_sign_in: args.credit_auth == CreditAuth::Required,
        rpc_url,
    })
    .await?;
    let env = stack.env();
    if let Some(path) = &args.env_file {
        write(path, &env)?;
    }
    let title = network(chain).map_or("a network without a name", |known| known.title);
    printer.line(&format!(
        "chain        {} ({title}, {chain}), mined at once\nlightning    {} (LND REST, regtest)\nfacilitator  {}\ngate         {}\ntokens       {}\ncredit       {}\n\n  GET /joke  $0.001 (x402, a permit for an access token, or on credit) or 10 sat   GET /free  free\n",
        stack.rpc_url(),
        stack.lightning().rest_url(),
        stack.facilitator_url(),
        stack.gate_url(),
        stack.token_endpoint().as_deref().unwrap_or("none"),
        stack.credit().map_or_else(|why| format!("none: {why}"), |credit| format!("{} (contract {})", credit.url(), credit.contract())),
    ));
    printer.line(&format!(
        "try it:\n  curl -i {gate}/joke\n  FAREGATE_PRIVATE_KEY={key} faregate curl {gate}/joke\n\nstop with ctrl-c",
        gate = stack.gate_url(),
        key = env.iter().find(|(name, _)| *name == "FAREGATE_PAYER_KEY").map_or("", |(_, key)| key),
    ));
    let data: Map<String, Value> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
        .collect();
    printer.data(&Value::Object(data));
    signals::stop().await;
    printer.note("stopping");
    stack.shutdown().await;
    Ok(())
}

/// Whole or not at all: whoever waits for the file must not read half of it.
fn write(path: &Path, env: &[(&'static str, String)]) -> Result<(), Failed> {
    let mut text = String::new();
    for (name, value) in env {
        writeln!(text, "{name}={value}").unwrap_or(());
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, text)?;
    std::fs::rename(&part, path)?;
    Ok(())
}
