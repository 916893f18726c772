//! Fast forward: what years of successes would change, without applying each of them.
//!
//! A check that is up stays up while all its probes succeed, but it learns from them: how often a
//! region fails, and how far the slow detector's levels have fallen. Both are sums, so that many
//! successes can be accounted for in one step. A test of the simulation compares this with a run
//! that applies every result: verdicts, messages and what is remembered are the same.
//!
//! For simulations and replays of long times; a coordinator has no use for it.

use std::time::Duration;

use quorate_model::{CheckId, ProbeResult, Timestamp};

use super::Engine;
use crate::Effect;
use crate::case::Context;

/// Scheduled probes of one agent that all succeeded at once and were all received.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// How many there were, at least one.
    pub count: u32,
    /// From one to the next.
    pub every: Duration,
    /// The last of them.
    pub last: ProbeResult,
}

impl Stretch {
    /// When the first was received.
    fn first(&self) -> Timestamp {
        self.last.received.before(self.every * self.count.saturating_sub(1))
    }
}

impl Engine {
    /// Takes in stretches of successes of a check, at most one for each of its agents, which must be
    /// all that happened to it since the last call. `now` is when the last result was received.
    ///
    /// Does nothing and returns `false` unless the check is up, nothing is under way, it has no origin
    /// and is none, and each of its live regions has one agent, whose last probe succeeded.
    pub fn fast_forward(
        &mut self,
        check: &CheckId,
        mut stretches: Vec<Stretch>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(ix) = self.by_check.get(check).filter(|_| self.is_quiet(check, now)) else {
            return false;
        };
        let told = effects.len();
        stretches.sort_by_key(|stretch| stretch.last.received);
        for stretch in &stretches {
            let last = &stretch.last;
            let agent = self.known(&last.id.agent, &last.region, last.received, effects);
            if self.roster.succeeded(agent, last.started) {
                self.judge_anchors(last.received);
            }
            let region = self.roster.agent(agent).region;
            let (every, before) = (stretch.every, stretch.count.saturating_sub(1));
            let ctx = Context::of((&self.fleet, &self.roster, &self.baselines), last.received);
            let Some(case) = self.cases[ix.0 as usize].as_mut() else {
                return false;
            };
            case.settle(&ctx, agent, before);
            let trial = case.take(&ctx, agent, last);
            let count = before + u32::from(trial.is_some());
            self.baselines.learn_many(case.kind, region, (stretch.first(), every, count));
            if count > 0 {
                self.unstored.learned();
            }
            for number in 0..count {
                if self.shared.conflicts.is_quiet(region) {
                    break;
                }
                let at = stretch.first() + every * number;
                case.agree(region, at, &mut self.shared.conflicts);
            }
        }
        self.judge(ix, now, effects);
        self.run_due(now, effects);
        self.bursts.hold(&mut effects[told..], &self.fleet.policy, now);
        true
    }

    /// Whether a check is up and nothing is under way, so that [`Engine::fast_forward`] can be used.
    pub fn is_quiet(&self, check: &CheckId, now: Timestamp) -> bool {
        let ctx = self.context(None, now);
        let case = self.by_check.get(check).and_then(|ix| self.cases.get(ix.0 as usize));
        case.and_then(Option::as_deref).is_some_and(|case| case.is_quiet(&ctx))
    }
}
