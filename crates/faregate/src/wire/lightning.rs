//! The Lightning wallet of a gate, as it is configured, and that of the command line, which is described in the same words.

use std::path::Path;
use std::sync::Arc;

use faregate_core::rail::l402::{L402, Revocations};
use faregate_http::{PlainHttp, Trust};
use faregate_lightning::{
    AlbyConfig, AlbyKind, BackendConfig, BlinkConfig, ClnConfig, Endpoint, LnbitsConfig, LndConfig,
    LnurlConfig, ManagedConfig, OpenNodeConfig, PhoenixdConfig, StrikeConfig,
};
use faregate_server::config::{
    Env, LightningBackend, LightningConfig, LightningKind, SecretSource,
};
use faregate_server::gateway::limits::CERTIFICATE_BYTES_MAX;
use faregate_types::lightning::BitcoinNetwork;
use faregate_types::{Code, Secret};

use super::{GateName, clock, replay, secret};
use crate::exit::Failed;
use crate::node::{self, NodeWallet};

/// The rail over the configured wallet, of the gate with this name. Nobody is asked: a wallet that is away now may be there when somebody wants to pay.
///
/// # Errors
/// A secret that is missing, a certificate that cannot be read, a URL that is none of a wallet.
pub(crate) async fn l402(
    config: &LightningConfig,
    env: &Env,
    revocations: &Arc<Revocations>,
    name: GateName,
) -> Result<Arc<L402>, Failed> {
    let keys = config.keys(env).map_err(secret)?;
    if let LightningKind::Ldk { node } = &config.backend.kind {
        let wallet = started(node, config.network, "gate.lightning").await?;
        let rail = config.rail(wallet.receiver, keys, clock());
        let rail = shared(rail, config, env, name)?;
        return Ok(Arc::new(rail.revocations(Arc::clone(revocations))));
    }
    let settings = backend(&config.backend, env, "gate.lightning").await?;
    let wallet = settings.name();
    let backend = settings.receiver().map_err(|error| {
        Failed::usage(format!("gate.lightning, {wallet}: {error}")).code(error.code())
    })?;
    let rail = shared(config.rail(backend, keys, clock()), config, env, name)?;
    Ok(Arc::new(rail.revocations(Arc::clone(revocations))))
}

/// A node in this process, if it is on the network that is named `at` some place.
///
/// # Errors
/// When it is on another, and as [`node::start`].
pub(super) async fn started(
    file: &Path,
    network: BitcoinNetwork,
    at: &str,
) -> Result<NodeWallet, Failed> {
    let wallet = node::start(file).await?;
    if wallet.network == network {
        return Ok(wallet);
    }
    Err(Failed::usage(format!(
        "{at}.network is {}, and that of the node in {} is {}",
        network.as_str(),
        file.display(),
        wallet.network.as_str()
    ))
    .code(Code::ConfigInvalid))
}

/// The rail with the store that it shares with other gates, if there is one.
fn shared(rail: L402, config: &LightningConfig, env: &Env, name: GateName) -> Result<L402, Failed> {
    Ok(match &config.replay {
        Some(store) => rail.replay(replay::store(store, env, name)?),
        None => rail,
    })
}

/// The settings of a backend that is described `at` some place: the one place that knows how each is made.
///
/// # Errors
/// A secret that is missing, a certificate that cannot be read, a backend that this build does not have.
pub(crate) async fn backend(
    backend: &LightningBackend,
    env: &Env,
    at: &str,
) -> Result<BackendConfig, Failed> {
    let certificate = match &backend.certificate {
        None => None,
        Some(path) => Some(certificate(path).await?),
    };
    settings(backend, certificate, env, at)
}

async fn certificate(path: &Path) -> Result<Vec<u8>, Failed> {
    let failed = |what: String| {
        Failed::usage(format!("the certificate {}: {what}", path.display()))
            .code(Code::ConfigInvalid)
    };
    let about = tokio::fs::metadata(path).await;
    let about = about.map_err(|error| failed(error.to_string()))?;
    if about.len() > CERTIFICATE_BYTES_MAX {
        return Err(failed("too large".to_owned()));
    }
    let pem = tokio::fs::read(path).await;
    pem.map_err(|error| failed(error.to_string()))
}

