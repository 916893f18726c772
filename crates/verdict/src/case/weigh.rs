//! Weighing: what the votes show, against what is on record.

use quorate_model::{Severity, State, Timestamp};

use super::{Case, Context};
use crate::count::Count;
use crate::incident::{self, Filing};
use crate::memory::Recovery;
use crate::quorum::{Ground, Ruling};
use crate::slow::Level;
use crate::{Effect, recovery};

impl Case {
    /// Whether nothing can be said: too few regions, or no vote that shows anything.
    pub(super) fn is_blind(&self, ctx: &Context<'_>, count: &Count) -> bool {
        if count.needed.is_none() {
            return true;
        }
        if self.episode.is_some() && self.memory.latched != State::Down {
            return count.fresh == 0 && self.count_from(ctx, None).fresh == 0;
        }
        let shows = count.condition().is_some() || count.ruling != Ruling::Hold;
        count.fresh == 0 || !shows && self.memory.latched != State::Down
    }

    /// Weighs what the votes show against what is on record.
    pub(super) fn weigh(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        effects: &mut Vec<Effect>,
    ) -> Option<Filing> {
        self.note_trouble(ctx, count);
        let filing = self.weigh_votes(ctx, count, effects);
        self.follow_certificates(ctx);
        let severity = self.severity(count);
        filing.or_else(|| self.file_certificate(ctx)).or_else(|| self.release(severity))
    }

    fn weigh_votes(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        effects: &mut Vec<Effect>,
    ) -> Option<Filing> {
        if self.memory.latched == State::Down {
            self.recover(ctx, count, effects)
        } else if count.ruling == Ruling::Down {
            self.memory.is_reduced = count.ground == Ground::AllThatAreLeft;
            self.fall(ctx, count, effects)
        } else if self.episode.is_some() {
            let is_worse =
                count.falls_short() && self.condition(count) >= Some(self.memory.latched);
            if is_worse { self.drift(ctx, count) } else { None }
        } else {
            self.drift(ctx, count)
        }
    }

    /// The check goes down.
    fn fall(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        effects: &mut Vec<Effect>,
    ) -> Option<Filing> {
        recovery::abort(&mut self.memory, ctx.policy(), ctx.now);
        self.memory.latched = State::Down;
        self.memory.relapse = None;
        self.note_fall(ctx, count);
        self.forget_failures();
        self.answers.begin(ctx.now);
        for group in &mut self.groups {
            group.level = Level::default();
        }
        self.memory.intermittent.weigh(std::iter::empty());
        self.is_paced = true;
        effects.push(Effect::Pace {
            check: self.check.id.clone(),
            every: Some(self.pace(ctx.policy())),
        });
        self.memory.owed = Some(ctx.now + self.check.alert.ignore_shorter_than);
        self.pay(ctx, count)
    }

    /// Files the page of a check that has been down for long enough, and still fails.
    fn pay(&mut self, ctx: &Context<'_>, count: &Count) -> Option<Filing> {
        let fails = count.is_quorum_failing();
        self.memory.owed.filter(|due| ctx.now >= *due && fails)?;
        self.memory.owed = None;
        let incident = self.incident.as_deref();
        incident::trouble(Severity::Page, incident, &mut self.memory, ctx.policy(), ctx.now)
    }

    /// The check is down: is it still?
    fn recover(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        effects: &mut Vec<Effect>,
    ) -> Option<Filing> {
        self.memory.is_reduced &= !count.is_full();
        recovery::follow(&mut self.memory, count, ctx.policy(), ctx.now);
        let seen = count.condition().unwrap_or(State::Down);
        let want = self.condition(count).unwrap_or(State::Down);
        let time = self.memory.recovery_time(ctx.policy(), ctx.now);
        let is_over = recovery::is_over(&self.memory, count, seen, time, ctx.now);
        if want == State::Down || ctx.now < self.grace || !is_over {
            let owed = self.pay(ctx, count);
            return owed.or_else(|| incident::overdue(&mut self.memory, ctx.policy(), ctx.now));
        }
        self.slow_down(effects);
        self.settle_for(want)
    }

