//! What a check must remember over a restart, beside its verdict and its incident.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{FleetPolicy, ReceiverId, RegionId, State, Timestamp};
use serde::{Deserialize, Serialize};

use crate::baseline::Baseline;
use crate::certificate::Expiry;
use crate::limits::{FLAPPING_REOPENS, FLAPPING_WINDOWS, REOPENS_MAX};
use crate::slow::Intermittent;

/// The version of the document that is written.
const VERSION: u32 = 2;

/// The oldest that is read: it lacks what the slow detector, the baselines and the certificates
/// know.
const OLDEST: u32 = 1;

/// A recovery under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// Start of the first success of the run.
    pub(crate) since: Timestamp,
    /// Whether people see it: a quorum no longer fails.
    pub(crate) shown: bool,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) version: u32,
    /// The worst that the votes have shown and not yet taken back.
    pub(crate) latched: State,
    /// Start of the first probe of the present trouble.
    pub(crate) first_failure: Option<Timestamp>,
    /// While it is down, when it fell: no earlier than the suspicion that led to it began, nor than
    /// the failure of a second region. Since version 2.
    #[serde(default)]
    pub(crate) fell: Option<Timestamp>,
    /// Start of the last success anywhere before the present trouble.
    pub(crate) last_success: Option<Timestamp>,
    /// Whether all that were left decided, and the full quorum has not agreed since.
    pub(crate) is_reduced: bool,
    pub(crate) recovery: Option<Recovery>,
    /// No success that started before this belongs to a recovery.
    pub(crate) relapse: Option<Timestamp>,
    /// Re-opened incidents and aborted recoveries, oldest first.
    pub(crate) reopens: Vec<Timestamp>,
    /// Who was told of the open incident.
    pub(crate) told: BTreeSet<ReceiverId>,
    /// Whether the last thing they were told is that it is open.
    pub(crate) is_announced: bool,
    /// When the last digest was sent.
    pub(crate) digest: Option<Timestamp>,
    /// Whether something happened since that nobody was told.
    pub(crate) is_untold: bool,
    /// When a message about the open incident was last withheld, if it was. Since version 2.
    #[serde(default)]
    pub(crate) withheld: Option<Timestamp>,
    /// When people are to be told that the check is down, if it still is and they were not. Since
    /// version 2.
    #[serde(default)]
    pub(crate) owed: Option<Timestamp>,
    /// Since when too few regions are left to say anything, if they are. Since version 2.
    #[serde(default)]
    pub(crate) unseen: Option<Timestamp>,
    /// The slow detector. Since version 2.
    #[serde(default)]
    pub(crate) intermittent: Intermittent,
    /// The regions' levels in it when this was written. Since version 2.
    #[serde(default)]
    pub(crate) levels: BTreeMap<RegionId, u16>,
    /// What was known of the regions when this was written. Read only: it is now stored once for all
    /// checks.
    #[serde(default, skip_serializing)]
    pub(crate) baselines: BTreeMap<RegionId, Baseline>,
    /// What is known of certificates. Since version 2.
    #[serde(default)]
    pub(crate) expiry: Expiry,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: VERSION,
            latched: State::Unknown,
            first_failure: None,
            fell: None,
            last_success: None,
            is_reduced: false,
            recovery: None,
            relapse: None,
            reopens: Vec::new(),
            told: BTreeSet::new(),
            is_announced: false,
            digest: None,
            is_untold: false,
            withheld: None,
            owed: None,
            unseen: None,
            intermittent: Intermittent::default(),
            levels: BTreeMap::new(),
            baselines: BTreeMap::new(),
            expiry: Expiry::default(),
        }
    }
}

impl Memory {
    /// Reads a document; `None` if it is of a version that is not known.
    pub(crate) fn read(document: &serde_json::Value) -> Option<Self> {
        let memory = Self::deserialize(document).ok()?;
        let is_known = (OLDEST..=VERSION).contains(&memory.version);
        is_known.then_some(Self { version: VERSION, ..memory })
    }

    /// The level that a region had in the slow detector.
    pub(crate) fn level(&self, region: &RegionId) -> u16 {
        self.levels.get(region).copied().unwrap_or(0)
    }

    /// The document. Nothing in it can fail to be written.
    pub(crate) fn write(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Notes a re-opened incident or an aborted recovery.
    pub(crate) fn reopened(&mut self, policy: &FleetPolicy, now: Timestamp) {
        let window = now.before(policy.reopen_within * FLAPPING_WINDOWS);
        self.reopens.retain(|at| *at > window);
        if self.reopens.len() == REOPENS_MAX {
            self.reopens.remove(0);
        }
        self.reopens.push(now);
    }

    /// When it broke, as far as is known of a check that is down.
    pub(crate) fn broke(&self) -> Option<Timestamp> {
        self.fell.or(self.first_failure)
    }

    fn recent_reopens(&self, policy: &FleetPolicy, now: Timestamp) -> usize {
        let window = now.before(policy.reopen_within * FLAPPING_WINDOWS);
        self.reopens.iter().filter(|at| **at > window).count()
    }

    /// Whether it goes up and down too often to report each change.
    pub(crate) fn is_flapping(&self, policy: &FleetPolicy, now: Timestamp) -> bool {
        self.recent_reopens(policy, now) >= FLAPPING_REOPENS
    }

    /// `R`: how long success must last. Doubles with each recent re-open, up to the policy's
    /// maximum.
    pub(crate) fn recovery_time(&self, policy: &FleetPolicy, now: Timestamp) -> Duration {
        let most = policy.recovery_max.max(policy.recovery);
        (0..self.recent_reopens(policy, now))
            .fold(policy.recovery, |time, _| time.saturating_mul(2).min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_one_wrote_is_still_read() {
        let mut document = Memory { latched: State::Down, ..Memory::default() }.write();
        let fields = document.as_object_mut().unwrap();
        fields.insert("version".to_owned(), 1.into());
        for new in ["intermittent", "levels", "expiry", "withheld", "owed", "fell", "unseen"] {
            assert!(fields.remove(new).is_some(), "{new}");
        }
        let memory = Memory::read(&document).unwrap();
        assert_eq!(memory, Memory { latched: State::Down, ..Memory::default() });
        assert_eq!(memory.version, VERSION);
    }

    #[test]
    fn a_version_from_the_future_is_not_read() {
        let mut document = Memory::default().write();
        document["version"] = (VERSION + 1).into();
        assert_eq!(Memory::read(&document), None);
        assert_eq!(Memory::read(&serde_json::json!({})), None);
    }
}
