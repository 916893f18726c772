//! Evidence: how unlikely is it that all of these failures are coincidence?
//!
//! **What it decides.** Each failing region adds the log-likelihood of its failure being noise, in
//! integer thousandths of a nat (`ln` units). The sum must reach what the user's budget of false
//! alerts demands:
//!
//! ```text
//! e_g     = ln(q1/p_g)                        it fails although it fails alone in p_g of its probes
//!         + ln(q1/rho)                        if a second probe failed too
//!         + min((now - begin - timeout) / 90 s, 4)   it lasts longer than a burst of noise
//! need(k) = ln(N * year / T) + ln(m / budget) + ln C(N, k)
//! ```
//!
//! **Kin.** Regions of one provider share more than the target. The strongest of them counts in
//! full; each further one adds only `ln(q1/rho_c)` in the place of its first term.
//!
//! **The best subset.** The union bound behind `need` covers every subset of regions, so the proof
//! may be that of any `j` of the `k` failing ones, with `needed <= j <= k`. Taking the best keeps a
//! further failure from ever weakening the proof, however many subsets there are.
//!
//! **Why so.** Under "the target is fine" each `exp(E)` is dominated by a martingale of mean 1, so
//! the chance that a suspicion ever reaches `need(k)` on a given subset is at most `exp(-need(k))`.
//! Over all subsets and all probes of a year that is at most `(N-K+1) * budget / m`.
//!
//! **Fewer than the quorum left.** `ln C(N, k)` is then 0: no subset is chosen, all must fail. The
//! other terms stay, so that losing regions never makes a page cheaper.
//!
//! **What it ignores, on purpose.** Successes: they decide the scope, not whether it is a fault.
//!
//! **Example.** Five regions each minute, one false alert a year: `need(5)` is 17.085. After one
//! round five failures weigh 28.0 (one of them has failed twice): 1 in 10^12 against 1 in 26
//! million.

use std::time::Duration;

use quorate_model::odds::{ln_ratio, log2, nats};

/// Thousandths of a nat.
pub(crate) type MilliNats = i64;

/// `q1`, the chance in parts per million that a probe fails while the target is down.
const FAILS_WHEN_DOWN_PPM: u64 = 990_000;

/// `rho`: of the failures that are noise, so many fail again at once. Source: a public figure says
/// that four of five vanish on a retry.
pub(crate) const AGAIN_PPM: u32 = 200_000;

/// `rho_c`: when a region of a provider fails by noise, so often does another one of it.
const KIN_PPM: u32 = 200_000;

/// `D_b`: mean length of a burst of noise in one region.
pub(crate) const BURST: Duration = Duration::from_secs(90);

/// The most that duration adds to one region.
const PERSISTENCE_MAX: MilliNats = 4_000;

/// `m`: the budget is planned for with this margin.
const MARGIN: u64 = 10;

/// The budget of a check that names none: one false alert a year, in thousandths.
pub(crate) const BUDGET_MILLI: u32 = 1_000;

/// 365.25 days.
const YEAR_MICROS: u64 = 31_557_600_000_000;

/// Not more often than this is the same evidence weighed again because of time.
const STEP_MIN: Duration = Duration::from_millis(100);

/// `log2 C(n, k)`.
fn log2_choose(n: usize, k: usize) -> i64 {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    (0..k.min(n.saturating_sub(k)))
        .map(|place| log2(number(n - place)) - log2(number(place + 1)))
        .sum()
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// What the check asks of a proof.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// `N`, the regions configured.
    pub(crate) configured: usize,
    /// `K`, from those.
    pub(crate) quorum: usize,
    /// How many must fail: the quorum, or all that are left.
    pub(crate) needed: usize,
    /// `T`.
    pub(crate) interval: Duration,
    /// False alerts a year, in thousandths.
    pub(crate) budget_milli: u32,
}

impl Demand {
    /// `need(k)`.
    pub(crate) fn need(&self, failing: usize) -> MilliNats {
        let regions = u64::try_from(self.configured.max(1)).unwrap_or(u64::MAX);
        let epochs = log2(regions.saturating_mul(YEAR_MICROS)) - log2(micros(self.interval));
        let margin = log2(MARGIN * 1_000) - log2(u64::from(self.budget_milli));
        let is_reduced = self.needed < self.quorum;
        let subsets = if is_reduced { 0 } else { log2_choose(self.configured, failing) };
        nats(epochs + margin + subsets).max(0)
    }
}

