//! Fronts and origins: which checks are judged with a view of another.

use std::collections::BTreeMap;

use quorate_model::Timestamp;

use super::Engine;
use crate::alarms::CheckIx;
use crate::case::{Case, Context};

impl Engine {
    /// Notes which check probes the origin of which.
    pub(super) fn link(&mut self) {
        let mut fronts: BTreeMap<CheckIx, Vec<CheckIx>> = BTreeMap::new();
        for (id, check) in &self.fleet.checks {
            let place = |id| self.by_check.get(id);
            let origin = check.origin.as_ref().and_then(place);
            if let (Some(front), Some(origin)) = (place(id), origin) {
                fronts.entry(origin).or_default().push(front);
            }
        }
        for (place, case) in (0_u32..).zip(&mut self.cases) {
            let Some(case) = case.as_mut() else {
                continue;
            };
            let origin = case.check.origin.as_ref();
            let origin = origin.and_then(|id| Some((self.by_check.get(id)?, id.clone())));
            case.link(origin, fronts.remove(&CheckIx(place)).unwrap_or_default());
        }
    }

    /// A check has been judged: its origin is asked about if it is suspected, and the checks in
    /// front of it are judged anew if they can learn something from it.
    pub(super) fn follow_links(&mut self, ix: CheckIx, now: Timestamp) {
        let Some(case) = self.cases[ix.0 as usize].as_mut().filter(|case| case.is_linked()) else {
            return;
        };
        let fronts = case.fronts().to_vec();
        if let Some(origin) = case.takes_origin_along() {
            if let Some(case) = self.cases[origin.0 as usize].as_mut() {
                case.go_along(now);
            }
            self.wake_check(origin, now);
        }
        for front in fronts {
            let ctx = self.context(self.case(ix), now);
            if self.case(front).is_some_and(|case| case.sees_news_behind(&ctx)) {
                self.wake_check(front, now);
            }
        }
    }

    /// What a case may look at now, with the case of its origin.
    pub(super) fn context<'a>(&'a self, origin: Option<&'a Case>, now: Timestamp) -> Context<'a> {
        Context { origin, ..Context::of((&self.fleet, &self.roster, &self.baselines), now) }
    }

    pub(super) fn case(&self, ix: CheckIx) -> Option<&Case> {
        self.cases.get(ix.0 as usize)?.as_deref()
    }
}
