//! Deliveries in memory: which one may go next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_model::{Alert, AlertKind, Delivery, ReceiverId, Timestamp};
use quorate_notify::{Content, Retry};
use quorate_store::{DeliveryState, OutboxEntry};

use super::retry::Step;

/// Stored deliveries kept in memory for one receiver; more wait in the store.
pub(super) const SHARE_MAX: usize = 2_000;

/// Messages under way to one receiver at a time.
const IN_FLIGHT_MAX: usize = 8;

/// Messages in one: so many fit into a body of 20 kB whatever they say.
const GROUP_MAX: usize = 24;

/// Failed attempts in a row after which a receiver counts as failing.
const FAILING_AFTER: u32 = 3;

/// A delivery in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) entry: OutboxEntry,
    /// Whether the store knows it.
    pub(super) stored: bool,
    /// Whether it goes out by itself, because sending it with others failed.
    pub(super) alone: bool,
}

/// Deliveries to one receiver that go out as one message.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) first: Item,
    others: Vec<Item>,
}

impl Parcel {
    pub(super) fn receiver(&self) -> &ReceiverId {
        &self.first.entry.receiver
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether it is several messages in one.
    pub(super) fn is_group(&self) -> bool {
        !self.others.is_empty()
    }

    /// Has each of them go out by itself from now on.
    pub(super) fn part(&mut self) {
        self.first.alone = true;
        self.others.iter_mut().for_each(|item| item.alone = true);
    }

    /// What tells it from others, the same for each attempt.
    pub(super) fn key(&self) -> String {
        let keys: Vec<&str> = self.items().map(|item| item.entry.key.as_str()).collect();
        keys.join(" ")
    }

    /// What is said.
    pub(super) fn content(&self) -> Content {
        if self.others.is_empty() {
            return Content::Single(self.first.entry.delivery.clone());
        }
        let alerts = self.items().filter_map(|item| alert(&item.entry.delivery));
        Content::Group(alerts.cloned().collect())
    }
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
    /// Of all in its lanes, those under way included.
    keys: BTreeSet<String>,
    /// Whether the store has some that are not here. Later ones wait there too: messages about the
    /// same keep their order.
    missed: bool,
    in_flight: usize,
    failed_in_a_row: u32,
    failing: bool,
}

/// All deliveries in memory, by receiver and subject.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lines: BTreeMap<ReceiverId, Line>,
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

fn alert(delivery: &Delivery) -> Option<&Alert> {
    match delivery {
        Delivery::Alert(alert) => Some(alert),
        Delivery::Operator(_) => None,
    }
}

/// What was held for what: equal for messages that go out as one.
fn burst(item: &Item) -> Option<(Timestamp, AlertKind, Timestamp)> {
    if item.alone {
        return None;
    }
    let alert = alert(&item.entry.delivery)?;
    Some((alert.held_until?, alert.kind, item.entry.next_attempt))
}

impl Lanes {
    /// The receivers for which there is room again, while some of theirs wait in the store.
    pub(super) fn hungry(&self) -> impl Iterator<Item = &ReceiverId> {
        let lines = self.lines.iter();
        lines.filter(|(_, line)| line.missed && line.keys.len() < SHARE_MAX / 2).map(|(id, _)| id)
    }

    /// Takes one in, unless it is there already.
    pub(super) fn add(&mut self, item: Item) {
        self.lines.entry(item.entry.receiver.clone()).or_default().add(item);
    }

    /// Takes in one that the store has, or leaves it there until there is room for it and nothing
    /// older is left there.
    pub(super) fn add_stored(&mut self, entry: OutboxEntry) {
        self.lines.entry(entry.receiver.clone()).or_default().add_stored(entry);
    }

    /// Takes in what the store has for a receiver, or for each (`None`): the oldest, up to a share
    /// for each.
    pub(super) fn read(&mut self, to: Option<&ReceiverId>, entries: Vec<OutboxEntry>) {
        let read = |id: &ReceiverId| to.is_none_or(|to| to == id);
        self.lines.iter_mut().filter(|(id, _)| read(id)).for_each(|(_, line)| line.missed = false);
        let mut counts: BTreeMap<ReceiverId, usize> = BTreeMap::new();
        for entry in entries {
            *counts.entry(entry.receiver.clone()).or_default() += 1;
            self.add_stored(entry);
        }
        for (receiver, _) in counts.into_iter().filter(|(_, count)| *count >= SHARE_MAX) {
            self.lines.entry(receiver).or_default().missed = true;
        }
    }

    /// Hands out what may be sent at `now` as one message.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Parcel> {
        for line in self.lines.values_mut() {
            if line.in_flight >= IN_FLIGHT_MAX {
                continue;
            }
            let mut due = line.lanes.values_mut().filter(|lane| lane.is_due(now));
            if let Some(first) = due.next().and_then(Lane::begin) {
                let burst_of_first = burst(&first);
                let others = due
                    .filter(|_| burst_of_first.is_some())
                    .filter(|lane| lane.waiting.front().and_then(burst) == burst_of_first)
                    .take(GROUP_MAX - 1)
                    .filter_map(Lane::begin)
                    .collect();
                line.in_flight += 1;
                return Some(Parcel { first, others });
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

    /// Takes back what was sent, after an attempt. Returns whether its receiver fails from now on
    /// (`true`) or works again (`false`), if that has changed.
    pub(super) fn finish(&mut self, parcel: Parcel, step: &Step) -> Option<bool> {
        let is_group = parcel.is_group();
        let receiver = self.lines.entry(parcel.receiver().clone()).or_default();
        receiver.in_flight = receiver.in_flight.saturating_sub(1);
        for mut item in std::iter::once(parcel.first).chain(parcel.others) {
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
                    receiver.keys.remove(&item.entry.key);
                }
            }
            if lane.waiting.is_empty() {
                receiver.lanes.remove(&subject);
            }
        }
        // What several in one are refused for may be one of them, or their number.
        if is_group && step.state != DeliveryState::Sent { None } else { receiver.judge(step) }
    }
}

impl Lane {
    fn is_due(&self, now: Timestamp) -> bool {
        let head = self.waiting.front();
        !self.sending && head.is_some_and(|item| item.entry.next_attempt <= now)
    }

    /// Takes out what is sent next.
    fn begin(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front();
        self.sending = item.is_some();
        item
    }
}

impl Line {
    fn add(&mut self, item: Item) {
        if self.keys.insert(item.entry.key.clone()) {
            let of_subject = self.lanes.entry(subject(&item.entry.delivery)).or_default();
            of_subject.waiting.push_back(item);
        }
    }

    fn add_stored(&mut self, entry: OutboxEntry) {
        if self.keys.contains(&entry.key) {
            return;
        }
        self.missed |= self.keys.len() >= SHARE_MAX;
        if !self.missed {
            self.add(Item { entry, stored: true, alone: false });
        }
    }

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
