//! Whether what came is what was expected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{AlertKind, CheckId, HumanDuration, Verdict};

use crate::play::Played;
use crate::scenario::{AlertFilter, Expectation, OperatorFilter, Scenario};
use crate::trace::Said;

/// An expectation, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Where it stands: `file:line:col`.
    pub place: String,
    /// What was expected, in words.
    pub expected: String,
    /// What came instead; nothing if it holds.
    pub instead: Option<String>,
}

/// A message to a check's receivers.
#[derive(Debug, Clone)]
struct Message {
    at: Duration,
    check: CheckId,
    kind: AlertKind,
    /// Messages with the same number are one message about several checks.
    group: usize,
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {} at {}", self.kind, self.check, HumanDuration(self.at))
    }
}

/// Judges each expectation, and each message that some expectation names and none claims.
pub fn judge(scenario: &Scenario, played: &Played) -> Vec<Ruling> {
    let messages = messages(played);
    let mut rulings: Vec<Ruling> = scenario
        .expect
        .iter()
        .map(|expect| {
            let (expected, instead) = match &expect.what {
                Expectation::Alert { filter, count } => alert(filter, count, &messages),
                Expectation::NoAlert(filter) => no_alert(filter, &messages),
                Expectation::LateOutage { filter, count } => late_outages(filter, count, played),
                Expectation::Verdict { checks, at, .. } => {
                    verdicts(&expect.what, checks, *at, played)
                }
                Expectation::Operator { filter, count } => {
                    operator(filter, count.as_deref(), played)
                }
            };
            Ruling { place: expect.place.clone(), expected, instead }
        })
        .collect();
    rulings.extend(unclaimed(scenario, &messages));
    rulings
}

fn messages(played: &Played) -> Vec<Message> {
    let mut groups: BTreeMap<(Duration, AlertKind), usize> = BTreeMap::new();
    let alerts = played.entries.iter().enumerate().filter_map(|(place, entry)| {
        let Said::Alert { check, kind, is_grouped, .. } = &entry.said else {
            return None;
        };
        let mut of_group = || *groups.entry((entry.at, *kind)).or_insert(place);
        let group = if *is_grouped { of_group() } else { place };
        Some(Message { at: entry.at, check: check.clone(), kind: *kind, group })
    });
    alerts.collect()
}

fn names(filter: &AlertFilter, message: &Message) -> bool {
    (filter.checks.is_empty() || filter.checks.contains(&message.check))
        && (filter.kinds.is_empty() || filter.kinds.contains(&message.kind))
}

fn claims(filter: &AlertFilter, message: &Message) -> bool {
    names(filter, message) && within(filter.from, filter.to, message.at)
}

fn within(from: Option<Duration>, to: Option<Duration>, at: Duration) -> bool {
    from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to)
}

fn alert(filter: &AlertFilter, count: &[usize], messages: &[Message]) -> (String, Option<String>) {
    let expected = format!("{} of {}", list(count), described(filter));
    let claimed: Vec<&Message> =
        messages.iter().filter(|message| claims(filter, message)).collect();
    let number = if filter.any {
        claimed.iter().map(|message| message.group).collect::<BTreeSet<_>>().len()
    } else {
        claimed.len()
    };
    let near = messages.iter().filter(|message| names(filter, message));
    let instead = (!count.contains(&number)).then(|| match shown(near) {
        None => "no such message".to_owned(),
        Some(near) => format!("{number} in that time; of this kind came: {near}"),
    });
    (expected, instead)
}

fn no_alert(filter: &AlertFilter, messages: &[Message]) -> (String, Option<String>) {
    let unwanted = messages.iter().filter(|message| claims(filter, message));
    (format!("no {}", described(filter)), shown(unwanted))
}

/// Messages of a check and a kind that an expectation names, and that none claims.
fn unclaimed(scenario: &Scenario, messages: &[Message]) -> Vec<Ruling> {
    let alerts = || {
        scenario.expect.iter().filter_map(|expect| {
            let Expectation::Alert { filter, .. } = &expect.what else {
                return None;
            };
            Some((expect, filter))
        })
    };
    let mut rulings: Vec<Ruling> = Vec::new();
    for message in messages {
        let Some((expect, _)) = alerts().find(|(_, filter)| names(filter, message)) else {
            continue;
        };
        if !alerts().any(|(_, filter)| claims(filter, message)) {
            rulings.push(Ruling {
                place: expect.place.clone(),
                expected: "no other message of this check and kind".into(),
                instead: Some(message.to_string()),
            });
        }
    }
    rulings
}

fn verdicts(
    what: &Expectation,
    checks: &[CheckId],
    at: Duration,
    played: &Played,
) -> (String, Option<String>) {
    let Expectation::Verdict { is, scope, cause, flags, .. } = what else {
        return (String::new(), None);
    };
    let part = |name: &str, words: Vec<String>| {
        if words.is_empty() { String::new() } else { format!(" {name}{}", words.join(" or ")) }
    };
    let text = |words: &[quorate_model::State]| words.iter().map(ToString::to_string).collect();
    let causes = cause.iter().map(ToString::to_string).collect();
    let flag_words = flags.iter().flatten().map(ToString::to_string).collect();
    let expected = format!(
        "at {}, {}:{}{}{}{}",
        HumanDuration(at),
        few(checks.iter()),
        part("", text(is)),
        part("", scope.clone()),
        part("because of ", causes),
        part("with ", flag_words)
    );
    let fits = |verdict: &Verdict| {
        let has = |flag| verdict.flags.contains(flag);
        (is.is_empty() || is.contains(&verdict.state))
            && (scope.is_empty() || scope.contains(&verdict.ballot.scope.to_string()))
            && (cause.is_empty() || cause.contains(&verdict.cause))
            && flags.iter().flatten().all(has)
            && (flags.as_ref().is_none_or(|flags| !flags.is_empty()) || verdict.flags.is_empty())
    };
    let misfits = checks.iter().filter_map(|check| {
        let key = (at, check.clone());
        match played.samples.get(&key) {
            None => Some(format!("{check} has no verdict")),
            Some(verdict) if fits(verdict) => None,
            Some(verdict) => Some(format!("{check} is {}", summary(verdict))),
        }
    });
    (expected, shown(misfits))
}

