//! What is kept of certificates, also of those that are bad or meant to do harm.

use std::time::Duration;

use quorate_model::{Observation, Phase, Reason, TlsFacts};
use rcgen::{
    CertificateParams, CustomExtension, DnType, Issuer, KeyPair, PublicKeyData, SigningKey,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::tls::{Authority, VALID, asked, authority, config, leaf};
use super::{assert_fails, assert_ok};

#[track_caller]
fn facts(seen: &Observation) -> &TlsFacts {
    seen.evidence.tls.as_deref().expect("facts of the handshake")
}

/// The extension by which a certificate says where its issuer's is. Source: RFC 5280, section
/// 4.2.2.1.
fn issuer_at(url: &str) -> CustomExtension {
    let length = |text: &[u8]| u8::try_from(text.len()).expect("a short text");
    let location = [&[0x86, length(url.as_bytes())], url.as_bytes()].concat();
    let method = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let access = [&method[..], &location].concat();
    let access = [&[0x30, length(&access)], &access[..]].concat();
    let content = [&[0x30, length(&access)], &access[..]].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

#[tokio::test]
async fn a_handshake_tells_what_was_agreed_on_and_who_stands_behind() {
    let root = Authority::new();
    let mut between = authority("an authority between");
    between.not_after = date_time_ymd(2041, 1, 1);
    let between = root.below(between);
    let mut params = leaf("localhost", VALID);
    params.serial_number = Some(vec![1, 0xab].into());
    let config = between.serving(&params, &[&between.certificate]);
    let seen = asked(config, json!({"ca": root.pem}), json!({})).await;
    assert_ok(&seen);
    let facts = facts(&seen);
    assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(facts.cipher.as_deref(), Some("TLS13_AES_256_GCM_SHA384"));
    assert_eq!(facts.alpn.as_deref(), Some("h2"));
    assert!(!facts.ocsp_stapled && !facts.client_certificate_asked);
    assert_eq!((facts.sent, facts.chain.len()), (2, 2));
    let own = &facts.chain[0];
    assert_eq!(
        (own.subject.as_str(), own.names.as_slice()),
        ("CN=a server", &["localhost".into()][..])
    );
    assert_eq!(own.issuer, "CN=an authority between");
    assert_eq!(own.serial, "01ab");
    assert_eq!((own.key.as_str(), own.key_bits), ("EC P-256", 256));
    assert_eq!(own.signature, "ecdsa-with-SHA256");
    assert_eq!(own.sha256.len(), 64);
    assert_eq!(seen.evidence.cert_not_after, Some(own.not_after));
    // The one between ends first, and with it the whole chain.
    assert_eq!(facts.chain_not_after(), Some(facts.chain[1].not_after));
    assert!(facts.chain[1].not_after < own.not_after);
}

#[tokio::test]
async fn chains_that_lead_nowhere_are_told_apart() {
    let root = Authority::new();
    let between = root.below(authority("an authority between"));
    let mut published = authority("an authority that says who issued it");
    published.custom_extensions.push(issuer_at("http://ca.example/root.der"));
    let published = root.below(published);
    let server = leaf("localhost", VALID);
    let missing = |issuer: &str| format!("the certificate of its issuer \"CN={issuer}\"");
    for (what, config, ca, reason, message) in [
        (
            "the one between is not sent",
            between.serving(&server, &[]),
            Some(&root),
            Reason::CertIncompleteChain,
            missing("an authority between"),
        ),
        (
            "the root is sent and not trusted",
            root.serving(&server, &[&root.certificate]),
            None,
            Reason::CertUntrusted,
            "issuer is not trusted".to_owned(),
        ),
        (
            "the one between is sent, and its issuer is not published",
            between.serving(&server, &[&between.certificate]),
            None,
            Reason::CertUntrusted,
            "issuer is not trusted".to_owned(),
        ),
        (
            "the one between says where its issuer is",
            published.serving(&server, &[&published.certificate]),
            None,
            Reason::CertIncompleteChain,
            missing("an authority of the tests"),
        ),
    ] {
        let tls = ca.map_or_else(|| json!({}), |ca| json!({"ca": ca.pem}));
        let seen = asked(config, tls, json!({})).await;
        assert_fails(&seen, Phase::Tls, reason, &message);
        assert_eq!(facts(&seen).chain[0].names, ["localhost"], "{what}");
        assert!(seen.evidence.cert_not_after.is_some(), "{what}");
        assert_eq!(facts(&seen).version, None, "{what}");
    }
}

#[tokio::test]
async fn the_common_name_does_not_count() {
    let root = Authority::new();
    let trusted = json!({"ca": root.pem});
    let mut nameless = leaf("localhost", VALID);
    nameless.distinguished_name = rcgen::DistinguishedName::new();
    assert_ok(&asked(root.serving(&nameless, &[]), trusted.clone(), json!({})).await);
    let mut only_common = leaf("localhost", VALID);
    only_common.subject_alt_names.clear();
    only_common.distinguished_name.push(DnType::CommonName, "localhost");
    let seen = asked(root.serving(&only_common, &[]), trusted, json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertHostMismatch, "not for localhost");
}

#[tokio::test]
async fn many_names_are_counted_and_a_hundred_kept() {
    let root = Authority::new();
    let names = |count| (0..count).map(|number| format!("{number}.example"));
    let params = |count| {
        let mut params = leaf("localhost", VALID);
        let more = CertificateParams::new(names(count).collect::<Vec<_>>()).expect("names");
        params.subject_alt_names.extend(more.subject_alt_names);
        params
    };
    let trusted = json!({"ca": root.pem});
    let seen = asked(root.serving(&params(3_000), &[]), trusted.clone(), json!({})).await;
    assert_ok(&seen);
    let own = &facts(&seen).chain[0];
    assert_eq!((own.names.len(), own.names_total), (100, 3_001));
    let seen = asked(root.serving(&params(10_000), &[]), trusted, json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsHandshake, "more than 64 KiB");
}

#[tokio::test]
async fn of_a_long_chain_ten_are_looked_at() {
    let root = Authority::new();
    let idle: Vec<_> = (0..99)
        .map(|number| root.below(authority(&format!("of no use {number}"))).certificate)
        .collect();
    let idle: Vec<&CertificateDer<'_>> = idle.iter().collect();
    let config = root.serving(&leaf("localhost", VALID), &idle);
    let seen = asked(config, json!({"ca": root.pem}), json!({})).await;
    assert_ok(&seen);
    assert_eq!((facts(&seen).sent, facts(&seen).chain.len()), (100, 10));
}

#[tokio::test]
async fn issuers_that_go_in_a_circle() {
    let (one, other) = (authority("one"), authority("other"));
    let (one_key, other_key) =
        (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let one_issuer = Issuer::new(one.clone(), KeyPair::generate().expect("a key"));
    let by_one = other.signed_by(&other_key, &one_issuer).expect("a certificate").into();
    let other_issuer = Issuer::new(other, other_key);
    let by_other = one.signed_by(&one_key, &other_issuer).expect("a certificate").into();
    let key = KeyPair::generate().expect("a key");
    let own = leaf("localhost", VALID).signed_by(&key, &other_issuer).expect("a certificate");
    let seen = asked(config(vec![own.into(), by_one, by_other], &key), json!({}), json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertUntrusted, "issuer is not trusted");
}

/// A key of an authority that nobody would use, and that signs with nonsense.
struct Huge {
    der: Vec<u8>,
}

impl Huge {
    /// An RSA key of 16,384 bits. Source: RFC 8017, appendix A.1.1.
    fn new() -> Self {
        let modulus = [&[0x02, 0x82, 0x08, 0x01, 0x00][..], &[0xc5; 2_048]].concat();
        let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
        let length = u16::try_from(modulus.len() + exponent.len()).expect("a length");
        let der = [&[0x30, 0x82], &length.to_be_bytes()[..], &modulus, &exponent].concat();
        Self { der }
    }
}

impl PublicKeyData for Huge {
    fn der_bytes(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Huge {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![7; 2_048])
    }
}

#[tokio::test]
async fn a_huge_key_is_refused() {
    let params = authority("an authority with a huge key");
    let certificate = params.self_signed(&Huge::new()).expect("a certificate");
    let issuer = Issuer::new(params, Huge::new());
    let key = KeyPair::generate().expect("a key");
    let own = leaf("localhost", VALID).signed_by(&key, &issuer).expect("a certificate");
    let pem = certificate.pem();
    let config = config(vec![own.into(), certificate.into()], &key);
    let seen = asked(config, json!({"ca": pem}), json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertUntrusted, "not acceptable");
    let huge = &facts(&seen).chain[1];
    assert_eq!((huge.key.as_str(), huge.key_bits), ("RSA", 16_384));
}

#[tokio::test]
async fn odd_text_in_names_is_cut_and_changes_nothing() {
    let root = Authority::new();
    let trusted = json!({"ca": root.pem});
    for name in ["a\0b\nc", "\u{1b}]0;owned\u{7}", "\u{202e}moc.elpmaxe", &"x".repeat(30_000)] {
        let mut params = leaf("localhost", (1971, 9999));
        params.distinguished_name.push(DnType::CommonName, name);
        let seen = asked(root.serving(&params, &[]), trusted.clone(), json!({})).await;
        assert_ok(&seen);
        let subject = &facts(&seen).chain[0].subject;
        assert!(subject.len() <= 256, "{} bytes", subject.len());
        let kept: String = name.chars().take(10).collect();
        assert!(subject.contains(&kept), "{subject:?}");
    }
}

#[tokio::test]
async fn facts_are_kept_of_a_handshake_that_is_not_verified() {
    let root = Authority::new();
    let config = root.server("other.example", (2020, 2021));
    let seen = asked(config, json!({"verify": false}), json!({})).await;
    assert_ok(&seen);
    assert_eq!(facts(&seen).chain[0].names, ["other.example"]);
    let year = Duration::from_secs(365 * 86_400);
    let ended = facts(&seen).chain_not_after().expect("an end");
    assert!(ended < quorate_model::Timestamp::EPOCH + year * 52);
}
