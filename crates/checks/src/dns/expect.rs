//! What a DNS answer must be.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use quorate_model::{Phase, Reason, Timestamp};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::chain::Chain;
use super::rdata::{rcode_name, rcode_number, type_name};
use super::wire::{Answer, Question, Section};
use crate::Network;
use crate::options::Findings;
use crate::phase::{Stop, cut, rounded};

/// The longest list of a target's records in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 200;
/// The number of the type TXT, whose text keeps its letters' case.
const TXT: u16 = 16;
/// The code NOERROR.
const NO_ERROR: u16 = 0;
/// The code NXDOMAIN.
pub(super) const NX_DOMAIN: u16 = 3;

/// Expectations of an answer. Without any: `NOERROR`, and at least one record of the type.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectOptions {
    /// The response code by its name, such as `NXDOMAIN`, or a list of those that will do.
    #[schemars(extend("default" = "NOERROR"))]
    rcode: Option<OneOrMany>,
    /// The records of the type, without owner and TTL: the exact set in any order, or the options
    /// below.
    #[schemars(extend("x-default" = "at least one"))]
    answer: Option<RecordsChoice>,
    /// The section authority, each record as `owner TYPE content`: the exact set, or the options
    /// below.
    authority: Option<RecordsChoice>,
    /// The section additional, each record as `owner TYPE content`: the exact set, or the options
    /// below.
    additional: Option<RecordsChoice>,
    /// The serial of the SOA record: the least that will do (RFC 1982), or the options below.
    serial: Option<SerialChoice>,
    /// Whether the resolver must say (`true`), or must not say (`false`), that it has verified the
    /// answer by DNSSEC (flag AD). That is the resolver's word: nothing is verified here.
    ad: Option<bool>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum RecordsChoice {
    /// The only one.
    One(String),
    /// All of them.
    Many(Vec<String>),
    /// Conditions, of which all must hold.
    Conditions(RecordsOptions),
}

/// Conditions on records.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RecordsOptions {
    /// All of them, in any order.
    equals: Option<OneOrMany>,
    /// Records that must be among them.
    contains: Option<OneOrMany>,
    /// Records that must not be among them.
    not_contains: Option<OneOrMany>,
    /// A regular expression that matches somewhere in one of them.
    regex: Option<String>,
    /// A regular expression that matches in none of them.
    not_regex: Option<String>,
    /// Networks, such as `192.0.2.0/24`: each address must be in one of them.
    cidr: Option<OneOrMany>,
    /// How many there must be at least.
    #[schemars(extend("default" = 1), range(min = 0, max = 256))]
    min: Option<u16>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum SerialChoice {
    /// The least that will do.
    AtLeast(#[schemars(range(min = 0, max = 4_294_967_295_u32))] u32),
    /// Conditions, of which all must hold.
    Conditions(SerialOptions),
}

/// Conditions on a serial.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SerialOptions {
    /// The least that will do, by the arithmetic of RFC 1982: after the highest number comes 0.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    at_least: Option<u32>,
    /// The oldest that will do, for serials that are a date (`YYYYMMDDnn`) or a Unix time.
    #[schemars(extend("x-unit" = "duration"))]
    max_age: Option<String>,
}

impl ExpectOptions {
    /// Validates; notes what is wrong.
    pub(super) fn plan(self, kind: u16, at: &mut Findings<'_>) -> Expect {
        let codes = self.rcode.map_or_else(Vec::new, OneOrMany::all);
        let mut rcodes = BTreeSet::new();
        for text in &codes {
            let code = rcode_number(text).ok_or_else(|| {
                format!("unknown response code {text:?}: write one such as NOERROR or NXDOMAIN")
            });
            rcodes.extend(at.at("rcode").keep(code));
        }
        if rcodes.is_empty() {
            rcodes.insert(NO_ERROR);
        }
        let least = u16::from(rcodes.contains(&NO_ERROR) && rcodes.len() == 1);
        let (at_least, max_age) = match self.serial {
            None => (None, None),
            Some(SerialChoice::AtLeast(least)) => (Some(least), None),
            Some(SerialChoice::Conditions(options)) => {
                let mut at = at.at("serial");
                let age = options.max_age.and_then(|text| at.at("max_age").duration(&text));
                (options.at_least, age)
            }
        };
        if (at_least.is_some() || max_age.is_some()) && type_name(kind) != "SOA" {
            at.at("serial").note("only a SOA record has a serial: ask for type: SOA");
        }
        let mut records = |choice: Option<RecordsChoice>, key: &str, kind, least| {
            choice.map_or_else(
                || Records { kind, least, ..Records::default() },
                |choice| choice.plan(kind, least, &mut at.at(key)),
            )
        };
        let answer = records(self.answer, "answer", Some(kind), least);
        let authority = records(self.authority, "authority", None, 0);
        let additional = records(self.additional, "additional", None, 0);
        Expect {
            rcodes,
            answer,
            authority,
            additional,
            at_least,
            max_age,
            authentic: self.ad,
            latency: self.latency.and_then(|text| at.at("latency").duration(&text)),
        }
    }
}

