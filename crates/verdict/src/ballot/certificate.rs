//! Certificates near their end: who sees them, and how that is said.

use quorate_model::State;

use super::Votes;
use crate::case::Context;
use crate::certificate;
use crate::vote::Group;

impl Votes<'_> {
    /// Regions whose success shows a certificate near its end.
    pub(super) fn see_near_end(&self) -> impl Iterator<Item = &Group> {
        let before = self.near.map(|near| near.before);
        self.each().filter_map(move |(group, _, vote)| {
            let ends = vote.filter(|vote| vote.outcome.is_success())?.cert_ends;
            before.is_some_and(|before| ends < before).then_some(group)
        })
    }

    /// Whether nothing but a certificate makes it `degraded`.
    pub(super) fn is_about_certificate(&self) -> bool {
        let is_milder = self.count.condition() < Some(State::Degraded);
        self.near.is_some() && is_milder && !self.is_cached()
    }

    /// What there is to say of a certificate under `degraded`: as the reason, or beside another.
    pub(super) fn certificate_in_words(
        &self,
        ctx: &Context<'_>,
        state: State,
    ) -> (Option<String>, Option<String>) {
        let words = self.near.filter(|_| state == State::Degraded).map(|near| {
            let names =
                self.see_near_end().map(|group| ctx.roster.region(group.region).id.as_str());
            let seen = match names.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "no region any more".to_owned(),
                names => names,
            };
            format!("{}, seen from {seen}", certificate::in_words(near.ends, ctx.now))
        });
        if self.is_about_certificate() { (words, None) } else { (None, words) }
    }
}
