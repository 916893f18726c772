//! Conflicts: which region is at odds with all the others?
//!
//! **What it decides.** A region whose anchors answer can still be broken: its egress drops a
//! protocol, or its agents run a bad release. It then fails on many targets that the others reach.
//! Each such failure is a trial that speaks against the region, each success that the others share
//! speaks for it, and the sum decides whether its failures count:
//!
//! ```text
//! level = clamp(level + 5.07, .., 20)    it fails, while most of the others succeed before and after
//! level = clamp(level - 1.6, -10, ..)    it succeeds, as most of the others do
//! ```
//!
//! From 14 on the region is *suspect*: its failures are void and start no rounds, its successes
//! count, it goes on probing. Below -4.6 it is believed again.
//!
//! **Targets, not checks.** A trial is one of a target's network (a /24 or /48, or the host where no
//! address is known) as the region itself first met it, at most once for each half interval. Three different networks must be in
//! dispute: a region that cannot reach one of them has a broken *path*, however many checks lie
//! behind it, and that is the check's affair.
//!
//! **Why before and after.** A target that has just broken, or has just been repaired, is seen by one
//! region first. Only a success of the others from before the failure that still holds after it
//! contradicts it.
//!
//! **Never blind.** Less than half of the fleet may be suspect; beyond that "the others" are no
//! majority. A suspicion that no new dispute renews ends after two intervals.
//!
//! **What it ignores.** What agents say of themselves; that is `liveness`.
//!
//! **Example.** In one of five regions TLS breaks. Within seconds it fails on five targets that the
//! others confirm: -10 + 5 x 5.07 = 15.4, suspect.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use quorate_model::Timestamp;

use crate::liveness::RegionIx;
use crate::operators::named;

/// What a failure adds that the others contradict, in thousandths of a nat.
const CONFLICT: i32 = 5_070;

/// What a shared success takes away.
const AGREEMENT: i32 = 1_600;

const LEVEL_MAX: i32 = 20_000;

/// Where a region stands that has always agreed, and each at its start.
const LEVEL_MIN: i32 = -10_000;

const SUSPECT_AT: i32 = 14_000;

const BELIEVED_BELOW: i32 = -4_600;

/// Different networks that must be in dispute.
const NETWORKS_MIN: usize = 3;

/// Networks that are remembered for each region; the oldest are forgotten.
const NETWORKS_MAX: usize = 1_024;

/// What targets share that fail together: their network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Network {
    /// The first three octets of an IPv4 address.
    V4([u8; 3]),
    /// The first three groups of an IPv6 address.
    V6([u16; 3]),
    /// The host, while no address is known.
    Host(String),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Self::V6([a, b, c])
            }
        }
    }
}

/// `192.0.2.0/24`, `2001:db8:1::/48` or the host.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c]) => write!(f, "{a:x}:{b:x}:{c:x}::/48"),
            Self::Host(host) => write!(f, "{}", host.escape_debug()),
        }
    }
}

/// What happened last on a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Trials {
    /// When a trial that spoke against the region counted last, and until when that is in dispute.
    against: Option<(Timestamp, Timestamp)>,
    /// When one that spoke for it counted last.
    in_favour: Option<Timestamp>,
}

/// What speaks for and against one region.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    level: i32,
    networks: BTreeMap<Network, Trials>,
    is_suspect: bool,
    /// When the suspicion ends unless it is renewed.
    lease: Timestamp,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            level: LEVEL_MIN,
            networks: BTreeMap::new(),
            is_suspect: false,
            lease: Timestamp::EPOCH,
        }
    }
}

impl Record {
    fn disputed(&self, now: Timestamp) -> impl Iterator<Item = &Network> {
        self.networks
            .iter()
            .filter(move |(_, trials)| trials.against.is_some_and(|(_, until)| until > now))
            .map(|(network, _)| network)
    }

    fn forget_oldest(&mut self) {
        if self.networks.len() > NETWORKS_MAX {
            let age = |trials: &Trials| trials.against.map(|(at, _)| at).max(trials.in_favour);
            let oldest = self.networks.iter().min_by_key(|(_, trials)| age(trials));
            if let Some(oldest) = oldest.map(|(network, _)| network.clone()) {
                self.networks.remove(&oldest);
            }
        }
    }
}

/// A trial: where and when.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) network: Network,
    /// The interval of the check.
    pub(crate) interval: Duration,
    pub(crate) now: Timestamp,
}

/// The standing of all regions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conflicts {
    records: Vec<Record>,
    /// Regions that have become suspect, or believed, and nobody has acted on it yet.
    changed: Vec<RegionIx>,
}

impl Conflicts {
    fn record(&mut self, region: RegionIx) -> &mut Record {
        let place = region.0 as usize;
        if self.records.len() <= place {
            self.records.resize_with(place + 1, Record::default);
        }
        &mut self.records[place]
    }

    /// Whether nothing speaks against a region, so that what speaks for it changes nothing.
    pub(crate) fn is_quiet(&self, region: RegionIx) -> bool {
        self.records.get(region.0 as usize).is_none_or(|record| record.networks.is_empty())
    }

    pub(crate) fn is_suspect(&self, region: RegionIx) -> bool {
        self.records.get(region.0 as usize).is_some_and(|record| record.is_suspect)
    }

