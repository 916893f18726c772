//! What crosses the wire comes back; what cannot be is refused by name.

use std::time::Duration;

use quorate_model::{
    AgentSettings, BlockReason, BootId, CertificateFacts, DnsFacts, Doubt, Evidence, GrpcFacts,
    Health, HttpHop, MeasuredResult, Observation, OtherFamily, Outcome, Phase, PhaseTiming,
    PingFacts, ProbeSpec, Reason, Revision, RoundId, RoundTrips, Timestamp, TlsFacts,
};
use serde_json::json;

use super::*;

fn measured(outcome: Outcome) -> MeasuredResult {
    let timing = |phase, millis| PhaseTiming { phase, elapsed: Duration::from_millis(millis) };
    MeasuredResult {
        sequence: 7,
        check: "shop".parse().unwrap(),
        revision: Revision(u64::MAX),
        round: Some(RoundId(42)),
        started_at: Duration::from_micros(5_000_001),
        ended_at: Duration::from_micros(5_250_001),
        health: Health::Overloaded,
        observation: Observation {
            outcome,
            total: Duration::from_millis(250),
            phases: vec![timing(Phase::Dns, 10), timing(Phase::Assert, 1)],
            evidence: Evidence {
                message: "what happened".into(),
                resolved: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
                address: Some("192.0.2.1".parse().unwrap()),
                status: Some(503),
                hops: vec![HttpHop {
                    method: "GET".into(),
                    url: "https://shop.example.com/".into(),
                    status: 503,
                    address: None,
                    location: Some("/elsewhere".into()),
                    phases: vec![timing(Phase::Ttfb, 200)],
                }],
                protocol: Some("HTTP/2".into()),
                cert_not_after: Some(Timestamp::from_micros(-1)),
                tls: Some(Box::new(handshake())),
                pop_hint: Some("FRA".into()),
                resolver: Some(quorate_model::ResolverUse::Second),
                retry_after: Some(Duration::from_secs(120)),
                body_bytes: Some(0),
                wire_bytes: Some(1),
                allow: Some("GET, HEAD".into()),
                interim: vec![100, 103],
                other_family: Some(OtherFamily {
                    address: "2001:db8::1".parse().unwrap(),
                    outcome: Outcome::Fail { phase: Phase::Tls, reason: Reason::CertExpired },
                }),
                dns: Some(Box::new(DnsFacts {
                    rcode: "NOERROR".into(),
                    flags: vec!["ra".into(), "ad".into()],
                    answers: vec!["shop.example.com A 192.0.2.1".into()],
                    answer_count: 1,
                    authority_count: 2,
                    additional_count: u16::MAX,
                    serial: Some(u32::MAX),
                })),
                ping: Some(Box::new(PingFacts {
                    sent: 3,
                    received: 2,
                    round_trips: Some(RoundTrips {
                        shortest: Duration::from_micros(90),
                        mean: Duration::from_micros(120),
                        longest: Duration::from_micros(150),
                    }),
                })),
                grpc: Some(Box::new(GrpcFacts { status: 16, serving: "NOT_SERVING".into() })),
                close_code: Some(1001),
            },
        },
    }
}

fn handshake() -> TlsFacts {
    TlsFacts {
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS13_AES_256_GCM_SHA384".into()),
        alpn: Some("h2".into()),
        ocsp_stapled: true,
        client_certificate_asked: true,
        sent: 12,
        chain: vec![CertificateFacts {
            subject: "CN=shop.example.com".into(),
            issuer: "CN=an authority".into(),
            names: vec!["shop.example.com".into(), "192.0.2.1".into()],
            names_total: 200,
            serial: "0a1b".into(),
            key: "EC P-256".into(),
            key_bits: 256,
            signature: "ecdsa-with-SHA256".into(),
            not_before: Timestamp::from_micros(-62_167_219_200_000_000),
            not_after: Timestamp::from_micros(253_402_300_799_000_000),
            sha256: "ab".repeat(32),
        }],
    }
}

#[test]
fn facts_of_a_handshake_are_bounded() {
    let mut result = measured(Outcome::Ok);
    let mut facts = handshake();
    let names = (0..1_000).map(|number| format!("{number}.{}", "x".repeat(300)));
    facts.chain[0].names = names.collect();
    facts.chain[0].subject = "y".repeat(10_000);
    facts.chain = vec![facts.chain[0].clone(); 50];
    result.observation.evidence.tls = Some(Box::new(facts));
    let wire = measured_to_wire(&result);
    let sent = wire.evidence.clone().unwrap().tls.unwrap();
    assert_eq!(sent.chain.len(), 10);
    let names = |certificate: &crate::agent::v1::CertificateFacts| -> usize {
        certificate.names.iter().map(String::len).sum()
    };
    assert!(sent.chain.iter().all(|one| names(one) <= 4_096 && one.subject.len() <= 256));
    let kept = measured_from_wire(wire).unwrap().observation.evidence.tls.unwrap();
    assert_eq!(kept.chain.len(), 10);
}

