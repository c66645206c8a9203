//! The Lightning wallet of a gate, as it is configured.

use std::path::Path;
use std::sync::Arc;

use faregate_core::rail::l402::{L402, Revocations};
use faregate_http::{PlainHttp, Trust};
use faregate_lightning::{
    AlbyConfig, AlbyKind, BackendConfig, BlinkConfig, ClnConfig, Endpoint, LnbitsConfig, LndConfig,
    LnurlConfig, OpenNodeConfig, PhoenixdConfig, StrikeConfig,
};
use faregate_server::config::{
    Env, LightningBackend, LightningConfig, LightningKind, SecretSource,
};
use faregate_server::gateway::limits::CERTIFICATE_BYTES_MAX;
use faregate_types::{Code, Secret};

use super::{clock, secret};
use crate::exit::Failed;
use crate::node;

/// The rail over the configured wallet. Nobody is asked: a wallet that is away now may be there when somebody wants to pay.
///
/// # Errors
/// A secret that is missing, a certificate that cannot be read, a URL that is none of a wallet.
pub(crate) async fn l402(
    config: &LightningConfig,
    env: &Env,
    revocations: &Arc<Revocations>,
) -> Result<Arc<L402>, Failed> {
    let keys = config.keys(env).map_err(secret)?;
    if let LightningKind::Ldk { node } = &config.backend.kind {
        let wallet = node::start(node).await?;
        if wallet.network != config.network {
            return Err(Failed::usage(format!(
                "gate.lightning.network is {}, and that of the node in {} is {}",
                config.network.as_str(),
                node.display(),
                wallet.network.as_str()
            ))
            .code(Code::ConfigInvalid));
        }
        return Ok(Arc::new(config.rail(wallet.receiver, keys, clock())));
    }
    let certificate = match &config.backend.certificate {
        None => None,
        Some(path) => Some(certificate(path).await?),
    };
    let settings = settings(&config.backend, certificate, env)?;
    let name = settings.name();
    let backend = settings.receiver().map_err(|error| {
        Failed::usage(format!("gate.lightning, {name}: {error}")).code(error.code())
    })?;
    let rail = config.rail(backend, keys, clock());
    Ok(Arc::new(rail.revocations(Arc::clone(revocations))))
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
) -> Result<BackendConfig, Failed> {
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
        let config = LnurlConfig::new(address).map_err(|error| {
            Failed::usage(format!("gate.lightning.address: {error}")).code(error.code())
        })?;
        let endpoint = reached(config.endpoint.clone());
        return Ok(BackendConfig::Lnurl(config.at(endpoint)));
    }
    let (Some(url), Some(source)) = (&backend.url, &backend.key) else {
        return Err(Failed::usage("gate.lightning needs url and key").code(Code::ConfigInvalid));
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
        LightningKind::Address { .. } | LightningKind::Ldk { .. } => {
            return Err(Failed::usage("this backend has no key").code(Code::ConfigInvalid));
        }
    })
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
