//! The edge that fails and the origin behind the target, in words.

use quorate_model::{BallotOrigin, OriginFinding, OriginHold, State};

use super::{Votes, number};
use crate::case::Context;
use crate::edge;
use crate::vote::Reading;

impl<'a> Votes<'a> {
    /// Whether users are served although the origin is down.
    pub(super) fn is_cached(&self) -> bool {
        self.behind.is_some_and(|behind| behind.cache.is_serving)
    }

    /// What is known of the origin, where it matters.
    pub(super) fn origin(&self, state: State) -> Option<BallotOrigin> {
        let behind = self.behind?;
        let matters = state == State::Down || state == State::Degraded && behind.cache.is_serving;
        let known = matters.then_some(behind.known)?;
        Some(BallotOrigin {
            check: behind.check.clone(),
            finding: known.finding,
            working: number(known.working),
            failing: number(known.failing),
            configured: number(known.configured),
            since: known.since,
            hold: behind.cache.hold.filter(|_| state == State::Degraded),
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

/// What was found of an origin, in a sentence.
pub(super) fn in_words(origin: &BallotOrigin) -> String {
    let BallotOrigin { check, working, failing, configured, .. } = origin;
    let noun = if *configured == 1 { "region" } else { "regions" };
    let (verb, count) = match origin.finding {
        Some(OriginFinding::Works) => ("works", working),
        Some(OriginFinding::Fails) => ("fails", failing),
        None if working + failing == 0 => {
            return format!("origin check {check}: nothing known since the failure");
        }
        None => {
            return format!(
                "origin check {check}: no conclusion, works in {working} and fails in {failing} of \
                 {configured} {noun}"
            );
        }
    };
    let since = origin.since.map_or_else(String::new, |since| format!(" since {since}"));
    let hold = match origin.hold {
        Some(OriginHold::Muted) => ", and is muted",
        Some(OriginHold::Brief) => ", not for long enough to be told",
        None => "",
    };
    format!("origin check {check}: {verb} in {count} of {configured} {noun}{since}{hold}")
}
