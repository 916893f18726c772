//! From text to tree. The only place that knows the YAML library.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Options, Spanned, UserMessageFormatter};

use crate::problem::{Problem, Severity};
use crate::tree::{Content, Entry, Map, Node, NodeId, Place, Tree};

/// The longest text, in bytes: a hundred thousand checks fit in.
const TEXT_MAX: usize = 32 << 20;
/// The most values and keys of one text.
const NODES_MAX: usize = 4_000_000;
/// The deepest nesting. Configurations need fewer than ten levels; unoptimised code spends about
/// 40 KiB of stack on each.
const DEPTH_MAX: usize = 24;
/// The most aliases, anchors and merges of one text.
const ALIASES_MAX: usize = 200_000;

/// The text in `bytes`; or where it ceases to be UTF-8.
pub fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Vec<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let mut lines = good.split(|byte| *byte == b'\n');
        let last = String::from_utf8_lossy(lines.next_back().unwrap_or_default());
        let place = Place { line: count(lines.count()), column: count(last.chars().count()) };
        vec![
            at(file, place, "the text is not valid UTF-8")
                .with_hint("save the file with the encoding UTF-8"),
        ]
    })
}

/// A number of things that come before, as a position.
fn count(before: usize) -> u64 {
    u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1)
}

/// Reads `text` into a tree, or says what is wrong with it as YAML.
pub(crate) fn parse(file: &str, text: &str) -> Result<Tree, Vec<Problem>> {
    let start = Place { line: 1, column: 1 };
    if text.len() > TEXT_MAX {
        let message = format!("the text is larger than {} MiB", TEXT_MAX >> 20);
        return Err(vec![at(file, start, &message)]);
    }
    let parsed = serde_saphyr::from_str_with_options(text, options(text.len()))
        .map_err(|error| vec![problem(file, &error)])?;
    let mut tree = Tree { nodes: Vec::new(), root: 0 };
    plant(&mut tree, parsed, None);
    // An empty text ends somewhere, but it is nothing from the start.
    if let Some(root) = tree.nodes.first_mut()
        && matches!(root.content, Content::Null)
    {
        root.at = start;
    }
    let repeated: Vec<Problem> = tree
        .repeated_keys()
        .into_iter()
        .map(|(place, key, first)| {
            at(file, place, &format!("key `{}` is given twice", crate::shown(key)))
                .with_hint(format!("first on line {}", first.line))
        })
        .collect();
    if repeated.is_empty() { Ok(tree) } else { Err(repeated) }
}

fn options(length: usize) -> Options {
    serde_saphyr::options! {
        // 1_000 and 010 are text: nobody agrees on what numbers they are.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // All repetitions are reported at once, from the tree.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_events: 4 * NODES_MAX,
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_merge_keys: ALIASES_MAX,
            max_documents: 2,
            // One anchor that thousands of checks merge is how people write such files; what
            // aliases may add up to is bounded below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: length.saturating_mul(2).saturating_add(100_000),
            max_replay_stack_depth: 16,
        },
    }
}

fn problem(file: &str, error: &Error) -> Problem {
    let error = error.without_snippet();
    let location = error.location();
    let place = Place {
        line: location.map_or(1, |at| at.line().max(1)),
        column: location.map_or(1, |at| at.column().max(1)),
    };
    let text = error.render_with_formatter(&UserMessageFormatter);
    let text = text.split(" at line ").next().unwrap_or_default();
    if text.contains("tabs disallowed") {
        return at(file, place, "a tab cannot indent").with_hint("use spaces");
    }
    if matches!(error, Error::MultipleDocuments { .. }) {
        return at(file, place, "a second document begins here")
            .with_hint("one file holds one document: remove the line `---`");
    }
    let breach = if let Error::Budget { breach, .. } = error { Some(breach) } else { None };
    if matches!(breach, Some(BudgetBreach::Depth { .. })) || text.contains("recursion limit") {
        let message = format!("nested more than {DEPTH_MAX} levels deep");
        return at(file, place, &message);
    }
    if breach.is_some() || text.contains("limits breached") || text.contains("replay") {
        return at(file, place, "the document is too large once its aliases are expanded")
            .with_hint("use fewer aliases inside aliased values");
    }
    at(file, place, &crate::shown(text))
}

fn at(file: &str, place: Place, message: &str) -> Problem {
    Problem {
        file: file.into(),
        line: place.line,
        column: place.column,
        severity: Severity::Error,
        message: message.into(),
        hint: None,
    }
}

/// Moves a parsed value and all that it holds into the tree. No deeper than `DEPTH_MAX`.
fn plant(
    tree: &mut Tree,
    parsed: Spanned<Parsed>,
    parent: Option<(NodeId, Option<Place>)>,
) -> NodeId {
    let place = |at: serde_saphyr::Location| Place { line: at.line(), column: at.column() };
    let id = tree.nodes.len();
    tree.nodes.push(Node {
        at: place(parsed.defined),
        used_at: (parsed.referenced != parsed.defined).then(|| place(parsed.referenced)),
        parent,
        content: Content::Null,
    });
    let content = match parsed.value {
        Parsed::Null => Content::Null,
        Parsed::Bool(value) => Content::Bool(value),
        Parsed::Signed(value) => Content::Signed(value),
        Parsed::Unsigned(value) => Content::Unsigned(value),
        Parsed::Float(value) => Content::Float(value),
        Parsed::Text(value) => Content::Text(value),
        Parsed::List(items) => Content::List(
            items.into_iter().map(|item| plant(tree, item, Some((id, None)))).collect(),
        ),
        Parsed::Map(entries) => Content::Map(Map::new(
            entries
                .into_iter()
                // Keys that start so at the top are a home for anchors.
                .filter(|(key, _)| parent.is_some() || !key.value.starts_with("x-"))
                .map(|(key, value)| Entry {
                    key: key.value,
                    value: plant(tree, value, Some((id, Some(place(key.defined))))),
                })
                .collect(),
        )),
    };
    if let Some(node) = tree.nodes.get_mut(id) {
        node.content = content;
    }
    id
}

/// A value as the library sees it.
enum Parsed {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Parsed>>),
    Map(Vec<(Spanned<String>, Spanned<Parsed>)>),
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParsedVisitor)
    }
}

struct ParsedVisitor;

impl<'de> Visitor<'de> for ParsedVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_none<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parsed, E> {
        Ok(Parsed::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parsed, E> {
        Ok(Parsed::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parsed, E> {
        Ok(Parsed::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parsed, E> {
        Ok(Parsed::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Parsed, E> {
        Ok(Parsed::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Parsed, E> {
        Ok(Parsed::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parsed, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Parsed::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Parsed::Map(entries))
    }
}
