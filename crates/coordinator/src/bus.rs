//! How the parts of a coordinator talk to each other.
//!
//! Everything that is said is plain owned data, and an acknowledgement names the session, the boot
//! and the number that it is for instead of holding a channel, so that a bus between processes can
//! carry the same words. Changes of verdicts reach watchers through [`crate::Mirror::watch`].
//!
//! A bus may lose what it carries: what must not be lost is in the store, and an agent sends again
//! what was not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_model::{
    AgentId, AgentSettings, BootId, CheckId, Heartbeat, KindName, Prefix, ProbeResult, ProbeSpec,
    RegionId, Revision, RoundId, Suspicion,
};
use tokio::sync::mpsc;

/// Words other than results that wait for the engine's owner. When it is full, the session that
/// speaks waits, and with it the agent's stream.
const CONTROL_MAX: usize = 1_024;

/// Batches that wait for the engine's owner. When it is full, the session that speaks waits, and
/// with it the agent's stream.
const BATCHES_MAX: usize = 64;

/// Words that wait for one session. When it is full, the session is cut.
const SESSION_MAX: usize = 4_096;

/// One stream of one agent; a later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What is said to the owner of the engine.
#[derive(Debug, Clone)]
pub enum ToEngine {
    /// An agent's stream is open. Answered by [`ToSession::Opened`].
    Connected(Box<Connected>),
    /// An agent gave a sign of life.
    Alive(Alive),
    /// An agent sends results. Answered by [`ToSession::Stored`] or [`ToSession::NotStored`].
    Results(Batch),
    /// A probe is late.
    Suspected(Box<Suspicion>),
    /// An agent did not start a probe that it was asked for.
    Declined {
        /// Who.
        agent: AgentId,
        /// Which round.
        round: RoundId,
        /// Of which check.
        check: CheckId,
    },
    /// An agent has answered a configuration.
    Configured {
        /// Who.
        agent: AgentId,
        /// The checks that it refuses at present, with the reason word and a sentence.
        rejections: BTreeMap<CheckId, (String, String)>,
    },
    /// An agent's stream is closed.
    Disconnected {
        /// Who.
        agent: AgentId,
        /// Which stream.
        session: SessionId,
    },
}

/// An agent's stream is open.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Who.
    pub agent: AgentId,
    /// Where it votes, from its certificate.
    pub region: RegionId,
    /// From where it came, if that says anything of where it is.
    pub prefix: Option<Prefix>,
    /// Which stream.
    pub session: SessionId,
    /// The run of its process.
    pub boot: BootId,
    /// What it runs.
    pub version: String,
    /// The check kinds that it knows.
    pub kinds: BTreeSet<KindName>,
    /// Results that wait at the agent.
    pub spooled: u64,
}

/// A sign of life.
#[derive(Debug, Clone)]
pub struct Alive {
    /// Who.
    pub agent: AgentId,
    /// What it says of itself.
    pub heartbeat: Heartbeat,
    /// Results that wait at the agent.
    pub spooled: u64,
    /// Results that the agent dropped.
    pub dropped: u64,
    /// Smallest round trip of its stream.
    pub round_trip: Option<Duration>,
}

/// Results of one run of one agent, in the order of their numbers.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Who.
    pub agent: AgentId,
    /// The stream that is to hear the answer.
    pub session: SessionId,
    /// Which run of the agent.
    pub boot: BootId,
    /// The highest number that the agent sent: higher than that of the last result if that one was
    /// not fit to be kept.
    pub through: u64,
    /// What it saw.
    pub results: Vec<ProbeResult>,
}

