//! One check: its kind, its times, its regions and its quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_checks::KINDS;
use quorate_model::{
    AlertPolicy, CertificatePolicy, Check, CheckId, FleetPolicy, HumanDuration, KindName,
    PartialPolicy, Quorum, ReceiverId, RegionId,
};
use quorate_yaml::shown;

use crate::distinct::distinct;
use crate::gather::Gather;
use crate::kind::{Choice, choose, options};
use crate::origin;
use crate::raw::{
    CHECK_KEYS, Evidence, OnNoQuorum, RawCertificate, RawCheck, RawDefaults, RawPartial, Urgency,
};
use crate::text::Span;

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// A check that is probed less often than weekly says nothing about now.
const INTERVAL_MAX: Duration = Duration::from_secs(7 * 86_400);
const LABELS_MAX: usize = 32;
const LABEL_MAX: usize = 200;

/// What checks refer to.
#[derive(Debug)]
pub(crate) struct Known<'d> {
    pub(crate) regions: BTreeSet<&'d str>,
    pub(crate) checks: BTreeSet<&'d str>,
    pub(crate) receivers: BTreeSet<&'d str>,
    /// The checks that others call their origin.
    pub(crate) origins: BTreeSet<String>,
    /// The regions whose names are good, in the order of the file.
    pub(crate) all_regions: Vec<RegionId>,
    /// The labels of each.
    pub(crate) labels: BTreeMap<RegionId, BTreeMap<String, String>>,
}

/// What every check is read with.
#[derive(Debug)]
pub(crate) struct Setting<'d> {
    pub(crate) known: Known<'d>,
    pub(crate) defaults: RawDefaults,
    pub(crate) policy: FleetPolicy,
}

/// Reads one check. `None` if its kind is not known; then there is a problem that says so.
pub(crate) fn check(gather: &mut Gather<'_>, setting: &Setting<'_>, id: &CheckId) -> Option<Check> {
    let path = ["checks", id.as_str()];
    let kinds: BTreeMap<&str, _> = KINDS.iter().map(|kind| (kind.name(), *kind)).collect();
    let names: Vec<&str> = kinds.keys().copied().collect();
    let choice = choose(gather, &path, CHECK_KEYS, &names, "kind of check");
    let before = gather.problems.len();
    let raw = read(gather, &path, &choice);
    let whole = gather.problems.len() == before;

    let times = times(gather, id, &raw, &setting.defaults, whole);
    let regions = regions(gather, &path, &raw, &setting.known);
    let quorum = quorum(gather, id, &raw, setting, regions.len());
    let distinct = distinct(gather, id, &raw, setting, &regions);
    let alert = alert(gather, &path, &raw, setting);
    let partial = partial(gather, &path, raw.partial.as_ref(), setting);
    if whole {
        promise(gather, id, &times, &alert, setting, regions.len());
    }
    labels(gather, &path, &raw);
    let depends_on = depends_on(gather, id, &raw, &setting.known);
    let origin = origin::origin(gather, id, raw.origin.as_ref(), &setting.known);
    runbook(gather, &path, raw.runbook.as_deref());

    let name = choice.kind?;
    // One that names only unknown receivers has its problem already.
    let names = raw.alert.as_ref().and_then(|alert| alert.to.as_ref());
    let silent = alert.to.is_empty() && names.is_none_or(Vec::is_empty);
    // That an origin is down is told with the check that it stands behind.
    let is_origin = setting.known.origins.contains(id.as_str());
    if silent && !is_origin && !setting.known.receivers.is_empty() {
        let message = format!("nobody is told when check `{id}` is down");
        let problem = gather.document.key_problem(&path, message).as_warning();
        let hint = "add `alert: { to: [...] }`";
        gather.problems.push(problem.with_hint(hint));
    }
    let (options, probe) = options(gather, &["checks", id.as_str(), &name], |value| {
        kinds.get(name.as_str()).map(|kind| kind.parse(value))
    });
    let target = probe?.target();
    let kind: KindName = name.parse().ok()?;
    let Times { interval, timeout, slow_after } = times;
    Some(Check {
        id: id.clone(),
        revision: Check::fingerprint(&kind, &options, interval, timeout, slow_after),
        kind,
        options,
        target,
        interval,
        timeout,
        slow_after,
        regions,
        quorum,
        distinct,
        alert,
        partial,
        certificate: certificate(&raw, &setting.defaults),
        labels: raw.labels.unwrap_or_default(),
        depends_on,
        origin,
        runbook: raw.runbook,
    })
}

