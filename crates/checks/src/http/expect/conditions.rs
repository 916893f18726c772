//! Conditions as Gatus writes them: a second spelling of the same expectations.
//!
//! `[STATUS] == 200`, `[BODY].status == ok`, `[RESPONSE_TIME] < 500`,
//! `[CERTIFICATE_EXPIRATION] > 48h`. Source: the README of Gatus, "Conditions".

use std::time::Duration;

use quorate_model::HumanDuration;
use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::compare::{Bounds, Wanted};
use super::{Body, Expect};
use crate::options::Findings;
use crate::status::StatusRange;

/// What a condition may be about here.
const KNOWN: [&str; 6] =
    ["STATUS", "RESPONSE_TIME", "BODY", "IP", "CONNECTED", "CERTIFICATE_EXPIRATION"];
/// What Gatus knows beside that, and which kind of check tells it.
const ELSEWHERE: [(&str, &str); 3] = [
    ("DNS_RCODE", "a check of the kind dns tells it"),
    ("DOMAIN_EXPIRATION", "a check of the kind domain tells it"),
    ("CONTEXT", "checks share nothing"),
];

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// In the order in which they are looked for: the longer before those they begin with.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl Operator {
    fn bounds(self, number: f64) -> Option<Bounds> {
        let bound = Some(number);
        let none = Bounds::default();
        match self {
            Self::Equal => Some(Bounds { at_least: bound, at_most: bound, ..none }),
            Self::NotEqual => None,
            Self::Less => Some(Bounds { less_than: bound, ..none }),
            Self::AtMost => Some(Bounds { at_most: bound, ..none }),
            Self::More => Some(Bounds { more_than: bound, ..none }),
            Self::AtLeast => Some(Bounds { at_least: bound, ..none }),
        }
    }
}

/// Adds conditions to what is expected already.
pub(super) fn add(conditions: &[String], expect: &mut Expect, at: &mut Findings<'_>) {
    let mut statuses: Option<Vec<u16>> = None;
    for (index, condition) in conditions.iter().enumerate() {
        let mut at = at.at(index.to_string());
        at.keep(one(condition, expect, &mut statuses));
    }
    let Some(codes) = statuses else {
        return;
    };
    if !expect.status.is_empty() {
        at.note("expect.status says what the status must be as well: keep one");
    } else if codes.is_empty() {
        at.note("no status fits all the conditions");
    }
    expect.status = codes.into_iter().filter_map(|code| StatusRange::one(code).ok()).collect();
    expect.status = StatusRange::joined(&expect.status);
}

fn one(
    condition: &str,
    expect: &mut Expect,
    statuses: &mut Option<Vec<u16>>,
) -> Result<(), String> {
    let (left, operator, right) = split(condition)?;
    let (function, subject) = function(left);
    let (placeholder, rest) = placeholder(subject, condition)?;
    if placeholder == "BODY" {
        return body(function, rest, (operator, right), expect, condition);
    }
    if function.is_some() || !rest.is_empty() {
        return Err(format!("{left:?} cannot be computed: only of [BODY]"));
    }
    match placeholder {
        "STATUS" => {
            let fits = status(operator, right, condition)?;
            let before = statuses.take().unwrap_or_else(|| (100..=999).collect());
            *statuses = Some(before.into_iter().filter(|code| fits(*code)).collect());
            Ok(())
        }
        "RESPONSE_TIME" => {
            let most = response_time(operator, right, condition)?;
            expect.latency = Some(expect.latency.map_or(most, |other| other.min(most)));
            Ok(())
        }
        "CERTIFICATE_EXPIRATION" if matches!(operator, Operator::More | Operator::AtLeast) => {
            let least: HumanDuration = right.parse()?;
            let other = expect.around.cert_expires_in.unwrap_or_default();
            expect.around.cert_expires_in = Some(least.0.max(other));
            Ok(())
        }
        "IP" if operator == Operator::Equal => {
            for text in alternatives(right) {
                expect.around.address.push(text.parse()?);
            }
            Ok(())
        }
        // Whatever is expected of an answer expects that there is one.
        "CONNECTED" if operator == Operator::Equal && right == "true" => Ok(()),
        _ => Err(format!("{condition:?} compares in a way that is not known for [{placeholder}]")),
    }
}

fn split(condition: &str) -> Result<(&str, Operator, &str), String> {
    let found = OPERATORS.iter().find_map(|(text, operator)| {
        let (left, right) = condition.split_once(&format!(" {text} "))?;
        Some((left.trim(), *operator, right.trim()))
    });
    found.ok_or_else(|| {
        format!("{condition:?} compares nothing: write one such as \"[STATUS] == 200\"")
    })
}

/// `len(...)` and `has(...)` around what is compared.
fn function(text: &str) -> (Option<&str>, &str) {
    let inside = |name: &str| text.strip_prefix(name)?.strip_suffix(')');
    match (inside("len("), inside("has(")) {
        (Some(inner), _) => (Some("len"), inner),
        (_, Some(inner)) => (Some("has"), inner),
        _ => (None, text),
    }
}

/// The name in brackets, and what follows it.
fn placeholder<'a>(text: &'a str, condition: &str) -> Result<(&'a str, &'a str), String> {
    let (name, rest) =
        text.strip_prefix('[').and_then(|text| text.split_once(']')).ok_or_else(|| {
            format!("{condition:?} does not begin with a placeholder such as [STATUS]")
        })?;
    if KNOWN.contains(&name) {
        return Ok((name, rest));
    }
    if let Some((_, why)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return Err(format!("[{name}] is not known here: {why}"));
    }
    let nearest = KNOWN.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let near = nearest.filter(|known| strsim::damerau_levenshtein(known, name) <= 3);
    Err(near.map_or_else(
        || {
            format!(
                "unknown placeholder [{name}], known are {}",
                KNOWN.map(|one| format!("[{one}]")).join(", ")
            )
        },
        |near| format!("unknown placeholder [{name}], did you mean [{near}]?"),
    ))
}

