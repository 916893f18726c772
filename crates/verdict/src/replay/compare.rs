//! What was said against what would have been said.
//!
//! Incidents of one check are the same if they overlap in time; each is paired once, in order. Of a
//! pair, a kind of message that both have is the same message, earlier or later; what only one of
//! them has is a difference. An incident without a counterpart differs with all that it said.
//!
//! Whether an outage begins an incident or opens the last one again can hang on a millisecond. What
//! is left over on both sides within a minute of each other is therefore one message too: it wakes
//! the same person once.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{AlertKind, CheckId, IncidentId, Timestamp};

/// Messages of one kind that are no further apart are the same to whoever gets them.
const APART_MAX: Duration = Duration::from_secs(60);

/// A message to the receivers of a check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// When it was decided.
    pub at: Timestamp,
    /// About which check.
    pub check: CheckId,
    /// What it says.
    pub kind: AlertKind,
    /// About which incident.
    pub incident: IncidentId,
}

/// A message on one side or on both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// About which check.
    pub check: CheckId,
    /// What it says.
    pub kind: AlertKind,
    /// Where it is, and when it was decided.
    pub change: Change,
}

/// On which side a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was sent and would be: when, and when instead.
    Same(Timestamp, Timestamp),
    /// It was sent, and would not be.
    Gone(Timestamp),
    /// It was not sent, and would be.
    New(Timestamp),
}

impl Change {
    /// When the message came or would have come: in the order of this differences are listed.
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Same(_, at) | Self::Gone(at) | Self::New(at) => at,
        }
    }

    /// Whether the message is on both sides.
    pub const fn is_same(self) -> bool {
        matches!(self, Self::Same(..))
    }
}

/// All that was said about one incident.
#[derive(Debug)]
struct Story<'a> {
    from: Timestamp,
    /// `None` while it is open.
    to: Option<Timestamp>,
    messages: Vec<&'a Message>,
}

impl Story<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        let ends_before = |one: &Self, other: &Self| one.to.is_some_and(|to| to < other.from);
        !ends_before(self, other) && !ends_before(other, self)
    }
}

/// The stories of each check, in order.
fn stories(messages: &[Message]) -> BTreeMap<&CheckId, Vec<Story<'_>>> {
    let mut by_incident: BTreeMap<(&CheckId, IncidentId), Vec<&Message>> = BTreeMap::new();
    for message in messages {
        by_incident.entry((&message.check, message.incident)).or_default().push(message);
    }
    let mut by_check: BTreeMap<&CheckId, Vec<Story<'_>>> = BTreeMap::new();
    for ((check, _), mut messages) in by_incident {
        messages.sort();
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            continue;
        };
        let to = (last.kind == AlertKind::Resolved).then_some(last.at);
        by_check.entry(check).or_default().push(Story { from: first.at, to, messages });
    }
    for stories in by_check.values_mut() {
        stories.sort_by_key(|story| story.from);
    }
    by_check
}

/// Compares what was said with what would have been, in the order of time. A message to several
/// receivers is to be given once.
pub fn compare(did: &[Message], would: &[Message]) -> Vec<Difference> {
    let (mut did, mut would) = (stories(did), stories(would));
    let checks: Vec<CheckId> = did.keys().chain(would.keys()).map(|id| (*id).clone()).collect();
    let mut differences = Vec::new();
    for check in checks {
        let before = did.remove(&check).unwrap_or_default();
        let mut after = would.remove(&check).unwrap_or_default();
        for story in &before {
            let place = after.iter().position(|other| story.overlaps(other));
            let other = place.map(|place| after.remove(place));
            pair(story, other.as_ref(), &mut differences);
        }
        for story in &after {
            differences.extend(story.messages.iter().map(|new| of(new, Change::New(new.at))));
        }
    }
    reunite(&mut differences);
    differences.sort_by(|one, other| {
        (one.change.at(), &one.check, one.kind).cmp(&(other.change.at(), &other.check, other.kind))
    });
    differences
}

/// Makes one of two messages that are left over on either side and lie close together.
fn reunite(differences: &mut Vec<Difference>) {
    let mut place = 0;
    while let Some(Difference { check, kind, change }) = differences.get(place) {
        let counterpart = differences.iter().enumerate().find_map(|(other, it)| {
            let (Change::Gone(old), Change::New(new)) = (*change, it.change) else {
                return None;
            };
            let is_close = old.max(new) - old.min(new) <= APART_MAX;
            (it.check == *check && it.kind == *kind && is_close)
                .then_some((other, Change::Same(old, new)))
        });
        if let Some((other, same)) = counterpart {
            differences[place].change = same;
            differences.remove(other);
            place -= usize::from(other < place);
        }
        place += 1;
    }
}

