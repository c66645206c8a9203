//! `faregate gate`: a reverse proxy with prices.

use std::sync::Arc;

use faregate_server::admin::Revoking;
use faregate_server::config::{Env, GateCreditConfig, RoutePrice, WebhookConfig};
use faregate_server::gateway::{self, Deps, Gateway};
use faregate_server::webhook::Webhook;
use faregate_types::Code;
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::{admin, config};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire::{self, HeldBooks, Ledger, Remunerations};

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a route nobody could pay, a facilitator that does not answer, a port or a ledger that is taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let file = config::read(&args.config, env)?;
    let settings = file
        .gate
        .ok_or_else(|| Failed::usage(format!("{} has no [gate]", args.config.display())))?;
    let admin = admin::prepare(file.admin.as_ref())?;
    let ledger = wire::ledger(&settings.store).await?;
    let settling = match &settings.facilitator {
        Some(source) => Some(wire::facilitator(source, env).await?),
        None => None,
    };
    let embedded = settling
        .as_ref()
        .and_then(|settling| settling.embedded.as_ref());
    let permits = match (&settings.permit, embedded) {
        (Some(config), Some(embedded)) => {
            let (routes, revoked) = (&settings.routes, &ledger.revocations);
            Some(wire::permits(config, routes, embedded, env, revoked).await?)
        }
        _ => None,
    };
    let l402 = match &settings.lightning {
        Some(config) => Some(wire::l402(config, env, &ledger.revocations, ledger.name).await?),
        None => None,
    };
    let credit = wire::on_credit(settings.credit.as_ref(), env, &ledger.certificates)?;
    let redeeming = remunerations(settings.credit.as_ref(), env, &ledger)?;
    let revoking = match (&file.admin, l402.is_some() || permits.is_some()) {
        (Some(admin), true) => {
            Revoking::new(admin, env, Arc::clone(&ledger.revocations), wire::clock())
                .map_err(wire::secret)?
        }
        _ => None,
    };
    let priced = settings
        .routes
        .iter()
        .filter(|route| matches!(route.price, RoutePrice::Paid(_)))
        .count();
    let (all, public) = (settings.routes.len(), settings.public_url.clone());
    let deps = Deps {
        facilitator: settling.map(|settling| settling.facilitator),
        l402,
        permits,
        credit,
        store: Arc::clone(&ledger.store),
        clock: wire::clock(),
        events: None,
    };
    let webhook = webhook(settings.webhook.as_ref(), env, &ledger)?;
    let readiness = gateway::readiness(&settings, &deps);
    let running = Gateway::start(settings, deps)
        .await
        .map_err(|error| Failed::new(Exit::Failure, error.to_string()).code(error.code()))?;
    let admin = admin.start(readiness, revoking).await?;
    let admin_url = admin::url(admin.as_ref());
    printer.line(&format!(
        "gate  http://{}  for {public}\n      {priced} of {all} routes have a price",
        running.addr()
    ));
    if let Some(url) = &admin_url {
        printer.line(&format!("admin {url}"));
    }
    printer.data(&json!({"gate": format!("http://{}", running.addr()), "publicUrl": public.as_str(), "routes": all, "priced": priced, "admin": admin_url}));
    admin::until_stopped(running, admin, printer).await;
    // What was not told is told after the next start.
    drop(webhook);
    // What was sent is found after the next start.
    Remunerations::stop(redeeming).await;
    ledger.close().await;
    Ok(())
}

/// Redeems what the gate is owed on credit, where the file has a schedule.
fn remunerations(
    config: Option<&GateCreditConfig>,
    env: &Env,
    ledger: &Ledger,
) -> Result<Option<Remunerations>, Failed> {
    let Some((credit, schedule)) =
        config.and_then(|credit| Some((credit, credit.remunerate.as_ref()?)))
    else {
        return Ok(None);
    };
    let books = HeldBooks {
        store: Arc::clone(&ledger.certificates),
        turn: Arc::clone(&ledger.redeems),
    };
    Remunerations::start(&credit.cores, schedule, env, books).map(Some)
}

fn webhook(
    config: Option<&WebhookConfig>,
    env: &Env,
    ledger: &Ledger,
) -> Result<Option<Webhook>, Failed> {
    let started =
        config.map(|config| Webhook::start(config, env, Arc::clone(&ledger.events), wire::clock()));
    started
        .transpose()
        .map_err(|error| Failed::usage(error.to_string()).code(Code::ConfigInvalid))
}
