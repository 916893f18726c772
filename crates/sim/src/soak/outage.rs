//! Outages at random phases, and how long they take to be told.

use std::time::Duration;

use quorate_model::{AlertKind, Timestamp};

use super::setting::Setting;
use super::watch::Watch;
use crate::random::Draw;

/// How long a check is left in peace between two outages.
const PEACE: Duration = Duration::from_secs(86_400);
/// Before the first, a week in which the regions become known.
const LEARNING: Duration = Duration::from_secs(7 * 86_400);

/// The target is out of order for some regions.
#[derive(Debug, Clone)]
pub struct Outage {
    /// Who is hit, by the place of the region.
    pub regions: Vec<usize>,
    /// Whether probes fail at once; else they time out.
    pub is_error: bool,
    /// One in so many requests fails, by chance: with 1 all do.
    pub one_in: u32,
    /// How long it lasts.
    pub lasts: Duration,
}

/// An outage that takes place.
#[derive(Debug)]
pub(super) struct Trouble {
    outage: Outage,
    pub(super) from: Timestamp,
    to: Timestamp,
    luck: Draw,
}

impl Trouble {
    pub(super) const fn is_error(&self) -> bool {
        self.outage.is_error
    }

    /// Whether a probe of the region in this place, started at `at`, fails.
    pub(super) fn hits(&self, place: usize, at: Timestamp) -> bool {
        let chance = || {
            let numbers = (u64::try_from(place).unwrap_or(0), u64::try_from(at.as_micros()));
            let draw = self.luck.number(numbers.0).number(numbers.1.unwrap_or(0));
            draw.happens(1.0 / f64::from(self.outage.one_in.max(1)))
        };
        self.from <= at && at < self.to && self.outage.regions.contains(&place) && chance()
    }
}

/// How long outages took to be told, shortest first.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// Those that were told while they lasted, by a page or a notice.
    pub told: Vec<Duration>,
    /// How many were not.
    pub missed: usize,
    /// Pages and notices that were sent while they lasted.
    pub messages: usize,
    /// The pages of them.
    pub pages: usize,
    /// Pages that no outage was the reason for.
    pub false_pages: usize,
}

impl Delays {
    /// The mean.
    pub fn mean(&self) -> Duration {
        let count = u32::try_from(self.told.len()).unwrap_or(u32::MAX).max(1);
        self.told.iter().sum::<Duration>() / count
    }

    /// What so many of a hundred do not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = (self.told.len() * percent).div_ceil(100).saturating_sub(1);
        self.told.get(place).copied().unwrap_or_default()
    }

    /// Takes in those of another run.
    pub fn merge(&mut self, other: Self) {
        self.told.extend(other.told);
        self.told.sort_unstable();
        self.missed += other.missed;
        self.messages += other.messages;
        self.pages += other.pages;
        self.false_pages += other.false_pages;
    }
}

/// Lets a target break `count` times, a day apart and at random phases.
pub fn detect(setting: &Setting, outage: &Outage, count: u64) -> Result<Delays, String> {
    let mut watch = Watch::new(setting)?;
    let mut delays = Delays::default();
    let draw = Draw::of(setting.seed).word("onset");
    watch.play(LEARNING);
    for number in 0..count {
        let draw = draw.number(number);
        let from = watch.now() + PEACE + draw.between(Duration::ZERO, Duration::from_secs(3_600));
        let to = from + outage.lasts;
        let luck = draw.word("luck");
        watch.trouble = Some(Trouble { outage: outage.clone(), from, to, luck });
        let before = watch.told.len();
        watch.play(to - watch.now());
        let told = &watch.told[before..];
        let is_early = |(at, kind): &&(Timestamp, AlertKind)| *at < from && is_page(*kind);
        delays.false_pages += told.iter().filter(is_early).count();
        let told: Vec<_> = told.iter().filter(|(at, _)| *at >= from).collect();
        delays.messages += told.len();
        delays.pages += told.iter().filter(|(_, kind)| is_page(*kind)).count();
        match told.first() {
            Some((at, _)) => delays.told.push(*at - from),
            None => delays.missed += 1,
        }
    }
    delays.told.sort_unstable();
    Ok(delays)
}

fn is_page(kind: AlertKind) -> bool {
    kind == AlertKind::Page
}
