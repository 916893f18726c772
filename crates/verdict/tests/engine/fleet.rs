//! The fleet breaks, not the target.

use quorate_model::{AlertKind, Health, NoticeKind, State};
use quorate_verdict::{Event, RegionState};

use crate::stage::{REFUSED, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

#[test]
fn an_isolated_region_pages_nobody_and_is_named_to_the_operators() {
    let mut stage = Stage::new(vec![fault(120, 720, "c", What::Island)]);
    stage.run(secs(360));
    assert_eq!(stage.says(), "up 0/4 none");
    assert_eq!(stage.engine.region_state(&"c".parse().expect("an id")), RegionState::Island);
    let (told, back) = stage.told(NoticeKind::RegionIsolated);
    assert_eq!((told.len(), back.len()), (1, 0));
    assert!(told[0] > secs(120) && told[0] < secs(130), "{told:?}");
    stage.run(secs(1_200));
    assert_eq!(stage.told(NoticeKind::RegionIsolated).1.len(), 1);
    assert_eq!(stage.said(), []);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn failures_from_before_a_region_knew_that_it_was_cut_off_are_void() {
    // They come at once, and from an agent that still thinks itself well.
    let faults = vec![sees(120, 190, "c", REFUSED), fault(190, 200, "c", What::Island)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(189));
    assert_eq!(stage.says(), "partial 1/5 path");
    stage.run(secs(195));
    assert_eq!(stage.verdict().state, State::Up);
    stage.run(secs(201));
    assert_eq!(stage.verdict().state, State::Up, "well again, but its failure stays void");
}

#[test]
fn two_islands_of_five_leave_a_thin_quorum() {
    let mut stage = Stage::new(vec![fault(120, 720, "b d", What::Island)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "up 0/3 none");
    assert_eq!(stage.told(NoticeKind::RegionIsolated).0.len(), 2);
    assert_eq!(stage.told(NoticeKind::ReducedQuorum).0.len(), 1);
    stage.run(secs(1_200));
    assert_eq!(stage.told(NoticeKind::ReducedQuorum).1.len(), 1);
    assert_eq!(stage.said(), []);
}

#[test]
fn two_successes_outweigh_a_majority_of_islands() {
    let mut stage = Stage::new(vec![fault(120, 720, "b c d", What::Island)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "up 0/2 none");
    assert_eq!(stage.said(), []);
    assert_eq!(stage.told(NoticeKind::NoQuorum).0.len(), 0);
}

#[test]
fn all_that_are_left_may_decide() {
    let faults = vec![fault(120, 900, "b c d", What::Island), sees(300, 700, "a e", REFUSED)];
    let mut stage = Stage::new(faults);
    stage.run(secs(440));
    assert_eq!(stage.says(), "partial 2/2 target.refused", "two alone may still be chance");
    assert_eq!(stage.said(), []);
    stage.run(secs(300 + 60 + 10 + 150));
    assert_eq!(stage.says(), "down 2/2 target.refused reduced_quorum");
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
}

#[test]
fn one_of_two_left_decides_nothing() {
    let faults = vec![fault(120, 900, "b c d", What::Island), sees(300, 500, "e", REFUSED)];
    let mut stage = Stage::new(faults);
    stage.run(secs(450));
    assert_eq!(stage.says(), "partial 1/2 path");
    assert_eq!(stage.alerts(AlertKind::Page), []);
}

#[test]
fn silence_is_unknown_and_freezes_what_is_open() {
    let mut stage = Stage::new(vec![
        sees(120, 200, "all", REFUSED),
        fault(200, 600, "all", What::Dead),
        sees(600, 700, "all", REFUSED),
    ]);
    stage.run(secs(500));
    assert_eq!(stage.verdict().state, State::Unknown);
    assert_eq!(stage.said(), [AlertKind::Page]);
    assert_eq!(stage.told(NoticeKind::NoQuorum).0.len(), 1);
    assert_eq!(stage.told(NoticeKind::AgentLost).0.len(), 6);
    stage.run(secs(690));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.told(NoticeKind::AgentLost).1.len(), 6);
    assert_eq!(stage.told(NoticeKind::NoQuorum).1.len(), 1);
}

#[test]
fn silence_alone_is_never_down() {
    let mut stage = Stage::new(vec![fault(120, 900, "all", What::Dead)]);
    stage.run(secs(800));
    assert_eq!(stage.verdict().state, State::Unknown);
    assert_eq!(stage.said(), []);
}

#[test]
fn connected_agents_that_report_nothing_leave_the_check_unknown() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(300));
    stage.faults = vec![fault(300, 900, "all", What::Sees(crate::stage::OK, secs(10_000)))];
    stage.run(secs(300 + 78 + 60));
    assert_eq!(stage.verdict().state, State::Unknown);
    assert_eq!(stage.said(), []);
}

#[test]
fn a_dead_agent_is_lost_and_the_check_stays_up() {
    let mut stage = Stage::new(vec![fault(120, 720, "d1", What::Dead)]);
    stage.run(secs(400));
    assert_eq!(stage.says(), "up 0/4 none");
    let (lost, _) = stage.told(NoticeKind::AgentLost);
    assert_eq!(lost.len(), 1);
    assert!(lost[0] >= secs(178) && lost[0] < secs(210), "{lost:?}");
    stage.run(secs(900));
    assert_eq!(stage.told(NoticeKind::AgentLost).1.len(), 1);
    assert_eq!(stage.said(), []);
}

#[test]
fn a_short_restart_of_an_agent_is_nobodys_news() {
    let mut stage = Stage::new(vec![fault(120, 124, "d1", What::Dead)]);
    let before = stage.transitions().count();
    stage.run(secs(400));
    assert_eq!(stage.told(NoticeKind::AgentLost).0.len(), 0);
    assert!(stage.transitions().count() <= before + 2);
}

#[test]
fn a_broken_agent_is_outvoted_by_its_sibling() {
    let mut stage = Stage::new(vec![sees(120, 720, "a1", TIMEOUT)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), []);

    let mut stage = Stage::new(vec![fault(120, 720, "a1", What::Island)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.told(NoticeKind::AgentSuspect).0.len(), 1);
}

#[test]
fn an_overloaded_agents_failures_do_not_count() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(120));
    for agent in 0..4 {
        let mut result = stage.result(agent, None, TIMEOUT, secs(0));
        result.health = Health::Overloaded;
        stage.apply(Event::Result(Box::new(result)));
    }
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.rounds(), 0);
}