/// What is said to the session of an agent.
#[derive(Debug, Clone)]
pub enum ToSession {
    /// The engine's owner knows the session now: its first word.
    Opened {
        /// Results of the boot up to this number are stored.
        resume_after: u64,
        /// What the agent is to do.
        duties: Box<Duties>,
    },
    /// What the agent is to do from now on, whole.
    Configure(Box<Duties>),
    /// The phases and paces of some checks have changed.
    Assign(Vec<Duty>),
    /// Probe now.
    RunProbe {
        /// Which round.
        round: RoundId,
        /// Which check.
        check: CheckId,
        /// At which revision.
        revision: Revision,
        /// How soon the probe must start.
        start_within: Duration,
    },
    /// All results of the boot up to a number are stored.
    Stored {
        /// Which run of the agent.
        boot: BootId,
        /// That number.
        through: u64,
    },
    /// Results could not be stored: nothing more of this stream will be, and the agent must send
    /// them again in another one.
    NotStored {
        /// Whether there is no room, rather than another fault.
        full: bool,
        /// How long to wait before that.
        retry_after: Duration,
    },
    /// Come back later.
    Drain {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The same agent has opened another stream.
    Superseded,
}

/// Everything that an agent is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duties {
    /// The version of the configuration.
    pub version: u64,
    /// Its timers and anchors.
    pub settings: AgentSettings,
    /// What to probe, and when.
    pub checks: BTreeMap<CheckId, (Arc<ProbeSpec>, Duty)>,
}

/// When an agent probes a check: at each instant congruent to `phase` modulo `every`, on the
/// coordinator's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Which.
    pub check: CheckId,
    /// At which revision.
    pub revision: Revision,
    /// Offset of its probes; less than the check's interval.
    pub phase: Duration,
    /// Time between two probes.
    pub every: Duration,
}

/// The engine's owner is gone: the coordinator is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is stopping")]
pub struct Stopping;

/// What [`Bus::tell_engine`] returns.
pub type Told<'a> = Pin<Box<dyn Future<Output = Result<(), Stopping>> + Send + 'a>>;

/// Carries words between the sessions of agents and the owner of the engine.
pub trait Bus: Debug + Send + Sync {
    /// Tells the owner of the engine. Waits while its queue is full.
    ///
    /// # Cancellation
    ///
    /// Dropping it may leave the word unsaid.
    fn tell_engine(&self, word: ToEngine) -> Told<'_>;

    /// Tells the session of an agent, never waiting. Returns whether there is such a session and
    /// it has room; one without room is cut off.
    fn tell_session(&self, agent: &AgentId, word: ToSession) -> bool;

    /// As [`Bus::tell_session`], but only if the agent's session is still this one.
    fn tell_this_session(&self, agent: &AgentId, session: SessionId, word: ToSession) -> bool;

    /// Opens a session for an agent. Words to the agent come to it from now on; an earlier session
    /// of the agent is told that it is superseded.
    fn open(&self, agent: &AgentId) -> Inbox;

    /// Closes a session, unless it has been superseded already.
    fn close(&self, agent: &AgentId, session: SessionId);
}

/// Where a session hears what it is told. It ends when the session is cut off.
#[derive(Debug)]
pub struct Inbox {
    /// Which session.
    pub session: SessionId,
    /// What it is told.
    pub words: mpsc::Receiver<ToSession>,
}

/// Where the owner of the engine hears what it is told.
#[derive(Debug)]
pub struct EngineInbox {
    /// Everything but results: never held up by the store.
    pub control: mpsc::Receiver<ToEngine>,
    /// Results: not read while too many commits are under way.
    pub batches: mpsc::Receiver<Batch>,
}

/// The bus within one process.
#[derive(Debug)]
pub struct LocalBus {
    control: mpsc::Sender<ToEngine>,
    batches: mpsc::Sender<Batch>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    last: u64,
    open: BTreeMap<AgentId, (SessionId, mpsc::Sender<ToSession>)>,
}

impl LocalBus {
    /// A bus, and the end of it that the owner of the engine holds.
    pub fn new() -> (Arc<Self>, EngineInbox) {
        let (control, control_inbox) = mpsc::channel(CONTROL_MAX);
        let (batches, batches_inbox) = mpsc::channel(BATCHES_MAX);
        let bus = Self { control, batches, sessions: Mutex::default() };
        let inbox = EngineInbox { control: control_inbox, batches: batches_inbox };
        (Arc::new(bus), inbox)
    }