    /// Probes at the check's own interval again.
    pub(super) fn slow_down(&mut self, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.is_paced) {
            effects.push(Effect::Pace { check: self.check.id.clone(), every: None });
        }
    }

    /// The votes are milder than before and have been so for long enough.
    pub(super) fn settle_for(&mut self, want: State) -> Option<Filing> {
        self.memory.latched = want;
        self.memory.recovery = None;
        self.memory.relapse = None;
        self.memory.fell = None;
        self.memory.owed = None;
        self.answers.end();
        if want != State::Up {
            return None;
        }
        self.memory.first_failure = None;
        self.is_open().then(|| incident::over(&self.memory))
    }

    /// Anything but down: follow the votes, but take back what people were told only after `R`.
    fn drift(&mut self, ctx: &Context<'_>, count: &Count) -> Option<Filing> {
        let want = self.condition(count).unwrap_or(State::Unknown);
        let is_open = self.is_open();
        let is_seen_again = want != State::Unknown && self.is_about_sight();
        if is_seen_again && self.memory.latched == State::Unknown {
            self.memory.latched = want;
        }
        if is_open && (want < self.memory.latched || is_seen_again) {
            let run = *self.memory.recovery.get_or_insert(Recovery { since: ctx.now, shown: true });
            let time = self.memory.recovery_time(ctx.policy(), ctx.now);
            let is_over = ctx.now >= run.since + time && ctx.now >= self.grace;
            if is_over && (want != State::Up || count.is_steady()) {
                let over = is_seen_again.then(|| incident::over(&self.memory));
                return self.settle_for(want).or(over);
            }
            return None;
        }
        recovery::abort(&mut self.memory, ctx.policy(), ctx.now);
        self.memory.latched = want;
        let is_news = want == State::Degraded && !self.is_no_news(count);
        if is_news && self.is_served_from_cache(count) {
            self.note_origin();
        }
        let severity = self.severity(count);
        let is_due = is_news || self.notice_due(count).is_some_and(|due| due <= ctx.now);
        if is_open && !(is_due && self.is_worth_more(severity)) {
            return incident::overdue(&mut self.memory, ctx.policy(), ctx.now);
        }
        let is_well = want == State::Up || want == State::Degraded && !is_news;
        if is_well && self.trouble_since(ctx, count).is_none() {
            self.memory.first_failure = None;
        }
        let incident = self.incident.as_deref();
        let (memory, policy) = (&mut self.memory, ctx.policy());
        is_due.then(|| incident::trouble(severity, incident, memory, policy, ctx.now)).flatten()
    }

    /// How urgent it is what the check is found to be.
    fn severity(&self, count: &Count) -> Severity {
        let is_page = match self.memory.latched {
            State::Down => true,
            State::Unknown | State::Up => false,
            State::Partial | State::Degraded if self.is_partial(count) => self.check.partial.pages,
            State::Partial | State::Degraded => {
                let is_intermittent = self.memory.intermittent.share_ppm().is_some();
                self.check.alert.pages_intermittent && is_intermittent
            }
        };
        if is_page { Severity::Page } else { Severity::Notice }
    }

    /// Whether what is open was told less urgently than trouble of this severity is to be.
    fn is_worth_more(&self, severity: Severity) -> bool {
        self.is_open() && self.incident.as_deref().is_some_and(|it| it.severity < severity)
    }

    /// Whether all that is told is that some regions fail. An origin that is no news hides it not.
    fn is_partial(&self, count: &Count) -> bool {
        match self.memory.latched {
            State::Partial => true,
            State::Degraded => self.is_no_news(count) && count.condition() == Some(State::Partial),
            State::Unknown | State::Up | State::Down => false,
        }
    }

    /// When people are told that some regions keep failing.
    pub(super) fn notice_due(&self, count: &Count) -> Option<Timestamp> {
        let is_untold = !self.is_open() || self.is_worth_more(self.severity(count));
        let waits = self.is_partial(count) && self.check.partial.notify && is_untold;
        self.memory.first_failure.filter(|_| waits).map(|first| first + self.check.partial.after)
    }
}
