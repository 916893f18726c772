//! What an agent has been told to do, and what it must be told next: pure.
//!
//! At most one update is under way. Changes that come meanwhile are not queued: the next update is
//! the difference between what the agent has then and what it is to have then.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use quorate_model::{AgentSettings, CheckId, Revision, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;

use crate::assign;
use crate::bus::{Duties, Duty};

/// How long an update may go unanswered.
const ACK_MAX: Duration = Duration::from_secs(30);

/// The size above which no more checks are put into one update; the others follow in the next.
const UPDATE_BYTES: usize = 512 * 1_024;

/// Checks taken away in one update; the others follow in the next.
const REMOVALS_MAX: usize = 4_096;

/// The size reckoned for an entry without a specification.
const ENTRY_BYTES: usize = 128;

/// The longest explanation of a refusal that is kept, in characters.
const MESSAGE_MAX: usize = 512;

/// What an agent has of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    revision: Revision,
    /// Phase and pace; `None` if it has not been told in this stream.
    when: Option<(Duration, Duration)>,
}

#[derive(Debug)]
struct Refused {
    revision: Revision,
    reason: String,
    message: String,
}

#[derive(Debug)]
struct UnderWay {
    nonce: String,
    since: Timestamp,
    upserts: BTreeMap<CheckId, Revision>,
    removals: Vec<CheckId>,
    whens: BTreeMap<CheckId, (Duration, Duration)>,
    full: bool,
}

/// The configuration of one agent in one stream.
#[derive(Debug)]
pub(super) struct Sync {
    duties: Option<Duties>,
    settings: Option<AgentSettings>,
    held: BTreeMap<CheckId, Held>,
    refused: BTreeMap<CheckId, Refused>,
    under_way: Option<UnderWay>,
    updates: u64,
}

impl Sync {
    /// For an agent that runs these revisions already.
    pub(super) fn new(revisions: BTreeMap<CheckId, Revision>) -> Self {
        let held = revisions.into_iter().map(|(check, revision)| {
            let when = None;
            (check, Held { revision, when })
        });
        Self {
            duties: None,
            settings: None,
            held: held.collect(),
            refused: BTreeMap::new(),
            under_way: None,
            updates: 0,
        }
    }

    /// Notes what the agent is to do; it has been told the settings.
    pub(super) fn welcome(&mut self, duties: Duties) {
        self.settings = Some(duties.settings.clone());
        self.duties = Some(duties);
    }

    /// Notes what the agent is to do from now on.
    pub(super) fn configure(&mut self, duties: Duties) {
        self.duties = Some(duties);
    }

    /// Notes when the agent is to probe some of its checks from now on.
    pub(super) fn assign(&mut self, changes: Vec<Duty>) {
        let Some(duties) = &mut self.duties else {
            return;
        };
        for change in changes {
            if let Some((_, duty)) = duties.checks.get_mut(&change.check) {
                *duty = change;
            }
        }
    }

    /// When the update under way is overdue.
    pub(super) fn overdue_at(&self) -> Option<Timestamp> {
        self.under_way.as_ref().map(|update| update.since + ACK_MAX)
    }

    /// What the agent refuses at present, with the reason word and a sentence.
    pub(super) fn rejections(&self) -> BTreeMap<CheckId, (String, String)> {
        let refused = self.refused.iter();
        refused
            .map(|(check, why)| (check.clone(), (why.reason.clone(), why.message.clone())))
            .collect()
    }

