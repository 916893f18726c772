//! What a valid scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{AgentId, AlertKind, Cause, CheckId, Flag, NoticeKind, RegionId, State};
use serde_json::Value;

/// A fleet, checks, faults on a virtual clock, and what must come out.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// The row of the oracle, if it is one.
    pub oracle: Option<u32>,
    /// How long it runs.
    pub run: Duration,
    pub(crate) regions: BTreeMap<RegionId, Place>,
    pub(crate) targets: BTreeMap<String, Target>,
    /// The checks as written, without what only scenarios have.
    pub(crate) checks: BTreeMap<String, CheckText>,
    pub(crate) background: Background,
    pub(crate) faults: Vec<Fault>,
    pub(crate) expect: Vec<Expect>,
}

/// A region with its agents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) agents: Vec<(AgentId, Option<String>)>,
}

/// What is probed.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) network: String,
    pub(crate) families: Vec<Family>,
    pub(crate) edges: BTreeMap<RegionId, String>,
    pub(crate) kind: TargetKind,
    /// The target behind it, when this is a delivery network.
    pub(crate) companion: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Http,
    Https,
    Dns,
}

/// A check as written.
#[derive(Debug, Clone)]
pub(crate) struct CheckText {
    pub(crate) target: String,
    /// How many it stands for, if it says so.
    pub(crate) count: Option<usize>,
    /// The check that probes its origin, if its target has a companion.
    pub(crate) origin: Option<String>,
    /// The keys that a configuration knows.
    pub(crate) settings: serde_json::Map<String, Value>,
}

impl CheckText {
    /// The names of the checks that `id` stands for.
    pub(crate) fn members(&self, id: &str) -> Vec<String> {
        match self.count {
            None => vec![id.to_owned()],
            Some(count) => (1..=count).map(|number| format!("{id}-{number}")).collect(),
        }
    }
}

/// Healthy checks beside those of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Background {
    pub(crate) checks: usize,
    pub(crate) networks: usize,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) at: Duration,
    pub(crate) until: Option<Duration>,
    pub(crate) who: Who,
    pub(crate) what: What,
}

/// Who suffers a fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    pub(crate) regions: BTreeSet<String>,
    pub(crate) agents: BTreeSet<String>,
}

impl Who {
    pub(crate) fn includes(&self, region: &str, agent: &str) -> bool {
        (self.regions.is_empty() && self.agents.is_empty())
            || self.regions.contains(region)
            || self.agents.contains(agent)
    }
}

/// What goes wrong at a target, seen by those who suffer it.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    BlackHole,
    Refuse,
    Status { code: u16, retry_after: Option<Duration> },
    Slow { by: Duration },
    Blip { count: usize, of: Of, code: Option<u16> },
    Flaky { rate: f64, code: Option<u16> },
    Dns { place: DnsPlace, other: bool },
    Tls { reason: TlsReason, edges: Vec<String> },
    Content,
    Family(Family),
    Edge { edges: Vec<String>, code: Option<u16> },
    ProxyOk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Any,
    Scheduled,
    Confirmation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DnsPlace {
    Primary,
    All,
    Authoritative,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsReason {
    Expired,
    Untrusted,
    Name,
    ExpiresIn(Duration),
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Target {
        target: String,
        trouble: Trouble,
    },
    Isolate {
        cut: bool,
    },
    Drop {
        rate: f64,
    },
    Egress {
        protocol: String,
    },
    CutLink,
    Crash,
    Overload,
    /// Microseconds by which it is ahead; negative if behind.
    Clock {
        ahead_micros: i64,
    },
    Anchors {
        count: usize,
    },
    Coordinator,
    Duplicate {
        times: usize,
    },
    Delay {
        by: Duration,
    },
    Join {
        region: RegionId,
        labels: BTreeMap<String, String>,
        agents: Vec<(AgentId, Option<String>)>,
    },
    Maintenance {
        members: Vec<String>,
    },
    Reconfigure {
        check: String,
        members: Vec<String>,
        set: serde_json::Map<String, Value>,
    },
}

/// What must come out.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    /// `file:line:col`.
    pub(crate) place: String,
    pub(crate) what: Expectation,
}

#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    Alert {
        filter: AlertFilter,
        count: Vec<usize>,
    },
    NoAlert(AlertFilter),
    /// By the time at which they would have been told.
    LateOutage {
        filter: AlertFilter,
        count: Vec<usize>,
    },
    Verdict {
        checks: Vec<CheckId>,
        at: Duration,
        is: Vec<State>,
        scope: Vec<String>,
        cause: Vec<Cause>,
        flags: Option<Vec<Flag>>,
    },
    Operator {
        filter: OperatorFilter,
        count: Option<Vec<usize>>,
    },
}

/// Which alerts; an empty list is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlertFilter {
    pub(crate) checks: Vec<CheckId>,
    pub(crate) kinds: Vec<AlertKind>,
    pub(crate) from: Option<Duration>,
    pub(crate) to: Option<Duration>,
    /// A grouped message counts once, not once for each check.
    pub(crate) any: bool,
}

/// Which operator notices; an empty list is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperatorFilter {
    pub(crate) kinds: Vec<NoticeKind>,
    pub(crate) regions: Vec<String>,
    pub(crate) agents: Vec<String>,
    pub(crate) checks: Vec<String>,
    pub(crate) from: Option<Duration>,
    pub(crate) to: Option<Duration>,
}
