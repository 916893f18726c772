//! Bounds of what judging a JSON body may cost.
//!
//! Paths and schemas come from the coordinator and bodies from the target; an agent trusts neither. What
//! they cost together is bounded before anything is evaluated, because an evaluation can be neither
//! interrupted nor limited in memory.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest body that is read as JSON, in bytes.
pub(super) const JSON_BYTES_MAX: usize = 1024 * 1024;
/// The most places of a schema that one value of a body may be held against.
const SCHEMA_COST_MAX: u64 = 1_000;

/// Keys whose values are data, or are judged only where something refers to them.
const NOT_JUDGED: [&str; 6] = ["$defs", "definitions", "enum", "const", "default", "examples"];
/// Keys that lead elsewhere in ways of which the cost cannot be told.
const NOT_FOLLOWED: [&str; 5] =
    ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$recursiveAnchor"];

/// Says no to a path that could select much more than a body holds: each `..` after the first
/// multiplies what is selected.
pub(super) fn path(text: &str) -> Result<(), String> {
    let mut quote = None;
    let (mut descents, mut filters, mut before) = (0, 0, ' ');
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '.') if before == '.' => descents += 1,
            (None, '?') => filters += 1,
            _ => {}
        }
        before = if before == '.' && letter == '.' { ' ' } else { letter };
    }
    if descents > 1 || descents + filters > 1 && descents > 0 {
        return Err(format!("{text:?} has `..` and another `..` or a filter: one is followed"));
    }
    Ok(())
}

/// Says no to a schema that could be held against a body without end.
pub(super) fn schema(root: &Value) -> Result<(), String> {
    let mut known = BTreeMap::new();
    let cost = weigh(root, root, "#", &mut known)?;
    if cost > SCHEMA_COST_MAX {
        return Err(format!(
            "the schema holds a value against {cost} places, references followed; at most \
             {SCHEMA_COST_MAX} are allowed"
        ));
    }
    Ok(())
}

/// What a value held against `node` may cost. `known` has the references followed so far, and
/// `None` for those that are being followed.
fn weigh<'a>(
    root: &'a Value,
    node: &'a Value,
    place: &'a str,
    known: &mut BTreeMap<&'a str, Option<u64>>,
) -> Result<u64, String> {
    let mut cost = 1_u64;
    match node {
        Value::Object(fields) => {
            for (key, value) in fields {
                let is_text = value.is_string();
                if is_text && NOT_FOLLOWED.contains(&key.as_str())
                    || key == "$id" && is_text && !std::ptr::eq(node, root)
                {
                    return Err(format!("`{key}` at {place} is not supported"));
                }
                let more = match value.as_str().filter(|_| key == "$ref") {
                    Some(to) => follow(root, to, known)?,
                    None if NOT_JUDGED.contains(&key.as_str()) => 0,
                    None => weigh(root, value, place, known)?,
                };
                cost = cost.saturating_add(more);
            }
        }
        Value::Array(items) => {
            for item in items {
                cost = cost.saturating_add(weigh(root, item, place, known)?);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(cost)
}

fn follow<'a>(
    root: &'a Value,
    to: &'a str,
    known: &mut BTreeMap<&'a str, Option<u64>>,
) -> Result<u64, String> {
    match known.get(to) {
        Some(Some(cost)) => return Ok(*cost),
        Some(None) => {
            return Err(format!("{to} leads back to itself: what that costs has no bound"));
        }
        None => {}
    }
    let target = to.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
    let target = target.ok_or_else(|| {
        format!("$ref {to:?} is not followed: write `#` and the place in the schema")
    })?;
    known.insert(to, None);
    let cost = weigh(root, target, to, known)?;
    known.insert(to, Some(cost));
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_descends_once() {
        for good in ["$.status", "$..status", "$.a[?@.b == 1].c", "$['a..b']..c", "$.a[0:2]"] {
            assert_eq!(path(good), Ok(()), "{good}");
        }
        for bad in ["$..*..*", "$..a[?@.b].c", "$.a[?@..b]", "$..a..b", "$....a"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_schema_costs_what_its_references_make_of_it() {
        let name = |level: usize| format!("#/$defs/a{level}");
        let both = |level: usize| json!({"allOf": [{"$ref": name(level)}, {"$ref": name(level)}]});
        let doubling = |levels: usize| {
            let mut defs: BTreeMap<String, Value> =
                (0..levels).map(|level| (format!("a{level}"), both(level + 1))).collect();
            defs.insert(format!("a{levels}"), json!({"type": "string"}));
            json!({"$ref": name(0), "$defs": defs})
        };
        assert_eq!(schema(&doubling(4)), Ok(()));
        assert!(schema(&doubling(40)).unwrap_err().contains("places"));
        let own = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(schema(&own).unwrap_err().contains("leads back to itself"));
        assert!(schema(&json!({"$ref": "#name"})).unwrap_err().contains("not followed"));
        assert!(schema(&json!({"$dynamicRef": "#a"})).is_err());
        assert_eq!(schema(&json!({"const": {"$ref": "#"}, "properties": {"$id": {}}})), Ok(()));
    }
}
