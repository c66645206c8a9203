//! `faregate facilitator`: verify and settle for gates elsewhere.

use std::sync::Arc;

use faregate_server::config::Env;
use faregate_server::facilitator::FacilitatorServer;
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::config;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::{signals, wire};

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a node that is not what it should be, a port or a ledger that is taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let settings = config::read(&args.config, env)?
        .facilitator
        .ok_or_else(|| Failed::usage(format!("{} has no [facilitator]", args.config.display())))?;
    let ledger = wire::ledger(&settings.store).await?;
    let facilitator = wire::embedded(&settings.embedded, env).await?;
    let running = FacilitatorServer::start(
        settings.bind,
        Arc::new(facilitator),
        Arc::clone(&ledger.store) as _,
        wire::clock(),
    )
    .await
    .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
    printer.line(&format!("facilitator  http://{}", running.addr()));
    printer.data(&json!({"facilitator": format!("http://{}", running.addr())}));
    signals::stop().await;
    printer.note("finishing what was claimed");
    running.shutdown().await;
    Ok(())
}
