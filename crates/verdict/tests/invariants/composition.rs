//! A random composition: a fleet, a check, and what befalls them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AlertPolicy, BlockReason, CertificatePolicy, Check, Distinct, Doubt, Fleet, FleetPolicy,
    Outcome, PartialPolicy, Phase, Quorum, Reason, Region, RegionId, Timestamp,
};

use crate::behind::{Behind, behind_id};
use crate::draw::Dice;

pub(crate) const OK: Outcome = Outcome::Ok;
pub(crate) const REFUSED: Outcome =
    Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };
pub(crate) const STATUS: Outcome = Outcome::Fail { phase: Phase::Assert, reason: Reason::Status };
pub(crate) const TIMEOUT: Outcome =
    Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };
pub(crate) const LIMITED: Outcome = Outcome::Blocked { reason: BlockReason::RateLimit };
pub(crate) const FORBIDDEN: Outcome = Outcome::Blocked { reason: BlockReason::Forbidden };

/// How long a probe takes that is answered at once, in milliseconds.
pub(crate) const QUICK: u64 = 50;

/// A region.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) provider: Option<u64>,
    pub(crate) agents: usize,
    /// The public prefix behind which its agents are, by number.
    pub(crate) prefix: Option<u8>,
}

/// What befalls a region, or one agent of it. Times are milliseconds from the start.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) region: usize,
    /// Only this agent of the region.
    pub(crate) agent: Option<usize>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Probes that start in it end like this, after so long.
    Sees(Outcome, u64),
    /// One probe in so many ends like this.
    Flaky(u64, Outcome, u64),
    /// Nothing is reachable, and the agent knows.
    Island,
    /// The process is gone.
    Dead,
    /// The coordinator is out of reach: what is seen is told when that is over.
    Cut,
    /// Results are delivered up to so much later, in any order.
    Delayed(u64),
    /// Results are delivered so often.
    Repeated(u64),
    /// The agent claims that its probes started so much later than they did.
    Clock(i64),
    /// Suspicions of nothing, at this interval.
    Cries(u64),
}

/// A composition. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Composition {
    /// Decides everything that is left to chance while it is played.
    pub(crate) luck: u64,
    pub(crate) regions: Vec<Place>,
    pub(crate) interval: u64,
    pub(crate) timeout: u64,
    pub(crate) quorum: Quorum,
    /// Of how many different providers failing regions must be, if they must be of several.
    pub(crate) distinct: Option<usize>,
    pub(crate) budget_milli: Option<u32>,
    pub(crate) ignores_evidence: bool,
    /// Whether people are told when nobody can see the check.
    pub(crate) alerts_no_quorum: bool,
    pub(crate) heartbeat: u64,
    pub(crate) faults: Vec<Fault>,
    /// When the coordinator dies, and another one starts from what was stored.
    pub(crate) restarts: Vec<u64>,
    pub(crate) run: u64,
    /// A check that probes the origin of this one.
    pub(crate) behind: Option<Behind>,
}

impl Composition {
    /// A fleet of one to nine regions, mostly of five or so, and a check; nothing happens.
    pub(crate) fn calm(dice: &mut Dice) -> Self {
        let count = match dice.roll(6) {
            0 => dice.between(1, 9),
            1 => dice.between(1, 3),
            _ => dice.between(3, 7),
        };
        let providers = dice.between(1, 6);
        let regions = (0..count).map(|_| Place {
            provider: (!dice.once_in(5)).then(|| dice.roll(providers)),
            agents: *dice.pick(&[1, 1, 1, 2, 3]),
            prefix: None,
        });
        let regions: Vec<Place> = regions.collect();
        let distinct = demand(dice, &regions);
        let mut composition = Self {
            distinct,
            regions,
            interval: *dice.pick(&[20_000, 30_000, 60_000]),
            timeout: *dice.pick(&[2_000, 5_000, 10_000]),
            quorum: match dice.roll(8) {
                0 => Quorum::All,
                1 => Quorum::Any,
                2 => Quorum::Count(2),
                3 => Quorum::Count(u32::try_from(dice.between(1, count)).expect("small")),
                _ => Quorum::Majority,
            },
            budget_milli: *dice.pick(&[None, None, Some(1), Some(100), Some(1_000), Some(100_000)]),
            ignores_evidence: dice.once_in(10),
            alerts_no_quorum: false,
            heartbeat: *dice.pick(&[2_000, 5_000]),
            faults: Vec::new(),
            restarts: Vec::new(),
            run: 600_000,
            luck: dice.roll(u64::MAX),
            behind: None,
        };
        if dice.once_in(3) {
            composition.behind = Some(Behind::draw(dice, &composition, 600_000));
        }
        composition
    }

