//! Places: which regions are one?
//!
//! **What it decides.** Two regions are one place while present agents of both reach the
//! coordinator from the same public prefix (a /24 or /48). Together they are one witness: of each
//! check one of them speaks for all, the others do not count, and `k` grows by one at most. `K` stays
//! what the regions *configured* make it.
//!
//! **Why so.** A quorum is worth what its regions do not share. One machine whose two agents were
//! joined under two names, or two machines behind one uplink, fail together and for reasons of their
//! own: counted twice, one of them would be half of a quorum of four.
//!
//! **Who speaks.** The one with the best vote (a success, else an answer that refuses, else a failure),
//! and of equals the first in the order of the check. As inside a region, a success is proof: it
//! outweighs the failure beside it.
//!
//! **What it ignores.** Addresses that are the same in many networks: loopback, private and
//! translated ones ([`Prefix::public`]). Labels: what regions of one provider share is the
//! evidence's affair. Agents that are absent: they have no vote that could be counted twice. And one
//! machine that comes by IPv4 under one name and by IPv6 under the other.
//!
//! **Never silently.** The operators hear which regions, by which prefix, and what to do, once it has
//! lasted `isolated_after`, and that they have parted once that has lasted `lost_after`. Where a
//! proxy before the coordinator hides the addresses of agents, `merge_places` switches it off.
//!
//! **Example.** Regions a, b, c and d, and a1 and b1 come from 198.51.100.0/24: K = 3 of 4 configured,
//! three live. A failure of both a and b is k = 1.

use std::collections::BTreeMap;

use quorate_model::{Fleet, NoticeKind, OperatorNotice, Prefix, Timestamp};

use super::{RegionIx, RegionState, Roster};
use crate::operators::notice;

/// Where a region is, and what the operators know of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// The first of all regions of the same place: itself, if it is alone there.
    pub(super) root: RegionIx,
    /// Another region with which it shares a prefix.
    shared: Option<(RegionIx, Prefix)>,
    /// Since when that is so.
    since: Timestamp,
    /// With which region the operators know it to be one.
    told: Option<RegionIx>,
}

impl Site {
    pub(super) fn alone(region: RegionIx, now: Timestamp) -> Self {
        Self { root: region, shared: None, since: now, told: None }
    }
}

impl Roster {
    /// Whether these regions are one place. A region is one with itself.
    pub(crate) fn is_same_place(&self, one: RegionIx, other: RegionIx) -> bool {
        self.root(one) == self.root(other)
    }

    /// What is the same for all regions of one place, and for no others.
    pub(crate) fn root(&self, region: RegionIx) -> RegionIx {
        self.region(region).site.root
    }

    /// Whether any regions are one place. Almost always none are.
    pub(crate) fn has_merged(&self) -> bool {
        self.has_merged
    }

    /// Looks again which regions are one place. Returns those for which that has changed.
    pub(crate) fn survey(&mut self, merges: bool, now: Timestamp) -> Vec<RegionIx> {
        let mut at: BTreeMap<Prefix, Vec<RegionIx>> = BTreeMap::new();
        for agent in self.agents.iter().filter(|agent| merges && !agent.absent) {
            if let Some(prefix) = agent.prefix {
                let here = at.entry(prefix).or_default();
                if !here.contains(&agent.region) {
                    here.push(agent.region);
                }
            }
        }
        at.retain(|_, here| here.len() > 1);
        if at.is_empty() && !self.has_merged {
            return Vec::new();
        }
        self.has_merged = !at.is_empty();
        let mut roots: Vec<usize> = (0..self.regions.len()).collect();
        for here in at.values() {
            let of = |region: &RegionIx| roots[region.place()];
            let (all, least) = (here.iter().map(of).collect::<Vec<_>>(), here.iter().map(of).min());
            for root in roots.iter_mut().filter(|root| all.contains(root)) {
                *root = least.unwrap_or(*root);
            }
        }
        let mut changed = Vec::new();
        for (place, root) in roots.into_iter().enumerate() {
            let region = RegionIx(u32::try_from(place).unwrap_or(u32::MAX));
            let root = RegionIx(u32::try_from(root).unwrap_or(u32::MAX));
            // Only later ones are told of: one notice for each that should be somewhere else.
            let shared = at
                .iter()
                .filter(|(_, here)| root != region && here.contains(&region))
                .filter_map(|(prefix, here)| {
                    let others = here.iter().filter(|other| **other != region);
                    Some((*others.min()?, *prefix))
                })
                .min();
            let site = &mut self.regions[place].site;
            let with = |shared: Option<(RegionIx, Prefix)>| shared.map(|(with, _)| with);
            if with(site.shared) != with(shared) {
                site.since = now;
            }
            if site.root != root || site.shared != shared {
                changed.push(region);
            }
            (site.root, site.shared) = (root, shared);
        }
        changed
    }

    /// Tells what there is to tell about where a region is. Returns when to look again.
    pub(crate) fn tend_place(
        &mut self,
        region: RegionIx,
        fleet: &Fleet,
        now: Timestamp,
        notices: &mut Vec<OperatorNotice>,
    ) -> Option<Timestamp> {
        let site = self.region(region).site;
        let with = site.shared.map(|(with, _)| with);
        if with == site.told {
            return None;
        }
        let is_configured = |ix: &RegionIx| fleet.regions.contains_key(&self.region(*ix).id);
        let is_silent = |ix: &RegionIx| self.region(*ix).state == RegionState::Absent;
        let pair = [Some(region), site.told];
        let known = || pair.iter().flatten();
        if with.is_none() && known().any(is_silent) && known().all(is_configured) {
            // Whether it is still so cannot be seen.
            return None;
        }
        let policy = &fleet.policy;
        let hold = if with.is_some() { policy.isolated_after } else { policy.lost_after };
        if now < site.since + hold {
            return Some(site.since + hold);
        }
        let name = self.region(region).id.clone();
        let mut tell = |resolved, message| {
            let mut told = notice(NoticeKind::ConfigError, now, resolved, message);
            told.region = Some(name.clone());
            notices.push(told);
        };
        if let Some(before) = site.told {
            let other = &self.region(before).id;
            tell(true, format!("regions {other} and {name} are no longer one place"));
        }
        if let Some((other, prefix)) = site.shared {
            let other = &self.region(other).id;
            tell(
                false,
                format!(
                    "regions {other} and {name} are one place: agents of both reach the coordinator \
                     from {prefix}, so together they are one vote; give {name} a network of its own, \
                     or join its agents in {other}; if a proxy before the coordinator hides where \
                     agents are, set `policy.merge_places: false`"
                ),
            );
        }
        self.region_mut(region).site.told = with;
        None
    }

    /// The regions of which the operators know that they are one place with another.
    pub(crate) fn told_places(&self) -> Vec<RegionIx> {
        let all = (0_u32..).zip(&self.regions);
        all.filter(|(_, place)| place.site.told.is_some()).map(|(ix, _)| RegionIx(ix)).collect()
    }
}
