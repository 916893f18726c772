//! Years in which the target is fine.

use std::time::Duration;

use quorate_sim::soak::{Model, Region, Setting, Tally, Watch};

use crate::{Extent, Outcome, pool, say};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(31_557_600);
/// Years that one engine watches.
const AT_ONCE: u64 = 50;
/// Fewer false alerts in a check-year are promised.
const PROMISED: f64 = 0.1;
/// Where a region is that is cut off.
const CUT_OFF: usize = 3;

fn watch(setting: &Setting, span: Duration) -> Outcome<Tally> {
    let mut watch = Watch::new(setting)?;
    watch.play(span);
    Ok(watch.tally())
}

/// Watches for so many years, some at once, each with its own luck.
fn years(setting: &Setting, years: u32) -> Outcome<Tally> {
    let shares: Vec<(u64, u64)> = (0..).zip(pool::shares(years.into(), AT_ONCE)).collect();
    let tallies = pool::each(&shares, |(number, years)| {
        let seed = setting.seed + number * 1_000_003;
        let years = u32::try_from(*years).unwrap_or(u32::MAX);
        watch(&Setting { seed, ..setting.clone() }, YEAR * years)
    })?;
    Ok(sum(tallies))
}

fn sum(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |mut sum, tally| {
        sum += tally;
        sum
    })
}

fn row(name: &str, tally: &Tally) {
    let rate = tally.pages_at_most().map_or_else(
        || format!("{:.4}", tally.per_year(tally.pages)),
        |most| format!("0 (< {most:.4})"),
    );
    say(&format!(
        "| {name} | {:.1} | {} | {rate} | {:.2} | {:.3} | {:.2} % |",
        tally.years(),
        tally.pages,
        tally.per_year(tally.notices),
        tally.per_year(tally.intermittent),
        tally.extra_load() * 100.0,
    ));
}

/// Whether there are more false pages than promised; over few years, more than luck explains.
fn is_broken(tally: &Tally, extent: &Extent) -> bool {
    let most = PROMISED * tally.years();
    let luck = if extent.is_full { 0.0 } else { 2.0 * most.sqrt() };
    f64::from(u32::try_from(tally.pages).unwrap_or(u32::MAX)) >= most + luck
}

/// Plays all noise, and says which promises are broken.
pub(crate) fn soak(extent: &Extent) -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    say("Noise: five regions, one check each 60 s, timeout 10 s, one false alert a year allowed.");
    say("");
    say("| noise | check-years | false pages | a check-year (95 %) | notices a check-year \
         | of them intermittent | extra probes |");
    say("|---|---|---|---|---|---|---|");
    for model in [Model::Alone, Model::Bursts, Model::SharedProvider] {
        let tally = years(&Setting::plain(extent.seed, model), extent.years)?;
        row(model.as_str(), &tally);
        if is_broken(&tally, extent) {
            let rate = tally.per_year(tally.pages);
            broken.push(format!("{rate:.3} false alerts a check-year with {}", model.as_str()));
        }
    }
    let excluded = Setting::plain(extent.seed, Model::Bursts).with(CUT_OFF, Region::Island);
    let tally = years(&excluded, extent.excluded_years)?;
    row("bursts; one region cut off for good, and excluded", &tally);
    let isolated = Setting { skips: false, ..excluded }.with(CUT_OFF, Region::Lies(1));
    let shares: Vec<u64> = pool::shares(extent.isolated_days.into(), 100);
    let shares: Vec<(u64, u64)> = (0..).zip(shares).collect();
    let tallies = pool::each(&shares, |(number, days)| {
        let setting = Setting { seed: extent.seed + number * 1_000_003, ..isolated.clone() };
        watch(&setting, DAY * u32::try_from(*days).unwrap_or(u32::MAX))
    })?;
    row("bursts; one region fails for good, and is believed", &sum(tallies));
    let lies = lies(extent)?;
    row("none; any single region lies", &lies);
    if lies.pages > 0 {
        broken.push(format!("{} pages because of a single region", lies.pages));
    }
    Ok(broken)
}

/// Each region in turn fails always, in half of its probes, and now and then, while all is fine.
fn lies(extent: &Extent) -> Outcome<Tally> {
    let settings: Vec<Setting> = (0..5)
        .flat_map(|place| [1, 2, 10].map(|times| (place, Region::Lies(times))))
        .map(|(place, lie)| Setting::plain(extent.seed, Model::Silent).with(place, lie))
        .collect();
    let tallies = pool::each(&settings, |setting| watch(setting, DAY * extent.lying_days))?;
    Ok(sum(tallies))
}
