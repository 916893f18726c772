//! What a verdict carries.

use quorate_model::{Ballot, BallotEntry, BlockReason, Counted, Outcome, State};
use quorate_verdict::explain;

use crate::composition::{Composition, Fault, What, failure};
use crate::draw::Dice;
use crate::driver::{Law, hold};
use crate::world::World;

fn anything(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    composition.share_sometimes(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    if dice.once_in(2) {
        let from = dice.between(composition.warm(), 300_000);
        let to = from + dice.between(30_000, 300_000);
        for region in all {
            let (outcome, takes) = failure(dice, composition.timeout);
            let what = What::Sees(outcome, takes);
            composition.faults.insert(0, Fault { region, agent: None, from, to, what });
        }
    }
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition
}

#[test]
fn invariant_10_every_down_is_proven_by_its_ballot() {
    hold("invariant_10_", 300, anything, |composition| {
        let mut world = World::new(composition);
        world.run(composition.run);
        let mut before = State::Unknown;
        for (at, transition) in world.transitions() {
            let verdict = &transition.verdict;
            // An outage that nobody could see for a while is not decided anew.
            let is_new = verdict.state == State::Down && before != State::Down;
            let is_kept = before == State::Unknown && transition.alerts.is_empty();
            if is_new && !is_kept {
                let stored = serde_json::to_string(&verdict.ballot).expect("a ballot");
                let read: Ballot = serde_json::from_str(&stored).expect("the same ballot");
                if read != verdict.ballot || !explain::proves_down(&read) {
                    return Err(format!("at {at:?} not proven by {read:#?}"));
                }
                differs(composition, &read)
                    .and_then(|()| suffices(composition, &read))
                    .map_err(|what| format!("at {at:?}: {what}"))?;
            }
            before = verdict.state;
        }
        Ok(())
    });
}

/// The regions that fail are of as many providers as they must be, or all that are left fail while
/// those are of fewer.
fn differs(composition: &Composition, ballot: &Ballot) -> Law {
    let Some(asked) = composition.distinct else {
        return if ballot.distinct.is_empty() { Ok(()) } else { Err("not asked".to_owned()) };
    };
    let is_failure = |entry: &BallotEntry| {
        let refused = Outcome::Blocked { reason: BlockReason::Forbidden };
        let fails = entry.outcome.is_some_and(|outcome| outcome.is_fail() || outcome == refused);
        entry.counted == Counted::Yes && fails
    };
    let entries = ballot.entries.iter().enumerate();
    let failing: Vec<usize> =
        entries.filter(|(_, entry)| is_failure(entry)).map(|(region, _)| region).collect();
    let [count] = ballot.distinct.as_slice() else {
        return Err(format!("one demand and {:?}", ballot.distinct));
    };
    let left = usize::try_from(count.live).expect("small");
    if composition.differ(failing.iter().copied()) && count.failing.len() >= asked {
        return Ok(());
    }
    if left < asked && ballot.scope.failing == ballot.scope.live {
        return Ok(());
    }
    Err(format!("{asked} providers asked for, r{failing:?} fail, and {count:?}"))
}

/// The arithmetic of the proof, done anew with other means: the need of as many failures as are
/// needed, or of some more, is what the formula says, and the failures together reach it.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn suffices(composition: &Composition, ballot: &Ballot) -> Law {
    let weights: Vec<f64> = ballot
        .entries
        .iter()
        .filter(|entry| entry.evidence_milli_nats > 0)
        .map(|entry| f64::from(entry.evidence_milli_nats) / 1_000.0)
        .collect();
    let is_weighed = composition.quorum_count() > 1 && !composition.ignores_evidence;
    if !is_weighed {
        let is_free = ballot.need_milli_nats == 0 && ballot.evidence_milli_nats == 0;
        return if is_free { Ok(()) } else { Err("weighed although it is not asked".to_owned()) };
    }
    let regions = composition.regions.len();
    let budget = f64::from(composition.budget_milli.unwrap_or(1_000)) / 1_000.0;
    let epochs = regions as f64 * 365.25 * 86_400.0 / (composition.interval as f64 / 1_000.0);
    let is_reduced = ballot.quorum_effective < ballot.quorum;
    let need = |failing: usize| {
        let subsets = if is_reduced { 0.0 } else { choose(regions, failing).ln() };
        (epochs.ln() + (10.0 / budget).ln() + subsets).max(0.0)
    };
    let claimed = f64::from(ballot.need_milli_nats) / 1_000.0;
    let least = usize::try_from(ballot.quorum_effective).expect("small");
    let mut sorted = weights;
    sorted.sort_by(|a, b| b.total_cmp(a));
    let sum = |size: usize| sorted.iter().take(size).sum::<f64>();
    // `C(n, k)` is that of `n - k`, too.
    let mut sizes = (least..=sorted.len()).filter(|size| (need(*size) - claimed).abs() < 0.002);
    if sizes.any(|size| sum(size) + 0.002 >= claimed) {
        return Ok(());
    }
    Err(format!("{claimed} is needed, and no number of failures from {least} needs and has that"))
}

fn choose(n: usize, k: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).expect("small"));
    (0..k).map(|place| number(n - place) / number(place + 1)).product()
}
