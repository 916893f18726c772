//! The single owner of the engine.
//!
//! Whatever happens is told to it; it tells the engine, performs the effects, and keeps the books:
//! results are acknowledged, verdicts announced and messages sent only when they are durable. It
//! does not wait for one commit before it applies the next event, so a slow store does not slow the
//! decision down.

mod effects;
mod show;
mod staff;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, CheckId, Fleet, NoticeKind, OperatorNotice, ProbeResult, ProbeSpec, RegionId, RoundId,
    Timestamp,
};
use quorate_runtime::Clock;
use quorate_store::{AgentRecord, Restored, StoreError, Write};
use quorate_verdict::{Engine, Event, Restore};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::assign::{self, Paces, Plan};
use crate::bus::{Batch, Bus, EngineInbox, ToSession};
use crate::ledger::{Ack, Ledger, Mark, Marks, Settled};
use crate::outbox::OutboxHandle;
use crate::{Mirror, StoreHandle};
use staff::Crew;

/// How long agents whose results could not be stored are asked to wait.
const STORE_RETRY: Duration = Duration::from_secs(2);

/// How often the ballots that people see follow votes that change no verdict.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// How long the store must work without a failure to count as repaired.
const STORE_CALM: Duration = Duration::from_secs(5);

/// The longest wait at the end for commits that are under way.
const LAST_COMMITS: Duration = Duration::from_secs(10);

/// What the rest of the coordinator asks of the owner.
#[derive(Debug)]
pub(crate) enum Command {
    /// Go over to another fleet.
    Reload { fleet: Arc<Fleet>, done: oneshot::Sender<()> },
}

/// The ways out of the owner.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: StoreHandle,
    pub(crate) mirror: Mirror,
    pub(crate) outbox: OutboxHandle,
    pub(crate) clock: Clock,
}

/// The owner of the engine.
pub(crate) struct Owner {
    engine: Engine,
    effects: Vec<quorate_verdict::Effect>,
    fleet: Arc<Fleet>,
    version: u64,
    specs: BTreeMap<CheckId, Arc<ProbeSpec>>,
    crew: Crew,
    plan: Plan,
    paces: Paces,
    regions: BTreeMap<RegionId, quorate_verdict::RegionState>,
    replan_at: Option<Timestamp>,
    /// The last round that was given out.
    last_round: RoundId,
    /// Checks with votes that nobody has seen yet.
    unseen: BTreeSet<CheckId>,
    show_at: Option<Timestamp>,
    ledger: Ledger,
    marks: Marks,
    failing: bool,
    /// When the failing store counts as repaired; `None` until a commit has succeeded again.
    calm_at: Option<Timestamp>,
    bus: Arc<dyn Bus>,
    mirror: Mirror,
    outbox: OutboxHandle,
    clock: Clock,
}

impl Owner {
    /// An owner that goes on from where the store says. The mirror is filled when it returns.
    pub(crate) fn new(
        ways: Ways,
        fleet: Arc<Fleet>,
        restored: Restored,
        agents: Vec<AgentRecord>,
    ) -> Self {
        let mark = |number| Mark { stored: number, queued: number, applied: number, refused: None };
        let marks = restored.watermarks.iter();
        let mut owner = Self {
            engine: Engine::new(),
            effects: Vec::new(),
            specs: assign::specs(&fleet),
            fleet,
            version: 1,
            crew: Crew::default(),
            plan: Plan::new(),
            paces: Paces::new(),
            regions: BTreeMap::new(),
            replan_at: None,
            last_round: RoundId(restored.next_round.saturating_sub(1)),
            unseen: BTreeSet::new(),
            show_at: None,
            ledger: Ledger::new(ways.store),
            marks: marks.map(|(run, number)| (run.clone(), mark(*number))).collect(),
            failing: false,
            calm_at: None,
            bus: ways.bus,
            mirror: ways.mirror,
            outbox: ways.outbox,
            clock: ways.clock,
        };
        owner.restore(restored, agents);
        owner
    }

    fn restore(&mut self, restored: Restored, agents: Vec<AgentRecord>) {
        let now = self.clock.now();
        let fleet = Arc::clone(&self.fleet);
        self.engine.apply(Event::Configured(fleet), now, &mut self.effects);
        let known = restored.checks;
        let checks = known
            .iter()
            .map(|(id, check)| {
                let memory = check.memory.clone();
                let known = (check.verdict.clone(), check.incident.clone(), memory);
                (id.clone(), known)
            })
            .collect();
        let restore = Restore {
            checks,
            results: restored.results,
            next_round: restored.next_round.max(1),
            learned: restored.memory,
            agents: heard(&agents, &restored.heard),
        };
        self.engine.apply(Event::Restored(Box::new(restore)), now, &mut self.effects);
        self.show_fleet(now);
        self.show_restored(known, agents);
        self.settle_effects();
    }

