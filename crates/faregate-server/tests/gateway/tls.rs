//! Services behind the gate that are reached over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use faregate_server::gateway::Gateway;
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::common::{World, receipt, text};
use crate::kit::{House, code, config, deps};

/// An authority of our own, in a file, and a service with a certificate of it for `name`.
async fn service(name: &str) -> (TempDir, SocketAddr) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut head = [0; 4096];
                while stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    (folder, addr)
}

fn routes(upstream: &str) -> String {
    format!("[[route]]\nmatch = \"GET /x\"\nprice = \"$0.001\"\nupstream = \"{upstream}\"\n")
}

#[tokio::test]
async fn an_upstream_with_a_certificate_of_a_named_authority_is_reached() {
    let (folder, addr) = service("localhost").await;
    let file = folder.path().join("ca.pem");
    let gate = format!("upstream_ca = \"{}\"", file.display());
    let house = House::with(
        &gate,
        &routes(&format!("https://localhost:{}", addr.port())),
    )
    .await;
    for nonce in 1..3 {
        let credential = house.credential("/x", nonce).await;
        let answer = house.pay("/x", &credential).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(receipt(&answer).success);
        assert_eq!(text(answer).await, "secret");
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_who_it_is_gets_nothing() {
    let (folder, addr) = service("other.example").await;
    let file = folder.path().join("ca.pem");
    let named = format!("upstream_ca = \"{}\"", file.display());
    // A name that is not in the certificate, and an authority that nobody named.
    for gate in [named.as_str(), ""] {
        let upstream = format!("https://localhost:{}", addr.port());
        let house = House::with(gate, &routes(&upstream)).await;
        let credential = house.credential("/x", 1).await;
        let answer = house.pay("/x", &credential).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{gate}");
        assert_eq!(code(answer).await, "upstream_unavailable", "{gate}");
        assert_eq!(house.world.settles(), 0);
    }
}

#[tokio::test]
async fn a_file_that_holds_no_certificates_stops_the_start() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in [empty, folder.path().join("missing.pem")] {
        let text = format!("upstream_ca = \"{}\"", file.display());
        let config = config(&text, &routes("https://service.example"));
        let error = Gateway::start(config, deps(&World::new()))
            .await
            .unwrap_err();
        assert_eq!(error.code().as_str(), "config_invalid");
        assert!(error.to_string().contains(".pem"), "{error}");
    }
}
