//! `faregate register`: an entry in the directory of a managed mode server.

use faregate_lightning::{Listing, Managed, ManagedConfig, RegisterError};
use faregate_server::config::{Env, SecretSource};
use faregate_types::{Code, Secret};
use serde_json::json;

use crate::cli::RegisterArgs;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Makes or changes it, and prints its key when it is new.
///
/// # Errors
/// When the server does not answer or says no.
pub(crate) async fn run(args: &RegisterArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let key = args.key.as_deref().map(|text| key(text, env)).transpose()?;
    let config = ManagedConfig::from_address(&args.address, args.server.clone());
    let managed = config
        .and_then(Managed::new)
        .map_err(|error| Failed::usage(error.to_string()).code(error.code()))?;
    let listing = Listing {
        url: args.url.clone(),
        name: args.name.as_str().into(),
        price_sats: args.price_sats,
        description: args.description.as_deref().map(Into::into),
        category: args.category.as_str().into(),
    };
    let listed = managed.register(&listing, key.as_ref()).await;
    let listed = listed.map_err(|error| match error {
        RegisterError::Refused { .. } => Failed::new(Exit::Failure, error.to_string()),
        RegisterError::Away(away) => Failed::new(Exit::Failure, error.to_string()).code(away.code),
        _ => Failed::usage(error.to_string()).code(Code::ConfigInvalid),
    })?;
    printer.line(&format!("listed       {}", args.url));
    if !listed.verified {
        printer.note(&format!(
            "not verified: {} has to stand in /.well-known/l402.txt of that host",
            args.address
        ));
    }
    let new_key = listed.key.as_ref();
    let new_key = new_key.map(|key| String::from_utf8_lossy(key.expose()).into_owned());
    if let Some(key) = &new_key {
        printer.line(&format!("key          {key}"));
        printer.note("keep the key: with it the entry is changed");
    }
    printer.data(&json!({"ok": true, "verified": listed.verified, "key": new_key}));
    Ok(())
}

fn key(text: &str, env: &Env) -> Result<Secret, Failed> {
    let source = SecretSource::parse(text)
        .ok_or_else(|| Failed::usage("expected --key as env:NAME or file:/path"))?;
    let secret = source.load(env);
    secret.map_err(|error| Failed::usage(error.to_string()).code(Code::ConfigInvalid))
}
