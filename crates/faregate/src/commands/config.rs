//! `faregate config`: look at a configuration file without starting anything.

use std::path::Path;

use faregate_core::{Ask, CreditAsk};
use faregate_server::config::{Config, Env, RoutePrice, StoreConfig};
use faregate_types::{AssetRegistry, Code, to_decimal_text};
use serde_json::json;

use crate::cli::ConfigCommand;
use crate::commands::migrate;
use crate::commands::paid::money;
use crate::exit::Failed;
use crate::printer::Printer;
use crate::wire;

/// ETH is no token with decimals of its own.
const ETH_DECIMALS: u8 = 18;

/// Largest configuration that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Runs it.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub(crate) fn run(command: &ConfigCommand, env: &Env, printer: Printer) -> Result<(), Failed> {
    let ConfigCommand::Check(args) = command;
    let config = read(&args.config, env)?;
    for (_, store) in migrate::stores(&config) {
        if let StoreConfig::Postgres(url) = store {
            wire::postgres(url)?;
        }
    }
    let mut routes = Vec::new();
    if let Some(gate) = &config.gate {
        printer.line(&format!("gate on {} for {}", gate.bind, gate.public_url));
        if let Some(permit) = &gate.permit {
            let (endpoint, audience) = (permit.endpoint.as_str(), &permit.audience);
            printer.line(&format!(
                "  POST {endpoint:<23} access tokens for {audience}"
            ));
        }
        if let Some(credit) = &gate.credit {
            let path = &credit.tab_path;
            for core in &credit.cores {
                let host = core.url.expose().host_str().unwrap_or_default();
                printer.line(&format!(
                    "  POST {path:<23} tabs on {} from {host}",
                    core.chain
                ));
            }
        }
        for route in &gate.routes {
            let price = match &route.price {
                RoutePrice::Free => "free".to_owned(),
                RoutePrice::Paid(offer) => offer
                    .asks
                    .iter()
                    .map(price)
                    .collect::<Vec<_>>()
                    .join(" or "),
            };
            printer.line(&format!("  {:<28} {price}", route.pattern.text()));
            routes.push(json!({"match": route.pattern.text(), "price": price}));
        }
    }
    if let Some(facilitator) = &config.facilitator {
        let networks = facilitator.embedded.networks.iter();
        let networks: Vec<_> = networks.map(|network| network.chain.to_string()).collect();
        printer.line(&format!(
            "facilitator on {} for {}",
            facilitator.bind,
            networks.join(", ")
        ));
        for core in &facilitator.credit {
            let host = core.url.expose().host_str().unwrap_or_default();
            printer.line(&format!("credit on {} from {host}", core.chain));
        }
    }
    if let Some(managed) = &config.managed {
        printer.line(&format!(
            "managed on {} on {}",
            managed.bind,
            managed.network.as_str()
        ));
    }
    printer.line(&format!("{} is fine", args.config.display()));
    let endpoint = config.gate.as_ref().and_then(|gate| gate.permit.as_ref());
    let endpoint = endpoint.map(|permit| permit.endpoint.as_str());
    let credit = config.gate.as_ref().and_then(|gate| gate.credit.as_ref());
    printer.data(&json!({
        "ok": true, "routes": routes, "facilitator": config.facilitator.is_some(), "tokenEndpoint": endpoint,
        "tabEndpoint": credit.map(|credit| &*credit.tab_path),
    }));
    Ok(())
}

/// What is asked for, for people.
fn price(ask: &Ask) -> String {
    match ask {
        Ask::Token(ask) => {
            let (money, chain) = (money(ask.amount.value(), &ask.asset), ask.asset.id.chain());
            format!("{money} on {chain}")
        }
        Ask::Permit(ask) => {
            let (money, chain) = (money(ask.amount.value(), &ask.asset), ask.asset.id.chain());
            format!("{money} on {chain} with a permit ({})", ask.policy.as_str())
        }
        Ask::Credit(ask) => on_credit(ask),
        Ask::Lightning(ask) => format!("{} over Lightning on {}", ask.price, ask.network),
        _ => "something else".to_owned(),
    }
}

/// Symbols are the file's own; what a core takes is known by its address.
fn on_credit(ask: &CreditAsk) -> String {
    let versions = match (ask.is_plain, &ask.condition) {
        (true, None) => "",
        (true, Some(_)) => ", with a condition or without",
        (false, _) => ", with a condition",
    };
    let known = AssetRegistry::builtin();
    let (token, chain) = (ask.asset.token(), ask.asset.chain());
    let shown = |amount| match known.find(ask.asset) {
        Some(asset) => money(amount, asset),
        None if token.is_zero() => format!("{} ETH", to_decimal_text(amount, ETH_DECIMALS)),
        None => format!("{amount} of {token}"),
    };
    let limit = ask.owed_max.map_or_else(String::new, |most| {
        format!(", at most {} of one payer", shown(most))
    });
    let amount = shown(ask.amount.value());
    format!("{amount} on {chain} on credit{versions}{limit}")
}

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(path: &Path, env: &Env) -> Result<Config, Failed> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        Failed::usage(format!("{shown}: {error}")).code(Code::ConfigInvalid)
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(
            Failed::usage(format!("{shown} is too large for a configuration"))
                .code(Code::ConfigInvalid),
        );
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Config::parse(&text, env).map_err(|errors| {
        Failed::usage(format!(
            "{shown} cannot be used\n{}",
            errors.display(&shown.to_string())
        ))
        .code(Code::ConfigInvalid)
    })
}
