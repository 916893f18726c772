//! What an answer must be.

mod around;
mod bounds;
mod compare;
mod conditions;
mod schema;

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use quorate_model::{Evidence, Phase, PhaseTiming, Reason, Timestamp};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use self::around::{Around, SizeOptions, TlsExpectOptions};
use self::compare::{Bounds, Wanted};
use self::schema::JsonSchema as Fitting;
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
    /// all of it must equal the value; or fit a map of `equals`, `not_equals`, `contains`,
    /// `not_contains`, `regex`, `less_than`, `at_most`, `more_than`, `at_least` and `present`.
    json: BTreeMap<String, Value>,
    /// A JSON Schema that the body must fit: draft 4 to 2020-12, without references to elsewhere.
    json_schema: Option<Value>,
    /// How long the body must be, decoded: the options below it.
    size: SizeOptions,
    /// The URL that the redirects must have led to.
    url: Option<String>,
    /// The network of the address that answers, such as `192.0.2.0/24`, or a list of these.
    address: Option<OneOrMany<String>>,
    /// What must have been agreed on by TLS: the options below it.
    tls: TlsExpectOptions,
    /// How long each phase may take, all hops together, such as `ttfb: 300ms`: of `dns`, `connect`,
    /// `tls`, `send`, `ttfb` and `transfer`.
    #[schemars(extend("x-unit" = "durations"))]
    phases: BTreeMap<String, String>,
    /// The same in the words of Gatus, such as `"[STATUS] == 200"`, `"[BODY].status == ok"` or
    /// `"[CERTIFICATE_EXPIRATION] > 48h"`.
    conditions: Vec<String>,
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
    /// What must not be a part of the value.
    not_contains: Option<String>,
    /// A regular expression that matches somewhere in the value.
    regex: Option<String>,
    /// The value is a number below this one.
    less_than: Option<f64>,
    /// The value is this number or one below.
    at_most: Option<f64>,
    /// The value is a number above this one.
    more_than: Option<f64>,
    /// The value is this number or one above.
    at_least: Option<f64>,
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
    body: Body,
    json: Vec<(JsonPath, Wanted)>,
    schema: Option<Fitting>,
    location: Option<String>,
    around: Around,
    latency: Option<Duration>,
}

#[derive(Debug, Default)]
struct Body {
    contains: Option<String>,
    not_contains: Option<String>,
    regex: Vec<Regex>,
    not_regex: Vec<Regex>,
}

#[derive(Debug, Default)]
struct HeaderExpect {
    equals: Option<String>,
    contains: Option<String>,
    not_contains: Option<String>,
    regex: Option<Regex>,
    bounds: Bounds,
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
        let json = read_json(self.json, &mut at.at("json"));
        let schema = self.json_schema.and_then(|schema| {
            let mut at = at.at("json_schema");
            at.keep(Fitting::compile(schema))
        });
        let mut around = Around { url: self.url, ..Around::default() };
        around.read_tls(self.tls, &mut at.at("tls"));
        around.read_size(&self.size, &mut at.at("size"));
        around.read_phases(self.phases, &mut at.at("phases"));
        around.read_address(self.address, &mut at.at("address"));
        if self.location.is_some() && followed {
            at.at("location")
                .note("redirects are followed, so there is no Location: set follow: false");
        }
        let latency = self.latency.as_deref().and_then(|text| at.at("latency").duration(text));
        let body = Body {
            contains: self.body.contains,
            not_contains: self.body.not_contains,
            regex: regex.into_iter().collect(),
            not_regex: Vec::new(),
        };
        let location = self.location;
        let mut expect = Expect { status, headers, body, json, schema, location, around, latency };
        if !self.conditions.is_empty() {
            conditions::add(&self.conditions, &mut expect, &mut at.at("conditions"));
        }
        expect
    }
}