    /// The interval and the timeout from which the first quorum of votes is surely there.
    pub(crate) fn warm(&self) -> u64 {
        self.interval + self.timeout + 10_000
    }

    /// Lets anything befall these regions, from `from` on.
    pub(crate) fn trouble(&mut self, dice: &mut Dice, regions: &[usize], from: u64) {
        if regions.is_empty() {
            return;
        }
        for _ in 0..dice.between(1, 12) {
            let region = *dice.pick(regions);
            let begin = dice.between(from, self.run);
            let length = match dice.roll(3) {
                0 => self.run,
                1 => dice.between(500, self.timeout * 2),
                _ => dice.between(500, self.interval * 4),
            };
            self.faults.push(Fault {
                region,
                agent: dice.once_in(4).then(|| dice.place(self.regions[region].agents)),
                from: begin,
                to: begin + length,
                what: anything(dice, self.timeout, self.interval),
            });
        }
    }

    /// Delays, within `most`, and repeats the deliveries of any region at any time.
    pub(crate) fn deliver_badly(&mut self, dice: &mut Dice, most: u64) {
        for region in 0..self.regions.len() {
            if dice.once_in(2) {
                let what = if dice.once_in(3) {
                    What::Repeated(dice.between(2, 4))
                } else {
                    What::Delayed(dice.between(1, most))
                };
                self.faults.push(Fault { region, agent: None, from: 0, to: u64::MAX, what });
            }
        }
    }

    /// Puts some regions behind prefixes that others have as well.
    pub(crate) fn share_sometimes(&mut self, dice: &mut Dice) {
        if dice.once_in(3) {
            for place in &mut self.regions {
                place.prefix = *dice.pick(&[None, Some(1), Some(1), Some(2)]);
            }
        }
    }

    pub(crate) fn restart_sometimes(&mut self, dice: &mut Dice) {
        if dice.once_in(3) {
            let count = dice.between(1, 3);
            self.restarts = (0..count).map(|_| dice.between(self.warm(), self.run)).collect();
            self.restarts.sort_unstable();
        }
    }

    pub(crate) fn quorum_count(&self) -> usize {
        self.quorum.count(self.regions.len())
    }

    /// `M`: how many regions may do anything without harm.
    pub(crate) fn tolerated(&self) -> usize {
        let quorum = self.quorum_count();
        (self.regions.len() - quorum).min(quorum - 1)
    }

    /// Whether these regions are as different as they must be.
    pub(crate) fn differ(&self, regions: impl IntoIterator<Item = usize>) -> bool {
        let providers = regions.into_iter().filter_map(|region| self.regions[region].provider);
        providers.collect::<BTreeSet<u64>>().len() >= self.distinct.unwrap_or(0)
    }

    pub(crate) fn freshness(&self) -> Duration {
        let millis = Duration::from_millis;
        FleetPolicy::freshness(millis(self.interval), millis(self.timeout))
    }

    /// How many parts can be left out.
    pub(crate) fn parts(&self) -> usize {
        let behind = self.behind.as_ref().map_or(0, |behind| 2 + behind.faults.len());
        self.faults.len() + self.restarts.len() + self.regions.len() + behind
    }

    /// Leaves a part out, if it is there: a fault, a restart, all but one agents of a region, or
    /// something of what stands behind.
    pub(crate) fn remove(&mut self, part: usize) -> bool {
        if part < self.faults.len() {
            self.faults.remove(part);
            return true;
        }
        let part = part - self.faults.len();
        if part < self.restarts.len() {
            self.restarts.remove(part);
            return true;
        }
        let region = part - self.restarts.len();
        let Some(part) = region.checked_sub(self.regions.len()) else {
            return self.leave_one(region);
        };
        let Some(behind) = self.behind.as_mut() else {
            return false;
        };
        match part {
            0 => self.behind = None,
            1 => return behind.window.take().is_some(),
            part if part - 2 < behind.faults.len() => {
                behind.faults.remove(part - 2);
            }
            _ => return false,
        }
        true
    }

    /// Takes all agents of a region but the first, if no other is spoken of.
    fn leave_one(&mut self, region: usize) -> bool {
        let is_alone = self.faults.iter().all(|f| f.region != region || f.agent.is_none());
        let behind = self.behind.iter().flat_map(|behind| &behind.faults);
        let is_alone = is_alone && behind.clone().all(|f| f.region != region || f.agent.is_none());
        is_alone && std::mem::replace(&mut self.regions[region].agents, 1) > 1
    }

