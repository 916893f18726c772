//! Mutes: spans in which nobody is messaged about a check, planned or for once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::words::words;
use crate::{CheckId, Flag, MuteId, Timestamp};

words! {
    /// Why nobody is messaged.
    MuteKind {
        /// A planned span: what happens in it is expected.
        Maintenance = "maintenance",
        /// An agreement to hear nothing of known trouble.
        Silence = "silence",
    }
}

impl MuteKind {
    /// What a verdict is flagged with.
    pub const fn flag(self) -> Flag {
        match self {
            Self::Maintenance => Flag::Maintenance,
            Self::Silence => Flag::Silenced,
        }
    }
}

/// A span in which nobody is messaged about some checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Why.
    pub kind: MuteKind,
    /// Its name, unique among those of its kind.
    pub id: MuteId,
    /// The checks that it covers.
    pub checks: BTreeSet<CheckId>,
    /// When.
    pub period: Period,
    /// The reason that its author gave.
    pub reason: Option<String>,
}

/// When a mute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Period {
    /// Once.
    Once {
        /// From then on.
        from: Timestamp,
        /// Until just before then.
        to: Timestamp,
    },
    /// On some days of each week.
    Weekly {
        /// The days on which it begins: at least one.
        days: BTreeSet<Weekday>,
        /// The time of those days at which it begins, since midnight.
        at: Duration,
        /// How long it lasts: more than nothing, at most a week.
        lasts: Duration,
        /// Whose clocks show that time.
        zone: Zone,
    },
}

words! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

/// A time zone as data: what its clocks show, and from when on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name, such as `Europe/Berlin`.
    pub name: String,
    /// Seconds that its clocks are ahead of UTC from an instant on, in order. The first holds before
    /// its instant too. None is UTC.
    pub offsets: Arc<[(Timestamp, i32)]>,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), offsets: Arc::default() }
    }
}
