//! What rounds an origin is asked for by the checks in front, and what they take from its own.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{Check, CheckId, Outcome, State};
use quorate_verdict::{Effect, Event};

use crate::stage::{
    Fault, REFUSED, Stage, TIMEOUT, What, fault, fleet_with_origin, secs, sees, shop,
};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
/// The agent of the region that lies.
const LIAR: usize = 4;

fn origin() -> CheckId {
    "shop-origin".parse().expect("an id")
}

/// The check of an origin with so many fronts, which tells people itself.
fn stage(fronts: usize, faults: Vec<Fault>) -> Stage {
    let mut fleet = fleet_with_origin();
    let shop = Arc::clone(&fleet.checks[&shop().id]);
    for number in 1..fronts {
        let front = Check {
            id: format!("front-{number}").parse().expect("an id"),
            target: format!("https://shop.example/{number}"),
            ..(*shop).clone()
        };
        fleet.checks.insert(front.id.clone(), Arc::new(front));
    }
    let behind = Check { alert: shop.alert.clone(), ..(*fleet.checks[&origin()]).clone() };
    fleet.checks.insert(origin(), Arc::new(behind));
    Stage::of(fleet, &origin(), &FIVE, faults)
}

/// Plays while one region suspects each of the fronts every second.
fn lied_to(stage: &mut Stage, until: Duration) {
    let fronts: Vec<CheckId> =
        stage.fleet.checks.keys().filter(|id| **id != origin()).cloned().collect();
    for second in 1..=until.as_secs() {
        stage.run(secs(second));
        for front in &fronts {
            let lie = stage.suspicion(LIAR, front);
            stage.apply(Event::Suspected(Box::new(lie)));
        }
    }
}

fn fell(stage: &Stage) -> Duration {
    let down = stage.transitions().find(|(_, t)| t.verdict.state == State::Down);
    down.expect("it is down").0
}

/// How many probes the rounds asked of the origin.
fn probes(stage: &Stage) -> usize {
    let asked = stage.log.iter().filter_map(|(_, effect)| match effect {
        Effect::Confirm(round) if round.check == origin() => Some(round.agents.len()),
        Effect::Confirm(_)
        | Effect::Transition(_)
        | Effect::Operator(_)
        | Effect::Pace { .. }
        | Effect::Remember { .. } => None,
    });
    asked.sum()
}

/// That the origin falls no later with the lies than without them, whenever it breaks.
fn is_as_quick(fronts: usize, what: &str, faults: impl Fn(u64) -> Vec<Fault>) {
    for onset in 300..320 {
        let mut quiet = stage(fronts, faults(onset));
        quiet.run(secs(500));
        let mut loud = stage(fronts, faults(onset));
        lied_to(&mut loud, secs(500));
        let (plain, lied) = (fell(&quiet), fell(&loud));
        assert!(lied <= plain, "{what} at {onset} s: {plain:?}, with lies {lied:?}");
    }
}

#[test]
fn a_region_that_suspects_the_fronts_does_not_slow_the_origin_down() {
    for who in ["all", "a b c d", "b c d"] {
        for outcome in [TIMEOUT, REFUSED] {
            for fronts in [1, 4] {
                let what = format!("{who} {outcome}, {fronts} fronts");
                is_as_quick(fronts, &what, |onset| vec![sees(onset, 1_000, who, outcome)]);
            }
        }
    }
}

#[test]
fn rounds_for_fronts_that_are_not_over_yet_do_not_slow_the_origin_down() {
    // A region with a long way keeps each round open for nine seconds.
    let slow = fault(200, 1_000, "a", What::Sees(Outcome::Slow, secs(9)));
    for outcome in [TIMEOUT, REFUSED] {
        let what = format!("{outcome}");
        is_as_quick(1, &what, |onset| vec![slow.clone(), sees(onset, 1_000, "b c d", outcome)]);
    }
}

#[test]
fn however_many_fronts_are_suspected_the_origin_is_asked_so_often() {
    for fronts in [1, 10, 40] {
        let mut stage = stage(fronts, vec![]);
        lied_to(&mut stage, secs(1_200));
        // A purse of three rounds that earns two a minute.
        let most = 5 * (3 + 2 * 20);
        let asked = probes(&stage);
        assert!(asked <= most, "{fronts} fronts: {asked} probes, {most} at most");
        assert!(asked >= most / 2, "{fronts} fronts: {asked} probes are not many");
        assert_eq!(stage.said(), []);
    }
}
