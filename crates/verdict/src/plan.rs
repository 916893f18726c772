//! The planner: what a check can promise, before anything breaks.
//!
//! **What it says.** For each number of failing regions that may decide, how long a black hole of
//! them takes to be told in the worst case and in the mean; how many false alerts to expect; what
//! confirmations add to the load; what single dependency could fool the quorum. And whether the
//! time that the user asks for can be kept, with the nearest setting that can if it cannot.
//!
//! **How.** The wait until the first probe meets the outage, the lateness that raises suspicion,
//! one push to the agents and one timeout; a second round if one does not prove enough; then
//! duration. With `k` of `N` regions failing the longest gap between their slots is `(N-k+1) T/N`,
//! the mean wait over all choices of them `(2N-k+1) / 2(k+1) * T/N`. Failing regions are taken to
//! share their providers as much as they can.
//!
//! **Regions that must differ** make nothing faster or slower: the times are those of failing
//! regions that differ enough. Fewer regions may then be lost or wrong: those that hold what the
//! others lack.
//!
//! **Example.** Five regions of five providers, 60 s and 10 s: all five fail 24.2 s, four 36.2 s,
//! three 58.4 s. For 15 s the interval must be 14 s; 10 s cannot be had with this timeout.

mod distinct;
mod load;

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{Check, CheckId, Fleet, FleetPolicy, HumanDuration};

pub use distinct::Difference;

use crate::evidence::{AGAIN_PPM, BUDGET_MILLI, BURST, Demand, Failure, Proof};

/// `d`: from the coordinator's word to the start of a probe, with some room.
const PUSH: Duration = Duration::from_millis(200);

/// `p`: how often a probe fails although the target is fine, until more is known.
const ALONE_PPM: u32 = 5_000;

/// 365.25 days.
const YEAR: Duration = Duration::from_secs(31_557_600);

/// The margin with which the budget is planned for.
const MARGIN: u64 = 10;

/// Budgets that are offered, in false alerts a year.
const BUDGETS: [u32; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/// What a check can promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which check.
    pub check: CheckId,
    /// `K`, and of how many regions.
    pub quorum: (usize, usize),
    /// How many regions may be silent, cut off or lying without a false page or a missed outage.
    pub tolerated: usize,
    /// How the failing regions must differ.
    pub distinct: Vec<Difference>,
    /// What the evidence must reach when the quorum alone fails, in thousandths of a nat; 0 if the
    /// number decides.
    pub need_milli_nats: u32,
    /// Time to detect, for each number of failing regions from the quorum to all of them.
    pub steps: Vec<Step>,
    /// False alerts to expect at most in a year, in thousandths.
    pub false_alerts_per_year_milli: u64,
    /// What confirmations add to the scheduled probes of this check, in parts per million: those of
    /// its own suspicions and, if it probes the origin of others, of theirs.
    pub extra_load_ppm: u64,
    /// The label that most regions share, if two do.
    pub shared: Option<Shared>,
    /// Why the check cannot keep what was asked of it.
    pub refusal: Option<Refusal>,
}

/// How long an outage takes to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Seen from so many regions.
    pub failing: usize,
    /// At most so long; `None` if never.
    pub worst: Option<Duration>,
    /// So long in the mean; `None` if never.
    pub mean: Option<Duration>,
}

/// Something that regions have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// What: `provider`, `country`, `transit` or `resolver`.
    pub label: String,
    /// Which.
    pub value: String,
    /// How many regions share it.
    pub regions: usize,
    /// Whether they are a quorum: its fault alone would look like the target's.
    pub is_quorum: bool,
}

/// Why something cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked, and what is possible.
    pub why: String,
    /// The nearest setting that can keep it, as it is written; `None` if none was found.
    pub nearest: Option<String>,
}

/// Plans one check.
pub fn plan(check: &Check, fleet: &Fleet) -> Plan {
    plan_one(check, fleet, &load::fronts(fleet))
}

/// Plans all checks of a fleet.
pub fn plan_all(fleet: &Fleet) -> Vec<Plan> {
    let fronts = load::fronts(fleet);
    fleet.checks.values().map(|check| plan_one(check, fleet, &fronts)).collect()
}