    pub(crate) fn check(&self) -> Check {
        let kind = "http".parse().expect("a kind");
        let options = serde_json::json!({});
        let millis = Duration::from_millis;
        let (interval, timeout) = (millis(self.interval), millis(self.timeout));
        let slow_after = timeout / 2;
        Check {
            id: "shop".parse().expect("an id"),
            revision: Check::fingerprint(&kind, &options, interval, timeout, slow_after),
            kind,
            options,
            target: "https://shop.example".to_owned(),
            interval,
            timeout,
            slow_after,
            regions: (0..self.regions.len()).map(region_id).collect(),
            quorum: self.quorum,
            distinct: self.distinct.map(demanded).into_iter().collect(),
            alert: AlertPolicy {
                to: vec!["oncall".parse().expect("an id")],
                within: None,
                false_alerts_per_year_milli: self.budget_milli,
                ignores_evidence: self.ignores_evidence,
                alerts_no_quorum: self.alerts_no_quorum,
                pages_intermittent: false,
                ignore_shorter_than: Duration::ZERO,
            },
            partial: PartialPolicy::default(),
            certificate: CertificatePolicy::default(),
            labels: BTreeMap::new(),
            depends_on: Vec::new(),
            origin: self.behind.as_ref().map(|_| behind_id()),
            runbook: None,
        }
    }

    /// The fleet of a world that begins at `start`.
    pub(crate) fn fleet_at(&self, start: Timestamp) -> Fleet {
        let check = self.check();
        let behind = self.behind.as_ref().map(|behind| behind.check(&check));
        let checks = [Some(check), behind].into_iter().flatten();
        let regions = self.regions.iter().enumerate().map(|(place, region)| {
            let label = |provider| [("provider".to_owned(), format!("p{provider}"))].into();
            let labels = region.provider.map(label).unwrap_or_default();
            let id = region_id(place);
            (id.clone(), Region { id, labels })
        });
        let heartbeat = Duration::from_millis(self.heartbeat);
        Fleet {
            policy: FleetPolicy {
                heartbeat,
                absent_after: heartbeat * 3,
                ..FleetPolicy::default()
            },
            regions: regions.collect(),
            checks: checks.map(|check| (check.id.clone(), Arc::new(check))).collect(),
            operators: vec!["ops".parse().expect("an id")],
            mutes: self.behind.as_ref().map_or_else(Vec::new, |behind| behind.mutes(start)),
            anchors: Vec::new(),
        }
    }
}

/// Where all have a provider, now and then that failing regions must be of several.
fn demand(dice: &mut Dice, regions: &[Place]) -> Option<usize> {
    let providers: Option<BTreeSet<u64>> = regions.iter().map(|place| place.provider).collect();
    let most = providers.map_or(0, |providers| providers.len());
    let is_asked = most >= 2 && dice.once_in(2);
    is_asked.then(|| 2 + dice.place(most - 1))
}

fn demanded(providers: usize) -> Distinct {
    Distinct { label: "provider".to_owned(), values: u32::try_from(providers).expect("small") }
}

/// The region in this place: `r0`, `r1`, and so on.
pub(crate) fn region_id(place: usize) -> RegionId {
    format!("r{place}").parse().expect("an id")
}

/// How a probe may end, and after how long.
pub(crate) fn ending(dice: &mut Dice, timeout: u64) -> (Outcome, u64) {
    match dice.roll(9) {
        0 | 1 => (TIMEOUT, timeout),
        2 => (REFUSED, QUICK),
        3 => (STATUS, timeout / 3),
        4 => (OK, timeout * 2 / 5),
        5 => (Outcome::Slow, timeout * 4 / 5),
        6 => (LIMITED, QUICK),
        7 => (FORBIDDEN, QUICK),
        _ => (Outcome::Inconclusive { reason: Doubt::Overloaded }, QUICK),
    }
}

/// How a probe of a broken target ends, and after how long.
pub(crate) fn failure(dice: &mut Dice, timeout: u64) -> (Outcome, u64) {
    match dice.roll(3) {
        0 => (TIMEOUT, timeout),
        1 => (REFUSED, QUICK),
        _ => (STATUS, timeout / 3),
    }
}

fn anything(dice: &mut Dice, timeout: u64, interval: u64) -> What {
    let (outcome, takes) = ending(dice, timeout);
    match dice.roll(14) {
        0..=4 => What::Sees(outcome, takes),
        5 | 6 => What::Flaky(dice.between(2, 6), outcome, takes),
        7 | 8 => What::Island,
        9 => What::Dead,
        10 => What::Cut,
        11 => What::Delayed(dice.between(1, interval * 2)),
        12 => match dice.roll(3) {
            0 => What::Repeated(dice.between(2, 4)),
            1 => What::Clock(i64::try_from(dice.roll(interval * 2)).expect("small")),
            _ => What::Clock(-i64::try_from(dice.roll(interval * 2)).expect("small")),
        },
        _ => What::Cries(dice.between(500, interval)),
    }
}
