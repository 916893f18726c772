//! From the checks of a scenario to the fleet: through the configuration's own reader, so that a
//! check means the same in both.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_model::{Fleet, RegionId, Timestamp};
use serde_json::{Map, Value, json};

use crate::scenario::Place;

/// The receiver of everything.
const RECEIVER: &str = "everybody";
/// The anchors of every agent.
pub(crate) const ANCHORS: usize = 5;

/// Something that the configuration's rules do not like about a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The keys from the check on.
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The fleet of these regions, checks (settings and target by name) and maintenance windows.
///
/// The checks have been through [`misfits`] before; if they do not fit all the same, why not.
pub(crate) fn fleet(
    regions: &BTreeMap<RegionId, Place>,
    checks: &BTreeMap<String, (Map<String, Value>, String)>,
    windows: &[Value],
) -> Result<Arc<Fleet>, String> {
    let mut document = document(regions, checks);
    let windows = windows.iter().enumerate();
    let windows: Map<String, Value> =
        windows.map(|(number, window)| (format!("window-{number}"), window.clone())).collect();
    document.insert("maintenance".into(), Value::Object(windows));
    quorate_config::parse("scenario", &Value::Object(document).to_string())
        .map(|configuration| configuration.fleet)
        .map_err(|problems| {
            problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")
        })
}

/// A maintenance window as a configuration has it; without an end it lasts for as long as anything.
pub(crate) fn window(checks: &[String], from: Timestamp, until: Option<Timestamp>) -> Value {
    let to = until.map_or_else(|| "9999-12-30T00:00:00Z".to_owned(), |until| until.to_string());
    json!({ "checks": checks, "from": from.to_string(), "to": to })
}

/// What the configuration's rules do not like about a check of these regions.
pub(crate) fn misfits(
    regions: &BTreeMap<RegionId, Place>,
    id: &str,
    target: &str,
    settings: &Map<String, Value>,
) -> Vec<Misfit> {
    let checks = BTreeMap::from([(id.to_owned(), (settings.clone(), target.to_owned()))]);
    let (text, places) = Lines::of(&Value::Object(document(regions, &checks)));
    let Err(problems) = quorate_config::parse("scenario", &text) else {
        return Vec::new();
    };
    problems
        .into_iter()
        .filter(|problem| problem.severity == quorate_yaml::Severity::Error)
        .map(|problem| {
            let line = usize::try_from(problem.line).unwrap_or(0).saturating_sub(1);
            let path = places.get(line).cloned().unwrap_or_default();
            let path = path.into_iter().skip(2).collect();
            Misfit { path, message: problem.message, hint: problem.hint }
        })
        .collect()
}

/// Lays `set` over settings: maps are merged, all else is replaced.
pub(crate) fn overlay(settings: &mut Map<String, Value>, set: &Map<String, Value>) {
    for (key, value) in set {
        match (settings.get_mut(key), value) {
            (Some(Value::Object(before)), Value::Object(after)) => overlay(before, after),
            _ => {
                settings.insert(key.clone(), value.clone());
            }
        }
    }
}

fn document(
    regions: &BTreeMap<RegionId, Place>,
    checks: &BTreeMap<String, (Map<String, Value>, String)>,
) -> Map<String, Value> {
    let regions: Map<String, Value> =
        regions.iter().map(|(id, place)| (id.to_string(), json!(place.labels))).collect();
    let checks: Map<String, Value> = checks
        .iter()
        .map(|(id, (settings, target))| (id.clone(), Value::Object(check(settings, target))))
        .collect();
    let anchors: Vec<String> = (1..=ANCHORS).map(|n| format!("anchor-{n}.example:443")).collect();
    let webhook = json!({
        "url": "https://receiver.example/",
        "secret": { "env": "NONE" },
    });
    [
        ("version", json!(1)),
        ("server", json!({ "agents": { "advertise": "coordinator.example:7444" } })),
        ("regions", Value::Object(regions)),
        ("anchors", json!(anchors)),
        ("checks", Value::Object(checks)),
        ("receivers", json!({ RECEIVER: { "webhook": webhook } })),
        ("operators", json!([RECEIVER])),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// A check as a configuration has it: with a kind, no alias, and one receiver unless it says that
/// there is none.
fn check(settings: &Map<String, Value>, target: &str) -> Map<String, Value> {
    let mut check = settings.clone();
    check.insert("http".into(), json!({ "url": format!("https://{target}.example/") }));
    let budget = check.remove("false_alerts");
    let alert = check.entry("alert").or_insert_with(|| json!({}));
    if let Value::Object(alert) = alert {
        if alert.get("to") != Some(&json!([])) {
            alert.insert("to".into(), json!([RECEIVER]));
        }
        if let Some(budget) = budget {
            alert.entry("false_alerts").or_insert(budget);
        }
    }
    if let Some(Value::Object(partial)) = check.get_mut("partial") {
        partial.remove("to");
    }
    check
}

/// A document printed with one value on each line, and the path of each line.
struct Lines {
    text: String,
    places: Vec<Vec<String>>,
}

impl Lines {
    fn of(value: &Value) -> (String, Vec<Vec<String>>) {
        let mut lines = Self { text: String::new(), places: Vec::new() };
        lines.write("", value, &mut Vec::new(), "");
        (lines.text, lines.places)
    }

    fn line(&mut self, text: &str, path: &[String]) {
        self.text.push_str(text);
        self.text.push('\n');
        self.places.push(path.to_vec());
    }

    fn write(&mut self, lead: &str, value: &Value, path: &mut Vec<String>, comma: &str) {
        let parts: Vec<(String, String, &Value)> = match value {
            Value::Object(map) if !map.is_empty() => {
                self.line(&format!("{lead}{{"), path);
                let entry = |(key, value)| (format!("{}: ", json!(key)), String::clone(key), value);
                map.iter().map(entry).collect()
            }
            Value::Array(list) if !list.is_empty() => {
                self.line(&format!("{lead}["), path);
                let entry = |(index, value): (usize, _)| (String::new(), index.to_string(), value);
                list.iter().enumerate().map(entry).collect()
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)
            | Value::Array(_) => {
                self.line(&format!("{lead}{value}{comma}"), path);
                return;
            }
        };
        let count = parts.len();
        for (index, (lead, key, value)) in parts.into_iter().enumerate() {
            path.push(key);
            self.write(&lead, value, path, if index + 1 < count { "," } else { "" });
            path.pop();
        }
        let close = if value.is_object() { "}" } else { "]" };
        self.line(&format!("{close}{comma}"), path);
    }
}
