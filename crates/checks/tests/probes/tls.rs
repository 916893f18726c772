//! Certificates, good and bad.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{Observation, Phase, Reason, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use serde_json::{Value, json};

use super::server::{self, reply};
use super::{assert_fails, assert_ok, probe};

/// An authority of the tests' own.
pub(crate) struct Authority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority("an authority of the tests");
        let certificate = params.self_signed(&key).expect("a certificate");
        let pem = certificate.pem();
        Self { issuer: Issuer::new(params, key), certificate: certificate.into(), pem }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pem = certificate.pem();
        Self { issuer: Issuer::new(params, key), certificate: certificate.into(), pem }
    }

    /// A server's settings with a certificate for `name`, valid in these years.
    pub(crate) fn server(&self, name: &str, years: (i32, i32)) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let certificate = leaf(name, years).signed_by(&key, &self.issuer).expect("a certificate");
        config(vec![certificate.into()], &key)
    }

    /// The same for a certificate of these parameters, followed by `others`.
    pub(crate) fn serving(
        &self,
        params: &CertificateParams,
        others: &[&CertificateDer<'static>],
    ) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let mut chain = vec![certificate.into()];
        chain.extend(others.iter().map(|other| (*other).clone()));
        config(chain, &key)
    }
}

/// What an authority of this name says of itself.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(crate) fn leaf(name: &str, (first, last): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, "a server");
    params.not_before = date_time_ymd(first, 1, 1);
    params.not_after = date_time_ymd(last, 1, 1);
    params
}

