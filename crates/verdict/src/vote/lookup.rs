//! Which resolver gave the address that a probe went to, and what the last probes together say of
//! the first one.

use quorate_model::{Observation, Outcome, Phase, ResolverUse};

/// So many probes in a row say something of a resolver: one lost packet makes one lookup slow.
const IN_A_ROW: usize = 3;

/// How one probe found its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// By the first resolver, or there was nothing to look up.
    First,
    /// By the second one only.
    Second,
    /// Both could not resolve the name, which says nothing of either.
    Neither,
    /// The first one could not, and there is no second.
    Alone,
}

impl Lookup {
    pub(super) fn of(seen: &Observation) -> Self {
        match seen.evidence.resolver {
            Some(ResolverUse::Second) => Self::Second,
            Some(ResolverUse::Neither) => Self::Neither,
            None if matches!(seen.outcome, Outcome::Fail { phase: Phase::Dns, .. }) => Self::Alone,
            None => Self::First,
        }
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Neither => 2,
            Self::Alone => 3,
        }
    }

    pub(super) fn of_bits(bits: u32) -> Self {
        match bits {
            0 => Self::First,
            1 => Self::Second,
            2 => Self::Neither,
            _ => Self::Alone,
        }
    }
}

/// What the lookups of the last probes, the latest first, agree on; `None` if they do not, or are
/// too few.
pub(super) fn agreed(mut lookups: impl Iterator<Item = Lookup>) -> Option<Lookup> {
    let last = lookups.next()?;
    let same = lookups.take(IN_A_ROW - 1).filter(|lookup| *lookup == last).count();
    (same == IN_A_ROW - 1).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::Lookup::{Alone, First, Neither, Second};
    use super::*;

    #[test]
    fn three_in_a_row_agree_and_fewer_say_nothing() {
        let of = |lookups: &[Lookup]| agreed(lookups.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Second, Second]), None);
        assert_eq!(of(&[Second, Second, Second, First]), Some(Second));
        assert_eq!(of(&[First, Second, Second, Second]), None);
        assert_eq!(of(&[First, First, First, Second]), Some(First));
        assert_eq!(of(&[Neither, Second, Second]), None);
    }

    #[test]
    fn the_bits_are_the_same_way_back() {
        for lookup in [First, Second, Neither, Alone] {
            assert_eq!(Lookup::of_bits(lookup.bits()), lookup);
        }
    }
}
