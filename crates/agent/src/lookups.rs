//! By which means a probe looks its target's name up. Pure: no clock, no sockets.
//!
//! A probe that is asked for because another one is in trouble must not fail by the same cause. If
//! that one could not resolve the name, or only by the second resolver, the retry asks both at once.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_model::{CheckId, Observation, Outcome, Phase};

/// The checks whose names the first resolver did not give when they were probed last.
#[derive(Debug, Default)]
pub struct Lookups(BTreeSet<CheckId>);

impl Lookups {
    /// How long a probe of this check waits for the first resolver before it asks the second one.
    pub fn second_after(&self, check: &CheckId, timeout: Duration, is_asked: bool) -> Duration {
        if is_asked && self.0.contains(check) {
            Duration::ZERO
        } else {
            quorate_checks::second_after(timeout)
        }
    }

    /// Takes in that a probe is late in this phase.
    pub fn late(&mut self, check: &CheckId, phase: Phase) {
        if phase == Phase::Dns {
            self.0.insert(check.clone());
        }
    }

    /// Takes in what a probe saw.
    pub fn ended(&mut self, check: &CheckId, seen: &Observation) {
        let failed = matches!(seen.outcome, Outcome::Fail { phase: Phase::Dns, .. });
        if failed || seen.evidence.resolver.is_some() {
            self.0.insert(check.clone());
        } else if !matches!(seen.outcome, Outcome::Inconclusive { .. }) {
            self.0.remove(check);
        }
    }

    /// Forgets all other checks.
    pub fn retain(&mut self, is_known: impl Fn(&CheckId) -> bool) {
        self.0.retain(is_known);
    }
}

#[cfg(test)]
mod tests {
    use quorate_model::{Doubt, Evidence, Reason, ResolverUse};

    use super::*;

    fn seen(outcome: Outcome, resolver: Option<ResolverUse>) -> Observation {
        let evidence = Evidence { resolver, ..Evidence::default() };
        Observation { outcome, total: Duration::ZERO, phases: Vec::new(), evidence }
    }

    #[test]
    fn only_a_retry_after_trouble_with_the_first_resolver_asks_both_at_once() {
        let timeout = Duration::from_secs(10);
        let (patient, at_once) = (Duration::from_secs(1), Duration::ZERO);
        let check: CheckId = "shop".parse().unwrap();
        let mut lookups = Lookups::default();
        let wait = |lookups: &Lookups| lookups.second_after(&check, timeout, true);
        assert_eq!(wait(&lookups), patient);
        lookups.late(&check, Phase::Connect);
        assert_eq!(wait(&lookups), patient);
        lookups.late(&check, Phase::Dns);
        assert_eq!(wait(&lookups), at_once);
        assert_eq!(lookups.second_after(&check, timeout, false), patient);
        lookups.ended(&check, &seen(Outcome::Inconclusive { reason: Doubt::Cancelled }, None));
        assert_eq!(wait(&lookups), at_once);
        lookups.ended(&check, &seen(Outcome::Ok, None));
        assert_eq!(wait(&lookups), patient);
        let reason = Reason::DnsFailed;
        lookups.ended(&check, &seen(Outcome::Fail { phase: Phase::Dns, reason }, None));
        assert_eq!(wait(&lookups), at_once);
        let reason = Reason::Refused;
        lookups.ended(&check, &seen(Outcome::Fail { phase: Phase::Connect, reason }, None));
        assert_eq!(wait(&lookups), patient);
        lookups.ended(&check, &seen(Outcome::Ok, Some(ResolverUse::Second)));
        assert_eq!(wait(&lookups), at_once);
        lookups.retain(|_| false);
        assert_eq!(wait(&lookups), patient);
    }
}
