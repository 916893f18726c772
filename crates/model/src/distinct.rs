//! Demands on who fails: regions that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Scope;

/// A demand of a check: it is down only when its failing regions have at least so many different
/// values of a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    /// The label of its regions, such as `provider`.
    pub label: String,
    /// So many different values of it, at least one.
    pub values: u32,
}

impl Distinct {
    /// Whether this text names the label: `provider` or `providers`.
    pub fn names(label: &str, text: &str) -> bool {
        text == label || text == plural(label)
    }

    /// Whether these are fewer different values than asked for.
    pub fn is_short<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        let different: BTreeSet<&str> = values.into_iter().collect();
        different.len() < usize::try_from(self.values).unwrap_or(usize::MAX)
    }

    /// How few of the regions with these values can keep all others from meeting it, by succeeding
    /// falsely: a single one where fewer values than asked for are there, as all must fail then.
    pub fn hidden_by<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> usize {
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for value in values {
            *holders.entry(value).or_default() += 1;
        }
        let mut sizes: Vec<usize> = holders.into_values().collect();
        sizes.sort_unstable();
        let asked = usize::try_from(self.values).unwrap_or(usize::MAX);
        match sizes.len().checked_sub(asked) {
            Some(spare) => sizes.into_iter().take(spare + 1).sum(),
            None => 1,
        }
    }
}

/// As it is written, such as `2 providers`.
impl fmt::Display for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.values {
            1 => write!(f, "1 {}", self.label),
            values => write!(f, "{values} {}", plural(&self.label)),
        }
    }
}

/// The word for several of something, such as `countries`.
pub fn plural(noun: &str) -> String {
    let ends = |end: &[&str]| end.iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) && !stem.is_empty() => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// What became of such a demand when a ballot was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistinctCount {
    /// The label.
    pub label: String,
    /// Different values that the check asks for.
    pub asked: u32,
    /// Different values of the regions that were live, or succeeded.
    pub live: u32,
    /// The different values of the regions whose failure counted and was no single one after others
    /// had failed for long, sorted.
    pub failing: Vec<String>,
}

impl DistinctCount {
    /// The demand.
    pub fn demand(&self) -> Distinct {
        Distinct { label: self.label.clone(), values: self.asked }
    }

    /// Whether fewer different values are left than asked for: then all regions that are left must
    /// fail.
    pub fn is_reduced(&self) -> bool {
        self.live < self.asked
    }

    /// Whether it is met by the failing of the live regions.
    pub fn is_met(&self, scope: Scope) -> bool {
        if self.is_reduced() {
            scope.failing >= scope.live
        } else {
            u32::try_from(self.failing.len()).unwrap_or(u32::MAX) >= self.asked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_reads_like_it_is_written() {
        let text = |label: &str, values| Distinct { label: label.to_owned(), values }.to_string();
        assert_eq!(text("provider", 2), "2 providers");
        assert_eq!(text("provider", 1), "1 provider");
        assert_eq!(text("country", 3), "3 countries");
        assert_eq!(text("bay", 2), "2 bays");
        assert_eq!(text("address", 2), "2 addresses");
        assert!(Distinct::names("country", "countries") && Distinct::names("country", "country"));
        assert!(!Distinct::names("country", "countrys"));
    }

    #[test]
    fn it_is_known_how_few_can_hide_an_outage() {
        let two = Distinct { label: "provider".to_owned(), values: 2 };
        for (values, few) in [
            (vec!["aws", "aws", "ovh", "gcp", "vultr"], 3),
            (vec!["aws", "aws", "aws", "ovh", "ovh"], 2),
            (vec!["aws", "aws", "aws", "aws", "ovh"], 1),
            (vec!["aws", "aws", "aws"], 1),
        ] {
            assert_eq!(two.hidden_by(values.iter().copied()), few, "{values:?}");
        }
    }

    #[test]
    fn all_that_are_left_must_fail_where_too_few_values_are() {
        let count = |live, failing: &[&str]| DistinctCount {
            label: "provider".to_owned(),
            asked: 2,
            live,
            failing: failing.iter().map(|value| (*value).to_owned()).collect(),
        };
        let scope = |failing, live| Scope { failing, live, configured: 5 };
        assert!(count(2, &["aws", "ovh"]).is_met(scope(3, 5)));
        assert!(!count(2, &["aws"]).is_met(scope(4, 5)));
        assert!(count(1, &["aws"]).is_met(scope(3, 3)));
        assert!(!count(1, &["aws"]).is_met(scope(3, 4)));
    }
}
