//! `faregate managed`: receive Lightning payments for others, and pay them out.

use std::sync::Arc;

use faregate_server::config::Env;
use faregate_server::health::Readiness;
use faregate_server::managed::{ManagedServer, Owners};
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::{admin, config};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire;

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a wallet that cannot be used, a port or a ledger that is taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let file = config::read(&args.config, env)?;
    let settings = file
        .managed
        .ok_or_else(|| Failed::usage(format!("{} has no [managed]", args.config.display())))?;
    let admin = admin::prepare(file.admin.as_ref())?;
    let ledger = wire::ledger(&settings.store).await?;
    let custody = wire::custody(&settings, Arc::clone(&ledger.accounts), env).await?;
    let wallet = Some(custody.receiver().clone());
    let readiness = Readiness::with_wallet(Arc::clone(&ledger.store), None, wallet);
    let is_open = settings.settings.owners == Owners::Anybody;
    let running = ManagedServer::start(
        settings.bind,
        custody,
        readiness.clone(),
        wire::clock(),
        settings.settings,
    )
    .await
    .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
    let admin = admin.start(readiness, None).await?;
    let url = format!("http://{}", running.addr());
    let admin_url = admin::url(admin.as_ref());
    printer.line(&format!("managed      {url}"));
    if is_open {
        printer
            .note("it receives for anybody: you hold the money of strangers until it is paid out");
    }
    if let Some(url) = &admin_url {
        printer.line(&format!("admin        {url}"));
    }
    printer.data(&json!({"managed": url, "admin": admin_url}));
    admin::until_stopped(running, admin, printer).await;
    ledger.close().await;
    Ok(())
}
