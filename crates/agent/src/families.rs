//! The other address family: whether a target that fails fails as a whole. Pure: no clock, no
//! sockets.
//!
//! A probe votes by one family. When it has failed, or is asked for because another one is in
//! trouble, the same probe runs beside it over the other family, as evidence: who can use both then
//! reaches the target all the same. A check with `ip_family: both` has that done each time.
//!
//! **What is no evidence.** A family that the name does not have; one to which the agent itself has no
//! route; and what its own policy forbids.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_checks::Families;
use quorate_model::{CheckId, Observation, OtherFamily, Outcome, Phase, Reason};

/// How much longer a probe waits for the other family when it was not asked for both.
const PATIENCE: Duration = Duration::from_secs(1);

/// The checks that failed when they were probed last.
#[derive(Debug, Default)]
pub(crate) struct Failing(BTreeSet<CheckId>);

impl Failing {
    /// Whether a probe of this check tries the other family too.
    pub(crate) fn tries_other(&self, check: &CheckId, families: Families, is_asked: bool) -> bool {
        match families {
            Families::One => false,
            Families::Both => true,
            Families::Any => is_asked || self.0.contains(check),
        }
    }

    /// Takes in what a probe saw.
    pub(crate) fn ended(&mut self, check: &CheckId, outcome: Outcome) {
        match outcome {
            Outcome::Fail { .. } => {
                self.0.insert(check.clone());
            }
            Outcome::Ok | Outcome::Slow | Outcome::Blocked { .. } => {
                self.0.remove(check);
            }
            Outcome::Inconclusive { .. } => {}
        }
    }

    /// Forgets all other checks.
    pub(crate) fn retain(&mut self, is_known: impl Fn(&CheckId) -> bool) {
        self.0.retain(is_known);
    }
}

/// How much longer the other family is waited for once the probe itself has ended.
pub(crate) fn patience(families: Families, left: Duration) -> Duration {
    if families == Families::Both { left } else { left.min(PATIENCE) }
}

/// Notes in `seen` what the same probe saw over the other family, if that says anything.
pub(crate) fn note(seen: &mut Observation, other: &Observation) {
    let (Some(own), Some(address)) = (seen.evidence.address, other.evidence.address) else {
        return;
    };
    let is_other = own.is_ipv4() != address.is_ipv4();
    let is_silent = match other.outcome {
        // In the phase `dns`: some name on its way has no address of that family, such as that of a
        // redirect.
        Outcome::Fail { phase, reason } => phase == Phase::Dns || reason == Reason::Unreachable,
        Outcome::Inconclusive { .. } => true,
        Outcome::Ok | Outcome::Slow | Outcome::Blocked { .. } => false,
    };
    if !is_other || is_silent {
        return;
    }
    seen.evidence.other_family = Some(OtherFamily { address, outcome: other.outcome });
    let over = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let message = &mut seen.evidence.message;
    if seen.outcome.is_fail() && other.outcome.is_success() {
        *message = format!("{message}; over {over} ({address}) it answers");
    } else if seen.outcome.is_success() && other.outcome.is_fail() {
        let before = if message.is_empty() { "" } else { "; " };
        let reason = &other.evidence.message;
        *message = format!("{message}{before}over {over} ({address}): {reason}");
    }
}

#[cfg(test)]
mod tests {
    use quorate_model::{Doubt, Evidence};

    use super::*;

    const TIMEOUT: Outcome = Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };

    fn seen(outcome: Outcome, address: &str) -> Observation {
        let message = if outcome == Outcome::Ok { "" } else { "no answer" }.to_owned();
        let address = Some(address.parse().unwrap());
        let evidence = Evidence { message, address, ..Evidence::default() };
        Observation { outcome, total: Duration::ZERO, phases: Vec::new(), evidence }
    }

    #[test]
    fn the_other_family_is_tried_where_trouble_is_known_or_both_are_asked_for() {
        let check: CheckId = "shop".parse().unwrap();
        let mut failing = Failing::default();
        assert!(!failing.tries_other(&check, Families::Any, false));
        assert!(failing.tries_other(&check, Families::Any, true));
        assert!(failing.tries_other(&check, Families::Both, false));
        failing.ended(&check, TIMEOUT);
        assert!(failing.tries_other(&check, Families::Any, false));
        assert!(!failing.tries_other(&check, Families::One, true));
        failing.ended(&check, Outcome::Inconclusive { reason: Doubt::Island });
        assert!(failing.tries_other(&check, Families::Any, false));
        failing.ended(&check, Outcome::Ok);
        assert!(!failing.tries_other(&check, Families::Any, false));
    }

    #[test]
    fn what_the_other_family_says_is_noted_in_words_too() {
        let mut failed = seen(TIMEOUT, "192.0.2.1");
        note(&mut failed, &seen(Outcome::Ok, "2001:db8::1"));
        let address = "2001:db8::1".parse().unwrap();
        let works = Some(OtherFamily { address, outcome: Outcome::Ok });
        assert_eq!(failed.evidence.other_family, works);
        assert_eq!(failed.evidence.message, "no answer; over IPv6 (2001:db8::1) it answers");

        let mut fine = seen(Outcome::Ok, "192.0.2.1");
        note(&mut fine, &seen(TIMEOUT, "2001:db8::1"));
        assert_eq!(fine.evidence.message, "over IPv6 (2001:db8::1): no answer");
    }

    #[test]
    fn an_agent_without_the_family_says_nothing_of_the_target() {
        let unreachable = Outcome::Fail { phase: Phase::Connect, reason: Reason::Unreachable };
        let denied = Outcome::Inconclusive { reason: Doubt::PolicyDenied };
        let nameless = Outcome::Fail { phase: Phase::Dns, reason: Reason::NoAddress };
        for (outcome, address) in [
            (unreachable, "2001:db8::1"),
            (nameless, "2001:db8::1"),
            (denied, "2001:db8::1"),
            (TIMEOUT, "192.0.2.2"),
        ] {
            let mut fine = seen(Outcome::Ok, "192.0.2.1");
            note(&mut fine, &seen(outcome, address));
            assert_eq!(fine, seen(Outcome::Ok, "192.0.2.1"));
        }
        let mut unresolved = seen(TIMEOUT, "192.0.2.1");
        unresolved.evidence.address = None;
        note(&mut unresolved, &seen(Outcome::Ok, "2001:db8::1"));
        assert_eq!(unresolved.evidence.other_family, None);
    }
}
