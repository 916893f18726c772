//! What confirmations add to the scheduled probes of a check.
//!
//! Each probe that fails although the target is fine has all regions probe once more: `p N` rounds
//! in the time in which each region probes once. The check of an origin is asked along with each
//! check in front of it as well, as far as the purse for that goes.

use std::collections::BTreeMap;

use quorate_model::{Check, CheckId, Fleet};

use super::ALONE_PPM;
use crate::episode::Purse;

/// A chain of origins longer than this is cut; a configuration has no cycles.
const CHAIN_MAX: usize = 16;

/// The checks of which each check probes the origin.
pub(super) type Fronts<'a> = BTreeMap<&'a CheckId, Vec<&'a Check>>;

pub(super) fn fronts(fleet: &Fleet) -> Fronts<'_> {
    let mut fronts = Fronts::new();
    for check in fleet.checks.values() {
        if let Some(origin) = &check.origin {
            fronts.entry(origin).or_default().push(check);
        }
    }
    fronts
}

/// In parts per million of the scheduled probes.
pub(super) fn extra_ppm(check: &Check, fronts: &Fronts<'_>, fleet: &Fleet) -> u64 {
    u64::try_from(rounds_ppm(check, fronts, fleet, CHAIN_MAX)).unwrap_or(u64::MAX)
}

/// Rounds in one interval, in millionths.
fn rounds_ppm(check: &Check, fronts: &Fronts<'_>, fleet: &Fleet, chain: usize) -> u128 {
    let regions = u128::try_from(check.regions.len()).unwrap_or(u128::MAX);
    let own = u128::from(ALONE_PPM).saturating_mul(regions);
    let Some(chain) = chain.checked_sub(1) else {
        return own;
    };
    let interval = check.interval.as_micros();
    let along = fronts.get(&check.id).into_iter().flatten().map(|front| {
        rounds_ppm(front, fronts, fleet, chain) * interval / front.interval.as_micros().max(1)
    });
    let most = 1_000_000 * interval / Purse::refill(&fleet.policy).as_micros();
    own.saturating_add(along.sum::<u128>().min(most))
}
