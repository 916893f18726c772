//! The JSON Schema of the configuration file.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::raw::RawFile;

/// The JSON Schema (draft-07) of the configuration file, with the options of every check kind and
/// notifier.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft07();
    let mut schema = settings.into_generator().into_root_schema_for::<RawFile>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("patternProperties".into(), json!({ "^x-": {} }));
    }
    let checks = quorate_checks::KINDS.iter().map(|kind| (kind.name(), kind.schema().to_value()));
    entry(&mut schema, "RawCheck", checks);
    let receivers = quorate_notify::KINDS.iter().map(|kind| {
        let mut options = kind.schema().to_value();
        for path in kind.secrets() {
            secret(&mut options, path);
        }
        (kind.name(), options)
    });
    entry(&mut schema, "RawReceiver", receivers);
    rename(&mut schema);
    schema
}

/// Adds the kinds to an entry, of which exactly one must be there.
fn entry(schema: &mut Value, name: &str, kinds: impl Iterator<Item = (&'static str, Value)>) {
    let Some(entry) =
        schema.pointer_mut(&format!("/definitions/{name}")).and_then(Value::as_object_mut)
    else {
        return;
    };
    let properties = entry.entry("properties").or_insert_with(|| json!({}));
    let mut alternatives = Vec::new();
    for (kind, options) in kinds {
        alternatives.push(json!({ "required": [kind] }));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert(kind.into(), options);
        }
    }
    if !alternatives.is_empty() {
        entry.insert("oneOf".into(), alternatives.into());
    }
}

/// Makes the option at the dotted `path` a reference to a secret.
fn secret(options: &mut Value, path: &str) {
    let parts: Vec<String> =
        path.split('.').flat_map(|part| ["properties".to_owned(), part.to_owned()]).collect();
    let Some(option) = options.pointer_mut(&format!("/{}", parts.join("/"))) else {
        return;
    };
    let description = option.get("description").cloned();
    let one = |key: &str, about: &str| {
        json!({
            "type": "object",
            "properties": { (key): { "type": "string", "minLength": 1, "description": about } },
            "required": [key],
            "additionalProperties": false
        })
    };
    *option = json!({
        "oneOf": [
            one("env", "The name of an environment variable of the coordinator."),
            one("file", "The absolute path of a file on the coordinator's machine."),
            one("credential", "The name of a systemd credential of the coordinator.")
        ]
    });
    if let (Some(option), Some(description)) = (option.as_object_mut(), description) {
        option.insert("description".into(), description);
    }
}

/// Drops the prefix that the types have in the code.
fn rename(schema: &mut Value) {
    let plain = |name: &str| name.replace("Raw", "").to_lowercase();
    if let Some(definitions) = schema.get_mut("definitions").and_then(Value::as_object_mut) {
        let renamed: Map<String, Value> = std::mem::take(definitions)
            .into_iter()
            .map(|(name, value)| (plain(&name), value))
            .collect();
        *definitions = renamed;
    }
    references(schema, &plain);
}

/// Applies `plain` to all references. No deeper than the schema, which is finite and small.
fn references(schema: &mut Value, plain: &impl Fn(&str) -> String) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                let target = (key == "$ref")
                    .then(|| value.as_str()?.strip_prefix("#/definitions/"))
                    .flatten();
                match target.map(|name| format!("#/definitions/{}", plain(name))) {
                    Some(renamed) => *value = renamed.into(),
                    None => references(value, plain),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| references(item, plain)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
