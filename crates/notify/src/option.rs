//! Reading options so that everything wrong with them is said at once.

use std::borrow::Cow;

use quorate_model::{HumanDuration, OptionProblem, Secret};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A text that a configuration may give as a reference, because it is or may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum SecretOption {
    /// The text itself.
    Resolved(Secret),
    /// Where it is to be read from. Whoever starts the notifier reads it and parses again.
    Reference,
}

impl TryFrom<Value> for SecretOption {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let kinds = ["env", "file", "credential"];
        let is_reference = |object: &Map<String, Value>| {
            let named = |kind: &str| object.get(kind).and_then(Value::as_str);
            object.len() == 1 && kinds.into_iter().filter_map(named).any(|name| !name.is_empty())
        };
        match &value {
            Value::String(text) => Ok(Self::Resolved(Secret::new(text.trim_end()))),
            Value::Object(object) if is_reference(object) => Ok(Self::Reference),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err("expected {env: NAME}, {file: PATH} or {credential: NAME}"),
        }
    }
}

impl SecretOption {
    /// The text, if it is there.
    pub(crate) fn resolved(&self) -> Option<&str> {
        match self {
            Self::Resolved(secret) => Some(secret.reveal()),
            Self::Reference => None,
        }
    }
}

/// A reference only: a configuration must not hold a secret itself.
impl JsonSchema for SecretOption {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let reference = |key: &str, description: &str| {
            json_schema!({
                "type": "object",
                "properties": {
                    key: { "type": "string", "minLength": 1, "description": description }
                },
                "required": [key],
                "additionalProperties": false
            })
        };
        json_schema!({
            "oneOf": [
                reference("env", "The environment variable that holds it."),
                reference("file", "The file that holds it."),
                reference("credential", "The systemd credential that holds it.")
            ]
        })
    }
}

/// The schema of a text that may be given as a reference, but need not be.
pub(crate) fn text_or_reference(generator: &mut SchemaGenerator) -> Schema {
    let reference = SecretOption::json_schema(generator);
    json_schema!({ "anyOf": [{ "type": "string" }, reference] })
}

/// The schema of a map of such texts.
pub(crate) fn texts_or_references(generator: &mut SchemaGenerator) -> Schema {
    let value = text_or_reference(generator);
    json_schema!({ "type": "object", "additionalProperties": value })
}

/// The schema of a duration.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^([0-9.]+(ms|s|m|h|d))+$" })
}

/// One value or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected one value or a list of them; a secret is {env: NAME}, {file: PATH} or {credential: NAME}"
)]
pub(crate) enum OneOrMore<T> {
    /// One.
    One(T),
    /// A list.
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// The values.
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::More(values) => values,
        }
    }
}

/// The fields of an option object, taken one by one, with what is wrong with them.
#[derive(Debug)]
pub(crate) struct Fields {
    rest: Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<OptionProblem>,
}

impl Fields {
    /// The fields of `options`.
    pub(crate) fn of(options: &Value) -> Self {
        let (rest, problems) = match options {
            Value::Object(fields) => (fields.clone(), Vec::new()),
            Value::Null => (Map::new(), Vec::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let problem = OptionProblem::at(&[], "expected a map of options");
                (Map::new(), vec![problem])
            }
        };
        Self { rest, known: Vec::new(), problems }
    }

    /// Takes an optional field.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let value = self.rest.remove(name)?;
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(&[name], error.to_string());
                None
            }
        }
    }

    /// Takes a field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if !self.rest.contains_key(name) {
            self.problem(&[], format!("`{name}` is missing"));
        }
        self.optional(name)
    }

    /// Takes a duration between two bounds.
    pub(crate) fn duration(
        &mut self,
        name: &'static str,
        default: HumanDuration,
        [least, greatest]: [HumanDuration; 2],
    ) -> HumanDuration {
        let value = self.optional(name).unwrap_or(default);
        if value < least || value > greatest {
            self.problem(&[name], format!("must be between {least} and {greatest}"));
        }
        value
    }

    /// Notes that something is wrong.
    pub(crate) fn problem(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(OptionProblem::at(path, message));
    }

    /// Everything that is wrong, also that fields are left which nobody has taken.
    pub(crate) fn finish(mut self) -> Result<(), Vec<OptionProblem>> {
        for name in std::mem::take(&mut self.rest).keys() {
            let known = self.known.iter();
            let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(known, name));
            let message = match nearest {
                Some(near) if strsim::damerau_levenshtein(near, name) <= 2 => {
                    format!("no such option; did you mean `{near}`?")
                }
                _ => format!("no such option; there are {}", self.known.join(", ")),
            };
            self.problem(&[name], message);
        }
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}