/// A verdict on one line: state, scope, cause, flags.
pub(crate) fn summary(verdict: &Verdict) -> String {
    let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.as_str()).collect();
    let flags = flags.join(" ");
    let line = format!("{} {} {} {flags}", verdict.state, verdict.ballot.scope, verdict.cause);
    line.trim_end().to_owned()
}

fn operator(
    filter: &OperatorFilter,
    count: Option<&[usize]>,
    played: &Played,
) -> (String, Option<String>) {
    let any = |list: &[String], value: Option<String>| {
        list.is_empty() || value.is_some_and(|value| list.contains(&value))
    };
    let told: Vec<(Duration, String)> = played
        .entries
        .iter()
        .filter_map(|entry| {
            let Said::Operator(notice) = &entry.said else {
                return None;
            };
            let text = |id: Option<String>| id.map(|id| format!(" {id}")).unwrap_or_default();
            let region = notice.region.as_ref().map(ToString::to_string);
            let agent = notice.agent.as_ref().map(ToString::to_string);
            let check = notice.check.as_ref().map(ToString::to_string);
            let fits = !notice.resolved
                && (filter.kinds.is_empty() || filter.kinds.contains(&notice.kind))
                && any(&filter.regions, region.clone())
                && any(&filter.agents, agent.clone())
                && any(&filter.checks, check);
            let about = format!("{}{}{}", notice.kind, text(region), text(agent));
            fits.then(|| (entry.at, format!("{about} at {}", HumanDuration(entry.at))))
        })
        .collect();
    let number = told.iter().filter(|(at, _)| within(filter.from, filter.to, *at)).count();
    let holds = count.map_or(number > 0, |count| count.contains(&number));
    let kinds = few(filter.kinds.iter());
    let about = [&filter.regions, &filter.agents, &filter.checks].map(|list| list.join(" or "));
    let about: Vec<&str> =
        about.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let window = window(filter.from, filter.to);
    let number_text = count.map_or_else(|| "a".to_owned(), list);
    let expected = format!("{number_text} notice {kinds} {}{window}", about.join(" "));
    let instead = (!holds).then(|| {
        shown(told.into_iter().map(|(_, text)| text)).unwrap_or_else(|| "no such notice".to_owned())
    });
    (expected, instead)
}

fn late_outages(
    filter: &AlertFilter,
    count: &[usize],
    played: &Played,
) -> (String, Option<String>) {
    let found: Vec<(&CheckId, Duration)> = played
        .entries
        .iter()
        .filter_map(|entry| match &entry.said {
            Said::LateOutage { check, opened, .. } => Some((check, *opened)),
            Said::Verdict { .. } | Said::Alert { .. } | Said::Operator(_) | Said::Fault { .. } => {
                None
            }
        })
        .filter(|(check, _)| filter.checks.is_empty() || filter.checks.contains(check))
        .collect();
    let number = found.iter().filter(|(_, at)| within(filter.from, filter.to, *at)).count();
    let checks = few(filter.checks.iter());
    let window = window(filter.from, filter.to);
    let expected = format!("{} late outage of {checks}{window}", list(count));
    let instead = (!count.contains(&number)).then(|| {
        let all = found.iter().map(|(check, at)| format!("{check} from {}", HumanDuration(*at)));
        shown(all).unwrap_or_else(|| "none was found".to_owned())
    });
    (expected, instead)
}

fn described(filter: &AlertFilter) -> String {
    let kinds = if filter.kinds.is_empty() { "message".into() } else { few(filter.kinds.iter()) };
    let checks = if filter.checks.is_empty() {
        String::new()
    } else {
        format!(" for {}", few(filter.checks.iter()))
    };
    format!("{kinds}{checks}{}", window(filter.from, filter.to))
}

fn window(from: Option<Duration>, to: Option<Duration>) -> String {
    let from = from.map(|from| format!(" from {}", HumanDuration(from))).unwrap_or_default();
    let to = to.map(|to| format!(" to {}", HumanDuration(to))).unwrap_or_default();
    from + &to
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// The first few of many, joined by "or".
fn few<T: ToString>(all: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = all.map(|item| item.to_string()).collect();
    let more = all.len().saturating_sub(5);
    let first = all[..all.len() - more].join(" or ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// The first few of many, separated by commas; nothing if there are none.
fn shown<T: ToString>(all: impl Iterator<Item = T>) -> Option<String> {
    let all: Vec<String> = all.map(|item| item.to_string()).collect();
    let more = all.len().saturating_sub(5);
    let first = all[..all.len() - more].join(", ");
    match all.len() {
        0 => None,
        _ if more == 0 => Some(first),
        _ => Some(format!("{first} and {more} more")),
    }
}
