//! Regions that share a place: of their votes on one check one counts.

use std::cmp::Reverse;

use super::Case;
use crate::liveness::{RegionIx, RegionState, Roster};
use crate::vote::{Group, Reading, Sight};
use quorate_model::Counted;

impl Case {
    /// What each region says, in configured order.
    pub(super) fn readings(&self, roster: &Roster, sight: Sight) -> Vec<Reading> {
        let read = |group: &Group| group.read(roster, sight);
        let mut readings: Vec<Reading> = self.groups.iter().map(read).collect();
        self.merge(roster, &mut readings);
        readings
    }

    /// Leaves of regions that share a place the one that speaks.
    pub(super) fn merge(&self, roster: &Roster, readings: &mut [Reading]) {
        if !roster.has_merged() {
            return;
        }
        let speaking = self.speaking(roster, readings);
        let states: Vec<RegionState> = readings.iter().map(|reading| reading.state).collect();
        for (group, reading) in self.groups.iter().zip(readings) {
            let region = group.region;
            if speaking.contains(&region) {
                let neighbours = self.groups.iter().zip(&states).filter(|(group, _)| {
                    roster.is_same_place(group.region, region) && !speaking.contains(&group.region)
                });
                let best = neighbours.map(|(_, state)| *state).min();
                reading.state = best.map_or(reading.state, |best| best.min(reading.state));
            } else if may_speak(reading) {
                *reading = Reading::silent(Counted::SamePlace, RegionState::Absent);
            }
        }
    }

    /// Who speaks. A region in trouble gives way to one at the same place that is well, unless more
    /// of them are in trouble than there are others to contradict them.
    fn speaking(&self, roster: &Roster, readings: &[Reading]) -> Vec<RegionIx> {
        let all = || self.groups.iter().zip(readings).filter(|(_, reading)| may_speak(reading));
        let worst = all().map(|(group, reading)| (Reverse(reading.say), group.region));
        let worst = roster.apart(worst.collect());
        let is_troubled = |reading: &Reading| reading.say.is_some() && !reading.succeeds();
        let troubled: Vec<RegionIx> = all()
            .filter(|(group, reading)| is_troubled(reading) && worst.contains(&group.region))
            .map(|(group, _)| group.region)
            .collect();
        let contradicts = |(group, reading): &(&Group, &Reading)| {
            let is_near = |other: &RegionIx| roster.is_same_place(*other, group.region);
            reading.succeeds() && troubled.iter().any(is_near)
        };
        if troubled.len() > all().filter(contradicts).count() {
            return worst;
        }
        let best =
            all().map(|(group, reading)| ((reading.say.is_none(), reading.say), group.region));
        roster.apart(best.collect())
    }

    /// Where the region stands that stands for this one: itself, unless it shares the place of one
    /// that shares its own with fewer others, or comes first.
    pub(super) fn stand_in(&self, roster: &Roster, region: RegionIx) -> Option<usize> {
        let all = self.groups.iter().map(|group| ((), group.region));
        let apart = roster.apart(all.collect());
        let is_here = |group: &Group| roster.is_same_place(group.region, region);
        self.groups.iter().position(|group| apart.contains(&group.region) && is_here(group))
    }

    /// What regions have, where they share a place the most of it, one for each place.
    pub(super) fn per_place<T: Ord + Copy>(
        &self,
        roster: &Roster,
        of: impl Fn(&Group) -> Option<T>,
    ) -> Vec<T> {
        let all = || self.groups.iter().filter_map(|group| Some((of(group)?, group.region)));
        if !roster.has_merged() {
            return all().map(|(one, _)| one).collect();
        }
        let apart = roster.apart(all().map(|(one, region)| (Reverse(one), region)).collect());
        all().filter(|(_, region)| apart.contains(region)).map(|(one, _)| one).collect()
    }
}

/// Whether a region has anything to say, or could have.
fn may_speak(reading: &Reading) -> bool {
    reading.say.is_some() || reading.state == RegionState::Live
}
