//! The check that probes what stands behind another.

use std::collections::BTreeSet;

use quorate_model::CheckId;
use quorate_yaml::{Document, did_you_mean, shown};

use crate::check::Known;
use crate::gather::Gather;

/// The names that checks give as their origin, good or not.
pub(crate) fn named(document: &Document) -> BTreeSet<String> {
    let ids = document.keys(&["checks"]).into_iter();
    ids.filter(|id| document.contains(&["checks", id, "origin"]))
        .filter_map(|id| {
            let path = ["checks", id, "origin"];
            // What is wrong with it is said with the rest of its check.
            document.read_part::<Option<String>>(&path, &[]).value.flatten()
        })
        .collect()
}

/// The origin of a check. A name that is no check's is a problem.
pub(crate) fn origin(
    gather: &mut Gather<'_>,
    id: &CheckId,
    name: Option<&String>,
    known: &Known<'_>,
) -> Option<CheckId> {
    let name = name?;
    if known.checks.contains(name.as_str()) {
        // One that is no good name has its problem already.
        return name.parse().ok();
    }
    let path = ["checks", id.as_str(), "origin"];
    let message = format!("there is no check `{}`", shown(name));
    let mut problem = gather.document.problem(&path, message);
    // Comparing with thousands of names is worth it for the first few only.
    if known.checks.len() <= 100 || gather.problems.len() < 25 {
        problem.hint = did_you_mean(name, known.checks.iter().copied()).or(problem.hint);
    }
    gather.problems.push(problem);
    None
}
