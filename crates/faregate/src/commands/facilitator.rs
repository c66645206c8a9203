//! `faregate facilitator`: verify and settle for gates elsewhere.

use std::sync::Arc;

use faregate_core::port::Facilitator;
use faregate_server::config::Env;
use faregate_server::facilitator::{Access, CreditNetworks, FacilitatorServer, Settings};
use faregate_server::health::Readiness;
use faregate_types::Code;
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::{admin, config};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire;

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a node that is not what it should be, a port or a ledger that is taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let file = config::read(&args.config, env)?;
    let settings = file
        .facilitator
        .ok_or_else(|| Failed::usage(format!("{} has no [facilitator]", args.config.display())))?;
    let admin = admin::prepare(file.admin.as_ref())?;
    let ledger = wire::ledger(&settings.store).await?;
    let facilitator: Arc<dyn Facilitator> =
        Arc::new(wire::embedded(&settings.embedded, env).await?);
    let access = Access::new(&settings.access, env)
        .map_err(|error| Failed::usage(error.to_string()).code(Code::ConfigInvalid))?;
    let credit = CreditNetworks::new(wire::issuers(&settings.credit, env)?);
    let open = access.is_open();
    let running = FacilitatorServer::start_with(
        settings.bind,
        Arc::clone(&facilitator),
        Arc::clone(&ledger.store),
        wire::clock(),
        Settings::default()
            .access(access)
            .credit(credit)
            .shutdown(settings.shutdown),
    )
    .await
    .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
    let admin = admin
        .start(
            Readiness::new(Arc::clone(&ledger.store), Some(facilitator)),
            None,
        )
        .await?;
    let url = format!("http://{}", running.addr());
    let admin_url = admin::url(admin.as_ref());
    printer.line(&format!("facilitator  {url}"));
    if open {
        printer.note("open to everybody who can reach it: [[facilitator.caller]] gives out keys");
    }
    if let Some(url) = &admin_url {
        printer.line(&format!("admin        {url}"));
    }
    printer.data(&json!({"facilitator": url, "admin": admin_url}));
    admin::until_stopped(running, admin, printer).await;
    ledger.close().await;
    Ok(())
}
