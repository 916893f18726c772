//! Checks that depend on themselves, or are their own origin, through however many others.

use std::collections::{BTreeMap, BTreeSet};

use quorate_model::CheckId;

use crate::gather::Gather;

/// The most checks that a message names.
const NAMED_MAX: usize = 10;

/// How one check points at another.
#[derive(Debug)]
pub(crate) struct Relation {
    /// The key of a check that names the others.
    key: &'static str,
    /// What a ring means.
    ring: &'static str,
}

pub(crate) const DEPENDS_ON: Relation =
    Relation { key: "depends_on", ring: "checks depend on themselves" };
pub(crate) const ORIGIN: Relation = Relation { key: "origin", ring: "checks are their own origin" };

/// Reports each ring once, at the check where it is entered.
pub(crate) fn cycles(
    gather: &mut Gather<'_>,
    checks: &BTreeMap<CheckId, Vec<CheckId>>,
    relation: &Relation,
) {
    let edges = |id: &CheckId| checks.get(id).map_or([].iter(), |ids| ids.iter());
    let mut done: BTreeSet<&CheckId> = BTreeSet::new();
    for start in checks.keys() {
        if done.contains(start) {
            continue;
        }
        // Depth first without recursion: the chain, and for each link what is left to try.
        let mut chain = vec![(start, edges(start))];
        let mut on_chain = BTreeSet::from([start]);
        while let Some((here, left)) = chain.last_mut() {
            let Some(next) = left.next() else {
                on_chain.remove(*here);
                done.insert(*here);
                chain.pop();
                continue;
            };
            if on_chain.contains(next) {
                if gather.is_full() {
                    return;
                }
                let chain = chain.iter().map(|(id, _)| *id);
                report(gather, relation, chain.skip_while(|id| *id != next).collect());
            } else if !done.contains(next) && checks.contains_key(next) {
                on_chain.insert(next);
                chain.push((next, edges(next)));
            }
        }
    }
}

fn report(gather: &mut Gather<'_>, relation: &Relation, mut ring: Vec<&CheckId>) {
    let Some(first) = ring.first().copied() else {
        return;
    };
    ring.push(first);
    let named = ring.iter().take(NAMED_MAX).map(|id| id.as_str());
    let mut shown: Vec<&str> = named.collect();
    if ring.len() > NAMED_MAX {
        shown.extend(["...", first.as_str()]);
    }
    let message = format!("{}: {}", relation.ring, shown.join(" -> "));
    gather.error(&["checks", first.as_str(), relation.key], message);
}
