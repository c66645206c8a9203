//! `faregate credit`: the credit core, for payers and recipients elsewhere.

use std::sync::Arc;

use faregate_evm::credit::{Confirmation, CreditFollowConfig, CreditOperatorConfig, TermsPolicy};
use faregate_evm::{Endpoint, LocalSigner, NetworkConfig};
use faregate_server::config::{CreditConfig, Env, SecretSource};
use faregate_server::health::Readiness;
use faregate_types::Code;
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::commands::{admin, config};
use crate::exit::Failed;
use crate::printer::Printer;
use crate::wire::credit::{CreditCore, CreditPlan};
use crate::wire::{self, CreditBooks};

/// Runs until it is told to stop.
///
/// # Errors
/// A wrong configuration, a node or a contract that is not what it should be, a port or books that are taken.
pub(crate) async fn run(args: &ConfigArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let file = config::read(&args.config, env)?;
    let settings = file
        .credit
        .ok_or_else(|| Failed::usage(format!("{} has no [credit]", args.config.display())))?;
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

fn plan(config: &CreditConfig, env: &Env, books: CreditBooks) -> Result<CreditPlan, Failed> {
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
    let mut network = NetworkConfig::new(config.chain, config.rpc_url.expose().clone(), Vec::new());
    wire::apply(&mut network, &config.sender);
    let operator = CreditOperatorConfig::new(network, config.contract);
    let admin_seed = config.admin_seed.as_ref();
    Ok(CreditPlan {
        bind: config.bind,
        follow,
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
