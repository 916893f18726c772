//! What holds whatever happens.

use proptest::prelude::*;
use quorate_model::{AlertKind, Outcome, Quorum, State};
use quorate_verdict::{Effect, Engine, Event, explain};

use crate::stage::{Fault, OK, REFUSED, STATUS, Stage, TIMEOUT, What, fault, secs, sees, shop};

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

    /// Two arbitrary regions and three well ones: never down.
    #[test]
    fn a_minority_alone_is_never_down(faults in faults(&REGIONS[..2])) {
        let mut stage = Stage::with(shop(), &FIVE, faults);
        stage.run(secs(900));
        prop_assert!(stage.transitions().all(|(_, t)| t.verdict.state != State::Down));
        prop_assert_eq!(stage.alerts(AlertKind::Page), []);
    }

    /// Every `down` is proven by its ballot, also when that comes back from a store; and nothing
    /// else that was told as `down` before is needed to see it.
    #[test]
    fn every_down_carries_its_proof(
        mut faults in faults(&REGIONS),
        quorum in prop::sample::select(vec![Quorum::Majority, Quorum::Count(2), Quorum::All]),
        milli in prop::sample::select(vec![1_u32, 1_000, 100_000]),
        outage in 200_u64..400,
    ) {
        faults.push(sees(outage, outage + 120, "all", REFUSED));
        let mut check = quorate_model::Check { quorum, ..shop() };
        check.alert.false_alerts_per_year_milli = Some(milli);
        let mut stage = Stage::with(check, &FIVE, faults);
        stage.run(secs(900));
        let mut before = State::Unknown;
        for (_, transition) in stage.transitions() {
            let verdict = &transition.verdict;
            if verdict.state == State::Down && before != State::Down {
                let stored = serde_json::to_string(&verdict.ballot).expect("a ballot");
                let read = serde_json::from_str(&stored).expect("the same ballot");
                prop_assert!(explain::proves_down(&read), "{verdict:#?}");
                prop_assert!(verdict.ballot.evidence_milli_nats >= verdict.ballot.need_milli_nats);
            }
            before = verdict.state;
        }
    }

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

    /// Three honest regions that fail are down within a turn, a suspicion and a timeout, whatever
    /// the other two say.
    #[test]
    fn a_failing_quorum_is_down_in_time(
        mut faults in faults(&REGIONS[..2]),
        onset in 200_u64..260,
        is_black_hole in any::<bool>(),
    ) {
        let how = if is_black_hole { TIMEOUT } else { REFUSED };
        faults.retain(|fault| fault.from > secs(onset) || fault.to + secs(40) < secs(onset));
        faults.push(sees(onset, 2_000, "c d e", how));
        let mut stage = Stage::with(shop(), &FIVE, faults);
        stage.run(secs(onset + 48 + 14));
        let pages = stage.alerts(AlertKind::Page);
        prop_assert_eq!(pages.len(), 1, "{}", stage.says());
    }

    /// One incident opens once and closes once, with restarts at any time.
    #[test]
    fn an_incident_opens_once_and_closes_once(
        mut faults in faults(&REGIONS[..1]),
        restarts in prop::collection::vec(100_u64..700, 0..4),
    ) {
        faults.retain(|fault| fault.to <= secs(480));
        faults.insert(0, sees(200, 500, "all", REFUSED));
        let mut stage = Stage::with(shop(), &FIVE, faults);
        let mut restarts = restarts;
        restarts.sort_unstable();
        for at in restarts {
            stage.run(secs(at));
            stage.restart();
        }
        stage.run(secs(1_500));
        prop_assert_eq!(stage.alerts(AlertKind::Page).len(), 1, "{:?}", stage.said());
        let said = stage.said();
        prop_assert_eq!(said.last(), Some(&AlertKind::Resolved));
        prop_assert_eq!(said.iter().filter(|kind| **kind == AlertKind::Resolved).count(), 1);
        prop_assert_eq!(stage.verdict().state, State::Up);
    }

    /// Cutting a region off does not make a check down at that moment, unless all others fail.
    #[test]
    fn excluding_a_region_is_never_the_reason_for_down(faults in faults(&REGIONS)) {
        let mut stage = Stage::with(shop(), &FIVE, faults);
        for second in 100..600 {
            stage.run(secs(second));
            let before = stage.verdict().state;
            if before == State::Down || second % 50 != 0 {
                continue;
            }
            let agent = "c1".parse().expect("an id");
            let heartbeat = quorate_model::Health::Island.into();
            stage.apply(Event::Alive { agent, heartbeat });
            let scope = stage.verdict().ballot.scope;
            prop_assert!(stage.verdict().state != State::Down || scope.failing == scope.live);
        }
    }

    /// The order of delivery, and how often something is delivered, does not change the outcome.
    #[test]
    fn order_and_repetition_do_not_matter(
        said in prop::collection::vec((0_usize..5, 0_u64..10, any::<bool>()), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let mut stage = Stage::with(shop(), &FIVE, vec![]);
        stage.run(secs(200));
        let base = stage.now;
        let results: Vec<_> = said
            .iter()
            .map(|(agent, at, is_ok)| {
                let outcome = if *is_ok { OK } else { REFUSED };
                let mut result = stage.result(*agent, None, outcome, secs(0));
                result.started = base + secs(*at);
                result
            })
            .collect();
        let end = |deliveries: Vec<usize>| {
            let mut stage = Stage::with(shop(), &FIVE, vec![]);
            stage.run(secs(200));
            let mut effects = Vec::new();
            stage.now = base + secs(11);
            for place in deliveries {
                let event = Event::Result(Box::new(results[place].clone()));
                stage.engine.apply(event, stage.now, &mut effects);
            }
            // Nobody answers the confirmations: the episode runs out.
            for _ in 0..20 {
                let at = stage.engine.next_deadline().expect("a deadline");
                if at > base + secs(40) { break; }
                stage.engine.apply(Event::Tick, at, &mut effects);
            }
            let verdict = stage.verdict();
            (verdict.state, verdict.ballot.scope.failing)
        };
        // Each agent's last four probes are ordered by their start; keep to them.
        let few = (0..5).all(|agent| said.iter().filter(|(who, ..)| *who == agent).count() <= 3);
        prop_assume!(few);
        let plain: Vec<usize> = (0..results.len()).collect();
        let mut mixed = plain.clone();
        for index in &order {
            mixed.push(index.index(results.len()));
        }
        mixed.reverse();
        prop_assert_eq!(end(plain), end(mixed));
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
