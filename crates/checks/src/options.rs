//! Reading option documents: strictly, and reporting everything that is wrong at once.
//!
//! serde stops at the first error, does not say where it is, and takes a list for a map. So the
//! document is first compared with the JSON Schema of the same type, and what does not fit is
//! reported with its path and taken out, so that the rest can be validated in the same run.

use std::borrow::Cow;
use std::str::FromStr;

use quorate_model::{HumanDuration, OptionProblem, Secret};
use regex::{Regex, RegexBuilder};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A text that is never shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct SecretText(Secret);

impl SecretText {
    /// The text itself: for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// The most memory that a compiled regular expression may take, in bytes.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// The JSON Schema (draft-07) of `T`, without references.
pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema
}

/// Reads options that should fit `schema`, the schema of `T`, and says what is wrong with their
/// shape. Values are left to the caller, who gets whatever could be read.
pub(crate) fn read<T: DeserializeOwned>(
    schema: &Schema,
    options: &Value,
) -> (Option<T>, Vec<OptionProblem>) {
    let mut options = options.clone();
    make_integral(&mut options);
    let mut problems = Vec::new();
    compare(schema.as_value(), &mut options, &mut Vec::new(), &mut problems);
    let read = T::deserialize(&options);
    if let Err(error) = &read
        && problems.is_empty()
    {
        problems.push(OptionProblem::at(&[], error.to_string()));
    }
    (read.ok(), problems)
}

/// Turns `200.0` into `200`: on the wire every number is a floating-point one.
fn make_integral(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && let Ok(integer) = format!("{float:.0}").parse::<i64>()
                && integer.to_string() == float.to_string()
            {
                *value = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_integral),
        Value::Object(fields) => fields.values_mut().for_each(make_integral),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Reports how `value` differs from `schema`, and takes out of it what differs. Returns whether
/// the value itself can stay.
fn compare(
    schema: &Value,
    value: &mut Value,
    path: &mut Vec<String>,
    problems: &mut Vec<OptionProblem>,
) -> bool {
    let Some(branch) = branches(schema).into_iter().find(|one| fits(one, value)) else {
        let wanted: Vec<_> =
            branches(schema).into_iter().map(wanted).filter(|words| !words.is_empty()).collect();
        let quotable = value.is_boolean() || value.is_number();
        let hint = if quotable && wanted.iter().any(|words| words == "text") {
            " (put it in quotes)"
        } else {
            ""
        };
        let message = format!("expected {}, found {}{hint}", wanted.join(" or "), found(value));
        let path = path.clone();
        problems.push(OptionProblem { path, message });
        return false;
    };
    match value {
        Value::Object(fields) => compare_fields(branch, fields, path, problems),
        Value::Array(items) => {
            let mut whole = true;
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                if let Some(schema) = branch.get("items") {
                    whole &= compare(schema, item, path, problems);
                }
                path.pop();
            }
            return whole;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    true
}

fn compare_fields(
    schema: &Value,
    fields: &mut Map<String, Value>,
    path: &mut Vec<String>,
    problems: &mut Vec<OptionProblem>,
) {
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    fields.retain(|key, value| {
        path.push(key.clone());
        let schema = known.and_then(|known| known.get(key));
        let stays = match schema.or(others) {
            Some(Value::Bool(false)) => {
                let message = unknown(key, known.into_iter().flat_map(Map::keys));
                let path = path.clone();
                problems.push(OptionProblem { path, message });
                false
            }
            Some(schema) => compare(schema, value, path, problems),
            None => true,
        };
        path.pop();
        stays
    });
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        let reported = |problem: &OptionProblem| {
            problem.path.len() == path.len() + 1
                && problem.path.starts_with(path)
                && problem.path.last().is_some_and(|last| last == key)
        };
        if !fields.contains_key(key) && !problems.iter().any(reported) {
            let path = path.clone();
            let message = format!("{key} is missing");
            problems.push(OptionProblem { path, message });
        }
    }
}

/// The alternatives of a schema; itself if it has none.
fn branches(schema: &Value) -> Vec<&Value> {
    ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key).and_then(Value::as_array))
        .map_or_else(|| vec![schema], |all| all.iter().flat_map(branches).collect())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is of the type that a schema asks for, and one of its words.