/// The values of `any(a, b)`, or the one that is written.
fn alternatives(text: &str) -> Vec<&str> {
    match text.strip_prefix("any(").and_then(|text| text.strip_suffix(')')) {
        Some(inner) => inner.split(',').map(str::trim).collect(),
        None => vec![text],
    }
}

fn status(operator: Operator, text: &str, condition: &str) -> Result<impl Fn(u16) -> bool, String> {
    let codes: Result<Vec<u16>, _> = alternatives(text).into_iter().map(str::parse).collect();
    let codes = codes.map_err(|_| format!("{condition:?} compares with what is not a status"))?;
    let single = codes.len() == 1;
    if !single && !matches!(operator, Operator::Equal | Operator::NotEqual) {
        return Err(format!("{condition:?}: any(...) is either equal or not"));
    }
    Ok(move |code: u16| {
        codes.iter().any(|other| match operator {
            Operator::Equal => code == *other,
            Operator::NotEqual => !codes.contains(&code),
            Operator::Less => code < *other,
            Operator::AtMost => code <= *other,
            Operator::More => code > *other,
            Operator::AtLeast => code >= *other,
        })
    })
}

/// The longest that a probe may take: milliseconds, or with a unit.
fn response_time(operator: Operator, text: &str, condition: &str) -> Result<Duration, String> {
    let time = match text.parse::<u64>() {
        Ok(millis) => Duration::from_millis(millis),
        Err(_) => text.parse::<HumanDuration>()?.0,
    };
    match operator {
        Operator::AtMost => Ok(time),
        Operator::Less => Ok(time.saturating_sub(Duration::from_micros(1))),
        Operator::Equal | Operator::NotEqual | Operator::More | Operator::AtLeast => {
            Err(format!("{condition:?}: a time has an upper bound only, with < or <="))
        }
    }
}

fn body(
    function: Option<&str>,
    path: &str,
    (operator, text): (Operator, &str),
    expect: &mut Expect,
    condition: &str,
) -> Result<(), String> {
    if path.is_empty() && function.is_none() {
        return whole_body(operator, text, &mut expect.body, condition);
    }
    let path = json_path(path)?;
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let number = || {
        let number = text.parse::<f64>().ok();
        let bounds = number.and_then(|number| operator.bounds(number));
        bounds.ok_or_else(|| format!("{condition:?} does not compare with a number"))
    };
    let wanted = match function {
        Some("len") => Wanted { length: number()?, ..Wanted::default() },
        Some(_) => match (operator, text) {
            (Operator::Equal, "true") | (Operator::NotEqual, "false") => Wanted::default(),
            (Operator::Equal, "false") | (Operator::NotEqual, "true") => {
                Wanted { is_absent: true, ..Wanted::default() }
            }
            _ => return Err(format!("{condition:?}: has(...) is either true or false")),
        },
        None if is_equality && is_special(text) => {
            let regex = Some(pattern(text, operator == Operator::Equal, condition)?);
            Wanted { regex, ..Wanted::default() }
        }
        None if is_equality => Wanted {
            written: Some((text.to_owned(), operator == Operator::Equal)),
            ..Wanted::default()
        },
        None => Wanted { bounds: number()?, ..Wanted::default() },
    };
    expect.json.push((path, wanted));
    Ok(())
}

fn whole_body(
    operator: Operator,
    text: &str,
    body: &mut Body,
    condition: &str,
) -> Result<(), String> {
    match operator {
        Operator::Equal => body.regex.push(pattern(text, true, condition)?),
        Operator::NotEqual => body.not_regex.push(plain_pattern(text)?),
        Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
            return Err(format!("{condition:?}: a body is either equal or not; see len([BODY])"));
        }
    }
    Ok(())
}

/// Whether a text is more than itself.
fn is_special(text: &str) -> bool {
    (text.starts_with("pat(") || text.starts_with("any(")) && text.ends_with(')')
}

/// `pat(a*b)` and `any(a, b)` as a regular expression for the whole text.
fn pattern(text: &str, same: bool, condition: &str) -> Result<Regex, String> {
    if same {
        return plain_pattern(text);
    }
    Err(format!("{condition:?}: pat(...) and any(...) cannot be denied for a part of the body"))
}

fn plain_pattern(text: &str) -> Result<Regex, String> {
    let parts: Vec<String> = alternatives(text)
        .into_iter()
        .map(|one| match one.strip_prefix("pat(").and_then(|one| one.strip_suffix(')')) {
            Some(glob) => {
                let literal: Vec<_> = glob.split('*').map(regex::escape).collect();
                literal.join(".*")
            }
            None => regex::escape(one),
        })
        .collect();
    Regex::new(&format!("(?s)^(?:{})$", parts.join("|"))).map_err(|error| error.to_string())
}

/// `.a.b[0]` as a `JSONPath`.
fn json_path(path: &str) -> Result<JsonPath, String> {
    let mut text = "$".to_owned();
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        let (name, index) = segment.find('[').map_or((segment, ""), |at| segment.split_at(at));
        if !name.is_empty() {
            // Quoted, because names may hold what a path cannot.
            text.extend(["[", Value::from(name).to_string().as_str(), "]"]);
        }
        text.push_str(index);
    }
    JsonPath::parse(&text).map_err(|error| format!("{path:?} is not a path in a body: {error}"))
}

#[cfg(test)]
mod tests;
