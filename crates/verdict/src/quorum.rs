//! The rule: when is a target down?
//!
//! **What it decides.** A check is down when at least `K` distinct, live regions fail *now*, and
//! each of these failures was seen inside the present suspicion episode. `K` comes from the regions
//! configured, never from those that happen to report: losing regions must not make it easier to
//! be paged.
//!
//! **Why so.** One region cannot tell a broken target from a broken path. Distinct regions that
//! fail within seconds of each other share little but the target. The confirmation on demand makes
//! the delay independent of `K`: all regions look at once, so asking for more of them costs nothing.
//!
//! **All that are left.** With fewer live regions than `K` the rule is "all that are left, at least
//! two", and the verdict says `reduced_quorum`. With one left nobody can contradict it: no
//! statement. A check configured with a single region has no other choice: it decides alone, after
//! its own retry. So does a single region under `quorum: any`.
//!
//! **What it ignores, on purpose.** Successes elsewhere do not subtract: "unreachable from three
//! continents, fine from two" is a real fault. They decide the scope and the cause instead.
//!
//! **And they must differ**, where the check asks for that: `distinct`.
//!
//! **Cold start.** Without votes nothing fails and nothing is well; the engine says `unknown` only
//! after one freshness, and can say `down` before that.
//!
//! **Example.** Five regions, `K` = 3. Two are cut off: live = 3, needed = 3. A third is lost:
//! live = 2, needed = 2, reduced. A fourth: live = 1, no statement.
//!
//! **And it must not be chance.** The failures that make the quorum are weighed (`evidence`). Until
//! they weigh enough the answer is [`Ruling::Ask`]: the failing regions are asked again, and time
//! works for the proof. Where neither can complete it, the check is not down, whatever fails. A
//! single region that may decide alone (`any`, or no other configured) can never prove anything:
//! there, and with `evidence: off`, the number alone decides.

use crate::distinct::Variety;

/// What the rule sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Regions configured for the check.
    pub(crate) configured: usize,
    /// `K`, from those.
    pub(crate) quorum: usize,
    /// Regions neither silent nor cut off.
    pub(crate) live: usize,
    /// Live regions that fail now.
    pub(crate) failing: usize,
    /// Those of them that failed at least twice in a row.
    pub(crate) failing_again: usize,
    /// How far the proof is.
    pub(crate) standing: Standing,
    /// Whether the failing regions differ as much as the check asks.
    pub(crate) variety: Variety,
}

/// How far the proof is that the failures are no coincidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None is asked for.
    #[default]
    NotAsked,
    /// It is complete.
    Complete,
    /// Another probe, or time, can complete it.
    Growing,
    /// Nothing can complete it while no more regions fail.
    Exhausted,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The target is down.
    Down,
    /// Enough regions fail, but the proof is incomplete: ask for another round.
    Ask,
    /// Not down.
    Hold,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The quorum fails.
    Quorum,
    /// All that are left fail.
    AllThatAreLeft,
    /// The one region that decides has not failed a second time yet.
    NotRetried,
    /// Enough regions fail, but that could still be chance.
    Unproven,
    /// Enough regions fail, but the budget of false alerts is too small for so few.
    OutOfReach,
    /// Fewer regions fail than needed.
    TooFewFail,
    /// Enough regions fail, but in too few providers, or whatever they are to differ in.
    TooAlike,
    /// Too few regions are left to say anything.
    TooFewLive,
}

/// How many live regions must fail: the quorum, or all that are left, at least two. `None` if too
/// few are left for any statement.
pub(crate) fn needed(configured: usize, quorum: usize, live: usize) -> Option<usize> {
    let least = configured.min(2);
    if live < least || live == 0 { None } else { Some(quorum.min(live).max(1)) }
}

/// Whether one more faulty region could hide an outage although not all are there: with `live` at
/// most the quorum, a single false success keeps the failures below what is needed.
pub(crate) fn fragile(configured: usize, quorum: usize, live: usize) -> bool {
    live < configured && live <= quorum && needed(configured, quorum, live).is_some()
}

