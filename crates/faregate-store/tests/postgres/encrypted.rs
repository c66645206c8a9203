//! Encrypted connections: taken when the certificate is one that is believed, for the name that was asked for, and refused
//! otherwise.

use std::sync::Arc;

use faregate_ledger::{Claimed, LedgerStore as _};
use faregate_store::postgres::{PostgresLedger, PostgresUrl, schema_version};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::common::claim;
use super::kit::{Place, address};

/// What a client sends first when it wants TLS: its length, and a number that is no version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A door before the database that is named `localhost`: TLS outside, none inside. Its port, and the authority in PEM.
async fn door(to: String) -> (u16, String) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut here, _) = listener.accept().await.unwrap();
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let mut first = [0; 8];
                here.read_exact(&mut first).await.unwrap();
                // Whoever wants no TLS gets nothing.
                if first != SSL_REQUEST {
                    return;
                }
                here.write_all(b"S").await.unwrap();
                if let Ok(mut here) = acceptor.accept(here).await {
                    let mut there = TcpStream::connect(to).await.unwrap();
                    copy_bidirectional(&mut here, &mut there).await.ok();
                }
            });
        }
    });
    (port, authority.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_when_it_is_known_and_has_the_name() {
    let Some(place) = Place::new().await else {
        return;
    };
    let given = address().unwrap();
    let server = given.split_once('@').unwrap().1.split('/').next().unwrap();
    let (port, authority) = door(server.to_owned()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let text = |host: &str, more: &str| {
        let text = place.text().replacen(server, &format!("{host}:{port}"), 1);
        PostgresUrl::parse(&format!("{text}&{more}")).unwrap()
    };
    let believed = format!("sslmode=require&sslrootcert={}", file.display());
    let ledger = PostgresLedger::open(&text("localhost", &believed))
        .await
        .unwrap();
    assert_eq!(ledger.claim(claim(1)).await, Ok(Claimed::Won));
    for (host, more) in [
        ("localhost", "sslmode=require"),
        ("127.0.0.1", believed.as_str()),
        ("localhost", "sslmode=disable"),
        ("localhost", "sslmode=require&sslrootcert=/nowhere.pem"),
    ] {
        assert!(
            schema_version(&text(host, more)).await.is_err(),
            "{host} {more}"
        );
    }
}