/// The failure of one region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    /// Regions with the same provider are kin; `None` is kin to nobody.
    pub(crate) provider: Option<&'a str>,
    /// `p_g`: how often it fails although the target is fine, in parts per million.
    pub(crate) alone_ppm: u32,
    /// `rho`: how often a failure by noise is followed by another.
    pub(crate) again_ppm: u32,
    /// Whether a second probe failed too.
    pub(crate) is_retried: bool,
    /// How long it has lasted since the first probe should have ended.
    pub(crate) lasted: Duration,
}

impl Failure<'_> {
    /// The terms that do not depend on the others.
    fn own(&self) -> MilliNats {
        let retry = if self.is_retried { hint(self.again_ppm) } else { 0 };
        retry + self.persistence()
    }

    fn persistence(&self) -> MilliNats {
        let nats = micros(self.lasted).saturating_mul(1_000) / micros(BURST);
        MilliNats::try_from(nats).unwrap_or(MilliNats::MAX).min(PERSISTENCE_MAX)
    }

    fn full(&self) -> MilliNats {
        hint(self.alone_ppm) + self.own()
    }

    /// A further member of its provider; never more than it would weigh alone.
    fn as_kin(&self) -> MilliNats {
        hint(self.alone_ppm.max(KIN_PPM)) + self.own()
    }
}

/// The first or second failure of something that fails by noise in so many of a million cases.
fn hint(ppm: u32) -> MilliNats {
    ln_ratio(FAILS_WHEN_DOWN_PPM, u64::from(ppm)).max(0)
}

/// The evidence weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// What each failure adds, in the order given.
    pub(crate) weights: Vec<MilliNats>,
    /// The sum of the best subset.
    pub(crate) evidence: MilliNats,
    /// What that subset must reach.
    pub(crate) need: MilliNats,
    /// Whether another probe of a failing region could add to it.
    pub(crate) wants_retry: bool,
    /// When duration alone could complete it at the earliest; `None` if it cannot.
    pub(crate) complete_in: Option<Duration>,
}

impl Proof {
    /// Weighs the failures. With fewer than `demand.needed` the sum of all stands against the need
    /// of as many as are needed.
    pub(crate) fn of(failures: &[Failure<'_>], demand: &Demand) -> Self {
        let weights = weights(failures);
        let mut sorted = weights.clone();
        sorted.sort_unstable_by_key(|weight| std::cmp::Reverse(*weight));
        let least = demand.needed.max(1);
        let all: MilliNats = sorted.iter().sum();
        let (mut evidence, mut need) = (all, demand.need(least.max(sorted.len())));
        let mut sum: MilliNats = all;
        for size in (least..sorted.len()).rev() {
            sum -= sorted[size];
            let other = demand.need(size);
            if sum - other > evidence - need {
                (evidence, need) = (sum, other);
            }
        }
        let growing = failures.iter().filter(|f| f.persistence() < PERSISTENCE_MAX).count();
        Self {
            complete_in: time_to(need - evidence, growing),
            wants_retry: failures.iter().any(|failure| !failure.is_retried),
            weights,
            evidence,
            need,
        }
    }

    pub(crate) fn suffices(&self) -> bool {
        self.evidence >= self.need
    }

    /// Whether asking or waiting can still complete it.
    pub(crate) fn can_grow(&self) -> bool {
        self.wants_retry || self.complete_in.is_some()
    }
}

fn time_to(missing: MilliNats, growing: usize) -> Option<Duration> {
    let growing = u32::try_from(growing).ok().filter(|count| *count > 0)?;
    let missing = u32::try_from(missing.max(0)).unwrap_or(u32::MAX);
    Some((BURST.saturating_mul(missing) / 1_000 / growing).max(STEP_MIN))
}

/// What each failure adds: the strongest of each provider in full.
fn weights(failures: &[Failure<'_>]) -> Vec<MilliNats> {
    let full: Vec<MilliNats> = failures.iter().map(Failure::full).collect();
    let leads = |place: usize, provider: &str| {
        let kin = |other: &usize| failures[*other].provider == Some(provider);
        let best =
            (0..failures.len()).filter(kin).max_by_key(|o| (full[*o], std::cmp::Reverse(*o)));
        best == Some(place)
    };
    (0..failures.len())
        .map(|place| match failures[place].provider {
            Some(provider) if !leads(place, provider) => failures[place].as_kin(),
            _ => full[place],
        })
        .collect()
}

#[cfg(test)]
mod tests;
