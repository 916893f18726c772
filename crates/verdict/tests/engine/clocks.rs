//! Wall clocks that differ.

use quorate_model::{Health, Heartbeat, NoticeKind};
use quorate_verdict::{Effect, Event};

use crate::stage::{Stage, secs};

/// Each second of a span, these agents' clocks are compared: so many seconds ahead.
fn compare(stage: &mut Stage, (from, to): (u64, u64), agents: &str, ahead: i64) {
    for second in from..to {
        stage.run(secs(second));
        for agent in agents.split(' ') {
            let agent = agent.parse().expect("an id");
            let clock_ahead_micros = Some(ahead * 1_000_000);
            let heartbeat = Heartbeat { clock_ahead_micros, ..Health::Fine.into() };
            stage.apply(Event::Alive { agent, heartbeat });
        }
    }
}

fn messages(stage: &Stage) -> Vec<String> {
    let notices = stage.log.iter().filter_map(|(_, effect)| match effect {
        Effect::Operator(notice) if notice.kind == NoticeKind::AgentClock => Some(notice),
        Effect::Operator(_)
        | Effect::Confirm(_)
        | Effect::Transition(_)
        | Effect::Pace { .. }
        | Effect::Remember { .. } => None,
    });
    notices.map(|notice| notice.message.clone()).collect()
}

#[test]
fn a_clock_that_is_off_is_told_once_and_its_end_once() {
    let mut stage = Stage::new(Vec::new());
    compare(&mut stage, (10, 20), "a1", 4);
    compare(&mut stage, (20, 60), "a1", 600);
    compare(&mut stage, (60, 80), "a1", 4);
    assert_eq!(stage.told(NoticeKind::AgentClock), (vec![secs(25)], vec![]));
    compare(&mut stage, (80, 90), "a1", 2);
    assert_eq!(stage.told(NoticeKind::AgentClock), (vec![secs(25)], vec![secs(80)]));
    let messages = messages(&stage);
    assert!(messages[0].contains("agent a1 in a is 10m ahead of"), "{messages:?}");
    assert!(messages[0].contains("NTP"), "{messages:?}");
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn what_was_long_on_its_way_is_not_a_wrong_clock() {
    let mut stage = Stage::new(Vec::new());
    compare(&mut stage, (10, 14), "a1", -30);
    compare(&mut stage, (14, 40), "a1", 0);
    assert_eq!(messages(&stage), [""; 0]);
}

#[test]
fn when_most_clocks_differ_the_coordinators_is_the_first_to_look_at() {
    let mut stage = Stage::new(Vec::new());
    compare(&mut stage, (10, 30), "a1 a2 b1 c1 e1", -86_400);
    let messages = messages(&stage);
    assert_eq!(messages.len(), 5);
    for message in messages {
        assert!(message.contains("1d behind the coordinator's"), "{message}");
        assert!(message.ends_with("look at the coordinator's first"), "{message}");
    }
}
