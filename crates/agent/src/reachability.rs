//! Whether the coordinator can be reached, said once for each change.

use quorate_model::Timestamp;

/// What is known of the way to the coordinator. Pure.
#[derive(Debug, Default)]
pub(crate) struct Reachability {
    lost_since: Option<Timestamp>,
}

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was there, and cannot be reached since just now.
    Lost,
    /// It is there again.
    Back {
        /// Since when it had been away.
        since: Timestamp,
    },
}

impl Reachability {
    /// Notes a failed attempt, or the end of a stream.
    pub(crate) fn failed(&mut self, now: Timestamp) -> Option<Change> {
        if self.lost_since.is_some() {
            return None;
        }
        self.lost_since = Some(now);
        Some(Change::Lost)
    }

    /// Notes that the coordinator has greeted the agent.
    pub(crate) fn greeted(&mut self) -> Option<Change> {
        self.lost_since.take().map(|since| Change::Back { since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_said_once() {
        let at = Timestamp::from_micros;
        let mut reachability = Reachability::default();
        assert_eq!(reachability.greeted(), None);
        assert_eq!(reachability.failed(at(5)), Some(Change::Lost));
        assert_eq!(reachability.failed(at(6)), None);
        assert_eq!(reachability.failed(at(7)), None);
        assert_eq!(reachability.greeted(), Some(Change::Back { since: at(5) }));
        assert_eq!(reachability.greeted(), None);
    }
}
