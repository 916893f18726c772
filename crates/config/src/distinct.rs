//! How different the failing regions of a check must be.

use std::borrow::Cow;
use std::collections::BTreeSet;

use quorate_model::{CheckId, Distinct, RegionId, plural};
use quorate_yaml::{Problem, did_you_mean, shown};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::check::Setting;
use crate::gather::Gather;
use crate::raw::RawCheck;

/// The labels that every region may have.
pub(crate) const LABELS: [&str; 4] = ["provider", "country", "transit", "resolver"];

/// Demands as written: `2 providers, 3 countries`, or `off`. The words are not known to be labels yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Demands(Vec<(u32, String)>);

impl TryFrom<String> for Demands {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = |part: &str| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let [number, label] = words.as_slice() else {
                return None;
            };
            let number = number.parse::<u32>().ok().filter(|number| *number >= 2)?;
            Some((number, (*label).to_owned()))
        };
        if text == "off" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(read).collect::<Option<Vec<_>>>().map(Self).ok_or_else(|| {
            format!(
                "\"{}\" does not say how different failing regions must be: write `2 providers` \
                 or `2 providers, 3 countries`, with at least 2 of each",
                shown(&text)
            )
        })
    }
}

impl JsonSchema for Demands {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Distinct".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let demand = r"\s*([2-9]|[1-9][0-9]+)\s+[A-Za-z0-9_.-]+\s*";
        json_schema!({
            "type": "string",
            "pattern": format!("^(off|{demand}(,{demand})*)$"),
            "examples": ["2 providers", "2 providers, 3 countries", "off"]
        })
    }
}

/// Where the demands of a check stand, and which they are.
struct Place<'a> {
    path: Vec<&'a str>,
    is_own: bool,
}

/// The demands of a check of these regions. Those that it cannot meet are problems.
pub(crate) fn distinct(
    gather: &mut Gather<'_>,
    id: &CheckId,
    raw: &RawCheck,
    setting: &Setting<'_>,
    regions: &[RegionId],
) -> Vec<Distinct> {
    let is_own = raw.distinct.is_some();
    let Some(Demands(demands)) = raw.distinct.as_ref().or(setting.defaults.distinct.as_ref())
    else {
        return Vec::new();
    };
    let path = match raw.regions {
        _ if is_own => vec!["checks", id.as_str(), "distinct"],
        Some(_) => vec!["checks", id.as_str(), "regions"],
        None => vec!["defaults", "distinct"],
    };
    let place = Place { path, is_own };
    let mut found: Vec<Distinct> = Vec::new();
    for (values, word) in demands {
        let Some(label) = label(gather, &place, word, setting) else {
            continue;
        };
        if found.iter().any(|demand| demand.label == label) {
            let message = format!("{} are asked for twice", plural(&label));
            place.say(gather, gather.document.problem(&place.path, message));
        } else {
            found.push(Distinct { label, values: *values });
        }
    }
    // With a list that is wrong, nothing can be said about its regions.
    if regions.is_empty() || raw.regions.as_ref().is_some_and(|named| named.len() != regions.len())
    {
        return found;
    }
    for demand in &found {
        judge(gather, (id, &place), demand, setting, regions);
    }
    found
}

impl Place<'_> {
    /// Notes a problem, once: what the defaults get wrong is wrong for many checks.
    fn say(&self, gather: &mut Gather<'_>, problem: Problem) {
        if self.is_own || !gather.problems.contains(&problem) {
            gather.problems.push(problem);
        }
    }
}