fn plan_one(check: &Check, fleet: &Fleet, fronts: &load::Fronts<'_>) -> Plan {
    let (regions, quorum) = (check.regions.len(), check.quorum_count());
    let providers = providers(check, fleet);
    let setting = Setting { check, policy: &fleet.policy, providers: &providers };
    let steps: Vec<Step> = (quorum..=regions).map(|failing| setting.step(failing)).collect();
    let distinct = distinct::differences(check, fleet);
    let hidden_by = distinct.iter().map(|difference| difference.hidden_by).min();
    let tolerated = (regions - quorum.min(regions)).min(quorum.saturating_sub(1));
    let need = if is_weighed(check) { demand(check).need(quorum) } else { 0 };
    Plan {
        check: check.id.clone(),
        quorum: (quorum, regions),
        tolerated: hidden_by.map_or(tolerated, |few| tolerated.min(few.saturating_sub(1))),
        distinct,
        need_milli_nats: u32::try_from(need).unwrap_or(u32::MAX),
        steps,
        false_alerts_per_year_milli: false_alerts_milli(check),
        extra_load_ppm: load::extra_ppm(check, fronts, fleet),
        shared: shared(check, fleet, quorum),
        refusal: setting.refusal(),
    }
}

fn is_weighed(check: &Check) -> bool {
    check.quorum_count() > 1 && !check.alert.ignores_evidence
}

fn demand(check: &Check) -> Demand {
    let quorum = check.quorum_count();
    Demand {
        configured: check.regions.len(),
        quorum,
        needed: quorum,
        interval: check.interval,
        budget_milli: check.alert.false_alerts_per_year_milli.unwrap_or(BUDGET_MILLI),
    }
}

/// The providers of the check's regions, largest first, one entry for each region.
fn providers<'a>(check: &'a Check, fleet: &'a Fleet) -> Vec<Option<&'a str>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alone = 0;
    for region in &check.regions {
        match fleet.regions.get(region).and_then(|region| region.labels.get("provider")) {
            Some(provider) => *counts.entry(provider).or_default() += 1,
            None => alone += 1,
        }
    }
    let mut sorted: Vec<(&str, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(provider, count)| (std::cmp::Reverse(*count), *provider));
    let named = sorted.into_iter().flat_map(|(name, count)| std::iter::repeat_n(Some(name), count));
    named.chain(std::iter::repeat_n(None, alone)).collect()
}

#[derive(Clone, Copy)]
struct Setting<'a> {
    check: &'a Check,
    policy: &'a FleetPolicy,
    providers: &'a [Option<&'a str>],
}

impl Setting<'_> {
    /// From the start of the first probe that fails to the page; `None` if never.
    fn proof_time(&self, failing: usize) -> Option<Duration> {
        let check = self.check;
        let seen = self.policy.suspect_after(check.timeout) + PUSH + check.timeout;
        if !is_weighed(check) {
            return Some(seen);
        }
        let proof = |is_retried: &dyn Fn(usize) -> bool| {
            let failures: Vec<Failure<'_>> = (0..failing)
                .map(|place| Failure {
                    provider: self.providers.get(place).copied().flatten(),
                    alone_ppm: ALONE_PPM,
                    again_ppm: AGAIN_PPM,
                    is_retried: is_retried(place),
                    lasted: Duration::ZERO,
                })
                .collect();
            Proof::of(&failures, &demand(check))
        };
        if proof(&|place| place == 0).suffices() {
            return Some(seen);
        }
        let second = proof(&|_| true);
        let round = seen + check.timeout + PUSH;
        if second.suffices() {
            return Some(round);
        }
        let most = BURST * 4;
        second.complete_in.filter(|wait| *wait <= most).map(|wait| round.max(seen + wait))
    }

    fn step(&self, failing: usize) -> Step {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let regions = self.check.regions.len().max(1);
        let slot = self.check.interval / count(regions);
        let gap = slot * count(regions - failing + 1);
        let wait = slot * count(2 * regions - failing + 1) / (2 * (count(failing) + 1));
        // It pages once it has lasted for long enough.
        let ignored = self.check.alert.ignore_shorter_than;
        let proof = self.proof_time(failing).map(|proof| proof + ignored);
        Step {
            failing,
            worst: proof.map(|proof| gap + proof),
            mean: proof.map(|proof| wait + proof),
        }
    }

    fn worst(&self) -> Option<Duration> {
        self.step(self.check.regions.len()).worst
    }

    /// Why the check cannot keep what was asked of it, judged by an outage that all regions see.
    fn refusal(&self) -> Option<Refusal> {
        let Some(worst) = self.worst() else {
            return Some(Refusal {
                why: "the budget of false alerts is so small that no outage could ever be proven"
                    .to_owned(),
                nearest: self.nearest_budget(),
            });
        };
        let within = self.check.alert.within.filter(|within| *within < worst)?;
        Some(Refusal {
            why: format!(
                "an outage can take {} to detect, not {}",
                HumanDuration(tenths(worst)),
                HumanDuration(within)
            ),
            nearest: self
                .nearest_interval(within)
                .or_else(|| self.nearest_timeout(within))
                .or_else(|| self.nearest_both(within)),
        })
    }

    fn keeps(&self, within: Duration, change: impl Fn(&mut Check)) -> bool {
        let mut check = self.check.clone();
        change(&mut check);
        Setting { check: &check, ..*self }.worst().is_some_and(|worst| worst <= within)
    }

    /// The longest interval in whole seconds that keeps the time; longer than the timeout.
    fn nearest_interval(&self, within: Duration) -> Option<String> {
        let regions = u32::try_from(self.check.regions.len()).unwrap_or(u32::MAX);
        let fixed = self.policy.suspect_after(self.check.timeout)
            + PUSH
            + self.check.timeout
            + self.check.alert.ignore_shorter_than;
        let most = (within.checked_sub(fixed)? * regions).as_secs();
        let most = most.min(self.check.interval.as_secs());
        let least = self.check.timeout.as_secs() + 1;
        // A shorter interval asks for more evidence, so the first guess may be too long.
        let tried = (least..=most).rev().take(1_000);
        let found = tried
            .map(Duration::from_secs)
            .find(|interval| self.keeps(within, |check| check.interval = *interval))?;
        Some(format!("interval: {}", HumanDuration(found)))
    }

    /// The longest timeout in tenths of a second that keeps the time.
    fn nearest_timeout(&self, within: Duration) -> Option<String> {
        let most = self.check.timeout.as_millis() / 100;
        let tried = (1..u64::try_from(most).unwrap_or(0)).rev().take(6_000);
        let found = tried
            .map(|tenth| Duration::from_millis(tenth * 100))
            .find(|timeout| self.keeps(within, |check| check.timeout = *timeout))?;
        Some(format!("timeout: {}", HumanDuration(found)))
    }

    /// The longest timeout in whole seconds that keeps the time with some interval.
    fn nearest_both(&self, within: Duration) -> Option<String> {
        (1..self.check.timeout.as_secs()).rev().take(600).find_map(|timeout| {
            let timeout = Duration::from_secs(timeout);
            let check = Check { timeout, ..self.check.clone() };
            let interval = Setting { check: &check, ..*self }.nearest_interval(within)?;
            Some(format!("timeout: {}, {interval}", HumanDuration(timeout)))
        })
    }

    fn nearest_budget(&self) -> Option<String> {
        let found = BUDGETS.into_iter().find(|budget| {
            self.keeps(Duration::MAX, |check| {
                check.alert.false_alerts_per_year_milli = Some(budget * 1_000);
            })
        })?;
        Some(format!("false_alerts: {found} per year"))
    }
}

