//! `faregate migrate`: bring the books that a configuration names up to date, or look whether they are.

use std::path::Path;

use faregate_server::config::{Config, Env, StoreConfig};
use faregate_store::SchemaVersion;
use faregate_store::postgres;
use faregate_store::sqlite::SqliteLedger;
use serde_json::json;

use crate::cli::MigrateArgs;
use crate::commands::config;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire;

/// Runs it.
///
/// # Errors
/// A wrong configuration, books that cannot be reached or are from a newer version, and with `--check` books that are old.
pub(crate) async fn run(args: &MigrateArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let file = config::read(&args.config.config, env)?;
    let (mut told, mut behind) = (Vec::new(), 0_usize);
    for (of, store) in stores(&file) {
        let (name, version) = look(store).await?;
        if !args.check && !version.is_current() {
            migrate(store).await?;
        }
        let (found, newest) = (version.found, version.newest);
        let said = match (version.is_current(), args.check) {
            (true, _) => format!("schema {newest}, up to date"),
            (false, true) => format!("schema {found}, to be brought to {newest}"),
            (false, false) => format!("schema {newest}, was {found}"),
        };
        printer.line(&format!("{of:<12} {name}: {said}"));
        behind = behind.saturating_add(usize::from(!version.is_current()));
        told.push(json!({"of": of, "store": name, "found": found, "newest": newest}));
    }
    if told.is_empty() {
        let file = args.config.config.display();
        return Err(Failed::usage(format!("{file} names no books")));
    }
    let is_current = behind == 0 || !args.check;
    if is_current {
        printer.data(&json!({"current": true, "stores": told}));
        Ok(())
    } else {
        Err(Failed::new(Exit::Failure, "not all books are up to date")
            .hint("`faregate migrate` without --check brings them up to date"))
    }
}

/// The stores of a file, by what they are for.
pub(crate) fn stores(file: &Config) -> impl Iterator<Item = (&'static str, &StoreConfig)> {
    let gate = file.gate.as_ref().map(|gate| ("gate", &gate.store));
    let facilitator = file.facilitator.as_ref();
    let facilitator = facilitator.map(|facilitator| ("facilitator", &facilitator.store));
    let managed = file.managed.as_ref();
    let managed = managed.map(|managed| ("managed", &managed.store));
    let credit = file.credit.as_ref().map(|credit| ("credit", &credit.store));
    [gate, facilitator, managed, credit]
        .into_iter()
        .flatten()
        .filter(|(_, store)| **store != StoreConfig::File(":memory:".into()))
}

/// What a store is called, without its password, and its version.
async fn look(store: &StoreConfig) -> Result<(String, SchemaVersion), Failed> {
    match store {
        StoreConfig::Postgres(url) => {
            let url = wire::postgres(url)?;
            let looked = postgres::schema_version(&url).await;
            let version = looked.map_err(|error| unusable(&url, &error).code(error.code()))?;
            Ok((url.to_string(), version))
        }
        StoreConfig::File(path) => {
            let name = path.display().to_string();
            let looked = in_background(path, |path| SqliteLedger::schema_version(path)).await?;
            let version = looked.map_err(|error| unusable(&name, &error).code(error.code()))?;
            Ok((name, version))
        }
        _ => Err(Failed::usage("this program does not know such a store")),
    }
}

async fn migrate(store: &StoreConfig) -> Result<(), Failed> {
    match store {
        // Also while somebody works on it: no migration takes anything away from an older program that runs.
        StoreConfig::Postgres(url) => {
            let url = wire::postgres(url)?;
            let done = postgres::migrate(&url).await;
            done.map_err(|error| unusable(&url, &error).code(error.code()))?;
        }
        // To open it is to migrate it, and nobody else may have it open.
        other => drop(wire::ledger(other).await?),
    }
    Ok(())
}

async fn in_background<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, Failed> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.map_err(|_| Failed::new(Exit::Failure, "looking at the ledger did not finish"))
}

fn unusable(name: &dyn std::fmt::Display, error: &dyn std::fmt::Display) -> Failed {
    Failed::new(Exit::Failure, format!("{name} cannot be used: {error}"))
}
