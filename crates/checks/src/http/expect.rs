//! What an answer must be.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use quorate_model::{Phase, Reason};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use super::redirect::{is_redirect, location};
use crate::options::Findings;
use crate::phase::{Stop, cut, rounded};
use crate::status::{self, StatusRange};

/// The longest text of a target in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// Expectations of an answer. Without any: a status of 2xx.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectOptions {
    /// A code (`200`), a class (`2xx`), an interval (`200-299`), or a list of these.
    #[schemars(extend("default" = "2xx"))]
    status: Option<OneOrMany<StatusOption>>,
    /// For each header its exact value, or the options below. Of a header that is there several times
    /// one must fit.
    headers: BTreeMap<String, HeaderOption>,
    /// The body, as text: the options below it.
    body: BodyOptions,
    /// Values by `JSONPath` (RFC 9535), such as `"$.status": ok`. The path must select something, and
    /// all of it must equal the value.
    json: BTreeMap<String, Value>,
    /// With `follow: false`: the `Location`, as sent or as a whole URL.
    location: Option<String>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StatusOption {
    Code(#[schemars(range(min = 100, max = 999))] u16),
    Text(String),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum HeaderOption {
    /// The exact value.
    Equals(String),
    /// Conditions, of which all must hold.
    Conditions(HeaderConditions),
}

/// Conditions on the value of a header.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HeaderConditions {
    /// The exact value.
    equals: Option<String>,
    /// A part of the value.
    contains: Option<String>,
    /// A regular expression that matches somewhere in the value.
    regex: Option<String>,
    /// With `false` the header must not be there.
    #[schemars(extend("default" = true))]
    present: Option<bool>,
}

/// Conditions on the body, of which all must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct BodyOptions {
    /// A part of the body.
    contains: Option<String>,
    /// What must not be a part of the body.
    not_contains: Option<String>,
    /// A regular expression that matches somewhere in the body.
    regex: Option<String>,
}

/// Expectations after validation.
#[derive(Debug, Default)]
pub(super) struct Expect {
    status: Vec<StatusRange>,
    headers: Vec<(HeaderName, HeaderExpect)>,
    contains: Option<String>,
    not_contains: Option<String>,
    regex: Option<Regex>,
    json: Vec<(JsonPath, Value)>,
    location: Option<String>,
    latency: Option<Duration>,
}

#[derive(Debug, Default)]
struct HeaderExpect {
    equals: Option<String>,
    contains: Option<String>,
    regex: Option<Regex>,
    absent: bool,
}

impl ExpectOptions {
    /// Validates, knowing whether redirects are `followed`.
    pub(super) fn plan(self, followed: bool, at: &mut Findings<'_>) -> Expect {
        let status = read_statuses(self.status, followed, &mut at.at("status"));
        let mut headers = Vec::new();
        for (name, option) in self.headers {
            let mut at_headers = at.at("headers");
            let mut at_header = at_headers.at(name.as_str());
            let Ok(header) = HeaderName::try_from(&name) else {
                at_header.note(format!("{name:?} is not a header name"));
                continue;
            };
            headers.push((header, read_header(option, &mut at_header)));
        }
        let regex = self.body.regex.as_deref().and_then(|text| {
            let mut at_body = at.at("body");
            at_body.at("regex").regex(text)
        });
        let mut json = Vec::new();
        for (path, value) in self.json {
            let mut at_json = at.at("json");
            match JsonPath::parse(&path) {
                Ok(parsed) => json.push((parsed, value)),
                Err(error) => {
                    at_json.at(path.as_str()).note(format!("{path:?} is not a JSONPath: {error}"));
                }
            }
        }
        if self.location.is_some() && followed {
            at.at("location")
                .note("redirects are followed, so there is no Location: set follow: false");
        }
        let latency = self.latency.as_deref().and_then(|text| at.at("latency").duration(text));
        Expect {
            status,
            headers,
            contains: self.body.contains,
            not_contains: self.body.not_contains,
            regex,
            json,
            location: self.location,
            latency,
        }
    }
}

fn read_statuses(
    options: Option<OneOrMany<StatusOption>>,
    followed: bool,
    at: &mut Findings<'_>,
) -> Vec<StatusRange> {
    let options = match options {
        None => return Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    };
    if options.is_empty() {
        at.note("the list is empty: no status would do");
    }
    let mut ranges = Vec::new();
    for (index, option) in options.into_iter().enumerate() {
        let mut at = at.at(index.to_string());
        let range = match option {
            StatusOption::Code(code) => StatusRange::one(code),
            StatusOption::Text(text) => StatusRange::parse(&text),
        };
        let Some(range) = at.keep(range) else {
            continue;
        };
        if let Some(code) = range.single().filter(|code| followed && is_redirect(*code)) {
            at.note(format!("{code} is followed and so never the answer: set follow: false"));
        }
        ranges.push(range);
    }
    ranges
}

