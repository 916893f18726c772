//! Front and origin: what each tells the other.

use quorate_model::{CheckId, OriginFinding, OriginHold, State, Timestamp};

use super::{Case, Context};
use crate::alarms::CheckIx;
use crate::count::Count;
use crate::origin::{self, Cache, Known};
use crate::vote::Reading;

impl Case {
    /// The check hangs together with these from now on.
    pub(crate) fn link(&mut self, origin: Option<(CheckIx, CheckId)>, fronts: Vec<CheckIx>) {
        if origin.is_none() && fronts.is_empty() {
            self.links = None;
            return;
        }
        let links = self.links.get_or_insert_default();
        (links.origin, links.fronts) = (origin, fronts);
    }

    /// The check that probes its origin.
    pub(crate) fn origin(&self) -> Option<CheckIx> {
        self.links.as_ref()?.origin.as_ref().map(|(ix, _)| *ix)
    }

    /// The checks of which it probes the origin.
    pub(crate) fn fronts(&self) -> &[CheckIx] {
        self.links.as_ref().map_or(&[], |links| &links.fronts)
    }

    /// Whether it has an origin or is one.
    pub(crate) fn is_linked(&self) -> bool {
        self.links.is_some()
    }

    /// The origin that is to be asked about as well; says so once.
    pub(crate) fn takes_origin_along(&mut self) -> Option<CheckIx> {
        let links = self.links.as_mut()?;
        let origin = links.origin.as_ref().map(|(ix, _)| *ix);
        if std::mem::take(&mut links.asks) { origin } else { None }
    }

    /// A first round has been asked: it takes the origin along.
    pub(super) fn takes_along(&mut self) {
        if let Some(links) = self.links.as_mut() {
            links.asks = links.origin.is_some();
        }
    }

    /// A check in front of this one is suspected: this one is to be asked about as well.
    pub(crate) fn go_along(&mut self, now: Timestamp) {
        if let Some(links) = self.links.as_mut() {
            links.wanted.get_or_insert(now);
        }
    }

    /// Asks about this check for those in front of it, as often as their purse allows. One that is
    /// down is probed often enough already.
    pub(super) fn serve_fronts(&mut self, ctx: &Context<'_>) {
        let Some(links) = self.links.as_mut().filter(|links| links.is_wanted(ctx.now)) else {
            return;
        };
        links.wanted = None;
        if self.memory.latched == State::Down {
            return;
        }
        if let Err(later) = links.purse.pay(ctx.policy(), ctx.now) {
            links.wanted = Some(later);
            return;
        }
        if self.episode.is_none() {
            self.open_episode(ctx, ctx.now);
        }
        if let Some(episode) = self.episode.as_mut() {
            episode.ask_all(ctx.now);
            episode.is_paid = true;
        }
    }

    /// When fronts may be served next, if one waits for that.
    pub(super) fn serves_at(&self) -> Option<Timestamp> {
        self.links.as_ref()?.wanted
    }

    /// What is known of its origin, of which `ctx.origin` is the case.
    pub(crate) fn known_behind(&self, ctx: &Context<'_>) -> Known {
        let since = (self.memory.latched == State::Down).then(|| self.memory.broke()).flatten();
        ctx.origin.map_or_else(Known::default, |origin| origin.known_since(ctx, since))
    }

    /// Whether anything is known of the origin that was not when the check was judged last.
    pub(crate) fn sees_news_behind(&self, ctx: &Context<'_>) -> bool {
        self.links.as_ref().is_some_and(|links| links.known != self.known_behind(ctx))
    }

    /// Looks at what is known of the origin: nothing any more, if it has none.
    pub(super) fn look_behind(&mut self, ctx: &Context<'_>) {
        if self.is_linked() {
            let known = self.known_behind(ctx);
            if let Some(links) = self.links.as_mut() {
                links.known = known;
            }
        }
    }