fn received() -> Received {
    Received {
        agent: "agent-1".parse().unwrap(),
        region: "fra".parse().unwrap(),
        boot: BootId(9),
        received: Timestamp::from_micros(1_000_000_000),
        sent_at: Duration::from_micros(7_000_001),
        half_round_trip: Duration::from_millis(30),
    }
}

#[test]
fn every_outcome_comes_back() {
    let mut outcomes = vec![Outcome::Ok, Outcome::Slow];
    for phase in Phase::ALL {
        outcomes.extend(
            Reason::ALL.iter().map(|reason| Outcome::Fail { phase: *phase, reason: *reason }),
        );
    }
    outcomes.extend(BlockReason::ALL.iter().map(|reason| Outcome::Blocked { reason: *reason }));
    outcomes.extend(Doubt::ALL.iter().map(|reason| Outcome::Inconclusive { reason: *reason }));
    for outcome in outcomes {
        let result = measured(outcome);
        assert_eq!(measured_from_wire(measured_to_wire(&result)), Ok(result));
    }
}

#[test]
fn an_empty_result_comes_back() {
    let mut result = measured(Outcome::Ok);
    result.round = None;
    result.observation.phases.clear();
    result.observation.evidence = Evidence::default();
    assert_eq!(measured_from_wire(measured_to_wire(&result)), Ok(result));
}

#[test]
fn the_start_is_the_receipt_less_age_and_half_a_round_trip() {
    let made = result(measured_to_wire(&measured(Outcome::Ok)), &received()).unwrap();
    assert_eq!(made.started, Timestamp::from_micros(1_000_000_000 - 2_000_000 - 30_000));
    assert_eq!(made.id.sequence, 7);
    assert_eq!(made.id.boot, BootId(9));
    assert_eq!(made.region.as_str(), "fra");
    assert_eq!(made.observation.total, Duration::from_millis(250));
}

#[test]
fn a_start_after_the_sending_has_no_age() {
    let early = Received { sent_at: Duration::ZERO, ..received() };
    let made = result(measured_to_wire(&measured(Outcome::Ok)), &early).unwrap();
    assert_eq!(made.started, Timestamp::from_micros(1_000_000_000 - 30_000));
}

#[test]
fn a_suspicion_starts_its_age_ago() {
    let suspect = wire::Suspect {
        check: "shop".into(),
        revision: 3,
        phase: "connect".into(),
        age: Some(duration_to_wire(Duration::from_secs(2))),
        health: health_to_wire(Health::Fine),
    };
    let made = suspicion(&suspect, &received()).unwrap();
    assert_eq!(made.started, Timestamp::from_micros(1_000_000_000 - 2_000_000 - 30_000));
    assert_eq!(made.phase, Phase::Connect);
}

#[test]
fn bad_fields_are_named() {
    let good = || {
        measured_to_wire(&measured(Outcome::Fail { phase: Phase::Dns, reason: Reason::Timeout }))
    };
    let field_of = |change: fn(&mut wire::Result)| {
        let mut result = good();
        change(&mut result);
        measured_from_wire(result).unwrap_err().to_string()
    };
    for (change, field) in [
        ((|r| r.sequence = 0) as fn(&mut wire::Result), "sequence"),
        (|r| r.check = "Shop!".into(), "check"),
        (|r| r.started_at = None, "started_at"),
        (|r| r.started_at.as_mut().unwrap().seconds = -1, "started_at"),
        (|r| r.ended_at.as_mut().unwrap().nanos = 1_000_000_000, "ended_at"),
        (|r| r.ended_at.as_mut().unwrap().seconds = 1, "ended_at"),
        (|r| r.outcome = "fine".into(), "outcome"),
        (|r| r.phase = "warp".into(), "phase"),
        (|r| r.reason = "rate_limit".into(), "reason"),
        (|r| r.health = 0, "health"),
        (|r| r.health = 77, "health"),
        (|r| r.phases[0].phase = "lunch".into(), "phases.phase"),
        (|r| r.evidence.as_mut().unwrap().address = "nowhere".into(), "evidence.address"),
        (|r| r.evidence.as_mut().unwrap().resolved[0] = "999.1.1.1".into(), "evidence.resolved"),
        (|r| r.evidence.as_mut().unwrap().status = 70_000, "evidence.status"),
        (|r| r.evidence.as_mut().unwrap().hops[0].status = 0, "evidence.hops.status"),
        (|r| r.evidence.as_mut().unwrap().body_bytes = Some(-1), "evidence.body_bytes"),
    ] {
        let message = field_of(change);
        assert!(message.starts_with(&format!("field {field} ")), "{message}");
    }
}

