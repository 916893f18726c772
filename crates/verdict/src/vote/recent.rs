//! The last probes of one agent, and the run that they end.

use quorate_model::Timestamp;

use super::Say;
use super::lookup::Lookup;
use crate::limits::RECENT_MAX;

/// Probes in a row that said the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// What they said; `None` before the first.
    kind: Option<Kind>,
    /// How many.
    pub(crate) length: u16,
    /// How many of the last were slow.
    pub(crate) slow: u16,
    /// Start of the first.
    pub(crate) since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Success,
    Blocked,
    OneFamily,
    Failure,
}

impl Run {
    fn with(self, seen: Seen) -> Self {
        let kind = match seen.say {
            Say::Ok | Say::Slow => Kind::Success,
            Say::Limited | Say::Forbidden => Kind::Blocked,
            Say::OneFamily => Kind::OneFamily,
            Say::Fail => Kind::Failure,
        };
        let slow = if seen.say == Say::Slow { self.slow.saturating_add(1) } else { 0 };
        let (length, since) = if self.kind == Some(kind) {
            (self.length.saturating_add(1), self.since)
        } else {
            (1, seen.started)
        };
        Self { kind: Some(kind), length, slow, since }
    }
}

/// A probe whose place in the order is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) started: Timestamp,
    /// The end of its number, which tells two probes apart that started in the same microsecond,
    /// and in the lowest two bits how its lookup went: there is no room for a field of its own.
    sequence: u32,
    pub(super) say: Say,
}

impl Seen {
    pub(super) fn new(started: Timestamp, sequence: u64, say: Say, lookup: Lookup) -> Self {
        // Masked, so the conversion cannot fail.
        let end = u32::try_from(sequence & u64::from(u32::MAX >> 2)).unwrap_or(0);
        Self { started, sequence: end << 2 | lookup.bits(), say }
    }

    pub(super) fn lookup(self) -> Lookup {
        Lookup::of_bits(self.sequence & 0b11)
    }

    fn key(self) -> (Timestamp, u32) {
        (self.started, self.sequence)
    }
}

/// The last probes, by start, and the run before them. Without a detour to the heap: there is one
/// for each vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recent {
    base: Run,
    started: [Timestamp; RECENT_MAX],
    sequence: [u32; RECENT_MAX],
    say: [Say; RECENT_MAX],
    count: u8,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            base: Run::default(),
            started: [Timestamp::EPOCH; RECENT_MAX],
            sequence: [0; RECENT_MAX],
            say: [Say::Ok; RECENT_MAX],
            count: 0,
        }
    }
}

impl Recent {
    fn len(&self) -> usize {
        usize::from(self.count)
    }

    fn get(&self, place: usize) -> Seen {
        Seen { started: self.started[place], sequence: self.sequence[place], say: self.say[place] }
    }

    fn set(&mut self, place: usize, seen: Seen) {
        self.started[place] = seen.started;
        self.sequence[place] = seen.sequence;
        self.say[place] = seen.say;
    }

    /// From the first to the last.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Seen> {
        (0..self.len()).map(|place| self.get(place))
    }

    pub(super) fn last(&self) -> Option<Seen> {
        self.len().checked_sub(1).map(|place| self.get(place))
    }

    /// The run that one of them ends.
    pub(super) fn run_to(&self, seen: Seen) -> Run {
        let earlier = self.iter().take_while(|other| other.key() <= seen.key());
        earlier.fold(self.base, Run::with)
    }

    /// Takes in a probe; `run` is the one that they end so far. Returns the run that they end now;
    /// `None` if the probe is known, or older than all of them.
    pub(super) fn insert(&mut self, run: Run, seen: Seen) -> Option<Run> {
        let mut place = self.len();
        while place > 0 && self.get(place - 1).key() > seen.key() {
            place -= 1;
        }
        let is_known = place > 0 && self.get(place - 1).key() == seen.key();
        let is_full = self.len() == RECENT_MAX;
        if is_known || is_full && place == 0 {
            return None;
        }
        let is_last = place == self.len();
        if is_full {
            self.base = self.base.with(self.get(0));
            for later in 1..place {
                self.set(later - 1, self.get(later));
            }
            self.set(place - 1, seen);
        } else {
            for earlier in (place..self.len()).rev() {
                self.set(earlier + 1, self.get(earlier));
            }
            self.set(place, seen);
            self.count += 1;
        }
        if is_last { Some(run.with(seen)) } else { Some(self.iter().fold(self.base, Run::with)) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SAYS: [Say; 6] =
        [Say::Ok, Say::Slow, Say::OneFamily, Say::Limited, Say::Forbidden, Say::Fail];

    fn seen(at: u64, sequence: u64, say: usize) -> Seen {
        let started = Timestamp::EPOCH + Duration::from_secs(at);
        Seen::new(started, sequence, SAYS[say], Lookup::First)
    }

    #[test]
    fn a_vote_takes_no_more_room_than_planned() {
        assert!(size_of::<Recent>() <= 72, "{}", size_of::<Recent>());
        assert!(size_of::<super::super::Group>() <= 152, "{}", size_of::<super::super::Group>());
    }

    proptest! {
        /// The same as a sorted list of all probes, of which those that no longer fit have run
        /// into the base, in the order in which they left.
        #[test]
        fn it_is_a_sorted_list_with_a_short_memory(
            probes in prop::collection::vec((0_u64..12, 0_u64..3, 0_usize..6), 0..40),
        ) {
            let (mut recent, mut run) = (Recent::default(), Run::default());
            let (mut list, mut base) = (Vec::<Seen>::new(), Run::default());
            for (at, sequence, say) in probes {
                let probe = seen(at, sequence, say);
                let known = list.iter().any(|other| other.key() == probe.key());
                let is_old = list.len() == RECENT_MAX && probe.key() < list[0].key();
                let taken = recent.insert(run, probe);
                prop_assert_eq!(taken.is_none(), known || is_old);
                if let Some(now) = taken {
                    list.push(probe);
                    list.sort_by_key(|seen| seen.key());
                    if list.len() > RECENT_MAX {
                        base = base.with(list.remove(0));
                    }
                    run = now;
                }
                prop_assert_eq!(&recent.iter().collect::<Vec<_>>(), &list);
                prop_assert_eq!(run, list.iter().fold(base, |run, seen| run.with(*seen)));
                prop_assert_eq!(recent.last(), list.last().copied());
            }
        }
    }
}
