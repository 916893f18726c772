//! What must come to pass, and when.

use std::time::Duration;

use quorate_model::{State, Timestamp};
use quorate_verdict::plan;

use crate::composition::{Composition, Fault, What, failure};
use crate::draw::Dice;
use crate::driver::{Law, hold};
use crate::world::World;

/// What the planner leaves out: a beat of the coordinator's own timers, and the ways of messages
/// that it counts as one push.
const ROOM: Duration = Duration::from_millis(400);

/// The time between two rounds after the second.
const GAP: Duration = Duration::from_secs(10);

/// Regions, at least the quorum, that fail together from some moment on.
#[derive(Debug, Clone)]
struct Outage {
    onset: u64,
    /// Whether not all see the same.
    is_mixed: bool,
    failing: Vec<Fault>,
}

impl Outage {
    /// Draws one, and says who is not hit by it.
    fn draw(dice: &mut Dice, composition: &mut Composition) -> (Self, Vec<usize>) {
        let (count, quorum) = (composition.regions.len(), composition.quorum_count());
        let size = quorum + dice.place(count - quorum + 1);
        let chosen = dice.some(count, size);
        let onset = composition.warm() + dice.roll(composition.interval * 2);
        let usual = failure(dice, composition.timeout);
        let is_mixed = dice.once_in(3);
        let failing = chosen.iter().map(|region| {
            let own = failure(dice, composition.timeout);
            let (outcome, takes) = if is_mixed { own } else { usual };
            let what = What::Sees(outcome, takes);
            Fault { region: *region, agent: None, from: onset, to: u64::MAX, what }
        });
        let outage = Self { onset, is_mixed, failing: failing.collect() };
        composition.run = onset + 900_000;
        (outage, (0..count).filter(|region| !chosen.contains(region)).collect())
    }

    /// When it is down for the first time after the onset.
    fn found(&self, composition: &Composition) -> Option<Duration> {
        let mut composition = composition.clone();
        composition.faults.splice(0..0, self.failing.iter().cloned());
        let onset = Duration::from_millis(self.onset);
        let mut world = World::new(&composition);
        world.run(composition.run);
        let mut down = world.transitions().filter(|(_, t)| t.verdict.state == State::Down);
        down.find(|(at, _)| *at >= onset).map(|(at, _)| at.saturating_sub(onset))
    }

    /// The planner's bound; `None` if it promises nothing.
    fn promised(&self, composition: &Composition) -> Option<Duration> {
        if !composition.differ(self.failing.iter().map(|fault| fault.region)) {
            return None;
        }
        let plan = plan::plan(&composition.check(), &composition.fleet_at(Timestamp::EPOCH));
        plan.steps.iter().find(|step| step.failing == self.failing.len())?.worst
    }
}

/// The others are well, cut off, gone or silent: they may not help, but do not disturb.
fn plain(dice: &mut Dice) -> (Composition, Outage) {
    let mut composition = Composition::calm(dice);
    let (outage, others) = Outage::draw(dice, &mut composition);
    // With a single region left there is nobody to compare with, and no statement.
    for region in others.into_iter().filter(|_| outage.failing.len() >= 2) {
        if dice.once_in(2) {
            let what = dice.pick(&[What::Island, What::Dead, What::Cut]).clone();
            let from = dice.roll(outage.onset);
            let fault = Fault { region, agent: None, from, to: u64::MAX, what };
            composition.faults.push(fault);
        }
    }
    (composition, outage)
}

/// The others do whatever they like.
fn disturbed(dice: &mut Dice) -> (Composition, Outage) {
    let mut composition = Composition::calm(dice);
    let (outage, others) = Outage::draw(dice, &mut composition);
    if outage.failing.len() >= 2 {
        composition.trouble(dice, &others, 0);
    }
    (composition, outage)
}

fn in_time(found: Option<Duration>, bound: Duration) -> Law {
    match found {
        Some(after) if after <= bound => Ok(()),
        other => Err(format!("down after {other:?}, not within {bound:?}")),
    }
}

#[test]
fn invariant_2_a_failing_quorum_is_down_within_the_ladder() {
    hold("invariant_2_a", 300, plain, |(composition, outage)| {
        // Who fails at once is asked a second time before the others have timed out; those are then
        // a round behind.
        let behind = if outage.is_mixed { GAP } else { Duration::ZERO };
        let bound = outage.promised(composition).map(|bound| bound + behind + ROOM);
        bound.map_or(Ok(()), |bound| in_time(outage.found(composition), bound))
    });
}

#[test]
fn invariant_2_nobody_can_talk_an_outage_away() {
    hold("invariant_2_nobody", 300, disturbed, |(composition, outage)| {
        if outage.promised(composition).is_none() {
            return Ok(());
        }
        // Whatever the others do to the rounds, the schedule alone brings each region's second
        // failure within two intervals and a timeout; then time completes the proof.
        let schedule = Duration::from_millis(composition.interval * 2 + composition.timeout);
        let bound = schedule + Duration::from_secs(360) + ROOM;
        in_time(outage.found(composition), bound)
    });
}

fn anything(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition
}

#[test]
fn invariant_8_a_state_is_fresh_or_unknown() {
    hold("invariant_8_", 200, anything, |composition| {
        let mut world = World::new(composition);
        let limit = composition.freshness() + Duration::from_secs(1);
        for second in 1..=composition.run / 1_000 {
            world.run(second * 1_000);
            let Some(state) = world.engine.state(&world.check) else {
                if world.time() > limit {
                    return Err(format!("no verdict at {:?}", world.time()));
                }
                continue;
            };
            // After a restart the votes must have time to come in again.
            let is_young = world.restarted.is_some_and(|at| world.now - at <= limit);
            let own = world.results.iter().filter(|result| result.check == world.check);
            let spoken = own.map(|result| result.started.min(result.received));
            let last = spoken.max().unwrap_or(world.start);
            if state != State::Unknown && world.now - last > limit && !is_young {
                return Err(format!("{state} at {:?} without a vote", world.time()));
            }
        }
        Ok(())
    });
}
