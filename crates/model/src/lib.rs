//! The vocabulary of Quorate: identifiers, checks, results, votes, verdicts, incidents, alerts
//! and time.
//!
//! Parsing and invariants live here; behaviour over time does not. Every word has one meaning,
//! which `docs/glossary.md` gives.

mod alert;
mod ballot;
mod check;
mod distinct;
mod duration;
mod facts;
mod fleet;
mod heartbeat;
mod id;
mod incident;
mod mute;
pub mod odds;
mod outcome;
mod prefix;
mod problem;
mod region;
mod result;
mod secret;
mod status;
mod time;
mod tls;
mod words;

pub use alert::{Alert, AlertKind, Delivery, NoticeKind, OperatorNotice};
pub use ballot::{
    Ballot, BallotEntry, BallotOrigin, Cause, Counted, Flag, OriginFinding, OriginHold, Scope,
    State, Verdict,
};
pub use check::{
    AlertPolicy, CertificatePolicy, Check, FleetPolicy, PartialPolicy, Quorum, Revision,
};
pub use distinct::{Distinct, DistinctCount, plural};
pub use duration::HumanDuration;
pub use facts::{DnsFacts, GrpcFacts, PingFacts, RoundTrips};
pub use fleet::{AgentSettings, Fleet, ProbeSpec};
pub use heartbeat::{AnchorSet, Heartbeat};
pub use id::{
    AgentId, BootId, CheckId, ID_HELP, IdError, IncidentId, KindName, MuteId, ReceiverId, RegionId,
    RoundId,
};
pub use incident::{Incident, IncidentState, Severity};
pub use mute::{Mute, MuteKind, Period, Weekday, Zone};
pub use odds::Odds;
pub use outcome::{BlockReason, Doubt, Outcome, Phase, Reason};
pub use prefix::Prefix;
pub use problem::OptionProblem;
pub use region::Region;
pub use result::{
    Evidence, Health, HttpHop, MeasuredResult, Observation, OtherFamily, PhaseTiming, ProbeResult,
    ResolverUse, ResultId, Suspicion,
};
pub use secret::Secret;
pub use status::{StatusCode, StatusInfo, StatusOutcome, status_codes_in_markdown};
pub use time::Timestamp;
pub use tls::{CertificateFacts, TlsFacts};
