//! What the decision core costs: time for each result, time from the result that decides to its
//! effect, and memory for each vote.
//!
//! `docs/benchmarks.md` says how to run and to read it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark says what it expects, and prints"
)]

mod counting;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use quorate_model::{AgentId, CheckId, Outcome, State, Timestamp};
use quorate_verdict::{Effect, Event};

use counting::counted;
use world::{BATCH, REFUSED, REGIONS, World};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// The most that the engine may hold for each (check, region), in bytes. Only ever lowered.
const BYTES_MAX: i64 = 330;

/// Of so many plain successes at most one may ask for memory: more of them would be judged.
const SUCCESSES_EACH: usize = 3;

/// Intervals after which all that a vote remembers is there.
const INTERVALS: usize = 6;

/// Scheduled results between two outages: more than two seconds of virtual time, so that they are
/// not taken for a storm.
const BETWEEN: usize = 20_000;

/// How much is played.
struct Size {
    /// Checks of the fleet, each probed from five regions.
    checks: u32,
    /// Outages of which the deciding result is timed.
    outages: u32,
}

/// What the figures are about.
const WHOLE: Size = Size { checks: 100_000, outages: 300 };

/// Enough to see that everything runs: with Criterion's `--test`.
const SMOKE: Size = Size { checks: 1_000, outages: 10 };

fn main() -> ExitCode {
    let is_smoke = std::env::args().any(|argument| argument == "--test");
    let size = if is_smoke { SMOKE } else { WHOLE };
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .measurement_time(Duration::from_secs(10))
        .configure_from_args();
    let mut world = World::new(size.checks);
    let bare = bare_map(&mut criterion, &mut world);
    world.play(world.pairs() * INTERVALS);
    let each = throughput(&mut criterion, "engine: successes", &mut world, decide);
    println!("ratio: a success costs {:.2} times an insert into a bare map", each / bare);
    deciding(&mut world, &size);
    world.fails_one_in = 200;
    let each = throughput(&mut criterion, "engine: one failure in 200", &mut world, decide);
    println!("ratio: with failures a result costs {:.2} times such an insert", each / bare);
    criterion.final_summary();
    world.fails_one_in = 0;
    if is_small(world) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this thread: the work of one core, whoever else has turns on that core.
fn clock() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).expect("a time since the start")
}

/// How long that took.
fn timed(act: impl FnOnce()) -> Duration {
    let started = clock();
    act();
    clock().saturating_sub(started)
}

type Events = Vec<(Timestamp, Event)>;

/// Applies events.
fn decide(world: &mut World, events: Events) {
    for (at, event) in events {
        world.engine.apply(event, at, &mut world.effects);
    }
}

/// The baseline: the last outcome by agent and check, in the map of the standard library, from the
/// same results. Nothing is decided.
#[expect(clippy::disallowed_types, reason = "what everybody would take first")]
fn bare_map(criterion: &mut Criterion, world: &mut World) -> f64 {
    let mut last = std::collections::HashMap::<(AgentId, CheckId), (Timestamp, Outcome)>::new();
    let mut insert = move |_: &mut World, events: Events| {
        for (_, event) in events {
            if let Event::Result(result) = event {
                let said = (result.started, result.observation.outcome);
                last.insert((result.id.agent, result.check), said);
            }
        }
    };
    for _ in 0..world.pairs().div_ceil(BATCH) {
        let events = world.batch();
        insert(world, events);
    }
    throughput(criterion, "bare map: successes", world, insert)
}

/// Time for each scheduled result, with all that comes with it: ticks, heartbeats and the answers
/// to rounds are in the time, but not in the count. Returns the median in nanoseconds.
fn throughput(
    criterion: &mut Criterion,
    name: &str,
    world: &mut World,
    mut act: impl FnMut(&mut World, Events),
) -> f64 {
    let (mut batches, mut rounds) = (Vec::new(), 0);
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|wanted| {
            let (mut spent, mut done) = (Duration::ZERO, 0);
            while done < wanted {
                let events = world.batch();
                let batch = timed(|| act(world, events));
                rounds += world.obey();
                spent += batch;
                done += COUNT;
                batches.push(batch);
            }
            // As many as were wanted, at the pace of those that were done.
            spent.mul_f64(ratio(wanted, done))
        });
    });
    group.finish();
    batches.sort_unstable();
    let each = |percent: usize| nanos(batches[batches.len() * percent / 100]) / ratio(COUNT, 1);
    println!(
        "{name}: of {} batches, a result takes {:.0} ns in the fastest tenth, {:.0} ns in the \
         median, {:.0} ns in the slowest tenth; {rounds} rounds asked and answered",
        batches.len(),
        each(10),
        each(50),
        each(90)
    );
    each(50)
}

/// Results of a batch.
const COUNT: u64 = BATCH as u64;

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The time of the one call that takes a check down.
fn deciding(world: &mut World, size: &Size) {
    let mut times: Vec<Duration> = (0..size.outages)
        .map(|outage| {
            world.play(BETWEEN);
            fall(world, outage * (size.checks / size.outages), outage % REGIONS)
        })
        .collect();
    times.sort_unstable();
    let share = |percent: usize| times[times.len() * percent / 100];
    println!(
        "engine: deciding result to effect: p50 {:?}, p99 {:?}, max {:?} of {} outages",
        share(50),
        share(99),
        times[times.len() - 1],
        times.len()
    );
}

/// A check fails in all regions, seen first from `first`. Returns how long the deciding call took.
fn fall(world: &mut World, check: u32, first: u32) -> Duration {
    let mut round = None;
    for place in 0..REGIONS {
        let region = (first + place) % REGIONS;
        let event = world.result((check, region), round, REFUSED);
        let spent = timed(|| decide(world, vec![(world.now, event)]));
        for effect in std::mem::take(&mut world.effects) {
            match effect {
                Effect::Confirm(asked) => round = Some(asked.round),
                Effect::Transition(change) if change.verdict.state == State::Down => return spent,
                Effect::Transition(_)
                | Effect::Operator(_)
                | Effect::Pace { .. }
                | Effect::Remember { .. } => {}
            }
        }
    }
    panic!("check {check} is not down although all regions fail");
}

/// What the engine holds, and how often a plain success asks for memory.
fn is_small(mut world: World) -> bool {
    world.play(world.pairs() * INTERVALS);
    let pairs = i64::try_from(world.pairs()).expect("small");
    let (mut results, mut calls) = (0, 0_usize);
    while results < world.pairs() {
        let events = world.batch();
        results += events.len();
        let asked = counted(|| decide(&mut world, events)).1.calls;
        calls += usize::try_from(asked).expect("small");
    }
    let engine = std::mem::take(&mut world.engine);
    let ((), given_back) = counted(|| drop(engine));
    let each = -given_back.bytes / pairs;
    println!("memory: {each} bytes for each of {pairs} (check, region), at most {BYTES_MAX}");
    println!("memory: {calls} allocations for {results} successes");
    each <= BYTES_MAX && calls * SUCCESSES_EACH <= results
}
