//! Anchors: which of the hosts of the self-test are broken themselves?
//!
//! **What it decides.** A success vouches for the network that it came through. A region that has
//! had one since its self-test last failed is *proven*. An anchor that fails in more than half of
//! the proven regions, at least two, is bad: it is left out of every self-test's count, and the
//! operators are told. An agent whose other anchors answer, or have all gone with it, is then no
//! island, whatever it says.
//!
//! **Why only proven regions.** Three of five regions that are really cut off fail on every anchor as
//! well. They have no successes to show, so the two that are left judge the anchors, and find them
//! fine.
//!
//! **What it ignores.** How long ago an anchor last answered: a self-test says it every few seconds.
//!
//! **Example.** All five anchors belong to one operator that has an outage. Every agent says that
//! it is cut off, and goes on delivering successes: within a self-test's interval all anchors are
//! bad and every region votes. One in which the network breaks as well is then found by its conflicts.

use quorate_model::{AnchorSet, FleetPolicy, NoticeKind, OperatorNotice, Timestamp};

use crate::Effect;
use crate::liveness::Roster;

/// What is thought of the anchors.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    /// Those that are bad.
    pub(crate) bad: AnchorSet,
    /// Since when it is these.
    since: Timestamp,
    /// Those of which the operators were told.
    told: AnchorSet,
    pub(crate) alarm: Option<Timestamp>,
}

impl Anchors {
    /// Judges the anchors anew. Returns whether others are bad than before.
    pub(crate) fn judge(&mut self, roster: &Roster, anchors: usize, now: Timestamp) -> bool {
        let proven: Vec<AnchorSet> = roster.proven().collect();
        let bad: AnchorSet = (0..anchors.min(AnchorSet::MAX))
            .filter(|place| {
                let failing = proven.iter().filter(|failing| failing.contains(*place)).count();
                failing > 1 && failing * 2 > proven.len()
            })
            .collect();
        if bad == self.bad {
            return false;
        }
        self.bad = bad;
        self.since = now;
        true
    }

    /// Forgets everything: the anchors are others now. What was told is over with them.
    pub(crate) fn forget(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.bad = AnchorSet::default();
        if !std::mem::take(&mut self.told).is_empty() {
            effects.push(notice(now, true, "the anchors are others now".to_owned()));
        }
    }

    /// Tells what there is to tell; `names` are those of all anchors. Returns when to look again.
    pub(crate) fn tend(
        &mut self,
        names: &[String],
        policy: &FleetPolicy,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        if self.bad == self.told {
            return None;
        }
        let due = self.since + policy.isolated_after;
        if now < due {
            return Some(due);
        }
        let is_worse = self.bad.places().any(|place| !self.told.contains(place));
        self.told = self.bad;
        let listed: Vec<&str> =
            self.bad.places().filter_map(|place| names.get(place)).map(String::as_str).collect();
        let message = if self.bad.is_empty() {
            "the anchors answer again".to_owned()
        } else if is_worse {
            format!(
                "{} of {} anchors fail from regions that reach their targets, so they are not counted \
                 in self-tests: {}; replace them in `anchors` if they do not come back",
                listed.len(),
                names.len(),
                listed.join(", ")
            )
        } else {
            return None;
        };
        effects.push(notice(now, self.bad.is_empty(), message));
        None
    }
}

fn notice(at: Timestamp, resolved: bool, message: String) -> Effect {
    Effect::Operator(OperatorNotice {
        kind: NoticeKind::AnchorBad,
        at,
        resolved,
        region: None,
        agent: None,
        check: None,
        message,
    })
}
