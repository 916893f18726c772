use insta::assert_snapshot;
use quorate_model::{CertificateFacts, Evidence, Phase, Reason, Timestamp};

use super::*;

fn timing(phase: Phase, micros: u64) -> PhaseTiming {
    PhaseTiming { phase, elapsed: Duration::from_micros(micros) }
}

fn hop(url: &str, status: u16, location: Option<&str>) -> HttpHop {
    HttpHop {
        method: "GET".to_owned(),
        url: url.to_owned(),
        status,
        address: "192.0.2.1".parse().ok(),
        location: location.map(str::to_owned),
        phases: vec![
            timing(Phase::Dns, 4_000),
            timing(Phase::Connect, 20_000),
            timing(Phase::Tls, 41_000),
            timing(Phase::Send, 90),
            timing(Phase::Ttfb, 120_000),
            timing(Phase::Transfer, 400),
        ],
    }
}

fn seen(outcome: Outcome, hops: Vec<HttpHop>, message: &str) -> Observation {
    let phases = hops.first().map(|hop| hop.phases.clone()).unwrap_or_default();
    Observation {
        outcome,
        total: Duration::from_micros(185_490 * u64::try_from(hops.len().max(1)).unwrap()),
        phases,
        evidence: Evidence {
            message: message.to_owned(),
            resolved: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            address: "192.0.2.1".parse().ok(),
            status: hops.last().map(|hop| hop.status),
            hops,
            protocol: Some("HTTP/2".to_owned()),
            cert_not_after: Some(Timestamp::from_micros(1_790_000_000_000_000)),
            body_bytes: Some(1_270),
            ..Evidence::default()
        },
    }
}

#[test]
fn one_answer() {
    let hops = vec![hop("https://shop.example.com/", 200, None)];
    assert_snapshot!(draw("http https://shop.example.com/", &seen(Outcome::Ok, hops, ""), false));
}

#[test]
fn a_redirect_that_fails() {
    let hops = vec![
        hop("http://shop.example.com/", 301, Some("https://shop.example.com/")),
        hop("https://shop.example.com/", 503, None),
    ];
    let outcome = Outcome::Fail { phase: Phase::Assert, reason: Reason::Status };
    let seen = seen(outcome, hops, "status 503, expected 200\u{1b}[2J");
    let text = draw("http http://shop.example.com/", &seen, false);
    assert!(!text.contains('\u{1b}'));
    assert_snapshot!(text);
}

#[test]
fn what_a_handshake_showed() {
    let hops = vec![hop("https://shop.example.com/", 200, None)];
    let mut seen = seen(Outcome::Ok, hops, "");
    let certificate = |not_after| CertificateFacts {
        subject: "CN=shop\u{1b}]0;owned\u{7}.example.com".to_owned(),
        issuer: "C=DE, CN=An Authority R3".to_owned(),
        names: (0..100).map(|number| format!("{number}.shop.example.com")).collect(),
        names_total: 250,
        serial: "0a1b2c".to_owned(),
        key: "RSA".to_owned(),
        key_bits: 2_048,
        signature: "sha256WithRSAEncryption".to_owned(),
        not_before: Timestamp::from_micros(1_780_000_000_000_000),
        not_after: Timestamp::from_micros(not_after),
        sha256: "5e".repeat(32),
    };
    seen.evidence.tls = Some(Box::new(TlsFacts {
        version: Some("TLSv1.3".to_owned()),
        cipher: Some("TLS13_AES_256_GCM_SHA384".to_owned()),
        alpn: Some("h2".to_owned()),
        ocsp_stapled: true,
        client_certificate_asked: true,
        sent: 2,
        chain: vec![certificate(1_790_000_000_000_000), certificate(1_785_000_000_000_000)],
    }));
    let text = draw("http https://shop.example.com/", &seen, false);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    assert_snapshot!(text);
}

#[test]
fn nothing_at_all() {
    let outcome = Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };
    let observation = Observation {
        outcome,
        total: Duration::ZERO,
        phases: vec![timing(Phase::Connect, 0)],
        evidence: Evidence::default(),
    };
    assert_snapshot!(draw("tcp 192.0.2.1:1", &observation, false));
}
