//! Patience: how late a probe must be to be suspicious. Pure: no clock, no sockets.
//!
//! The coordinator says after how long a probe of a check is late. But a target that always takes
//! three seconds would be late each time, and each time all regions would be asked for nothing. So an
//! agent learns how long each of its checks usually takes, and suspects nothing before one and a half
//! times that; a probe that has used up half of its time is late whatever is usual.
//!
//! **Usual** is what 99 of 100 successes stay below, followed in small steps: a success above it
//! raises it by a twentieth, one below lowers it by a ninety-ninth of that. One slow answer changes
//! next to nothing. The first few of a check count for more, so that one start does not mark it.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{CheckId, Observation, ProbeSpec, Revision};

/// What is above raises the usual time by this part of it.
const RISE: u64 = 20;
/// What is below lowers it by this part of it.
const FALL: u64 = RISE * 99;
/// So many successes are the first few.
const FEW: u8 = 16;

/// The usual time of a check, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Usual {
    revision: Revision,
    micros: u64,
    /// Successes so far, no further than matters.
    count: u8,
}

/// How long the successes of each check usually take.
#[derive(Debug, Default)]
pub struct Patience(BTreeMap<CheckId, Usual>);

impl Patience {
    /// After how long a probe of this check is suspicious.
    pub fn suspect_after(&self, spec: &ProbeSpec) -> Duration {
        let usual = self.0.get(&spec.check).filter(|usual| usual.revision == spec.revision);
        let usual = Duration::from_micros(usual.map_or(0, |usual| usual.micros));
        (usual * 3 / 2).min(spec.timeout / 2).max(spec.suspect_after)
    }

    /// Takes in what a probe saw.
    pub fn ended(&mut self, spec: &ProbeSpec, seen: &Observation) {
        if !seen.outcome.is_success() {
            return;
        }
        let took = u64::try_from(seen.total.as_micros()).unwrap_or(u64::MAX);
        let first = Usual { revision: spec.revision, micros: took, count: 0 };
        let usual = self.0.entry(spec.check.clone()).or_insert(first);
        if usual.revision != spec.revision {
            *usual = first;
        }
        let known = usual.micros;
        usual.micros = if took > known {
            (known + known / RISE + 1).min(took)
        } else if usual.count < FEW {
            known - (known - took) / 4
        } else {
            known - known / FALL
        };
        usual.count = usual.count.saturating_add(1).min(FEW);
    }

    /// Forgets all other checks.
    pub fn retain(&mut self, is_known: impl Fn(&CheckId) -> bool) {
        self.0.retain(|check, _| is_known(check));
    }
}

#[cfg(test)]
mod tests {
    use quorate_model::{Evidence, Outcome, Phase, Reason};
    use serde_json::json;

    use super::*;

    fn spec(revision: u64) -> ProbeSpec {
        ProbeSpec {
            check: "shop".parse().unwrap(),
            revision: Revision(revision),
            kind: "http".parse().unwrap(),
            options: json!({}),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(5),
            suspect_after: Duration::from_secs(2),
        }
    }

    fn took(millis: u64, outcome: Outcome) -> Observation {
        let total = Duration::from_millis(millis);
        Observation { outcome, total, phases: Vec::new(), evidence: Evidence::default() }
    }

    /// Milliseconds until suspicion after successes that took so long.
    fn after(times: impl IntoIterator<Item = u64>) -> u128 {
        let mut patience = Patience::default();
        for millis in times {
            patience.ended(&spec(1), &took(millis, Outcome::Ok));
        }
        patience.suspect_after(&spec(1)).as_millis()
    }

    #[test]
    fn what_always_takes_long_is_not_suspicious_for_that() {
        assert_eq!(after([]), 2_000);
        assert_eq!(after([100; 50]), 2_000);
        assert_eq!(after([3_000]), 4_500);
        assert_eq!(after([3_000; 500]), 4_500);
        assert_eq!(after([4_500; 10]), 5_000, "half of its time is late whatever is usual");
    }

    #[test]
    fn it_follows_what_99_of_100_stay_below() {
        let mixed = (0..20_000).map(|turn| if turn % 20 == 7 { 3_000 } else { 200 });
        assert!((4_000..=4_600).contains(&after(mixed)), "one in 20 is usual");
        let rare = (0..20_000).map(|turn| if turn % 1_000 == 7 { 4_000 } else { 200 });
        assert_eq!(after(rare), 2_000, "one in 1,000 is not");
        let once = [4_000].into_iter().chain([200; 20]);
        assert_eq!(after(once), 2_000, "a slow start marks it not");
    }

    #[test]
    fn neither_a_failure_nor_an_older_revision_teaches_anything() {
        let mut patience = Patience::default();
        let reason = Reason::Timeout;
        let failed = Outcome::Fail { phase: Phase::Ttfb, reason };
        patience.ended(&spec(1), &took(10_000, failed));
        assert_eq!(patience.suspect_after(&spec(1)), Duration::from_secs(2));
        patience.ended(&spec(1), &took(3_000, Outcome::Ok));
        assert_eq!(patience.suspect_after(&spec(2)), Duration::from_secs(2));
        patience.ended(&spec(2), &took(100, Outcome::Ok));
        assert_eq!(patience.suspect_after(&spec(1)), Duration::from_secs(2));
    }
}