fn fits(schema: &Value, value: &Value) -> bool {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.contains(value);
    }
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|name| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => within(schema, value),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        })
}

fn within(schema: &Value, value: &Value) -> bool {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    value.is_i64() | value.is_u64()
        && value.as_f64().is_some_and(|number| {
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
        })
}

fn wanted(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<_> =
            words.iter().filter_map(Value::as_str).map(|word| format!("{word:?}")).collect();
        return format!("one of {}", words.join(", "));
    }
    let words: Vec<_> = types(schema)
        .into_iter()
        .filter(|name| *name != "null")
        .map(|name| match name {
            "boolean" => "true or false".to_owned(),
            "integer" => match (schema.get("minimum"), schema.get("maximum")) {
                (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
                _ => "a whole number".to_owned(),
            },
            "number" => "a number".to_owned(),
            "string" => "text".to_owned(),
            "array" => "a list".to_owned(),
            _ => "a map".to_owned(),
        })
        .collect();
    words.join(" or ")
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<_> = known.map(String::as_str).collect();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(word, key), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .map_or_else(
            || format!("unknown key {key:?}, known are {}", known.join(", ")),
            |(_, word)| format!("unknown key {key:?}, did you mean {word:?}?"),
        )
}

/// Collects what is wrong with the values at some place of a document.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    path: Vec<String>,
    problems: &'a mut Vec<OptionProblem>,
}

impl<'a> Findings<'a> {
    /// At the root.
    pub(crate) fn new(problems: &'a mut Vec<OptionProblem>) -> Self {
        let path = Vec::new();
        Self { path, problems }
    }

    /// At a key below.
    pub(crate) fn at(&mut self, key: impl Into<String>) -> Findings<'_> {
        let mut path = self.path.clone();
        path.push(key.into());
        Findings { path, problems: self.problems }
    }

    /// Notes a problem.
    pub(crate) fn note(&mut self, message: impl Into<String>) {
        self.problems.push(OptionProblem { path: self.path.clone(), message: message.into() });
    }

    /// The value, or a noted problem.
    pub(crate) fn keep<T>(&mut self, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|problem| self.note(problem)).ok()
    }

    /// Compiles a regular expression.
    pub(crate) fn regex(&mut self, text: &str) -> Option<Regex> {
        let compiled = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
        self.keep(compiled.map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ");
            format!("not a regular expression: {reason}")
        }))
    }

    /// Reads a duration.
    pub(crate) fn duration(&mut self, text: &str) -> Option<std::time::Duration> {
        self.keep(HumanDuration::from_str(text)).map(|read| read.0)
    }
}

/// Reads a size such as `512B`, `256KiB` or `10MiB`.
pub(crate) fn byte_size(text: &str) -> Result<usize, String> {
    let error = || {
        format!("{text:?} is not a size: write a whole number with a unit, such as 256KiB or 1MiB")
    };
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let scale: usize = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(error()),
    };
    let number: usize = number.parse().map_err(|_| error())?;
    number.checked_mul(scale).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        assert_eq!(byte_size("256KiB"), Ok(262_144));
        assert_eq!(byte_size("10MiB"), Ok(10_485_760));
        assert_eq!(byte_size("7B"), Ok(7));
        for text in ["", "1", "KiB", "1.5MiB", "-1B", "99999999999999999999B", "1kb"] {
            assert!(byte_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_come_back_from_the_wire() {
        let mut value = serde_json::json!({"a": [200.0, 1.5, 1e300], "b": -3.0, "c": 4});
        make_integral(&mut value);
        assert_eq!(value, serde_json::json!({"a": [200, 1.5, 1e300], "b": -3, "c": 4}));
    }
}
