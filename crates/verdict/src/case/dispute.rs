//! Disputes: what the votes of one check say about its regions.

use quorate_model::Timestamp;

use super::{Case, Context};
use crate::conflict::{Conflicts, Network, Scene};
use crate::hosts;
use crate::liveness::RegionIx;
use crate::vote::{AgentVote, Reading, Say, Sight};

impl Case {
    /// Holds the failure of each region against what the others see.
    pub(super) fn dispute(&self, ctx: &Context<'_>, conflicts: &mut Conflicts) {
        // Almost always nobody fails, and then there is nothing to compare.
        if !self.groups.iter().any(|group| group.votes.iter().any(is_failure)) {
            return;
        }
        let sight = Sight { now: ctx.now, cut: None };
        let claims: Vec<Reading> =
            self.groups.iter().map(|group| group.claim(ctx.roster, sight)).collect();
        for (place, claim) in claims.iter().enumerate() {
            let contradicts = |other: &(usize, &Reading)| {
                other.0 != place
                    && other.1.succeeds()
                    && other.1.since < claim.last
                    && other.1.last > claim.since
            };
            let against = claims.iter().enumerate().filter(contradicts).count();
            // One region against one says nothing about either.
            let is_contradicted = against > 1 && against * 2 > claims.len() - 1;
            if claim.fails() && is_contradicted {
                let fleet = ctx.fleet.regions.len();
                conflicts.contradict(self.groups[place].region, self.scene(ctx.now), fleet);
            }
        }
    }

    /// Notes that a region sees the target as the others do.
    pub(crate) fn agree(&self, region: RegionIx, now: Timestamp, conflicts: &mut Conflicts) {
        if !conflicts.is_quiet(region) {
            conflicts.agree(region, self.scene(now));
        }
    }

    fn scene(&self, now: Timestamp) -> Scene {
        let votes = self.groups.iter().flat_map(|group| &group.votes);
        let address = votes.filter_map(|vote| vote.address).min();
        let host = || Network::Host(hosts::host(&self.check.target).to_owned());
        Scene {
            network: address.map_or_else(host, Network::from),
            interval: self.check.interval,
            now,
        }
    }
}

fn is_failure(vote: &AgentVote) -> bool {
    vote.say() == Some(Say::Fail)
}
