//! Delivers what has been decided, again and again until it is taken or given up.
//!
//! A message is sent only after it is in the store, so that a crash never loses one; a crash
//! between sending and noting it sends it twice, with the same id. Messages about one incident
//! reach a receiver in order. Each receiver has its own messages under way, so a slow one delays
//! nobody else, and its own share of the memory, so a dead one with a long queue keeps nobody else
//! waiting. Messages that were held for each other go out as one.

mod lanes;
mod retry;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use quorate_model::{Delivery, NoticeKind, OperatorNotice, ReceiverId, Timestamp};
use quorate_notify::{Message, SendError};
use quorate_runtime::Clock;
use quorate_store::{OutboxEntry, Write};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::StoreHandle;
use crate::receivers::Receivers;
use lanes::{Item, Lanes, Parcel, SHARE_MAX};
use retry::Step;

/// Handovers that may wait. Entries beyond are found in the store later; a direct notice beyond is
/// lost.
const HANDOVERS_MAX: usize = 1_024;

/// The longest that one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);

/// How long to wait after the store could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// How far ahead deliveries are read from the store: beyond the last possible attempt.
const HORIZON: Duration = Duration::from_secs(80 * 3_600);

#[derive(Debug)]
enum Handover {
    /// Committed already.
    Stored(Vec<OutboxEntry>),
    /// To the operators, past the store.
    Direct(OperatorNotice),
}

/// The way into the outbox. Clones lead to the same one.
#[derive(Debug, Clone)]
pub(crate) struct OutboxHandle {
    handovers: mpsc::Sender<Handover>,
    missed: Arc<AtomicBool>,
}

impl OutboxHandle {
    /// Hands over entries that have just been committed.
    pub(crate) fn offer(&self, entries: Vec<OutboxEntry>) {
        if !entries.is_empty() && self.handovers.try_send(Handover::Stored(entries)).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }

    /// Tells the operators without the store: for when the store itself is the trouble.
    pub(crate) fn tell_operators(&self, notice: OperatorNotice) {
        if self.handovers.try_send(Handover::Direct(notice)).is_err() {
            tracing::error!("an operator notice is lost: the outbox has no room");
        }
    }
}

/// The entries that tell `receivers` of a notice.
pub(crate) fn notice_entries(
    receivers: &[ReceiverId],
    notice: &OperatorNotice,
) -> Vec<OutboxEntry> {
    let delivery = Delivery::Operator(notice.clone());
    let entry = |receiver: &ReceiverId| entry(receiver.clone(), delivery.clone(), notice.at);
    receivers.iter().map(entry).collect()
}

/// An entry that is due at `due`.
pub(crate) fn entry(receiver: ReceiverId, delivery: Delivery, due: Timestamp) -> OutboxEntry {
    OutboxEntry { key: delivery.key(&receiver), receiver, delivery, attempts: 0, next_attempt: due }
}

/// The id of a message: the same for each attempt, fit for a header.
fn message_id(key: &str) -> String {
    let hash = digest(&SHA256, key.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_ref()[..16]);
    let hex = format!("{:032x}", u128::from_be_bytes(first));
    format!("msg_{hex}")
}

/// What a task of the outbox comes back with.
enum Done {
    Sent(Box<Parcel>, Step),
    /// With whether the store has them.
    Noticed(Vec<OutboxEntry>, bool),
}

/// Delivers.
#[derive(Debug)]
pub(crate) struct Outbox {
    store: StoreHandle,
    receivers: Arc<ArcSwap<Receivers>>,
    clock: Clock,
    lanes: Lanes,
    handovers: mpsc::Receiver<Handover>,
    missed: Arc<AtomicBool>,
    read_at: Timestamp,
    work: JoinSet<Done>,
}

impl Outbox {
    pub(crate) fn new(
        store: StoreHandle,
        receivers: Arc<ArcSwap<Receivers>>,
        clock: Clock,
    ) -> (OutboxHandle, Self) {
        let (sender, handovers) = mpsc::channel(HANDOVERS_MAX);
        // What was left undone before a restart is in the store.
        let missed = Arc::new(AtomicBool::new(true));
        let handle = OutboxHandle { handovers: sender, missed: Arc::clone(&missed) };
        let outbox = Self {
            store,
            receivers,
            clock,
            lanes: Lanes::default(),
            handovers,
            missed,
            read_at: Timestamp::EPOCH,
            work: JoinSet::new(),
        };
        (handle, outbox)
    }

