//! From a document to a configuration: the order of reading and the rules that span blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use quorate_model::{Check, CheckId, Fleet, ID_HELP, IdError, ReceiverId, Region, RegionId};
use quorate_yaml::{Document, Problem, Severity, shown};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::check::{Known, Setting, TWO_REGIONS, check, default_times, ids, label_name_hint};
use crate::cycle::{DEPENDS_ON, ORIGIN, cycles};
use crate::distinct;
use crate::gather::Gather;
use crate::mute::mutes;
use crate::origin;
use crate::raw::{RawFile, RawRegion};
use crate::receiver::receiver;
use crate::server::{anchors, policy, server};
use crate::{Configuration, Receiver};

const MINIMAL: &str = "a small one is: `version: 1`, `server: { agents: { advertise: \
    \"quorate.example.com:7444\" } }`, `regions: { fra: {}, iad: {}, syd: {} }`, \
    `checks: { shop: { http: { url: \"https://shop.example.com/\" } } }`";
const REGION_LABEL_MAX: usize = 100;
const REGION_LABELS_MAX: usize = 16;

/// Reads the configuration in `document`, or everything that is wrong with it.
pub(crate) fn resolve(document: &Document) -> Result<Configuration, Vec<Problem>> {
    if document.is_empty() {
        let problem = document.problem(&[], "the configuration is empty");
        return Err(vec![problem.with_hint(MINIMAL)]);
    }
    let mut gather = Gather { document, problems: Vec::new() };
    // These blocks are read on their own, to know whether the whole of them was good.
    let apart = ["checks", "receivers", "policy", "defaults", "maintenance", "silences"];
    let reading = document.read_part::<RawFile>(&[], &apart);
    gather.problems.extend(reading.problems);
    let Some(raw) = reading.value else {
        return Err(gather.problems);
    };
    let configuration = configuration(&mut gather, raw);
    let mut problems = gather.problems;
    Problem::sort(&mut problems);
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(problems);
    }
    Ok(Configuration { warnings: problems, ..configuration })
}

fn configuration(gather: &mut Gather<'_>, raw: RawFile) -> Configuration {
    let document = gather.document;
    version(gather, raw.version);
    let server = server(gather, raw.server.unwrap_or_default());
    let (timers, whole) = block(gather, "policy");
    let policy = policy(gather, &timers, whole);
    let anchors = anchors(gather, raw.anchors);
    let regions = regions(gather, raw.regions.unwrap_or_default());
    let known = Known {
        regions: document.keys(&["regions"]).into_iter().collect(),
        checks: document.keys(&["checks"]).into_iter().collect(),
        receivers: document.keys(&["receivers"]).into_iter().collect(),
        origins: origin::named(document),
        all_regions: document
            .keys(&["regions"])
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .collect(),
        labels: regions.values().map(|region| (region.id.clone(), region.labels.clone())).collect(),
    };
    let (defaults, whole) = block(gather, "defaults");
    let setting = Setting { known, defaults, policy };
    if whole {
        default_times(gather, &setting.defaults);
    }
    default_receivers(gather, &setting);
    let checks = checks(gather, &setting);
    let mutes = mutes(gather, &checks);
    let receivers = receivers(gather);
    let names = raw.operators.unwrap_or_default();
    let known = &setting.known.receivers;
    let operators = ids(&gather.references(&["operators"], &names, known, "receiver"));
    unused(gather, &checks, &operators);
    Configuration {
        server,
        fleet: Arc::new(Fleet { policy, regions, checks, mutes, operators, anchors }),
        receivers,
        warnings: Vec::new(),
    }
}

/// A block of the file, and whether all of it could be read.
fn block<T: Default + DeserializeOwned>(gather: &mut Gather<'_>, name: &str) -> (T, bool) {
    let reading = gather.document.read_part::<Option<T>>(&[name], &[]);
    let whole = reading.problems.is_empty();
    gather.problems.extend(reading.problems);
    (reading.value.flatten().unwrap_or_default(), whole)
}

