//! TLS to upstreams: the certificates that the machine trusts, and those of one more file.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Why the gate cannot speak TLS to an upstream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file of additional authorities cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// It is no PEM file, or has no certificate in it.
    #[error("expected certificates in PEM")]
    Pem,
    /// A certificate in it, or the machine's, is not usable.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// Trusts what the machine trusts, and the authorities in `more`. Where the machine has no certificates (a bare container),
/// only those.
pub(super) fn config(more: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = more.map(authorities).transpose()?.unwrap_or_default();
    let verifier = verifier(own, &provider)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// For a gate without TLS behind it.
pub(super) fn none() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::Pem),
    }
}

fn verifier(
    own: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    match Verifier::new_with_extra_roots(own.clone(), Arc::clone(provider)) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) if own.is_empty() => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "no root certificates on this machine: only upstream_ca is trusted");
            let mut roots = RootCertStore::empty();
            for authority in own {
                roots.add(authority)?;
            }
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let verifier = verifier
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            Ok(verifier)
        }
    }
}
