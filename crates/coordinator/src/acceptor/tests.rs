use std::sync::Arc;

use quorate_model::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::pki::{Authority, LISTENER_NAME};

struct Site {
    authority: Authority,
    address: SocketAddr,
    clock: Clock,
    // Stops the listener.
    _stop: tokio_util::sync::DropGuard,
}

/// A listener for agents without any service.
async fn site(limits: Limits) -> Site {
    let clock = Clock::start();
    let authority = Authority::ephemeral(&[], clock.now()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving =
        Serving { door: Door::agents(&authority).unwrap(), limits, clock, stop: stop.clone() };
    let tasks = quorate_runtime::Tasks::new();
    tasks.spawn("listener", serve(listener, Routes::default(), serving));
    Site { authority, address, clock, _stop: stop.drop_guard() }
}

fn quick() -> Limits {
    Limits {
        handshake: Duration::from_millis(500),
        first_request: Duration::from_millis(500),
        ..Limits::default()
    }
}

type Credentials = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client certificate of `signer`, made at `now`.
fn credentials(signer: &Authority, now: Timestamp) -> Credentials {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();
    let (region, agent) = ("fra".parse().unwrap(), "fra-1".parse().unwrap());
    let issued = signer.sign_agent(csr.der(), &region, &agent, now).unwrap();
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    (vec![certificate], key)
}

fn client(
    site: &Site,
    versions: &[&'static rustls::SupportedProtocolVersion],
    credentials: Option<Credentials>,
) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(site.authority.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match credentials {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Connects and waits for the server's first bytes (its HTTP/2 settings): only then has it
/// accepted the client's certificate.
async fn enter(site: &Site, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(site.address).await?;
    let name = ServerName::try_from(LISTENER_NAME).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    // An empty SETTINGS frame. Source: RFC 9113, section 6.5.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[3], 4, "not SETTINGS");
    Ok(stream)
}

#[tokio::test]
async fn an_agent_with_a_certificate_comes_in() {
    let site = site(Limits::default()).await;
    let config = client(&site, &[&TLS13], Some(credentials(&site.authority, site.clock.now())));
    let stream = enter(&site, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn everybody_else_is_refused() {
    let site = site(Limits::default()).await;
    let now = site.clock.now();
    let stranger = Authority::ephemeral(&[], now).unwrap();
    let long_ago = now.before(Duration::from_secs(400 * 86_400));
    let not_yet = now + Duration::from_secs(86_400);
    for (who, credentials) in [
        ("no certificate", None),
        ("another authority", Some(credentials(&stranger, now))),
        ("expired", Some(credentials(&site.authority, long_ago))),
        ("not yet valid", Some(credentials(&site.authority, not_yet))),
    ] {
        let config = client(&site, &[&TLS13], credentials);
        assert!(enter(&site, config).await.is_err(), "{who}");
    }
    let good = || Some(credentials(&site.authority, now));
    let old = client(&site, &[&TLS12], good());
    assert!(enter(&site, old).await.is_err(), "TLS 1.2");
    let mut http1 = client(&site, &[&TLS13], good());
    http1.alpn_protocols = Vec::new();
    assert!(enter(&site, http1).await.is_err(), "without ALPN");
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let site = site(Limits::default()).await;
    let config = client(&site, &[&TLS13], Some(credentials(&site.authority, site.clock.now())));
    for _ in 0..3 {
        let stream = enter(&site, config.clone()).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_ne!(kind, Some(HandshakeKind::Resumed));
    }
}

/// Whether the other side closes within a second.
async fn closes(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(1), end).await.is_ok()
}

#[tokio::test]
async fn silence_is_cut_at_the_deadline() {
    let site = site(quick()).await;
    let mut silent = TcpStream::connect(site.address).await.unwrap();
    assert!(closes(&mut silent).await, "silent before the handshake");
    let config = client(&site, &[&TLS13], Some(credentials(&site.authority, site.clock.now())));
    let mut stream = enter(&site, config).await.unwrap();
    assert!(closes(&mut stream).await, "silent after the handshake");
}

#[tokio::test]
async fn strangers_of_one_address_are_few() {
    let limits = Limits { strangers_per_address: 2, ..Limits::default() };
    let site = site(limits).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(site.address).await.unwrap());
    }
    // Accepted in the order in which they connected, so it is the last that finds no room.
    assert!(closes(&mut streams[2]).await);
    let mut byte = [0];
    let open = streams[0].try_read(&mut byte);
    assert!(open.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let site = site(Limits::default()).await;
    // Valid for a year from then, so for half a second from now (less the fraction of a second
    // that certificates do not carry).
    let year = crate::pki::AGENT_VALID;
    let then = site.clock.now().before(year) + Duration::from_millis(1_500);
    let config = client(&site, &[&TLS13], Some(credentials(&site.authority, then)));
    let mut stream = enter(&site, config).await.unwrap();
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    let ended = tokio::time::timeout(Duration::from_secs(5), end).await;
    assert!(ended.is_ok(), "still open");
}
