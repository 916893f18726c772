//! What is wrong with an option document.

use std::fmt;

/// One thing that is wrong with the options of a check kind or a notifier.
///
/// Whoever knows where the document came from turns `path` into a line and a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionProblem {
    /// The keys and indices that lead to the value, from the document's root.
    pub path: Vec<String>,
    /// What is wrong and what to write instead: lower case, no final stop.
    pub message: String,
}

impl OptionProblem {
    /// A problem with the value at `path`.
    pub fn at(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(|part| (*part).to_owned()).collect(), message: message.into() }
    }
}

impl fmt::Display for OptionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path.join("."), self.message)
        }
    }
}
