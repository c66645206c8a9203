//! `faregate gate`: a reverse proxy with prices.

use std::sync::Arc;

use faregate_server::config::{Env, RoutePrice};
use faregate_server::gateway::{Deps, Gateway};
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::config;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::{signals, wire};

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a route nobody could pay, a facilitator that does not answer, a port or a ledger that is taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let settings = config::read(&args.config, env)?
        .gate
        .ok_or_else(|| Failed::usage(format!("{} has no [gate]", args.config.display())))?;
    let ledger = wire::ledger(&settings.store).await?;
    let facilitator = wire::facilitator(&settings.facilitator, env).await?;
    let priced = settings
        .routes
        .iter()
        .filter(|route| matches!(route.price, RoutePrice::Paid(_)))
        .count();
    let (all, public) = (settings.routes.len(), settings.public_url.clone());
    let deps = Deps {
        facilitator,
        store: Arc::clone(&ledger.store) as _,
        clock: wire::clock(),
    };
    let running = Gateway::start(settings, deps)
        .await
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()).code(error.code()))?;
    printer.line(&format!(
        "gate  http://{}  for {public}\n      {priced} of {all} routes have a price",
        running.addr()
    ));
    printer.data(&json!({"gate": format!("http://{}", running.addr()), "publicUrl": public.as_str(), "routes": all, "priced": priced}));
    signals::stop().await;
    printer.note("finishing what was claimed");
    running.shutdown().await;
    Ok(())
}