impl RecordsChoice {
    fn plan(self, kind: Option<u16>, least: u16, at: &mut Findings<'_>) -> Records {
        let normal = |texts: Vec<String>| -> BTreeSet<String> {
            texts.iter().map(|text| normal(kind, text)).collect()
        };
        let options = match self {
            Self::One(text) => {
                let equals = Some(normal(vec![text]));
                return Records { kind, equals, ..Records::default() };
            }
            Self::Many(texts) => {
                let equals = Some(normal(texts));
                return Records { kind, equals, ..Records::default() };
            }
            Self::Conditions(options) => options,
        };
        let set = |texts: Option<OneOrMany>| normal(texts.map_or_else(Vec::new, OneOrMany::all));
        let equals = options.equals.is_some();
        let least = if equals { 0 } else { least };
        let networks = options.cidr.map_or_else(Vec::new, OneOrMany::all);
        Records {
            kind,
            equals: Some(set(options.equals)).filter(|_| equals),
            contains: set(options.contains),
            not_contains: set(options.not_contains),
            regex: options.regex.and_then(|text| at.at("regex").regex(&text)),
            not_regex: options.not_regex.and_then(|text| at.at("not_regex").regex(&text)),
            networks: networks.iter().filter_map(|text| at.at("cidr").keep(text.parse())).collect(),
            least: options.min.unwrap_or(least),
        }
    }
}

/// A record's text as it is compared: addresses in their one spelling, names in lower case and
/// without their final dot.
fn normal(kind: Option<u16>, text: &str) -> String {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return address.to_string();
    }
    if kind == Some(TXT) {
        return text.to_owned();
    }
    let word = |word: &str| word.strip_suffix('.').unwrap_or(word).to_ascii_lowercase();
    text.split_ascii_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Expectations after validation.
#[derive(Debug, Default)]
pub(super) struct Expect {
    rcodes: BTreeSet<u16>,
    answer: Records,
    authority: Records,
    additional: Records,
    at_least: Option<u32>,
    max_age: Option<Duration>,
    authentic: Option<bool>,
    latency: Option<Duration>,
}

/// Expectations of some records after validation.
#[derive(Debug, Default)]
struct Records {
    /// The type of all of them; `None` for whole sections.
    kind: Option<u16>,
    equals: Option<BTreeSet<String>>,
    contains: BTreeSet<String>,
    not_contains: BTreeSet<String>,
    regex: Option<Regex>,
    not_regex: Option<Regex>,
    networks: Vec<Network>,
    least: u16,
}

impl Expect {
    /// Whether a name that does not exist is what is wanted.
    pub(super) fn wants_nothing(&self) -> bool {
        self.rcodes.contains(&NX_DOMAIN)
    }

