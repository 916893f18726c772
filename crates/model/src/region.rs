//! Regions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::RegionId;

/// A place that votes: all its agents together have one vote for each check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its name.
    pub id: RegionId,
    /// What it shares with other regions: `provider`, `country`, `transit`, `resolver`.
    pub labels: BTreeMap<String, String>,
}
