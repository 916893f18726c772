//! Plays a scenario: one queue of jobs in virtual time, the real engine and the real agents' logic.

mod coordinator;
mod faults;
mod link;
mod member;
mod probes;
mod selftest;
pub(crate) mod staff;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{CheckId, Fleet, RegionId, Timestamp, Verdict};
use serde_json::{Map, Value};

use crate::configure;
use crate::random::Draw;
use crate::scenario::{Expectation, Place, Scenario};
use crate::trace::{Entry, Said, Trace};
use crate::world::World;
use coordinator::Coordinator;
use link::{Down, Up};
use member::{Flight, Member};
use selftest::Stage;

/// An instant of no meaning; the seed moves it, and with it the phases of all checks against the
/// scenario's own time.
const EPOCH_MICROS: i64 = 1_700_000_000_000_000;
/// How far the seed moves it.
const SHIFT_MAX: Duration = Duration::from_secs(3_600);
/// The time for agents to connect before the votes are counted.
const CONNECT: Duration = Duration::from_secs(10);
/// More jobs at one instant than this mean that something feeds itself.
const SPIN_MAX: u32 = 1_000_000;

/// What a run gave.
#[derive(Debug)]
pub struct Played {
    /// What people would have seen, in order.
    pub entries: Vec<Entry>,
    /// The verdicts that expectations ask for: by time and check.
    pub(crate) samples: BTreeMap<(Duration, CheckId), Verdict>,
    /// A fingerprint of everything that happened: equal for equal seeds.
    pub fingerprint: u64,
    /// How many probes were started.
    pub probes: u64,
}

/// Something that will happen. Those with a `boot` or a `session` are void when that has gone.
#[derive(Debug)]
enum Job {
    Wake {
        agent: usize,
        boot: u32,
    },
    Start {
        agent: usize,
        boot: u32,
        flight: Box<Flight>,
    },
    Late {
        agent: usize,
        boot: u32,
        flight: Box<Flight>,
    },
    End {
        agent: usize,
        boot: u32,
        flight: Box<Flight>,
    },
    Decide {
        agent: usize,
        boot: u32,
        number: u64,
    },
    Keep {
        agent: usize,
        boot: u32,
        result: Box<quorate_model::MeasuredResult>,
    },
    Test {
        agent: usize,
        boot: u32,
        stage: Stage,
        number: u64,
    },
    Lag {
        agent: usize,
        boot: u32,
    },
    Linger {
        agent: usize,
        session: u64,
    },
    Beat {
        agent: usize,
        session: u64,
    },
    Dial {
        agent: usize,
        boot: u32,
    },
    Up {
        agent: usize,
        session: u64,
        message: Box<Up>,
    },
    Down {
        agent: usize,
        session: u64,
        message: Box<Down>,
    },
    Idle {
        agent: usize,
        session: u64,
    },
    Fault {
        index: usize,
        begins: bool,
    },
    /// An alert that was held goes out.
    Tell(Box<Said>),
}

/// The stage with everything on it.
struct Player {
    now: Timestamp,
    zero: Timestamp,
    draw: Draw,
    world: World,
    members: Vec<Member>,
    /// The networks of agents, by number.
    networks: Vec<String>,
    coordinator: Coordinator,
    regions: BTreeMap<RegionId, Place>,
    checks: BTreeMap<String, (Map<String, Value>, String)>,
    /// The maintenance windows so far.
    windows: Vec<Value>,
    /// What each check probes.
    targets: BTreeMap<CheckId, String>,
    trace: Trace,
    jobs: BTreeMap<(Timestamp, u64), Job>,
    next_job: u64,
    next_session: u64,
    probes: u64,
}

/// Plays a scenario with a seed.
///
/// Fails only if the checks do not make a fleet together although each does alone.
pub fn play(scenario: &Scenario, seed: u64) -> Result<Played, String> {
    let draw = Draw::of(seed);
    let shift = draw.word("shift").between(Duration::ZERO, SHIFT_MAX);
    let zero = Timestamp::from_micros(EPOCH_MICROS) + shift;
    let checks = checks(scenario);
    let fleet = configure::fleet(&scenario.regions, &checks, &[])?;
    let mut player = Player::new(scenario, draw, zero, checks, &fleet);
    player.open(scenario, fleet);
    let samples = player.run(&sample_times(scenario), zero + scenario.run);
    Ok(Played {
        fingerprint: player.trace.fingerprint(),
        entries: player.trace.entries,
        samples,
        probes: player.probes,
    })
}

/// All checks with their settings and targets, those in the background too.
fn checks(scenario: &Scenario) -> BTreeMap<String, (Map<String, Value>, String)> {
    let mut checks = BTreeMap::new();
    for number in 1..=scenario.background.checks {
        let name = format!("background-{number}");
        checks.insert(name.clone(), (Map::new(), name));
    }
    for (id, check) in &scenario.checks {
        let origins = check.origin.as_ref().map(|origin| check.members(origin));
        let mut origins = origins.into_iter().flatten();
        for member in check.members(id) {
            let mut settings = check.settings.clone();
            settings.extend(origins.next().map(|origin| ("origin".to_owned(), origin.into())));
            checks.insert(member, (settings, check.target.clone()));
        }
    }
    checks
}

