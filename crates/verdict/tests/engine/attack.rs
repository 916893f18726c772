//! Regions that lie in order to silence others, or to keep people from hearing what is so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AlertKind, AnchorSet, BootId, Check, CheckId, Evidence, Fleet, Health, Heartbeat, NoticeKind,
    Observation, Outcome, Phase, ProbeResult, RegionId, ResultId, State, Suspicion, Timestamp,
};
use quorate_verdict::{Effect, Engine, Event, RegionState};

use crate::stage::{OK, REFUSED, Stage, fleet_of, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const ALL: AnchorsOf = &[0, 1, 2, 3, 4];
type AnchorsOf = &'static [usize];

/// An engine, and whatever somebody wants to tell it.
struct Town {
    engine: Engine,
    fleet: Fleet,
    now: Timestamp,
    sequence: u64,
    effects: Vec<Effect>,
}

impl Town {
    /// Five regions with five anchors, and checks on hosts of these names.
    fn new(hosts: &[&str]) -> Self {
        let check = |host: &&str| {
            let id: CheckId = host.parse().expect("an id");
            let target = format!("https://{host}.example");
            (id.clone(), Arc::new(Check { id, target, ..shop() }))
        };
        let anchors = (0..5).map(|n| format!("anchor-{n}.example:443")).collect();
        let fleet =
            Fleet { checks: hosts.iter().map(check).collect(), anchors, ..fleet_of(shop()) };
        let mut town = Self {
            engine: Engine::new(),
            fleet: fleet.clone(),
            now: Timestamp::from_micros(1_700_000_000_000_000),
            sequence: 0,
            effects: Vec::new(),
        };
        town.apply(Event::Configured(Arc::new(fleet)));
        for name in FIVE {
            let region = name[..1].parse().expect("an id");
            town.apply(Event::Connected {
                agent: name.parse().expect("an id"),
                region,
                prefix: None,
            });
        }
        town
    }

    fn apply(&mut self, event: Event) {
        self.engine.apply(event, self.now, &mut self.effects);
    }

    /// All agents live on for this long, and say the same of themselves as before.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + secs(1);
            self.apply(Event::Tick);
        }
    }

    fn beat(&mut self, names: &[&str], health: Health, failing: Option<AnchorsOf>) {
        let failing_anchors = failing.map(|places| places.iter().copied().collect::<AnchorSet>());
        for name in names {
            let heartbeat = Heartbeat { failing_anchors, ..health.into() };
            self.apply(Event::Alive { agent: name.parse().expect("an id"), heartbeat });
        }
    }

    /// A probe that started so long ago ends now.
    fn probe(&mut self, name: &str, check: &str, outcome: Outcome, address: &str, age: Duration) {
        self.sequence += 1;
        let id: CheckId = check.parse().expect("an id");
        let address: Option<IpAddr> = address.parse().ok();
        self.apply(Event::Result(Box::new(ProbeResult {
            id: ResultId {
                agent: name.parse().expect("an id"),
                boot: BootId(1),
                sequence: self.sequence,
            },
            region: name[..1].parse().expect("an id"),
            revision: self.fleet.checks[&id].revision,
            check: id,
            round: None,
            started: self.now.before(age),
            received: self.now,
            health: Health::Fine,
            observation: Observation {
                outcome,
                total: age,
                phases: Vec::new(),
                evidence: Evidence { address, ..Evidence::default() },
            },
        })));
    }

    fn state(&self, region: &str) -> RegionState {
        let region: RegionId = region.parse().expect("an id");
        self.engine.region_state(&region)
    }

    /// How often the operators were told this, and that it is over.
    fn told(&self, kind: NoticeKind) -> (usize, usize) {
        let of = |resolved| {
            let is_it = |effect: &&Effect| match effect {
                Effect::Operator(told) => told.kind == kind && told.resolved == resolved,
                Effect::Confirm(_)
                | Effect::Transition(_)
                | Effect::Pace { .. }
                | Effect::Remember { .. } => false,
            };
            self.effects.iter().filter(is_it).count()
        };
        (of(false), of(true))
    }
}

const NOW: Duration = Duration::from_millis(50);

#[test]
fn a_broken_path_to_one_name_with_many_addresses_does_not_make_a_suspect() {
    let mut town = Town::new(&["shop"]);
    for turn in 0..40 {
        town.beat(&FIVE, Health::Fine, None);
        for (place, name) in FIVE.iter().enumerate() {
            let outcome = if *name == "c1" { REFUSED } else { OK };
            let address = format!("192.0.{}.7", turn * 5 + place);
            town.probe(name, "shop", outcome, &address, NOW);
            town.wait(1);
        }
    }
    assert_eq!(town.state("c"), RegionState::Live, "a path is the check's affair");
}

