//! Why it is not chance, in words: for the sentence that a page carries.

use std::time::Duration;

use quorate_model::{HumanDuration, Odds, State, Timestamp};

use super::{Votes, nats, number};
use crate::case::Context;
use crate::distinct;
use crate::quorum::Ruling;
use crate::vote::{AgentVote, Group};

impl Votes<'_> {
    fn failing(&self) -> impl Iterator<Item = (&Group, &AgentVote)> {
        self.each()
            .filter(|(_, reading, _)| self.count.is_failing(reading))
            .filter_map(|(group, _, vote)| Some((group, vote?)))
    }

    /// Whether these votes prove that it is down. A check stays down while it recovers, but then
    /// its votes do not.
    fn proves(&self, state: State) -> bool {
        state == State::Down && self.count.ruling == Ruling::Down
    }

    /// Within which time the failing probes started, in tenths of a second, if that is a proof's.
    pub(super) fn spread(&self, state: State) -> Option<HumanDuration> {
        let started = || self.failing().filter_map(|(_, vote)| vote.started());
        let (first, last): (Timestamp, Timestamp) = (started().min()?, started().max()?);
        let is_proof = self.proves(state) && started().nth(1).is_some();
        let tenths = u64::try_from((last - first).as_millis().div_ceil(100).max(1)).ok()?;
        is_proof.then_some(HumanDuration(Duration::from_millis(tenths * 100)))
    }

    /// The evidence against the budget, what the regions have in common, and what their agents
    /// think of themselves.
    pub(super) fn proof_in_words(&self, ctx: &Context<'_>, state: State) -> Vec<String> {
        let mut words = Vec::new();
        let is_proven = self.proves(state);
        let is_short = state == State::Partial && self.count.is_unproven();
        if let Some(proof) = self.count.proof.as_ref().filter(|_| is_proven || is_short) {
            let (evidence, need) = (Odds(nats(proof.evidence)), Odds(nats(proof.need)));
            words.push(format!("chance of coincidence {evidence}, your budget {need}"));
        }
        let is_alike = state == State::Partial && self.count.falls_short();
        let failing = self.failing().count();
        let too_alike = self.count.too_alike().filter(|_| is_alike);
        words.extend(
            too_alike
                .into_iter()
                .flat_map(|(distinct, live)| distinct::in_words(distinct, failing, live)),
        );
        if is_proven {
            words.extend(self.provider_in_words(ctx));
            words.extend(self.anchors_in_words(ctx));
        }
        words
    }

    fn provider_in_words(&self, ctx: &Context<'_>) -> Option<String> {
        let provider = |group: &Group| {
            let region = ctx.fleet.regions.get(&ctx.roster.region(group.region).id)?;
            region.labels.get("provider").cloned()
        };
        let all: Option<Vec<String>> = self.failing().map(|(group, _)| provider(group)).collect();
        let all = all.filter(|all| all.len() > 1)?;
        Some(match all.iter().find(|one| *one != &all[0]) {
            Some(_) => "no common provider".to_owned(),
            None => format!("all with the provider {}", all[0].escape_debug()),
        })
    }

    /// A fleet without anchors has no self-tests, and nothing to say.
    fn anchors_in_words(&self, ctx: &Context<'_>) -> Option<String> {
        let is_fine = |vote: &AgentVote| {
            let agent = ctx.roster.agent(vote.agent);
            !agent.is_island() && !agent.is_excused()
        };
        let all = self.failing().count();
        let holds = !ctx.fleet.anchors.is_empty() && self.failing().all(|(_, vote)| is_fine(vote));
        holds.then(|| match number(all) {
            1 => "its anchors are fine".to_owned(),
            all => format!("anchors fine in all {all}"),
        })
    }
}
