//! The kind `tls`.

use std::sync::Arc;

use quorate_model::{Observation, Phase, Reason};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{self, Server};
use super::tls::Authority;
use super::{assert_fails, assert_ok, probe};

async fn serve(config: ServerConfig) -> Server {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    server::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            drop(acceptor.accept(stream).await);
        }
    })
    .await
}

async fn ask(server: &Server, authority: &Authority, more: Value) -> Observation {
    let mut options = json!({
        "address": format!("localhost:{}", server.address.port()),
        "tls": {"ca": authority.pem},
    });
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("tls", options).await
}

#[tokio::test]
async fn a_good_certificate_and_what_it_shows() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", (2020, 2090))).await;
    let seen = ask(&server, &authority, json!({})).await;
    assert_ok(&seen);
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Assert]);
    let facts = seen.evidence.tls.expect("facts");
    assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
    let pinned = facts.chain[0].sha256.to_uppercase();
    let mut coloned = String::new();
    for (index, digit) in pinned.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            coloned.push(':');
        }
        coloned.push(digit);
    }
    let expect = json!({
        "expires_in": "365d",
        "names": ["LOCALHOST"],
        "key": ["RSA", "EC P-256"],
        "key_bits": 256,
        "fingerprint": ["00".repeat(32), coloned],
        "alpn": "h2",
    });
    assert_ok(&ask(&server, &authority, json!({"alpn": ["h2"], "expect": expect})).await);
}

#[tokio::test]
async fn what_is_asserted_and_does_not_hold() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", (2020, 2090))).await;
    for (expect, reason, message) in [
        (
            json!({"expires_in": "36500d"}),
            Reason::CertExpiresSoon,
            "the certificate ends at 2090-01-01",
        ),
        (
            json!({"names": ["localhost", "shop.example"]}),
            Reason::CertHostMismatch,
            "not for shop.example",
        ),
        (json!({"key": ["RSA"]}), Reason::CertWeak, "\"EC P-256\", expected RSA"),
        (json!({"key_bits": 384}), Reason::CertWeak, "256 bits, expected at least 384"),
        (
            json!({"fingerprint": ["ab".repeat(32)]}),
            Reason::CertNotPinned,
            "has the SHA-256 digest",
        ),
        (json!({"ocsp_staple": true}), Reason::OcspMissing, "no OCSP staple"),
        (json!({"latency": "0s"}), Reason::Latency, "expected at most 0s"),
        (json!({"alpn": "http/1.1"}), Reason::TlsHandshake, "\"h2\", expected \"http/1.1\""),
    ] {
        let more = json!({"alpn": ["h2", "http/1.1"], "expect": expect});
        assert_fails(&ask(&server, &authority, more).await, Phase::Assert, reason, message);
    }
}

#[tokio::test]
async fn a_bad_certificate_is_told_with_its_end() {
    let authority = Authority::new();
    let old = serve(authority.server("localhost", (2020, 2021))).await;
    let seen = ask(&old, &authority, json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertExpired, "expired on 2021-01-01");
    assert!(seen.evidence.cert_not_after.is_some());
    let lax = json!({"tls": {"verify": false}, "expect": {"expires_in": "1d"}});
    assert_fails(
        &ask(&old, &authority, lax).await,
        Phase::Assert,
        Reason::CertExpiresSoon,
        "2021-01-01",
    );
    let other = serve(authority.server("other.example", (2020, 2090))).await;
    let seen = ask(&other, &authority, json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertHostMismatch, "not for localhost");
    let plain = server::raw("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let seen = ask(&plain, &authority, json!({})).await;
    assert_eq!(seen.outcome.word(), "fail", "{seen:?}");
}

#[tokio::test]
async fn the_oldest_version_is_an_assertion() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", (2020, 2090))).await;
    let trusting =
        |version: &str, value: &str| json!({"tls": {"ca": authority.pem, version: value}});
    assert_ok(&ask(&server, &authority, trusting("min_version", "1.3")).await);
    let seen = ask(&server, &authority, trusting("max_version", "1.2")).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TLSv1.2"));
}

#[tokio::test]
async fn after_a_word_in_plain_text() {
    let authority = Authority::new();
    let acceptor =
        tokio_rustls::TlsAcceptor::from(Arc::new(authority.server("localhost", (2020, 2090))));
    let server = server::serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut asked = [0; 8];
            if stream.read_exact(&mut asked).await.is_ok() && stream.write_all(b"S").await.is_ok() {
                drop(acceptor.accept(stream).await);
            }
        }
    })
    .await;
    assert_ok(&ask(&server, &authority, json!({"starttls": "postgres"})).await);
}