/// Applies the rule.
pub(crate) fn decide(tally: &Tally) -> (Ruling, Ground) {
    let Some(needed) = needed(tally.configured, tally.quorum, tally.live) else {
        return (Ruling::Hold, Ground::TooFewLive);
    };
    debug_assert!(tally.failing <= tally.live && tally.failing_again <= tally.failing);
    if tally.failing < needed {
        (Ruling::Hold, Ground::TooFewFail)
    } else if tally.variety == Variety::Lacking {
        (Ruling::Hold, Ground::TooAlike)
    } else if needed == 1 && tally.failing_again == 0 {
        (Ruling::Ask, Ground::NotRetried)
    } else if tally.standing == Standing::Growing {
        (Ruling::Ask, Ground::Unproven)
    } else if tally.standing == Standing::Exhausted {
        (Ruling::Hold, Ground::OutOfReach)
    } else if needed < tally.quorum || tally.variety == Variety::AllThatAreLeft {
        (Ruling::Down, Ground::AllThatAreLeft)
    } else {
        (Ruling::Down, Ground::Quorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        configured: usize,
        quorum: usize,
        live: usize,
        failing: usize,
        again: usize,
    ) -> Ruling {
        let standing = Standing::NotAsked;
        let variety = Variety::NotAsked;
        decide(&Tally {
            configured,
            quorum,
            live,
            failing,
            failing_again: again,
            standing,
            variety,
        })
        .0
    }

    #[test]
    fn what_could_be_chance_is_not_down() {
        let with = |standing| {
            decide(&Tally {
                configured: 5,
                quorum: 3,
                live: 5,
                failing: 3,
                failing_again: 3,
                standing,
                variety: Variety::NotAsked,
            })
        };
        assert_eq!(with(Standing::Complete), (Ruling::Down, Ground::Quorum));
        assert_eq!(with(Standing::Growing), (Ruling::Ask, Ground::Unproven));
        assert_eq!(with(Standing::Exhausted), (Ruling::Hold, Ground::OutOfReach));
    }

    #[test]
    fn the_quorum_decides_while_it_can_be_reached() {
        assert_eq!(check(5, 3, 5, 2, 2), Ruling::Hold);
        assert_eq!(check(5, 3, 5, 3, 0), Ruling::Down);
        assert_eq!(check(5, 3, 3, 2, 2), Ruling::Hold);
        assert_eq!(check(5, 5, 5, 4, 4), Ruling::Hold);
        assert_eq!(check(5, 5, 5, 5, 0), Ruling::Down);
    }

    #[test]
    fn all_that_are_left_decide_but_never_one_of_several() {
        assert_eq!(check(5, 3, 2, 1, 1), Ruling::Hold);
        assert_eq!(
            decide(&Tally {
                configured: 5,
                quorum: 3,
                live: 2,
                failing: 2,
                failing_again: 0,
                standing: Standing::Complete,
                variety: Variety::Enough,
            }),
            (Ruling::Down, Ground::AllThatAreLeft)
        );
        assert_eq!(check(5, 3, 1, 1, 1), Ruling::Hold);
        assert_eq!(check(5, 1, 1, 1, 1), Ruling::Hold);
        assert_eq!(check(5, 3, 0, 0, 0), Ruling::Hold);
    }

    #[test]
    fn a_region_that_decides_alone_must_fail_twice() {
        assert_eq!(check(1, 1, 1, 1, 0), Ruling::Ask);
        assert_eq!(check(1, 1, 1, 1, 1), Ruling::Down);
        assert_eq!(check(5, 1, 5, 1, 0), Ruling::Ask);
        assert_eq!(check(5, 1, 5, 1, 1), Ruling::Down);
    }

    #[test]
    fn regions_that_are_too_alike_are_not_down_whatever_the_proof() {
        let with = |variety| {
            let standing = Standing::Complete;
            let again = 4;
            decide(&Tally {
                configured: 5,
                quorum: 3,
                live: 5,
                failing: 4,
                failing_again: again,
                standing,
                variety,
            })
        };
        assert_eq!(with(Variety::Enough), (Ruling::Down, Ground::Quorum));
        assert_eq!(with(Variety::Lacking), (Ruling::Hold, Ground::TooAlike));
        assert_eq!(with(Variety::AllThatAreLeft), (Ruling::Down, Ground::AllThatAreLeft));
    }

    #[test]
    fn fragile_once_a_single_false_success_can_hide_an_outage() {
        assert!(!fragile(5, 3, 5) && !fragile(5, 3, 4));
        assert!(fragile(5, 3, 3) && fragile(5, 3, 2));
        assert!(!fragile(5, 3, 1), "then there is no quorum at all");
        assert!(!fragile(3, 3, 3), "asked for by the configuration, not lost");
        assert!(fragile(3, 2, 2));
    }
}
