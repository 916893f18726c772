//! Maintenance windows and silences: which checks they cover, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    Check, CheckId, HumanDuration, Mute, MuteId, MuteKind, Period, Timestamp, Weekday, Zone,
};
use quorate_yaml::{did_you_mean, shown};

use crate::gather::Gather;
use crate::moment::{Instant, Selected};
use crate::raw::{RawEvery, RawMaintenance, RawSilence};
use crate::resolve::named;
use crate::zone::{names, zone};

/// The longest that a weekly window lasts: then it begins again.
const LASTS_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Beyond so many of each kind the file is better generated than read.
const MUTES_MAX: usize = 1_000;
const REASON_MAX: usize = 200;

/// What mutes are about.
pub(crate) type Checks = BTreeMap<CheckId, Arc<Check>>;

/// Reads all maintenance windows and silences.
pub(crate) fn mutes(gather: &mut Gather<'_>, checks: &Checks) -> Vec<Arc<Mute>> {
    let mut mutes = Vec::new();
    for (block, kind) in [("maintenance", MuteKind::Maintenance), ("silences", MuteKind::Silence)] {
        let ids: Vec<MuteId> = named(gather, block);
        if ids.len() > MUTES_MAX {
            gather.error(&[block], format!("there are at most {MUTES_MAX} of them"));
        }
        for id in ids.into_iter().take(MUTES_MAX) {
            let mute = match kind {
                MuteKind::Maintenance => maintenance(gather, &id, checks),
                MuteKind::Silence => silence(gather, &id, checks),
            };
            mutes.extend(mute.map(Arc::new));
        }
    }
    mutes
}

fn maintenance(gather: &mut Gather<'_>, id: &MuteId, checks: &Checks) -> Option<Mute> {
    let path = ["maintenance", id.as_str()];
    let reading = gather.document.read_part::<Option<RawMaintenance>>(&path, &[]);
    let whole = reading.problems.is_empty();
    gather.problems.extend(reading.problems);
    let raw = reading.value.flatten().unwrap_or_default();
    let covered = covered(gather, &path, (raw.checks, raw.labels), checks, whole);
    reason(gather, &path, raw.reason.as_deref());
    if !whole {
        return None;
    }
    let period = match (raw.every, raw.from, raw.to) {
        (Some(every), None, None) => weekly(gather, &path, &every)?,
        (None, Some(from), Some(to)) => once(gather, &path, from.0, to)?,
        (Some(_), ..) => {
            let place = [path[0], path[1], "every"];
            gather.error(&place, "a window is either weekly or once: `every`, or `from` and `to`");
            return None;
        }
        (None, ..) => {
            let hint = "add `from` and `to`, or `every: { days: [sat], at: \"02:00\", for: 2h }`";
            gather.error_with(&path, "a window does not say when it is", hint);
            return None;
        }
    };
    let checks = covered?;
    Some(Mute { kind: MuteKind::Maintenance, id: id.clone(), checks, period, reason: raw.reason })
}

fn silence(gather: &mut Gather<'_>, id: &MuteId, checks: &Checks) -> Option<Mute> {
    let path = ["silences", id.as_str()];
    let reading = gather.document.read_part::<Option<RawSilence>>(&path, &[]);
    let whole = reading.problems.is_empty();
    gather.problems.extend(reading.problems);
    let raw = reading.value.flatten().unwrap_or_default();
    let covered = covered(gather, &path, (raw.checks, raw.labels), checks, whole);
    reason(gather, &path, raw.reason.as_deref());
    if !whole {
        return None;
    }
    let Some(to) = raw.to else {
        let hint = "add `to: 2026-10-01T20:00:00Z`";
        gather.error_with(&path, "a silence does not say when it ends", hint);
        return None;
    };
    let period = once(gather, &path, raw.from.map_or(Timestamp::EPOCH, |from| from.0), to)?;
    let checks = covered?;
    Some(Mute { kind: MuteKind::Silence, id: id.clone(), checks, period, reason: raw.reason })
}

