//! The loop that decides what is probed when: slots, requests and configuration come in, results
//! go out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quorate_model::{AgentSettings, CheckId, Outcome, Revision, RoundId, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wire::connect_request::Message;

use crate::config::{Applied, Config, Gate, Loaded};
use crate::config_cache::{Cached, CachedCheck, ConfigCache};
use crate::probe::{Done, Job, Shared, Wish};
use crate::rounds::Rounds;
use crate::schedule::{self, Schedule, Slot};

/// The most confirmations that run or wait for a place.
const ASKED_MAX: usize = 256;
/// The most rounds remembered.
const ROUNDS_MAX: usize = 4_096;
/// What a stream asks of the prober. The answer goes to the outbox.
#[derive(Debug)]
pub(crate) enum Command {
    /// Apply a configuration that was sent at `sent` on the agent's clock.
    Configure { session: u64, update: Box<wire::ConfigUpdate>, sent: Timestamp },
    /// Take new settings.
    Settle(AgentSettings),
    /// Probe now; came at `received`.
    Run { session: u64, run: wire::RunProbe, received: Timestamp },
}

/// The revisions that the agent runs at the moment, by check.
pub(crate) type Revisions = Arc<RwLock<BTreeMap<String, u64>>>;

/// The loop's state.
#[derive(Debug)]
pub(crate) struct Prober {
    shared: Arc<Shared>,
    gate: Gate,
    cache: Option<ConfigCache>,
    settings: watch::Sender<AgentSettings>,
    revisions: Revisions,
    config: Config,
    schedule: Schedule,
    running: JoinSet<Done>,
    /// Checks whose scheduled probe has not ended.
    scheduled: BTreeSet<CheckId>,
    asked: usize,
    rounds: Rounds,
    /// The address that each check contacted last.
    addresses: BTreeMap<CheckId, IpAddr>,
}

impl Prober {
    /// A prober with the configuration that was kept last.
    pub(crate) fn new(
        shared: Arc<Shared>,
        gate: Gate,
        cache: Option<ConfigCache>,
        settings: watch::Sender<AgentSettings>,
        revisions: Revisions,
    ) -> Self {
        let mut prober = Self {
            shared,
            gate,
            cache,
            settings,
            revisions,
            config: Config::default(),
            schedule: Schedule::default(),
            running: JoinSet::new(),
            scheduled: BTreeSet::new(),
            asked: 0,
            rounds: Rounds::new(ROUNDS_MAX),
            addresses: BTreeMap::new(),
        };
        if let Some(cached) = prober.cache.as_ref().and_then(ConfigCache::load) {
            prober.restore(cached);
        }
        prober
    }

    fn restore(&mut self, cached: Cached) {
        let now = self.shared.clock.now();
        self.settings.send_replace(cached.settings);
        for CachedCheck { spec, slot, every } in cached.checks {
            let check = spec.check.clone();
            match self.config.insert(spec, &self.gate) {
                Ok(check) => {
                    // A slot that was kept lies in the past: the phase is what counts.
                    self.schedule.set(&check, Slot { next: slot, every });
                    self.schedule.postpone(&check, now);
                }
                Err((refusal, reason)) => {
                    tracing::warn!(%check, ?refusal, reason, "kept check is refused now");
                }
            }
        }
        self.publish_revisions();
        let checks = self.config.checks().count();
        tracing::info!(checks, "probing by the configuration that was kept");
    }

    /// Probes until the shared token is cancelled; then ends within a moment, with a result for
    /// each probe that had started.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.shared.stop.clone();
        let clock = self.shared.clock;
        loop {
            let due = self.schedule.next_due();
            let slot = async {
                match due {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(command) = commands.recv() => self.command(command),
                Some(done) = self.running.join_next() => self.finish(done),
                () = slot => self.start_due(),
            }
        }
        while let Some(done) = self.running.join_next().await {
            self.finish(done);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Configure { session, update, sent } => {
                let ack = self.configure(*update, sent);
                self.shared.outbox.push_answer(session, Message::ConfigAck(ack));
            }
            Command::Settle(settings) => {
                self.settings.send_replace(settings);
            }
            Command::Run { session, run, received } => {
                if let Err(reason) = self.ask(session, &run, received) {
                    self.refuse(session, run.round, run.check, reason);
                }
            }
        }
    }

