//! What was learned of the regions, over a restart: one document for all checks, so that it costs the
//! same however many there are.

use std::collections::BTreeMap;

use quorate_model::{KindName, NoticeKind, RegionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::baseline::{Baseline, Baselines};
use crate::liveness::Roster;
use crate::noisy::Noise;

/// The version of the document.
const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    baselines: BTreeMap<KindName, BTreeMap<RegionId, Baseline>>,
    /// The regions that fail too often for nothing.
    #[serde(default)]
    noisy: BTreeMap<RegionId, Noisy>,
}

/// Since when a region is noisy.
#[derive(Debug, Serialize, Deserialize)]
struct Noisy {
    since: Timestamp,
    /// Whether the operators know.
    is_told: bool,
}

/// Whether something was learned that is not stored yet, and since when.
#[derive(Debug, Default)]
pub(crate) struct Unstored {
    has_news: bool,
    /// When it was stored last, or the start.
    at: Option<Timestamp>,
}

impl Unstored {
    /// Something was learned.
    pub(crate) fn learned(&mut self) {
        self.has_news = true;
    }

    /// Whether it is to be stored now.
    pub(crate) fn is_due(&mut self, every: std::time::Duration, now: Timestamp) -> bool {
        let last = *self.at.get_or_insert(now);
        let is_due = self.has_news && now >= last + every;
        if is_due {
            *self = Self { has_news: false, at: Some(now) };
        }
        is_due
    }
}

/// Writes what is known. Nothing in it can fail to be written.
pub(crate) fn write(baselines: &Baselines, roster: &Roster) -> serde_json::Value {
    let mut document = Document { version: VERSION, ..Document::default() };
    for (kind, region, baseline) in baselines.each() {
        let of_kind = document.baselines.entry(kind.clone()).or_default();
        of_kind.insert(roster.region(region).id.clone(), baseline);
    }
    for region in roster.regions() {
        if let Some(since) = region.noise.since() {
            let is_told = region.told == Some(NoticeKind::RegionUnreliable);
            document.noisy.insert(region.id.clone(), Noisy { since, is_told });
        }
    }
    serde_json::to_value(&document).unwrap_or_default()
}

/// Takes back what was written; nothing of a version that is not known.
pub(crate) fn recall(
    document: &serde_json::Value,
    baselines: &mut Baselines,
    roster: &mut Roster,
    now: Timestamp,
) {
    let Ok(document) = Document::deserialize(document) else {
        return;
    };
    if document.version != VERSION {
        return;
    }
    for (kind, regions) in document.baselines {
        let kind = baselines.intern(&kind);
        for (region, baseline) in regions {
            let region = roster.intern(&region, now);
            baselines.recall(kind, region, baseline);
        }
    }
    for (region, Noisy { since, is_told }) in document.noisy {
        let region = roster.intern(&region, now);
        let place = roster.region_mut(region);
        place.noise = Noise::recall(since);
        place.told = is_told.then_some(NoticeKind::RegionUnreliable);
    }
}
