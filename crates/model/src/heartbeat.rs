//! What an agent says of itself while nothing else happens.

use std::fmt;

use crate::Health;

/// What a sign of life tells of the agent that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// What it thinks of itself.
    pub health: Health,
    /// The anchors that its last self-test could not reach; nothing before its first, and nothing
    /// without anchors.
    pub failing_anchors: Option<AnchorSet>,
    /// How far its wall clock is ahead of the coordinator's, in microseconds; negative if behind.
    /// Right to half a round trip; nothing before one has been measured.
    pub clock_ahead_micros: Option<i64>,
}

impl From<Health> for Heartbeat {
    /// A heartbeat that tells of nothing else.
    fn from(health: Health) -> Self {
        Self { health, failing_anchors: None, clock_ahead_micros: None }
    }
}

/// Some of the anchors of [`AgentSettings`](crate::AgentSettings), by their places in its list.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct AnchorSet(u16);

impl AnchorSet {
    /// The most anchors that settings may name.
    pub const MAX: usize = 16;

    /// The set whose members are the bits of a number, the first anchor being the lowest; nothing
    /// if it has a bit for which there can be no anchor.
    pub fn from_bits(bits: u32) -> Option<Self> {
        u16::try_from(bits).ok().map(Self)
    }

    /// The number that [`from_bits`](Self::from_bits) takes.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// Takes in an anchor. A place for which there can be no anchor changes nothing.
    pub fn insert(&mut self, place: usize) {
        if place < Self::MAX {
            self.0 |= 1 << place;
        }
    }

    /// Whether the anchor at this place is one of them.
    pub fn contains(self, place: usize) -> bool {
        place < Self::MAX && self.0 & (1 << place) != 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(Self::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their places, in order.
    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX).filter(move |place| self.contains(*place))
    }
}

impl FromIterator<usize> for AnchorSet {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut set = Self::default();
        for place in places {
            set.insert(place);
        }
        set
    }
}

impl fmt::Debug for AnchorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_keep_their_places() {
        let set: AnchorSet = [0, 3, 15, 16].into_iter().collect();
        assert_eq!(set.places().collect::<Vec<_>>(), [0, 3, 15]);
        assert_eq!(set.len(), 3);
        assert!(set.contains(3) && !set.contains(1) && !set.contains(16));
        assert_eq!(AnchorSet::from_bits(set.bits()), Some(set));
        assert_eq!(AnchorSet::from_bits(1 << 16), None);
        assert!(AnchorSet::default().is_empty());
    }
}
