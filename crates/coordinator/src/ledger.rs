//! Commits under way: what is acknowledged, announced and sent when they are durable, and what
//! happens to it when they fail.
//!
//! Commits are answered in the order in which they were handed in. When one fails, all later ones
//! of its epoch fail as well, so that no result is stored while one before it is lost. Decisions of
//! a failed commit are owed: they are committed again, alone and with a delay, until they succeed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AgentId, BootId, CheckId, Timestamp};
use quorate_store::{OutboxEntry, StoreError, Transition, Write};
use tokio::sync::oneshot;

use crate::StoreHandle;
use crate::bus::SessionId;
use crate::store_thread::{Committed, Epoch, ORDERED_MAX, ended};

/// The wait before owed decisions are committed again.
const RETRY: Duration = Duration::from_secs(1);

/// Commits under way above which no results are taken in, so that decisions have room.
const RESULTS_MAX: usize = ORDERED_MAX - 2;

/// What the engine decided and must not be lost, and what it learned meanwhile.
#[derive(Debug, Clone)]
pub(crate) enum Decided {
    /// A verdict has changed.
    Transition(Box<Transition>),
    /// Operators are told.
    Notices(Vec<OutboxEntry>),
    /// Something was learned: of a check, or of the regions. Nobody waits for it; if it cannot be
    /// stored, the engine soon hands in more.
    Learned {
        /// Of which check.
        check: Option<CheckId>,
        /// The engine's document.
        memory: serde_json::Value,
    },
}

/// Who waits for a commit, and for which results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) boot: BootId,
    pub(crate) through: u64,
}

/// What has become of one or more commits.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is durable.
    Durable {
        ack: Option<Ack>,
        decided: Vec<Decided>,
        /// Whether anything had to be written.
        wrote: bool,
    },
    /// It and all that came after it failed; who waited for them. Their decisions are owed.
    Failed { acks: Vec<Ack>, error: Arc<StoreError> },
}

#[derive(Debug)]
struct Entry {
    /// `None` if there was nothing to write.
    answer: Option<oneshot::Receiver<Committed>>,
    ack: Option<Ack>,
    decided: Vec<Decided>,
    /// How many owed decisions it writes, from the front.
    owed: usize,
}

/// The commits of the engine's owner.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: StoreHandle,
    epoch: Epoch,
    under_way: VecDeque<Entry>,
    owed: VecDeque<Decided>,
    owed_under_way: bool,
    retry_at: Option<Timestamp>,
}

impl Ledger {
    pub(crate) fn new(store: StoreHandle) -> Self {
        Self {
            store,
            epoch: Epoch(1),
            under_way: VecDeque::new(),
            owed: VecDeque::new(),
            owed_under_way: false,
            retry_at: None,
        }
    }

