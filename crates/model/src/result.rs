//! Results: what a probe saw, and what an agent reports of it.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{
    AgentId, BootId, CheckId, DnsFacts, GrpcFacts, Outcome, Phase, PingFacts, RegionId, Revision,
    RoundId, Timestamp, TlsFacts,
};

/// What one probe saw. Made by the `checks` crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The verdict of this one probe.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// From the start of the probe to its end.
    pub total: Duration,
    /// The phases gone through, in order; those of all hops, summed for each phase.
    pub phases: Vec<PhaseTiming>,
    /// What was seen on the way.
    pub evidence: Evidence,
}

/// How long one phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTiming {
    /// Which.
    pub phase: Phase,
    /// How long.
    pub elapsed: Duration,
}

/// What a probe saw on its way: for people and for attribution, never for the vote itself.
///
/// Text that came from the target is bounded and may hold anything: escape it where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// One sentence that says what happened; empty when all is well.
    pub message: String,
    /// The addresses that the target's name resolved to, in the order of the answer, at most 16.
    pub resolved: Vec<IpAddr>,
    /// The address contacted last.
    pub address: Option<IpAddr>,
    /// Status code of the final answer, for kinds that speak HTTP.
    pub status: Option<u16>,
    /// Each answer on the way, the final one last, at most 14.
    pub hops: Vec<HttpHop>,
    /// Negotiated protocol, such as `HTTP/2` or `TLSv1.3`.
    pub protocol: Option<String>,
    /// End of validity of the target's leaf certificate, by the certificate's own clock.
    pub cert_not_after: Option<Timestamp>,
    /// What the last TLS handshake showed.
    pub tls: Option<Box<TlsFacts>>,
    /// Which edge of a delivery network answered, if it said so.
    pub pop_hint: Option<String>,
    /// `Retry-After` of the final answer, from the moment it came.
    pub retry_after: Option<Duration>,
    /// Bytes of the body read, after decoding.
    pub body_bytes: Option<u64>,
    /// Bytes of the body read as they came, if it was compressed.
    pub wire_bytes: Option<u64>,
    /// `Allow` of a final answer that refuses the method.
    pub allow: Option<String>,
    /// Status codes of the answers before the final one (1xx), in order, at most 8.
    pub interim: Vec<u16>,
    /// What it took to resolve the target's name, if the first resolver did not do.
    pub resolver: Option<ResolverUse>,
    /// What the same probe saw over the other address family, if the target has one and it was
    /// tried.
    pub other_family: Option<OtherFamily>,
    /// What a DNS server answered.
    pub dns: Option<Box<DnsFacts>>,
    /// What came back of the packets sent.
    pub ping: Option<Box<PingFacts>>,
    /// How an RPC ended.
    pub grpc: Option<Box<GrpcFacts>>,
    /// The code with which a WebSocket was closed.
    pub close_code: Option<u16>,
}

/// The same probe over the address family that it does not vote by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherFamily {
    /// The address contacted.
    pub address: IpAddr,
    /// What came of it.
    pub outcome: Outcome,
}

words! {
    /// What it took to resolve a name when the first resolver was in trouble.
    ResolverUse {
        /// The second resolver gave the address.
        Second = "second",
        /// Neither gave one.
        Neither = "neither",
    }
}

/// One answer of an HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpHop {
    /// Request method.
    pub method: String,
    /// The URL asked for, without credentials.
    pub url: String,
    /// Status code answered.
    pub status: u16,
    /// The address that answered.
    pub address: Option<IpAddr>,
    /// Where it pointed, as sent.
    pub location: Option<String>,
    /// The phases of this hop.
    pub phases: Vec<PhaseTiming>,
}

words! {
    /// What an agent thinks of itself.
    Health {
        /// It can reach its anchors, and its timers are on time.
        Fine = "fine",
        /// It cannot reach its anchors: its failures say nothing about targets.
        Island = "island",
        /// Its timers are late: its time-outs say nothing about targets.
        Overloaded = "overloaded",
    }
}

/// Which result: an agent, one run of its process, and a number that grows by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResultId {
    /// Who probed.
    pub agent: AgentId,
    /// In which run of its process.
    pub boot: BootId,
    /// From 1, without gaps.
    pub sequence: u64,
}

/// An observation as the coordinator has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Which result.
    pub id: ResultId,
    /// The agent's region, from its certificate.
    pub region: RegionId,
    /// What was probed.
    pub check: CheckId,
    /// The revision of the check that was probed.
    pub revision: Revision,
    /// The confirmation round that asked for it; `None` if it was scheduled.
    pub round: Option<RoundId>,
    /// Start of the probe on the coordinator's clock: received, less the age that the agent
    /// measured with its monotonic clock, less half the round trip.
    pub started: Timestamp,
    /// When the coordinator received it.
    pub received: Timestamp,
    /// What the agent thought of itself when the probe ended.
    pub health: Health,
    /// What it saw.
    pub observation: Observation,
}

/// A probe that is late but not yet over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// Who is waiting.
    pub agent: AgentId,
    /// In which region.
    pub region: RegionId,
    /// For which check.
    pub check: CheckId,
    /// The revision of the check that is being probed.
    pub revision: Revision,
    /// The phase that the probe has reached.
    pub phase: Phase,
    /// Start of the probe on the coordinator's clock.
    pub started: Timestamp,
    /// What the agent thinks of itself now.
    pub health: Health,
}

/// A result as the agent measured it: instants are of the monotonic clock of its boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredResult {
    /// From 1 for each boot, without gaps.
    pub sequence: u64,
    /// What was probed.
    pub check: CheckId,
    /// The revision of the check that was probed.
    pub revision: Revision,
    /// The confirmation round that asked for it; `None` if it was scheduled.
    pub round: Option<RoundId>,
    /// Start of the probe.
    pub started_at: Duration,
    /// End of the probe.
    pub ended_at: Duration,
    /// What the agent thought of itself when the probe ended.
    pub health: Health,
    /// What it saw.
    pub observation: Observation,
}
