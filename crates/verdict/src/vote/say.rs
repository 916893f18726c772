//! What one probe says.

use quorate_model::{BlockReason, Outcome};

/// What a probe says about the target, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    /// Well.
    Ok,
    /// Well, but slow.
    Slow,
    /// It answered that there were too many requests.
    Limited,
    /// It refused to answer.
    Forbidden,
    /// Broken.
    Fail,
}

impl Say {
    /// What an outcome says; `None` if nothing.
    pub(crate) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
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
        matches!(self, Self::Fail | Self::Forbidden)
    }
}
