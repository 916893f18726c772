//! The tables of options in the docs come from the types.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use quorate_checks::KINDS;
use serde_json::{Map, Value};

const BEGIN: &str =
    "<!-- options: from the types, UPDATE=1 cargo test -p quorate-checks --test probes -->\n";
const END: &str = "<!-- end of options -->";

/// The alternatives of a schema; itself if it has none.
fn branches(schema: &Value) -> Vec<&Value> {
    ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key).and_then(Value::as_array))
        .map_or_else(|| vec![schema], |all| all.iter().flat_map(branches).collect())
}

/// Adds a row for each option below `schema`: those required first, then by name, each followed by
/// those below it.
fn rows(schema: &Value, path: &str, table: &mut String) {
    for branch in branches(schema) {
        if let Some(properties) = branch.get("properties").and_then(Value::as_object) {
            below(branch, properties, path, table);
        }
        if let Some(values) = branch.get("additionalProperties").filter(|one| one.is_object()) {
            rows(values, &format!("{path}NAME."), table);
        }
        if let Some(items) = branch.get("items") {
            let path = path.trim_end_matches('.');
            rows(items, &format!("{path}[]."), table);
        }
    }
}

fn below(branch: &Value, properties: &Map<String, Value>, path: &str, table: &mut String) {
    let required: Vec<_> = branch
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut names: Vec<_> = properties.keys().map(String::as_str).collect();
    names.sort_by_key(|name| !required.contains(name));
    for name in names {
        let option = &properties[name];
        let default = default_of(option, required.contains(&name));
        let meaning = option["description"].as_str().expect("a sentence").replace('\n', " ");
        writeln!(table, "| `{path}{name}` | {default} | {} |", meaning.replace('|', "\\|"))
            .expect("a string takes all");
        rows(option, &format!("{path}{name}."), table);
    }
}

/// The second column: the unit, and what holds if the option is not there.
fn default_of(option: &Value, is_required: bool) -> String {
    let unit = option.get("x-unit").and_then(Value::as_str);
    let is_map = branches(option)
        .iter()
        .all(|one| one.get("properties").is_some() && one.get("type") == Some(&"object".into()));
    let default = match (option.get("x-default"), option.get("default")) {
        _ if is_required => "required".to_owned(),
        (Some(words), _) => words.as_str().expect("words").to_owned(),
        (None, None | Some(Value::Null)) if is_map => return String::new(),
        (None, None | Some(Value::Null)) => "none".to_owned(),
        (None, Some(Value::Object(map))) if map.is_empty() => "none".to_owned(),
        (None, Some(Value::Array(list))) if list.is_empty() => "none".to_owned(),
        (None, Some(Value::String(text))) => format!("`{text}`"),
        (None, Some(value)) => format!("`{value}`"),
    };
    unit.map_or(default.clone(), |unit| format!("{unit}, {default}"))
}

#[test]
fn the_options_in_the_docs_are_those_of_the_types() {
    for kind in KINDS {
        let name = kind.name();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/checks")
            .join(format!("{name}.md"));
        let page = fs::read_to_string(&path).expect("each kind has a page");
        let begin =
            page.find(BEGIN).unwrap_or_else(|| panic!("{name}.md has no table")) + BEGIN.len();
        let end = page.find(END).expect("the end of the table");
        let mut table = "| option | unit, default | meaning |\n|---|---|---|\n".to_owned();
        rows(kind.schema().as_value(), "", &mut table);
        let (before, after) = (&page[..begin], &page[end..]);
        let whole = format!("{before}{table}{after}");
        #[expect(clippy::disallowed_methods, reason = "the switch of a test is no configuration")]
        if std::env::var("UPDATE").is_ok() {
            fs::write(&path, whole).expect("the page can be written");
        } else {
            assert!(page == whole, "{name}.md differs from the types: run with UPDATE=1");
        }
    }
}
