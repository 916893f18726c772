//! The coordinator dies and comes back.

use quorate_model::{AlertKind, State};
use quorate_verdict::Effect;

use crate::stage::{REFUSED, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

#[test]
fn a_restart_in_an_outage_neither_pages_again_nor_resolves() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", TIMEOUT)]);
    stage.run(secs(240));
    assert_eq!(stage.says(), "down 5/5 target.network");
    stage.restart();
    assert_eq!(stage.says(), "down 5/5 target.network");
    assert!(matches!(stage.log.last(), Some((_, Effect::Pace { every: Some(_), .. }))));
    stage.run(secs(590));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn a_restart_during_the_recovery_resolves_once() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 300, "all", REFUSED)]);
    stage.run(secs(315));
    stage.restart();
    stage.run(secs(800));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_target_that_breaks_while_nobody_watches_is_found() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(121, 600, "all", REFUSED)]);
    stage.run(secs(120));
    stage.restart();
    stage.run(secs(140));
    assert_eq!(stage.said(), [AlertKind::Page], "grace does not delay a page");
}

#[test]
fn a_restored_verdict_is_not_overwritten_while_agents_return() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(300));
    let before = stage.transitions().count();
    stage.restart();
    assert_eq!(stage.verdict().state, State::Up);
    stage.run(secs(500));
    assert_eq!(stage.transitions().count(), before);
}

#[test]
fn restarts_do_not_lose_count_of_reopenings() {
    let faults = (0..10).map(|n| sees(120 + n * 240, 180 + n * 240, "all", REFUSED)).collect();
    let mut stage = Stage::with(shop(), &FIVE, faults);
    for n in 0..10 {
        stage.run(secs(230 + n * 240));
        stage.restart();
    }
    assert!(stage.alerts(AlertKind::Page).len() <= 4, "{:?}", stage.said());
    assert_eq!(stage.incidents().len(), 1);
}

fn forget_memory(stage: &mut Stage) {
    for (_, effect) in &mut stage.log {
        if let Effect::Transition(transition) = effect {
            transition.memory = serde_json::json!({ "version": 999 });
        }
    }
}

#[test]
fn an_unreadable_memory_still_keeps_the_outage() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", REFUSED)]);
    stage.run(secs(240));
    forget_memory(&mut stage);
    stage.restart();
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn an_unreadable_memory_keeps_an_outage_that_nobody_can_see() {
    let silence = fault(200, 600, "all", What::Dead);
    let mut still_down = Stage::with(
        shop(),
        &FIVE,
        vec![sees(120, 200, "all", REFUSED), silence.clone(), sees(600, 700, "all", REFUSED)],
    );
    still_down.run(secs(500));
    assert_eq!(still_down.verdict().state, State::Unknown);
    forget_memory(&mut still_down);
    still_down.restart();
    still_down.run(secs(1_000));
    assert_eq!(still_down.said(), [AlertKind::Page, AlertKind::Resolved], "paged once");

    let faults = vec![sees(120, 200, "all", REFUSED), silence];
    let mut repaired = Stage::with(shop(), &FIVE, faults);
    repaired.run(secs(500));
    forget_memory(&mut repaired);
    repaired.restart();
    repaired.run(secs(1_000));
    assert_eq!(repaired.said(), [AlertKind::Page, AlertKind::Resolved], "resolved once");
}
