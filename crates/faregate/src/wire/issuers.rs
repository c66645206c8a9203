//! The credit cores that a facilitator stands before, and those that a gate has its guarantees from.

use std::sync::Arc;

use faregate_client::credit::{CoreIssuer, CreditClient, CreditPlainHttp};
use faregate_core::port::{HeldTabStore, Issuer};
use faregate_core::rail::credit::Credit;
use faregate_evm::LocalSigner;
use faregate_server::config::{CreditCoreConfig, Env, GateCreditConfig};
use faregate_types::SecretKey;

use crate::exit::{Exit, Failed};
use crate::wire;

/// The credit rail of a gate that has one, which keeps its certificates here.
///
/// # Errors
/// As [`issuers`].
pub(crate) fn on_credit(
    config: Option<&GateCreditConfig>,
    env: &Env,
    certificates: &Arc<dyn HeldTabStore>,
) -> Result<Option<Credit>, Failed> {
    let issuers = config
        .map(|config| issuers(&config.cores, env))
        .transpose()?;
    let rail = |issuers| Credit::new(issuers, Arc::clone(certificates) as _, wire::clock());
    Ok(issuers.map(rail))
}

/// One per configured core. Nothing is asked of them yet: a core that is away holds nobody up.
///
/// # Errors
/// A key that is missing or is none.
pub(crate) fn issuers(
    cores: &[CreditCoreConfig],
    env: &Env,
) -> Result<Vec<Arc<dyn Issuer>>, Failed> {
    let made = cores.iter().map(|core| {
        let mut builder = CreditClient::builder()
            .service(core.url.expose().clone())
            .node(core.rpc_url.expose().clone());
        if let Some(contract) = core.contract {
            builder = builder.contract(contract);
        }
        if core.plain_http {
            builder = builder.plain_http(CreditPlainHttp::Anywhere);
        }
        builder = match &core.key {
            Some(source) => builder.signer(wire::signer(source, env)?).sign_in(),
            None => builder.signer(nobody()?),
        };
        Ok(Arc::new(CoreIssuer::new(builder, core.chain)) as Arc<dyn Issuer>)
    });
    made.collect()
}

/// A key that signs nothing: whoever does not sign in still has an address.
///
/// # Errors
/// When the system gives no chance.
pub(crate) fn nobody() -> Result<LocalSigner, Failed> {
    let unusable = |error: &dyn std::fmt::Display| Failed::new(Exit::Failure, error.to_string());
    let mut bytes = [0; 32];
    loop {
        getrandom::fill(&mut bytes).map_err(|error| unusable(&error))?;
        // All but one of 2^127 are keys.
        if let Ok(key) = SecretKey::from_bytes(bytes) {
            return LocalSigner::new(key).map_err(|error| unusable(&error));
        }
    }
}
