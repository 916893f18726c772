//! Disputes: what the votes of one check say about its regions.

use quorate_model::{Counted, Timestamp};

use super::{Case, Context};
use crate::conflict::{Conflicts, Network, Scene};
use crate::hosts;
use crate::liveness::RegionIx;
use crate::vote::{AgentVote, Group, Reading, Say, Sight};

impl Case {
    /// Holds the failure of each region against what the others see.
    pub(super) fn dispute(&mut self, ctx: &Context<'_>, conflicts: &mut Conflicts) {
        // Almost always nobody fails, and then there is nothing to compare.
        if !self.groups.iter().any(|group| group.votes.iter().any(is_failure)) {
            return;
        }
        let sight = Sight { now: ctx.now, cut: None };
        let claims: Vec<Reading> =
            self.groups.iter().map(|group| group.claim(ctx.roster, sight)).collect();
        let mut merged = claims.clone();
        self.merge(ctx.roster, &mut merged);
        for (place, claim) in claims.iter().enumerate() {
            let region = self.groups[place].region;
            let is_other = |(group, reading): &(&Group, &Reading)| {
                !ctx.roster.is_same_place(group.region, region)
                    && reading.counted != Counted::SamePlace
            };
            let others =
                || self.groups.iter().zip(&merged).filter(is_other).map(|(_, other)| other);
            let contradicts = |other: &&Reading| {
                other.succeeds() && other.since < claim.last && other.last > claim.since
            };
            let against = others().filter(contradicts).count();
            // One region against one says nothing about either.
            let is_contradicted = against > 1 && against * 2 > others().count();
            if claim.fails() && is_contradicted {
                let fleet = ctx.fleet.regions.len();
                let scene = self.scene(region, ctx.now);
                if !self.disputed.iter().any(|(known, _)| *known == region) {
                    self.disputed.push((region, scene.network.clone()));
                }
                conflicts.contradict(region, scene, fleet);
            }
        }
    }

    /// Notes that a region sees the target as the others do.
    pub(crate) fn agree(&self, region: RegionIx, now: Timestamp, conflicts: &mut Conflicts) {
        if !conflicts.is_quiet(region) {
            conflicts.agree(region, self.scene(region, now));
        }
    }

    /// Where the region meets the target: as it said itself, so that no other region can tell
    /// networks apart in its name, and once for all, so that a name with many addresses is one.
    fn scene(&self, region: RegionIx, now: Timestamp) -> Scene {
        let disputed = self.disputed.iter().find(|(known, _)| *known == region);
        let met = || {
            let groups = self.groups.iter().filter(|group| group.region == region);
            let address = groups.flat_map(|group| group.votes.iter()).find_map(|vote| vote.address);
            let host = || Network::Host(hosts::host(&self.check.target).to_owned());
            address.map_or_else(host, Network::from)
        };
        let network = disputed.map_or_else(met, |(_, network)| network.clone());
        Scene { network, interval: self.check.interval, now }
    }
}

fn is_failure(vote: &AgentVote) -> bool {
    vote.say() == Some(Say::Fail)
}
