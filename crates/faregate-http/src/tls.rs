//! TLS on ring: the certificates that the machine trusts, or exactly one certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

/// Whom to believe that they are who they say.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Whom this machine trusts. Where it has no root certificates (a bare container), no server is trusted, but plain HTTP
    /// to this machine still works.
    #[default]
    Platform,
    /// Whoever holds the key of exactly this certificate, in PEM, whatever names and dates are in it. For services that make
    /// their own certificate, like the nodes of the Lightning network.
    Pinned(Vec<u8>),
    /// Whom these authorities, in PEM, say that they are, and nobody else. For services inside a network with an authority
    /// of its own.
    Authorities(Vec<u8>),
}

/// Why there is no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The pinned certificate cannot be read, or there are none or several.
    #[error("expected one certificate in PEM")]
    Certificate,
    /// The authorities cannot be read, or there are none.
    #[error("expected certificates of authorities in PEM")]
    Authorities,
    /// The TLS library or the HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Client,
}

/// The TLS of a client.
///
/// # Errors
/// [`TlsError`].
pub fn config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    match trust {
        Trust::Platform => platform(),
        Trust::Pinned(pem) => pinned(pem),
        Trust::Authorities(pem) => authorities(pem),
    }
}

fn platform() -> Result<ClientConfig, TlsError> {
    let builder = || {
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::Client)
    };
    Ok(match builder()?.with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no root certificates: https will not work");
            builder()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    })
}

fn authorities(pem: &[u8]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(pem) {
        let found = found.map_err(|_| TlsError::Authorities)?;
        roots.add(found).map_err(|_| TlsError::Authorities)?;
    }
    if roots.is_empty() {
        return Err(TlsError::Authorities);
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Client)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn pinned(pem: &[u8]) -> Result<ClientConfig, TlsError> {
    let mut found = CertificateDer::pem_slice_iter(pem);
    let (Some(Ok(certificate)), None) = (found.next(), found.next()) else {
        return Err(TlsError::Certificate);
    };
    let provider = provider();
    let verifier = Pinned {
        certificate: certificate.into_owned(),
        provider: Arc::clone(&provider),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Client)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Believes one certificate and nothing else. The certificate cannot simply be made a root: those of LND are their own
/// authority and their own server, which the rules for the web do not allow.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
