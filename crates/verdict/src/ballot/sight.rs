//! What the regions that are left see when they are too few to say anything.

use super::{Votes, phrase};
use crate::case::Context;
use crate::liveness::RegionState;

impl Votes<'_> {
    /// Why there is no statement: how many regions are left, and what they see.
    pub(super) fn unseen_in_words(&self, ctx: &Context<'_>) -> String {
        let (live, configured) = (self.count.tally.live, self.count.tally.configured);
        let noun = if configured == 1 { "region" } else { "regions" };
        let least = configured.min(2);
        let lead = if self.tells_unseen { "nobody can see it" } else { "no statement" };
        let left = self.each().filter(|(_, reading, _)| reading.state == RegionState::Live);
        let sees = left.map(|(group, _, vote)| {
            let region = &ctx.roster.region(group.region).id;
            match vote {
                None => format!("; {region}, the one left, has no fresh answer"),
                Some(vote) if vote.outcome.is_success() => {
                    format!("; {region}, the one left, finds it fine")
                }
                Some(vote) => format!("; {region}, the one left, sees {}", phrase(vote)),
            }
        });
        let sees: String = sees.collect();
        format!("{lead}: {live} of {configured} {noun} live, at least {least} needed{sees}")
    }
}