    fn tell(&self, agent: &AgentId, only: Option<SessionId>, word: ToSession) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((session, inbox)) = sessions.open.get(agent) else {
            return false;
        };
        if only.is_some_and(|only| only != *session) {
            return false;
        }
        if inbox.try_send(word).is_ok() {
            return true;
        }
        tracing::warn!(%agent, "agent does not keep up with what it is told, cutting it off");
        sessions.open.remove(agent);
        false
    }
}

impl Bus for LocalBus {
    fn tell_engine(&self, word: ToEngine) -> Told<'_> {
        Box::pin(async move {
            match word {
                ToEngine::Results(batch) => self.batches.send(batch).await.map_err(|_| Stopping),
                word @ (ToEngine::Connected(_)
                | ToEngine::Alive(_)
                | ToEngine::Suspected(_)
                | ToEngine::Declined { .. }
                | ToEngine::Configured { .. }
                | ToEngine::Disconnected { .. }) => {
                    self.control.send(word).await.map_err(|_| Stopping)
                }
            }
        })
    }

    fn tell_session(&self, agent: &AgentId, word: ToSession) -> bool {
        self.tell(agent, None, word)
    }

    fn tell_this_session(&self, agent: &AgentId, session: SessionId, word: ToSession) -> bool {
        self.tell(agent, Some(session), word)
    }

    fn open(&self, agent: &AgentId) -> Inbox {
        let (sender, words) = mpsc::channel(SESSION_MAX);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.last += 1;
        let session = SessionId(sessions.last);
        let earlier = sessions.open.insert(agent.clone(), (session, sender));
        if let Some((_, earlier)) = earlier {
            // Without room for this it sees its inbox end, which closes it as well.
            drop(earlier.try_send(ToSession::Superseded));
        }
        Inbox { session, words }
    }

    fn close(&self, agent: &AgentId, session: SessionId) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.open.get(agent).is_some_and(|(open, _)| *open == session) {
            sessions.open.remove(agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> AgentId {
        "fra-1".parse().unwrap()
    }

    fn stored(through: u64) -> ToSession {
        let boot = BootId(1);
        ToSession::Stored { boot, through }
    }

    #[tokio::test]
    async fn a_second_session_ends_the_first_and_gets_the_words() {
        let (bus, _engine) = LocalBus::new();
        let mut first = bus.open(&agent());
        let mut second = bus.open(&agent());
        assert!(second.session > first.session);
        assert!(matches!(first.words.recv().await, Some(ToSession::Superseded)));
        assert!(first.words.recv().await.is_none());

        bus.close(&agent(), first.session);
        let word = stored(3);
        assert!(!bus.tell_this_session(&agent(), first.session, word.clone()));
        assert!(bus.tell_session(&agent(), word));
        assert!(matches!(second.words.recv().await, Some(ToSession::Stored { through: 3, .. })));
    }

    #[tokio::test]
    async fn a_session_that_does_not_listen_is_cut_off() {
        let (bus, _engine) = LocalBus::new();
        let mut inbox = bus.open(&agent());
        let taken = (0..SESSION_MAX + 5).filter(|_| bus.tell_session(&agent(), stored(0))).count();
        assert_eq!(taken, SESSION_MAX);
        while inbox.words.recv().await.is_some() {}
        assert!(!bus.tell_session(&agent(), stored(0)));
    }

    #[tokio::test]
    async fn results_do_not_hold_up_other_words() {
        let (bus, mut engine) = LocalBus::new();
        let batch = || Batch {
            agent: agent(),
            session: SessionId(1),
            boot: BootId(1),
            through: 0,
            results: Vec::new(),
        };
        for _ in 0..BATCHES_MAX {
            bus.tell_engine(ToEngine::Results(batch())).await.unwrap();
        }
        let gone = ToEngine::Disconnected { agent: agent(), session: SessionId(1) };
        bus.tell_engine(gone).await.unwrap();
        assert!(matches!(engine.control.recv().await, Some(ToEngine::Disconnected { .. })));
        drop(engine);
        let told = bus.tell_engine(ToEngine::Results(batch())).await;
        assert_eq!(told, Err(Stopping));
    }
}