fn read_header(option: HeaderOption, at: &mut Findings<'_>) -> HeaderExpect {
    let conditions = match option {
        HeaderOption::Equals(value) => {
            HeaderConditions { equals: Some(value), ..HeaderConditions::default() }
        }
        HeaderOption::Conditions(conditions) => conditions,
    };
    let values =
        conditions.equals.is_some() || conditions.contains.is_some() || conditions.regex.is_some();
    match conditions.present {
        None if !values => at.note("says nothing: write equals, contains, regex or present"),
        Some(false) if values => at.note("a header that must not be present has no value"),
        _ => {}
    }
    let regex = conditions.regex.as_deref().and_then(|text| at.at("regex").regex(text));
    HeaderExpect {
        equals: conditions.equals,
        contains: conditions.contains,
        regex,
        absent: conditions.present == Some(false),
    }
}

impl Expect {
    /// Whether the check itself says that it expects the status `code`.
    pub(super) fn names(&self, code: u16) -> bool {
        self.status.iter().any(|range| range.holds(code))
    }

    /// Judges the head of the final answer to a request for `url` that carried the headers `sent`.
    pub(super) fn head(
        &self,
        (url, sent): (&Url, &HeaderMap),
        code: u16,
        headers: &HeaderMap,
    ) -> Result<(), Stop> {
        status::judge(code, &self.status, |name| sent.contains_key(name))?;
        for (name, expect) in &self.headers {
            expect
                .judge(name, headers)
                .map_err(|message| Stop::fail(Phase::Assert, Reason::Header, message))?;
        }
        let Some(wanted) = &self.location else {
            return Ok(());
        };
        let found = location(headers);
        let resolved = found.as_deref().and_then(|found| url.join(found).ok());
        if found.as_ref() == Some(wanted) || resolved.is_some_and(|url| url.as_str() == wanted) {
            return Ok(());
        }
        let message = match found {
            Some(found) => format!("Location is {}, expected {wanted:?}", shown(&found)),
            None => format!("there is no Location, expected {wanted:?}"),
        };
        Err(Stop::fail(Phase::Assert, Reason::Header, message))
    }

    /// Judges the body, of which `all` says whether it is all of it.
    pub(super) fn body(&self, body: &[u8], all: bool) -> Result<(), Stop> {
        let fails = |message| Stop::fail(Phase::Assert, Reason::Body, message);
        let text = String::from_utf8_lossy(body);
        let what = if all {
            "the body".to_owned()
        } else {
            format!("the first {} bytes of the body", body.len())
        };
        if let Some(part) = self.contains.as_ref().filter(|part| !text.contains(part.as_str())) {
            return Err(fails(format!("{what} does not contain {}", shown(part))));
        }
        if let Some(part) = self.not_contains.as_ref().filter(|part| text.contains(part.as_str())) {
            return Err(fails(format!("{what} contains {}", shown(part))));
        }
        if let Some(regex) = self.regex.as_ref().filter(|regex| !regex.is_match(&text)) {
            let regex = shown(regex.as_str());
            return Err(fails(format!("{what} does not match {regex}")));
        }
        self.json(body, all).map_err(|message| Stop::fail(Phase::Assert, Reason::Json, message))
    }

    fn json(&self, body: &[u8], all: bool) -> Result<(), String> {
        if self.json.is_empty() {
            return Ok(());
        }
        if !all {
            let read = body.len();
            return Err(format!(
                "the body is longer than max_body ({read} bytes), so not read as JSON"
            ));
        }
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the body is not JSON ({error})"))?;
        for (path, wanted) in &self.json {
            let found = path.query(&document).all();
            if found.is_empty() {
                return Err(format!("{path} is missing, expected {wanted}"));
            }
            if let Some(other) = found.into_iter().find(|value| !equal(value, wanted)) {
                let other = cut(other.to_string(), SHOWN_BYTES_MAX);
                return Err(format!("{path} is {other}, expected {wanted}"));
            }
        }
        Ok(())
    }

    /// Judges the time that the probe took.
    pub(super) fn latency(&self, took: Duration) -> Result<(), Stop> {
        match self.latency {
            Some(most) if took > most => {
                let message = format!("took {}, expected at most {}", rounded(took), rounded(most));
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
    }
}

impl HeaderExpect {
    fn judge(&self, name: &HeaderName, headers: &HeaderMap) -> Result<(), String> {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let Some(first) = values.first() else {
            return if self.absent { Ok(()) } else { Err(format!("header {name} is missing")) };
        };
        if self.absent {
            return Err(format!("header {name} is there: {}", shown(first)));
        }
        if values.iter().any(|value| self.fits(value)) {
            return Ok(());
        }
        Err(format!("header {name} is {}, expected {}", shown(first), self.wanted()))
    }

    fn fits(&self, value: &str) -> bool {
        self.equals.as_ref().is_none_or(|wanted| wanted == value)
            && self.contains.as_ref().is_none_or(|part| value.contains(part.as_str()))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(value))
    }

    fn wanted(&self) -> String {
        let all = [
            self.equals.as_ref().map(|text| shown(text)),
            self.contains.as_ref().map(|text| format!("a part {}", shown(text))),
            self.regex.as_ref().map(|regex| format!("a match of {}", shown(regex.as_str()))),
        ];
        all.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

/// Whether two JSON values are equal, numbers by value: `1` equals `1.0`.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left_number), Value::Number(right_number)) => {
            left == right || left_number.as_f64() == right_number.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(one, other)| equal(one, other))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, one)| right.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => left == right,
    }
}

/// Text for a message: bounded, quoted, escaped.
fn shown(text: &str) -> String {
    format!("{:?}", cut(text.to_owned(), SHOWN_BYTES_MAX))
}