    /// Delivers until told to stop; then what is under way is broken off, to be sent again after
    /// the next start.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            self.read_store().await;
            self.send_due();
            let wake = self.wake_at();
            let clock = self.clock;
            tokio::select! {
                () = stop.cancelled() => return,
                handover = self.handovers.recv() => match handover {
                    // What only the store has comes first, and this comes from there too.
                    Some(Handover::Stored(_)) if self.missed.load(Ordering::Relaxed) => {}
                    Some(handover) => self.take(handover),
                    None => return,
                },
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(error) => tracing::error!(%error, "a delivery was broken off"),
                },
                () = sleep_until(clock, wake) => {}
            }
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let read = self.must_read().then_some(self.read_at);
        [read, self.lanes.next_due()].into_iter().flatten().min()
    }

    fn must_read(&self) -> bool {
        self.missed.load(Ordering::Relaxed) || self.lanes.hungry().next().is_some()
    }

    /// Reads what waits in the store, for each receiver of which some may not be in memory.
    ///
    /// Nothing else happens meanwhile, so no entry can be done with between its being read and its
    /// being taken in: it would be sent twice.
    async fn read_store(&mut self) {
        let now = self.clock.now();
        if now < self.read_at {
            return;
        }
        let wanted = if self.missed.swap(false, Ordering::Relaxed) {
            vec![None]
        } else {
            self.lanes.hungry().cloned().map(Some).collect()
        };
        for to in wanted {
            let asked = to.clone();
            let due =
                self.store.read(move |store| store.due(now + HORIZON, asked.as_ref(), SHARE_MAX));
            match due.await {
                Ok(entries) => self.lanes.read(to.as_ref(), entries),
                Err(error) => {
                    tracing::warn!(%error, "cannot read what waits to be delivered");
                    if to.is_none() {
                        self.missed.store(true, Ordering::Relaxed);
                    }
                    self.read_at = now + READ_AGAIN;
                    return;
                }
            }
        }
    }

    fn take(&mut self, handover: Handover) {
        match handover {
            Handover::Stored(entries) => {
                for entry in entries {
                    self.lanes.add_stored(entry);
                }
            }
            Handover::Direct(notice) => {
                let operators = &self.receivers.load().operators;
                for entry in notice_entries(operators, &notice) {
                    self.lanes.add(Item { entry, stored: false, alone: false });
                }
            }
        }
    }

    fn send_due(&mut self) {
        let now = self.clock.now();
        while let Some(mut parcel) = self.lanes.take_due(now) {
            let receivers = self.receivers.load();
            let notifier = receivers.notifiers.get(parcel.receiver()).cloned();
            let (clock, store) = (self.clock, self.store.clone());
            self.work.spawn(async move {
                let sent = match notifier {
                    Some(notifier) => {
                        let message = Message {
                            id: message_id(&parcel.key()),
                            // Receivers judge its age by their clocks. Ours may be off by now: it
                            // stands still while the machine is suspended, and follows no step.
                            attempt_at: Clock::start().now(),
                            content: parcel.content(),
                        };
                        let attempt = tokio::time::timeout(ATTEMPT_MAX, notifier.send(&message));
                        attempt.await.unwrap_or_else(|_| Err(retry::too_slow()))
                    }
                    None => Err(retry::gone()),
                };
                let mut step = retry::step(&parcel.first.entry, &sent, clock.now());
                if parcel.is_group() && retry::parts(&parcel.first.entry, &step) {
                    // One of them may be what is refused, or that they are several.
                    parcel.part();
                    step = step.again(clock.now());
                }
                note(&store, &parcel, &step, clock.now()).await;
                Done::Sent(Box::new(parcel), step)
            });
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Sent(parcel, step) => {
                let receiver = parcel.receiver().clone();
                report(&parcel, &step);
                let change = self.lanes.finish(*parcel, &step);
                if let Some(failing) = change {
                    self.tell_of_receiver(&receiver, failing, step.error.as_ref());
                }
            }
            Done::Noticed(entries, true) => self.take(Handover::Stored(entries)),
            // The store has failed; they are not to be lost for it.
            Done::Noticed(entries, false) => {
                for entry in entries {
                    self.lanes.add(Item { entry, stored: false, alone: false });
                }
            }
        }
    }

    /// Tells the other operators that a receiver fails, or works again.
    fn tell_of_receiver(
        &mut self,
        receiver: &ReceiverId,
        failing: bool,
        error: Option<&SendError>,
    ) {
        let others: Vec<ReceiverId> = self
            .receivers
            .load()
            .operators
            .iter()
            .filter(|operator| *operator != receiver)
            .cloned()
            .collect();
        let message = if failing {
            let error = error.map_or("", |error| error.message.as_str());
            format!(
                "receiver {receiver} does not take its messages ({error}); check its options and \
                 the service behind it"
            )
        } else {
            format!("receiver {receiver} takes its messages again")
        };
        let notice = OperatorNotice {
            kind: NoticeKind::NotifierFailing,
            at: self.clock.now(),
            resolved: !failing,
            region: None,
            agent: None,
            check: None,
            message,
        };
        let entries = notice_entries(&others, &notice);
        if entries.is_empty() {
            return;
        }
        let store = self.store.clone();
        self.work.spawn(async move {
            let written = store.commit(vec![Write::Deliveries(entries.clone())]).await;
            Done::Noticed(entries, written.is_ok())
        });
    }
}

async fn sleep_until(clock: Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Writes down what became of an attempt.
async fn note(store: &StoreHandle, parcel: &Parcel, step: &Step, at: Timestamp) {
    let writes: Vec<Write> = parcel
        .items()
        .filter(|item| item.stored)
        .map(|item| Write::Attempted {
            key: item.entry.key.clone(),
            at,
            state: step.state,
            error: step.error.as_ref().map(|error| error.message.clone()),
            next_attempt: step.next_attempt,
        })
        .collect();
    if writes.is_empty() {
        return;
    }
    if let Err(error) = store.commit(writes).await {
        tracing::warn!(%error, "cannot note an attempt; after a restart it is made again");
    }
}

fn report(parcel: &Parcel, step: &Step) {
    let (receiver, attempts) = (parcel.receiver(), parcel.first.entry.attempts + 1);
    let event = parcel.first.entry.delivery.event_type();
    let messages = parcel.items().count();
    match (&step.error, step.next_attempt) {
        (None, _) => tracing::info!(%receiver, event, messages, attempts, "delivered"),
        (Some(error), Some(next)) => {
            tracing::warn!(%receiver, event, messages, attempts, %error, %next, "delivery failed");
        }
        (Some(error), None) => {
            tracing::error!(%receiver, event, messages, attempts, %error, "delivery given up");
        }
    }
}

#[cfg(test)]
mod tests;
