//! A parsed text, read part by part.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::parse;
use crate::problem::{Problem, Severity};
use crate::reader::Reader;
use crate::tree::{Content, NodeId, Place, Tree};

/// The most problems that one reading reports.
const PROBLEMS_MAX: usize = 100;

/// A parsed text that knows the place of each key and value.
///
/// Keys at the top that start with `x-` are left out: they are a home for anchors.
#[derive(Debug)]
pub struct Document {
    file: String,
    tree: Tree,
}

/// What a reading that goes on after a problem has found.
#[derive(Debug)]
pub struct Reading<T> {
    /// The value without its bad parts; `None` if there is no value without them.
    pub value: Option<T>,
    /// What is wrong with the bad parts.
    pub problems: Vec<Problem>,
}

impl Document {
    /// Parses `text`; `file` is its name in problems.
    ///
    /// Takes up to 32 MiB of text and 24 levels; a key given twice is an error. `yes` and `no` are
    /// text, not booleans.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let mut tree = parse::parse(file, text);
        if let Err(problems) = &mut tree {
            Problem::sort(problems);
        }
        Ok(Self { file: file.into(), tree: tree? })
    }

    /// Whether there is nothing in it but blanks and comments.
    pub fn is_empty(&self) -> bool {
        matches!(self.tree.content(self.tree.root), Content::Null)
    }

    /// The whole as a typed value, or everything that is wrong with it, sorted by place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Vec<Problem>> {
        if self.is_empty() {
            return Err(vec![self.problem(&[], "the file is empty")]);
        }
        let mut reading = self.read_part(&[], &[]);
        Problem::sort(&mut reading.problems);
        match reading.value {
            Some(value) if reading.problems.is_empty() => Ok(value),
            _ => Err(reading.problems),
        }
    }

    /// The value at `path` without its keys `omit`. Bad parts are reported and left out.
    ///
    /// An absent value reads as nothing at all. At most 100 problems are reported, unsorted.
    pub fn read_part<T: DeserializeOwned>(&self, path: &[&str], omit: &[&str]) -> Reading<T> {
        let (node, found) = self.tree.find(path);
        let mut problems = Vec::new();
        let mut out: BTreeSet<NodeId> = BTreeSet::new();
        let entries = self.tree.entries(node).iter();
        let omitted = entries.filter(|entry| omit.contains(&entry.key.as_str()));
        out.extend(omitted.map(|entry| entry.value));
        let mut bad: BTreeSet<NodeId> = BTreeSet::new();
        while problems.len() < PROBLEMS_MAX {
            let reader = Reader {
                tree: &self.tree,
                out: &out,
                node: if found { node } else { NodeId::MAX },
            };
            let fault = match T::deserialize(reader) {
                Ok(value) => {
                    let value = Some(value);
                    return Reading { value, problems };
                }
                Err(fault) => fault,
            };
            let (spot, place) = fault
                .spot
                .filter(|(spot, _)| *spot < self.tree.nodes.len())
                .unwrap_or_else(|| (node, self.tree.place(node)));
            // What a value lacks only because a part of it was bad is no problem of its own.
            if !bad.iter().any(|inner| self.tree.is_within(*inner, spot)) {
                let mut problem = self.at(spot, place, fault.message);
                problem.hint = fault.hint.or(problem.hint);
                problems.push(problem);
            }
            bad.insert(spot);
            if spot == node || !out.insert(spot) {
                break;
            }
        }
        Reading { value: None, problems }
    }

    /// The keys of the map at `path`, in the order of the text; none if there is no map.
    pub fn keys(&self, path: &[&str]) -> Vec<&str> {
        let (node, found) = self.tree.find(path);
        let entries = self.tree.entries(node).iter().filter(|_| found);
        entries.map(|entry| entry.key.as_str()).collect()
    }

    /// Whether something stands at `path`, be it empty.
    pub fn contains(&self, path: &[&str]) -> bool {
        self.tree.find(path).1
    }

    /// A problem with the value at `path`, or with as much of the way to it as exists.
    pub fn problem(&self, path: &[&str], message: impl Into<String>) -> Problem {
        let (node, found) = self.tree.find(path);
        let place = if found { self.tree.place(node) } else { self.tree.key_place(node) };
        self.at(node, place, message.into())
    }

    /// A problem with the last key of `path`, or with as much of the way to it as exists.
    pub fn key_problem(&self, path: &[&str], message: impl Into<String>) -> Problem {
        let (node, _) = self.tree.find(path);
        self.at(node, self.tree.key_place(node), message.into())
    }

    fn at(&self, node: NodeId, place: Place, message: String) -> Problem {
        let used_at = self.tree.nodes.get(node).and_then(|node| node.used_at);
        Problem {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            severity: Severity::Error,
            message,
            hint: used_at.map(|at| format!("used through the alias on line {}", at.line)),
        }
    }
}
