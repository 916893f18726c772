//! What the votes of one check say about the resolvers of its regions.

use super::{Case, Context};
use crate::resolvers::Resolvers;
use crate::vote::Lookup;

impl Case {
    /// Notes which agents reach the target only by their second resolver.
    pub(super) fn consult(&mut self, ctx: &Context<'_>, resolvers: &mut Resolvers) {
        // Almost always nobody does, and then there is nothing to note.
        if !self.asks_second {
            return;
        }
        self.asks_second = false;
        for group in &self.groups {
            for vote in &group.votes {
                let votes_here = ctx.roster.member(vote.agent, group.region).is_some();
                let agreed = if votes_here { vote.lookups() } else { Some(Lookup::First) };
                self.asks_second |= agreed != Some(Lookup::First);
                if let Some(agreed) = agreed {
                    resolvers.note((group.region, vote.agent), &self.check.id, agreed, ctx.now);
                } else if vote.lookup() == Some(Lookup::Second) {
                    resolvers.relapse(group.region, ctx.now);
                }
            }
        }
        self.asks_second |= resolvers.concern(&self.check.id);
    }
}
