//! The votes of a region's agents: one without a detour to the heap, or a list.

use std::ops::Deref;

use super::AgentVote;
use crate::liveness::AgentIx;

/// The votes of a region's agents. Most regions have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Votes {
    One(AgentVote),
    Many(Vec<AgentVote>),
}

impl Deref for Votes {
    type Target = [AgentVote];

    fn deref(&self) -> &[AgentVote] {
        match self {
            Self::One(vote) => std::slice::from_ref(vote),
            Self::Many(votes) => votes,
        }
    }
}

impl<'a> IntoIterator for &'a Votes {
    type Item = &'a AgentVote;
    type IntoIter = std::slice::Iter<'a, AgentVote>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Votes {
    pub(super) fn none() -> Self {
        Self::Many(Vec::new())
    }

    /// The vote of `agent`, made if it has none yet.
    pub(super) fn of(&mut self, agent: AgentIx) -> &mut AgentVote {
        let place = self.iter().position(|vote| vote.agent == agent).unwrap_or_else(|| {
            self.push(AgentVote::new(agent));
            self.len() - 1
        });
        match self {
            Self::One(vote) => vote,
            Self::Many(votes) => &mut votes[place],
        }
    }

    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut AgentVote> {
        match self {
            Self::One(vote) => std::slice::from_mut(vote).iter_mut(),
            Self::Many(votes) => votes.iter_mut(),
        }
    }

    fn push(&mut self, vote: AgentVote) {
        let before = std::mem::replace(self, Self::none());
        *self = match before {
            Self::One(first) => Self::Many(vec![first, vote]),
            Self::Many(votes) if votes.is_empty() => Self::One(vote),
            Self::Many(mut votes) => {
                votes.push(vote);
                Self::Many(votes)
            }
        };
    }
}
