//! What counts as a vote.

use std::time::Duration;

use quorate_model::{AlertKind, Counted, Doubt, Outcome, ProbeResult, Revision, State};
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{OK, REFUSED, STATUS, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn quiet() -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(300));
    stage
}

fn send(stage: &mut Stage, result: &ProbeResult) {
    stage.apply(Event::Result(Box::new(result.clone())));
}

#[test]
fn a_result_delivered_three_times_counts_once() {
    let mut stage = quiet();
    let failed = stage.result(0, None, REFUSED, secs(0));
    for _ in 0..3 {
        send(&mut stage, &failed);
    }
    assert_eq!(stage.rounds(), 1);
    stage.faults = vec![sees(0, 10_000, "a", REFUSED)];
    stage.run(secs(301));
    assert_eq!(stage.verdict().ballot.entries[0].failed_in_a_row, 2);
}

#[test]
fn whoever_looks_sees_votes_that_changed_no_verdict() {
    let stage = quiet();
    let (published, look) = (stage.verdict(), stage.engine.look(&stage.check, stage.now));
    let look = look.expect("a verdict");
    assert_eq!((look.state, look.since), (published.state, published.since));
    assert!(look.ballot.entries.iter().all(|entry| entry.counted == Counted::Yes), "{look:#?}");
    assert!(look.ballot.taken > published.ballot.taken);
}

#[test]
fn an_older_success_does_not_clear_a_younger_failure() {
    let mut stage = quiet();
    let old = stage.result(0, None, OK, secs(0));
    stage.run(secs(302));
    stage.faults = vec![sees(0, 10_000, "all", REFUSED)];
    let failed = stage.result(0, None, REFUSED, secs(0));
    send(&mut stage, &failed);
    stage.run(secs(303));
    assert_eq!(stage.verdict().state, State::Down);
    send(&mut stage, &old);
    stage.run(secs(304));
    assert_eq!(stage.says(), "down 4/5 target.refused");
}

#[test]
fn late_results_and_results_of_another_revision_do_not_vote() {
    let mut stage = quiet();
    for agent in 0..5 {
        let mut late = stage.result(agent, None, REFUSED, secs(0));
        late.started = late.started.before(secs(76));
        send(&mut stage, &late);
        let mut other = stage.result(agent, None, REFUSED, secs(0));
        other.revision = Revision(1);
        send(&mut stage, &other);
    }
    assert_eq!(stage.rounds(), 0);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn what_a_spool_held_is_no_vote_even_of_an_agent_that_has_said_nothing_else() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    for agent in 0..5 {
        let mut late = stage.result(agent, None, REFUSED, secs(0));
        late.started = late.started.before(secs(76));
        send(&mut stage, &late);
    }
    assert_eq!(stage.rounds(), 0);
    assert_eq!(stage.alerts(AlertKind::Page), []);
}

#[test]
fn inconclusive_results_do_not_vote_and_do_not_hold_the_others_up() {
    let mut stage = quiet();
    for agent in 0..5 {
        let doubt = Outcome::Inconclusive { reason: Doubt::PolicyDenied };
        let result = stage.result(agent, None, doubt, secs(0));
        send(&mut stage, &result);
    }
    assert_eq!(stage.rounds(), 0);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn only_three_of_five_need_to_have_answered() {
    let mut stage = quiet();
    stage.faults = vec![sees(0, 10_000, "a b", TIMEOUT), sees(0, 10_000, "all", REFUSED)];
    let failed = stage.result(2, None, REFUSED, secs(0));
    send(&mut stage, &failed);
    stage.run(secs(301));
    assert_eq!(stage.says(), "up 0/5 none", "three may be chance: they are asked again");
    stage.run(secs(303));
    assert_eq!(stage.says(), "down 3/5 target.refused");
    assert_eq!(stage.rounds(), 2);
    let entries = &stage.verdict().ballot.entries;
    assert!(entries.iter().any(|entry| entry.counted == Counted::BeforeEpisode));
    stage.run(secs(330));
    assert_eq!(stage.verdict().ballot.scope.failing, 5);
}

#[test]
fn a_declined_confirmation_is_an_answer() {
    let mut stage = quiet();
    let failed = stage.result(0, None, REFUSED, secs(0));
    let agents = FIVE.map(|id| id.parse().expect("an id"));
    let at = stage.now;
    let mut effects = Vec::new();
    stage.engine.apply(Event::Result(Box::new(failed)), at, &mut effects);
    let round = effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Confirm(confirmation) => Some(confirmation.round),
            Effect::Transition(_)
            | Effect::Operator(_)
            | Effect::Pace { .. }
            | Effect::Remember { .. } => None,
        })
        .expect("a round");
    for agent in agents {
        let check = stage.check.clone();
        stage.engine.apply(Event::Declined { agent, round, check }, at, &mut effects);
    }
    // The episode is over: the next region's failure opens another one.
    let failed = stage.result(1, None, REFUSED, secs(0));
    let before = effects.len();
    stage.engine.apply(Event::Result(Box::new(failed)), at + Duration::from_secs(1), &mut effects);
    assert!(effects.len() > before);
}