    /// Whether more results may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.under_way.len() < RESULTS_MAX
    }

    /// Whether nothing is under way or owed.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.owed.is_empty()
    }

    /// When [`Ledger::retry`] should be called.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// Hands in results first, and then the decisions that they caused, in one commit. The caller
    /// has seen that there is room, unless there are no results.
    pub(crate) fn record(&mut self, ack: Option<Ack>, writes: Vec<Write>, decided: Vec<Decided>) {
        let mut entry = Entry { answer: None, ack, decided: Vec::new(), owed: 0 };
        let mut writes = writes;
        if self.owed.is_empty() && self.under_way.len() < ORDERED_MAX - 1 {
            writes.extend(decided.iter().cloned().map(Write::from));
            entry.decided = decided;
        } else {
            for decided in decided {
                self.owe(decided);
            }
        }
        if !writes.is_empty() {
            entry.answer = Some(self.store.submit(self.epoch, writes, false));
        }
        if entry.answer.is_some() || entry.ack.is_some() {
            self.under_way.push_back(entry);
        }
        self.pay();
    }

    /// Tries again to commit what is owed.
    pub(crate) fn retry(&mut self, now: Timestamp) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.pay();
    }

    fn pay(&mut self) {
        let room = self.under_way.len() < ORDERED_MAX;
        if self.owed.is_empty() || self.owed_under_way || self.retry_at.is_some() || !room {
            return;
        }
        let writes = self.owed.iter().cloned().map(Write::from).collect();
        self.under_way.push_back(Entry {
            answer: Some(self.store.submit(self.epoch, writes, true)),
            ack: None,
            decided: Vec::new(),
            owed: self.owed.len(),
        });
        self.owed_under_way = true;
    }

    /// Returns when the oldest commit under way has been answered; never while there is none.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub(crate) async fn next(&mut self, clock: quorate_runtime::Clock) -> Settled {
        let committed = match self.under_way.front_mut() {
            None => std::future::pending().await,
            Some(entry) => match &mut entry.answer {
                None => Ok(()),
                Some(answer) => answer.await.unwrap_or_else(|_| Err(ended())),
            },
        };
        match committed {
            Ok(()) => self.durable(),
            Err(error) => self.failed(error, clock.now()),
        }
    }

    fn durable(&mut self) -> Settled {
        let (mut ack, mut decided, mut wrote) = (None, Vec::new(), false);
        if let Some(entry) = self.under_way.pop_front() {
            ack = entry.ack;
            wrote = entry.answer.is_some();
            decided = entry.decided;
            if entry.owed > 0 {
                decided.extend(self.owed.drain(..entry.owed));
                self.owed_under_way = false;
            }
        }
        self.pay();
        Settled::Durable { ack, decided, wrote }
    }

    fn failed(&mut self, error: Arc<StoreError>, now: Timestamp) -> Settled {
        self.epoch.0 += 1;
        self.retry_at = Some(now + RETRY);
        self.owed_under_way = false;
        let mut acks = Vec::new();
        let newer = std::mem::take(&mut self.owed);
        let mut lost = Vec::new();
        for entry in self.under_way.drain(..) {
            acks.extend(entry.ack);
            lost.extend(entry.decided);
        }
        // What was owed before is older than anything that was handed in with results since, as
        // nothing is while something is owed; what came to be owed after is newer. Only one of the
        // two can be there beside `lost`, and it is newer.
        for decided in lost.into_iter().chain(newer) {
            self.owe(decided);
        }
        Settled::Failed { acks, error }
    }

    /// Notes a decision to be committed later. It takes the place of an earlier one of the same
    /// check if it tells of the same incident; the messages of both are kept.
    fn owe(&mut self, decided: Decided) {
        let mut next = match decided {
            Decided::Transition(next) => next,
            Decided::Notices(_) => return self.owed.push_back(decided),
            Decided::Learned { .. } => return,
        };
        let skip = if self.owed_under_way {
            self.under_way.iter().map(|entry| entry.owed).sum()
        } else {
            0
        };
        let earlier = self.owed.iter_mut().skip(skip).rev().find_map(|owed| {
            let Decided::Transition(owed) = owed else {
                return None;
            };
            (owed.check == next.check).then_some(owed)
        });
        let incident = |transition: &Transition| transition.incident.as_ref().map(|found| found.id);
        match earlier {
            Some(owed)
                if incident(owed).is_none()
                    || incident(&next).is_none()
                    || incident(owed) == incident(&next) =>
            {
                let mut deliveries = std::mem::take(&mut owed.deliveries);
                deliveries.append(&mut next.deliveries);
                next.deliveries = deliveries;
                next.incident = next.incident.take().or_else(|| owed.incident.take());
                *owed = next;
            }
            _ => self.owed.push_back(Decided::Transition(next)),
        }
    }
}

impl From<Decided> for Write {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Transition(transition) => Self::Transition(transition),
            Decided::Notices(entries) => Self::Deliveries(entries),
            Decided::Learned { check, memory } => Self::Remember { check, memory },
        }
    }
}

/// How far the results of one run of an agent have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Stored: acknowledged up to here.
    pub(crate) stored: u64,
    /// Handed to the store.
    pub(crate) queued: u64,
    /// Known to the engine.
    pub(crate) applied: u64,
    /// The last stream in which a batch was refused: nothing more of it is stored.
    pub(crate) refused: Option<SessionId>,
}

/// The marks of all runs of all agents.
pub(crate) type Marks = BTreeMap<(AgentId, BootId), Mark>;

#[cfg(test)]
mod tests;