/// The check without the keys that name kinds, or are no keys at all and have been reported.
fn read(gather: &mut Gather<'_>, path: &[&str], choice: &Choice) -> RawCheck {
    let omit: Vec<&str> = choice.taken.iter().map(String::as_str).collect();
    let reading = gather.document.read_part::<Option<RawCheck>>(path, &omit);
    gather.problems.extend(reading.problems);
    reading.value.flatten().unwrap_or_default()
}

#[derive(Debug)]
struct Times {
    interval: Duration,
    timeout: Duration,
    slow_after: Duration,
}

/// The first of the keys that the check itself gives, or else the check.
fn given<'a>(gather: &Gather<'_>, id: &'a CheckId, keys: &[&'a str]) -> Vec<&'a str> {
    let path = |key: &&'a str| vec!["checks", id.as_str(), *key];
    keys.iter()
        .map(path)
        .find(|path| gather.document.contains(path))
        .unwrap_or_else(|| vec!["checks", id.as_str()])
}

fn times(
    gather: &mut Gather<'_>,
    id: &CheckId,
    raw: &RawCheck,
    defaults: &RawDefaults,
    whole: bool,
) -> Times {
    let pick = |own: Option<Span>, default: Option<Span>| own.or(default).map(Span::get);
    let interval = pick(raw.interval, defaults.interval).unwrap_or(INTERVAL);
    let timeout = pick(raw.timeout, defaults.timeout).unwrap_or(TIMEOUT);
    let slow_after = pick(raw.slow_after, defaults.slow_after).unwrap_or(timeout / 2);
    let times = Times { interval, timeout, slow_after };
    // What the defaults alone get wrong is said once, there.
    let own = raw.interval.is_some() || raw.timeout.is_some() || raw.slow_after.is_some();
    if whole && own {
        relations(gather, &times, |gather, keys| given(gather, id, keys));
    }
    times
}

/// Checks the times in `defaults` among themselves.
pub(crate) fn default_times(gather: &mut Gather<'_>, defaults: &RawDefaults) {
    let timeout = defaults.timeout.map_or(TIMEOUT, Span::get);
    let times = Times {
        interval: defaults.interval.map_or(INTERVAL, Span::get),
        timeout,
        slow_after: defaults.slow_after.map_or(timeout / 2, Span::get),
    };
    relations(gather, &times, |gather, keys| {
        let path = |key: &&'static str| vec!["defaults", *key];
        let mut paths = keys.iter().map(path);
        let found = paths.find(|path| gather.document.contains(path));
        found.unwrap_or_else(|| vec!["defaults"])
    });
}

fn relations<'a>(
    gather: &mut Gather<'_>,
    times: &Times,
    place: impl Fn(&Gather<'_>, &[&'static str]) -> Vec<&'a str>,
) {
    let Times { interval, timeout, slow_after } = *times;
    let mut say = |keys: &[&'static str], message: String| {
        let path = place(gather, keys);
        gather.error(&path, message);
    };
    if interval < INTERVAL_MIN || interval > INTERVAL_MAX {
        let message = format!("interval is {}: it must be 1s to 7d", HumanDuration(interval));
        say(&["interval"], message);
    }
    let runs = interval >= INTERVAL_MIN;
    if timeout.is_zero() {
        say(&["timeout"], "timeout must be more than 0s".into());
    } else if timeout >= interval && runs {
        let message = format!(
            "timeout ({}) must be shorter than interval ({})",
            HumanDuration(timeout),
            HumanDuration(interval)
        );
        say(&["timeout", "interval"], message);
    }
    if slow_after.is_zero() && !timeout.is_zero() {
        say(&["slow_after"], "slow_after must be more than 0s".into());
    } else if slow_after >= timeout && !timeout.is_zero() {
        let message = format!(
            "slow_after ({}) must be shorter than timeout ({})",
            HumanDuration(slow_after),
            HumanDuration(timeout)
        );
        say(&["slow_after", "timeout"], message);
    }
}

fn regions(
    gather: &mut Gather<'_>,
    path: &[&str; 2],
    raw: &RawCheck,
    known: &Known<'_>,
) -> Vec<RegionId> {
    let Some(names) = &raw.regions else {
        return known.all_regions.clone();
    };
    let path = [path[0], path[1], "regions"];
    if names.is_empty() {
        gather.error_with(&path, "a check needs a region", "leave the key out to use all");
    }
    let names = gather.references(&path, names, &known.regions, "region");
    // In the order of the file, so that the order of a list does not matter.
    let in_order = known.all_regions.iter();
    in_order.filter(|id| names.iter().any(|name| name == id.as_str())).cloned().collect()
}

