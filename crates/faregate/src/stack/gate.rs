//! The gate of `demo` and `dev`: configured as a seller would, and what it stands on.

use std::net::SocketAddr;
use std::sync::Arc;

use faregate_core::port::HeldTabStore;
use faregate_core::rail::l402::Revocations;
use faregate_devnet::{DevLightning, WalletName};
use faregate_evm::ExactFacilitator;
use faregate_server::config::{Config, Env, GatewayConfig};
use faregate_server::gateway::{Deps, Events};
use faregate_store::memory::MemoryLedger;
use url::Url;

use super::{DevCredit, StackConfig};
use crate::exit::{Exit, Failed};
use crate::wire;

/// Everything that the sample gate stands on.
pub(super) async fn deps(
    settings: &GatewayConfig,
    env: &Env,
    settling: ExactFacilitator,
    ledger: &Arc<MemoryLedger>,
    events: &Events,
) -> Result<(Deps, Arc<Revocations>), Failed> {
    let revocations = wire::revocations(Arc::clone(ledger) as _).await?;
    let l402 = match &settings.lightning {
        Some(config) => Some(wire::l402(config, env, &revocations, wire::new_name()?).await?),
        None => None,
    };
    let permits = match &settings.permit {
        Some(permit) => {
            let routes = &settings.routes;
            Some(wire::permits(permit, routes, &settling, env, &revocations).await?)
        }
        None => None,
    };
    let certificates: Arc<dyn HeldTabStore> = Arc::clone(ledger) as _;
    let credit = wire::on_credit(settings.credit.as_ref(), env, &certificates)?;
    let deps = Deps {
        facilitator: Some(Arc::new(settling)),
        l402,
        permits,
        credit,
        store: Arc::clone(ledger) as _,
        clock: wire::clock(),
        events: Some(events.clone()),
    };
    Ok((deps, revocations))
}

/// The gate of the sample API, as a seller would configure it.
pub(super) fn config(
    config: &StackConfig,
    (gate, seller): (SocketAddr, SocketAddr),
    lightning: &DevLightning,
    on_credit: Option<(&DevCredit, &Url, &str)>,
) -> Result<(GatewayConfig, Env), Failed> {
    let payee =
        super::payee().ok_or_else(|| Failed::new(Exit::Failure, "the dev chain has no payee"))?;
    // A main network's id is fine on a chain of our own; on somebody's node it is real money.
    let mainnet = config.rpc_url.is_none();
    let text = format!(
        r#"
mainnet = {mainnet}

[gate]
public_url = "http://{gate}"
upstream = "http://{seller}"
network = "{chain}"
pay_to = "{payee}"
store = ":memory:"

[gate.facilitator]
rpc_url = "http://127.0.0.1"
signer_key = "env:UNUSED"

[gate.lightning]
backend = "lnd"
url = "{lnd}"
key = "env:LND_MACAROON"
network = "regtest"
master_key = "env:MASTER_KEY"
invoices_per_minute = 100000

[gate.permit]
token_key = "env:TOKEN_KEY"

{credit}
[[route]]
match = "GET /joke"
price = ["$0.001", "10 sat"]
description = "one joke"
mime_type = "application/json"

[[route]]
match = "GET /free"
price = "free"
"#,
        chain = config.chain,
        payee = payee.address,
        lnd = lightning.rest_url(),
        credit = on_credit.map_or_else(String::new, |(core, node, _)| core
            .gate_config(config.chain, node)),
    );
    let env = Env::from([
        (
            "CREDIT_KEY".to_owned(),
            on_credit.map_or_else(String::new, |(.., key)| key.to_owned()),
        ),
        ("UNUSED".to_owned(), payee.private_key.to_owned()),
        (
            "LND_MACAROON".to_owned(),
            lightning.macaroon(WalletName::Seller),
        ),
        ("MASTER_KEY".to_owned(), super::random_key()?),
        ("TOKEN_KEY".to_owned(), super::random_key()?),
    ]);
    let gate = Config::parse(&text, &env)
        .map_err(|errors| Failed::usage(errors.to_string()))?
        .gate
        .ok_or_else(|| Failed::new(Exit::Failure, "the sample gate is not configured"))?;
    Ok((gate, env))
}
