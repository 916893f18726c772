//! When each agent probes a check.
//!
//! The fleet samples a target every `T/N` because the regions take turns: of the `N` regions that
//! have agents, the one in place `i` probes at `i * T/N` after a start that the check's name gives,
//! so that checks do not all fire together. The phases are fixed: a random jitter would widen the
//! largest gap, and with it the worst time to detect. They change only when the fleet does.
//!
//! Several agents of a region share its slot evenly and each probe every `T`.
//!
//! Example: `T` = 60 s, regions a, b, c with one agent and two in b. The slots begin at 0, 20 and
//! 40 s after the check's own start; b's agents probe at 20 and 30 s.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{AgentId, Check, CheckId, Region, RegionId};

/// The phase of each agent that probes `check`: an offset from a multiple of its interval, always
/// below it. Regions follow each other as the check lists them.
pub fn slots(
    check: &Check,
    agents: &BTreeMap<RegionId, Vec<AgentId>>,
) -> BTreeMap<AgentId, Duration> {
    slots_apart(check, agents, &BTreeMap::new())
}

/// As [`slots`], but regions of one provider are not neighbours where that can be avoided: a fault
/// of the provider is then not seen twice in a row before anybody else looks.
pub fn slots_apart(
    check: &Check,
    agents: &BTreeMap<RegionId, Vec<AgentId>>,
    regions: &BTreeMap<RegionId, Region>,
) -> BTreeMap<AgentId, Duration> {
    let staffed: Vec<&RegionId> = check
        .regions
        .iter()
        .filter(|region| agents.get(*region).is_some_and(|agents| !agents.is_empty()))
        .collect();
    let order = apart(&staffed, regions);
    let interval = micros(check.interval).max(1);
    let places = u128::try_from(order.len()).unwrap_or(1).max(1);
    let start = u128::from(spread(&check.id)) % interval;
    let mut slots = BTreeMap::new();
    for (place, region) in (0_u128..).zip(order) {
        let members = agents.get(region).map_or(&[][..], Vec::as_slice);
        let seats = u128::try_from(members.len()).unwrap_or(1).max(1) * places;
        for (seat, agent) in (0_u128..).zip(members) {
            let offset = interval * place / places + interval * seat / seats;
            let phase = u64::try_from((start + offset) % interval).unwrap_or(0);
            slots.insert(agent.clone(), Duration::from_micros(phase));
        }
    }
    slots
}

fn micros(span: Duration) -> u128 {
    span.as_micros()
}

/// A number that spreads checks over their interval, the same in every run.
fn spread(check: &CheckId) -> u64 {
    check.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The regions in an order in which neighbours, the last and the first included, differ in their
/// provider where possible: the providers with most regions are dealt out first, to every second
/// place.
fn apart<'a>(staffed: &[&'a RegionId], regions: &BTreeMap<RegionId, Region>) -> Vec<&'a RegionId> {
    let mut by_provider: BTreeMap<&str, Vec<&RegionId>> = BTreeMap::new();
    for region in staffed {
        let provider = regions.get(*region).and_then(|region| region.labels.get("provider"));
        match provider {
            Some(provider) => by_provider.entry(provider).or_default().push(region),
            None => by_provider.entry(region.as_str()).or_default().push(region),
        }
    }
    if by_provider.len() == staffed.len() {
        return staffed.to_vec();
    }
    let mut families: Vec<_> = by_provider.into_iter().collect();
    families.sort_by_key(|(provider, members)| (std::cmp::Reverse(members.len()), *provider));
    let dealt: Vec<&RegionId> = families.into_iter().flat_map(|(_, members)| members).collect();
    let places = (0..dealt.len()).step_by(2).chain((1..dealt.len()).step_by(2));
    let mut order: Vec<(usize, &RegionId)> = places.zip(dealt).collect();
    order.sort_unstable_by_key(|(place, _)| *place);
    order
        .into_iter()
        .filter_map(|(_, region)| staffed.iter().copied().find(|staff| *staff == region))
        .collect()
}

#[cfg(test)]
mod tests;
