//! Mutes: when nobody is messaged about a check, because work is planned or trouble is known.
//!
//! **What it decides.** Whether a mute covers an instant, and when that can change next. A weekly one
//! begins at a time of day as the clocks of its zone show it, and then lasts for so long whatever
//! those clocks do. Where clocks jump over that time it begins as long after midnight as without
//! the jump; where they show it twice, at the first.
//!
//! **What follows.** Judging goes on: the verdict is what it is, with a flag, and incidents are
//! recorded. Only messages are withheld. Who was told before that something is wrong is told its end
//! all the same. Trouble that nobody was told of and that still lasts when the mute ends is told
//! then, as what it then is; trouble that came and went is not told at all.
//!
//! **Example.** A window from 02:00 to 04:00, an outage from 03:55 to 04:10. The page goes out at
//! 04:00 and the end is told at 04:11.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_model::{CheckId, Flag, Mute, Period, Timestamp, Weekday, Zone};

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// A mute that lasts longest began at most so many days ago, and one begins each week.
const DAYS_AROUND: std::ops::RangeInclusive<i64> = -8..=8;

/// The mutes of each check.
pub(crate) fn by_check(mutes: &[Arc<Mute>]) -> BTreeMap<&CheckId, Vec<Arc<Mute>>> {
    let mut by_check: BTreeMap<&CheckId, Vec<Arc<Mute>>> = BTreeMap::new();
    for mute in mutes {
        for check in &mute.checks {
            by_check.entry(check).or_default().push(Arc::clone(mute));
        }
    }
    by_check
}

/// What covers a check, looked at again only when that can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutes {
    all: Vec<Arc<Mute>>,
    /// The places of those that cover it now.
    active: Vec<usize>,
    /// Until when that is so.
    until: Timestamp,
}

impl Default for Mutes {
    fn default() -> Self {
        Self { all: Vec::new(), active: Vec::new(), until: Timestamp::from_micros(i64::MAX) }
    }
}

impl Mutes {
    /// These cover the check from now on.
    pub(crate) fn of(all: Vec<Arc<Mute>>) -> Self {
        // What covers it is seen at the first look.
        let until = if all.is_empty() { i64::MAX } else { i64::MIN };
        Self { all, active: Vec::new(), until: Timestamp::from_micros(until) }
    }

    /// Looks at the time.
    pub(crate) fn look(&mut self, now: Timestamp) {
        if now < self.until {
            return;
        }
        self.active.clear();
        self.until = Timestamp::from_micros(i64::MAX);
        for (place, mute) in self.all.iter().enumerate() {
            let Some((from, to)) = span(&mute.period, now) else {
                continue;
            };
            if from <= now {
                self.active.push(place);
            }
            self.until = self.until.min(if from <= now { to } else { from });
        }
    }

    /// Whether any covers it.
    pub(crate) fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// When that can change, if it can.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        Some(self.until).filter(|until| until.as_micros() < i64::MAX)
    }

    /// What is true of a verdict because of them.
    pub(crate) fn flags(&self) -> impl Iterator<Item = Flag> {
        self.each().map(|mute| mute.kind.flag())
    }

    /// Their names, such as `maintenance/move`.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.each().map(|mute| format!("{}/{}", mute.kind, mute.id))
    }

    fn each(&self) -> impl Iterator<Item = &Mute> {
        self.active.iter().filter_map(|place| self.all.get(*place)).map(|mute| &**mute)
    }
}

/// The span that holds at `now`, or else the next.
fn span(period: &Period, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    match period {
        Period::Once { from, to } => Some((*from, *to)).filter(|(from, to)| now < *to && from < to),
        Period::Weekly { days, at, lasts, zone } => {
            let today = local(zone, now).div_euclid(DAY_SECONDS);
            let at = i64::try_from(at.as_secs()).unwrap_or(0);
            DAYS_AROUND
                .map(|days| today + days)
                .filter(|day| days.contains(&weekday(*day)))
                .map(|day| instant(zone, day * DAY_SECONDS + at))
                .map(|from| (from, from + *lasts))
                .find(|(_, to)| now < *to)
        }
    }
}

/// The weekday of a day counted from 1970-01-01, which was a Thursday.
fn weekday(day: i64) -> Weekday {
    let place = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
    Weekday::ALL[place]
}

/// What the clocks of a zone show, in seconds since they showed 1970-01-01T00:00.
fn local(zone: &Zone, at: Timestamp) -> i64 {
    at.as_micros().div_euclid(SECOND) + offset(zone, at)
}

fn offset(zone: &Zone, at: Timestamp) -> i64 {
    let after = zone.offsets.partition_point(|(from, _)| *from <= at);
    zone.offsets.get(after.saturating_sub(1)).map_or(0, |(_, seconds)| i64::from(*seconds))
}