    /// Works until told to stop, then until what is under way is durable.
    pub(crate) async fn run(
        mut self,
        mut inbox: EngineInbox,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        let clock = self.clock;
        loop {
            let wake = self.wake_at();
            let room = self.ledger.has_room();
            tokio::select! {
                // Finished work first, then what must not wait behind results.
                biased;
                () = stop.cancelled() => break,
                settled = self.ledger.next(clock) => self.settled(settled),
                Some(command) = commands.recv() => self.obey(command),
                Some(word) = inbox.control.recv() => self.hear(word),
                () = sleep_until(clock, wake) => self.on_time(),
                Some(batch) = inbox.batches.recv(), if room => self.results(batch),
            }
        }
        self.finish(inbox).await;
    }

    /// Applies what has arrived and waits for what is under way.
    async fn finish(mut self, mut inbox: EngineInbox) {
        while let Ok(word) = inbox.control.try_recv() {
            self.hear(word);
        }
        let clock = self.clock;
        let last = async {
            loop {
                while self.ledger.has_room()
                    && let Ok(batch) = inbox.batches.try_recv()
                {
                    self.results(batch);
                }
                // With a store that fails, what is owed stays owed: agents send it again.
                if self.ledger.is_idle() || (self.failing && self.calm_at.is_none()) {
                    return;
                }
                let settled = self.ledger.next(clock).await;
                self.settled(settled);
            }
        };
        if tokio::time::timeout(LAST_COMMITS, last).await.is_err() {
            tracing::warn!("stopped before the last commits were answered");
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let times = [
            self.engine.next_deadline(),
            self.ledger.retry_at(),
            self.replan_at,
            self.show_at,
            self.calm_at,
        ];
        times.into_iter().flatten().min()
    }

    fn on_time(&mut self) {
        let now = self.clock.now();
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.apply(Event::Tick, now, &mut self.effects);
            self.settle_effects();
        }
        if self.replan_at.is_some_and(|at| at <= now) {
            self.replan(now);
        }
        if self.show_at.is_some_and(|at| at <= now) {
            self.show_votes(now);
        }
        if self.calm_at.is_some_and(|at| at <= now) {
            self.store_works();
        }
        self.ledger.retry(now);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Reload { fleet, done } => {
                self.reload(fleet);
                if done.send(()).is_err() {
                    tracing::debug!("nobody waits for the reload any more");
                }
            }
        }
    }

    fn reload(&mut self, fleet: Arc<Fleet>) {
        let now = self.clock.now();
        self.version += 1;
        self.specs = assign::specs(&fleet);
        self.paces.retain(|check, _| fleet.checks.contains_key(check));
        self.fleet = Arc::clone(&fleet);
        self.engine.apply(Event::Configured(fleet), now, &mut self.effects);
        self.show_fleet(now);
        self.settle_effects();
        self.plan = assign::plan(&self.fleet, self.crew.staff());
        self.configure_all();
    }

    /// Takes in the results of an agent: each once, however often they are sent.
    ///
    /// What follows a refused batch in its stream is judged, but neither stored nor acknowledged:
    /// an acknowledgement would count for the refused batch too, which would be lost.
    fn results(&mut self, batch: Batch) {
        let now = self.clock.now();
        let run = (batch.agent.clone(), batch.boot);
        let mut mark = self.marks.get(&run).copied().unwrap_or_default();
        let keep = mark.refused.is_none_or(|refused| refused < batch.session);
        let mut fresh = Vec::with_capacity(batch.results.len());
        let mut gaps = 0_u64;
        for mut result in batch.results {
            // A number that nobody has given out would be the last one for ever.
            result.round = result.round.filter(|round| *round <= self.last_round);
            let number = result.id.sequence;
            if number <= if keep { mark.queued } else { mark.applied } {
                continue;
            }
            if keep {
                gaps += number - mark.queued - 1;
                mark.queued = number;
            }
            if !self.wanted(&result) {
                tracing::debug!(agent = %batch.agent, check = %result.check, "result of a check that is not the agent's");
                continue;
            }
            if number > mark.applied {
                mark.applied = number;
                let event = Event::Result(Box::new(result.clone()));
                self.engine.apply(event, now, &mut self.effects);
                if !self.unseen.contains(&result.check) {
                    self.unseen.insert(result.check.clone());
                }
                self.show_at.get_or_insert(now + SHOW_EVERY);
            }
            fresh.push(result);
        }
        if gaps > 0 {
            tracing::warn!(agent = %batch.agent, missing = gaps, "results are missing: the agent dropped them, or they were not fit to be kept");
        }
        if !keep {
            self.marks.insert(run, mark);
            return self.settle_effects();
        }
        mark.queued = mark.queued.max(batch.through);
        let ack = Ack {
            agent: batch.agent,
            session: batch.session,
            boot: batch.boot,
            through: mark.queued,
        };
        self.marks.insert(run, mark);
        let decided = self.perform();
        let writes = if fresh.is_empty() { Vec::new() } else { vec![Write::Results(fresh)] };
        self.ledger.record(Some(ack), writes, decided);
    }

    /// Whether the agent's region is one that probes this check.
    fn wanted(&self, result: &ProbeResult) -> bool {
        let check = self.fleet.checks.get(&result.check);
        check.is_some_and(|check| check.regions.contains(&result.region))
    }

    /// Performs the effects of an event that brought no results.
    fn settle_effects(&mut self) {
        let decided = self.perform();
        self.show_regions();
        if !decided.is_empty() {
            self.ledger.record(None, Vec::new(), decided);
        }
    }

    fn settled(&mut self, settled: Settled) {
        match settled {
            Settled::Durable { ack, decided, wrote } => {
                if let Some(ack) = ack {
                    self.acknowledge(&ack);
                }
                self.announce(decided);
                if wrote && self.failing {
                    self.calm_at.get_or_insert(self.clock.now() + STORE_CALM);
                }
            }
            Settled::Failed { acks, error } => {
                for ack in acks {
                    self.refuse(&ack, &error);
                }
                self.store_fails(&error);
            }
        }
    }

    fn acknowledge(&mut self, ack: &Ack) {
        let mark = self.marks.entry((ack.agent.clone(), ack.boot)).or_default();
        mark.stored = mark.stored.max(ack.through);
        let word = ToSession::Stored { boot: ack.boot, through: ack.through };
        // An agent that is gone hears of it in its next Welcome.
        self.bus.tell_this_session(&ack.agent, ack.session, word);
    }

    fn refuse(&mut self, ack: &Ack, error: &StoreError) {
        if let Some(mark) = self.marks.get_mut(&(ack.agent.clone(), ack.boot)) {
            mark.queued = mark.stored;
            mark.refused = mark.refused.max(Some(ack.session));
        }
        let word = ToSession::NotStored {
            full: matches!(error, StoreError::Full { .. }),
            retry_after: STORE_RETRY,
        };
        self.bus.tell_this_session(&ack.agent, ack.session, word);
    }

    /// Tells the operators at once, past the store that fails.
    fn store_fails(&mut self, error: &Arc<StoreError>) {
        self.calm_at = None;
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        let cause = std::error::Error::source(error.as_ref());
        let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
        tracing::error!(%error, cause, "the store fails");
        let then = if matches!(**error, StoreError::Broken { .. }) {
            "the coordinator ends, so that it is read back from the disk at the next start: make \
             sure that something starts it again, and look at the disk"
        } else {
            "changes of verdicts are not announced until it works again: make room or repair it"
        };
        self.tell_of_store(
            false,
            format!(
                "{error}{cause}; results are not acknowledged and wait at the agents, and {then}"
            ),
        );
    }

    fn store_works(&mut self) {
        self.calm_at = None;
        if std::mem::take(&mut self.failing) {
            tracing::info!("the store works again");
            let message = "the store works again; agents send what has waited";
            self.tell_of_store(true, message.to_owned());
        }
    }

    fn tell_of_store(&self, resolved: bool, message: String) {
        self.outbox.tell_operators(OperatorNotice {
            kind: NoticeKind::StoreFailing,
            at: self.clock.now(),
            resolved,
            region: None,
            agent: None,
            check: None,
            message,
        });
    }
}

/// The agents that have joined and of which results are stored: where each votes, and when its last
/// one came.
fn heard(
    agents: &[AgentRecord],
    heard: &BTreeMap<AgentId, Timestamp>,
) -> BTreeMap<AgentId, (RegionId, Timestamp)> {
    let known = agents.iter().filter_map(|record| {
        let last = *heard.get(&record.agent)?;
        Some((record.agent.clone(), (record.region.clone(), last)))
    });
    known.collect()
}

/// Returns at `at`; never if there is none.
pub(crate) async fn sleep_until(clock: Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
