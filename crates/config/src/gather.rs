//! What the rules share: the document and the problems found so far.

use std::collections::BTreeSet;

use quorate_yaml::{Document, Problem, did_you_mean, shown};

/// Beyond so many problems nobody reads on, and looking for what was meant would take long.
const PROBLEMS_MAX: usize = 1_000;

/// A document under examination.
#[derive(Debug)]
pub(crate) struct Gather<'d> {
    pub(crate) document: &'d Document,
    pub(crate) problems: Vec<Problem>,
}

impl Gather<'_> {
    /// Whether there are so many problems that it is better to stop.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    /// Notes an error at the value.
    pub(crate) fn error(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message));
    }

    /// Notes an error at the value, and what to do about it.
    pub(crate) fn error_with(&mut self, path: &[&str], message: &str, hint: impl Into<String>) {
        let problem = self.document.problem(path, message).with_hint(hint);
        self.problems.push(problem);
    }

    /// Notes a warning at the value.
    pub(crate) fn warn(&mut self, path: &[&str], message: impl Into<String>) {
        let problem = self.document.problem(path, message).as_warning();
        self.problems.push(problem);
    }

    /// The names in the list at `path` that are known, without repetition; the others are
    /// problems. `what` is the word for one of them.
    pub(crate) fn references(
        &mut self,
        path: &[&str],
        names: &[String],
        known: &BTreeSet<&str>,
        what: &str,
    ) -> Vec<String> {
        let mut good: Vec<String> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if self.is_full() {
                break;
            }
            let index = index.to_string();
            let mut here = path.to_vec();
            here.push(&index);
            if !known.contains(name.as_str()) {
                let mut problem =
                    self.document.problem(&here, format!("there is no {what} `{}`", shown(name)));
                // Comparing with thousands of names is worth it for the first few only.
                let few = known.len() <= 100 || self.problems.len() < 25;
                let candidates = known.iter().copied().filter(|_| few);
                if let Some(hint) = did_you_mean(name, candidates) {
                    problem = problem.with_hint(hint);
                }
                self.problems.push(problem);
            } else if good.contains(name) {
                self.error(&here, format!("{what} `{}` is named twice", shown(name)));
            } else {
                good.push(name.clone());
            }
        }
        good
    }
}
