//! What the demands that failing regions differ mean for a fleet.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use quorate_model::{Check, Distinct, Fleet};

/// A demand that failing regions differ, and what can stand in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What is demanded.
    pub demand: Distinct,
    /// How many different values the check's regions have.
    pub values: usize,
    /// The value that most regions have, and how many.
    pub largest: Option<(String, usize)>,
    /// How few regions can hide an outage by succeeding falsely.
    pub hidden_by: usize,
}

impl Difference {
    /// Whether it can still be met when all regions of one value are lost. Otherwise all that are
    /// left must fail then.
    pub fn outlives_a_loss(&self) -> bool {
        self.values > usize::try_from(self.demand.values).unwrap_or(usize::MAX)
    }
}

/// The demands of a check, in its order.
pub(super) fn differences(check: &Check, fleet: &Fleet) -> Vec<Difference> {
    let difference = |demand: &Distinct| {
        let regions = check.regions.iter().filter_map(|region| fleet.regions.get(region));
        let values: Vec<&str> = regions
            .filter_map(|region| region.labels.get(&demand.label).map(String::as_str))
            .collect();
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for value in &values {
            *holders.entry(value).or_default() += 1;
        }
        let largest = holders.iter().max_by_key(|(value, count)| (**count, Reverse(**value)));
        Difference {
            values: holders.len(),
            largest: largest.map(|(value, count)| ((*value).to_owned(), *count)),
            hidden_by: demand.hidden_by(values),
            demand: demand.clone(),
        }
    };
    check.distinct.iter().map(difference).collect()
}
