//! What the agent probes: the checks that it has accepted, and why it refuses others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_checks::{CheckKind, Environment, Probe};
use quorate_model::{AgentSettings, CheckId, ProbeSpec};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;

use crate::options::Limits;

/// The most bytes of a rejection's message.
const MESSAGE_MAX: usize = 1_024;
/// The most problems of a check that a rejection lists.
const PROBLEMS_MAX: usize = 8;

/// A check that is ready to be probed.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What to probe.
    pub(crate) spec: ProbeSpec,
    /// How.
    pub(crate) probe: Box<dyn Probe>,
}

/// Why a check is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    KindUnknown,
    OptionsInvalid,
    PolicyDenied,
    LimitExceeded,
}

impl Refusal {
    /// The word on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Self::KindUnknown => "KIND_UNKNOWN",
            Self::OptionsInvalid => "OPTIONS_INVALID",
            Self::PolicyDenied => "POLICY_DENIED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
        }
    }
}

/// Who decides which checks are accepted: this agent alone.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The check kinds that it runs.
    pub(crate) kinds: &'static [&'static dyn CheckKind],
    /// Its local policy.
    pub(crate) environment: Environment,
    /// How much it does at most.
    pub(crate) limits: Limits,
}

/// All checks that the agent has accepted.
#[derive(Debug, Default)]
pub(crate) struct Config {
    checks: BTreeMap<CheckId, Arc<Loaded>>,
    /// The probes a second that all of them ask for, in millionths.
    load: u64,
}

/// What a configuration update changed.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Checks that are new or have a new revision.
    pub(crate) changed: Vec<CheckId>,
    /// Checks that are gone.
    pub(crate) removed: Vec<CheckId>,
    /// Checks that were refused; each is as it was before.
    pub(crate) rejections: Vec<wire::ConfigRejection>,
}

impl Config {
    /// A check, if it was accepted.
    pub(crate) fn get(&self, check: &CheckId) -> Option<&Arc<Loaded>> {
        self.checks.get(check)
    }

    /// All checks, by name.
    pub(crate) fn checks(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.checks.values()
    }

    /// The revisions of all checks.
    pub(crate) fn revisions(&self) -> BTreeMap<String, u64> {
        let checks = self.checks.iter();
        checks.map(|(check, loaded)| (check.to_string(), loaded.spec.revision.0)).collect()
    }

    /// Applies an update in one step: first what goes, then what comes.
    pub(crate) fn apply(
        &mut self,
        full: bool,
        removals: &[String],
        upserts: Vec<wire::CheckSpec>,
        gate: &Gate,
    ) -> Applied {
        let mut applied = Applied::default();
        let removals: BTreeSet<&str> = removals.iter().map(String::as_str).collect();
        let staying: BTreeSet<&str> = upserts.iter().map(|spec| spec.check.as_str()).collect();
        let gone = |check: &CheckId| {
            removals.contains(check.as_str()) || full && !staying.contains(check.as_str())
        };
        applied.removed = self.checks.keys().filter(|check| gone(check)).cloned().collect();
        for check in &applied.removed {
            self.remove(check);
        }
        for spec in upserts {
            let (check, revision) = (spec.check.clone(), spec.revision);
            match self.accept(spec, gate) {
                Ok(check) => applied.changed.push(check),
                Err((refusal, message)) => applied.rejections.push(wire::ConfigRejection {
                    check: shorten(check, 64),
                    revision,
                    reason: refusal.as_str().to_owned(),
                    message: shorten(message, MESSAGE_MAX),
                }),
            }
        }
        applied
    }

    fn accept(&mut self, spec: wire::CheckSpec, gate: &Gate) -> Result<CheckId, (Refusal, String)> {
        let spec = convert::spec_from_wire(spec)
            .map_err(|error| (Refusal::OptionsInvalid, error.to_string()))?;
        self.insert(spec, gate)
    }

    /// Accepts a check, or says why not and leaves everything as it is.
    pub(crate) fn insert(
        &mut self,
        spec: ProbeSpec,
        gate: &Gate,
    ) -> Result<CheckId, (Refusal, String)> {
        self.within_limits(&spec, &gate.limits)
            .map_err(|message| (Refusal::LimitExceeded, message))?;
        let probe = load(&spec, gate)?;
        let check = spec.check.clone();
        self.remove(&check);
        self.load += millionths(&spec);
        self.checks.insert(check.clone(), Arc::new(Loaded { spec, probe }));
        Ok(check)
    }

    fn remove(&mut self, check: &CheckId) {
        if let Some(loaded) = self.checks.remove(check) {
            self.load -= millionths(&loaded.spec);
        }
    }

    fn within_limits(&self, spec: &ProbeSpec, limits: &Limits) -> Result<(), String> {
        if spec.interval < limits.interval {
            return Err(format!(
                "this agent probes a check at most every {:?}: raise its interval",
                limits.interval
            ));
        }
        let previous = self.checks.get(&spec.check);
        if self.checks.len() - usize::from(previous.is_some()) >= limits.checks {
            return Err(format!(
                "this agent runs at most {} checks: move some to another agent",
                limits.checks
            ));
        }
        let others = self.load - previous.map_or(0, |loaded| millionths(&loaded.spec));
        if others.saturating_add(millionths(spec)) > u64::from(limits.rate) * 1_000_000 {
            return Err(format!(
                "this agent's local policy allows {} probes/s in all: raise intervals, or `rate` in its policy",
                limits.rate
            ));
        }
        Ok(())
    }
}

/// The probes a second that a check asks for, in millionths.
fn millionths(spec: &ProbeSpec) -> u64 {
    u64::try_from(1_000_000_000_000 / spec.interval.as_micros().max(1)).unwrap_or(u64::MAX)
}

fn load(spec: &ProbeSpec, gate: &Gate) -> Result<Box<dyn Probe>, (Refusal, String)> {
    let kind = gate.kinds.iter().find(|kind| kind.name() == spec.kind.as_str());
    let Some(kind) = kind else {
        let message = format!(
            "this agent does not know the check kind {:?}: upgrade it, or leave its region out",
            spec.kind.as_str()
        );
        return Err((Refusal::KindUnknown, message));
    };
    if spec.timeout >= spec.interval {
        let message = "the timeout must be shorter than the interval".to_owned();
        return Err((Refusal::OptionsInvalid, message));
    }
    let probe = kind.parse(&spec.options).map_err(|problems| {
        let shown = problems.iter().take(PROBLEMS_MAX).map(ToString::to_string);
        (Refusal::OptionsInvalid, shown.collect::<Vec<_>>().join("; "))
    })?;
    if let Some(reason) = probe.refused_by(gate.environment.policy()) {
        return Err((Refusal::PolicyDenied, reason));
    }
    Ok(probe)
}

fn shorten(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

/// The settings before the coordinator has sent any. No anchors: the self-test is off.
pub(crate) fn first_settings() -> AgentSettings {
    let policy = quorate_model::FleetPolicy::default();
    AgentSettings {
        heartbeat: policy.heartbeat,
        anchor_interval: policy.anchor_interval,
        anchor_timeout: policy.anchor_timeout,
        anchors: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