pub(crate) fn config(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider.key_provider.load_private_key(key).expect("a key");
    // Whatever the chain holds, it is sent.
    let own = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

pub(crate) async fn asked(config: ServerConfig, tls: Value, more: Value) -> Observation {
    let server = server::https(config, |_, _| reply(200, &[], "hello")).await;
    let mut options = json!({"url": server.https("/"), "tls": tls});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("http", options).await
}

pub(crate) const VALID: (i32, i32) = (2020, 2090);

#[tokio::test]
async fn versions_are_negotiated() {
    let authority = Authority::new();
    let trusted = json!({"ca": authority.pem});
    for (version, protocol) in
        [(json!("auto"), "HTTP/2"), (json!(2), "HTTP/2"), (json!(1.1), "HTTP/1.1")]
    {
        let config = authority.server("localhost", VALID);
        let seen = asked(config, trusted.clone(), json!({"http_version": version})).await;
        assert_ok(&seen);
        assert_eq!(seen.evidence.protocol.as_deref(), Some(protocol));
        let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
        assert_eq!(phases, Phase::ALL);
    }
    let mut old = authority.server("localhost", VALID);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let seen = asked(old, trusted.clone(), json!({"http_version": "2"})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsHandshake, "");
    let mut silent = authority.server("localhost", VALID);
    silent.alpn_protocols.clear();
    let seen = asked(silent, trusted, json!({"http_version": "2"})).await;
    assert_fails(&seen, Phase::Tls, Reason::Protocol, "does not offer HTTP/2");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let authority = Authority::new();
    let trusted = json!({"ca": authority.pem});
    let own = KeyPair::generate().expect("a key");
    let self_signed = leaf("localhost", VALID).self_signed(&own).expect("a certificate");
    for (config, tls, reason, message) in [
        (
            authority.server("localhost", (2020, 2021)),
            trusted.clone(),
            Reason::CertExpired,
            "certificate expired on 2021-01-01",
        ),
        (
            authority.server("localhost", (2080, 2090)),
            trusted.clone(),
            Reason::CertNotYetValid,
            "certificate is not valid before 2080-01-01",
        ),
        (
            authority.server("other.example", VALID),
            trusted.clone(),
            Reason::CertHostMismatch,
            "certificate is for other.example, not for localhost",
        ),
        (
            authority.server("localhost", VALID),
            json!({}),
            Reason::CertIncompleteChain,
            "does not send the certificate of its issuer \"CN=an authority of the tests\"",
        ),
        (
            config(vec![self_signed.into()], &own),
            json!({}),
            Reason::CertSelfSigned,
            "certificate is self-signed",
        ),
    ] {
        let seen = asked(config, tls, json!({})).await;
        assert_fails(&seen, Phase::Tls, reason, message);
        assert!(seen.evidence.cert_not_after.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn validity_is_judged_by_the_clock_that_was_told_not_by_the_machines() {
    let authority = Authority::new();
    let config = authority.server("localhost", (2080, 2090));
    let server = server::https(config, |_, _| reply(200, &[], "")).await;
    let options = json!({"url": server.https("/"), "tls": {"ca": authority.pem}});
    let context = super::context(quorate_checks::Egress::Direct, super::loopback());
    let years = |count: u64| Timestamp::EPOCH + Duration::from_secs(count * 365 * 86_400);
    let wall = context.environment.wall();
    wall.tell(years(115));
    assert_ok(&super::probe_in(&context, "http", options.clone()).await);
    wall.tell(years(125));
    let seen = super::probe_in(&context, "http", options).await;
    assert_fails(&seen, Phase::Tls, Reason::CertExpired, "certificate expired on 2090-01-01");
}

#[tokio::test]
async fn the_end_of_validity_is_recorded_in_any_case() {
    let authority = Authority::new();
    let new_year_2021 = Timestamp::from_micros(1_609_459_200_000_000);
    for tls in [json!({"ca": authority.pem}), json!({"verify": false})] {
        let config = authority.server("localhost", (2020, 2021));
        let seen = asked(config, tls, json!({})).await;
        assert_eq!(seen.evidence.cert_not_after, Some(new_year_2021));
    }
}

#[tokio::test]
async fn verification_can_be_told_off_or_another_name() {
    let authority = Authority::new();
    let careless = authority.server("other.example", (2020, 2021));
    assert_ok(&asked(careless, json!({"verify": false}), json!({})).await);
    let named = authority.server("other.example", VALID);
    let tls = json!({"ca": authority.pem, "server_name": "other.example"});
    assert_ok(&asked(named, tls, json!({})).await);
}

#[tokio::test]
async fn old_versions_of_tls_are_told() {
    // An alert of level fatal, "protocol version". Source: RFC 8446, section 6.
    let server = server::serve(|mut stream| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut hello = [0; 512];
        drop(stream.read(&mut hello).await);
        drop(stream.write_all(&[21, 3, 1, 0, 2, 2, 70]).await);
        drop(stream.read(&mut hello).await);
    })
    .await;
    let seen = probe("http", json!({"url": server.https("/")})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsVersion, "neither TLS 1.2 nor TLS 1.3");
}

#[tokio::test]
async fn no_session_is_resumed() {
    let authority = Authority::new();
    let config = authority.server("localhost", VALID);
    let server = server::https(config, |_, _| reply(200, &[], "")).await;
    let options = json!({"url": server.https("/"), "tls": {"ca": authority.pem}});
    let context = super::context(quorate_checks::Egress::Direct, super::loopback());
    for _ in 0..2 {
        let seen = super::probe_in(&context, "http", options.clone()).await;
        assert_ok(&seen);
        // Only a whole handshake carries a certificate.
        assert!(seen.evidence.cert_not_after.is_some());
    }
}

/// Another host is called by its own name, whatever the check calls its server.
#[tokio::test]
async fn the_name_of_the_checks_server_stays_with_it() {
    let authority = Authority::new();
    let elsewhere =
        server::https(authority.server("localhost", VALID), |_, _| reply(200, &[], "")).await;
    let to = elsewhere.https("/");
    let first = server::http(move |_, _| reply(302, &[("location", to.as_str())], "")).await;
    assert!(first.url("/").contains("//127.0.0.1:"), "two hosts");
    let tls = json!({"ca": authority.pem, "server_name": "shop.example.com"});
    let seen = probe("http", json!({"url": first.url("/"), "tls": tls})).await;
    assert_ok(&seen);
}