#[test]
fn what_another_region_says_of_addresses_does_not_make_a_suspect() {
    // Behind one network, which c cannot reach, are six checks; a claims to see six networks.
    let hosts = ["h-a", "h-b", "h-c", "h-d", "h-e", "h-f"];
    let mut town = Town::new(&hosts);
    for turn in 0..40 {
        town.beat(&FIVE, Health::Fine, None);
        for name in FIVE {
            for (place, host) in hosts.iter().enumerate() {
                let outcome = if name == "c1" { REFUSED } else { OK };
                let lie = format!("1.{turn}.{place}.7");
                let address = if name == "a1" { lie.as_str() } else { "192.0.2.7" };
                town.probe(name, host, outcome, address, NOW);
            }
            town.wait(1);
        }
    }
    assert_eq!(town.state("c"), RegionState::Live);
}

#[test]
fn a_success_from_before_the_last_anchor_failed_vouches_for_nothing() {
    let mut town = Town::new(&["shop"]);
    town.beat(&FIVE, Health::Fine, Some(&[2]));
    town.wait(2);
    for name in FIVE {
        town.probe(name, "shop", OK, "192.0.2.7", NOW);
    }
    town.wait(2);
    // Anchor 2 has failed for long in these three, and now they are cut off.
    town.beat(&["d1", "e1"], Health::Fine, Some(&[]));
    town.beat(&["a1", "b1", "c1"], Health::Island, Some(ALL));
    town.beat(&["d1", "e1"], Health::Fine, Some(&[]));
    for region in ["a", "b", "c"] {
        assert_eq!(town.state(region), RegionState::Island, "{region}");
    }
    assert_eq!(town.state("d"), RegionState::Live);
}

#[test]
fn an_agent_that_does_not_say_which_anchors_fail_is_not_excused() {
    let mut town = Town::new(&["shop"]);
    for name in FIVE {
        town.probe(name, "shop", OK, "192.0.2.7", NOW);
    }
    town.beat(&FIVE, Health::Fine, Some(&[2]));
    town.wait(1);
    for name in FIVE {
        town.probe(name, "shop", OK, "192.0.2.7", Duration::ZERO);
    }
    town.beat(&["c1"], Health::Island, None);
    town.beat(&["a1", "b1", "d1", "e1"], Health::Fine, Some(&[2]));
    assert_eq!(town.state("c"), RegionState::Island);
}

#[test]
fn what_was_told_of_anchors_is_over_when_there_are_others() {
    let mut town = Town::new(&["shop"]);
    for _ in 0..20 {
        town.beat(&FIVE, Health::Fine, Some(&[2]));
        for name in FIVE {
            town.probe(name, "shop", OK, "192.0.2.7", Duration::ZERO);
        }
        town.wait(1);
    }
    assert_eq!(town.told(NoticeKind::AnchorBad), (1, 0));
    let anchors = vec!["other.example:443".to_owned()];
    let fleet = Fleet { anchors, ..town.fleet.clone() };
    town.apply(Event::Configured(Arc::new(fleet)));
    for _ in 0..20 {
        // The third anchor of one is nothing that anybody could be told of.
        town.beat(&FIVE, Health::Fine, Some(&[2]));
        town.wait(1);
    }
    assert_eq!(town.told(NoticeKind::AnchorBad), (1, 1));
}

#[test]
fn two_regions_that_flood_do_not_hide_the_outage_of_the_others() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "c d e", REFUSED)]);
    let mut fleet = (*stage.fleet).clone();
    fleet.policy.recovery = secs(10);
    stage.apply(Event::Configured(Arc::new(fleet)));
    stage.run(secs(240));
    assert_eq!(stage.verdict().state, State::Down);
    for second in 240..400 {
        stage.run(secs(second));
        for agent in 0..2 {
            let outcome = if second % 2 == 0 { OK } else { REFUSED };
            let result = stage.result(agent, None, outcome, Duration::ZERO);
            stage.apply(Event::Result(Box::new(result)));
        }
        assert_eq!(stage.verdict().state, State::Down, "at {second} s");
    }
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
}

#[test]
fn a_region_that_is_suspicious_all_the_time_hides_nothing_milder() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 2_000, "d e", REFUSED)]);
    let mut seen = 0;
    for step in 2_400_u64..14_000 {
        stage.run(Duration::from_millis(step * 50));
        let agent = || "a1".parse().expect("an id");
        // It answers each round before the others can, and is suspicious again.
        let asked = stage.log[seen..].iter().filter_map(|(_, effect)| match effect {
            Effect::Confirm(asked) => Some(asked.round),
            Effect::Transition(_)
            | Effect::Operator(_)
            | Effect::Pace { .. }
            | Effect::Remember { .. } => None,
        });
        let rounds: Vec<_> = asked.collect();
        seen = stage.log.len();
        if rounds.is_empty() && step % 20 != 0 {
            continue;
        }
        for round in rounds {
            let check = stage.check.clone();
            stage.apply(Event::Declined { agent: agent(), round, check });
        }
        stage.apply(Event::Suspected(Box::new(Suspicion {
            agent: agent(),
            region: "a".parse().expect("an id"),
            check: stage.check.clone(),
            revision: shop().revision,
            phase: Phase::Connect,
            started: stage.now,
            health: Health::Fine,
        })));
    }
    assert_eq!(stage.verdict().state, State::Partial);
    assert_eq!(stage.said(), [AlertKind::Notice]);
}