fn settings(
    backend: &LightningBackend,
    certificate: Option<Vec<u8>>,
    env: &Env,
    at: &str,
) -> Result<BackendConfig, Failed> {
    let invalid = |what: &str| Failed::usage(format!("{at}: {what}")).code(Code::ConfigInvalid);
    if backend.kind == LightningKind::Nwc {
        let source = backend.key.as_ref();
        let source = source.ok_or_else(|| invalid("a wallet connection is needed"))?;
        return connection(backend, certificate, source.load(env).map_err(secret)?, at);
    }
    let reached = |mut endpoint: Endpoint| {
        if let Some(pem) = certificate {
            endpoint.trust = Trust::Pinned(pem);
        }
        if backend.plain_http {
            endpoint.plain_http = PlainHttp::Anywhere;
        }
        endpoint
    };
    if let LightningKind::Address { address } = &backend.kind {
        let config = LnurlConfig::new(address)
            .map_err(|error| Failed::usage(format!("{at}: {error}")).code(error.code()))?;
        let endpoint = reached(config.endpoint.clone());
        return Ok(BackendConfig::Lnurl(config.at(endpoint)));
    }
    if let (LightningKind::Managed { address }, Some(url)) = (&backend.kind, &backend.url) {
        let mut config = ManagedConfig::from_address(address, url.clone())
            .map_err(|error| Failed::usage(format!("{at}: {error}")).code(error.code()))?;
        config.endpoint = reached(config.endpoint);
        return Ok(BackendConfig::Managed(config));
    }
    let (Some(url), Some(source)) = (&backend.url, &backend.key) else {
        return Err(invalid("url and key are needed"));
    };
    let endpoint = reached(Endpoint::new(url.clone()));
    let key = || source.load(env).map_err(secret);
    Ok(match &backend.kind {
        LightningKind::Lnd { private_hints } => {
            let mut config = LndConfig::new(endpoint, macaroon(source, env)?);
            config.private_hints = *private_hints;
            BackendConfig::Lnd(config)
        }
        LightningKind::Cln => BackendConfig::Cln(ClnConfig::new(endpoint, key()?)),
        LightningKind::Lnbits => BackendConfig::Lnbits(LnbitsConfig::new(endpoint, key()?)),
        LightningKind::Phoenixd => BackendConfig::Phoenixd(PhoenixdConfig::new(endpoint, key()?)),
        LightningKind::Blink { wallet_id } => {
            BackendConfig::Blink(BlinkConfig::new(endpoint, key()?, wallet_id.clone()))
        }
        LightningKind::AlbyHub => {
            BackendConfig::Alby(AlbyConfig::new(AlbyKind::Hub, endpoint, key()?))
        }
        LightningKind::Alby => {
            BackendConfig::Alby(AlbyConfig::new(AlbyKind::Legacy, endpoint, key()?))
        }
        LightningKind::Strike => BackendConfig::Strike(StrikeConfig::new(endpoint, key()?)),
        LightningKind::OpenNode => BackendConfig::OpenNode(OpenNodeConfig::new(endpoint, key()?)),
        LightningKind::Address { .. }
        | LightningKind::Managed { .. }
        | LightningKind::Ldk { .. }
        | LightningKind::Nwc => {
            return Err(invalid("this backend has no key of an API"));
        }
    })
}

#[cfg(feature = "nwc")]
fn connection(
    backend: &LightningBackend,
    certificate: Option<Vec<u8>>,
    uri: Secret,
    _at: &str,
) -> Result<BackendConfig, Failed> {
    let mut config = faregate_lightning::NwcConfig::new(uri);
    if let Some(pem) = certificate {
        config.trust = Trust::Pinned(pem);
    }
    if backend.plain_http {
        config.plain_http = PlainHttp::Anywhere;
    }
    Ok(BackendConfig::Nwc(config))
}

#[cfg(not(feature = "nwc"))]
fn connection(
    _backend: &LightningBackend,
    _certificate: Option<Vec<u8>>,
    _uri: Secret,
    at: &str,
) -> Result<BackendConfig, Failed> {
    let trouble = format!("{at}: this program was built without Nostr Wallet Connect");
    Err(Failed::usage(trouble)
        .code(Code::ConfigInvalid)
        .hint("cargo install with --features nwc"))
}

/// LND writes its macaroons as files of bytes, which may well end with one that looks like a blank.
fn macaroon(source: &SecretSource, env: &Env) -> Result<Secret, Failed> {
    let text = source.load(env).map_err(secret)?;
    if text.expose().iter().all(u8::is_ascii_hexdigit) {
        return Ok(text);
    }
    source.load_bytes(env).map_err(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a wallet shows, with keys that anybody may know.
    const CONNECTION: &str = "nostr+walletconnect://b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4?relay=ws%3A%2F%2F127.0.0.1%3A1&secret=71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c";

    /// Who is described can receive, and all but three can pay.
    #[tokio::test]
    async fn every_backend_is_made_of_its_words() {
        let env = Env::from([
            ("KEY".to_owned(), "0201aabb".to_owned()),
            ("CONNECTION".to_owned(), CONNECTION.to_owned()),
        ]);
        let blink = LightningKind::Blink {
            wallet_id: "w".into(),
        };
        let words = [
            "lnd", "cln", "lnbits", "phoenixd", "alby-hub", "alby", "strike", "opennode", "nwc",
        ];
        let kinds = words.iter().map(|word| {
            let kind = LightningKind::from_word(word);
            (*word, kind.unwrap())
        });
        for (word, kind) in kinds.chain([("blink", blink)]) {
            let is_nwc = kind == LightningKind::Nwc;
            let mut described = LightningBackend::new(kind);
            let name = if is_nwc { "CONNECTION" } else { "KEY" };
            described.key = Some(SecretSource::Env(name.into()));
            if !is_nwc {
                described.url = Some("https://wallet.example".parse().unwrap());
            }
            let make = || backend(&described, &env, "here");
            if is_nwc && cfg!(not(feature = "nwc")) {
                let failed = make().await.unwrap_err();
                assert!(
                    failed.message.contains("built without"),
                    "{}",
                    failed.message
                );
                continue;
            }
            assert!(make().await.unwrap().receiver().is_ok(), "{word}");
            let pays = make().await.unwrap().sender().is_ok();
            assert_eq!(pays, word != "opennode", "{word}");
            assert!(word.starts_with(make().await.unwrap().name()), "{word}");
            described.key = Some(SecretSource::Env("NOTHING".into()));
            assert!(backend(&described, &env, "here").await.is_err());
            described.key = None;
            assert!(backend(&described, &env, "here").await.is_err());
        }
    }

    #[test]
    fn a_macaroon_is_read_as_bytes_or_as_hexadecimal_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("invoice.macaroon");
        let source = SecretSource::File(path.clone());
        for (written, read) in [
            (&b"\x02\x01lnd \n"[..], &b"\x02\x01lnd \n"[..]),
            (b"0201ab\n", b"0201ab"),
        ] {
            std::fs::write(&path, written).unwrap();
            let macaroon = macaroon(&source, &Env::new()).unwrap();
            assert_eq!(macaroon.expose(), read);
        }
    }
}
