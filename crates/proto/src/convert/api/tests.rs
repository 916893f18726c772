use std::time::Duration;

use quorate_model::{
    Ballot, BallotEntry, BallotOrigin, BootId, Cause, Counted, DistinctCount, Evidence, Flag,
    Health, Incident, IncidentId, IncidentState, Observation, OriginFinding, OriginHold, Outcome,
    Phase, PhaseTiming, ProbeResult, Reason, ResultId, Revision, RoundId, Scope, Severity, State,
    Timestamp, Verdict,
};

use super::*;

fn verdict() -> Verdict {
    let at = Timestamp::from_micros(1_700_000_000_123_456);
    let voted = BallotEntry {
        region: "fra".parse().unwrap(),
        agent: Some("fra-1".parse().unwrap()),
        outcome: Some(Outcome::Fail { phase: Phase::ALL[0], reason: Reason::ALL[0] }),
        started: Some(at.before(Duration::from_secs(2))),
        age: Some(Duration::from_secs(2)),
        failed_in_a_row: 3,
        evidence_milli_nats: 6_887,
        counted: Counted::Yes,
        message: "connection refused".to_owned(),
        address: Some("192.0.2.7".parse().unwrap()),
        one_family: true,
    };
    let silent = BallotEntry {
        region: "iad".parse().unwrap(),
        agent: None,
        outcome: None,
        started: None,
        age: None,
        failed_in_a_row: 0,
        evidence_milli_nats: 0,
        counted: Counted::NeverVoted,
        message: String::new(),
        address: None,
        one_family: false,
    };
    Verdict {
        state: State::Down,
        flags: [Flag::ReducedQuorum].into(),
        cause: Cause::TargetRefused,
        also: vec![Cause::PathTransit, Cause::PathCountry],
        summary: "connection refused in 3 of 5 regions".to_owned(),
        since: at,
        ballot: Ballot {
            taken: at,
            quorum: 3,
            quorum_effective: 2,
            evidence_milli_nats: 20_661,
            need_milli_nats: 19_388,
            origin: Some(Box::new(BallotOrigin {
                check: "shop-origin".parse().unwrap(),
                finding: Some(OriginFinding::Fails),
                working: 1,
                failing: 3,
                configured: 5,
                since: Some(at),
                hold: Some(OriginHold::Muted),
            })),
            scope: Scope { failing: 3, live: 4, configured: 5 },
            rounds: vec![RoundId(7), RoundId(8)],
            distinct: vec![DistinctCount {
                label: "provider".to_owned(),
                asked: 2,
                live: 3,
                failing: vec!["aws".to_owned(), "ovh".to_owned()],
            }],
            entries: vec![voted, silent],
        },
    }
}

#[test]
fn a_verdict_survives_the_wire_with_its_ballot() {
    let sent = verdict();
    assert_eq!(verdict_from_wire(verdict_to_wire(&sent, true)), Ok(sent));
}

#[test]
fn what_is_known_of_an_origin_survives_or_is_an_error() {
    let read = |change: &dyn Fn(&mut wire::BallotOrigin)| {
        let mut sent = verdict_to_wire(&verdict(), true);
        change(sent.ballot.as_mut().and_then(|ballot| ballot.origin.as_mut()).unwrap());
        verdict_from_wire(sent).map(|verdict| verdict.ballot.origin.unwrap())
    };
    let nothing = read(&|origin| {
        let check = origin.check.clone();
        *origin = wire::BallotOrigin { check, ..Default::default() };
    });
    let nothing = nothing.unwrap();
    assert_eq!((nothing.finding, nothing.since, nothing.hold), (None, None, None));
    assert_eq!((nothing.working, nothing.failing, nothing.configured), (0, 0, 0));
    assert!(read(&|origin| origin.check = "shop-origin".to_owned()).is_err());
    assert!(read(&|origin| origin.finding = "perhaps".to_owned()).is_err());
    assert!(read(&|origin| origin.hold = "perhaps".to_owned()).is_err());
    assert!(read(&|origin| origin.failing_region_count = -1).is_err());
}

