//! A configuration.

use std::sync::Arc;

use quorate_model::{CheckId, Fleet, Timestamp};

use super::Engine;
use crate::alarms::{CheckIx, Subject};
use crate::case::Case;
use crate::liveness::RegionIx;
use crate::{Effect, mute};

impl Engine {
    pub(super) fn configure(
        &mut self,
        fleet: Arc<Fleet>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let are_others = self.fleet.anchors != fleet.anchors;
        let before = std::mem::replace(&mut self.fleet, fleet);
        if are_others {
            self.anchors.forget(now, effects);
            self.blame_anchors(now);
        }
        for region in self.fleet.regions.keys() {
            self.roster.intern(region, now);
        }
        for check in before.checks.keys() {
            if !self.fleet.checks.contains_key(check) {
                self.forget(check, now, effects);
            }
        }
        let fleet = Arc::clone(&self.fleet);
        let mut mutes = mute::by_check(&fleet.mutes);
        for (id, check) in &fleet.checks {
            let regions: Vec<RegionIx> =
                check.regions.iter().map(|region| self.roster.intern(region, now)).collect();
            let kind = self.baselines.intern(&check.kind);
            if let Some(ix) = self.by_check.get(id) {
                if let Some(case) = self.cases[ix.0 as usize].as_mut() {
                    case.redefine((Arc::clone(check), kind), &regions, now);
                    case.mute(mutes.remove(id).unwrap_or_default(), now);
                }
                self.wake_check(ix, now);
            } else {
                let mut case = Case::new((Arc::clone(check), kind), &regions, now);
                case.mute(mutes.remove(id).unwrap_or_default(), now);
                let ix = self.place(case);
                self.by_check.insert(id.clone(), ix);
                self.wake_check(ix, now);
            }
        }
        let roster = &self.roster;
        self.shared.resolvers.retain(now, |agent, check| {
            let check = fleet.checks.get(check);
            check.is_some_and(|check| check.regions.contains(&roster.region_of(agent).id))
        });
        self.heed_resolvers(now);
        self.survey_now(false, now);
        for region in self.roster.told_places() {
            self.alarms.arm(
                &mut self.roster.region_mut(region).alarm,
                Subject::Region(region),
                now,
            );
        }
        self.link();
        self.watch.hold_until = now + self.fleet.policy.lost_after;
        self.watch_fleet(now);
    }

    fn place(&mut self, case: Case) -> CheckIx {
        let case = Some(Box::new(case));
        if let Some(ix) = self.free.pop() {
            self.cases[ix.0 as usize] = case;
            return ix;
        }
        self.cases.push(case);
        CheckIx(u32::try_from(self.cases.len() - 1).unwrap_or(u32::MAX))
    }

    fn forget(&mut self, check: &CheckId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(ix) = self.by_check.remove(check) else {
            return;
        };
        if let Some(mut case) = self.cases[ix.0 as usize].take() {
            self.alarms.disarm(&mut case.alarm, Subject::Check(ix));
            case.forget_past(&mut self.shared);
            effects.extend(case.withdraw(now).map(|end| Effect::Transition(Box::new(end))));
        }
        self.free.push(ix);
    }
}