fn sample_times(scenario: &Scenario) -> BTreeSet<(Duration, CheckId)> {
    let mut times = BTreeSet::new();
    for expect in &scenario.expect {
        if let Expectation::Verdict { checks, at, .. } = &expect.what {
            times.extend(checks.iter().map(|check| (*at, check.clone())));
        }
    }
    times
}

impl Player {
    fn new(
        scenario: &Scenario,
        draw: Draw,
        zero: Timestamp,
        checks: BTreeMap<String, (Map<String, Value>, String)>,
        fleet: &Fleet,
    ) -> Self {
        let longest = fleet.checks.values().map(|check| check.interval + check.timeout).max();
        let warm_up = longest.unwrap_or_default() + CONNECT;
        Self {
            now: zero.before(warm_up),
            zero,
            draw,
            world: World::new(scenario, draw.word("world"), zero),
            members: Vec::new(),
            networks: Vec::new(),
            coordinator: Coordinator::default(),
            regions: scenario.regions.clone(),
            windows: Vec::new(),
            targets: checks
                .iter()
                .filter_map(|(id, (_, target))| Some((id.parse().ok()?, target.clone())))
                .collect(),
            checks,
            trace: Trace::new(zero),
            jobs: BTreeMap::new(),
            next_job: 0,
            next_session: 0,
            probes: 0,
        }
    }

    /// Starts the coordinator and the agents, and puts the faults on the calendar.
    fn open(&mut self, scenario: &Scenario, fleet: Arc<Fleet>) {
        self.start_coordinator(fleet);
        for (region, place) in &scenario.regions {
            for (agent, network) in &place.agents {
                self.enrol(agent.clone(), region.clone(), network.as_deref());
            }
        }
        for (index, fault) in scenario.faults.iter().enumerate() {
            self.push(self.zero + fault.at, Job::Fault { index, begins: true });
            if let Some(until) = fault.until {
                self.push(self.zero + until, Job::Fault { index, begins: false });
            }
        }
    }

    fn push(&mut self, at: Timestamp, job: Job) {
        self.next_job += 1;
        self.jobs.insert((at.max(self.now), self.next_job), job);
    }

    fn later(&mut self, wait: Duration, job: Job) {
        self.push(self.now + wait, job);
    }

    /// Plays until `end`, and looks at verdicts on the way.
    fn run(
        &mut self,
        times: &BTreeSet<(Duration, CheckId)>,
        end: Timestamp,
    ) -> BTreeMap<(Duration, CheckId), Verdict> {
        let mut samples = BTreeMap::new();
        let mut waiting = times.iter().peekable();
        let mut spins = 0;
        loop {
            let job = self.jobs.first_key_value().map(|((at, _), _)| *at);
            let due = self.coordinator.next_due();
            let next = job.into_iter().chain(due).min().unwrap_or(end + CONNECT).max(self.now);
            while let Some((at, check)) = waiting.next_if(|(at, _)| self.zero + *at < next) {
                let verdict = self.coordinator.verdict(check).cloned();
                samples.extend(verdict.map(|verdict| ((*at, check.clone()), verdict)));
            }
            spins = if next > self.now { 0 } else { spins + 1 };
            if next > end || spins > SPIN_MAX {
                return samples;
            }
            self.now = next;
            if job.is_some_and(|job| job <= next) {
                if let Some((_, job)) = self.jobs.pop_first() {
                    self.perform(job);
                }
            } else {
                self.coordinator_on_time();
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Wake { agent, boot } => self.wake(agent, boot),
            Job::Start { agent, boot, flight } => self.start(agent, boot, *flight),
            Job::Late { agent, boot, flight } => self.late(agent, boot, &flight),
            Job::End { agent, boot, flight } => self.ended(agent, boot, *flight),
            Job::Decide { agent, boot, number } => self.decided_late(agent, boot, number),
            Job::Keep { agent, boot, result } => self.keep(agent, boot, *result),
            Job::Test { agent, boot, stage, number } => self.test(agent, boot, stage, number),
            Job::Lag { agent, boot } => self.lag(agent, boot),
            Job::Linger { agent, session } | Job::Beat { agent, session }
                if !self.members[agent].is_session(session) => {}
            Job::Linger { agent, .. } => self.pump(agent),
            Job::Beat { agent, session } => self.beat(agent, session),
            Job::Dial { agent, boot } => self.dial(agent, boot),
            Job::Up { agent, session, message } => self.deliver_up(agent, session, *message),
            Job::Down { agent, session, message } => self.deliver_down(agent, session, *message),
            Job::Idle { agent, session } => self.idle(agent, session),
            Job::Fault { index, begins } => self.fault(index, begins),
            Job::Tell(said) => self.tell(said),
        }
    }
}
