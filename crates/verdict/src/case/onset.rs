//! The onset: between which two probes did the trouble begin?
//!
//! **What it decides.** The interval from the start of the last success anywhere to the start of
//! the first failure anywhere that belongs to the trouble. The target broke in it, so its two ends
//! bound the time to detect.
//!
//! **Why it is not simply noted.** A probe that gets no answer is reported a timeout after its
//! start, and others succeed meanwhile. Which success is the last one before it is known only when
//! it has failed: the probes that each agent's vote still holds one by one say so then.
//!
//! **What it ignores.** Failures that a retry refuted, and those of regions that could not be
//! believed.
//!
//! **Cold start.** Without a success that is known to have started before the first failure there
//! is no beginning of the interval, which is better than a wrong one.

use quorate_model::Timestamp;

use super::{Case, Context};
use crate::count::Count;
use crate::vote::Sight;

impl Case {
    /// Notes a success. One that started after what may turn out to be the first failure is left
    /// to be found in the votes.
    pub(super) fn note_success(&mut self, started: Timestamp) {
        let suspected = self.episode.as_ref().map(|episode| episode.began);
        let end = self.memory.first_failure.or(suspected);
        let is_before = end.is_none_or(|end| started < end);
        if is_before && self.memory.last_success.is_none_or(|last| last < started) {
            self.memory.last_success = Some(started);
        }
    }

    /// Start of the first probe of the trouble that the votes show.
    pub(super) fn trouble_since(&self, ctx: &Context<'_>, count: &Count) -> Option<Timestamp> {
        let sight = Sight { now: ctx.now, cut: None };
        let groups = self.groups.iter().zip(&count.readings);
        let troubled = groups.filter(|(_, reading)| count.is_troubled(reading));
        troubled.filter_map(|(group, _)| group.trouble_since(ctx.roster, sight)).min()
    }

    /// Notes when the trouble began. A failure that is reported late can move the onset back, also
    /// that of an incident that is open already.
    pub(super) fn note_trouble(&mut self, ctx: &Context<'_>, count: &Count) {
        let Some(since) = self.trouble_since(ctx, count) else {
            return;
        };
        // What nobody could see began unseen.
        let is_open = self.is_open() && !self.is_about_sight();
        let open = self.incident.as_deref().filter(|_| is_open);
        let known = open.map_or(self.memory.first_failure, |open| Some(open.first_failure));
        if known.is_some_and(|first| first <= since) {
            return;
        }
        let votes = self.groups.iter().flat_map(|group| &group.votes);
        let seen = votes.filter_map(|vote| vote.last_success_before(since)).max();
        let noted = self.memory.last_success.filter(|last| *last < since);
        let last_success = seen.max(noted);
        self.memory.last_success = last_success;
        match self.incident.as_deref_mut().filter(|_| is_open) {
            Some(open) => (open.last_success, open.first_failure) = (last_success, since),
            None => self.memory.first_failure = Some(since),
        }
    }
}
