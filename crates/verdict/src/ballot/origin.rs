//! The edge that fails and the origin behind the target, in words.

use quorate_model::State;

use super::Votes;
use crate::case::Context;
use crate::edge;
use crate::origin::Held;
use crate::vote::Reading;

impl<'a> Votes<'a> {
    /// Whether users are served although the origin is down.
    pub(super) fn is_cached(&self) -> bool {
        self.behind.is_some_and(|behind| behind.is_cached)
    }

    /// What is known of the origin, where it matters.
    pub(super) fn origin_in_words(&self, state: State) -> Option<String> {
        let behind = self.behind?;
        let matters = state == State::Down || state == State::Degraded && behind.is_cached;
        let words = matters.then(|| behind.known.in_words(behind.check))?;
        Some(match behind.known.held.filter(|_| behind.is_cached) {
            Some(Held::Muted) => format!("{words}, and is muted"),
            Some(Held::Brief) => format!("{words}, not for long enough to be told"),
            None => words,
        })
    }

    /// The edge at which failing regions land and others do not.
    pub(super) fn edge_in_words(&self, ctx: &Context<'a>, state: State) -> Option<String> {
        if !matches!(state, State::Partial | State::Down) {
            return None;
        }
        let failing = self.witnesses(ctx, &|reading| self.count.is_failing(reading));
        let fine = self.witnesses(ctx, &Reading::succeeds);
        edge::of(&failing, &fine)
    }
}
