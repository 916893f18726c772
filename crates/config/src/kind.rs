//! The one key that names a kind, and the options under it.

use std::collections::BTreeMap;

use quorate_model::OptionProblem;
use quorate_yaml::{did_you_mean, shown, suggest};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::gather::Gather;

/// What [`choose`] found.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The kind, if exactly one is named.
    pub(crate) kind: Option<String>,
    /// The keys that are no business of the rest of the entry.
    pub(crate) taken: Vec<String>,
}

/// Finds the key of the map at `path` that names one of `kinds`; `others` are its other keys, and
/// `what` is the word for a kind.
pub(crate) fn choose(
    gather: &mut Gather<'_>,
    path: &[&str; 2],
    others: &[&str],
    kinds: &[&str],
    what: &str,
) -> Choice {
    let keys = gather.document.keys(path);
    let (named, rest): (Vec<&str>, Vec<&str>) =
        keys.into_iter().filter(|key| !others.contains(key)).partition(|key| kinds.contains(key));
    let known = format!("known kinds: {}", kinds.join(", "));
    let name = path[1];
    let mut strange = Vec::new();
    for key in &rest {
        if gather.is_full() {
            break;
        }
        let here = [path[0], path[1], key];
        // Without a kind, a key that resembles no other key was meant to be one.
        let meant_as_kind = named.is_empty()
            && (suggest(key, kinds.iter().copied()).is_some()
                || suggest(key, others.iter().copied()).is_none());
        let (message, hint) = if meant_as_kind {
            strange.push(*key);
            let hint = suggest(key, kinds.iter().copied())
                .map_or(known.clone(), |kind| format!("did you mean `{kind}`? {known}"));
            (format!("there is no {what} `{}`", shown(key)), Some(hint))
        } else {
            let hint = did_you_mean(key, others.iter().copied());
            (format!("unknown key `{}`", shown(key)), hint)
        };
        let mut problem = gather.document.key_problem(&here, message);
        problem.hint = hint.or(problem.hint);
        gather.problems.push(problem);
    }
    let kind = match named.as_slice() {
        [] if !is_map(gather, path) => None,
        [] if strange.is_empty() => {
            let message = format!("`{name}` names no {what}");
            let problem = gather.document.key_problem(path, message);
            gather.problems.push(problem.with_hint(known));
            None
        }
        [] => None,
        [kind] => Some((*kind).to_owned()),
        [first, second, ..] => {
            let message = format!("`{name}` names two kinds, `{first}` and `{second}`");
            let here = [path[0], path[1], second];
            let problem = gather.document.key_problem(&here, message);
            gather.problems.push(problem.with_hint("each entry has one"));
            None
        }
    };
    let taken = named.iter().chain(&rest).map(|key| (*key).to_owned());
    Choice { kind, taken: taken.collect() }
}

/// Whether a map stands at `path`, or nothing; anything else is a problem.
fn is_map(gather: &mut Gather<'_>, path: &[&str]) -> bool {
    #[expect(clippy::zero_sized_map_values, reason = "only its being a map matters")]
    let map = gather.document.read_part::<Option<BTreeMap<String, IgnoredAny>>>(path, &[]);
    gather.problems.extend(map.problems);
    map.value.is_some()
}

/// The options at `path`, read by their kind's own `parse`.
pub(crate) fn options<T>(
    gather: &mut Gather<'_>,
    path: &[&str],
    parse: impl FnOnce(&Value) -> Option<Result<T, Vec<OptionProblem>>>,
) -> (Value, Option<T>) {
    let reading = gather.document.read_part::<Value>(path, &[]);
    gather.problems.extend(reading.problems);
    let options = match reading.value {
        Some(Value::Null) | None => Value::Object(Map::new()),
        Some(options) => options,
    };
    match parse(&options) {
        Some(Ok(parsed)) => (options, Some(parsed)),
        Some(Err(problems)) => {
            if problems.is_empty() {
                gather.error(path, "an option that is needed here is missing");
            }
            for problem in problems {
                option_problem(gather, path, &problem);
            }
            (options, None)
        }
        None => (options, None),
    }
}

/// Notes a problem with an option of the options at `path`.
fn option_problem(gather: &mut Gather<'_>, path: &[&str], problem: &OptionProblem) {
    let mut here = path.to_vec();
    here.extend(problem.path.iter().map(String::as_str));
    let unknown = ["unknown key", "no such option"];
    let located = if unknown.iter().any(|words| problem.message.starts_with(words)) {
        gather.document.key_problem(&here, &problem.message)
    } else {
        gather.document.problem(&here, &problem.message)
    };
    gather.problems.push(located);
}
