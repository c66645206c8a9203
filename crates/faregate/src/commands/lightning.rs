//! The Lightning wallet of the command line: an LND node behind its REST API, or a node in this process.

use std::sync::Arc;
use std::time::SystemTime;

use faregate_client::{LightningWallet, MsatCaps, Prefer};
use faregate_core::port::lightning::{SendBackend, Sender};
use faregate_lightning::{BackendConfig, Endpoint, LndConfig};
use faregate_server::config::Env;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Secret, Timestamp};
use url::Url;

use crate::cli::lightning::{LightningArgs, PreferArg, SatArgs};
use crate::exit::{Exit, Failed};
use crate::node;

const DAY_SECS: u64 = 24 * 60 * 60;

/// Largest certificate or macaroon that is read from a file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where the macaroon is unless told otherwise. The second is what `faregate dev` writes.
const MACAROON_ENV: [&str; 2] = ["FAREGATE_LND_MACAROON", "FAREGATE_LND_MACAROON_PAYER"];

/// The wallet of these arguments, if they name one.
///
/// # Errors
/// What is wrong with them; never with a part of the macaroon.
pub(crate) async fn find(
    args: &LightningArgs,
    caps: MsatCaps,
    env: &Env,
) -> Result<Option<LightningWallet>, Failed> {
    if let Some(file) = &args.ldk_node {
        let node = node::start(file).await?;
        return wallet("--ldk-node", "ldk", node.sender, node.network, caps).map(Some);
    }
    let Some(text) = &args.lnd_rest else {
        return Ok(None);
    };
    let url = Url::parse(text).map_err(|_| Failed::usage("--lnd-rest is no URL"))?;
    let network = network(&args.lnd_network)?;
    let mut endpoint = Endpoint::new(url);
    if let Some(path) = &args.lnd_cert {
        endpoint = endpoint.pinned(read(path.clone()).await?);
    }
    let config = BackendConfig::Lnd(LndConfig::new(endpoint, macaroon(args, env).await?));
    let backend = config
        .sender()
        .map_err(|error| Failed::usage(format!("--lnd-rest: {error}")))?;
    wallet("--lnd-rest", "lnd", backend, network, caps).map(Some)
}

/// Where the network is said to be mainnet, mainnet is meant.
fn wallet(
    option: &str,
    name: &'static str,
    backend: Arc<dyn SendBackend>,
    network: BitcoinNetwork,
    caps: MsatCaps,
) -> Result<LightningWallet, Failed> {
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let sender = Sender::new(backend, network, clock)
        .map_err(|away| Failed::usage(format!("{option}: {}", away.code.meaning())))?;
    let wallet = LightningWallet::new(sender, caps).named(name);
    Ok(if network == BitcoinNetwork::Mainnet {
        wallet.allow_mainnet()
    } else {
        wallet
    })
}

/// The caps of these arguments.
pub(crate) fn caps(args: &SatArgs) -> Result<MsatCaps, Failed> {
    let msat = |sats: u64| {
        Msat::from_sat(sats).ok_or_else(|| Failed::usage("there are not so many satoshis"))
    };
    Ok(MsatCaps {
        per_payment: msat(args.max_sats)?,
        total: args.max_sats_total.map(msat).transpose()?,
        per_host: args.max_sats_per_host.map(msat).transpose()?,
        per_period: args
            .max_sats_per_day
            .map(|sats| Ok::<_, Failed>((DAY_SECS, msat(sats)?)))
            .transpose()?,
    })
}

/// Nothing new may be paid.
pub(crate) const NO_CAPS: MsatCaps = MsatCaps {
    per_payment: Msat::ZERO,
    total: None,
    per_host: None,
    per_period: None,
};

/// The rail to prefer.
pub(crate) const fn prefer(args: &SatArgs) -> Prefer {
    match args.prefer {
        PreferArg::X402 => Prefer::X402,
        PreferArg::L402 => Prefer::L402,
    }
}

fn network(word: &str) -> Result<BitcoinNetwork, Failed> {
    let network = BitcoinNetwork::from_word(word).or_else(|| word.parse().ok());
    network.ok_or_else(|| {
        Failed::usage(format!("--lnd-network {word:?} is no network"))
            .hint("mainnet, testnet, signet or regtest")
    })
}

async fn macaroon(args: &LightningArgs, env: &Env) -> Result<Secret, Failed> {
    let missing = || {
        Failed::usage("there is no macaroon for --lnd-rest")
            .hint("--lnd-macaroon env:NAME or file:PATH")
    };
    let of_env = |name: &str| {
        let text = env.get(name)?;
        Some(Secret::new(text.trim().as_bytes().to_vec()))
    };
    let Some(text) = &args.lnd_macaroon else {
        let found = MACAROON_ENV.iter().find_map(|name| of_env(name));
        return found.ok_or_else(missing);
    };
    if let Some(name) = text.strip_prefix("env:") {
        return of_env(name).ok_or_else(missing);
    }
    match text.strip_prefix("file:") {
        Some(path) => Ok(Secret::new(read(path.into()).await?)),
        // Whatever it is, it may be the macaroon itself: it is not repeated.
        None => Err(
            Failed::usage("expected --lnd-macaroon env:NAME or file:PATH").hint(
                "arguments are seen by everybody on this machine: a macaroon must not be one",
            ),
        ),
    }
}

async fn read(path: std::path::PathBuf) -> Result<Vec<u8>, Failed> {
    let shown = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let mut file = std::fs::File::open(path)?.take(FILE_BYTES_MAX);
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    reading
        .await
        .map_err(|_| Failed::new(Exit::Failure, "reading a file did not finish"))?
        .map_err(|error: std::io::Error| Failed::usage(format!("{shown}: {error}")))
}