/// The label that a word of a demand names; `None` with a problem if it is none.
fn label(
    gather: &mut Gather<'_>,
    place: &Place<'_>,
    word: &str,
    setting: &Setting<'_>,
) -> Option<String> {
    let own = setting.known.labels.values().flat_map(|labels| labels.keys().map(String::as_str));
    let known: BTreeSet<&str> = own.chain(LABELS).collect();
    if let Some(label) = known.iter().find(|label| Distinct::names(label, word)) {
        return Some((*label).to_owned());
    }
    // A check that leaves the demand to the defaults cannot do anything about it.
    let path = if place.is_own { place.path.clone() } else { vec!["defaults", "distinct"] };
    let message = format!("no region has a label `{}`", shown(word));
    let mut problem = gather.document.problem(&path, message);
    let words: Vec<String> = known.iter().map(|label| plural(label)).collect();
    let hint = did_you_mean(word, words.iter().map(String::as_str));
    problem.hint = hint.or_else(|| Some(format!("known labels: {}", words.join(", "))));
    place.say(gather, problem);
    None
}

/// Says so if these regions cannot meet a demand, or hardly.
fn judge(
    gather: &mut Gather<'_>,
    (id, place): (&CheckId, &Place<'_>),
    demand: &Distinct,
    setting: &Setting<'_>,
    regions: &[RegionId],
) {
    let Distinct { label, values: asked } = demand;
    let value = |region: &RegionId| setting.known.labels.get(region)?.get(label);
    let without: Vec<String> = regions
        .iter()
        .filter(|region| value(region).is_none())
        .map(|region| format!("`{region}`"))
        .collect();
    // Written once in the defaults, it concerns every check of these regions.
    let of = if place.path[0] == "defaults" { String::new() } else { format!(" of check `{id}`") };
    if !without.is_empty() {
        let noun = if without.len() == 1 { "region" } else { "regions" };
        let verb = if without.len() == 1 { "has" } else { "have" };
        let message = format!(
            "`{demand}` are asked for, but {noun} {} {verb} no {label}",
            without.join(", ")
        );
        let hint = format!("give each a `{label}`, or name the regions of the check without them");
        let problem = gather.document.problem(&place.path, message).with_hint(hint);
        return place.say(gather, problem);
    }
    let values: Vec<&str> =
        regions.iter().filter_map(|region| value(region).map(String::as_str)).collect();
    let different: BTreeSet<&str> = values.iter().copied().collect();
    if demand.is_short(values.iter().copied()) {
        let have = match different.len() {
            1 => format!("1 {label}"),
            several => format!("{several} {}", plural(label)),
        };
        let subject = if of.is_empty() { "a check of all regions" } else { "this check" };
        let message = format!("{subject} can never be down: its regions have {have}, not {asked}");
        let hint = match different.len() {
            1 => format!("write `distinct: off`, or add regions of another {label}"),
            several => {
                format!("ask for {several} at most, or add regions of other {}", plural(label))
            }
        };
        let problem = gather.document.problem(&place.path, message).with_hint(hint);
        place.say(gather, problem);
    } else if demand.hidden_by(values.iter().copied()) == 1 && regions.len() > 2 {
        let alone = |region: &&RegionId| {
            let own = value(region).map(String::as_str);
            values.iter().filter(|other| Some(**other) == own).count() == 1
        };
        let names: Vec<String> =
            regions.iter().filter(alone).map(|region| format!("`{region}`")).collect();
        let message = format!(
            "with `{demand}`, one region that wrongly succeeds can hide an outage{of}: {}",
            names.join(", ")
        );
        let hint =
            format!("add another region of its {label}, or regions of other {}", plural(label));
        let problem = gather.document.problem(&place.path, message).as_warning().with_hint(hint);
        place.say(gather, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_are_numbers_of_labels() {
        let read = |text: &str| Demands::try_from(text.to_owned()).map(|demands| demands.0);
        let of = |number, label: &str| (number, label.to_owned());
        assert_eq!(read("off"), Ok(Vec::new()));
        assert_eq!(read("2 providers"), Ok(vec![of(2, "providers")]));
        let two = vec![of(2, "provider"), of(10, "countries")];
        assert_eq!(read(" 2  provider ,10 countries"), Ok(two));
        for bad in
            ["", "2", "providers", "1 provider", "0 x", "two providers", "2 a b", "2 a,", "-2 a"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