    fn refuse(&self, session: u64, round: u64, check: String, reason: &str) {
        let ack = wire::ProbeAck { round, check, reason: reason.to_owned() };
        self.shared.outbox.push_answer(session, Message::ProbeAck(ack));
    }

    fn configure(&mut self, update: wire::ConfigUpdate, sent: Timestamp) -> wire::ConfigAck {
        let applied = self.config.apply(update.full, &update.removals, update.upserts, &self.gate);
        for check in &applied.removed {
            self.schedule.remove(check);
            self.addresses.remove(check);
        }
        if !applied.removed.is_empty() {
            self.shared.lookups().retain(|check| self.config.get(check).is_some());
            self.shared.failing().retain(|check| self.config.get(check).is_some());
            self.shared.patience().retain(|check| self.config.get(check).is_some());
        }
        for assignment in &update.assignments {
            self.assign(assignment, sent);
        }
        for check in &applied.changed {
            self.ensure_slot(check);
        }
        if let Some(settings) = update.settings {
            match convert::settings_from_wire(settings) {
                Ok(settings) => {
                    self.settings.send_replace(settings);
                }
                Err(error) => tracing::warn!(%error, "settings from the coordinator are not used"),
            }
        }
        report(&applied, update.config_version);
        self.publish_revisions();
        self.keep();
        wire::ConfigAck { nonce: update.nonce, rejections: applied.rejections }
    }

    /// Moves a check's slots. One that is not configured has none.
    fn assign(&mut self, assignment: &wire::Assignment, sent: Timestamp) {
        let Some(loaded) = assignment.check.parse().ok().and_then(|check| self.config.get(&check))
        else {
            return;
        };
        let next_in = convert::duration_from_wire("next_in", assignment.next_in);
        let every = convert::duration_from_wire("every", assignment.every);
        let (Ok(next_in), Ok(every)) = (next_in, every) else {
            tracing::warn!(check = %loaded.spec.check, "assignment without times is not used");
            return;
        };
        let every = every.max(self.gate.limits.interval);
        let check = loaded.spec.check.clone();
        let next = sent + next_in.min(every);
        self.schedule.set(&check, Slot { next, every });
    }

    /// Gives a check that was never assigned slots at a phase of its own name.
    fn ensure_slot(&mut self, check: &CheckId) {
        let Some(loaded) = self.config.get(check) else {
            return;
        };
        if self.schedule.slot(check).is_some() {
            return;
        }
        let every = loaded.spec.interval;
        let micros = u64::try_from(every.as_micros()).unwrap_or(u64::MAX).max(1);
        let hash = check.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let next = self.shared.clock.now() + Duration::from_micros(hash % micros);
        self.schedule.set(check, Slot { next, every });
    }

    fn publish_revisions(&self) {
        *self.revisions.write().unwrap_or_else(PoisonError::into_inner) = self.config.revisions();
    }

    fn keep(&self) {
        let Some(cache) = &self.cache else {
            return;
        };
        let kept = self.config.checks().filter_map(|loaded| {
            let slot = self.schedule.slot(&loaded.spec.check)?;
            Some(CachedCheck { spec: loaded.spec.clone(), slot: slot.next, every: slot.every })
        });
        let settings = self.settings.borrow().clone();
        cache.save(&Cached::new(settings, kept.collect()));
    }

