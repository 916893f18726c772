//! Pairs of compositions that differ in something that must not matter, or matter in one direction
//! only.

use std::time::Duration;

use quorate_model::{AlertKind, Ballot, BallotEntry, Counted, Outcome, RoundId, State, Timestamp};
use quorate_verdict::{Effect, Event};

use crate::composition::{
    Composition, FORBIDDEN, Fault, LIMITED, OK, QUICK, REFUSED, TIMEOUT, What, failure,
};
use crate::draw::Dice;
use crate::driver::hold;
use crate::world::{Origin, World};

/// Troubles of all regions, then a time in which all is well: long enough for the slow detector to
/// forget.
fn healed(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    for fault in &mut composition.faults {
        fault.to = fault.to.min(600_000);
    }
    composition.interval = composition.interval.min(30_000);
    composition.run = 1_200_000 + 127 * composition.interval;
    composition
}

/// The same deliveries in another order, late and more than once.
fn reordered(dice: &mut Dice) -> (Composition, Vec<Fault>) {
    let composition = healed(dice);
    let mut bad = composition.clone();
    bad.faults.clear();
    let most = u64::try_from(bad.freshness().as_millis()).expect("small") / 2;
    bad.deliver_badly(dice, most);
    for fault in &mut bad.faults {
        fault.to = 1_200_000;
    }
    (composition, bad.faults)
}

/// What the regions say: who, what, since when, and how often in a row.
fn votes(world: &World<'_>) -> Vec<(Option<Outcome>, Option<Duration>, u32, Counted)> {
    let entries = world.look().map(|verdict| verdict.ballot.entries).unwrap_or_default();
    let seen = entries.into_iter().map(|entry| {
        let started = entry.started.map(|at| at - world.start);
        (entry.outcome, started, entry.failed_in_a_row, entry.counted)
    });
    seen.collect()
}

#[test]
fn invariant_3_in_the_end_delivery_does_not_matter() {
    hold("invariant_3_in", 100, reordered, |(composition, bad)| {
        let end = |composition: &Composition| {
            let mut world = World::new(composition);
            world.run(composition.run);
            let failing = world.look().map(|verdict| verdict.ballot.scope);
            (world.state(), failing)
        };
        let mut other = composition.clone();
        other.faults.extend(bad.iter().cloned());
        let (plain, mixed) = (end(composition), end(&other));
        if plain == mixed {
            Ok(())
        } else {
            Err(format!("{plain:?}, but delivered badly {mixed:?}"))
        }
    });
}

/// What agents see within a moment: who, when, and what.
type Seen = Vec<(usize, u64, Outcome)>;

/// A few probes of each agent, and the order in which they are delivered, some more than once.
fn shuffled(dice: &mut Dice) -> (Composition, (Seen, Vec<usize>)) {
    let mut composition = Composition::calm(dice);
    for place in &mut composition.regions {
        place.agents = 1;
    }
    let mut seen = Vec::new();
    for agent in 0..composition.regions.len() {
        // As many as are kept in order.
        for _ in 0..dice.roll(4) {
            let outcome = *dice.pick(&[OK, OK, REFUSED, REFUSED, TIMEOUT, LIMITED, FORBIDDEN]);
            seen.push((agent, dice.roll(composition.timeout), outcome));
        }
    }
    let mut order: Vec<usize> = (0..seen.len()).collect();
    for _ in 0..seen.len() {
        order.push(dice.place(seen.len()));
    }
    for place in (1..order.len()).rev() {
        order.swap(place, dice.place(place + 1));
    }
    (composition, (seen, order))
}

#[test]
fn invariant_3_any_order_of_the_same_probes_gives_the_same_votes() {
    hold("invariant_3_any", 300, shuffled, |(composition, (seen, order))| {
        let warm = composition.warm() + composition.interval;
        let deliver = |order: &[usize]| {
            let mut world = World::new(composition);
            world.run(warm);
            let base = world.now;
            let results: Vec<_> = seen
                .iter()
                .map(|(agent, after, outcome)| {
                    let mut result = world.result(*agent, Some(RoundId(7)), *outcome, QUICK);
                    result.started = base + Duration::from_millis(*after);
                    result
                })
                .collect();
            world.now = base + Duration::from_millis(composition.timeout);
            for place in order {
                world.apply(Event::Result(Box::new(results[*place].clone())));
            }
            votes(&world)
        };
        let plain: Vec<usize> = (0..seen.len()).collect();
        let (plain, mixed) = (deliver(&plain), deliver(order));
        if plain == mixed { Ok(()) } else { Err(format!("{plain:#?}\nbut {mixed:#?}")) }
    });
}