#[test]
fn a_result_survives_the_wire_with_its_evidence() {
    let sent = ProbeResult {
        id: ResultId { agent: "fra-1".parse().unwrap(), boot: BootId(u128::MAX - 5), sequence: 7 },
        region: "fra".parse().unwrap(),
        check: "shop".parse().unwrap(),
        revision: Revision(u64::MAX - 3),
        round: Some(RoundId(9)),
        started: Timestamp::from_micros(1_700_000_000_123_456),
        received: Timestamp::from_micros(1_700_000_010_123_457),
        health: Health::Overloaded,
        observation: Observation {
            outcome: Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout },
            total: Duration::from_micros(10_000_001),
            phases: vec![PhaseTiming { phase: Phase::Dns, elapsed: Duration::from_micros(801) }],
            evidence: Evidence {
                message: "no answer".to_owned(),
                address: Some("192.0.2.7".parse().unwrap()),
                status: Some(503),
                retry_after: Some(Duration::from_secs(30)),
                ..Evidence::default()
            },
        },
    };
    assert_eq!(result_from_wire(result_to_wire(&sent)), Ok(sent.clone()));
    let scheduled = ProbeResult { round: None, ..sent.clone() };
    assert_eq!(result_from_wire(result_to_wire(&scheduled)), Ok(scheduled));
    for bad in [
        wire::Result { boot: "x".to_owned(), ..result_to_wire(&sent) },
        wire::Result { revision: "g".to_owned(), ..result_to_wire(&sent) },
        wire::Result { sequence: -1, ..result_to_wire(&sent) },
        wire::Result { check: "shop".to_owned(), ..result_to_wire(&sent) },
        wire::Result { health: "well".to_owned(), ..result_to_wire(&sent) },
        wire::Result { receive_time: None, ..result_to_wire(&sent) },
    ] {
        assert!(result_from_wire(bad.clone()).is_err(), "{bad:?}");
    }
}

#[test]
fn every_state_and_every_outcome_survives() {
    for state in State::ALL {
        assert_eq!(state_from_wire(state_to_wire(*state).into()), Ok(*state));
    }
    assert!(state_from_wire(0).is_err());
    assert!(state_from_wire(99).is_err());
}

#[test]
fn the_basic_view_keeps_the_counts() {
    let basic = verdict_to_wire(&verdict(), false);
    assert_eq!(basic.ballot, None);
    let read = verdict_from_wire(basic).unwrap();
    assert_eq!(read.ballot.scope, verdict().ballot.scope);
    assert_eq!(read.ballot.entries, []);
}

#[test]
fn unknown_words_name_their_field() {
    let mut sent = verdict_to_wire(&verdict(), true);
    sent.cause = "gremlins".to_owned();
    let error = verdict_from_wire(sent).unwrap_err().to_string();
    assert!(error.contains("cause") && error.contains("gremlins"), "{error}");
    let mut sent = verdict_to_wire(&verdict(), true);
    if let Some(ballot) = &mut sent.ballot {
        ballot.votes[0].region = "fra".to_owned();
    }
    assert!(verdict_from_wire(sent).is_err());
}

#[test]
fn names_lead_to_ids_and_to_nothing_else() {
    let check: quorate_model::CheckId = "shop".parse().unwrap();
    assert_eq!(check_from_name(&check_name(&check)), Some(check));
    for bad in ["shop", "checks/", "checks/Shop", "regions/shop", "checks/a/b"] {
        assert_eq!(check_from_name(bad), None, "{bad}");
    }
    let id = IncidentId(0x0123_4567_89ab_8def_8123_4567_89ab_cdef);
    assert_eq!(incident_from_name(&incident_name(id)), Some(id));
}

#[test]
fn time_to_detect_counts_from_the_last_success() {
    let opened = Timestamp::from_micros(60_000_000);
    let mut incident = Incident {
        id: IncidentId(1),
        check: "shop".parse().unwrap(),
        severity: Severity::Page,
        state: IncidentState::Open,
        last_success: Some(Timestamp::from_micros(42_000_000)),
        first_failure: Timestamp::from_micros(45_000_000),
        opened,
        resolved: None,
        reopened: 0,
        withheld_by: ["silence/known".to_owned()].into(),
        is_past: false,
        verdict: verdict(),
    };
    let sent = incident_to_wire(&incident, true);
    assert_eq!(sent.time_to_detect.map(|time| time.seconds), Some(18));
    assert_eq!(sent.state(), wire::incident::IncidentState::Open);
    assert_eq!(sent.resolve_time, None);
    assert_eq!(sent.withheld_by, ["silence/known"]);
    let late = incident_to_wire(&Incident { is_past: true, ..incident.clone() }, true);
    assert!(late.is_past && late.last_success_time.is_some());
    assert_eq!(late.time_to_detect, None, "nobody detected it in time");
    incident.last_success = None;
    assert_eq!(incident_to_wire(&incident, true).time_to_detect, None);
}
