//! `faregate credit`: the credit core, for payers and recipients elsewhere.

use std::sync::Arc;

use faregate_evm::credit::{
    self, Confirmation, CreditFollowConfig, CreditOperatorConfig, TermsPolicy,
};
use faregate_evm::{Endpoint, LocalSigner, NetworkConfig};
use faregate_server::config::{CreditConfig, Env, SecretSource};
use faregate_server::health::Readiness;
use faregate_types::Code;
use serde_json::json;

use crate::cli::CreditArgs;
use crate::commands::{admin, config};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire::credit::{CreditCore, CreditPlan};
use crate::wire::{self, CreditBooks};

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a node or a contract that is not what it should be, a port or books that are taken.
pub(crate) async fn run(args: &CreditArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let path = &args.config.config;
    let file = config::read(path, env)?;
    let settings = file
        .credit
        .ok_or_else(|| Failed::usage(format!("{} has no [credit]", path.display())))?;
    if let Some(block) = args.rewind_to {
        return rewind(&settings, block, printer).await;
    }
    let admin = admin::prepare(file.admin.as_ref())?;
    let books = wire::credit_books(&settings.store, settings.chain).await?;
    let readiness = Readiness::new(Arc::clone(&books.ledger), None);
    let core = CreditCore::start(plan(&settings, env, books)?).await?;
    let url = core.url();
    let admin = admin.start(readiness, None).await?;
    let admin_url = admin::url(admin.as_ref());
    printer.line(&format!(
        "credit  {url}\n        contract {} on {}",
        settings.contract, settings.chain
    ));
    if let Some(url) = &admin_url {
        printer.line(&format!("admin   {url}"));
    }
    printer.data(&json!({
        "credit": url, "contract": settings.contract.to_string(), "network": settings.chain.to_string(), "admin": admin_url,
    }));
    let (service, behind) = core.split();
    admin::until_stopped(service, admin, printer).await;
    behind.stop().await;
    Ok(())
}

/// Sets the books back after a deep reorganisation, and says what was found.
async fn rewind(config: &CreditConfig, block: u64, printer: Printer) -> Result<(), Failed> {
    let broken = |error: String| Failed::new(Exit::Failure, error);
    let opened = wire::credit_books(&config.store, config.chain).await?;
    let books = Arc::clone(&opened.books);
    let done = credit::rewind(follow(config), books, block, wire::clock().now()).await;
    let done = done.map_err(|error| broken(error.to_string()))?;
    printer.line(&format!(
        "rewound    from block {} to {block}, read again to {}\nlost       {} transactions, {} payments that will not be recorded\n\
         compared   {} balances, {} different, {} unknown\nsuspended  {} payers",
        done.from.number, done.to.number, done.lost.len(), done.refused,
        done.report.compared, done.report.different, done.report.unknown, done.suspended.len(),
    ));
    let texts = |all: Vec<String>| serde_json::Value::from(all);
    for payer in &done.suspended {
        printer.line(&format!("           {payer}"));
    }
    printer.data(&json!({
        "from": done.from.number, "to": done.to.number, "refused": done.refused,
        "lost": texts(done.lost.iter().map(ToString::to_string).collect()),
        "suspended": texts(done.suspended.iter().map(ToString::to_string).collect()),
        "compared": done.report.compared, "different": done.report.different, "unknown": done.report.unknown,
    }));
    drop(opened);
    Ok(())
}

/// How the contract is followed.
fn follow(config: &CreditConfig) -> CreditFollowConfig {
    let endpoint = Endpoint::Http(config.rpc_url.expose().clone());
    let mut follow = CreditFollowConfig::new(config.chain, endpoint, config.contract);
    follow.deployed_at = config.deployed_at;
    follow.poll = config.poll;
    follow.confirmation = config
        .confirmations
        .map_or(Confirmation::Finalized, Confirmation::Depth);
    follow.policy = TermsPolicy {
        versions: config.terms.versions.clone(),
        ttl_default_secs: config.terms.ttl_default_secs,
        req_ids: config.terms.req_ids,
    };
    follow
}

fn plan(config: &CreditConfig, env: &Env, books: CreditBooks) -> Result<CreditPlan, Failed> {
    let mut network = NetworkConfig::new(config.chain, config.rpc_url.expose().clone(), Vec::new());
    wire::apply(&mut network, &config.sender);
    let operator = CreditOperatorConfig::new(network, config.contract);
    let admin_seed = config.admin_seed.as_ref();
    Ok(CreditPlan {
        bind: config.bind,
        follow: follow(config),
        operator: (operator, self::operator(&config.signer_keys, env)?),
        books,
        key: config
            .certificate_key
            .load_certificate_key(env)
            .map_err(wire::secret)?,
        admin_seed: admin_seed
            .map(|source| source.load(env).map_err(wire::secret))
            .transpose()?,
        settings: config.settings(env).map_err(wire::secret)?,
    })
}

/// Payments are recorded by one account: the contract knows its operator by it.
fn operator(sources: &[SecretSource], env: &Env) -> Result<LocalSigner, Failed> {
    let [source] = sources else {
        return Err(
            Failed::usage("[credit] records payments with one signer_key")
                .code(Code::ConfigInvalid),
        );
    };
    wire::signer(source, env)
}
