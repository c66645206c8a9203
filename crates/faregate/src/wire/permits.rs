//! The permit rail of a gate: its token key, and the contracts that collect for its payees.

use std::collections::BTreeSet;
use std::sync::Arc;

use faregate_core::Ask;
use faregate_core::rail::l402::Revocations;
use faregate_core::rail::permit::Permits;
use faregate_evm::{ExactFacilitator, PermitCollector};
use faregate_server::config::{Env, PermitConfig, RouteConfig, RoutePrice, SecretSource};
use faregate_types::permit::TokenKey;

use crate::exit::{Exit, Failed};
use crate::wire;

/// Connects the rail: every payee of a route that takes permits gets its contract, if it has none yet.
///
/// # Errors
/// A key that is not there, a contract that is missing and cannot be deployed.
pub(crate) async fn permits(
    config: &PermitConfig,
    routes: &[RouteConfig],
    facilitator: &ExactFacilitator,
    env: &Env,
    revocations: &Arc<Revocations>,
) -> Result<Arc<Permits>, Failed> {
    let mut builder = PermitCollector::builder(facilitator).deploys(config.deploys);
    let treasuries: BTreeSet<_> = routes
        .iter()
        .filter_map(|route| match &route.price {
            RoutePrice::Paid(offer) => Some(&offer.asks),
            RoutePrice::Free => None,
        })
        .flatten()
        .filter_map(Ask::as_permit)
        .map(|ask| (ask.asset.id.chain(), ask.treasury))
        .collect();
    for (chain, treasury) in treasuries {
        builder = builder.treasury(chain, treasury);
    }
    let collector = builder.connect().await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string())
            .hint("permits are collected by a contract of each payee; deploying it takes a little gas, once")
    })?;
    let rail = Permits::new(
        Arc::new(collector),
        token_key(&config.token_key, env)?,
        config.audience.clone(),
        config.endpoint.clone(),
        wire::clock(),
    );
    Ok(Arc::new(rail.revocations(Arc::clone(revocations))))
}

/// What access tokens are signed with.
///
/// # Errors
/// When it is not there, or empty.
pub(crate) fn token_key(source: &SecretSource, env: &Env) -> Result<TokenKey, Failed> {
    let secret = source.load(env).map_err(wire::secret)?;
    let text = std::str::from_utf8(secret.expose()).ok().map(str::to_owned);
    let key = text.and_then(|text| TokenKey::new(text).ok());
    key.ok_or_else(|| Failed::usage(format!("{source} does not hold a key for access tokens")))
}
