//! Checks: what to probe, how often, and what to make of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CheckId, Distinct, KindName, ReceiverId, RegionId};

/// A fingerprint of everything about a check that an agent acts on.
///
/// A vote counts only if its probe ran the current revision. The phase, the quorum and how
/// different regions must be are not part of it, so changing them does not turn votes into history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// A definition: what to probe, from where, how often, and what its failure means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub id: CheckId,
    /// Fingerprint of `kind`, `options`, `interval`, `timeout` and `slow_after`.
    pub revision: Revision,
    /// The protocol family, a row of the registry in the `checks` crate.
    pub kind: KindName,
    /// The options of the kind, already validated by it: a JSON object.
    pub options: serde_json::Value,
    /// What is contacted, for people: a URL or `host:port`.
    pub target: String,
    /// Time between two scheduled probes of one region.
    pub interval: Duration,
    /// Time after which a probe has failed; shorter than `interval`.
    pub timeout: Duration,
    /// Time after which a success is `slow`; half the timeout unless set.
    pub slow_after: Duration,
    /// The regions that probe it: at least one, without repetition, in configured order.
    pub regions: Vec<RegionId>,
    /// How many regions must agree.
    pub quorum: Quorum,
    /// How different they must be, one demand for each label.
    #[serde(default)]
    pub distinct: Vec<Distinct>,
    /// What happens when it is down.
    pub alert: AlertPolicy,
    /// What happens when only some regions fail.
    pub partial: PartialPolicy,
    /// What happens when its certificate ends soon.
    #[serde(default)]
    pub certificate: CertificatePolicy,
    /// Free labels, copied into alerts.
    pub labels: BTreeMap<String, String>,
    /// Checks whose failure explains this one's.
    pub depends_on: Vec<CheckId>,
    /// The check that probes, past the delivery network or gateway that this one probes, what
    /// stands behind it.
    #[serde(default)]
    pub origin: Option<CheckId>,
    /// Where the people paged find what to do.
    pub runbook: Option<String>,
}

impl Check {
    /// `K`: the number of regions that must fail before the check is down. From the regions
    /// configured, never from those that report.
    pub fn quorum_count(&self) -> usize {
        self.quorum.count(self.regions.len())
    }

    /// The fingerprint for the given parts.
    pub fn fingerprint(
        kind: &KindName,
        options: &serde_json::Value,
        interval: Duration,
        timeout: Duration,
        slow_after: Duration,
    ) -> Revision {
        // serde_json keeps object keys sorted, so equal options give equal text.
        let text = format!(
            "{kind}\n{options}\n{}\n{}\n{}",
            interval.as_micros(),
            timeout.as_micros(),
            slow_after.as_micros()
        );
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Revision(hash)
    }
}

/// How many of a check's regions must fail before it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quorum {
    /// More than half.
    Majority,
    /// So many, at least one.
    Count(u32),
    /// Each of them.
    All,
    /// A single one.
    Any,
}

impl Quorum {
    /// The number that this means of `regions` configured; at least one.
    pub fn count(self, regions: usize) -> usize {
        let wanted = match self {
            Self::Majority => regions / 2 + 1,
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::All => regions,
            Self::Any => 1,
        };
        wanted.clamp(1, regions.max(1))
    }
}

/// `majority`, `all`, `any`, or a number such as `2`, also written `2 of 5`.
impl FromStr for Quorum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let count = match words.as_slice() {
            ["majority"] => return Ok(Self::Majority),
            ["all"] => return Ok(Self::All),
            ["any"] => return Ok(Self::Any),
            [count] => count,
            [count, "of", total] => {
                let (Ok(part), Ok(whole)) = (count.parse::<u32>(), total.parse::<u32>()) else {
                    return Err(quorum_help(text));
                };
                if part > whole {
                    return Err(format!("quorum {text:?} asks for more regions than it names"));
                }
                count
            }
            _ => return Err(quorum_help(text)),
        };
        match count.parse::<u32>() {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(quorum_help(text)),
        }
    }
}

fn quorum_help(text: &str) -> String {
    format!("{text:?} is not a quorum: use `majority`, `all`, `any` or `2 of 5`")
}

