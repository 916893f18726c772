use std::sync::Arc;

use quorate_model::{FleetPolicy, ProbeSpec};

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

fn duties(version: u64, checks: &[(&str, u64)], padding: usize) -> Duties {
    let policy = FleetPolicy::default();
    let entry = |(id, revision): &(&str, u64)| {
        let check: CheckId = id.parse().unwrap();
        let revision = Revision(*revision);
        let spec = ProbeSpec {
            check: check.clone(),
            revision,
            kind: "http".parse().unwrap(),
            options: serde_json::json!({ "body": "x".repeat(padding) }),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(5),
            suspect_after: Duration::from_secs(2),
        };
        let duty = Duty {
            check: check.clone(),
            revision,
            phase: Duration::from_secs(20),
            every: spec.interval,
        };
        (check, (Arc::new(spec), duty))
    };
    Duties {
        version,
        settings: AgentSettings {
            heartbeat: policy.heartbeat,
            anchor_interval: policy.anchor_interval,
            anchor_timeout: policy.anchor_timeout,
            anchors: Vec::new(),
        },
        checks: checks.iter().map(entry).collect(),
    }
}

fn ack(update: &wire::ConfigUpdate) -> wire::ConfigAck {
    wire::ConfigAck { nonce: update.nonce.clone(), rejections: Vec::new() }
}

fn names(update: &wire::ConfigUpdate) -> Vec<&str> {
    let upserts = update.upserts.iter();
    upserts.map(|spec| spec.check.as_str()).collect()
}

#[test]
fn changes_under_way_are_not_queued_but_taken_together() {
    let mut sync = Sync::new(BTreeMap::new());
    sync.welcome(duties(1, &[("a", 1)], 0));
    let first = sync.next_update(NOW).unwrap();
    assert!(first.full && first.settings.is_none());
    sync.configure(duties(2, &[("a", 2)], 0));
    sync.configure(duties(3, &[("b", 1)], 0));
    assert_eq!(sync.next_update(NOW), None, "one at a time");
    assert_eq!(sync.overdue_at(), Some(NOW + ACK_MAX));

    assert!(!sync.acked(wire::ConfigAck { nonce: "nonsense".to_owned(), rejections: Vec::new() }));
    assert!(sync.acked(ack(&first)));
    let second = sync.next_update(NOW).unwrap();
    assert_eq!(second.config_version, 3);
    assert_eq!(names(&second), ["b"]);
    assert_eq!(second.removals, ["a"]);
    assert!(!second.full);
    assert!(sync.acked(ack(&second)));
    assert_eq!(sync.next_update(NOW), None, "nothing is left to tell");
}

#[test]
fn a_new_pace_travels_without_the_specification() {
    let mut sync = Sync::new(BTreeMap::from([("a".parse().unwrap(), Revision(1))]));
    let wanted = duties(1, &[("a", 1)], 0);
    let mut faster = wanted.checks.values().next().unwrap().1.clone();
    sync.welcome(wanted);
    let first = sync.next_update(NOW).unwrap();
    assert!(!first.full && first.upserts.is_empty());
    assert_eq!(first.assignments.len(), 1);
    sync.acked(ack(&first));

    faster.every = Duration::from_secs(20);
    sync.assign(vec![faster]);
    let second = sync.next_update(NOW).unwrap();
    assert!(second.upserts.is_empty());
    let every = second.assignments[0].every.unwrap();
    assert_eq!(every.seconds, 20);
}

#[test]
fn what_is_refused_keeps_its_earlier_revision_and_is_not_sent_again() {
    let mut sync = Sync::new(BTreeMap::from([("a".parse().unwrap(), Revision(1))]));
    sync.welcome(duties(1, &[("a", 2)], 0));
    let first = sync.next_update(NOW).unwrap();
    assert_eq!(names(&first), ["a"]);
    let rejection = wire::ConfigRejection {
        check: "a".to_owned(),
        revision: 2,
        reason: "OPTIONS_INVALID".to_owned(),
        message: "no".to_owned(),
    };
    sync.acked(wire::ConfigAck { rejections: vec![rejection], ..ack(&first) });
    assert_eq!(sync.rejections().len(), 1);
    assert_eq!(sync.next_update(NOW), None);

    sync.configure(duties(2, &[("a", 3)], 0));
    let second = sync.next_update(NOW).unwrap();
    assert_eq!(names(&second), ["a"]);
    sync.acked(ack(&second));
    assert!(sync.rejections().is_empty());
}

#[test]
fn large_configurations_come_in_parts() {
    let names: Vec<String> = (0..30).map(|number| format!("c{number}")).collect();
    let checks: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut sync = Sync::new(BTreeMap::new());
    sync.welcome(duties(1, &checks, 60_000));
    let (mut told, mut updates) = (0, 0);
    while let Some(update) = sync.next_update(NOW) {
        assert!(update.encoded_len() < 1_024 * 1_024);
        assert_eq!(update.full, updates == 0);
        told += update.upserts.len();
        updates += 1;
        sync.acked(ack(&update));
    }
    assert_eq!(told, checks.len());
    assert!(updates >= 4, "{updates}");
}

#[test]
fn many_removals_come_in_parts() {
    let held = (0..5_000).map(|number| (format!("c{number}").parse().unwrap(), Revision(1)));
    let mut sync = Sync::new(held.collect());
    sync.welcome(duties(1, &[], 0));
    let first = sync.next_update(NOW).unwrap();
    assert_eq!(first.removals.len(), REMOVALS_MAX);
    sync.acked(ack(&first));
    let second = sync.next_update(NOW).unwrap();
    assert_eq!(second.removals.len(), 5_000 - REMOVALS_MAX);
}