fn of(message: &Message, change: Change) -> Difference {
    Difference { check: message.check.clone(), kind: message.kind, change }
}

/// Compares two stories kind by kind, the first of a kind with the first, and so on.
fn pair(did: &Story<'_>, would: Option<&Story<'_>>, differences: &mut Vec<Difference>) {
    let mut rest: Vec<&Message> = would.map(|story| story.messages.clone()).unwrap_or_default();
    for old in &did.messages {
        match rest.iter().position(|new| new.kind == old.kind) {
            Some(place) => {
                let new = rest.remove(place);
                differences.push(of(new, Change::Same(old.at, new.at)));
            }
            None => differences.push(of(old, Change::Gone(old.at))),
        }
    }
    differences.extend(rest.into_iter().map(|new| of(new, Change::New(new.at))));
}

#[cfg(test)]
mod tests {
    use quorate_model::AlertKind::{Notice, Page, Resolved};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn said(check: &str, incident: u128, messages: &[(i64, AlertKind)]) -> Vec<Message> {
        let message = |(second, kind): &(i64, AlertKind)| Message {
            at: at(*second),
            check: check.parse().unwrap(),
            kind: *kind,
            incident: IncidentId(incident),
        };
        messages.iter().map(message).collect()
    }

    fn changes(did: &[Message], would: &[Message]) -> Vec<(AlertKind, Change)> {
        compare(did, would).into_iter().map(|it| (it.kind, it.change)).collect()
    }

    #[test]
    fn the_same_outage_told_later_is_the_same() {
        let did = said("shop", 1, &[(100, Page), (400, Resolved)]);
        let would = said("shop", 2, &[(300, Page), (420, Resolved)]);
        let same = |did, would| Change::Same(at(did), at(would));
        assert_eq!(changes(&did, &would), [(Page, same(100, 300)), (Resolved, same(400, 420))]);
        assert!(compare(&did, &did).iter().all(|it| it.change.is_same()));
    }

    #[test]
    fn another_outage_and_another_check_are_not_the_same() {
        let did = said("shop", 1, &[(100, Page), (200, Resolved)]);
        let later = said("shop", 2, &[(201, Page)]);
        assert_eq!(
            changes(&did, &later),
            [
                (Page, Change::Gone(at(100))),
                (Resolved, Change::Gone(at(200))),
                (Page, Change::New(at(201))),
            ]
        );
        let other = said("mail", 1, &[(100, Page), (200, Resolved)]);
        assert_eq!(changes(&did, &other).len(), 4);
    }

    #[test]
    fn a_new_incident_in_one_and_the_last_one_opened_again_in_the_other_are_the_same_page() {
        let did = said("shop", 1, &[(100, Page), (200, Resolved), (230, Page)]);
        let mut would = said("shop", 2, &[(100, Page), (200, Resolved)]);
        would.extend(said("shop", 3, &[(231, Page)]));
        assert!(compare(&did, &would).iter().all(|it| it.change.is_same()));
        assert!(compare(&would, &did).iter().all(|it| it.change.is_same()));
        assert_eq!(compare(&did, &would).len(), 3);
    }

    #[test]
    fn a_page_in_the_place_of_a_notice_is_a_difference() {
        let did = said("shop", 1, &[(100, Notice), (400, Resolved)]);
        let would = said("shop", 2, &[(90, Page), (400, Resolved)]);
        assert_eq!(
            changes(&did, &would),
            [
                (Page, Change::New(at(90))),
                (Notice, Change::Gone(at(100))),
                (Resolved, Change::Same(at(400), at(400))),
            ]
        );
    }

    #[test]
    fn one_long_outage_stands_for_one_of_several_short_ones() {
        let did = said("shop", 1, &[(100, Page), (900, Resolved)]);
        let mut would = said("shop", 2, &[(100, Page), (200, Resolved)]);
        would.extend(said("shop", 3, &[(500, Page), (600, Resolved)]));
        let new = changes(&did, &would).into_iter().filter(|(_, change)| !change.is_same());
        assert_eq!(
            new.collect::<Vec<_>>(),
            [(Page, Change::New(at(500))), (Resolved, Change::New(at(600))),]
        );
    }
}
