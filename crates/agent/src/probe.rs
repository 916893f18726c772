//! One probe, from the permission to start to the result.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use quorate_checks::{Environment, PhaseCell, ProbeContext};
use quorate_model::{
    Doubt, Evidence, Health, MeasuredResult, Observation, Outcome, Reason, RoundId, Timestamp,
};
use quorate_runtime::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::anchors;
use crate::config::Loaded;
use crate::families::{self, Failing};
use crate::lag::{self, Lag};
use crate::lookups::Lookups;
use crate::outbox::{Outbox, SuspectDraft};
use crate::patience::Patience;
use crate::rates::Rates;
use crate::selftest::SelfTest;

/// How long after its timeout a probe that does not end by itself is given up.
const OVERTIME: Duration = Duration::from_secs(2);

/// What all probes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) environment: Environment,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) selftest: Arc<SelfTest>,
    pub(crate) lag: Arc<Lag>,
    pub(crate) rates: Mutex<Rates>,
    pub(crate) lookups: Mutex<Lookups>,
    pub(crate) failing: Mutex<Failing>,
    pub(crate) patience: Mutex<Patience>,
    /// Places for any probe.
    pub(crate) places: Arc<Semaphore>,
    /// Places for confirmations only.
    pub(crate) reserved: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

/// A probe to run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) check: Arc<Loaded>,
    pub(crate) wish: Wish,
    /// What the rate for each destination counts.
    pub(crate) destination: String,
}

/// Why a probe is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Its slot has come. It may start so much later, and is left out after that.
    Scheduled { patience: Duration },
    /// Somebody asked for it on a stream. It must start by then.
    Asked { session: u64, round: RoundId, start_by: Timestamp },
}

/// What became of a job.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) job: Job,
    /// The result, not numbered yet; or nothing if the probe did not start in time.
    pub(crate) result: Option<Box<MeasuredResult>>,
}

impl Shared {
    /// Runs a job to its end.
    pub(crate) async fn run(self: Arc<Self>, job: Job) -> Done {
        let permit = tokio::select! {
            permit = self.admit(&job) => permit,
            () = self.stop.cancelled() => None,
        };
        let Some(permit) = permit else {
            return Done { job, result: None };
        };
        let result = self.measure(&job).await;
        drop(permit);
        Done { job, result: Some(Box::new(result)) }
    }

    /// Waits for the rates and a place. Nothing if that takes too long.
    async fn admit(&self, job: &Job) -> Option<OwnedSemaphorePermit> {
        match job.wish {
            Wish::Scheduled { patience } => {
                let begun = self.clock.uptime();
                let wait = self.rates.lock().unwrap_or_else(PoisonError::into_inner).reserve(
                    self.clock.now(),
                    &job.destination,
                    patience,
                )?;
                tokio::time::sleep(wait).await;
                let left = patience.saturating_sub(self.clock.uptime().saturating_sub(begun));
                let place = Arc::clone(&self.places).acquire_owned();
                tokio::time::timeout(left, place).await.ok()?.ok()
            }
            Wish::Asked { start_by, .. } => {
                let left = start_by.since(self.clock.now());
                let reserved = Arc::clone(&self.reserved).acquire_owned();
                let any = Arc::clone(&self.places).acquire_owned();
                let place = async {
                    tokio::select! {
                        biased; // the places that nobody else can use are taken first
                        place = reserved => place,
                        place = any => place,
                    }
                };
                tokio::time::timeout(left, place).await.ok()?.ok()
            }
        }
    }

    /// Runs the probe and makes its result.
    async fn measure(&self, job: &Job) -> MeasuredResult {
        let spec = &job.check.spec;
        let mut context =
            ProbeContext::new(self.environment.clone(), spec.timeout, spec.slow_after);
        let is_asked = matches!(job.wish, Wish::Asked { .. });
        context.second_after = self.lookups().second_after(&spec.check, spec.timeout, is_asked);
        let started_at = self.clock.uptime();
        let mut observation = self.over_families(job, &context, started_at).await;
        let ended_at = self.clock.uptime();
        self.lookups().ended(&spec.check, &observation);
        self.failing().ended(&spec.check, observation.outcome);
        self.patience().ended(spec, &observation);
        let island = match observation.outcome {
            // The agent's own end says nothing about anything, and must not take long.
            Outcome::Ok | Outcome::Slow | Outcome::Inconclusive { .. } => {
                self.selftest.subscribe().borrow().island
            }
            Outcome::Fail { .. } | Outcome::Blocked { .. } => self.decide().await,
        };
        let health = anchors::health(island, || self.lag.overlaps(started_at, ended_at));
        if health == Health::Overloaded {
            lag::doubt(&mut observation);
        }
        let round = match job.wish {
            Wish::Scheduled { .. } => None,
            Wish::Asked { round, .. } => Some(round),
        };
        MeasuredResult {
            sequence: 0,
            check: spec.check.clone(),
            revision: spec.revision,
            round,
            started_at,
            ended_at,
            health,
            observation,
        }
    }

