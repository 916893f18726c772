//! What one probe says.

use quorate_model::{BlockReason, Observation, Outcome};

/// What a probe says about the target, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    /// Well.
    Ok,
    /// Well, but slow.
    Slow,
    /// Well over one address family, broken over the other.
    OneFamily,
    /// It answered that there were too many requests.
    Limited,
    /// It refused to answer.
    Forbidden,
    /// Broken.
    Fail,
}

impl Say {
    /// What a probe says; `None` if nothing.
    ///
    /// Who tries the other address family finds out whether the target is broken as a whole. That
    /// the other one works is no success, since the check asks for its own, and no failure either:
    /// whoever can use both reaches the target.
    pub(crate) fn of(seen: &Observation) -> Option<Self> {
        let other = seen.evidence.other_family.map(|other| other.outcome);
        match seen.outcome {
            Outcome::Ok | Outcome::Slow if other.is_some_and(Outcome::is_fail) => {
                Some(Self::OneFamily)
            }
            Outcome::Fail { .. } if other.is_some_and(Outcome::is_success) => Some(Self::OneFamily),
            Outcome::Ok => Some(Self::Ok),
            Outcome::Slow => Some(Self::Slow),
            Outcome::Fail { .. } => Some(Self::Fail),
            Outcome::Blocked { reason: BlockReason::RateLimit } => Some(Self::Limited),
            Outcome::Blocked { reason: BlockReason::Forbidden } => Some(Self::Forbidden),
            Outcome::Inconclusive { .. } => None,
        }
    }

    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Slow)
    }

    /// Whether it raises a suspicion. Too many requests do not: asking more often would add to them.
    pub(crate) fn is_alarming(self) -> bool {
        matches!(self, Self::Fail | Self::Forbidden | Self::OneFamily)
    }
}
