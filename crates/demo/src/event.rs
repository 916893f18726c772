//! What happens in a demo, as it is told: one line each for people, one JSON object each for
//! programs.

use std::time::Duration;

use quorate_model::{HumanDuration, Timestamp};
use serde::Serialize;

/// Characters of one text from outside that are shown.
const TEXT_CHARS_MAX: usize = 300;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Event {
    /// When, as RFC 3339.
    #[serde(serialize_with = "rfc_3339")]
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// The coordinator serves and all agents have joined.
    Ready {
        /// The URL of the coordinator's API.
        api: String,
        /// How many agents there are.
        agents: usize,
        /// How many checks there are.
        checks: usize,
    },
    /// A step of the script begins.
    Step {
        /// Which, from 1.
        step: u32,
        /// Of how many.
        steps: u32,
        /// Its title.
        title: &'static str,
        /// What is done, and what must and must not happen.
        will: String,
    },
    /// A verdict has changed.
    Verdict(VerdictChange),
    /// A page arrived at the receiver.
    Page(Message),
    /// A notice arrived at the receiver.
    Notice(Message),
    /// The end of an incident arrived at the receiver.
    Resolved(Message),
    /// A message about Quorate itself arrived at the receiver.
    Operator(Operator),
    /// Whether a promise of the script was kept.
    Promise {
        /// What was promised.
        name: String,
        /// Whether it was kept.
        kept: bool,
        /// What happened instead.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The demo is over.
    End {
        /// Whether every promise was kept.
        kept: bool,
        /// What to make of it.
        summary: String,
        /// How long it took.
        elapsed_ms: u64,
    },
}

/// A verdict that has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct VerdictChange {
    /// Of which check.
    pub check: String,
    /// The state.
    pub state: &'static str,
    /// What else is true of it.
    pub flags: Vec<String>,
    /// Who is probably responsible.
    pub cause: String,
    /// Regions that fail.
    pub failing: i32,
    /// Regions that are live.
    pub live: i32,
    /// The reason in a sentence.
    pub summary: String,
}

/// A message about an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Message {
    /// Of which check.
    pub check: String,
    /// Which incident.
    pub incident: String,
    /// Who is probably responsible.
    pub cause: String,
    /// The reason in a sentence.
    pub summary: String,
    /// From the last thing that the script did to the arrival of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Who voted what.
    pub votes: Vec<Vote>,
}

/// One region's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Vote {
    /// Whose.
    pub region: String,
    /// What its probe found, such as `fail (ttfb: timeout)`.
    pub outcome: String,
    /// `yes`, or why it did not count.
    pub counted: String,
}

/// A message about Quorate itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Operator {
    /// What it is about, such as `region_isolated`.
    pub kind: String,
    /// Whether it takes an earlier one back.
    pub resolved: bool,
    /// The region concerned.
    pub region: Option<String>,
    /// The agent concerned.
    pub agent: Option<String>,
    /// What happened.
    pub message: String,
    /// From the last thing that the script did to the arrival of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn rfc_3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl Event {
    /// The event in words, one line each; the first begins with the time since `start`.
    pub(crate) fn lines(&self, start: Timestamp) -> Vec<String> {
        let since = (self.time - start).as_secs_f64();
        let mut lines = self.what.words();
        if let Some(first) = lines.first_mut() {
            *first = format!("{since:>6.1} s  {first}");
        }
        for line in lines.iter_mut().skip(1) {
            *line = format!("          {line}");
        }
        lines
    }
}

impl What {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Ready { api, agents, checks } => vec![format!(
                "ready     {agents} agents joined, {checks} checks; look around with: quorate --address {api} get checks"
            )],
            Self::Step { step, steps, title, will } => {
                vec![format!("STEP {step}/{steps}  {title}"), will.clone()]
            }
            Self::Verdict(change) => vec![change.words()],
            Self::Page(message) => message.words("PAGE"),
            Self::Notice(message) => message.words("notice"),
            Self::Resolved(message) => message.words("resolved"),
            Self::Operator(operator) => vec![operator.words()],
            Self::Promise { name, kept: true, .. } => vec![format!("kept      {name}")],
            Self::Promise { name, detail, .. } => {
                vec![format!("BROKEN    {name}: {}", detail.as_deref().unwrap_or("it was not so"))]
            }
            Self::End { summary, elapsed_ms, .. } => {
                vec![format!("end       {summary} ({})", span(*elapsed_ms))]
            }
        }
    }
}