/// Rounded up to tenths of a second.
fn tenths(time: Duration) -> Duration {
    let tenths = time.as_millis().div_ceil(100);
    Duration::from_millis(u64::try_from(tenths).unwrap_or(u64::MAX).saturating_mul(100))
}

/// With evidence, the bound `(N-K+1) * budget / m`. Without, so often do `K` regions fail within
/// one interval of each other: `N * year / T * p * C(N-1, K-1) * p^(K-1)`, and one that decides
/// alone fails its retry too.
fn false_alerts_milli(check: &Check) -> u64 {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (regions, quorum) = (number(check.regions.len()), number(check.quorum_count()));
    if is_weighed(check) {
        return (regions - quorum + 1) * u64::from(demand(check).budget_milli) / MARGIN;
    }
    let million = 1_000_000_u128;
    let interval = check.interval.as_micros().max(1);
    // In millionths of a thousandth, so that a small chance is not lost at once.
    let mut rate = u128::from(regions) * YEAR.as_micros() * 1_000 * million / interval;
    rate = rate * u128::from(ALONE_PPM) / million;
    if quorum == 1 {
        rate = rate * u128::from(AGAIN_PPM) / million;
    }
    for place in 1..quorum {
        let choices = u128::from(regions - place);
        rate = rate * choices / u128::from(place) * u128::from(ALONE_PPM) / million;
    }
    u64::try_from(rate / million).unwrap_or(u64::MAX)
}

fn shared(check: &Check, fleet: &Fleet, quorum: usize) -> Option<Shared> {
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let labels = ["provider", "country", "transit", "resolver"];
    for region in check.regions.iter().filter_map(|region| fleet.regions.get(region)) {
        for (place, label) in labels.iter().enumerate() {
            if let Some(value) = region.labels.get(*label) {
                *counts.entry((place, value)).or_default() += 1;
            }
        }
    }
    let (&(place, value), &regions) = counts
        .iter()
        .filter(|(_, count)| **count > 1)
        .max_by_key(|((place, _), count)| (**count, std::cmp::Reverse(*place)))?;
    Some(Shared {
        label: labels[place].to_owned(),
        value: value.to_owned(),
        regions,
        is_quorum: quorum > 1 && regions >= quorum,
    })
}

#[cfg(test)]
mod tests;
