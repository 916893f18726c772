//! Which rounds have been run.

use std::collections::{BTreeSet, VecDeque};

use quorate_model::{CheckId, RoundId};

/// The last rounds of checks, so that a message that comes twice has no effect.
#[derive(Debug)]
pub struct Rounds {
    seen: BTreeSet<(RoundId, CheckId)>,
    order: VecDeque<(RoundId, CheckId)>,
    max: usize,
}

impl Rounds {
    /// Remembers the last `max` of them.
    pub fn new(max: usize) -> Self {
        Self { seen: BTreeSet::new(), order: VecDeque::new(), max: max.max(1) }
    }

    /// Whether this round of this check is remembered.
    pub fn contains(&self, round: RoundId, check: &CheckId) -> bool {
        self.seen.contains(&(round, check.clone()))
    }

    /// Remembers a round of a check, and forgets the oldest if there are too many.
    pub fn insert(&mut self, round: RoundId, check: &CheckId) {
        let key = (round, check.clone());
        if !self.seen.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rounds_of_each_check_are_remembered() {
        let mut rounds = Rounds::new(2);
        let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
        rounds.insert(RoundId(1), &shop);
        rounds.insert(RoundId(1), &shop);
        assert!(rounds.contains(RoundId(1), &shop));
        assert!(!rounds.contains(RoundId(1), &blog));
        rounds.insert(RoundId(1), &blog);
        rounds.insert(RoundId(2), &shop);
        assert!(!rounds.contains(RoundId(1), &shop), "the oldest of three");
        assert!(rounds.contains(RoundId(2), &shop));
        assert_eq!(rounds.seen.len(), rounds.order.len());
    }
}
