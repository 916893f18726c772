//! What stands behind the check: another that probes its origin.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AlertPolicy, Check, CheckId, Mute, MuteKind, Period, Quorum, Timestamp};

use crate::composition::{Composition, Fault, What, ending, failure, region_id};
use crate::draw::Dice;

/// The check of the origin. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Behind {
    /// Those that probe it, of the composition's.
    pub(crate) regions: Vec<usize>,
    pub(crate) interval: u64,
    pub(crate) quorum: Quorum,
    /// An outage that is over within this time is to be ignored.
    pub(crate) ignored: u64,
    /// When it is in maintenance.
    pub(crate) window: Option<(u64, u64)>,
    /// What its probes meet, beside what befalls the agents.
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn behind_id() -> CheckId {
    "shop-origin".parse().expect("an id")
}

impl Behind {
    /// Anything may befall it, in all regions too, until `end`.
    pub(crate) fn draw(dice: &mut Dice, composition: &Composition, end: u64) -> Self {
        let count = composition.regions.len();
        let size = if dice.once_in(3) { dice.place(count) + 1 } else { count };
        let regions = dice.some(count, size);
        let mut faults = Vec::new();
        for _ in 0..dice.roll(4) {
            let from = dice.roll(end);
            let to = (from + dice.between(500, end)).min(end);
            let (outcome, takes) = failure(dice, composition.timeout);
            let what = What::Sees(outcome, takes);
            let out = |region: &usize| Fault {
                region: *region,
                agent: None,
                from,
                to,
                what: what.clone(),
            };
            faults.extend(regions.iter().map(out));
        }
        for _ in 0..dice.roll(6) {
            let from = dice.roll(end);
            let to = (from + dice.between(500, end)).min(end);
            let (outcome, takes) = ending(dice, composition.timeout);
            let what = if dice.once_in(3) {
                What::Flaky(dice.between(2, 6), outcome, takes)
            } else {
                What::Sees(outcome, takes)
            };
            let region = *dice.pick(&regions);
            let agent = dice.once_in(4).then(|| dice.place(composition.regions[region].agents));
            faults.insert(0, Fault { region, agent, from, to, what });
        }
        let window = dice.once_in(3).then(|| dice.roll(end));
        Self {
            interval: *dice.pick(&[20_000, 30_000, 60_000]),
            quorum: *dice.pick(&[
                Quorum::Majority,
                Quorum::Majority,
                Quorum::All,
                Quorum::Count(2),
            ]),
            ignored: *dice.pick(&[0, 0, 60_000, 200_000]),
            window: window.map(|from| (from, from + dice.between(500, end))),
            regions,
            faults,
        }
    }

    /// The check, of which the other definition is that of the front.
    pub(crate) fn check(&self, front: &Check) -> Check {
        let interval = Duration::from_millis(self.interval);
        let regions = self.regions.iter().copied();
        Check {
            id: behind_id(),
            revision: Check::fingerprint(
                &front.kind,
                &front.options,
                interval,
                front.timeout,
                front.slow_after,
            ),
            target: "https://origin.example".to_owned(),
            interval,
            regions: regions.map(region_id).collect(),
            quorum: self.quorum,
            alert: AlertPolicy {
                ignore_shorter_than: Duration::from_millis(self.ignored),
                ..AlertPolicy::default()
            },
            origin: None,
            ..front.clone()
        }
    }

    pub(crate) fn mutes(&self, start: Timestamp) -> Vec<Arc<Mute>> {
        let at = |after: u64| start + Duration::from_millis(after);
        let mute = self.window.map(|(from, to)| Mute {
            kind: MuteKind::Maintenance,
            id: "move".parse().expect("an id"),
            checks: [behind_id()].into(),
            period: Period::Once { from: at(from), to: at(to) },
            reason: None,
        });
        mute.into_iter().map(Arc::new).collect()
    }
}