fn quorum(
    gather: &mut Gather<'_>,
    id: &CheckId,
    raw: &RawCheck,
    setting: &Setting<'_>,
    regions: usize,
) -> Quorum {
    let defaults = &setting.defaults;
    let quorum = raw.quorum.or(defaults.quorum).unwrap_or(Quorum::Majority);
    let allowed = raw.allow_single_region.or(defaults.allow_single_region) == Some(true);
    let mut path = given(gather, id, &["quorum", "regions"]);
    if raw.quorum.is_none() && raw.regions.is_none() {
        path = vec!["defaults", "quorum"];
    }
    // With a list that is wrong, nothing can be said about numbers.
    if regions == 0 || raw.regions.as_ref().is_some_and(|r| r.len() != regions) {
        return quorum;
    }
    let asked = match quorum {
        Quorum::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
        Quorum::Majority | Quorum::All | Quorum::Any => quorum.count(regions),
    };
    if asked > regions {
        let message = format!("quorum {asked} of check `{id}` is more than its {regions} regions");
        gather.error(&path, message);
    } else if asked == 1 && regions > 1 && !allowed {
        let message = format!("with quorum `{quorum}`, one region alone can page for check `{id}`");
        let hint = "write `allow_single_region: true` beside it if that is meant";
        gather.error_with(&path, &message, hint);
    } else if quorum == Quorum::All && regions > 2 {
        let message = format!(
            "with quorum `all`, one region that is cut off can hide an outage of check `{id}`"
        );
        gather.warn(&path, message);
    }
    // A single configured region, or two, are told of once, at `regions`.
    let all = setting.known.all_regions.len();
    if regions == 1 && all > 1 {
        let message = "one region cannot tell its own trouble from that of the target";
        gather.warn(&["checks", id.as_str(), "regions"], message);
    } else if regions == 2 && all > 2 {
        gather.warn(&["checks", id.as_str(), "regions"], TWO_REGIONS);
    }
    quorum
}

/// What is true of two regions.
pub(crate) const TWO_REGIONS: &str = "with two regions there is no bound: both must fail to \
     page, so one that is wrong or cut off can hide an outage";

fn alert(
    gather: &mut Gather<'_>,
    path: &[&str; 2],
    raw: &RawCheck,
    setting: &Setting<'_>,
) -> AlertPolicy {
    let own = raw.alert.clone().unwrap_or_default();
    let default = setting.defaults.alert.clone().unwrap_or_default();
    let receivers = &setting.known.receivers;
    let to = match own.to {
        Some(names) => {
            gather.references(&[path[0], path[1], "alert", "to"], &names, receivers, "receiver")
        }
        // Those of the defaults are reported once, there.
        None => default.to.unwrap_or_default(),
    };
    let within = own.within.or(default.within).map(Span::get);
    let budget = own.false_alerts.or(default.false_alerts);
    let evidence = own.evidence.or(default.evidence);
    if evidence == Some(Evidence::Off) && own.false_alerts.is_some() {
        let place = [path[0], path[1], "alert", "false_alerts"];
        gather.warn(&place, "with `evidence: off` no budget of false alerts is kept");
    }
    let ignored = own.ignore_shorter_than.or(default.ignore_shorter_than);
    let ignore_shorter_than = ignored.map_or(Duration::ZERO, Span::get);
    if within.is_some_and(|within| within <= ignore_shorter_than) {
        let mut place = path.to_vec();
        place.extend(raw.alert.is_some().then_some("alert"));
        let message = "no page can come `within` the time that `ignore_shorter_than` waits";
        gather.warn(&place, message);
    }
    AlertPolicy {
        to: ids(&to),
        within,
        false_alerts_per_year_milli: budget.map(|budget| budget.per_year_milli),
        ignores_evidence: evidence == Some(Evidence::Off),
        pages_intermittent: own.intermittent.or(default.intermittent) == Some(Urgency::Page),
        alerts_no_quorum: own.on_no_quorum.or(default.on_no_quorum) == Some(OnNoQuorum::Alert),
        ignore_shorter_than,
    }
}

