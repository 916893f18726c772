//! Quiet stretches, taken in one step.

use std::time::Duration;

use quorate_agent::logic::Slot;
use quorate_model::Timestamp;
use quorate_verdict::Stretch;

use super::{Ending, Watch};
use crate::soak::setting::Region;

/// Longer than all the ways of one probe and its result together.
const ROOM: Duration = Duration::from_secs(1);

impl Watch {
    /// Takes the successes up to shortly before the next failure, or `end`, in one step.
    pub(super) fn skip(&mut self, end: Timestamp) {
        let mut until = end;
        for agent in 0..self.members.len() {
            until = until.min(self.first_failure(agent, until));
        }
        let horizon = until.before(ROOM * 2);
        if horizon < self.now + self.every || !self.engine.is_quiet(&self.check, self.now) {
            return;
        }
        let mut stretches = Vec::with_capacity(self.members.len());
        let mut latest = self.now;
        for agent in 0..self.members.len() {
            let member = &self.members[agent];
            let Some(Slot { next, every }) = member.schedule.slot(&self.check) else {
                return;
            };
            let span = (horizon - next).as_micros();
            let fit = if next < horizon { span.div_ceil(every.as_micros().max(1)) } else { 0 };
            let Some(count) = u32::try_from(fit).ok().filter(|count| *count > 0) else {
                continue;
            };
            let started = next + every * (count - 1);
            let next = started + every;
            let received = started + member.round_trip + member.way_up;
            self.members[agent].schedule.set(&self.check, Slot { next, every });
            self.tally.scheduled += u64::from(count);
            if self.members[agent].is == Region::Island {
                // A failure that is void is not even learned from.
                continue;
            }
            let last = self.result(agent, started, None, Ending::Ok, received);
            self.members[agent].sequence += u64::from(count - 1);
            latest = latest.max(received);
            stretches.push(Stretch { count, every, last });
        }
        self.now = latest;
        let mut effects = Vec::new();
        self.engine.fast_forward(&self.check, stretches, self.now, &mut effects);
        self.carry_out(effects);
    }

    /// The first slot of an agent before `until` whose probe may fail, or `until`.
    fn first_failure(&mut self, agent: usize, until: Timestamp) -> Timestamp {
        let trouble = self.trouble.as_ref().map_or(until, |trouble| trouble.from.max(self.now));
        let member = &mut self.members[agent];
        if member.is == Region::Island {
            return until;
        }
        let Some(Slot { next, every }) = member.schedule.slot(&self.check) else {
            return until;
        };
        member.sure_until = member.sure_until.max(next);
        while member.sure_until < until
            && !member.ahead.fails(member.sure_until)
            && !member.misleads(member.sure_until)
        {
            member.sure_until = member.sure_until + every;
        }
        member.sure_until.min(until).min(trouble)
    }
}
