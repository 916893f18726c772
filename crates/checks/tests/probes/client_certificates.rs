//! Servers that want a certificate of the client's, and the versions that a check allows.

use std::sync::Arc;

use quorate_checks::kind;
use quorate_model::{Observation, Phase, Reason};
use rcgen::{CertificateParams, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde_json::{Value, json};

use super::tls::{Authority, VALID, asked, leaf};
use super::{assert_fails, assert_ok};

/// A certificate of a client's and its key, as options.
fn client(authority: &Authority) -> Value {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["a client".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &authority.issuer).expect("a certificate");
    json!({"cert": certificate.pem(), "key": key.serialize_pem()})
}

/// A server that wants clients to be known to `clients`.
fn wanting(
    authority: &Authority,
    clients: &Authority,
    version: &'static SupportedProtocolVersion,
    optional: bool,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate.clone()).expect("a root");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
    let plain = authority.serving(&leaf("localhost", VALID), &[]);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_cert_resolver(plain.cert_resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

async fn shown(config: ServerConfig, authority: &Authority, own: Option<Value>) -> Observation {
    let mut tls = json!({"ca": authority.pem});
    if let Some(own) = own {
        tls["client"] = own;
    }
    asked(config, tls, json!({})).await
}

#[tokio::test]
async fn a_certificate_of_the_clients_is_shown_missed_or_refused() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let config = || wanting(&authority, &clients, version, false);
        let seen = shown(config(), &authority, Some(client(&clients))).await;
        assert_ok(&seen);
        assert!(seen.evidence.tls.expect("facts").client_certificate_asked);
        let seen = shown(config(), &authority, None).await;
        let wants = "the server wants a client certificate";
        assert_fails(&seen, Phase::Tls, Reason::TlsClientCert, wants);
        assert!(seen.evidence.tls.expect("facts").client_certificate_asked);
        let seen = shown(config(), &authority, Some(client(&authority))).await;
        let refuses = "the server refuses the client certificate";
        assert_fails(&seen, Phase::Tls, Reason::TlsClientCert, refuses);
        let optional = wanting(&authority, &clients, version, true);
        assert_ok(&shown(optional, &authority, None).await);
    }
}

#[tokio::test]
async fn a_check_allows_some_versions_only() {
    let authority = Authority::new();
    for (server, allowed, spoken) in [
        (&TLS12, json!({}), Some("TLSv1.2")),
        (&TLS12, json!({"max_version": "1.2"}), Some("TLSv1.2")),
        (&TLS12, json!({"min_version": 1.3}), None),
        (&TLS13, json!({"min_version": "1.3"}), Some("TLSv1.3")),
        (&TLS13, json!({"max_version": 1.2}), None),
    ] {
        let config = wanting(&authority, &authority, server, true);
        let mut tls = allowed;
        tls["ca"] = authority.pem.clone().into();
        let seen = asked(config, tls, json!({})).await;
        match spoken {
            Some(version) => {
                assert_ok(&seen);
                let facts = seen.evidence.tls.expect("facts");
                assert_eq!(facts.version.as_deref(), Some(version));
            }
            None => assert_fails(&seen, Phase::Tls, Reason::TlsVersion, "the server speaks no TLS"),
        }
    }
}

#[test]
fn a_key_that_does_not_fit_is_refused_and_never_shown() {
    let authority = Authority::new();
    let (one, other) = (client(&authority), client(&authority));
    let options = |cert: &Value, key: &Value| json!({"url": "https://x", "tls": {"client": {"cert": cert, "key": key}}});
    let http = kind("http").expect("http");
    let probe = http.parse(&options(&one["cert"], &one["key"])).expect("valid");
    assert!(!format!("{probe:?}").contains("PRIVATE"));
    for (options, problem) in [
        (options(&one["cert"], &other["key"]), "tls.client: cannot be used"),
        (options(&one["cert"], &one["cert"]), "tls.client.key: holds no private key"),
        (options(&json!("x"), &one["key"]), "tls.client.cert: holds no certificate"),
        (json!({"url": "https://x", "tls": {"client": {}}}), "tls.client: cert is missing"),
        (
            json!({"url": "https://x", "tls": {"min_version": 1.3, "max_version": 1.2}}),
            "tls.min_version: is newer than max_version",
        ),
    ] {
        let problems = http.parse(&options).expect_err("must be refused");
        let text = problems[0].to_string();
        assert!(text.starts_with(problem), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
}
