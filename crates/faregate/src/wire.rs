//! Putting configured parts together: who settles, and the ledger it is written in.

use std::sync::Arc;
use std::time::SystemTime;

use faregate_core::port::{Clock, Facilitator};
use faregate_evm::{ExactFacilitator, FollowConfig, LocalSigner, NetworkConfig};
use faregate_remote::{RemoteConfig, RemoteFacilitator};
use faregate_server::config::{EmbeddedConfig, Env, FacilitatorSource, SecretSource, SenderConfig};
use faregate_types::{Code, Timestamp};

use crate::exit::{Exit, Failed};

pub(crate) mod credit;
mod issuers;
pub(crate) mod lightning;
mod managed;
mod permits;
mod remunerate;
mod replay;
mod store;

pub(crate) use issuers::{issuers, nobody, on_credit};
pub(crate) use lightning::l402;
pub(crate) use managed::custody;
pub(crate) use permits::{permits, token_key};
pub(crate) use remunerate::{HeldBooks, Remunerations, held_books, redeemer};
pub(crate) use replay::{GateName, new_name};
pub(crate) use store::{CreditBooks, Ledger, credit_books, ledger, postgres, revocations};

/// The system's clock.
#[must_use]
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(|| Timestamp::from(SystemTime::now()))
}

/// The whole environment, read once.
#[must_use]
pub(crate) fn env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Who verifies and settles for a gate.
pub(crate) struct Settling {
    /// The same whether it is here or elsewhere.
    pub(crate) facilitator: Arc<dyn Facilitator>,
    /// The one in this process, if it is here.
    pub(crate) embedded: Option<ExactFacilitator>,
}

/// Who verifies and settles for a gate.
///
/// # Errors
/// A secret that is missing, a node that does not answer or is on another chain, a facilitator URL that is not one.
pub(crate) async fn facilitator(source: &FacilitatorSource, env: &Env) -> Result<Settling, Failed> {
    match source {
        FacilitatorSource::Embedded(config) => {
            let embedded = embedded(config, env).await?;
            Ok(Settling {
                facilitator: Arc::new(embedded.clone()),
                embedded: Some(embedded),
            })
        }
        FacilitatorSource::Remote {
            url,
            token,
            plain_http,
        } => {
            let mut config = RemoteConfig::new(url.expose().clone());
            if let Some(token) = token {
                config = config.bearer(token.load(env).map_err(secret)?);
            }
            if *plain_http {
                config.plain_http = faregate_remote::config::PlainHttp::Anywhere;
            }
            let remote = RemoteFacilitator::new(config)
                .map_err(|error| Failed::usage(error.to_string()).code(error.code()))?;
            Ok(Settling {
                facilitator: Arc::new(remote),
                embedded: None,
            })
        }
    }
}

/// A facilitator of this process: connects to its nodes and compares what it finds with what it was told.
///
/// # Errors
/// As [`facilitator`].
pub(crate) async fn embedded(
    config: &EmbeddedConfig,
    env: &Env,
) -> Result<ExactFacilitator, Failed> {
    let mut builder = ExactFacilitator::builder();
    for network in &config.networks {
        let mut settings = NetworkConfig::new(
            network.chain,
            network.rpc_url.expose().clone(),
            network.assets.clone(),
        );
        settings.confirmations = network.confirmations;
        apply(&mut settings, &network.sender);
        settings.follow = network.follow.map(FollowConfig::every);
        builder = builder.network(settings);
    }
    for source in &config.signer_keys {
        builder = builder.signer(signer(source, env)?);
    }
    builder.connect().await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string())
            .hint("check rpc_url, and that the node is on the configured chain")
    })
}

/// What the file says about sending; the defaults of the facilitator hold for the rest.
pub(crate) fn apply(settings: &mut NetworkConfig, sender: &SenderConfig) {
    settings.batch_settler = sender.batch_settler;
    settings
        .wallet_factories
        .clone_from(&sender.wallet_factories);
    if let Some(items) = sender.batch_items_max {
        settings.batch_items_max = usize::try_from(items).unwrap_or(usize::MAX);
    }
    if let Some(blocks) = sender.confirmations_final {
        settings.confirmations_final = blocks;
    }
    if let Some(time) = sender.bump_after {
        settings.bump_after = time;
    }
    if let Some(wei) = sender.balance_floor {
        settings.balance_floor = wei;
    }
}

/// Who signs with the key that a source holds.
///
/// # Errors
/// A source that cannot be read, or holds no key.
pub(crate) fn signer(source: &SecretSource, env: &Env) -> Result<LocalSigner, Failed> {
    let key = source.load_key(env).map_err(secret)?;
    LocalSigner::new(key).map_err(|_| Failed::usage(format!("{source} holds no usable key")))
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(crate) fn secret(error: faregate_server::config::SecretError) -> Failed {
    Failed::usage(error.to_string()).code(Code::ConfigInvalid)
}
