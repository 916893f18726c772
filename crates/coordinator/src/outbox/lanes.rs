//! Deliveries in memory: which one may go next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_model::{Delivery, ReceiverId, Timestamp};
use quorate_notify::Retry;
use quorate_store::{DeliveryState, OutboxEntry};

use super::retry::Step;

/// Messages under way to one receiver at a time.
const IN_FLIGHT_MAX: usize = 8;

/// Failed attempts in a row after which a receiver counts as failing.
const FAILING_AFTER: u32 = 3;

/// A delivery in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) entry: OutboxEntry,
    /// Whether the store knows it.
    pub(super) stored: bool,
}

/// What must reach a receiver in order.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Item>,
    sending: bool,
}

#[derive(Debug, Default)]
struct Line {
    lanes: BTreeMap<String, Lane>,
    in_flight: usize,
    failed_in_a_row: u32,
    failing: bool,
}

/// All deliveries in memory, by receiver and subject.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lines: BTreeMap<ReceiverId, Line>,
    keys: BTreeSet<String>,
}

/// What a message is about: messages about the same keep their order.
fn subject(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Alert(alert) => alert.incident.id.to_string(),
        Delivery::Operator(notice) => {
            format!("{} {:?} {:?} {:?}", notice.kind, notice.region, notice.agent, notice.check)
        }
    }
}

impl Lanes {
    /// How many there are, those under way included.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes one in, unless it is there already.
    pub(super) fn add(&mut self, item: Item) {
        if !self.keys.insert(item.entry.key.clone()) {
            return;
        }
        let line = self.lines.entry(item.entry.receiver.clone()).or_default();
        let of_subject = line.lanes.entry(subject(&item.entry.delivery)).or_default();
        of_subject.waiting.push_back(item);
    }

    /// Hands out one that may be sent at `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Item> {
        for line in self.lines.values_mut() {
            if line.in_flight >= IN_FLIGHT_MAX {
                continue;
            }
            let lane = line.lanes.values_mut().find(|lane| {
                let head = lane.waiting.front();
                !lane.sending && head.is_some_and(|item| item.entry.next_attempt <= now)
            });
            if let Some(lane) = lane {
                lane.sending = true;
                line.in_flight += 1;
                return lane.waiting.pop_front();
            }
        }
        None
    }

    /// When the next one may be sent that waits for nothing but the time.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let open = self.lines.values().filter(|line| line.in_flight < IN_FLIGHT_MAX);
        open.flat_map(|line| line.lanes.values())
            .filter(|lane| !lane.sending)
            .filter_map(|lane| Some(lane.waiting.front()?.entry.next_attempt))
            .min()
    }

    /// Takes one back after an attempt. Returns whether its receiver fails from now on (`true`) or
    /// works again (`false`), if that has changed.
    pub(super) fn finish(&mut self, mut item: Item, step: &Step) -> Option<bool> {
        let receiver = self.lines.entry(item.entry.receiver.clone()).or_default();
        receiver.in_flight = receiver.in_flight.saturating_sub(1);
        let subject = subject(&item.entry.delivery);
        let lane = receiver.lanes.entry(subject.clone()).or_default();
        lane.sending = false;
        match step.next_attempt {
            Some(next) => {
                item.entry.attempts += 1;
                item.entry.next_attempt = next;
                lane.waiting.push_front(item);
            }
            None => {
                self.keys.remove(&item.entry.key);
            }
        }
        if lane.waiting.is_empty() {
            receiver.lanes.remove(&subject);
        }
        receiver.judge(step)
    }
}

impl Line {
    fn judge(&mut self, step: &Step) -> Option<bool> {
        if step.state == DeliveryState::Sent {
            self.failed_in_a_row = 0;
            return std::mem::take(&mut self.failing).then_some(false);
        }
        self.failed_in_a_row += 1;
        let hopeless = step.error.as_ref().is_some_and(|error| error.retry == Retry::Never);
        let fails = hopeless || self.failed_in_a_row >= FAILING_AFTER;
        if fails && !self.failing {
            self.failing = true;
            return Some(true);
        }
        None
    }
}
