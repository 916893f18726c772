//! What the check of an origin may change of the one in front.

use std::ops::Range;
use std::time::Duration;

use quorate_model::{Cause, State};

use crate::behind::Behind;
use crate::composition::{Composition, Fault, What, failure};
use crate::draw::Dice;
use crate::driver::hold;
use crate::world::World;

/// Anything befalls the agents, the target and its origin; at times the target is down for all.
fn linked(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    if dice.once_in(2) {
        let from = dice.between(composition.warm(), 400_000);
        let to = from + dice.between(30_000, 300_000);
        let (outcome, takes) = failure(dice, composition.timeout);
        for region in all {
            let what = What::Sees(outcome, takes);
            composition.faults.insert(0, Fault { region, agent: None, from, to, what });
        }
    }
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition.behind = Some(Behind::draw(dice, &composition, 600_000));
    composition
}

/// When the check was down, from when to when.
fn outages(composition: &Composition, is_linked: bool) -> Vec<Range<Duration>> {
    let mut world = World::linked(composition, is_linked);
    world.run(composition.run);
    let mut outages: Vec<Range<Duration>> = Vec::new();
    let mut began = None;
    for (at, transition) in world.transitions() {
        if transition.verdict.state == State::Down {
            began.get_or_insert(at);
        } else if let Some(from) = began.take() {
            outages.push(from..at);
        }
    }
    outages.extend(began.map(|from| from..Duration::MAX));
    outages
}

#[test]
fn an_origin_neither_makes_nor_prevents_an_outage_of_what_is_in_front() {
    hold("an_origin_neither", 200, linked, |composition| {
        let (alone, behind) = (outages(composition, false), outages(composition, true));
        // What was degraded before is the same incident, and takes longer to be over.
        // Asked together with the origin, a region answers a moment later, or sooner.
        let moment = Duration::from_secs(1);
        let is_as_soon = match (alone.first(), behind.first()) {
            (Some(alone), Some(behind)) => alone.start.abs_diff(behind.start) <= moment,
            (alone, behind) => alone.is_none() && behind.is_none(),
        };
        let lasts = |outage: &Range<Duration>| {
            let is_same = |behind: &Range<Duration>| {
                behind.start <= outage.start + moment && outage.start < behind.end
            };
            behind.iter().any(is_same)
        };
        if is_as_soon && alone.iter().all(lasts) {
            return Ok(());
        }
        Err(format!("down in {alone:?}, but with its origin in {behind:?}"))
    });
}

/// The compositions contain what the law is about.
#[test]
fn origins_matter_in_the_compositions() {
    let mut dice = Dice::of(1);
    let (mut cached, mut behind, mut in_front) = (0, 0, 0);
    for _ in 0..150 {
        let composition = linked(&mut dice);
        let mut world = World::linked(&composition, true);
        world.run(composition.run);
        let has = |state, cause| {
            world.transitions().any(|(_, t)| (t.verdict.state, t.verdict.cause) == (state, cause))
        };
        cached += usize::from(has(State::Degraded, Cause::Origin));
        behind += usize::from(has(State::Down, Cause::Origin));
        in_front += usize::from(has(State::Down, Cause::Cdn));
    }
    let counts = [cached, behind, in_front];
    assert!(counts.iter().all(|count| *count > 5), "{counts:?} of 150");
}