    /// What this check, as an origin, has shown since then; while it is down, at least since it is.
    fn known_since(&self, ctx: &Context<'_>, since: Option<Timestamp>) -> Known {
        let is_down = self.memory.latched == State::Down;
        let broke = self.memory.broke().filter(|_| is_down);
        let Some(cut) = since.or(broke) else {
            return Known::default();
        };
        let count = self.count_from(ctx, Some(cut));
        // A verdict that nobody contradicts needs no new proof.
        let stays_down = || {
            let now = self.count_from(ctx, None);
            is_down && self.memory.recovery.is_none() && now.is_quorum_failing()
        };
        let agree = |regions| origin::enough(&count).is_some_and(|enough| regions >= enough);
        let finding = if agree(count.succeeding) {
            Some(OriginFinding::Works)
        } else if agree(count.tally.failing) || stays_down() {
            Some(OriginFinding::Fails)
        } else {
            None
        };
        let failing = count.readings.iter().filter(|reading| count.is_failing(reading));
        Known {
            finding,
            working: count.succeeding,
            failing: count.tally.failing,
            configured: count.tally.configured,
            since: match finding {
                Some(OriginFinding::Fails) => broke.or(failing.map(|reading| reading.since).min()),
                Some(OriginFinding::Works) | None => Some(cut),
            },
            broke,
            worked: self.memory.last_success.filter(|last| broke.is_some_and(|at| *last < at)),
            hold: self.held_back(ctx.now).filter(|_| is_down),
        }
    }

    /// Why nobody is told yet that it is down, if it is.
    fn held_back(&self, now: Timestamp) -> Option<OriginHold> {
        let brief = self.memory.owed.filter(|due| *due > now).map(|_| OriginHold::Brief);
        if self.mutes.is_active() { Some(OriginHold::Muted) } else { brief }
    }

    fn known(&self) -> Known {
        self.links.as_ref().map_or_else(Known::default, |links| links.known)
    }

    /// Whether users are served although the origin is down: enough regions have succeeded since
    /// it broke. One that is in trouble counts as well, so that an answer that gets worse never makes
    /// the verdict milder.
    pub(super) fn is_served_from_cache(&self, count: &Count) -> bool {
        let (Some(broke), Some(enough)) = (self.known().broke, origin::enough(count)) else {
            return false;
        };
        let tells = |r: &&Reading| r.succeeds() && r.last > broke || count.is_troubled(r);
        count.readings.iter().filter(tells).count() >= enough
    }

    /// The mildest state that the votes and the origin allow short of `down`; `None` if the votes
    /// show nothing.
    pub(super) fn condition(&self, count: &Count) -> Option<State> {
        let condition = count.condition()?;
        let is_worse = condition < State::Degraded && self.is_served_from_cache(count);
        Some(if is_worse { State::Degraded } else { condition })
    }

    /// Whether it is degraded by its origin only, of which nobody is to be told yet.
    pub(super) fn is_no_news(&self, count: &Count) -> bool {
        self.hold(count).is_some()
    }

    /// Why nobody is to be told yet of an origin that is all that is wrong.
    fn hold(&self, count: &Count) -> Option<OriginHold> {
        self.known().hold.filter(|_| count.condition() < Some(State::Degraded))
    }

    /// How users are served without the origin.
    pub(super) fn cache(&self, count: &Count) -> Cache {
        let is_serving = self.is_served_from_cache(count);
        Cache { is_serving, hold: self.hold(count).filter(|_| is_serving) }
    }

    /// The check fell: only what was probed since a second region failed, and since the suspicion
    /// that led to it, says anything about its origin.
    pub(super) fn note_fall(&mut self, ctx: &Context<'_>, count: &Count) {
        let failing = count.readings.iter().filter(|reading| count.is_failing(reading));
        let mut since: Vec<Timestamp> = failing.map(|reading| reading.since).collect();
        since.sort_unstable();
        let second = since.get(1).or(since.first()).copied();
        self.memory.fell = second.max(self.began);
        self.look_behind(ctx);
    }

    /// The trouble is the origin's, and began when that broke.
    pub(super) fn note_origin(&mut self) {
        if self.memory.first_failure.is_none() {
            let Known { broke, worked, .. } = self.known();
            (self.memory.first_failure, self.memory.last_success) = (broke, worked);
        }
    }
}
