use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A CA's certificate, and a server's configuration with a certificate of that CA for `name`.
fn certified(name: &str) -> (CertificateDer<'static>, rustls::ServerConfig) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.into()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (root.der().clone(), server)
}

/// Posts to a TLS server on this machine whose certificate names `name`.
async fn post(name: &str, trusted: bool) -> Result<Answer, SendError> {
    let (root, server) = certified(name);
    let mut roots = RootCertStore::empty();
    if trusted {
        roots.add(root).unwrap();
    }
    let sender = Sender { tls: Some(Arc::new(tls(roots).unwrap())) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/s3cret", listener.local_addr().unwrap().port());
    let endpoint = Endpoint::parse(&url, false).unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(server)).accept(stream).await else {
            return;
        };
        let mut buffer = vec![0; 4_096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream.shutdown().await.ok();
    };
    let body = Bytes::from_static(b"{}");
    let send = sender.post(&endpoint, HeaderMap::new(), body, Duration::from_secs(10));
    let (answer, ()) = tokio::join!(send, serve);
    answer
}

#[tokio::test]
async fn speaks_tls_to_a_server_that_it_trusts() {
    assert_eq!(post("127.0.0.1", true).await.unwrap().status, 202);
}

#[tokio::test]
async fn refuses_a_server_that_it_does_not_trust() {
    let error = post("127.0.0.1", false).await.unwrap_err();
    assert!(error.message.contains("the TLS handshake failed"), "{error}");
    assert!(!error.message.contains("s3cret"), "{error}");
    assert_eq!(error.retry, Retry::BackOff);
}

#[tokio::test]
async fn refuses_a_certificate_for_another_name() {
    let error = post("hooks.example.com", true).await.unwrap_err();
    assert!(error.message.contains("not valid for"), "{error}");
}

#[test]
fn the_trust_of_the_system_can_be_read() {
    assert!(system_tls().is_ok());
}
