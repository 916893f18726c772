//! Who probes what, and when: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AgentId, CheckId, Fleet, KindName, ProbeSpec, RegionId, Timestamp};
use quorate_verdict::schedule;

use crate::bus::{Duties, Duty};

/// An agent that takes part in the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Where it votes.
    pub(crate) region: RegionId,
    /// The check kinds that it knows.
    pub(crate) kinds: BTreeSet<KindName>,
}

/// The agents that take part in the schedule.
pub(crate) type Staff = BTreeMap<AgentId, Member>;

/// The checks that are probed at another pace than their own for now.
pub(crate) type Paces = BTreeMap<CheckId, Duration>;

/// The phase of each check for each agent.
pub(crate) type Plan = BTreeMap<AgentId, BTreeMap<CheckId, Duration>>;

/// What agents must know of each check.
pub(crate) fn specs(fleet: &Fleet) -> BTreeMap<CheckId, Arc<ProbeSpec>> {
    fleet
        .checks
        .iter()
        .map(|(id, check)| (id.clone(), Arc::new(ProbeSpec::of(check, &fleet.policy))))
        .collect()
}

/// The phases of all checks: those of a check are dealt out among the agents of its regions that
/// know its kind.
pub(crate) fn plan(fleet: &Fleet, staff: &Staff) -> Plan {
    let mut able: BTreeMap<&KindName, BTreeMap<RegionId, Vec<AgentId>>> = BTreeMap::new();
    for (agent, member) in staff {
        for kind in &member.kinds {
            let regions = able.entry(kind).or_default();
            let agents = regions.entry(member.region.clone()).or_default();
            agents.push(agent.clone());
        }
    }
    let mut plan: Plan = staff.keys().map(|agent| (agent.clone(), BTreeMap::new())).collect();
    for (id, check) in &fleet.checks {
        let Some(agents) = able.get(&check.kind) else {
            continue;
        };
        for (agent, phase) in schedule::slots_apart(check, agents, &fleet.regions) {
            plan.entry(agent).or_default().insert(id.clone(), phase);
        }
    }
    plan
}

/// When an agent with this phase probes the check.
pub(crate) fn duty(spec: &ProbeSpec, phase: Duration, paces: &Paces) -> Duty {
    let every = paces
        .get(&spec.check)
        .map_or(spec.interval, |pace| (*pace).clamp(Duration::from_millis(1), spec.interval));
    Duty { check: spec.check.clone(), revision: spec.revision, phase, every }
}

/// Everything that an agent with these phases is to do.
pub(crate) fn duties(
    fleet: &Fleet,
    version: u64,
    specs: &BTreeMap<CheckId, Arc<ProbeSpec>>,
    phases: &BTreeMap<CheckId, Duration>,
    paces: &Paces,
) -> Duties {
    let checks = phases
        .iter()
        .filter_map(|(id, phase)| {
            let spec = specs.get(id)?;
            let duty = duty(spec, *phase, paces);
            Some((id.clone(), (Arc::clone(spec), duty)))
        })
        .collect();
    Duties { version, settings: fleet.agent_settings(), checks }
}

/// The time from `now` to the next instant that is congruent to the duty's phase modulo its pace;
/// less than the pace.
pub(crate) fn next_in(duty: &Duty, now: Timestamp) -> Duration {
    let every = i128::try_from(duty.every.as_micros().max(1)).unwrap_or(i128::MAX);
    let phase = i128::try_from(duty.phase.as_micros()).unwrap_or(0);
    let wait = (phase - i128::from(now.as_micros())).rem_euclid(every);
    Duration::from_micros(u64::try_from(wait).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use quorate_model::{AlertPolicy, CertificatePolicy, Check, PartialPolicy, Quorum, Revision};

    use super::*;

    fn check(id: &str, kind: &str, regions: &[&str]) -> Arc<Check> {
        Arc::new(Check {
            id: id.parse().unwrap(),
            revision: Revision(1),
            kind: kind.parse().unwrap(),
            options: serde_json::json!({}),
            target: id.into(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(5),
            regions: regions.iter().map(|id| id.parse().unwrap()).collect(),
            quorum: Quorum::Majority,
            distinct: Vec::new(),
            alert: AlertPolicy::default(),
            partial: PartialPolicy::default(),
            certificate: CertificatePolicy::default(),
            labels: BTreeMap::new(),
            depends_on: Vec::new(),
            origin: None,
            runbook: None,
        })
    }

    fn fleet(checks: &[Arc<Check>]) -> Fleet {
        let checks = checks.iter().map(|check| (check.id.clone(), Arc::clone(check)));
        Fleet { checks: checks.collect(), ..Fleet::default() }
    }

    fn staff(members: &[(&str, &str, &[&str])]) -> Staff {
        let member = |(agent, region, kinds): &(&str, &str, &[&str])| {
            let member = Member {
                region: region.parse().unwrap(),
                kinds: kinds.iter().map(|kind| kind.parse().unwrap()).collect(),
            };
            (agent.parse().unwrap(), member)
        };
        members.iter().map(member).collect()
    }

    #[test]
    fn an_agent_gets_only_checks_of_its_region_and_of_kinds_it_knows() {
        let fleet =
            fleet(&[check("shop", "http", &["fra", "iad"]), check("door", "tcp", &["fra"])]);
        let staff = staff(&[
            ("fra-1", "fra", &["http"]),
            ("iad-1", "iad", &["http", "tcp"]),
            ("syd-1", "syd", &["http", "tcp"]),
        ]);
        let plan = plan(&fleet, &staff);
        let names = |agent: &str| -> Vec<String> {
            let agent: AgentId = agent.parse().unwrap();
            plan[&agent].keys().map(ToString::to_string).collect()
        };
        assert_eq!(names("fra-1"), ["shop"]);
        assert_eq!(names("iad-1"), ["shop"]);
        assert!(names("syd-1").is_empty());
        let phases: BTreeSet<Duration> =
            plan.values().flat_map(|checks| checks.values().copied()).collect();
        assert_eq!(phases.len(), 2, "regions take turns");
    }

    #[test]
    fn the_next_probe_is_at_the_phase_on_the_coordinators_clock() {
        let spec = ProbeSpec::of(&check("shop", "http", &["fra"]), &Fleet::default().policy);
        let mut paces = Paces::new();
        let phase = Duration::from_secs(50);
        let duty_slow = duty(&spec, phase, &paces);
        let now = Timestamp::from_micros(600_000_000 + 55_000_000);
        assert_eq!(next_in(&duty_slow, now), Duration::from_secs(55));
        assert_eq!(next_in(&duty_slow, now + Duration::from_secs(55)), Duration::ZERO);

        paces.insert(spec.check.clone(), Duration::from_secs(20));
        let duty_fast = duty(&spec, phase, &paces);
        assert_eq!(duty_fast.every, Duration::from_secs(20));
        assert_eq!(next_in(&duty_fast, now), Duration::from_secs(15));
    }
}