fn version(gather: &mut Gather<'_>, version: Option<u64>) {
    match version {
        Some(1) => {}
        Some(other) => {
            let message = format!("this program reads version 1, not {other}");
            gather.error(&["version"], message);
        }
        None if gather.document.contains(&["version"]) => {}
        None => gather.error(&[], "`version: 1` is missing"),
    }
}

fn regions(
    gather: &mut Gather<'_>,
    raw: BTreeMap<RegionId, Option<RawRegion>>,
) -> BTreeMap<RegionId, Region> {
    match raw.len() {
        // Regions without a good name are a problem already.
        0 if gather.document.keys(&["regions"]).is_empty() => {
            let message = "there are no regions: without one nothing can be probed";
            gather.error_with(&["regions"], message, "add `regions: { fra: {}, iad: {}, syd: {} }`");
        }
        1 => gather.warn(
            &["regions"],
            "one region can tell nothing apart: a fault of its own looks like a fault of the target",
        ),
        2 => gather.warn(&["regions"], TWO_REGIONS),
        _ => {}
    }
    let mut regions = BTreeMap::new();
    for (id, raw) in raw {
        let raw = raw.unwrap_or_default();
        let mut labels = BTreeMap::new();
        for (name, value) in [
            ("provider", raw.provider),
            ("country", raw.country),
            ("transit", raw.transit),
            ("resolver", raw.resolver),
        ] {
            let Some(value) = value else { continue };
            region_label(gather, &["regions", id.as_str(), name], &value);
            labels.insert(name.to_owned(), value);
        }
        own_labels(gather, &id, raw.labels.unwrap_or_default(), &mut labels);
        regions.insert(id.clone(), Region { id, labels });
    }
    diversity(gather, &regions);
    regions
}

/// Warns of a fleet of which nobody could say whether a fault is its provider's or the target's.
fn diversity(gather: &mut Gather<'_>, regions: &BTreeMap<RegionId, Region>) {
    let provider = |region: &Region| region.labels.get("provider").cloned();
    let Some(first) = regions.values().next().and_then(provider) else {
        return;
    };
    // Of one or two regions worse has been said.
    let is_shared = regions.values().all(|region| provider(region).as_ref() == Some(&first));
    if regions.len() > 2 && is_shared {
        let message = format!(
            "all regions are at provider `{}`: a fault of its network looks like a fault of the \
             target",
            shown(&first)
        );
        let problem = gather.document.problem(&["regions"], message).as_warning();
        gather.problems.push(problem.with_hint("add a region at another provider"));
    }
}

/// Says so if the value at `path` is none that a label of a region can have.
fn region_label(gather: &mut Gather<'_>, path: &[&str], value: &str) {
    let fits = (1..=REGION_LABEL_MAX).contains(&value.chars().count());
    if !fits || value.chars().any(char::is_control) {
        let name = shown(path.last().unwrap_or(&""));
        let message = format!("{name} is one line of 1 to {REGION_LABEL_MAX} characters");
        gather.error(path, message);
    }
}

/// Adds the labels that the user has thought of.
fn own_labels(
    gather: &mut Gather<'_>,
    id: &RegionId,
    own: BTreeMap<String, String>,
    labels: &mut BTreeMap<String, String>,
) {
    let path = ["regions", id.as_str(), "labels"];
    if own.len() > REGION_LABELS_MAX {
        gather.error(&path, format!("a region has at most {REGION_LABELS_MAX} labels of yours"));
    }
    for (name, value) in own.into_iter().take(REGION_LABELS_MAX) {
        let here = [path[0], path[1], path[2], name.as_str()];
        if let Some(hint) = label_name_hint(&name) {
            let message = format!("`{}` is not a label name", shown(&name));
            let problem = gather.document.key_problem(&here, message);
            gather.problems.push(problem.with_hint(hint));
        } else if distinct::LABELS.contains(&name.as_str()) {
            let message = format!("`{name}` is a key of the region itself");
            let problem = gather.document.key_problem(&here, message);
            gather.problems.push(problem.with_hint("write it beside `labels`, not in it"));
        }
        region_label(gather, &here, &value);
        labels.entry(name).or_insert(value);
    }
}

