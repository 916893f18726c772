//! Certificates near their end: the target works, and will stop doing so on a known day.
//!
//! **What it decides.** A check is `degraded` while a certificate that its target shows ends within
//! the time that the check asks to be warned before. Two regions must have seen the same end (one,
//! if no more are configured), so that an edge or a middlebox that one region alone meets says
//! nothing. It is over when no region that succeeds has seen such an end for as long as a recovery
//! must last.
//!
//! **Whose clock.** An end is a date of the outside world, so it is compared with the coordinator's
//! clock, and with no agent's. Nothing else in the core looks at what the clock says.
//!
//! **What people are told.** One notice for each end, never a page. It waits while an incident is
//! open, and for as long as a new failure would reopen the last one: whoever is busy with an outage
//! does not need a date. A notice of a certificate never stands in the way of anything else: worse
//! trouble takes its incident over and ends it like any other, and what then is left of the
//! certificate is shown, but not told again.
//!
//! **Why beside the votes.** A certificate can be near its end for weeks. As a state of the votes it
//! would keep every incident open for so long.
//!
//! **What it ignores.** Certificates of failed probes: what fails has detectors of its own.

use quorate_model::{CertificatePolicy, Incident, IncidentState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::limits::CERTIFICATE_WITNESSES;

/// The end of a certificate that is none.
pub(crate) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// What is known of the certificates of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiry {
    /// The end that is near.
    pub(crate) ends: Option<Timestamp>,
    /// Since when nobody sees a near end any more.
    gone: Option<Timestamp>,
    /// The end that people were told of last.
    told: Option<Timestamp>,
    /// Whether the open incident is about the certificate and nothing else.
    pub(crate) is_incident: bool,
}

/// A certificate near its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) ends: Timestamp,
    /// Ends before this are near.
    pub(crate) before: Timestamp,
}

impl Expiry {
    /// Takes in the soonest end that each region with a success has seen. Ends before `before` are
    /// near.
    pub(crate) fn follow(
        &mut self,
        seen: &[Timestamp],
        before: Timestamp,
        configured: usize,
        now: Timestamp,
    ) {
        let least = configured.min(CERTIFICATE_WITNESSES);
        let mut near: Vec<Timestamp> = seen.iter().copied().filter(|end| *end < before).collect();
        near.sort_unstable();
        let mut runs = near.chunk_by(|a, b| a == b);
        if let Some(run) = runs.find(|run| run.len() >= least) {
            self.ends = run.first().copied();
        }
        if !near.is_empty() {
            self.gone = None;
        } else if !seen.is_empty() && self.ends.is_some() {
            self.gone.get_or_insert(now);
        }
    }

    /// When what nobody sees any more is over.
    pub(crate) fn over(&self, recovery: std::time::Duration) -> Option<Timestamp> {
        self.gone.map(|gone| gone + recovery)
    }

    /// Nothing ends soon.
    pub(crate) fn clear(&mut self) {
        self.ends = None;
        self.gone = None;
    }

    /// The end that people have not been told of.
    pub(crate) fn untold(&self) -> Option<Timestamp> {
        self.ends.filter(|ends| self.told != Some(*ends))
    }

    /// People are told.
    pub(crate) fn tell(&mut self) {
        self.told = self.ends;
        self.is_incident = true;
    }
}

impl Near {
    /// What ends soon at `now`.
    pub(crate) fn of(expiry: &Expiry, policy: CertificatePolicy, now: Timestamp) -> Option<Self> {
        Some(Self { ends: expiry.ends?, before: now + policy.warn? })
    }
}

/// From when on people can be told: not while another incident is open, nor while it could reopen.
pub(crate) fn quiet_from(
    incident: Option<&Incident>,
    reopen_within: std::time::Duration,
) -> Option<Timestamp> {
    match incident {
        None => Some(Timestamp::EPOCH),
        Some(incident) if incident.state == IncidentState::Open => None,
        Some(incident) => {
            Some(incident.resolved.map_or(Timestamp::EPOCH, |end| end + reopen_within))
        }
    }
}

/// When a certificate ends, in words.
pub(crate) fn in_words(ends: Timestamp, now: Timestamp) -> String {
    let (word, left, then) = if ends > now {
        ("ends in ", ends.since(now), "")
    } else {
        ("ended ", now.since(ends), " ago")
    };
    let (hours, minutes) = (left.as_secs() / 3_600, left.as_secs() / 60);
    let span = match (hours / 24, hours) {
        (2.., _) => format!("{} days", hours / 24),
        (_, 2..) => format!("{hours} hours"),
        _ => format!("{minutes} minutes"),
    };
    format!("certificate {word}{span}{then}, at {ends}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn day(count: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(count * 86_400)
    }

    fn after(sightings: &[&[u64]], configured: usize) -> Option<Timestamp> {
        let mut expiry = Expiry::default();
        for seen in sightings {
            let seen: Vec<Timestamp> = seen.iter().map(|count| day(*count)).collect();
            expiry.follow(&seen, day(100), configured, day(90));
        }
        expiry.ends
    }

    #[test]
    fn two_regions_must_see_the_same_end() {
        assert_eq!(after(&[&[95, 95, 150]], 5), Some(day(95)));
        assert_eq!(after(&[&[95, 96, 150]], 5), None);
        assert_eq!(after(&[&[150, 150, 100]], 5), None, "on the day itself it is not near yet");
        assert_eq!(after(&[&[96, 97, 96, 97]], 5), Some(day(96)), "the soonest");
        assert_eq!(after(&[&[95]], 1), Some(day(95)), "one is all there is");
        assert_eq!(after(&[&[]], 5), None);
    }

    #[test]
    fn it_goes_when_nobody_sees_it_any_more() {
        let mut expiry = Expiry::default();
        let minute = Duration::from_secs(60);
        expiry.follow(&[day(95), day(95)], day(100), 5, day(90));
        assert_eq!(expiry.over(minute), None);
        expiry.follow(&[day(95), day(150)], day(100), 5, day(91));
        assert_eq!(expiry.over(minute), None, "one still does");
        expiry.follow(&[], day(100), 5, day(91));
        assert_eq!(expiry.over(minute), None, "nobody sees anything");
        expiry.follow(&[day(150), NEVER], day(100), 5, day(92));
        expiry.follow(&[day(150)], day(100), 5, day(93));
        assert_eq!(expiry.over(minute), Some(day(92) + minute));
        expiry.follow(&[day(95)], day(100), 5, day(94));
        assert_eq!(expiry.over(minute), None, "it is back");
    }

    #[test]
    fn a_date_is_told_in_the_unit_that_matters() {
        let at = |secs| Timestamp::EPOCH + Duration::from_secs(secs);
        let says = |ends, now| in_words(at(ends), at(now)).split(',').next().unwrap().to_owned();
        assert_eq!(says(6 * 86_400 + 7_000, 0), "certificate ends in 6 days");
        assert_eq!(says(2 * 86_400, 1), "certificate ends in 47 hours");
        assert_eq!(says(7_199, 0), "certificate ends in 119 minutes");
        assert_eq!(says(0, 3 * 86_400), "certificate ended 3 days ago");
    }
}
