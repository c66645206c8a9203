//! Managed mode over the configured wallet.

use std::sync::Arc;

use faregate_core::custody::{Addresses, Custody, Wallets};
use faregate_core::port::Away;
use faregate_core::port::lightning::{ReceiveBackend, Receiver, SendBackend, Sender};
use faregate_http::Reach;
use faregate_ledger::AccountStore;
use faregate_lightning::{ConfigError, Lnurl, LnurlConfig};
use faregate_server::config::{Env, LightningKind, ManagedConfig};
use faregate_types::Code;
use faregate_types::lightning::LightningAddress;
use url::{Host, Url};

use super::clock;
use super::lightning::{backend, started};
use crate::exit::Failed;

/// Where the wallet is described.
const PLACE: &str = "managed.lightning";

/// Receives and pays with the configured wallet.
///
/// # Errors
/// A secret that is missing, a certificate that cannot be read, and a wallet that cannot say what became of its payments.
pub(crate) async fn custody(
    config: &ManagedConfig,
    accounts: Arc<dyn AccountStore>,
    env: &Env,
) -> Result<Custody, Failed> {
    let (receiver, sender) = wallet(config, env).await?;
    let cannot = |away: Away| {
        Failed::usage(format!("{PLACE}: {}", away.code.meaning())).code(Code::ConfigInvalid)
    };
    let wallets = Wallets {
        receiver: Receiver::new(receiver, config.network, clock()),
        sender: Sender::new(sender, config.network, clock()).map_err(cannot)?,
        addresses: Arc::new(OwnerWallets {
            reach: config.settings.reach,
        }),
    };
    Custody::new(wallets, accounts, clock(), config.rules.clone()).map_err(cannot)
}

/// The wallet as one that is paid, and as one that pays.
type Both = (Arc<dyn ReceiveBackend>, Arc<dyn SendBackend>);

async fn wallet(config: &ManagedConfig, env: &Env) -> Result<Both, Failed> {
    if let LightningKind::Ldk { node } = &config.wallet.kind {
        let wallet = started(node, config.network, PLACE).await?;
        return Ok((wallet.receiver, wallet.sender));
    }
    let unusable =
        |error: ConfigError| Failed::usage(format!("{PLACE}: {error}")).code(error.code());
    let receiver = backend(&config.wallet, env, PLACE).await?;
    let sender = backend(&config.wallet, env, PLACE).await?;
    Ok((
        receiver.receiver().map_err(unusable)?,
        sender.sender().map_err(unusable)?,
    ))
}

/// The wallets of owners. Their addresses come from strangers.
struct OwnerWallets {
    reach: Reach,
}

impl Addresses for OwnerWallets {
    fn wallet(&self, address: &LightningAddress) -> Result<Arc<dyn ReceiveBackend>, Away> {
        let no_address = |_| Away {
            code: Code::ConfigInvalid,
        };
        let config = LnurlConfig::of(address.clone()).map_err(no_address)?;
        let mut endpoint = config.endpoint.clone();
        endpoint.reach = self.reach;
        // A wallet of the development network on this machine has no certificate.
        if self.reach == Reach::Anywhere && is_this_machine(&endpoint.base) {
            endpoint.base.set_scheme("http").ok();
        }
        let wallet = Lnurl::new(config.at(endpoint)).map_err(no_address)?;
        Ok(Arc::new(wallet))
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv6(_)) | None => false,
    }
}
