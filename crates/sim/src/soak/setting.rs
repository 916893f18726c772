//! What is watched, and what is wrong with its regions.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{Fleet, Quorum};

use super::noise::Model;
use crate::configure;

/// Longer than any watch: silence and what is stored over a restart play no part.
const NEVER: Duration = Duration::from_secs(10_000 * 31_557_600);

/// What is wrong with a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Nothing but noise.
    Sound,
    /// It reports a failure in one of so many probes, and thinks itself well.
    Lies(u32),
    /// It is cut off, and knows.
    Island,
}

/// What is watched, and how.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Decides the noise.
    pub seed: u64,
    /// The noise of all sound regions.
    pub model: Model,
    /// How many regions must fail.
    pub quorum: Quorum,
    /// What is wrong with each region.
    pub regions: [Region; 5],
    /// Whether quiet stretches are taken in one step.
    pub skips: bool,
}

impl Setting {
    /// Five sound regions, a majority, and quiet stretches skipped.
    pub const fn plain(seed: u64, model: Model) -> Self {
        Self { seed, model, quorum: Quorum::Majority, regions: [Region::Sound; 5], skips: true }
    }

    /// The same with one region changed.
    #[must_use]
    pub fn with(mut self, place: usize, region: Region) -> Self {
        self.regions[place] = region;
        self
    }
}

/// The standard fleet with one check of it.
pub(super) fn fleet(setting: &Setting) -> Result<Fleet, String> {
    let quorum = setting.quorum;
    let text = format!(
        "name: soak\nabout: A check of the standard fleet.\nrun: 1m\n\
         checks: {{ shop: {{ target: shop, quorum: {quorum} }} }}\nexpect: []\n"
    );
    let problems = |problems: Vec<quorate_yaml::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let scenario = crate::parse("soak.yaml", &text).map_err(problems)?;
    let mut checks = BTreeMap::new();
    for (id, check) in &scenario.checks {
        checks.insert(id.clone(), (check.settings.clone(), check.target.clone()));
    }
    let fleet = configure::fleet(&scenario.regions, &checks, &[])?;
    let mut fleet = (*fleet).clone();
    fleet.anchors = Vec::new();
    let policy = &mut fleet.policy;
    policy.remember_every = NEVER;
    (policy.absent_after, policy.lost_after) = (NEVER, NEVER);
    Ok(fleet)
}