impl TryFrom<String> for Quorum {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Quorum> for String {
    fn from(quorum: Quorum) -> Self {
        quorum.to_string()
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Majority => f.write_str("majority"),
            Self::Count(count) => write!(f, "{count}"),
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// What happens when a check is down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlertPolicy {
    /// Who is told.
    pub to: Vec<ReceiverId>,
    /// The time to detect that the user asks for.
    pub within: Option<Duration>,
    /// The budget: false alerts for each year of this check, in thousandths. One alert a year if
    /// `None`.
    pub false_alerts_per_year_milli: Option<u32>,
    /// Whether the number of failing regions alone decides: the budget is then not kept.
    #[serde(default)]
    pub ignores_evidence: bool,
    /// Whether they are told when too few regions are left to see the target.
    #[serde(default)]
    pub alerts_no_quorum: bool,
    /// Whether a target that answers only some of its requests is a page, not a notice.
    #[serde(default)]
    pub pages_intermittent: bool,
    /// An outage that is over within this time pages nobody; its state is shown all the same.
    #[serde(default)]
    pub ignore_shorter_than: Duration,
}

/// What happens when fewer regions than the quorum fail, and keep failing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialPolicy {
    /// How long it must last before anybody is told.
    pub after: Duration,
    /// Who is told; those of the alert if empty.
    pub to: Vec<ReceiverId>,
    /// Whether anybody is told at all.
    pub notify: bool,
    /// Whether they are paged, not noticed.
    #[serde(default)]
    pub pages: bool,
}

impl Default for PartialPolicy {
    fn default() -> Self {
        Self { after: Duration::from_secs(300), to: Vec::new(), notify: true, pages: false }
    }
}

/// What happens when the target's certificate ends soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePolicy {
    /// How long before its end people are told; never if `None`.
    pub warn: Option<Duration>,
}

impl Default for CertificatePolicy {
    fn default() -> Self {
        Self { warn: Some(Duration::from_secs(21 * 86_400)) }
    }
}

/// The timers of the whole fleet. Nothing in the core reads a constant in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetPolicy {
    /// Time between two heartbeats of an agent.
    pub heartbeat: Duration,
    /// Silence after which an agent has no vote: at least two heartbeats.
    pub absent_after: Duration,
    /// Silence after which the operator is told that an agent is lost.
    pub lost_after: Duration,
    /// How long a region must be cut off before the operator is told.
    pub isolated_after: Duration,
    /// Time between two self-tests of an agent.
    pub anchor_interval: Duration,
    /// Time for one attempt to reach one anchor.
    pub anchor_timeout: Duration,
    /// How long success must last before an incident is resolved.
    pub recovery: Duration,
    /// The longest that `recovery` grows when an incident reopens.
    pub recovery_max: Duration,
    /// The interval of probes while a check is down, if shorter than its own.
    pub recovery_interval: Duration,
    /// Within this time of its end, a new failure reopens the same incident.
    pub reopen_within: Duration,
    /// Least time between two confirmation rounds of one check after the second.
    pub round_gap: Duration,
    /// The least lateness that raises suspicion; a check's own is never above half its timeout.
    pub suspect_min: Duration,
    /// How often what was learned is stored, at most: so much of it is lost with a restart.
    pub remember_every: Duration,
    /// How far an agent's wall clock may be off before the operator is told.
    pub clock_tolerance: Duration,
    /// Whether regions whose agents reach the coordinator from one public prefix are one vote.
    pub merge_places: bool,
    /// So many messages to a receiver go out at once when very many are decided; the others come
    /// together.
    pub group_after: u32,
    /// How long those wait for each other. Zero groups nothing.
    pub group_wait: Duration,
}

impl Default for FleetPolicy {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            heartbeat: secs(2),
            absent_after: secs(6),
            lost_after: secs(60),
            isolated_after: secs(5),
            anchor_interval: secs(10),
            anchor_timeout: secs(1),
            recovery: secs(30),
            recovery_max: secs(900),
            recovery_interval: secs(20),
            reopen_within: secs(1_800),
            round_gap: secs(10),
            suspect_min: secs(2),
            remember_every: secs(600),
            clock_tolerance: secs(5),
            merge_places: true,
            group_after: 3,
            group_wait: secs(10),
        }
    }
}

impl FleetPolicy {
    /// `F`: how long the vote of a probe counts from its start, for a check of this interval and
    /// timeout. Source: interval + timeout + max(2 s, interval / 10).
    pub fn freshness(check_interval: Duration, check_timeout: Duration) -> Duration {
        check_interval + check_timeout + (check_interval / 10).max(Duration::from_secs(2))
    }

    /// The lateness that raises suspicion for a check of this timeout.
    pub fn suspect_after(&self, check_timeout: Duration) -> Duration {
        self.suspect_min.min(check_timeout / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_counts_of_the_regions_configured() {
        for (text, regions, count) in [
            ("majority", 5, 3),
            ("majority", 4, 3),
            ("majority", 1, 1),
            ("2 of 5", 5, 2),
            ("2", 5, 2),
            ("9", 5, 5),
            ("all", 5, 5),
            ("any", 5, 1),
        ] {
            assert_eq!(text.parse::<Quorum>().unwrap().count(regions), count, "{text} {regions}");
        }
        for bad in ["", "0", "most", "6 of 5", "2 of", "2 of x", "-1"] {
            assert!(bad.parse::<Quorum>().is_err(), "{bad}");
        }
    }

    #[test]
    fn freshness_of_the_defaults_is_76_seconds() {
        let fresh = FleetPolicy::freshness(Duration::from_secs(60), Duration::from_secs(10));
        assert_eq!(fresh, Duration::from_secs(76));
    }
}
