//! What holds whatever happens to the five regions of the stage. `tests/invariants` holds what must
//! hold in any fleet.

use proptest::prelude::*;
use quorate_model::{AlertKind, Flag, Outcome, State};
use quorate_verdict::{Effect, Engine, Event};

use crate::mute::{configure, window};
use crate::stage::{Fault, OK, REFUSED, STATUS, Stage, TIMEOUT, What, fault, secs, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const REGIONS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// So many cases in the quick mode; `QUORATE_CASES` sets another number, such as 10000.
fn cases(count: u32) -> ProptestConfig {
    #[expect(clippy::disallowed_methods, reason = "the switch of a test is no configuration")]
    let asked = std::env::var("QUORATE_CASES").ok().and_then(|count| count.parse().ok());
    let count = asked.unwrap_or(count);
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

fn misbehaviour() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Sees(REFUSED, secs(0))),
        Just(What::Sees(STATUS, secs(1))),
        Just(What::Sees(TIMEOUT, secs(10))),
        Just(What::Sees(OK, secs(4))),
        Just(What::Sees(Outcome::Slow, secs(8))),
        Just(What::Island),
        Just(What::Dead),
    ]
}

fn faults(regions: &'static [&'static str]) -> impl Strategy<Value = Vec<Fault>> {
    let one = (60_u64..500, 1_u64..200, 0..regions.len(), misbehaviour())
        .prop_map(|(from, length, region, what)| fault(from, from + length, regions[region], what));
    prop::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(cases(60))]

    /// Two arbitrary regions of five agents each have no more to say than with one agent.
    #[test]
    fn more_agents_are_no_more_evidence(faults in faults(&REGIONS[..2])) {
        let many = ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "c1", "d1", "e1"];
        let mut stage = Stage::with(shop(), &many, faults);
        stage.run(secs(900));
        prop_assert!(stage.transitions().all(|(_, t)| t.verdict.state != State::Down));
        prop_assert!(stage.transitions().all(|(_, t)| t.verdict.ballot.scope.configured == 5));
        let entries = stage.transitions().flat_map(|(_, t)| &t.verdict.ballot.entries);
        // Alone, a region is worth at most its first failure, a retry and four nats of duration.
        let most = entries.map(|entry| entry.evidence_milli_nats).max();
        prop_assert!(most.is_none_or(|most| most <= 10_888), "{most:?}");
    }

    /// The onset of an incident is an interval: a success, then a failure, then the message.
    #[test]
    fn an_onset_is_an_interval(faults in faults(&REGIONS)) {
        let mut stage = Stage::with(shop(), &FIVE, faults);
        stage.run(secs(900));
        for incident in stage.transitions().filter_map(|(_, t)| t.incident.as_ref()) {
            prop_assert!(incident.last_success.is_none_or(|last| last < incident.first_failure));
            prop_assert!(incident.first_failure <= incident.opened, "{incident:?}");
            let bad = stage.results.iter().any(|result| {
                let outcome = result.observation.outcome;
                result.started == incident.first_failure && outcome != OK
            });
            prop_assert!(bad, "it begins with a probe that was not fine: {incident:?}");
        }
    }

    /// Whatever happens in a window, nobody hears of a beginning in it, and of an end only if they
    /// heard of the beginning; what people hear begins and ends in turn.
    #[test]
    fn a_window_is_quiet(
        faults in faults(&REGIONS),
        from in 100_u64..500,
        length in 1_u64..400,
        restart in 100_u64..800,
    ) {
        let mut stage = Stage::with(shop(), &FIVE, faults);
        configure(&mut stage, vec![window(from, from + length)]);
        stage.run(secs(restart));
        stage.restart();
        stage.run(secs(2_500));
        let mut is_known = false;
        for (at, transition) in stage.transitions() {
            let inside = secs(from) <= at && at < secs(from + length);
            prop_assert_eq!(inside, transition.verdict.flags.contains(&Flag::Maintenance));
            for (_, alert) in &transition.alerts {
                let is_end = alert.kind == AlertKind::Resolved;
                prop_assert!(!inside || is_end, "{} at {at:?}", alert.kind);
                prop_assert!(is_known || !is_end, "an end without a beginning at {at:?}");
                is_known = !is_end;
            }
        }
        prop_assert!(!is_known, "{:?}", stage.said());
        prop_assert_eq!(stage.verdict().state, State::Up);
    }

    /// The same events at the same times give the same effects.
    #[test]
    fn the_same_events_give_the_same_effects(faults in faults(&REGIONS)) {
        let play = || {
            let mut stage = Stage::with(shop(), &FIVE, faults.clone());
            stage.run(secs(600));
            stage.log
        };
        prop_assert_eq!(play(), play());
    }

    /// Nothing that a stream can carry makes the engine fall over.
    #[test]
    fn events_about_unknown_things_do_nothing(round in any::<u64>(), at in any::<i64>()) {
        let now = quorate_model::Timestamp::from_micros(at / 2);
        let mut engine = Engine::new();
        let mut effects: Vec<Effect> = Vec::new();
        let agent: quorate_model::AgentId = "a1".parse().expect("an id");
        let check = "shop".parse().expect("an id");
        engine.apply(Event::Disconnected { agent: agent.clone() }, now, &mut effects);
        engine.apply(
            Event::Declined { agent, round: quorate_model::RoundId(round), check },
            now,
            &mut effects,
        );
        engine.apply(Event::Tick, now, &mut effects);
        prop_assert_eq!(effects, vec![]);
    }
}