/// The checks that are named or have all the labels.
fn covered(
    gather: &mut Gather<'_>,
    path: &[&str; 2],
    (selected, labels): (Option<Selected>, Option<BTreeMap<String, String>>),
    checks: &Checks,
    whole: bool,
) -> Option<BTreeSet<CheckId>> {
    let labels = labels.unwrap_or_default();
    let mut covered: BTreeSet<CheckId> = match selected {
        Some(Selected::All) => checks.keys().cloned().collect(),
        Some(Selected::Named(names)) => {
            let known = gather.document.keys(&["checks"]).into_iter().collect();
            let names = gather.references(&[path[0], path[1], "checks"], &names, &known, "check");
            names.iter().filter_map(|name| name.parse().ok()).collect()
        }
        None if labels.is_empty() => {
            if whole {
                let hint = "add `checks: [...]`, `checks: all` or `labels: {...}`";
                gather.error_with(path, "it covers no check", hint);
            }
            return None;
        }
        None => BTreeSet::new(),
    };
    if !labels.is_empty() {
        let has = |check: &&Arc<Check>| {
            labels.iter().all(|(name, value)| check.labels.get(name) == Some(value))
        };
        let found: Vec<CheckId> =
            checks.values().filter(has).map(|check| check.id.clone()).collect();
        if found.is_empty() {
            gather.warn(&[path[0], path[1], "labels"], "no check has these labels");
        }
        covered.extend(found);
    }
    Some(covered)
}

fn once(gather: &mut Gather<'_>, path: &[&str; 2], from: Timestamp, to: Instant) -> Option<Period> {
    if to.0 <= from {
        gather.error(&[path[0], path[1], "to"], "it ends before it begins");
        return None;
    }
    Some(Period::Once { from, to: to.0 })
}

fn weekly(gather: &mut Gather<'_>, path: &[&str; 2], every: &RawEvery) -> Option<Period> {
    let before = gather.problems.len();
    let place = [path[0], path[1], "every"];
    let at = |key: &'static str| [path[0], path[1], "every", key];
    for (key, is_there) in [("at", every.at.is_some()), ("for", every.lasts.is_some())] {
        if !is_there {
            gather.error(&place, format!("`every` needs `{key}`"));
        }
    }
    let lasts = every.lasts.map(crate::text::Span::get).unwrap_or_default();
    if every.lasts.is_some() && (lasts.is_zero() || lasts > LASTS_MAX) {
        let message =
            format!("it lasts {}: it must be more than 0s, at most 7d", HumanDuration(lasts));
        gather.error(&at("for"), message);
    }
    let days: BTreeSet<Weekday> = match &every.days {
        None => Weekday::ALL.iter().copied().collect(),
        Some(days) => days.iter().map(|day| day.0).collect(),
    };
    if days.is_empty() {
        gather.error_with(&at("days"), "it is on no day", "leave the key out for each day");
    }
    let zone = match every.timezone.as_deref() {
        None => Some(Zone::utc()),
        Some(name) => zone(name).or_else(|| {
            let message = format!("there is no time zone `{}`", shown(name));
            let mut problem = gather.document.problem(&at("timezone"), message);
            if let Some(hint) = did_you_mean(name, names()) {
                problem = problem.with_hint(hint);
            }
            gather.problems.push(problem);
            None
        }),
    };
    let at = every.at?.0;
    (gather.problems.len() == before).then_some(Period::Weekly { days, at, lasts, zone: zone? })
}

fn reason(gather: &mut Gather<'_>, path: &[&str; 2], reason: Option<&str>) {
    let fits = |reason: &str| {
        reason.chars().count() <= REASON_MAX && !reason.chars().any(char::is_control)
    };
    if reason.is_some_and(|reason| !fits(reason)) {
        let message = format!("a reason is one line of at most {REASON_MAX} characters");
        gather.error(&[path[0], path[1], "reason"], message);
    }
}
