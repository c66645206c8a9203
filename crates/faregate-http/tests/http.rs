//! Against real sockets: pinned certificates, bounded answers, deadlines, lines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faregate_http::{CallError, Http, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use reqwest::Method;
use reqwest::header::HeaderMap;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

/// A certificate as LND makes them: its own authority, for names that are not asked for.
fn certificate() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["somewhere.else".into()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).unwrap(), key)
}

async fn tls_server() -> (SocketAddr, String) {
    let (certificate, key) = certificate();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            stream.flush().await.unwrap();
        }
    });
    (address, certificate.pem())
}

/// Says the same to everybody, then keeps the connection open when it is told to.
async fn server(says: &'static str, stays: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(says.as_bytes()).await.unwrap();
            if stays {
                kept.push(stream);
            }
        }
    });
    address
}

fn http(trust: &Trust) -> Http {
    Http::new(trust, HeaderMap::new(), SECOND).unwrap()
}

async fn ask(http: &Http, url: &str, deadline: Duration) -> Result<Vec<u8>, CallError> {
    let request = http.request(Method::GET, url.parse().unwrap());
    let answer = http.send(request, deadline, 100).await?;
    Ok(answer.body)
}

#[tokio::test]
async fn a_pinned_certificate_is_the_only_one_that_is_believed() {
    let (address, pem) = tls_server().await;
    let url = format!("https://{address}/");
    let pinned = http(&Trust::Pinned(pem.clone().into_bytes()));
    assert_eq!(ask(&pinned, &url, LONG).await, Ok(b"ok".to_vec()));
    // Another certificate of the same kind, and nobody's certificate.
    let (other, _) = certificate();
    for trust in [Trust::Pinned(other.pem().into_bytes()), Trust::Platform] {
        assert_eq!(
            ask(&http(&trust), &url, LONG).await,
            Err(CallError::NotSent)
        );
    }
    for garbage in [String::new(), "garbage".to_owned(), pem.repeat(2)] {
        let trust = Trust::Pinned(garbage.into_bytes());
        assert!(Http::new(&trust, HeaderMap::new(), SECOND).is_err());
    }
}

#[tokio::test]
async fn what_is_too_large_too_slow_or_cut_off_is_told_apart() {
    let large = server(
        "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n\
         0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x",
        true,
    )
    .await;
    let slow = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", true).await;
    let cut = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", false).await;
    let redirect = server(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        true,
    )
    .await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let http = http(&Trust::Platform);
    let short = Duration::from_millis(200);
    for (address, deadline, expected) in [
        (large, LONG, Err(CallError::TooLarge)),
        (slow, short, Err(CallError::TimedOut)),
        (cut, LONG, Err(CallError::Lost)),
        (nobody, LONG, Err(CallError::NotSent)),
        (redirect, LONG, Ok(Vec::new())),
    ] {
        let heard = ask(&http, &format!("http://{address}/"), deadline).await;
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn lines_come_one_by_one_and_none_may_be_too_long() {
    let address = server(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nab\r\nc\r\n4\r\ndee\n\r\n2\r\n\n\n\r\n2\r\nxy\r\n0\r\n\r\n",
        true,
    )
    .await;
    for (line_max, expected) in [(4, vec!["ab", "cdee", "xy"]), (3, vec!["ab"])] {
        let url = format!("http://{address}/").parse().unwrap();
        // Each time a client of its own: the server answers once on each connection.
        let http = http(&Trust::Platform);
        let request = http.request(Method::GET, url);
        let (status, mut lines) = http.open(request, LONG, line_max).await.unwrap();
        assert_eq!(status, 200);
        for line in expected {
            assert_eq!(lines.next().await, Ok(Some(line.as_bytes().to_vec())));
        }
        let end = lines.next().await;
        if line_max == 4 {
            assert_eq!(end, Ok(None));
        } else {
            assert_eq!(end, Err(CallError::TooLarge));
        }
    }
}