fn partial(
    gather: &mut Gather<'_>,
    path: &[&str; 2],
    own: Option<&RawPartial>,
    setting: &Setting<'_>,
) -> PartialPolicy {
    let own = own.cloned().unwrap_or_default();
    let default = setting.defaults.partial.clone().unwrap_or_default();
    let fallback = PartialPolicy::default();
    let receivers = &setting.known.receivers;
    let notify = own.notify.or(default.notify).unwrap_or(fallback.notify);
    let pages = own.severity.or(default.severity) == Some(Urgency::Page);
    if !notify && own.severity == Some(Urgency::Page) {
        let path = [path[0], path[1], "partial", "severity"];
        gather.warn(&path, "with `notify: false` nobody is told");
    }
    let to = match own.to {
        Some(names) => {
            let path = [path[0], path[1], "partial", "to"];
            if !notify && !names.is_empty() {
                gather.warn(&path, "with `notify: false` nobody is told");
            }
            gather.references(&path, &names, receivers, "receiver")
        }
        None => default.to.unwrap_or_default(),
    };
    PartialPolicy {
        after: own.after.or(default.after).map_or(fallback.after, Span::get),
        to: ids(&to),
        notify,
        pages,
    }
}

fn certificate(raw: &RawCheck, defaults: &RawDefaults) -> CertificatePolicy {
    let warn = |block: Option<&RawCertificate>| block.and_then(|block| block.warn);
    let warn = warn(raw.certificate.as_ref()).or_else(|| warn(defaults.certificate.as_ref()));
    warn.map_or_else(CertificatePolicy::default, |ahead| CertificatePolicy { warn: ahead.0 })
}

/// The names as ids; those that are none have been reported as unknown.
pub(crate) fn ids(names: &[String]) -> Vec<ReceiverId> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Warns of a time to detect that the times of the check do not allow. The worst case is that the
/// outage begins just after a probe: the next region's slot, its lateness, one more timeout.
fn promise(
    gather: &mut Gather<'_>,
    id: &CheckId,
    times: &Times,
    alert: &AlertPolicy,
    setting: &Setting<'_>,
    regions: usize,
) {
    let (Some(within), Ok(regions)) = (alert.within, u32::try_from(regions.max(1))) else {
        return;
    };
    let suspect = setting.policy.suspect_after(times.timeout);
    let worst = times.interval / regions + suspect + times.timeout;
    if within < worst {
        let message = format!(
            "an outage of check `{id}` can take {} to detect, not {}",
            HumanDuration(Duration::from_secs(worst.as_secs() + 1)),
            HumanDuration(within)
        );
        let path = given(gather, id, &["alert"]);
        let problem = gather.document.problem(&path, message).as_warning();
        let hint = "shorten `interval` or `timeout`, or add regions";
        gather.problems.push(problem.with_hint(hint));
    }
}

fn labels(gather: &mut Gather<'_>, path: &[&str; 2], raw: &RawCheck) {
    let labels = raw.labels.iter().flatten();
    if labels.clone().count() > LABELS_MAX {
        let message = format!("a check has at most {LABELS_MAX} labels");
        gather.error(&[path[0], path[1], "labels"], message);
    }
    for (key, value) in labels.take(LABELS_MAX) {
        let here = [path[0], path[1], "labels", key];
        if let Some(hint) = label_name_hint(key) {
            let message = format!("`{}` is not a label name", shown(key));
            let problem = gather.document.key_problem(&here, message);
            gather.problems.push(problem.with_hint(hint));
        }
        if value.chars().count() > LABEL_MAX || value.chars().any(char::is_control) {
            let message = format!("a label is one line of at most {LABEL_MAX} characters");
            gather.error(&here, message);
        }
    }
}

/// How a label is named, if this is no name of one.
pub(crate) fn label_name_hint(name: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let is_good = (1..=63).contains(&name.len()) && name.bytes().all(plain);
    (!is_good).then_some("use 1 to 63 letters, digits, `_`, `-` and `.`")
}

fn depends_on(
    gather: &mut Gather<'_>,
    id: &CheckId,
    raw: &RawCheck,
    known: &Known<'_>,
) -> Vec<CheckId> {
    let path = ["checks", id.as_str(), "depends_on"];
    let names = raw.depends_on.as_deref().unwrap_or_default();
    let names = gather.references(&path, names, &known.checks, "check");
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

fn runbook(gather: &mut Gather<'_>, path: &[&str; 2], runbook: Option<&str>) {
    let Some(runbook) = runbook else { return };
    let web = ["http://", "https://"].iter().any(|scheme| runbook.starts_with(scheme));
    let clean = !runbook.chars().any(|c| c.is_control() || c.is_whitespace());
    if !web || !clean || runbook.len() > 2_000 {
        let message = "a runbook is a URL that starts with `https://` or `http://`";
        gather.error(&[path[0], path[1], "runbook"], message);
    }
}