    pub(crate) fn lookups(&self) -> MutexGuard<'_, Lookups> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failing(&self) -> MutexGuard<'_, Failing> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the probe, and the same over the other address family beside it if that can tell
    /// anything and the agent's limits leave room for it.
    async fn over_families(
        &self,
        job: &Job,
        context: &ProbeContext,
        started_at: Duration,
    ) -> Observation {
        let families = job.check.probe.families();
        let is_asked = matches!(job.wish, Wish::Asked { .. });
        let wanted = self.failing().tries_other(&job.check.spec.check, families, is_asked);
        let Some(_place) = wanted.then(|| self.spare_place(job)).flatten() else {
            return self.observe(job, context, started_at).await;
        };
        let other = context.over_other_family();
        let beside = AssertUnwindSafe(job.check.probe.run(&other)).catch_unwind();
        let probe = self.observe(job, context, started_at);
        tokio::pin!(probe, beside);
        let mut known = None;
        let mut seen = loop {
            tokio::select! {
                seen = &mut probe => break seen,
                ended = &mut beside, if known.is_none() => known = Some(ended),
            }
        };
        if known.is_none() {
            let spent = self.clock.uptime().saturating_sub(started_at);
            let left = (context.timeout + OVERTIME).saturating_sub(spent);
            tokio::select! {
                ended = tokio::time::timeout(families::patience(families, left), beside) => {
                    known = ended.ok();
                }
                () = self.stop.cancelled() => {}
            }
        }
        if let Some(Ok(other)) = known {
            families::note(&mut seen, &other);
        }
        seen
    }

    /// Room for one more probe now, by rate and number; nothing if there is none.
    fn spare_place(&self, job: &Job) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let destination = format!("{} over the other address family", job.destination);
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.reserve(self.clock.now(), &destination, Duration::ZERO).map(|_| place)
    }

    /// The self-test's word on a failure; the last one known when the agent is ending.
    async fn decide(&self) -> bool {
        tokio::select! {
            island = self.selftest.decide() => island,
            () = self.stop.cancelled() => self.selftest.subscribe().borrow().island,
        }
    }

    async fn observe(
        &self,
        job: &Job,
        context: &ProbeContext,
        started_at: Duration,
    ) -> Observation {
        let spec = &job.check.spec;
        let probe = AssertUnwindSafe(job.check.probe.run(context)).catch_unwind();
        let given_up = tokio::time::sleep(spec.timeout + OVERTIME);
        let suspect_after = self.patience().suspect_after(spec);
        let late = tokio::time::sleep(suspect_after);
        tokio::pin!(probe, given_up, late);
        let mut suspected = false;
        loop {
            let elapsed = || self.clock.uptime().saturating_sub(started_at);
            return tokio::select! {
                biased; // an answer that is there is never late
                seen = &mut probe => if let Ok(seen) = seen {
                    self.look_at(&seen, spec.timeout, started_at);
                    seen
                } else {
                    tracing::error!(check = %spec.check, kind = %spec.kind, "probe panicked");
                    doubt(Doubt::Internal, elapsed(), "the probe failed inside the agent")
                },
                () = self.stop.cancelled() => {
                    doubt(Doubt::Cancelled, elapsed(), "the agent stopped before the probe had ended")
                }
                () = &mut given_up => timed_out(&context.phase, elapsed()),
                () = &mut late, if !suspected => {
                    suspected = true;
                    let due = started_at + suspect_after;
                    self.lag.timer(due, self.clock.uptime(), spec.timeout);
                    self.suspect(job, &context.phase, started_at);
                    continue;
                }
            };
        }
    }

    /// Notes what a probe shows of the agent itself: means used up, or a timer that was late.
    fn look_at(&self, seen: &Observation, timeout: Duration, started_at: Duration) {
        let now = self.clock.uptime();
        match seen.outcome {
            Outcome::Inconclusive { reason: Doubt::Overloaded } => {
                self.lag.suffered(started_at, now);
            }
            Outcome::Fail { reason: Reason::Timeout, .. } => {
                self.lag.timer(started_at + timeout, now, timeout);
            }
            Outcome::Ok
            | Outcome::Slow
            | Outcome::Fail { .. }
            | Outcome::Blocked { .. }
            | Outcome::Inconclusive { .. } => {}
        }
    }

    /// Says that a probe is late, and has the self-test look at once.
    fn suspect(&self, job: &Job, phase: &PhaseCell, started_at: Duration) {
        let health = health(&self.selftest, &self.lag, self.clock.uptime());
        self.selftest.request();
        self.lookups().late(&job.check.spec.check, phase.current());
        self.outbox.push_suspect(SuspectDraft {
            check: job.check.spec.check.clone(),
            revision: job.check.spec.revision,
            phase: phase.current(),
            started_at,
            health,
        });
    }
}

/// What the agent thinks of itself now.
pub(crate) fn health(selftest: &SelfTest, lag: &Lag, uptime: Duration) -> Health {
    let island = selftest.subscribe().borrow().island;
    anchors::health(island, || lag.is_late(uptime))
}

fn doubt(reason: Doubt, total: Duration, message: &str) -> Observation {
    Observation {
        outcome: Outcome::Inconclusive { reason },
        total,
        phases: Vec::new(),
        evidence: Evidence { message: message.to_owned(), ..Evidence::default() },
    }
}

fn timed_out(phase: &PhaseCell, total: Duration) -> Observation {
    let phase = phase.current();
    let reason = Reason::Timeout;
    Observation {
        outcome: Outcome::Fail { phase, reason },
        ..doubt(Doubt::Internal, total, "the time was up")
    }
}
