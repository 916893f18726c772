//! The file as written: everything optional, nothing believed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::text::{AgentText, AgentsText, Counts, Span, Words};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawScenario {
    pub(crate) name: Option<String>,
    pub(crate) about: Option<String>,
    pub(crate) oracle: Option<u32>,
    pub(crate) fleet: Option<Value>,
    pub(crate) targets: Option<BTreeMap<String, Option<RawTarget>>>,
    pub(crate) checks: Option<BTreeMap<String, Option<Value>>>,
    pub(crate) background: Option<RawBackground>,
    pub(crate) run: Option<Span>,
    pub(crate) faults: Option<Vec<RawFault>>,
    pub(crate) expect: Option<Vec<RawExpect>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFleet {
    pub(crate) regions: Option<BTreeMap<String, Option<RawRegion>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRegion {
    pub(crate) provider: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) transit: Option<String>,
    pub(crate) resolver: Option<String>,
    pub(crate) agents: Option<Vec<AgentText>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTarget {
    pub(crate) network: Option<String>,
    pub(crate) families: Option<Words>,
    pub(crate) edges: Option<BTreeMap<String, String>>,
    pub(crate) kind: Option<String>,
    pub(crate) companion: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBackground {
    pub(crate) checks: Option<usize>,
    pub(crate) networks: Option<usize>,
}

/// Every parameter of every kind of fault; which belong to which kind is a rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFault {
    pub(crate) at: Option<Span>,
    #[serde(rename = "for")]
    pub(crate) lasts: Option<Span>,
    pub(crate) kind: Option<String>,
    pub(crate) regions: Option<Words>,
    pub(crate) region: Option<String>,
    pub(crate) agents: Option<AgentsText>,
    pub(crate) target: Option<String>,
    pub(crate) code: Option<u16>,
    pub(crate) retry_after: Option<Span>,
    pub(crate) by: Option<String>,
    pub(crate) count: Option<usize>,
    pub(crate) of: Option<String>,
    pub(crate) rate: Option<f64>,
    #[serde(rename = "where")]
    pub(crate) place: Option<String>,
    pub(crate) answer: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) edges: Option<Words>,
    pub(crate) family: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) times: Option<usize>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) network: Option<String>,
    pub(crate) check: Option<String>,
    pub(crate) set: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExpect {
    pub(crate) alert: Option<RawAlert>,
    pub(crate) verdict: Option<RawVerdict>,
    pub(crate) operator: Option<RawOperator>,
    pub(crate) no_alert: Option<RawAlert>,
    pub(crate) late_outage: Option<RawLateOutage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAlert {
    pub(crate) check: Option<Words>,
    pub(crate) kind: Option<Words>,
    pub(crate) from: Option<Span>,
    pub(crate) to: Option<Span>,
    pub(crate) count: Option<Counts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLateOutage {
    pub(crate) check: Option<Words>,
    pub(crate) from: Option<Span>,
    pub(crate) to: Option<Span>,
    pub(crate) count: Option<Counts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawVerdict {
    pub(crate) check: Option<Words>,
    pub(crate) at: Option<Span>,
    pub(crate) is: Option<Words>,
    pub(crate) scope: Option<Words>,
    pub(crate) cause: Option<Words>,
    pub(crate) flags: Option<Words>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOperator {
    pub(crate) kind: Option<Words>,
    pub(crate) region: Option<Words>,
    pub(crate) agent: Option<Words>,
    pub(crate) check: Option<Words>,
    pub(crate) from: Option<Span>,
    pub(crate) to: Option<Span>,
    pub(crate) count: Option<Counts>,
}
