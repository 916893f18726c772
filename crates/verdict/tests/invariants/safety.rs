//! What must never come to pass.

use std::collections::BTreeSet;

use quorate_model::{AlertKind, Counted, Outcome, State};
use quorate_verdict::RegionState;

use crate::composition::{Composition, Fault, Place, What, failure, region_id};
use crate::draw::Dice;
use crate::driver::{Law, hold};
use crate::world::World;

/// A fleet of which at most `M` regions do whatever they like, and the others are well.
fn minority(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    let (regions, tolerated) = (composition.regions.len(), composition.tolerated());
    let chosen = dice.some(regions, tolerated);
    composition.trouble(dice, &chosen, 0);
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition
}

#[test]
fn invariant_1_a_tolerated_minority_alone_is_never_down() {
    hold("invariant_1_", 300, minority, |composition| {
        let mut world = World::new(composition);
        world.run(composition.run);
        if let Some((at, _)) = world.transitions().find(|(_, t)| t.verdict.state == State::Down) {
            return Err(format!("down at {at:?}"));
        }
        let pages = world.said().iter().filter(|(_, kind)| *kind == AlertKind::Page).count();
        if pages > 0 { Err(format!("{pages} pages")) } else { Ok(()) }
    });
}

/// One machine under the names of some regions, up to all of them, does whatever it likes.
fn many_names(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    while composition.quorum_count() < 2 {
        composition = Composition::calm(dice);
    }
    let count = composition.regions.len();
    let most = u64::try_from(count).expect("small");
    let size = usize::try_from(dice.between(2, most)).expect("small");
    let names = dice.some(count, size);
    for name in &names {
        composition.regions[*name].prefix = Some(1);
    }
    composition.trouble(dice, &names, 0);
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition
}

#[test]
fn invariant_1_one_machine_under_many_names_alone_is_never_down() {
    hold("invariant_1_one", 300, many_names, |composition| {
        let mut world = World::new(composition);
        world.run(composition.run);
        let pages = world.said().iter().filter(|(_, kind)| *kind == AlertKind::Page).count();
        match world.transitions().find(|(_, t)| t.verdict.state == State::Down) {
            Some((at, _)) => Err(format!("down at {at:?}")),
            None if pages > 0 => Err(format!("{pages} pages")),
            None => Ok(()),
        }
    });
}

/// Regions of fewer providers than asked for, however many they are, do whatever they like.
fn alike(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    while composition.distinct.is_none() {
        composition = Composition::calm(dice);
    }
    let all: BTreeSet<u64> =
        composition.regions.iter().filter_map(|place| place.provider).collect();
    let all: Vec<u64> = all.into_iter().collect();
    let few = dice.some(all.len(), composition.distinct.unwrap_or(1) - 1);
    let is_one = |place: &Place| few.iter().any(|one| place.provider == Some(all[*one]));
    let regions = composition.regions.iter().enumerate();
    let chosen: Vec<usize> =
        regions.filter(|(_, place)| is_one(place)).map(|(region, _)| region).collect();
    composition.trouble(dice, &chosen, 0);
    if dice.once_in(2) {
        let (from, to) = (composition.warm(), composition.run);
        let (outcome, takes) = failure(dice, composition.timeout);
        let what = What::Sees(outcome, takes);
        composition.faults.extend(chosen.into_iter().map(|region| Fault {
            region,
            agent: None,
            from,
            to,
            what: what.clone(),
        }));
    }
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    composition
}

#[test]
fn invariant_1_regions_that_are_too_alike_alone_are_never_down() {
    hold("invariant_1_regions", 300, alike, |composition| {
        let mut world = World::new(composition);
        world.run(composition.run);
        match world.transitions().find(|(_, t)| t.verdict.state == State::Down) {
            Some((at, _)) => Err(format!("down at {at:?}")),
            None => Ok(()),
        }
    });
}

/// Anything befalls everybody, and some regions are cut off at some moments.
fn excluding(dice: &mut Dice) -> (Composition, Vec<(u64, usize)>) {
    let mut composition = Composition::calm(dice);
    composition.share_sometimes(dice);
    let count = composition.regions.len();
    let all: Vec<usize> = (0..count).collect();
    composition.trouble(dice, &all, 0);
    composition.deliver_badly(dice, 2_000);
    let moments = (0..30).map(|_| (dice.between(composition.warm(), composition.run), 0));
    let mut moments: Vec<(u64, usize)> = moments.collect();
    for (_, region) in &mut moments {
        *region = dice.place(count);
    }
    moments.sort_unstable();
    (composition, moments)
}

#[test]
fn invariant_7_excluding_a_region_never_makes_down_and_keeps_its_success() {
    hold("invariant_7_", 300, excluding, |(composition, moments)| {
        let mut world = World::new(composition);
        for (at, region) in moments {
            world.run(*at);
            let before = world.state();
            let held = succeeds(&world, *region);
            world.exclude(*region);
            let scope = world.look().map(|verdict| verdict.ballot.scope).unwrap_or_default();
            if before != State::Down
                && world.state() == State::Down
                && scope.failing < scope.live.max(1)
            {
                return Err(format!("{before} and then down {scope} at {at} without r{region}"));
            }
            let state = world.engine.region_state(&region_id(*region));
            if held && state == RegionState::Island && !succeeds(&world, *region) {
                return Err(format!("the success of r{region} is gone at {at}"));
            }
        }
        Ok(())
    });
}

/// Whether the region's vote is a success that counts.
fn succeeds(world: &World<'_>, region: usize) -> bool {
    let id = region_id(region);
    let entries = world.look().map(|verdict| verdict.ballot.entries).unwrap_or_default();
    entries.iter().any(|entry| {
        let is_success = entry.outcome.is_some_and(Outcome::is_success);
        entry.region == id && entry.counted == Counted::Yes && is_success
    })
}

/// The law holds for a law's sake only if the laws are about something: the compositions do
/// contain outages, exclusions and restarts.
#[test]
fn the_compositions_are_about_something() {
    let mut dice = Dice::of(1);
    let (mut down, mut partial, mut degraded, mut restarted) = (0, 0, 0, 0);
    for _ in 0..150 {
        let (composition, _) = excluding(&mut dice);
        let mut world = World::new(&composition);
        world.run(composition.run);
        let has = |state| world.transitions().any(|(_, t)| t.verdict.state == state);
        down += usize::from(has(State::Down));
        partial += usize::from(has(State::Partial));
        degraded += usize::from(has(State::Degraded));
        restarted += usize::from(!minority(&mut dice).restarts.is_empty());
    }
    let counts = [down, partial, degraded, restarted];
    assert!(counts.iter().all(|count| *count > 5), "{counts:?} of 150");
}

/// A failing law is found, made small and named with its seed.
#[test]
fn a_broken_law_is_reported_with_its_seed() {
    let broken = |composition: &Composition| -> Law {
        let is_long = composition.faults.len() >= 2;
        if is_long { Err("two faults".to_owned()) } else { Ok(()) }
    };
    let panic = std::panic::catch_unwind(|| hold("broken", 50, minority, broken));
    let text = *panic.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("QUORATE_SEED=0x"), "{text}");
    assert_eq!(text.matches("Fault {").count(), 2, "{text}");
}