/// Anything, and other clocks, boots and numbers.
fn elsewhere(dice: &mut Dice) -> (Composition, Origin) {
    let mut composition = Composition::calm(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    composition.deliver_badly(dice, 2_000);
    composition.restart_sometimes(dice);
    let micros = i64::try_from(dice.roll(3_000_000_000_000_000)).expect("small");
    let origin = Origin {
        start: Timestamp::from_micros(micros - 1_000_000_000_000),
        boot: u128::from(dice.roll(u64::MAX)),
        sequence: dice.roll(1 << 40),
    };
    (composition, origin)
}

/// Words without the instants among them.
fn timeless(words: &str) -> String {
    let is_instant = |word: &str| word.len() > 20 && word.contains('T') && word.contains('Z');
    let words = words.split(' ').map(|word| if is_instant(word) { "then" } else { word });
    words.collect::<Vec<&str>>().join(" ")
}

/// What happened, without what names an instant.
fn story(composition: &Composition, origin: Origin) -> Vec<String> {
    let mut world = World::from(composition, origin, false);
    world.run(composition.run);
    let line = |(at, effect): &(Duration, Effect)| match effect {
        Effect::Confirm(order) => {
            format!("{at:?} asks {:?} in {}", order.agents, order.round.0)
        }
        Effect::Pace { every, .. } => format!("{at:?} every {every:?}"),
        Effect::Remember { check, .. } => format!("{at:?} remembers {check:?}"),
        Effect::Operator(notice) => {
            format!("{at:?} {:?} {} {:?}", notice.kind, notice.resolved, notice.message)
        }
        Effect::Transition(transition) => {
            let verdict = &transition.verdict;
            let alerts = transition.alerts.iter().map(|(_, alert)| alert.kind);
            format!(
                "{at:?} {} {:?} {} {} {}/{} {:?}",
                verdict.state,
                verdict.flags,
                verdict.cause,
                timeless(&verdict.summary),
                verdict.ballot.evidence_milli_nats,
                verdict.ballot.need_milli_nats,
                alerts.collect::<Vec<AlertKind>>(),
            )
        }
    };
    world.log.iter().map(line).collect()
}

#[test]
fn invariant_4_no_clock_but_the_coordinators_matters() {
    hold("invariant_4_", 100, elsewhere, |(composition, origin)| {
        let (here, there) = (story(composition, Origin::default()), story(composition, *origin));
        let differs = here.iter().zip(&there).find(|(here, there)| here != there);
        match differs {
            Some((here, there)) => Err(format!("{here}\nbut {there}")),
            None if here.len() != there.len() => Err("one story is longer".to_owned()),
            None => Ok(()),
        }
    });
}

/// What each region sees from some moment on, and the one that sees worse in the other world.
fn steady(dice: &mut Dice) -> (Composition, (u64, Vec<What>, usize)) {
    let mut composition = Composition::calm(dice);
    let count = composition.regions.len();
    composition.run = 900_000;
    let onset = composition.warm() + dice.roll(60_000);
    let tau = composition.timeout;
    let mut sees: Vec<What> = (0..count)
        .map(|_| match dice.roll(10) {
            0..=3 => What::Sees(OK, QUICK),
            4 | 5 => {
                let (outcome, takes) = failure(dice, tau);
                What::Sees(outcome, takes)
            }
            6 => What::Sees(Outcome::Slow, tau * 4 / 5),
            7 => What::Sees(LIMITED, QUICK),
            8 => What::Sees(FORBIDDEN, QUICK),
            _ => dice.pick(&[What::Island, What::Dead]).clone(),
        })
        .collect();
    let turned = dice.place(count);
    sees[turned] = What::Sees(OK, QUICK);
    (composition, (onset, sees, turned))
}

/// The state in the end, the worst on the way, and whether the origin was found down.
fn severity(composition: &Composition, onset: u64, sees: &[What]) -> (State, State, bool) {
    let mut composition = composition.clone();
    composition.faults = sees
        .iter()
        .enumerate()
        .map(|(region, what)| Fault {
            region,
            agent: None,
            from: onset,
            to: u64::MAX,
            what: what.clone(),
        })
        .collect();
    let mut world = World::new(&composition);
    world.run(composition.run);
    let worst = world.transitions().map(|(_, t)| t.verdict.state).max();
    (world.state(), worst.unwrap_or(State::Unknown), world.origin_fell())
}

#[test]
fn invariant_5_a_region_more_that_fails_is_never_milder() {
    hold("invariant_5_", 200, steady, |(composition, (onset, sees, turned))| {
        let mild = severity(composition, *onset, sees);
        let mut worse = sees.clone();
        worse[*turned] = What::Sees(REFUSED, QUICK);
        let hard = severity(composition, *onset, &worse);
        if mild.2 != hard.2 {
            // The origin is asked whenever what is in front of it is suspected, so how soon its own
            // trouble is proven depends on how that fails.
            return Ok(());
        }
        // To know nothing is beside the order.
        let is_known = |state| state != State::Unknown;
        let milder = |a: State, b: State| is_known(a) && is_known(b) && b < a;
        if milder(mild.0, hard.0) || milder(mild.1, hard.1) {
            return Err(format!("{mild:?}, but {hard:?} when r{turned} fails, of {sees:?}"));
        }
        Ok(())
    });
}

/// As many agents as can be asked four times within what rounds may cost a host.
const AGENTS_MAX: usize = 5;

/// Regions that fail for good, each from some moment on, and more agents for some of them.
fn crowded(dice: &mut Dice) -> (Composition, Vec<usize>) {
    let mut composition = Composition::calm(dice);
    composition.regions.truncate(AGENTS_MAX - 1);
    let count = composition.regions.len();
    composition.run = 500_000;
    for region in 0..count {
        composition.regions[region].agents = 1;
        if dice.once_in(2) {
            let from = composition.warm() + dice.roll(200_000) * dice.roll(2);
            let (outcome, takes) = failure(dice, composition.timeout);
            let what = What::Sees(outcome, takes);
            composition.faults.push(Fault { region, agent: None, from, to: u64::MAX, what });
        }
    }
    let mut agents = vec![1; count];
    for _ in count..AGENTS_MAX {
        agents[dice.place(count)] += 1;
    }
    (composition, agents)
}

/// What was counted at some moment: who is there, who fails, and what that weighs.
#[derive(Debug)]
struct Tally {
    at: Duration,
    live: u32,
    configured: u32,
    failing: usize,
    weights: (u32, u32),
}

impl Tally {
    fn of(at: Duration, ballot: &Ballot) -> Self {
        let fails = |entry: &&BallotEntry| {
            entry.counted == Counted::Yes && matches!(entry.outcome, Some(Outcome::Fail { .. }))
        };
        Self {
            at,
            live: ballot.scope.live,
            configured: ballot.scope.configured,
            failing: ballot.entries.iter().filter(fails).count(),
            weights: (ballot.evidence_milli_nats, ballot.need_milli_nats),
        }
    }
}

impl Tally {
    /// Whether they are the same, but for the tenth of a second within which time is weighed again.
    fn agrees(&self, other: &Self) -> bool {
        let ((evidence, need), (others, its_need)) = (self.weights, other.weights);
        self.at.abs_diff(other.at) <= Duration::from_millis(200)
            && (self.live, self.configured, self.failing)
                == (other.live, other.configured, other.failing)
            && evidence.abs_diff(others) <= 20
            && need == its_need
    }
}

/// What is counted each second until it is down, and then.
fn counted(composition: &Composition) -> Vec<Tally> {
    let mut world = World::mirrored(composition);
    let mut tallies = Vec::new();
    for second in 0..composition.run / 1_000 {
        world.run(second * 1_000);
        let mut down = world.transitions().filter(|(_, t)| t.verdict.state == State::Down);
        if let Some((at, transition)) = down.next() {
            tallies.push(Tally::of(at, &transition.verdict.ballot));
            return tallies;
        }
        tallies.extend(world.look().map(|verdict| Tally::of(world.time(), &verdict.ballot)));
    }
    tallies
}

#[test]
fn invariant_6_more_agents_of_a_region_are_no_more_evidence() {
    hold("invariant_6_", 100, crowded, |(composition, agents)| {
        if composition.quorum_count() == 1 {
            // Nothing is weighed: a region that decides alone must fail twice, and a second agent
            // that fails is its second time.
            return Ok(());
        }
        let mut many = composition.clone();
        for (place, agents) in many.regions.iter_mut().zip(agents) {
            place.agents = *agents;
        }
        let (one, more) = (counted(composition), counted(&many));
        let differs = one.iter().zip(&more).find(|(one, more)| !one.agrees(more));
        match differs {
            Some((one, more)) => Err(format!("{one:?}, but with more agents {more:?}")),
            None if one.len() != more.len() => {
                Err(format!("down after {} s, with more agents {} s", one.len(), more.len()))
            }
            None => Ok(()),
        }
    });
}
