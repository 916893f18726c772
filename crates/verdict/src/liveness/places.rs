//! Places: which regions are one?
//!
//! **What it decides.** Two regions share a place while present agents of both reach the
//! coordinator from the same public prefix (a /24 or /48). Together they are one witness: of each
//! check one of them speaks for both, the other does not count, and `k` grows by one at most. `K`
//! stays what the regions *configured* make it.
//!
//! **Why so.** A quorum is worth what its regions do not share. One machine whose two agents were
//! joined under two names, or two machines behind one uplink, fail together and for reasons of their
//! own: counted twice, one of them would be half of a quorum of four.
//!
//! **What it is not.** What shares a place with two others does not make those two share one: else
//! one region with an agent in each of two foreign networks would turn three votes into one. Of
//! three such regions the two that share nothing count ([`Roster::apart`]).
//!
//! **Who speaks.** The one with the better vote, as inside a region, where a success outweighs the
//! failure beside it; of equals the first in the order of the check. But once more places fail than
//! there are regions that contradict them from the same place, the failures speak: a region that lies
//! from the network of another would otherwise take that one's vote away. A quorum is more than
//! the regions that may lie, so that it cannot be contradicted by those.
//!
//! **What it ignores.** Addresses that are the same in many networks: loopback, private and
//! translated ones ([`Prefix::public`]). Labels: what regions of one provider share is the
//! evidence's affair. Agents that are absent while others of their region are not: they have no vote
//! that could be counted twice. A region of which all are absent stays where it was, so that it is no
//! witness of its own in the moment in which it comes back. And one machine that comes by IPv4 under
//! one name and by IPv6 under the other.
//!
//! **Never silently.** The operators hear which regions, by which prefix, and what to do, once it has
//! lasted `isolated_after`, and that they have parted once that has lasted `lost_after`. Where a
//! proxy before the coordinator hides the addresses of agents, `merge_places` switches it off.
//!
//! **Example.** Regions a, b, c and d, and a1 and b1 come from 198.51.100.0/24: K = 3 of 4 configured,
//! three live. A failure of both a and b is k = 1.

use std::collections::{BTreeMap, BTreeSet};

use quorate_model::{Fleet, FleetPolicy, NoticeKind, OperatorNotice, Prefix, Timestamp};

use super::{Agent, RegionIx, RegionState, Roster};
use crate::operators::notice;

/// Where a region is, and what the operators know of that.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The regions with which it shares a place.
    neighbours: Vec<RegionIx>,
    /// The first of them that is before it, which is what the operators are told.
    shared: Option<(RegionIx, Prefix)>,
    /// Since when that is so.
    since: Timestamp,
    /// With which region the operators know it to be one.
    told: Option<RegionIx>,
}

impl Site {
    pub(super) fn alone(now: Timestamp) -> Self {
        Self { neighbours: Vec::new(), shared: None, since: now, told: None }
    }
}

/// What is known of all places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Whether some regions share one.
    has_shared: bool,
    /// When anything about that changed last.
    changed: Option<Timestamp>,
    pub(crate) alarm: Option<Timestamp>,
}

impl Roster {
    /// Whether these regions share a place. A region does with itself.
    pub(crate) fn is_same_place(&self, one: RegionIx, other: RegionIx) -> bool {
        one == other || self.region(one).site.neighbours.contains(&other)
    }

    /// Whether any regions share a place. Almost always none do.
    pub(crate) fn has_merged(&self) -> bool {
        self.places.has_shared
    }

    /// Until when no two regions part, if they may not at once: as often as regions can fall silent. An
    /// agent that comes from two networks in turn would have every check judged again with each of
    /// its connections. That two regions share a place is never put off: until it is seen, one machine
    /// would be two witnesses.
    pub(crate) fn survey_due(&self, policy: &FleetPolicy) -> Option<Timestamp> {
        self.places.changed.map(|changed| changed + policy.absent_after)
    }

    /// Of these regions as many as share no place with each other. Those come first that share with
    /// the fewest others, and of equals those of the lowest rank.
    pub(crate) fn apart<Rank: Ord>(&self, regions: Vec<(Rank, RegionIx)>) -> Vec<RegionIx> {
        if !self.has_merged() {
            return regions.into_iter().map(|(_, region)| region).collect();
        }
        let here: Vec<RegionIx> = regions.iter().map(|(_, region)| *region).collect();
        let shares = |region: RegionIx| {
            here.iter().filter(|other| self.is_same_place(**other, region)).count()
        };
        let mut regions: Vec<(usize, Rank, RegionIx)> =
            regions.into_iter().map(|(rank, region)| (shares(region), rank, region)).collect();
        regions.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let mut apart: Vec<RegionIx> = Vec::with_capacity(regions.len());
        for (.., region) in regions {
            if !apart.iter().any(|other| self.is_same_place(*other, region)) {
                apart.push(region);
            }
        }
        apart
    }

    /// Looks again which regions share a place; with `keeps` none of them part. Returns those for
    /// which that has changed.
    pub(crate) fn survey(&mut self, merges: bool, keeps: bool, now: Timestamp) -> Vec<RegionIx> {
        let mut at: BTreeMap<Prefix, BTreeSet<RegionIx>> = BTreeMap::new();
        let heard: BTreeSet<RegionIx> =
            self.agents.iter().filter(|agent| !agent.absent).map(|agent| agent.region).collect();
        let is_there = |agent: &&Agent| !agent.absent || !heard.contains(&agent.region);
        for agent in self.agents.iter().filter(|_| merges).filter(is_there) {
            if let Some(prefix) = agent.prefix {
                at.entry(prefix).or_default().insert(agent.region);
            }
        }
        at.retain(|_, here| here.len() > 1);
        if at.is_empty() && !self.has_merged() {
            return Vec::new();
        }
        self.places.has_shared = !at.is_empty() || keeps;
        let mut changed = Vec::new();
        for (place, region) in self.regions.iter_mut().zip((0_u32..).map(RegionIx)) {
            let here = || at.iter().filter(|(_, here)| here.contains(&region));
            let mut neighbours: BTreeSet<RegionIx> = here()
                .flat_map(|(_, here)| here)
                .copied()
                .filter(|other| *other != region)
                .collect();
            let first = |(prefix, here): (&Prefix, &BTreeSet<RegionIx>)| {
                here.first().filter(|other| **other < region).map(|other| (*other, *prefix))
            };
            let mut shared = here().filter_map(first).min();
            let site = &mut place.site;
            if keeps {
                neighbours.extend(&site.neighbours);
                shared = site.shared.or(shared);
            }
            let with = |shared: Option<(RegionIx, Prefix)>| shared.map(|(with, _)| with);
            if with(site.shared) != with(shared) {
                site.since = now;
            }
            let neighbours: Vec<RegionIx> = neighbours.into_iter().collect();
            if site.neighbours != neighbours || site.shared != shared {
                changed.push(region);
            }
            (site.neighbours, site.shared) = (neighbours, shared);
        }
        if !changed.is_empty() {
            self.places.changed = Some(now);
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
        let site = self.region(region).site.clone();
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