#[test]
fn rounds_are_paid_from_a_small_purse() {
    let mut stage = quiet();
    for n in 0..40 {
        let failed = stage.result(0, None, REFUSED, secs(0));
        send(&mut stage, &failed);
        stage.run(secs(301 + n));
    }
    assert!((2..=4).contains(&stage.rounds()), "{}", stage.rounds());
}

#[test]
fn a_changed_check_forgets_its_votes_and_keeps_its_verdict() {
    let mut stage = quiet();
    let mut check = shop();
    check.revision = Revision(7);
    stage.fleet = std::sync::Arc::new(crate::stage::fleet_of(check));
    stage.apply(Event::Configured(stage.fleet.clone()));
    assert_eq!(stage.says(), "up 0/5 none");
    stage.run(secs(500));
    assert_eq!(stage.says(), "up 0/5 none");
    stage.fleet = std::sync::Arc::new(quorate_model::Fleet::default());
    stage.apply(Event::Configured(stage.fleet.clone()));
    assert!(stage.engine.state(&stage.check).is_none());
}

#[test]
fn a_ballot_can_be_read() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "a c d", STATUS)]);
    stage.run(secs(300));
    let words = explain::ballot_in_words(&stage.check, stage.verdict());
    let text = words.join("\n");
    assert!(words[0].starts_with("shop is down since 2023-11-14T22:15:"), "{text}");
    let summary = "3 of 5 regions: status 503 from a, c, d within 200ms; fine from b, e; chance of";
    assert!(words[0].contains(summary), "{text}");
    assert!(words[1].starts_with("a: fail (assert: status), seen by a1"), "{text}");
    assert!(
        text.contains("3 of 5 live regions affected, 5 configured; at least 3 must fail for down")
    );
    assert!(text.contains("all of them by chance: 1 in 940 million; your budget of"), "{text}");
    assert!(text.contains("so this pages"));
}

#[test]
fn what_works_is_told_as_working() {
    let faults = vec![fault(60, 900, "c", What::Island), fault(60, 900, "e", What::Dead)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(300));
    let summary = "fine from 3 of 5 regions: a, b, d; no vote from c (cut off), e (silent)";
    let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    assert_eq!(verdict.summary, summary);
    let text = explain::ballot_in_words(&stage.check, &verdict).join("\n");
    assert!(text.contains("0 of 3 live regions affected, 5 configured"), "{text}");
    assert!(text.contains("nobody is paged because the target works"), "{text}");
}

#[test]
fn a_page_names_who_has_not_answered_and_the_end_is_not_told_as_failing() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 300, "all", TIMEOUT)]);
    stage.run(secs(290));
    let (_, down) = stage
        .transitions()
        .find(|(_, transition)| transition.verdict.state == State::Down)
        .expect("a page");
    assert!(down.verdict.summary.contains("(no answer since the suspicion)"), "{down:?}");
    stage.run(secs(322));
    let text = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(stage.says().contains("recovering"), "{text}");
    assert!(text.contains("so this was paged"), "{text}");
    stage.run(secs(330));
    assert!(
        stage.verdict().summary.starts_with("recovering, fine from 5 of 5 regions: "),
        "{}",
        stage.verdict().summary
    );
}

#[test]
fn a_success_is_no_proof_for_longer_because_it_asks_to_be_left_alone() {
    let mut stage = quiet();
    stage.faults = vec![fault(300, 2_000, "all", What::Sees(OK, secs(10_000)))];
    for agent in 0..5 {
        let mut result = stage.result(agent, None, OK, secs(0));
        result.observation.evidence.retry_after = Some(secs(86_400));
        send(&mut stage, &result);
    }
    stage.run(secs(300 + 76 + 60));
    assert_eq!(stage.verdict().state, State::Unknown);
}
