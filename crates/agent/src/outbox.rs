//! What waits to be sent, and in which order it goes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_model::{CheckId, Health, MeasuredResult, Phase, Revision};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;
use tokio::sync::Notify;
use wire::connect_request::Message;

use crate::spool::Spool;

/// The most suspicions that wait; then the oldest goes, being the least useful.
const SUSPECTS_MAX: usize = 256;
/// The most answers that wait; one more than the commands that can be under way is never needed.
const ANSWERS_MAX: usize = 1_024;

/// Everything between the prober, which fills it and never waits, and the uplink, which empties it.
///
/// Results leave in the order of their numbers, because the coordinator tells duplicates by a
/// watermark; so urgency cannot reorder them. A pressing result makes the batch leave at once.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    spool: Box<dyn Spool>,
    /// The number of the last result.
    sequence: u64,
    /// The last result that must not wait for company.
    pressing: u64,
    suspects: VecDeque<SuspectDraft>,
    /// Answers to messages of one stream, of no use on another.
    answers: VecDeque<(u64, Message)>,
}

/// A suspicion whose age is not known before it is sent.
#[derive(Debug, Clone)]
pub struct SuspectDraft {
    /// Which check.
    pub check: CheckId,
    /// The revision that is being probed.
    pub revision: Revision,
    /// The phase that the probe has reached.
    pub phase: Phase,
    /// Start of the probe on the monotonic clock of the boot.
    pub started_at: Duration,
    /// What the agent thinks of itself.
    pub health: Health,
}

impl Outbox {
    /// An empty one over a spool.
    pub fn new(spool: Box<dyn Spool>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                spool,
                sequence: 0,
                pressing: 0,
                suspects: VecDeque::new(),
                answers: VecDeque::new(),
            }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a result and keeps it.
    pub fn push_result(&self, mut result: MeasuredResult) {
        let mut inner = self.lock();
        inner.sequence += 1;
        result.sequence = inner.sequence;
        if result.round.is_some() || !result.observation.outcome.is_success() {
            inner.pressing = inner.sequence;
        }
        inner.spool.append(&convert::measured_to_wire(&result));
        drop(inner);
        self.changed.notify_one();
    }

    /// Keeps a suspicion until it is sent or the next stream begins.
    pub fn push_suspect(&self, suspect: SuspectDraft) {
        let mut inner = self.lock();
        if inner.suspects.len() >= SUSPECTS_MAX {
            inner.suspects.pop_front();
        }
        inner.suspects.push_back(suspect);
        drop(inner);
        self.changed.notify_one();
    }

    /// Keeps an answer for the stream that asked.
    pub fn push_answer(&self, session: u64, answer: Message) {
        let mut inner = self.lock();
        if inner.answers.len() >= ANSWERS_MAX {
            inner.answers.pop_front();
        }
        inner.answers.push_back((session, answer));
        drop(inner);
        self.changed.notify_one();
    }

    /// Forgets what only an earlier stream could use.
    pub fn begin_session(&self) {
        let mut inner = self.lock();
        inner.suspects.clear();
        inner.answers.clear();
    }

    /// The next message that goes before any result: suspicions, then answers.
    pub fn next_message(&self, session: u64, now: Duration) -> Option<Message> {
        let mut inner = self.lock();
        if let Some(draft) = inner.suspects.pop_front() {
            return Some(Message::Suspect(wire::Suspect {
                check: draft.check.to_string(),
                revision: draft.revision.0,
                phase: draft.phase.as_str().to_owned(),
                age: Some(convert::duration_to_wire(now.saturating_sub(draft.started_at))),
                health: convert::health_to_wire(draft.health),
            }));
        }
        while let Some((asked, answer)) = inner.answers.pop_front() {
            if asked == session {
                return Some(answer);
            }
        }
        None
    }

    /// Whether [`Outbox::next_message`] has something.
    pub fn has_message(&self) -> bool {
        let inner = self.lock();
        !inner.suspects.is_empty() || !inner.answers.is_empty()
    }

    /// Results with numbers above `sequence`, for one batch.
    pub fn batch_after(&self, sequence: u64, count: usize, bytes: usize) -> Vec<wire::Result> {
        self.lock().spool.unacked_after(sequence, count, bytes)
    }

    /// What waits above `sequence`: nothing, something, or something that must go at once.
    pub fn waiting_after(&self, sequence: u64, full: u64) -> Waiting {
        let inner = self.lock();
        if !inner.spool.has_after(sequence) {
            Waiting::Nothing
        } else if inner.pressing > sequence || inner.sequence.saturating_sub(sequence) >= full {
            Waiting::Pressing
        } else {
            Waiting::Patient
        }
    }

    /// Forgets the results up to and with `sequence`; never one that was not made yet.
    pub fn ack_through(&self, sequence: u64) {
        self.lock().spool.ack_through(sequence);
    }

    /// The number of the last result.
    pub fn last(&self) -> u64 {
        self.lock().sequence
    }

    /// How many results wait for their ack, and how many were dropped.
    pub fn counts(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.spool.unacked(), inner.spool.dropped())
    }

    /// Returns when something was put in since the last call.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing.
    Nothing,
    /// Results that may wait for company.
    Patient,
    /// A confirmation, a failure, or a full batch.
    Pressing,
}