#[test]
fn a_deadline_never_makes_the_engine_spin() {
    let mut stage = Stage::new(vec![
        sees(120, 200, "all", REFUSED),
        fault(300, 420, "c", What::Island),
        fault(500, 620, "d e", What::Dead),
        sees(640, 900, "a", TIMEOUT),
    ]);
    let mut ticks = 0;
    for second in 0..1_000 {
        stage.run(secs(second));
        while stage.engine.next_deadline().is_some_and(|at| at <= stage.now) {
            ticks += 1;
            assert!(ticks < 100, "at {second} s");
            stage.apply(Event::Tick);
        }
    }
}

#[test]
fn a_region_that_comes_and_goes_does_not_hide_that_others_are_lost() {
    let mut faults = vec![fault(120, 900, "c d", What::Island)];
    faults.extend((0..400).map(|n| fault(100 + n * 4, 102 + n * 4, "e", What::Island)));
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(300));
    let (told, _) = stage.told(NoticeKind::ReducedQuorum);
    assert!(!told.is_empty(), "nobody hears that two regions are gone");
}

#[test]
fn an_agent_that_joins_another_region_leaves_its_own_empty() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(200));
    let (a, b) = ("a".parse().expect("an id"), "b".parse().expect("an id"));
    assert_eq!(stage.engine.region_state(&a), RegionState::Live);
    let agent = "a1".parse().expect("an id");
    stage.apply(Event::Connected { agent, region: b, prefix: None });
    assert_eq!(stage.engine.region_state(&a), RegionState::Absent);
}
