//! Outages, and how long they take to be told.

use std::time::Duration;

use quorate_model::Quorum;
use quorate_sim::soak::{Delays, Model, Outage, Region, Setting, detect, detect_in_scenarios};

use crate::{Extent, Outcome, pool, say};

const MINUTE: Duration = Duration::from_secs(60);
/// Outages that one engine sees.
const AT_ONCE: u64 = 250;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// A kind of outage, with the figures that the design gives, as it writes them.
struct Row {
    name: &'static str,
    regions: &'static [usize],
    is_error: bool,
    quorum: Quorum,
    excluded: Option<usize>,
    design: &'static str,
    /// What the mean, and 99 of 100, must stay below, in seconds.
    promised: (f64, f64),
}

impl Row {
    const fn seen_by(name: &'static str, regions: &'static [usize], design: &'static str) -> Self {
        Self {
            name,
            regions,
            is_error: false,
            quorum: Quorum::Majority,
            excluded: None,
            design,
            promised: (f64::INFINITY, f64::INFINITY),
        }
    }

    fn is_full(&self) -> bool {
        self.regions.len() == ALL.len() && self.excluded.is_none()
    }
}

/// The regions are a, b (aws), c (gcp), d (ovh) and e (vultr), by place.
const ROWS: [Row; 9] = [
    Row { promised: (18.5, 24.5), ..Row::seen_by("all five, black hole", &ALL, "18.2 / 24.1") },
    Row {
        is_error: true,
        promised: (6.8, f64::INFINITY),
        ..Row::seen_by("all five, error", &ALL, "6.6")
    },
    Row::seen_by("four of four providers, black hole", &[1, 2, 3, 4], "20.6 / 35.6"),
    Row::seen_by("four of three providers, black hole", &[0, 1, 2, 3], "20.6 / 35.6"),
    Row::seen_by("three of three providers, black hole", &[0, 2, 4], "33.1 / 46.1"),
    Row::seen_by("three of two providers, black hole", &[0, 1, 2], "116 / 139"),
    Row {
        quorum: Quorum::Count(2),
        ..Row::seen_by("two of two providers, quorum 2, black hole", &[0, 2], "292 / 313")
    },
    Row {
        excluded: Some(0),
        ..Row::seen_by("all, one of a pair excluded, black hole", &ALL, "20.7")
    },
    Row {
        excluded: Some(3),
        ..Row::seen_by("all, one without kin excluded, black hole", &ALL, "20.7")
    },
];

fn setting(row: &Row, extent: &Extent) -> Setting {
    let mut setting = Setting::plain(extent.seed, Model::Alone);
    setting.quorum = row.quorum;
    row.excluded.into_iter().fold(setting, |setting, place| setting.with(place, Region::Island))
}

/// Plays an outage so often, on all cores.
fn play(setting: &Setting, outage: &Outage, count: u64) -> Outcome<Delays> {
    let shares: Vec<(u64, u64)> = (0..).zip(pool::shares(count, AT_ONCE)).collect();
    merged(pool::each(&shares, |(number, count)| {
        let seed = setting.seed + number * 1_000_003;
        detect(&Setting { seed, ..setting.clone() }, outage, *count)
    })?)
}

/// The same through the player of scenarios, each with a seed of its own.
fn play_scenarios(is_error: bool, extent: &Extent) -> Outcome<Delays> {
    let shares: Vec<(u64, u64)> = (0..).zip(pool::shares(extent.scenarios, 100)).collect();
    merged(pool::each(&shares, |(number, count)| {
        detect_in_scenarios(is_error, extent.seed + number * 100, *count)
    })?)
}

#[expect(clippy::unnecessary_wraps, reason = "it ends a chain of results")]
fn merged(parts: Vec<Delays>) -> Outcome<Delays> {
    let mut all = Delays::default();
    for part in parts {
        all.merge(part);
    }
    Ok(all)
}

fn line(name: &str, delays: &Delays, design: &str) {
    let played = delays.told.len() + delays.missed;
    say(&format!(
        "| {name} | {played} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {design} |",
        delays.missed,
        delays.mean().as_secs_f64(),
        delays.percentile(99).as_secs_f64(),
        delays.percentile(100).as_secs_f64(),
        share(delays.messages, played),
    ));
}

fn share(part: usize, of: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) / number(of.max(1))
}

fn judge(name: &str, delays: &Delays, (mean, late): (f64, f64), broken: &mut Vec<String>) {
    let (found, found_late) = (delays.mean().as_secs_f64(), delays.percentile(99).as_secs_f64());
    if found >= mean || found_late >= late || mean.is_finite() && delays.missed > 0 {
        broken.push(format!("{name}: {found:.2} s, {found_late:.2} s, missed {}", delays.missed));
    }
}

/// Requests that fail by chance, one in so many, with the mean delay that the design gives and what
/// 99 of 100 must stay below, in seconds.
const INTERMITTENT: [(u32, &str, f64); 3] =
    [(3, "372", 1_200.0), (5, "648", f64::INFINITY), (10, "1,620", f64::INFINITY)];

fn intermittent(extent: &Extent, broken: &mut Vec<String>) -> Outcome<()> {
    say("Targets that fail now and then: seconds to the first notice or page, within three hours.");
    say("");
    say(
        "| one request fails in | played | missed | mean | 99 of 100 | messages each | pages each \
         | design: mean |",
    );
    say("|---|---|---|---|---|---|---|---|");
    for (one_in, design, late) in INTERMITTENT {
        let lasts = MINUTE * 180;
        let outage = Outage { regions: ALL.to_vec(), is_error: true, one_in, lasts };
        let setting = Setting::plain(extent.seed, Model::Alone);
        let delays = play(&setting, &outage, extent.partial_outages)?;
        let played = delays.told.len() + delays.missed;
        let found_late = delays.percentile(99).as_secs_f64();
        say(&format!(
            "| {one_in} | {played} | {} | {:.0} | {found_late:.0} | {:.2} | {:.2} | {design} |",
            delays.missed,
            delays.mean().as_secs_f64(),
            share(delays.messages, played),
            share(delays.pages, played),
        ));
        if found_late >= late {
            broken.push(format!("one in {one_in} fails: 99 of 100 told in {found_late:.0} s"));
        }
    }
    Ok(())
}

/// Plays all outages, and says which promises are broken.
pub(crate) fn soak(extent: &Extent) -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    say(
        "Outages: seconds from the onset to the page, at random phases; 0.5 % of probes fail alone.",
    );
    say("");
    say("| outage | played | missed | mean | 99 of 100 | longest | messages each \
         | design: mean / 99 of 100 |");
    say("|---|---|---|---|---|---|---|---|");
    for row in &ROWS {
        let lasts = if row.is_full() { MINUTE * 3 } else { MINUTE * 12 };
        let regions = row.regions.to_vec();
        let outage = Outage { regions, is_error: row.is_error, one_in: 1, lasts };
        let count = if row.is_full() { extent.outages } else { extent.partial_outages };
        let delays = play(&setting(row, extent), &outage, count)?;
        line(row.name, &delays, row.design);
        judge(row.name, &delays, row.promised, &mut broken);
    }
    for row in &ROWS[..2] {
        let all = play_scenarios(row.is_error, extent)?;
        let name = format!("{}, through the player of scenarios", row.name);
        line(&name, &all, row.design);
        judge(&name, &all, row.promised, &mut broken);
    }
    say("");
    intermittent(extent, &mut broken)?;
    Ok(broken)
}
