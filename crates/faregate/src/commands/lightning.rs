//! The Lightning wallet of the command line: any that pays, described as in a gate's configuration, or a node in this process.

use std::sync::Arc;
use std::time::SystemTime;

use faregate_client::{LightningWallet, MsatCaps};
use faregate_core::port::lightning::{SendBackend, Sender};
use faregate_server::config::{Env, LightningBackend, LightningKind, SecretSource};
use faregate_types::Timestamp;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use url::Url;

use crate::cli::lightning::{LightningArgs, SatArgs, SatBudgetArgs};
use crate::exit::Failed;
use crate::{node, wire};

const DAY_SECS: u64 = 24 * 60 * 60;

/// Where the key is unless told otherwise.
const KEY_ENV: [&str; 1] = ["FAREGATE_LIGHTNING_KEY"];

/// Where the macaroon is unless told otherwise. The second is what `faregate dev` writes.
const MACAROON_ENV: [&str; 2] = ["FAREGATE_LND_MACAROON", "FAREGATE_LND_MACAROON_PAYER"];

/// The wallet of these arguments, if they name one.
///
/// # Errors
/// What is wrong with them; never with a part of the key.
pub(crate) async fn find(
    args: &LightningArgs,
    caps: MsatCaps,
    env: &Env,
) -> Result<Option<LightningWallet>, Failed> {
    if let Some(file) = &args.ldk_node {
        let node = node::start(file).await?;
        let name = args.lightning_name.as_deref().unwrap_or("ldk");
        return wallet("--ldk-node", name, node.sender, node.network, caps).map(Some);
    }
    let Some(Described {
        backend,
        network,
        flag,
    }) = described(args, env)?
    else {
        return Ok(None);
    };
    let config = wire::lightning::backend(&backend, env, flag).await?;
    let name = args.lightning_name.as_deref().unwrap_or(config.name());
    let backend = config
        .sender()
        .map_err(|error| Failed::usage(format!("{flag}: {error}")))?;
    wallet(flag, name, backend, network, caps).map(Some)
}

/// Where the network is said to be mainnet, mainnet is meant.
fn wallet(
    option: &str,
    name: &str,
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

/// A wallet in the words of `[gate.lightning]`.
struct Described {
    backend: LightningBackend,
    network: BitcoinNetwork,
    /// The argument that named it.
    flag: &'static str,
}

fn described(args: &LightningArgs, env: &Env) -> Result<Option<Described>, Failed> {
    let named = args.lightning.as_deref();
    let (word, flag) = match (named, &args.lnd_rest) {
        (Some(word), _) => (word, "--lightning"),
        (None, Some(_)) => ("lnd", "--lnd-rest"),
        (None, None) => return Ok(None),
    };
    // The node's own arguments are for LND only, and then those of any wallet come first.
    let of_lnd = |own: &Option<String>, any: &Option<String>| {
        let own = own.clone().filter(|_| word == "lnd");
        any.clone().or(own)
    };
    let mut backend = LightningBackend::new(kind(word, args)?);
    backend.url = of_lnd(&args.lnd_rest, &args.lightning_url)
        .map(|text| Url::parse(&text).map_err(|_| Failed::usage(format!("{flag}: no URL"))))
        .transpose()?;
    let has_place = backend.kind == LightningKind::Nwc;
    match (&backend.url, has_place) {
        (None, false) => return Err(Failed::usage(format!("{flag} needs --lightning-url"))),
        (Some(_), true) => {
            return Err(Failed::usage(format!(
                "{flag} {word} has no --lightning-url"
            )));
        }
        (Some(_), false) | (None, true) => {}
    }
    let where_is = of_lnd(&args.lnd_macaroon, &args.lightning_key);
    backend.key = Some(key(where_is.as_deref(), word, env)?);
    let own = args.lnd_cert.clone().filter(|_| word == "lnd");
    backend.certificate = args.lightning_cert.clone().or(own);
    let network = of_lnd(&args.lnd_network, &args.lightning_network);
    Ok(Some(Described {
        backend,
        network: network_of(network.as_deref().unwrap_or("regtest"))?,
        flag,
    }))
}

fn kind(word: &str, args: &LightningArgs) -> Result<LightningKind, Failed> {
    let kind = match (word, &args.lightning_wallet_id) {
        ("blink", Some(id)) => Some(LightningKind::Blink {
            wallet_id: id.as_str().into(),
        }),
        ("blink", None) => {
            return Err(Failed::usage(
                "--lightning blink needs --lightning-wallet-id",
            ));
        }
        _ => LightningKind::from_word(word),
    };
    kind.ok_or_else(|| {
        Failed::usage(format!("--lightning {word:?} is no backend"))
            .hint("lnd, cln, lnbits, phoenixd, blink, alby-hub, alby, strike or nwc")
    })
}

/// Where the key is.
fn key(where_is: Option<&str>, word: &str, env: &Env) -> Result<SecretSource, Failed> {
    let missing = || {
        Failed::usage(format!("there is no key for --lightning {word}"))
            .hint("--lightning-key env:NAME or file:PATH")
    };
    let Some(text) = where_is else {
        let usual = KEY_ENV
            .iter()
            .chain(MACAROON_ENV.iter().filter(|_| word == "lnd"));
        let mut there = usual.filter(|name| env.contains_key(**name));
        let name = there.next().ok_or_else(missing)?;
        return Ok(SecretSource::Env((*name).into()));
    };
    if let Some(name) = text.strip_prefix("env:") {
        return Ok(SecretSource::Env(name.into()));
    }
    match text.strip_prefix("file:") {
        Some(path) => Ok(SecretSource::File(path.into())),
        // Whatever it is, it may be the key itself: it is not repeated.
        None => Err(Failed::usage("expected the key as env:NAME or file:PATH")
            .hint("arguments are seen by everybody on this machine: a key must not be one")),
    }
}

/// The caps of these arguments.
pub(crate) fn caps(args: &SatArgs) -> Result<MsatCaps, Failed> {
    budget(&args.budget, msat(args.max_sats)?)
}

/// The caps of these arguments, with another cap for one payment.
pub(crate) fn budget(args: &SatBudgetArgs, per_payment: Msat) -> Result<MsatCaps, Failed> {
    let per_day = args.max_sats_per_day.map(msat).transpose()?;
    Ok(MsatCaps {
        per_payment,
        total: args.max_sats_total.map(msat).transpose()?,
        per_host: args.max_sats_per_host.map(msat).transpose()?,
        per_period: per_day.map(|cap| (DAY_SECS, cap)),
    })
}

fn msat(sats: u64) -> Result<Msat, Failed> {
    Msat::from_sat(sats).ok_or_else(|| Failed::usage("there are not so many satoshis"))
}

/// Nothing new may be paid.
pub(crate) const NO_CAPS: MsatCaps = MsatCaps {
    per_payment: Msat::ZERO,
    total: None,
    per_host: None,
    per_period: None,
};

fn network_of(word: &str) -> Result<BitcoinNetwork, Failed> {
    let network = BitcoinNetwork::from_word(word).or_else(|| word.parse().ok());
    network.ok_or_else(|| {
        Failed::usage(format!("{word:?} is no network of Lightning"))
            .hint("mainnet, testnet, signet or regtest")
    })
}