    /// Starts a probe that was asked for, or says why not.
    fn ask(
        &mut self,
        session: u64,
        run: &wire::RunProbe,
        received: Timestamp,
    ) -> Result<(), &'static str> {
        let check: CheckId = run.check.parse().map_err(|_| "UNKNOWN_CHECK")?;
        let loaded = Arc::clone(self.config.get(&check).ok_or("UNKNOWN_CHECK")?);
        if loaded.spec.revision != Revision(run.revision) {
            return Err("REVISION_MISMATCH");
        }
        let now = self.shared.clock.now();
        let within = convert::duration_from_wire("start_within", run.start_within);
        let start_by = received + within.unwrap_or_default();
        if now > start_by {
            return Err("DEADLINE_EXCEEDED");
        }
        if self.asked >= ASKED_MAX {
            return Err("OVERLOADED");
        }
        let round = RoundId(run.round);
        if self.rounds.contains(round, &check) {
            return Err("DUPLICATE");
        }
        let mut rates = self.shared.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if !rates.confirm(now) {
            return Err("OVERLOADED");
        }
        drop(rates);
        self.rounds.insert(round, &check);
        self.asked += 1;
        let wish = Wish::Asked { session, round, start_by };
        self.start(loaded, wish);
        Ok(())
    }

    /// Starts the probes whose slots have come. A check whose last probe has not ended is left out.
    fn start_due(&mut self) {
        for due in self.schedule.take_due(self.shared.clock.now()) {
            if due.missed > 0 {
                tracing::warn!(check = %due.check, missed = due.missed, "slots were missed");
            }
            let Some(loaded) = self.config.get(&due.check).map(Arc::clone) else {
                continue;
            };
            if !self.scheduled.insert(due.check.clone()) {
                tracing::debug!(check = %due.check, "slot left out, the last probe has not ended");
                continue;
            }
            let patience = loaded.spec.interval / 2;
            self.start(loaded, Wish::Scheduled { patience });
        }
    }

    fn start(&mut self, check: Arc<Loaded>, wish: Wish) {
        let address = self.addresses.get(&check.spec.check);
        let destination = address.map_or_else(|| check.probe.target(), ToString::to_string);
        let job = Job { check, wish, destination };
        self.running.spawn(Arc::clone(&self.shared).run(job));
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        // A probe's own panic is caught within its task; what is left is an abort at the end.
        let Ok(Done { job, result }) = done else {
            return;
        };
        let check = &job.check.spec.check;
        match job.wish {
            Wish::Scheduled { .. } => {
                self.scheduled.remove(check);
                if result.is_none() {
                    tracing::debug!(%check, "slot left out, the agent's limits left no room");
                }
            }
            Wish::Asked { session, round, .. } => {
                self.asked = self.asked.saturating_sub(1);
                if result.is_none() {
                    self.refuse(session, round.0, check.to_string(), "DEADLINE_EXCEEDED");
                }
            }
        }
        let Some(result) = result else {
            return;
        };
        let evidence = &result.observation.evidence;
        if let Some(address) = evidence.address.filter(|_| self.config.get(check).is_some()) {
            self.addresses.insert(check.clone(), address);
        }
        if let Some(delay) = evidence.retry_after {
            self.postpone(&job.check, result.observation.outcome, delay);
        }
        tracing::debug!(%check, outcome = %result.observation.outcome, "probe ended");
        self.shared.outbox.push_result(*result);
    }

    /// Leaves a target alone that asked for it. Source: RFC 9110, section 10.2.3.
    fn postpone(&mut self, check: &Loaded, outcome: Outcome, delay: Duration) {
        let delay = schedule::put_off(outcome, delay, check.spec.interval);
        let until = self.shared.clock.now() + delay;
        self.schedule.postpone(&check.spec.check, until);
    }
}

fn report(applied: &Applied, version: u64) {
    if applied.changed.is_empty() && applied.removed.is_empty() && applied.rejections.is_empty() {
        tracing::debug!(version, "configuration is as it was");
        return;
    }
    tracing::info!(
        version,
        changed = applied.changed.len(),
        removed = applied.removed.len(),
        refused = applied.rejections.len(),
        "configuration applied"
    );
    for rejection in &applied.rejections {
        tracing::warn!(
            check = rejection.check,
            reason = rejection.reason,
            message = rejection.message,
            "check refused"
        );
    }
}

#[cfg(test)]
mod tests;
