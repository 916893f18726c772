//! What confirmation rounds may cost the hosts that are probed, and what one region may start.
//!
//! **Hosts.** However many checks a host serves, confirmations add at most twenty probes in ten
//! seconds to its load (or one round, if a round is larger than that). Those that find no room
//! wait; the schedule goes on meanwhile, so their outage is still found once enough regions have had
//! their turn: in half an interval and a timeout if `K` failures are proof, else a turn or two later.
//!
//! **Storms.** A region that suspects three different hosts within a moment has more likely lost
//! its own network than seen three outages. Its next suspicions start rounds for a sample of
//! checks only; the others keep their schedule and are not forgotten.
//!
//! **Example.** A region is cut off while it watches 500 checks. Two of them are confirmed at once,
//! eighteen more as the sample; the other 480 cost nobody anything.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::Timestamp;

use crate::liveness::RegionIx;

/// Probes that confirmations may add to one host...
const PROBES_MAX: u64 = 20;

/// ...within this time.
const WINDOW: Duration = Duration::from_secs(10);

/// Different hosts that make a storm.
const STORM_HOSTS: usize = 3;

/// Checks that are confirmed in a storm.
const SAMPLE: u32 = 20;

/// A storm is over when the region has suspected nobody for so long.
const CALM: Duration = Duration::from_secs(10);

/// So many hosts are remembered before those that are at rest are forgotten.
const KEPT: usize = 1_024;

/// The host in a URL or in `host:port`.
pub(crate) fn host(target: &str) -> &str {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return host.split_once(']').map_or(host, |(inside, _)| &inside[1..]);
    }
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    /// When it will be empty again: it drains at twenty probes in ten seconds.
    empty_at: Timestamp,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Storm {
    /// The last different hosts that were suspected, and when.
    hosts: Vec<(String, Timestamp)>,
    /// The latest suspicion in a storm.
    latest: Option<Timestamp>,
    sampled: u32,
}

/// The purses of all hosts, and the storms of all regions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    buckets: BTreeMap<String, Bucket>,
    storms: BTreeMap<RegionIx, Storm>,
}

impl Hosts {
    /// Pays for `probes` of the target, or says when there will be room.
    pub(crate) fn pay(
        &mut self,
        target: &str,
        probes: usize,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let probes = u64::try_from(probes).unwrap_or(PROBES_MAX).min(PROBES_MAX);
        let span = |probes: u64| WINDOW * u32::try_from(probes).unwrap_or(0) / 20;
        if self.buckets.len() >= KEPT {
            self.buckets.retain(|_, bucket| bucket.empty_at > now);
        }
        let host = host(target);
        let empty_at = self.buckets.get(host).map_or(now, |bucket| bucket.empty_at.max(now));
        let latest = now + span(PROBES_MAX - probes);
        if empty_at > latest {
            return Err(now + (empty_at - latest));
        }
        self.buckets.insert(host.to_owned(), Bucket { empty_at: empty_at + span(probes) });
        Ok(())
    }

    /// Whether a suspicion of this region may start a round.
    pub(crate) fn admit(
        &mut self,
        region: RegionIx,
        target: &str,
        moment: Duration,
        now: Timestamp,
    ) -> bool {
        let storm = self.storms.entry(region).or_default();
        let host = host(target);
        let window = now.before(moment);
        storm.hosts.retain(|(other, at)| *at >= window && other != host);
        storm.hosts.push((host.to_owned(), now));
        if storm.hosts.len() > STORM_HOSTS {
            storm.hosts.remove(0);
        }
        if storm.latest.is_some_and(|latest| now >= latest + CALM) {
            storm.latest = None;
            storm.sampled = 0;
        }
        if storm.latest.is_none() && storm.hosts.len() < STORM_HOSTS {
            return true;
        }
        storm.latest = Some(now);
        storm.sampled = storm.sampled.saturating_add(1);
        storm.sampled <= SAMPLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn the_host_is_what_checks_share() {
        for (target, name) in [
            ("https://shop.example:8443/a?b#c", "shop.example"),
            ("https://user@shop.example/a", "shop.example"),
            ("mail.example:25", "mail.example"),
            ("https://[2001:db8::1]:443/", "2001:db8::1"),
            ("[2001:db8::1]:25", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("shop", "shop"),
            ("", ""),
        ] {
            assert_eq!(host(target), name, "{target}");
        }
    }

    #[test]
    fn a_host_gets_twenty_probes_in_ten_seconds() {
        let mut hosts = Hosts::default();
        for _ in 0..4 {
            assert_eq!(hosts.pay("https://a/x", 5, at(0)), Ok(()));
        }
        assert_eq!(hosts.pay("https://a/y", 5, at(0)), Err(at(2_500)));
        assert_eq!(hosts.pay("https://b/y", 5, at(0)), Ok(()));
        assert_eq!(hosts.pay("https://a/y", 5, at(2_500)), Ok(()));
        assert_eq!(hosts.pay("https://c/", 500, at(0)), Ok(()), "a large round is not refused");
        assert_eq!(hosts.pay("https://c/", 500, at(0)), Err(at(10_000)));
    }

    #[test]
    fn a_storm_starts_a_sample_only() {
        let mut hosts = Hosts::default();
        let second = Duration::from_secs(1);
        let mut admit = |region, n: u32, ms| {
            hosts.admit(RegionIx(region), &format!("https://t{n}/"), second, at(ms))
        };
        let admitted = (0..500).filter(|n| admit(0, *n, u64::from(*n))).count();
        assert_eq!(admitted, 22);
        assert!(admit(1, 0, 500), "another region is not held up");
        assert!(!admit(0, 600, 10_000));
        assert!(admit(0, 601, 30_000), "the storm has passed");
    }

    #[test]
    fn one_host_with_many_checks_is_no_storm() {
        let mut hosts = Hosts::default();
        let second = Duration::from_secs(1);
        assert!((0..100).all(|n| hosts.admit(RegionIx(0), "https://a/", second, at(n))));
    }
}
