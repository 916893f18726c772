//! Messages of the API that the goldens of tables and JSON are made from.

use quorate_proto::v1;

/// A present for relative times.
pub(super) const NOW: i64 = 1_790_000_000;

#[expect(clippy::unnecessary_wraps, reason = "the form of the wire's fields")]
fn at(seconds_ago: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: NOW - seconds_ago, nanos: 250_000_000 })
}

#[expect(clippy::unnecessary_wraps, reason = "the form of the wire's fields")]
fn span(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

fn vote(region: &str, outcome: [&str; 3], counted: &str) -> v1::Vote {
    let [outcome, phase, reason] = outcome.map(str::to_owned);
    v1::Vote {
        region: format!("regions/{region}"),
        agent: format!("agents/{region}-1"),
        outcome,
        phase,
        reason,
        start_time: at(12),
        age: span(12, 0),
        failed_in_a_row: 3,
        evidence_milli_nats: 6_887,
        one_family: false,
        counted: counted.to_owned(),
        message: "no answer to \u{1b}[31mSYN\r\n".to_owned(),
        address: "192.0.2.1".to_owned(),
    }
}

pub(super) fn verdict() -> v1::Verdict {
    v1::Verdict {
        state: v1::State::Down.into(),
        flags: vec!["recovering".to_owned()],
        cause: "target.network".to_owned(),
        also: vec!["path.provider".to_owned()],
        summary: "3 of 5 regions get no answer".to_owned(),
        since_time: at(190),
        failing_region_count: 3,
        live_region_count: 4,
        configured_region_count: 5,
        ballot: Some(v1::Ballot {
            take_time: at(10),
            quorum: 3,
            quorum_effective: 3,
            evidence_milli_nats: 20_661,
            need_milli_nats: 19_388,
            origin: Some(v1::BallotOrigin {
                check: "checks/shop-origin".to_owned(),
                finding: "works".to_owned(),
                working_region_count: 4,
                failing_region_count: 0,
                configured_region_count: 5,
                since_time: at(195),
                hold: String::new(),
            }),
            distinct: vec![v1::DistinctCount {
                label: "provider".to_owned(),
                asked_count: 2,
                live_count: 3,
                failing_values: vec!["aws".to_owned(), "hetzner".to_owned()],
            }],
            rounds: vec![17],
            votes: vec![
                vote("fra", ["fail", "connect", "timeout"], "yes"),
                vote("iad", ["ok", "", ""], "yes"),
                vote("syd", ["inconclusive", "", "island"], "island"),
                v1::Vote {
                    region: "regions/gru".to_owned(),
                    counted: "never_voted".to_owned(),
                    ..Default::default()
                },
            ],
        }),
    }
}

pub(crate) fn checks() -> Vec<v1::Check> {
    let shop = v1::Check {
        name: "checks/shop".to_owned(),
        kind: "http".to_owned(),
        target: "https://shop.example.com/\u{1b}]0;x\u{7}".to_owned(),
        interval: span(60, 0),
        timeout: span(0, 500_000_000),
        quorum: "majority".to_owned(),
        distinct: vec!["2 providers".to_owned()],
        regions: ["fra", "iad", "syd", "gru"].map(|it| format!("regions/{it}")).to_vec(),
        labels: [("team".to_owned(), "web".to_owned())].into(),
        runbook: "https://wiki.example.com/shop".to_owned(),
        verdict: Some(verdict()),
        open_incident: "incidents/01a0c450-b250-8544-9445-eab7b0117489".to_owned(),
        rejected_by: vec!["agents/gru-1".to_owned()],
    };
    let fresh = v1::Check {
        name: "checks/dns-shop".to_owned(),
        kind: "tcp".to_owned(),
        target: "192.0.2.1:53".to_owned(),
        ..Default::default()
    };
    vec![fresh, shop]
}

pub(super) fn agents() -> Vec<v1::Agent> {
    let refused = v1::ConfigError {
        check: "checks/shop".to_owned(),
        reason: "POLICY_DENIED".to_owned(),
        message: "port 25 is not allowed".to_owned(),
    };
    vec![
        v1::Agent {
            name: "agents/fra-1".to_owned(),
            region: "regions/fra".to_owned(),
            connected: true,
            health: "fine".to_owned(),
            version: "0.1.0".to_owned(),
            last_seen_time: at(1),
            join_time: at(500_000),
            spooled_result_count: 2,
            dropped_result_count: 0,
            round_trip: span(0, 12_400_000),
            clock_ahead: span(-1, -250_000_000),
            config_errors: vec![refused],
        },
        v1::Agent {
            name: "agents/syd-1".to_owned(),
            region: "regions/syd".to_owned(),
            join_time: at(60),
            ..Default::default()
        },
    ]
}

pub(super) fn regions() -> Vec<v1::Region> {
    let labels = [("country", "DE"), ("provider", "hetzner")];
    vec![v1::Region {
        name: "regions/fra".to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        state: "live".to_owned(),
        agent_count: 2,
        connected_agent_count: 1,
    }]
}

pub(super) fn past_verdicts() -> Vec<v1::PastVerdict> {
    let up = v1::Verdict {
        state: v1::State::Up.into(),
        cause: "none".to_owned(),
        summary: "fine from 4 of 5 regions: fra, iad, syd, gru".to_owned(),
        since_time: at(9_000),
        live_region_count: 4,
        configured_region_count: 5,
        ballot: Some(v1::Ballot { take_time: at(9_000), ..Default::default() }),
        ..Default::default()
    };
    vec![
        v1::PastVerdict { verdict: Some(verdict()), end_time: None },
        v1::PastVerdict { verdict: Some(up), end_time: at(10) },
    ]
}

pub(crate) fn incidents() -> Vec<v1::Incident> {
    use v1::incident::IncidentState;
    let delivery = v1::Delivery {
        receiver: "oncall".to_owned(),
        kind: "page".to_owned(),
        state: "pending".to_owned(),
        attempt_count: 2,
        last_attempt_time: at(30),
        decide_time: at(189),
        error: "connection refused".to_owned(),
    };
    let open = v1::Incident {
        name: "incidents/01a0c450-b250-8544-9445-eab7b0117489".to_owned(),
        check: "checks/shop".to_owned(),
        state: IncidentState::Open.into(),
        severity: "page".to_owned(),
        open_time: at(190),
        resolve_time: None,
        last_success_time: at(200),
        first_failure_time: at(195),
        time_to_detect: span(10, 0),
        reopened_count: 0,
        verdict: Some(verdict()),
        deliveries: vec![delivery],
        withheld_by: vec!["maintenance/move".to_owned()],
        is_past: false,
    };
    let over = v1::Incident {
        name: "incidents/01a0c450-0000-8544-9445-eab7b0117489".to_owned(),
        check: "checks/dns-shop".to_owned(),
        state: IncidentState::Resolved.into(),
        severity: "notice".to_owned(),
        open_time: at(9_000),
        resolve_time: at(5_400),
        withheld_by: vec!["silence/known".to_owned()],
        ..Default::default()
    };
    let mut seen_late = verdict();
    seen_late.flags = vec!["past".to_owned()];
    let late = v1::Incident {
        name: "incidents/01a0c44f-0000-8544-9445-eab7b0117489".to_owned(),
        check: "checks/shop".to_owned(),
        state: IncidentState::Resolved.into(),
        severity: "page".to_owned(),
        open_time: at(20_000),
        resolve_time: at(19_000),
        last_success_time: at(20_060),
        first_failure_time: at(20_030),
        verdict: Some(seen_late),
        is_past: true,
        ..Default::default()
    };
    let silent = v1::Incident {
        name: "incidents/01a0c44e-0000-8544-9445-eab7b0117489".to_owned(),
        check: "checks/dns-shop".to_owned(),
        state: IncidentState::Resolved.into(),
        severity: "page".to_owned(),
        open_time: at(30_000),
        resolve_time: at(29_000),
        ..Default::default()
    };
    vec![open, over, late, silent]
}