    /// The region succeeds, and most of the others do.
    pub(crate) fn agree(&mut self, region: RegionIx, scene: Scene) {
        if self.is_quiet(region) {
            return;
        }
        let Scene { network, interval, now } = scene;
        let record = self.record(region);
        let trials = record.networks.entry(network).or_default();
        if trials.in_favour.is_some_and(|last| now < last + interval / 2) {
            return;
        }
        trials.in_favour = Some(now);
        record.level = (record.level - AGREEMENT).max(LEVEL_MIN);
        record.forget_oldest();
        if record.level == LEVEL_MIN && record.disputed(now).next().is_none() {
            record.networks.clear();
        }
        if record.is_suspect && record.level < BELIEVED_BELOW {
            record.is_suspect = false;
            self.changed.push(region);
        }
    }

    /// The region fails, and most of the others, of `fleet` regions in all, contradict it.
    pub(crate) fn contradict(&mut self, region: RegionIx, scene: Scene, fleet: usize) {
        let Scene { network, interval, now } = scene;
        let record = self.record(region);
        let trials = record.networks.entry(network).or_default();
        if trials.against.is_some_and(|(last, _)| now < last + interval / 2) {
            return;
        }
        trials.against = Some((now, now + interval * 2));
        record.level = (record.level + CONFLICT).min(LEVEL_MAX);
        record.lease = record.lease.max(now + interval * 2);
        record.forget_oldest();
        let is_broad = record.disputed(now).nth(NETWORKS_MIN - 1).is_some();
        if record.is_suspect || record.level < SUSPECT_AT || !is_broad {
            return;
        }
        let suspects = self.records.iter().filter(|record| record.is_suspect).count();
        if suspects < fleet.saturating_sub(1) / 2 {
            self.record(region).is_suspect = true;
            self.changed.push(region);
        }
    }

    /// Ends a suspicion that nothing has renewed. Returns until when it holds otherwise.
    pub(crate) fn review(&mut self, region: RegionIx, now: Timestamp) -> Option<Timestamp> {
        let record = self.records.get_mut(region.0 as usize).filter(|record| record.is_suspect)?;
        if now < record.lease {
            return Some(record.lease);
        }
        *record = Record::default();
        self.changed.push(region);
        None
    }

    /// A region whose standing has changed.
    pub(crate) fn take_changed(&mut self) -> Option<RegionIx> {
        self.changed.pop()
    }

    /// Some of the networks in dispute, for people.
    pub(crate) fn disputes(&self, region: RegionIx, now: Timestamp) -> String {
        let Some(record) = self.records.get(region.0 as usize) else {
            return String::new();
        };
        let all: Vec<String> = record.disputed(now).map(ToString::to_string).collect();
        named(all.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(60);
    const R: RegionIx = RegionIx(3);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    fn scene(host: u8, seconds: u64) -> Scene {
        Scene { network: Network::V4([10, 0, host]), interval: T, now: at(seconds) }
    }

    #[test]
    fn failures_on_many_networks_that_the_others_contradict_make_a_suspect() {
        let mut conflicts = Conflicts::default();
        for host in 0..4 {
            conflicts.contradict(R, scene(host, 0), 5);
        }
        assert!(!conflicts.is_suspect(R), "four are not enough");
        conflicts.contradict(R, scene(4, 1), 5);
        assert!(conflicts.is_suspect(R));
        assert_eq!(conflicts.take_changed(), Some(R));
        assert_eq!(
            conflicts.disputes(R, at(1)),
            "10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24 and 2 more"
        );
        for host in 0..12 {
            conflicts.agree(R, scene(host, 30));
        }
        assert!(conflicts.is_suspect(R), "not so soon");
        conflicts.agree(R, scene(12, 30));
        assert!(!conflicts.is_suspect(R));
        assert_eq!(conflicts.take_changed(), Some(R));
    }

    #[test]
    fn one_network_is_a_path_however_long_it_lasts() {
        let mut conflicts = Conflicts::default();
        for round in 0..100 {
            conflicts.contradict(R, scene(0, round * 60), 5);
            conflicts.contradict(R, scene(1, round * 60), 5);
        }
        assert!(!conflicts.is_suspect(R));
    }

    #[test]
    fn many_checks_behind_one_network_are_one_trial() {
        let mut conflicts = Conflicts::default();
        for _ in 0..100 {
            for host in 0..3 {
                conflicts.contradict(R, scene(host, 7), 5);
            }
        }
        assert!(!conflicts.is_suspect(R), "three trials are not enough");
    }

    #[test]
    fn the_others_must_be_a_majority() {
        let mut conflicts = Conflicts::default();
        for region in 0..5 {
            for host in 0..20 {
                conflicts.contradict(RegionIx(region), scene(host, 0), 5);
            }
        }
        let suspects = (0..5).filter(|region| conflicts.is_suspect(RegionIx(*region))).count();
        assert_eq!(suspects, 2);
    }

    #[test]
    fn a_suspicion_that_nothing_renews_ends() {
        let mut conflicts = Conflicts::default();
        for host in 0..20 {
            conflicts.contradict(R, scene(host, 0), 5);
        }
        assert_eq!(conflicts.review(R, at(60)), Some(at(120)));
        assert_eq!(conflicts.review(R, at(120)), None);
        assert!(!conflicts.is_suspect(R) && conflicts.is_quiet(R));
    }

    #[test]
    fn a_region_that_agrees_again_is_forgotten() {
        let mut conflicts = Conflicts::default();
        conflicts.contradict(R, scene(0, 0), 5);
        for minute in 1..8 {
            conflicts.agree(R, scene(1, minute * 60));
        }
        assert!(conflicts.is_quiet(R));
    }
}