    /// The next update; `None` while one is under way or if the agent has been told everything.
    /// There is always a first one, so that the agent knows.
    pub(super) fn next_update(&mut self, now: Timestamp) -> Option<wire::ConfigUpdate> {
        if self.under_way.is_some() {
            return None;
        }
        let duties = self.duties.as_ref()?;
        let first = self.updates == 0;
        let settings = (self.settings.as_ref() != Some(&duties.settings))
            .then(|| convert::settings_to_wire(&duties.settings));
        let mut update = wire::ConfigUpdate {
            nonce: format!("{}", self.updates + 1),
            config_version: duties.version,
            full: first && self.held.is_empty(),
            settings,
            ..wire::ConfigUpdate::default()
        };
        let mut under_way = UnderWay {
            nonce: update.nonce.clone(),
            since: now,
            upserts: BTreeMap::new(),
            removals: Vec::new(),
            whens: BTreeMap::new(),
            full: update.full,
        };
        let gone = |check: &&CheckId| !duties.checks.contains_key(*check);
        under_way.removals = self.held.keys().filter(gone).take(REMOVALS_MAX).cloned().collect();
        update.removals = under_way.removals.iter().map(ToString::to_string).collect();
        self.fill(duties, now, &mut update, &mut under_way);
        let empty = update.upserts.is_empty()
            && update.removals.is_empty()
            && update.assignments.is_empty()
            && update.settings.is_none();
        if empty && !first {
            return None;
        }
        self.settings = Some(duties.settings.clone());
        self.updates += 1;
        self.under_way = Some(under_way);
        Some(update)
    }

    /// Puts checks and phases that the agent lacks into the update, up to its size.
    fn fill(
        &self,
        duties: &Duties,
        now: Timestamp,
        update: &mut wire::ConfigUpdate,
        under_way: &mut UnderWay,
    ) {
        let mut size = update.removals.len() * ENTRY_BYTES;
        for (check, (spec, duty)) in &duties.checks {
            if size > UPDATE_BYTES {
                break;
            }
            let held = self.held.get(check);
            let has = held.is_some_and(|held| held.revision == spec.revision);
            if !has {
                let refused = self.refused.get(check);
                if refused.is_some_and(|refused| refused.revision == spec.revision) {
                    continue;
                }
                let spec = convert::spec_to_wire(spec);
                size += spec.encoded_len();
                update.upserts.push(spec);
                under_way.upserts.insert(check.clone(), duty.revision);
            }
            let when = (duty.phase, duty.every);
            if !has || held.and_then(|held| held.when) != Some(when) {
                size += ENTRY_BYTES;
                update.assignments.push(wire::Assignment {
                    check: check.to_string(),
                    revision: duty.revision.0,
                    next_in: Some(convert::duration_to_wire(assign::next_in(duty, now))),
                    every: Some(convert::duration_to_wire(duty.every)),
                });
                under_way.whens.insert(check.clone(), when);
            }
        }
    }

    /// Takes in the answer to the update under way. Returns whether it was one.
    pub(super) fn acked(&mut self, ack: wire::ConfigAck) -> bool {
        let Some(update) = self.under_way.take_if(|update| update.nonce == ack.nonce) else {
            return false;
        };
        let mut rejected = BTreeMap::new();
        for rejection in ack.rejections {
            if let Ok(check) = rejection.check.parse::<CheckId>()
                && update.upserts.get(&check) == Some(&Revision(rejection.revision))
            {
                let why = Refused {
                    revision: Revision(rejection.revision),
                    reason: rejection.reason.chars().take(64).collect(),
                    message: rejection.message.chars().take(MESSAGE_MAX).collect(),
                };
                rejected.insert(check, why);
            }
        }
        if update.full {
            self.held.clear();
        }
        for check in &update.removals {
            self.held.remove(check);
        }
        for (check, revision) in &update.upserts {
            if !rejected.contains_key(check) {
                self.refused.remove(check);
                let (revision, when) = (*revision, None);
                self.held.insert(check.clone(), Held { revision, when });
            }
        }
        for (check, when) in update.whens {
            if let Some(held) = self.held.get_mut(&check)
                && !rejected.contains_key(&check)
            {
                held.when = Some(when);
            }
        }
        self.refused.extend(rejected);
        let duties = self.duties.as_ref();
        self.refused
            .retain(|check, _| duties.is_some_and(|duties| duties.checks.contains_key(check)));
        true
    }
}

#[cfg(test)]
mod tests;
