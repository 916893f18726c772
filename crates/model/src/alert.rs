//! Messages to people.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{AgentId, CheckId, Incident, ReceiverId, RegionId, Timestamp};

words! {
    /// What an alert says.
    AlertKind {
        /// An incident that somebody must look at now.
        Page = "page",
        /// An incident for when there is time.
        Notice = "notice",
        /// The incident is over.
        Resolved = "resolved",
        /// A summary of many changes.
        Digest = "digest",
    }
}

words! {
    /// What an operator notice is about.
    NoticeKind {
        /// A region cannot reach its anchors.
        RegionIsolated = "region_isolated",
        /// An agent has been silent for too long.
        AgentLost = "agent_lost",
        /// An agent's own timers are late.
        AgentOverloaded = "agent_overloaded",
        /// An agent's wall clock is wrong.
        AgentClock = "agent_clock",
        /// An agent disagrees with the others.
        AgentSuspect = "agent_suspect",
        /// One more faulty region could hide an outage.
        ReducedQuorum = "reduced_quorum",
        /// Fewer than two regions are left: no verdict is possible.
        NoQuorum = "no_quorum",
        /// A region fails often without cause.
        RegionUnreliable = "region_unreliable",
        /// An anchor fails from everywhere.
        AnchorBad = "anchor_bad",
        /// A region's resolver fails.
        ResolverBad = "resolver_bad",
        /// An agent refused a part of its configuration.
        ConfigError = "config_error",
        /// The store cannot be written.
        StoreFailing = "store_failing",
        /// A receiver cannot be reached.
        NotifierFailing = "notifier_failing",
    }
}

/// A message to the receivers of a check about one of its incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it says.
    pub kind: AlertKind,
    /// When it was decided.
    pub at: Timestamp,
    /// The check's target, for people.
    pub target: String,
    /// The check's labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Where the people paged find what to do.
    pub runbook: Option<String>,
    /// Until when it waits for others of its kind to the same receiver, to be said in one message with
    /// them; `None` if it goes out at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The incident as it stands.
    pub incident: Incident,
}

impl Alert {
    /// When it may go out.
    pub fn due(&self) -> Timestamp {
        self.held_until.unwrap_or(self.at)
    }
}

/// A message to the operators of Quorate about Quorate itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorNotice {
    /// What it is about.
    pub kind: NoticeKind,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether this takes an earlier notice back: all is well again.
    pub resolved: bool,
    /// The region concerned.
    pub region: Option<RegionId>,
    /// The agent concerned.
    pub agent: Option<AgentId>,
    /// The check concerned.
    pub check: Option<CheckId>,
    /// What happened and what to do, in a sentence or two.
    pub message: String,
}

/// What is to be delivered to one receiver. Its id stays the same over all attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delivery {
    /// About an incident.
    Alert(Box<Alert>),
    /// About Quorate itself.
    Operator(OperatorNotice),
}

impl Delivery {
    /// The dotted event type of Standard Webhooks, such as `incident.opened`.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Alert(alert) => match alert.kind {
                AlertKind::Page | AlertKind::Notice => "incident.opened",
                AlertKind::Resolved => "incident.resolved",
                AlertKind::Digest => "incident.digest",
            },
            Self::Operator(notice) if notice.resolved => "operator.resolved",
            Self::Operator(_) => "operator.notice",
        }
    }

    /// The key under which retries are recognised, one for each receiver and transition.
    pub fn key(&self, receiver: &ReceiverId) -> String {
        match self {
            Self::Alert(alert) => {
                format!("{receiver}/{}/{}/{}", alert.incident.id, alert.kind, alert.at.as_micros())
            }
            Self::Operator(notice) => format!(
                "{receiver}/operator/{}/{}/{}/{}/{}",
                notice.kind,
                notice.region.as_ref().map_or("-", |id| id.as_str()),
                notice.agent.as_ref().map_or("-", |id| id.as_str()),
                notice.check.as_ref().map_or("-", |id| id.as_str()),
                notice.at.as_micros()
            ),
        }
    }
}