/// Reports the references in `defaults` once, rather than for each check.
fn default_receivers(gather: &mut Gather<'_>, setting: &Setting<'_>) {
    let defaults = &setting.defaults;
    let alert = defaults.alert.as_ref().and_then(|alert| alert.to.as_deref());
    let partial = defaults.partial.as_ref().and_then(|partial| partial.to.as_deref());
    for (block, names) in [("alert", alert), ("partial", partial)] {
        let path = ["defaults", block, "to"];
        let names = names.unwrap_or_default();
        gather.references(&path, names, &setting.known.receivers, "receiver");
    }
}

/// The names at `block` that obey the rule for names; the others are problems.
pub(crate) fn named<T: FromStr<Err = IdError>>(gather: &mut Gather<'_>, block: &str) -> Vec<T> {
    let document = gather.document;
    let mut ids = Vec::new();
    if document.contains(&[block]) {
        // Says so if the block is anything but a map.
        #[expect(clippy::zero_sized_map_values, reason = "only its being a map matters")]
        let map = document.read_part::<Option<BTreeMap<String, IgnoredAny>>>(&[block], &[]);
        gather.problems.extend(map.problems);
    }
    for name in document.keys(&[block]) {
        if let Ok(id) = name.parse() {
            ids.push(id);
        } else {
            let message = format!("`{}` is not a valid name", shown(name));
            let problem = document.key_problem(&[block, name], message);
            let hint = format!("use {ID_HELP}");
            gather.problems.push(problem.with_hint(hint));
        }
    }
    ids
}

fn checks(gather: &mut Gather<'_>, setting: &Setting<'_>) -> BTreeMap<CheckId, Arc<Check>> {
    let before = gather.problems.len();
    let ids: Vec<CheckId> = named(gather, "checks");
    if gather.problems.len() > before {
        // Whether there would be checks is not known.
    } else if ids.is_empty() {
        gather.warn(&["checks"], "there are no checks: nothing is probed");
    } else if setting.known.receivers.is_empty() {
        let problem = gather.document.key_problem(&["checks"], "nobody is told of an outage");
        let hint = "add `receivers:`, and `alert: { to: [...] }` to `defaults:`";
        gather.problems.push(problem.as_warning().with_hint(hint));
    }
    let mut checks = BTreeMap::new();
    for id in ids {
        if gather.is_full() {
            break;
        }
        if let Some(check) = check(gather, setting, &id) {
            checks.insert(id, Arc::new(check));
        }
    }
    let edges = checks.iter().map(|(id, check)| (id.clone(), check.depends_on.clone())).collect();
    cycles(gather, &edges, &DEPENDS_ON);
    let origin = |check: &Check| check.origin.iter().cloned().collect();
    let edges = checks.iter().map(|(id, check)| (id.clone(), origin(check))).collect();
    cycles(gather, &edges, &ORIGIN);
    checks
}

fn receivers(gather: &mut Gather<'_>) -> BTreeMap<ReceiverId, Receiver> {
    let ids: Vec<ReceiverId> = named(gather, "receivers");
    ids.into_iter().filter_map(|id| receiver(gather, &id).map(|receiver| (id, receiver))).collect()
}

/// Warns of receivers that are never told anything.
fn unused(
    gather: &mut Gather<'_>,
    checks: &BTreeMap<CheckId, Arc<Check>>,
    operators: &[ReceiverId],
) {
    let of_checks =
        checks.values().flat_map(|check| check.alert.to.iter().chain(&check.partial.to));
    let used: BTreeSet<&str> = of_checks.chain(operators).map(ReceiverId::as_str).collect();
    // Where something is wrong, a receiver may have been meant.
    if gather.problems.iter().any(|p| p.severity == Severity::Error) {
        return;
    }
    for name in gather.document.keys(&["receivers"]) {
        if !used.contains(name) && name.parse::<ReceiverId>().is_ok() {
            let problem = gather
                .document
                .key_problem(&["receivers", name], format!("receiver `{name}` is never told"));
            let hint = "name it in `alert: { to: [...] }` or in `operators:`";
            gather.problems.push(problem.as_warning().with_hint(hint));
        }
    }
}