fn read_json(options: BTreeMap<String, Value>, at: &mut Findings<'_>) -> Vec<(JsonPath, Wanted)> {
    let mut json = Vec::new();
    for (path, value) in options {
        let mut at = at.at(path.as_str());
        if let Err(problem) = bounds::path(&path) {
            at.note(problem);
            continue;
        }
        let parsed = JsonPath::parse(&path);
        let parsed = parsed.map_err(|error| format!("{path:?} is not a JSONPath: {error}"));
        let wanted = Wanted::read(value, &mut at);
        json.extend(at.keep(parsed).map(|parsed| (parsed, wanted)));
    }
    json
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
    let bounds = Bounds {
        less_than: conditions.less_than,
        at_most: conditions.at_most,
        more_than: conditions.more_than,
        at_least: conditions.at_least,
    };
    let texts =
        [&conditions.equals, &conditions.contains, &conditions.not_contains, &conditions.regex];
    let values = texts.iter().any(|text| text.is_some()) || !bounds.is_none();
    match conditions.present {
        None if !values => {
            at.note("says nothing: write equals, contains, regex, at_least, present or the like");
        }
        Some(false) if values => at.note("a header that must not be present has no value"),
        _ => {}
    }
    let regex = conditions.regex.as_deref().and_then(|text| at.at("regex").regex(text));
    HeaderExpect {
        equals: conditions.equals,
        contains: conditions.contains,
        not_contains: conditions.not_contains,
        regex,
        bounds,
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

    /// Judges where an answer from `url` came from, before its body is waited for.
    pub(super) fn around(
        &self,
        url: &Url,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<(), Stop> {
        self.around.before_body(url, evidence, now)
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
        self.around.size(body.len(), all)?;
        if let Some(part) = self.body.contains.as_ref().filter(|part| !text.contains(part.as_str()))
        {
            return Err(fails(format!("{what} does not contain {}", shown(part))));
        }
        if let Some(part) =
            self.body.not_contains.as_ref().filter(|part| text.contains(part.as_str()))
        {
            return Err(fails(format!("{what} contains {}", shown(part))));
        }
        if let Some(regex) = self.body.regex.iter().find(|regex| !regex.is_match(&text)) {
            let regex = shown(regex.as_str());
            return Err(fails(format!("{what} does not match {regex}")));
        }
        if let Some(regex) = self.body.not_regex.iter().find(|regex| regex.is_match(&text)) {
            let regex = shown(regex.as_str());
            return Err(fails(format!("{what} matches {regex}")));
        }
        self.json(body, all).map_err(|message| Stop::fail(Phase::Assert, Reason::Json, message))
    }

    fn json(&self, body: &[u8], all: bool) -> Result<(), String> {
        if self.json.is_empty() && self.schema.is_none() {
            return Ok(());
        }
        if !all {
            let read = body.len();
            return Err(format!(
                "the body is longer than max_body ({read} bytes), so not read as JSON"
            ));
        }
        if body.len() > bounds::JSON_BYTES_MAX {
            return Err("the body is longer than 1MiB, so not read as JSON".to_owned());
        }
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the body is not JSON ({error})"))?;
        for (path, wanted) in &self.json {
            wanted.judge(&path.to_string(), &path.query(&document).all())?;
        }
        self.schema.as_ref().map_or(Ok(()), |schema| schema.judge(&document))
    }

    /// Judges the time that the probe took, and its phases.
    pub(super) fn times(&self, took: Duration, phases: &[PhaseTiming]) -> Result<(), Stop> {
        self.around.phases(phases)?;
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
            && self.not_contains.as_ref().is_none_or(|part| !value.contains(part.as_str()))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(value))
            && (self.bounds.is_none()
                || value.trim().parse().is_ok_and(|number| self.bounds.hold(number)))
    }

    fn wanted(&self) -> String {
        let texts = [
            self.equals.as_ref().map(|text| shown(text)),
            self.contains.as_ref().map(|text| format!("a part {}", shown(text))),
            self.not_contains.as_ref().map(|text| format!("no part {}", shown(text))),
            self.regex.as_ref().map(|regex| format!("a match of {}", shown(regex.as_str()))),
        ];
        let mut words: Vec<String> = texts.into_iter().flatten().collect();
        words.extend(self.bounds.wanted());
        words.join(" and ")
    }
}

/// Text for a message: bounded, quoted, escaped.
fn shown(text: &str) -> String {
    format!("{:?}", cut(text.to_owned(), SHOWN_BYTES_MAX))
}
