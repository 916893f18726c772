//! What was said, and a fingerprint of everything that happened.

use std::fmt;
use std::time::Duration;

use quorate_model::{AlertKind, CheckId, OperatorNotice, Timestamp, Verdict};

/// Something that people would have seen.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When, from the start of the scenario.
    pub at: Duration,
    /// What.
    pub said: Said,
}

/// What people would have seen.
#[derive(Debug, Clone)]
pub enum Said {
    /// A verdict has changed.
    Verdict {
        /// Whose.
        check: CheckId,
        /// What it is now, with its ballot.
        verdict: Box<Verdict>,
    },
    /// A message to the receivers of a check.
    Alert {
        /// Whose.
        check: CheckId,
        /// What kind of message.
        kind: AlertKind,
        /// The incident.
        incident: String,
        /// Whether it is one of several in a message: of those of its kind and time.
        is_grouped: bool,
    },
    /// An outage was found in results that came late, when it was over. Nobody is messaged.
    LateOutage {
        /// Whose.
        check: CheckId,
        /// When it would have been told, from the start of the scenario.
        opened: Duration,
        /// When it was over.
        resolved: Duration,
    },
    /// A message to the operators.
    Operator(Box<OperatorNotice>),
    /// Something that the scenario does.
    Fault {
        /// What, in its own words.
        what: String,
        /// Whether it begins; else it ends.
        begins: bool,
    },
}

/// What was said from the start of the scenario on, and the fingerprint of what happened.
#[derive(Debug)]
pub(crate) struct Trace {
    zero: Timestamp,
    pub(crate) entries: Vec<Entry>,
    /// What the operators were told before the start and is still so.
    standing: Vec<OperatorNotice>,
    hash: Hash,
}

impl Trace {
    pub(crate) fn new(zero: Timestamp) -> Self {
        let hash = Hash(0xcbf2_9ce4_8422_2325);
        Self { zero, entries: Vec::new(), standing: Vec::new(), hash }
    }

    /// Notes something for the fingerprint.
    pub(crate) fn happened(&mut self, now: Timestamp, what: &dyn fmt::Debug) {
        use fmt::Write as _;
        // The hash takes everything.
        writeln!(self.hash, "{} {what:?}", now.as_micros()).unwrap_or_default();
        if now >= self.zero {
            let standing = self.standing.drain(..).map(|notice| Said::Operator(Box::new(notice)));
            self.entries.extend(standing.map(|said| Entry { at: Duration::ZERO, said }));
        }
    }

    /// Notes something that people see. Before the start there is nobody to see it; what the
    /// operators were told by then and still holds they see at the start.
    pub(crate) fn say(&mut self, now: Timestamp, said: Said) {
        self.happened(now, &said);
        if now >= self.zero {
            self.entries.push(Entry { at: now - self.zero, said });
        } else if let Said::Operator(notice) = said {
            let subject = |notice: &OperatorNotice| {
                (notice.kind, notice.region.clone(), notice.agent.clone(), notice.check.clone())
            };
            self.standing.retain(|known| subject(known) != subject(&notice));
            if !notice.resolved {
                self.standing.push(*notice);
            }
        }
    }

    /// How long after the start of the scenario that is.
    pub(crate) fn since_start(&self, at: Timestamp) -> Duration {
        at.since(self.zero)
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.hash.0
    }
}

/// FNV-1a over text.
#[derive(Debug)]
struct Hash(u64);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text
            .bytes()
            .fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Ok(())
    }
}