/// When the clocks of a zone show `local`.
fn instant(zone: &Zone, local: i64) -> Timestamp {
    let with = |offset: i64| Timestamp::from_micros((local - offset).saturating_mul(SECOND));
    // No two changes are so close that both could matter.
    let (before, after) = (offset(zone, with(DAY_SECONDS)), offset(zone, with(-DAY_SECONDS)));
    let is_right = |offset_then: i64| offset(zone, with(offset_then)) == offset_then;
    if !is_right(before) && is_right(after) { with(after) } else { with(before) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_model::MuteKind::{Maintenance, Silence};

    use super::*;

    /// Seconds since the epoch, by the calendar: 1 March 2026 was a Sunday.
    const SUNDAY: i64 = 1_772_323_200;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    fn hours(count: i64) -> i64 {
        count * 3_600
    }

    fn days(count: i64) -> i64 {
        count * DAY_SECONDS
    }

    /// An hour ahead of UTC, in summer two: from the last Sunday of March to that of October 2026.
    fn berlin() -> Zone {
        let summer = SUNDAY + days(28) + hours(1);
        let winter = SUNDAY + days(238) + hours(1);
        let offsets = [(at(0), 3_600), (at(summer), 7_200), (at(winter), 3_600)];
        Zone { name: "Europe/Berlin".to_owned(), offsets: offsets.into() }
    }

    fn weekly(days: &[Weekday], at: i64, lasts: i64, zone: Zone) -> Period {
        let span = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap());
        Period::Weekly {
            days: days.iter().copied().collect(),
            at: span(at),
            lasts: span(lasts),
            zone,
        }
    }

    fn next(period: &Period, now: i64) -> (i64, i64) {
        let (from, to) = span(period, at(now)).unwrap();
        (from.as_micros() / SECOND, to.as_micros() / SECOND)
    }

    #[test]
    fn once_is_once() {
        let period = Period::Once { from: at(100), to: at(200) };
        assert_eq!(next(&period, 0), (100, 200));
        assert_eq!(next(&period, 199), (100, 200));
        assert_eq!(span(&period, at(200)), None);
        let never = Period::Once { from: at(200), to: at(100) };
        assert_eq!(span(&never, at(50)), None);
    }

    #[test]
    fn weekly_is_every_week() {
        let period = weekly(&[Weekday::Saturday], hours(23), hours(3), Zone::utc());
        let first = (SUNDAY - hours(1), SUNDAY + hours(2));
        assert_eq!(next(&period, SUNDAY - hours(2)), first);
        assert_eq!(next(&period, SUNDAY + hours(2) - 1), first, "it goes on after midnight");
        let second = (first.0 + days(7), first.1 + days(7));
        assert_eq!(next(&period, SUNDAY + hours(2)), second);
        assert_eq!(next(&period, SUNDAY + days(6)), second);
    }

    #[test]
    fn the_longest_lasts_a_week() {
        let period = weekly(&[Weekday::Monday], 0, days(7), Zone::utc());
        for hour in 0..400 {
            let (from, to) = next(&period, SUNDAY + hours(hour));
            assert!(from <= SUNDAY + hours(hour) && SUNDAY + hours(hour) < to, "{hour}");
        }
    }

    #[test]
    fn local_time_is_what_people_see_on_their_clocks() {
        let period = weekly(Weekday::ALL, hours(9), hours(1), berlin());
        let start = |day: i64| next(&period, SUNDAY + days(day)).0;
        assert_eq!(start(0), SUNDAY + hours(8));
        assert_eq!(start(27), SUNDAY + days(27) + hours(8));
        assert_eq!(start(28), SUNDAY + days(28) + hours(7), "summer");
        assert_eq!(start(238), SUNDAY + days(238) + hours(8), "winter again");
    }

    #[test]
    fn a_time_that_is_jumped_over_or_comes_twice_begins_once() {
        let period = weekly(Weekday::ALL, hours(2) + 1_800, hours(1), berlin());
        // 02:30 is not there: 03:30 in summer is as late after midnight.
        assert_eq!(next(&period, SUNDAY + days(28)).0, SUNDAY + days(28) + hours(1) + 1_800);
        // It comes twice: the first is 00:30 UTC.
        let day = SUNDAY + days(238);
        assert_eq!(next(&period, day), (day + 1_800, day + 1_800 + hours(1)));
        assert_eq!(next(&period, day + 1_800 + hours(1)).0, day + days(1) + hours(1) + 1_800);
    }

    #[test]
    fn what_covers_a_check_is_known_until_it_changes() {
        let mute = |kind, id: &str, from, to| {
            Arc::new(Mute {
                kind,
                id: id.parse().unwrap(),
                checks: std::collections::BTreeSet::new(),
                period: Period::Once { from: at(from), to: at(to) },
                reason: None,
            })
        };
        let mut mutes =
            Mutes::of(vec![mute(Maintenance, "move", 100, 300), mute(Silence, "known", 200, 400)]);
        let mut at_time = |now| {
            mutes.look(at(now));
            let names: Vec<String> = mutes.names().collect();
            (names.join(" "), mutes.wake().map(|at| at.as_micros() / SECOND))
        };
        assert_eq!(at_time(0), (String::new(), Some(100)));
        assert_eq!(at_time(100), ("maintenance/move".to_owned(), Some(200)));
        assert_eq!(at_time(250), ("maintenance/move silence/known".to_owned(), Some(300)));
        assert_eq!(at_time(300), ("silence/known".to_owned(), Some(400)));
        assert_eq!(at_time(400), (String::new(), None));
        mutes.look(at(500));
        assert!(!mutes.is_active());
    }
}
