//! Regions that are one place: of their votes on one check only the best counts.

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

    /// Leaves of the regions of one place the one that speaks for all of them.
    pub(super) fn merge(&self, roster: &Roster, readings: &mut [Reading]) {
        if !roster.has_merged() {
            return;
        }
        for place in 0..self.groups.len() {
            let here: Vec<usize> = self.of_place(roster, self.groups[place].region).collect();
            if here.len() < 2 || here[0] != place {
                continue;
            }
            let key = |place: &usize| (readings[*place].say.is_none(), readings[*place].say);
            let speaks = here.iter().copied().min_by_key(key).unwrap_or(place);
            let states = here.iter().map(|place| readings[*place].state);
            readings[speaks].state = states.min().unwrap_or(RegionState::Absent);
            for place in here.into_iter().filter(|place| *place != speaks) {
                readings[place] = Reading::silent(Counted::SamePlace, RegionState::Absent);
            }
        }
    }

    /// Where the regions stand that are one place with this one, itself included.
    fn of_place(&self, roster: &Roster, region: RegionIx) -> impl Iterator<Item = usize> {
        let is_here =
            move |(_, group): &(usize, &Group)| roster.is_same_place(group.region, region);
        self.groups.iter().enumerate().filter(is_here).map(|(place, _)| place)
    }

    /// The first region that is one place with this one.
    pub(super) fn first_of_place(&self, roster: &Roster, region: RegionIx) -> Option<usize> {
        self.of_place(roster, region).next()
    }

    /// What the regions of each place have at most, one for each place.
    pub(super) fn per_place<T: Ord>(
        &self,
        roster: &Roster,
        of: impl Fn(&Group) -> Option<T>,
    ) -> Vec<T> {
        let mut most: Vec<(RegionIx, T)> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let Some(one) = of(group) else {
                continue;
            };
            let root = roster.root(group.region);
            match most.iter_mut().find(|(known, _)| roster.has_merged() && *known == root) {
                Some((_, known)) if *known >= one => {}
                Some((_, known)) => *known = one,
                None => most.push((root, one)),
            }
        }
        most.into_iter().map(|(_, one)| one).collect()
    }
}