impl VerdictChange {
    fn words(&self) -> String {
        let mut text = format!("verdict   {} is {}", self.check, self.state);
        if !self.flags.is_empty() {
            text += format!(" ({})", self.flags.join(", ")).as_str();
        }
        text += format!(", {}/{} failing", self.failing, self.live).as_str();
        if !matches!(self.cause.as_str(), "" | "none") {
            text += format!(", cause {}", self.cause).as_str();
        }
        text
    }
}

impl Message {
    fn words(&self, word: &str) -> Vec<String> {
        let after = self.after_ms.map(|millis| format!(", {} after the change", span(millis)));
        let mut lines = vec![format!(
            "{word:<9} {} [{}]{}: {}",
            self.check,
            self.cause,
            after.unwrap_or_default(),
            shown(&self.summary)
        )];
        if word == "PAGE" {
            lines.extend(self.votes.iter().map(|vote| {
                let counted = match vote.counted.as_str() {
                    "yes" => String::new(),
                    why => format!(", not counted: {why}"),
                };
                format!("  {:<4} {}{counted}", vote.region, vote.outcome)
            }));
        }
        lines
    }
}

impl Operator {
    fn words(&self) -> String {
        let over = if self.resolved { " is over" } else { "" };
        format!("operator  {}{over}: {}", self.kind, shown(&self.message))
    }
}

/// A span as people read it, to the tenth of a second above one.
pub(crate) fn span(millis: u64) -> String {
    let rounded = if millis >= 1_000 { (millis + 50) / 100 * 100 } else { millis };
    HumanDuration(Duration::from_millis(rounded)).to_string()
}

/// A span in whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Text from outside, without anything that could act on a terminal, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let safe = |c: char| {
        if c.is_control() { c.escape_default().collect::<String>() } else { c.to_string() }
    };
    text.chars().take(TEXT_CHARS_MAX).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
    }

    fn page() -> What {
        let vote = |region: &str, counted: &str| Vote {
            region: region.to_owned(),
            outcome: "fail (ttfb: timeout)".to_owned(),
            counted: counted.to_owned(),
        };
        What::Page(Message {
            check: "shop".to_owned(),
            incident: "1".to_owned(),
            cause: "target.timeout".to_owned(),
            summary: "no answer\u{1b}[2J".to_owned(),
            after_ms: Some(3_149),
            votes: vec![vote("fra", "yes"), vote("syd", "island")],
        })
    }

    #[test]
    fn a_page_says_how_long_it_took_and_who_voted_what() {
        let lines = Event { time: at(48), what: page() }.lines(at(0));
        assert_eq!(
            lines,
            [
                "  48.0 s  PAGE      shop [target.timeout], 3.1s after the change: no answer\\u{1b}[2J",
                "            fra  fail (ttfb: timeout)",
                "            syd  fail (ttfb: timeout), not counted: island",
            ]
        );
    }

    #[test]
    fn an_event_is_one_flat_json_object() {
        let event = Event { time: at(0), what: page() };
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(value["time"], "2023-11-14T22:13:20.000Z");
        assert_eq!(value["event"], "page");
        assert_eq!(value["check"], "shop");
        assert_eq!(value["votes"][1]["counted"], "island");
        let promise =
            What::Promise { name: "nobody is paged".to_owned(), kept: true, detail: None };
        let value = serde_json::to_value(Event { time: at(0), what: promise }).unwrap();
        assert_eq!(value["event"], "promise");
        assert_eq!(value["kept"], true);
        assert!(value.get("detail").is_none());
    }
}
