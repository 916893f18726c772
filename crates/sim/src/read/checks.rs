//! Checks: what scenarios have of their own is taken out, the rest is a configuration's.

use std::collections::BTreeMap;

use quorate_model::CheckId;
use serde_json::Value;

use super::Reader;
use crate::configure::{self, Misfit};
use crate::scenario::{CheckText, Family, Fault, Scenario, Target, TargetKind, What};

/// The most checks that one entry stands for.
const COUNT_MAX: u64 = 100_000;
/// What the check of an origin has from the check in front of it.
const COMPANION_KEYS: [&str; 6] =
    ["interval", "timeout", "slow_after", "quorum", "distinct", "regions"];

impl Reader<'_> {
    pub(super) fn checks(
        &mut self,
        raw: BTreeMap<String, Option<Value>>,
        targets: &mut BTreeMap<String, Target>,
    ) -> BTreeMap<String, CheckText> {
        if raw.is_empty() && !self.document.contains(&["checks"]) {
            self.error(&[], "a scenario needs `checks`");
        }
        let mut checks = BTreeMap::new();
        for (id, check) in raw {
            let path = ["checks", id.as_str()];
            if let Err(error) = id.parse::<CheckId>() {
                self.problems.push(self.document.key_problem(&path, error.to_string()));
                continue;
            }
            let Some(Value::Object(mut settings)) = check else {
                self.error(&path, "a check is a map with at least `target`");
                continue;
            };
            let target = match settings.remove("target") {
                Some(Value::String(target)) if target.parse::<CheckId>().is_ok() => target,
                Some(_) => {
                    let help = quorate_model::ID_HELP;
                    self.error(&["checks", &id, "target"], format!("a target is a name: {help}"));
                    continue;
                }
                None => {
                    self.error(&path, "a check needs `target`");
                    continue;
                }
            };
            let count = match settings.remove("count") {
                None => None,
                Some(value) => {
                    let count = value.as_u64().filter(|count| (1..=COUNT_MAX).contains(count));
                    if count.is_none() {
                        let message = format!("`count` is a number from 1 to {COUNT_MAX}");
                        self.error(&["checks", &id, "count"], message);
                    }
                    count.and_then(|count| usize::try_from(count).ok())
                }
            };
            targets.entry(target.clone()).or_insert_with(|| Target {
                network: format!("{target}'s own"),
                families: vec![Family::V4],
                edges: BTreeMap::new(),
                kind: TargetKind::Https,
                companion: None,
            });
            checks.insert(id, CheckText { target, count, origin: None, settings });
        }
        self.companions(&mut checks, targets);
        checks
    }

    /// Adds, to each check of a target with a companion, the one that probes that.
    fn companions(
        &mut self,
        checks: &mut BTreeMap<String, CheckText>,
        targets: &BTreeMap<String, Target>,
    ) {
        let mut added = BTreeMap::new();
        for (id, check) in checks.iter_mut() {
            let companion = targets.get(&check.target).and_then(|target| target.companion.clone());
            let Some(target) = companion else { continue };
            let name = format!("{id}-origin");
            if let Err(error) = name.parse::<CheckId>() {
                let message = format!("the check of its origin would be `{name}`: {error}");
                self.problems.push(self.document.key_problem(&["checks", id], message));
                continue;
            }
            let kept = |key: &str| COMPANION_KEYS.contains(&key);
            let own = check.settings.iter().filter(|(key, _)| kept(key));
            let mut settings: serde_json::Map<String, Value> =
                own.map(|(key, value)| (key.clone(), value.clone())).collect();
            settings.insert("alert".into(), serde_json::json!({ "to": [] }));
            let text = CheckText { target, count: check.count, origin: None, settings };
            check.origin = Some(name.clone());
            added.insert(name, text);
        }
        for (name, text) in added {
            if checks.contains_key(&name) {
                let message = "this is the name of the check of another one's origin";
                self.problems.push(self.document.key_problem(&["checks", &name], message));
            }
            checks.insert(name, text);
        }
    }

    /// Has the configuration's own rules look at the checks, and at each change of one.
    pub(super) fn settings(&mut self, scenario: &Scenario) {
        if scenario.regions.is_empty() {
            return;
        }
        for (id, check) in &scenario.checks {
            // What a companion has was looked at with the check that it comes from.
            if !self.document.contains(&["checks", id]) {
                continue;
            }
            for misfit in misfits(scenario, id, &check.settings) {
                let mut path = vec!["checks", id.as_str()];
                path.extend(own_place(&misfit.path, self.document, &path));
                self.error_with(&path, misfit.message, misfit.hint);
            }
        }
        if !self.problems.is_empty() {
            return;
        }
        for (index, fault) in scenario.faults.iter().enumerate() {
            let Fault { what: What::Reconfigure { check, set, .. }, .. } = fault else {
                continue;
            };
            let Some(before) = scenario.checks.get(check) else {
                continue;
            };
            let mut settings = before.settings.clone();
            configure::overlay(&mut settings, set);
            let index = index.to_string();
            for misfit in misfits(scenario, check, &settings) {
                let mut path = vec!["faults", index.as_str(), "set"];
                path.extend(misfit.path.iter().map(String::as_str));
                self.error_with(&path, misfit.message, misfit.hint);
            }
        }
    }
}

fn misfits(
    scenario: &Scenario,
    id: &str,
    settings: &serde_json::Map<String, Value>,
) -> Vec<Misfit> {
    let target = scenario.checks.get(id).map_or(id, |check| check.target.as_str());
    configure::misfits(&scenario.regions, id, target, settings)
}

/// The place in the scenario of a place in the configuration: the flat alias has its own.
fn own_place<'a>(
    path: &'a [String],
    document: &quorate_yaml::Document,
    check: &[&str],
) -> Vec<&'a str> {
    let mut flat = check.to_vec();
    flat.push("false_alerts");
    if path.last().is_some_and(|key| key == "false_alerts") && document.contains(&flat) {
        return vec!["false_alerts"];
    }
    path.iter().map(String::as_str).collect()
}
