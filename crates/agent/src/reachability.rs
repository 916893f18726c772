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
    /// It is there again, and stays.
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

    /// Whether attempts fail at the moment, as far as has been said.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost_since.is_some()
    }

    /// Notes that a stream has lasted. One that ends at once changes nothing: else an agent that is
    /// greeted and sent away again and again would say so each time.
    pub(crate) fn steady(&mut self) -> Option<Change> {
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
        assert_eq!(reachability.steady(), None);
        assert_eq!(reachability.failed(at(5)), Some(Change::Lost));
        assert_eq!(reachability.failed(at(6)), None);
        assert!(reachability.is_lost());
        assert_eq!(reachability.failed(at(7)), None);
        assert_eq!(reachability.steady(), Some(Change::Back { since: at(5) }));
        assert_eq!(reachability.steady(), None);
    }
}