    /// The first expectation that an answer does not meet.
    pub(super) fn judge(
        &self,
        question: &Question,
        (answer, chain): (&Answer, &Chain<'_>),
        now: Timestamp,
    ) -> Result<(), Stop> {
        let name = question.name.as_str();
        if !self.rcodes.contains(&answer.rcode) {
            return Err(self.other_code(name, answer.rcode));
        }
        let kind = type_name(question.kind);
        let wanted = chain.records();
        if wanted.is_empty() && self.answer.least > 0 {
            let message = format!("{name} exists, but has no {kind} record (NODATA)");
            return Err(Stop::fail(Phase::Assert, Reason::NoRecords, message));
        }
        let texts: Vec<_> = wanted.iter().map(|record| record.data.text.clone()).collect();
        let addresses: Vec<_> = wanted.iter().filter_map(|record| record.data.address).collect();
        self.answer.judge(&format!("the {kind} records"), &texts, &addresses)?;
        let whole = |section: &Section| -> Vec<String> {
            section.records.iter().map(ToString::to_string).collect()
        };
        let addresses = |section: &Section| -> Vec<IpAddr> {
            section.records.iter().filter_map(|record| record.data.address).collect()
        };
        for (expected, section, words) in [
            (&self.authority, &answer.authority, "the records of authority"),
            (&self.additional, &answer.additional, "the additional records"),
        ] {
            expected.judge(words, &whole(section), &addresses(section))?;
        }
        if let Some(serial) = wanted.iter().find_map(|record| record.data.serial) {
            self.serial(serial, now)?;
        }
        match self.authentic {
            Some(wanted) if wanted != answer.flags.authentic => {
                let said = if wanted { "does not say" } else { "says" };
                let message = format!("the resolver {said} that the answer is authentic (flag AD)");
                Err(Stop::fail(Phase::Assert, Reason::Answer, message))
            }
            _ => Ok(()),
        }
    }

    fn other_code(&self, name: &str, code: u16) -> Stop {
        let shown = rcode_name(code);
        let (reason, message) = match code {
            NX_DOMAIN => (Reason::NameNotFound, format!("{name} does not exist (NXDOMAIN)")),
            NO_ERROR => {
                let wanted: Vec<_> = self.rcodes.iter().map(|code| rcode_name(*code)).collect();
                let wanted = wanted.join(" or ");
                (Reason::Answer, format!("{name} exists (NOERROR), expected {wanted}"))
            }
            _ => (Reason::DnsFailed, format!("the resolver answered {shown} for {name}")),
        };
        Stop::fail(Phase::Assert, reason, message)
    }

    fn serial(&self, serial: u32, now: Timestamp) -> Result<(), Stop> {
        let fail = |message| Err(Stop::fail(Phase::Assert, Reason::Answer, message));
        if let Some(least) = self.at_least.filter(|least| is_before(serial, *least)) {
            return fail(format!("the serial is {serial}, expected at least {least}"));
        }
        let Some(most) = self.max_age else {
            return Ok(());
        };
        let Some(made) = moment(serial) else {
            return fail(format!("the serial {serial} is neither a date nor a Unix time"));
        };
        let age = now.since(made);
        if age > most {
            let (age, most) = (rounded(age), rounded(most));
            return fail(format!("the serial {serial} is {age} old, expected at most {most}"));
        }
        Ok(())
    }

    /// Whether the probe was quick enough.
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

impl Records {
    fn judge(&self, what: &str, texts: &[String], addresses: &[IpAddr]) -> Result<(), Stop> {
        let found: BTreeSet<_> = texts.iter().map(|text| normal(self.kind, text)).collect();
        let all = || shown(&found);
        let fail = |words: String| {
            Err(Stop::fail(Phase::Assert, Reason::Answer, format!("{what} {words}")))
        };
        if let Some(wanted) = self.equals.as_ref().filter(|wanted| **wanted != found) {
            return fail(format!("are {}, expected {}", all(), shown(wanted)));
        }
        if texts.len() < usize::from(self.least) {
            return fail(format!("are {}, expected at least {}", texts.len(), self.least));
        }
        if let Some(missing) = self.contains.iter().find(|one| !found.contains(*one)) {
            return fail(format!("are {}, without {missing:?}", all()));
        }
        if let Some(other) = self.not_contains.iter().find(|one| found.contains(*one)) {
            return fail(format!("are {}, among them {other:?}", all()));
        }
        let matches = |regex: &&Regex| texts.iter().any(|text| regex.is_match(text));
        if let Some(regex) = self.regex.as_ref().filter(|regex| !matches(regex)) {
            return fail(format!("are {}, of which none matches {:?}", all(), regex.as_str()));
        }
        if let Some(regex) = self.not_regex.as_ref().filter(matches) {
            return fail(format!("are {}, of which one matches {:?}", all(), regex.as_str()));
        }
        let is_outside = |address: &&IpAddr| {
            !self.networks.is_empty()
                && !self.networks.iter().any(|network| network.contains(**address))
        };
        match addresses.iter().find(is_outside) {
            Some(address) => fail(format!("have the address {address}, outside of cidr")),
            None => Ok(()),
        }
    }
}

fn shown(records: &BTreeSet<String>) -> String {
    let texts: Vec<_> = records.iter().map(|text| format!("{text:?}")).collect();
    if texts.is_empty() { "none".to_owned() } else { cut(texts.join(", "), SHOWN_BYTES_MAX) }
}

/// Whether `serial` comes before `other`. Source: RFC 1982, section 3.2.
fn is_before(serial: u32, other: u32) -> bool {
    let distance = other.wrapping_sub(serial);
    distance != 0 && distance < 1 << 31
}

/// When a serial was made, if it is a date with two digits more, or a Unix time.
fn moment(serial: u32) -> Option<Timestamp> {
    let digits = serial.to_string();
    let date = digits.get(..8).filter(|_| digits.len() == 10).and_then(|date| {
        let [year, month, day] = [date.get(..4)?, date.get(4..6)?, date.get(6..)?];
        let year = year.parse().ok().filter(|year| (1980..2100).contains(year))?;
        let day = jiff::civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(start.timestamp().as_second())
    });
    // The first Unix time that is taken for one is of 2001.
    let seconds = date.or(Some(i64::from(serial)).filter(|serial| *serial >= 1_000_000_000))?;
    Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_turn_round() {
        assert!(is_before(1, 2) && !is_before(2, 1) && !is_before(2, 2));
        assert!(is_before(u32::MAX, 0) && !is_before(0, u32::MAX));
    }

    #[test]
    fn serials_are_dates_or_times_or_neither() {
        let of = |serial| moment(serial).map(|at| at.to_string());
        assert_eq!(of(2_026_112_501).as_deref(), Some("2026-11-25T00:00:00.000Z"));
        assert_eq!(of(1_790_000_000).as_deref(), Some("2026-09-21T14:13:20.000Z"));
        assert_eq!(of(42), None);
        assert!(of(2_026_133_201).is_some(), "no date, but a Unix time of 2034");
    }

    #[test]
    fn records_are_compared_as_they_are_meant() {
        assert_eq!(normal(Some(15), "10 Mail.Example.COM."), "10 mail.example.com");
        assert_eq!(normal(Some(28), "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(normal(Some(TXT), "v=Spf1 -all"), "v=Spf1 -all");
    }
}