#[test]
fn what_is_too_long_is_cut_between_characters() {
    let mut result = measured_to_wire(&measured(Outcome::Ok));
    let evidence = result.evidence.as_mut().unwrap();
    evidence.message = "ä".repeat(100_000) + "x";
    evidence.resolved = vec!["192.0.2.1".into(); 1_000];
    evidence.hops = vec![evidence.hops[0].clone(); 1_000];
    evidence.protocol = "x".repeat(10_000);
    result.phases = vec![result.phases[0].clone(); 1_000];
    let made = measured_from_wire(result).unwrap().observation;
    assert_eq!(made.evidence.message, "ä".repeat(512));
    assert_eq!(made.evidence.resolved.len(), 16);
    assert_eq!(made.evidence.hops.len(), 14);
    assert_eq!(made.evidence.protocol.unwrap().len(), 128);
    assert_eq!(made.phases.len(), 7);
}

#[test]
fn an_unknown_word_is_repeated_only_in_part() {
    let mut result = measured_to_wire(&measured(Outcome::Ok));
    result.outcome = "o".repeat(1_000_000);
    assert!(measured_from_wire(result).unwrap_err().to_string().len() < 200);
}

fn spec() -> ProbeSpec {
    ProbeSpec {
        check: "shop".parse().unwrap(),
        revision: Revision(11),
        kind: "http".parse().unwrap(),
        options: json!({
            "url": "https://shop.example.com/",
            "expect": { "status": [200, 9_007_199_254_740_992_i64, -3], "ratio": 0.25, "json": { "$.a": null } },
            "follow": false,
            "empty": {},
        }),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        slow_after: Duration::from_secs(5),
        suspect_after: Duration::from_millis(1_999),
    }
}

#[test]
fn a_spec_comes_back_with_its_integers() {
    let made = spec_from_wire(spec_to_wire(&spec())).unwrap();
    assert_eq!(made, spec());
    assert!(made.options["expect"]["status"][0].is_i64());
}

#[test]
fn a_spec_without_options_or_times_is_refused() {
    let mut bad = spec_to_wire(&spec());
    bad.options = None;
    assert_eq!(spec_from_wire(bad), Err(WireError::Missing { field: "options" }));
    let mut bad = spec_to_wire(&spec());
    bad.interval = Some(prost_types::Duration::default());
    assert!(spec_from_wire(bad).is_err());
    let mut bad = spec_to_wire(&spec());
    bad.kind = String::new();
    assert!(spec_from_wire(bad).is_err());
}

#[test]
fn options_that_json_cannot_say_are_refused() {
    use prost_types::value::Kind;
    let with = |kind| prost_types::Struct {
        fields: [("a".to_owned(), prost_types::Value { kind })].into(),
    };
    assert!(options_from_wire(with(Some(Kind::NumberValue(f64::NAN)))).is_err());
    assert!(options_from_wire(with(None)).is_err());
    let mut deep = with(Some(Kind::BoolValue(true)));
    for _ in 0..40 {
        deep = with(Some(Kind::StructValue(deep)));
    }
    assert!(options_from_wire(deep).is_err());
}

#[test]
fn settings_come_back_and_are_bounded() {
    let settings = AgentSettings {
        heartbeat: Duration::from_secs(2),
        anchor_interval: Duration::from_secs(10),
        anchor_timeout: Duration::from_millis(300),
        anchors: vec!["192.0.2.53:53".into()],
    };
    let made = settings_to_wire(&settings);
    assert_eq!(settings_from_wire(made.clone()), Ok(settings));
    let mut bad = made.clone();
    bad.anchors = vec!["a:1".into(); 17];
    assert!(settings_from_wire(bad).is_err());
    let mut bad = made;
    bad.heartbeat_interval = None;
    assert!(settings_from_wire(bad).is_err());
}

#[test]
fn a_heartbeat_names_the_anchors_that_fail() {
    let mut beat = wire::Heartbeat {
        health: wire::Health::Fine.into(),
        failing_anchors: Some(0b10_1000),
        ..wire::Heartbeat::default()
    };
    let failing = Some([3, 5].into_iter().collect());
    let heard = Heartbeat { failing_anchors: failing, ..Health::Fine.into() };
    let heartbeat = |beat: &wire::Heartbeat| heartbeat(beat, Timestamp::EPOCH, None);
    assert_eq!(heartbeat(&beat), Ok(heard));
    beat.failing_anchors = None;
    assert_eq!(heartbeat(&beat), Ok(Health::Fine.into()));
    beat.failing_anchors = Some(1 << 16);
    assert!(heartbeat(&beat).is_err());
}

#[test]
fn the_senders_clock_is_compared_less_the_way() {
    let received = Timestamp::from_micros(10_000_000);
    let ahead = |sent: i64, half: Option<Duration>| {
        let beat = wire::Heartbeat {
            health: wire::Health::Fine.into(),
            send_time: Some(timestamp_to_wire(Timestamp::from_micros(sent))),
            ..wire::Heartbeat::default()
        };
        heartbeat(&beat, received, half).unwrap().clock_ahead_micros
    };
    let half = Some(Duration::from_millis(30));
    assert_eq!(ahead(9_970_000, half), Some(0));
    assert_eq!(ahead(609_970_000, half), Some(600_000_000));
    assert_eq!(ahead(-5_030_000, half), Some(-15_000_000));
    assert_eq!(ahead(9_970_000, None), None);
}
