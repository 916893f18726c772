//! How the program ends: one meaning for each exit code.

use std::fmt::Display;
use std::io;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well; a check that was run has passed.
    Ok,
    /// The answer is bad: a check failed, a file has problems, a promise was broken.
    Bad,
    /// The command line, or a scenario file, is wrong.
    Usage,
    /// The coordinator cannot be reached.
    Unreachable,
    /// The coordinator refused the token, or the token may not do this.
    Denied,
    /// There is no such thing.
    NotFound,
    /// The time was up, or too few regions are left for an answer.
    NoAnswer,
    /// Ended by a signal; the code that says which.
    Signal(u8),
}

impl Exit {
    /// The number handed to the shell.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Bad => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Denied => 4,
            Self::NotFound => 5,
            Self::NoAnswer => 6,
            Self::Signal(code) => code,
        }
    }
}

/// The list that `--help` shows.
pub const HELP: &str = "\
Exit codes:
  0    fine; a check that was run has passed
  1    the answer is bad: a check failed, a file has problems
  2    the command line, or a scenario file, is wrong
  3    the coordinator cannot be reached
  4    the coordinator refused the token
  5    there is no such check, agent, region or incident
  6    the time was up, or too few regions are left to judge
  130  interrupted";

/// Why a command could not do its work, with the exit code that goes with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What happened, where, and what to do next. Nothing is printed if it is empty.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

/// A reader that has gone away is not an error: `quorate get checks | head -1`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Ok, "")
        } else {
            Self::new(Exit::Bad, format!("cannot write the output: {error}"))
        }
    }
}

/// An error and its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Many wrappers repeat what they wrap.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// A failure that says `what` went wrong and why.
pub fn bad(what: impl Display, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Bad, format!("{what}: {}", chain(error)))
}
