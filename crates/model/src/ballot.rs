//! Votes, ballots and verdicts.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{AgentId, CheckId, DistinctCount, Outcome, RegionId, RoundId, Timestamp};

words! {
    /// The coordinator's judgement of a check, mildest first; `unknown` is beside the order.
    State {
        /// No statement: too few regions have a fresh vote.
        Unknown = "unknown",
        /// At least one region has a fresh success, and nothing below holds.
        Up = "up",
        /// Some regions keep failing, fewer than the quorum.
        Partial = "partial",
        /// A quorum of regions finds the target slow or refusing, its certificate ends soon, or its
        /// origin is down while it still answers.
        Degraded = "degraded",
        /// A quorum of regions finds the target broken.
        Down = "down",
    }
}

words! {
    /// Something that is true of a verdict beside its state.
    Flag {
        /// Fewer regions than the quorum were left, or fewer different ones than asked for, and all
        /// of them agreed.
        ReducedQuorum = "reduced_quorum",
        /// Up and down too often to report each change.
        Flapping = "flapping",
        /// Covered by a maintenance window.
        Maintenance = "maintenance",
        /// Its alerts are silenced.
        Silenced = "silenced",
        /// Not probed at the moment.
        Paused = "paused",
        /// Down, but succeeding again; the incident is not resolved yet.
        Recovering = "recovering",
        /// Down, but not yet for as long as its `ignore_shorter_than`; nobody is told unless it
        /// lasts.
        Brief = "brief",
        /// Seen only when it was over, from results that came late; nobody is told.
        Past = "past",
    }
}

words! {
    /// What the failing regions have in common: who is probably responsible.
    Cause {
        /// Nothing is wrong.
        None = "none",
        /// A single failure that its confirmation refuted.
        Transient = "transient",
        /// No answer to the connection attempt.
        TargetNetwork = "target.network",
        /// The connection is refused.
        TargetRefused = "target.refused",
        /// Connected, but no answer in time.
        TargetTimeout = "target.timeout",
        /// TLS or its certificate.
        TargetTls = "target.tls",
        /// The status code, or broken HTTP.
        TargetHttp = "target.http",
        /// The content of the answer.
        TargetContent = "target.content",
        /// The target's name.
        TargetDns = "target.dns",
        /// All is well, but slow.
        TargetSlow = "target.slow",
        /// One address family of the target.
        TargetFamily = "target.family",
        /// Some of its answers fail.
        TargetIntermittent = "target.intermittent",
        /// Different symptoms in different regions.
        TargetMixed = "target.mixed",
        /// One edge of a delivery network.
        CdnEdge = "cdn.edge",
        /// A whole delivery network.
        Cdn = "cdn",
        /// The origin behind a delivery network or gateway.
        Origin = "origin",
        /// The resolver of a region.
        Resolver = "resolver",
        /// The path between one region and the target.
        Path = "path",
        /// A provider that the failing regions share.
        PathProvider = "path.provider",
        /// A transit network that the failing regions share.
        PathTransit = "path.transit",
        /// A country that the failing regions share.
        PathCountry = "path.country",
        /// A region is cut off.
        Region = "region",
        /// One agent is broken.
        Agent = "agent",
        /// The target limits the rate.
        BlockedRateLimit = "blocked.rate_limit",
        /// The target refuses some regions.
        BlockedGeo = "blocked.geo",
    }
}

words! {
    /// Whether a region's vote counted towards a verdict, and why not.
    Counted {
        /// It counted.
        Yes = "yes",
        /// No probe of this region has been reported.
        NeverVoted = "never_voted",
        /// Its last probe started too long ago.
        Stale = "stale",
        /// Its agents are silent.
        Absent = "absent",
        /// Its agents cannot reach their anchors: their failures do not count.
        Island = "island",
        /// It fails on many targets that the others reach: its failures do not count.
        Suspect = "suspect",
        /// Its agents doubt their own probes.
        Inconclusive = "inconclusive",
        /// It probed before the episode began.
        BeforeEpisode = "before_episode",
        /// It shares a place with another region, which speaks for both.
        SamePlace = "same_place",
    }
}

words! {
    /// What the check that probes an origin shows of it.
    OriginFinding {
        /// It works.
        Works = "works",
        /// It fails.
        Fails = "fails",
    }
}

words! {
    /// Why nobody is told yet that an origin is down.
    OriginHold {
        /// The messages of its check are withheld.
        Muted = "muted",
        /// It may still be over in time to be ignored.
        Brief = "brief",
    }
}

/// Failing regions of live regions, such as `3/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Regions whose failure counts now.
    pub failing: u32,
    /// Regions that are live: not silent, not cut off.
    pub live: u32,
    /// Regions configured for the check.
    pub configured: u32,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.failing, self.live)
    }
}

/// One region's line on a ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotEntry {
    /// Who votes.
    pub region: RegionId,
    /// The agent whose probe decided the region's vote.
    pub agent: Option<AgentId>,
    /// The outcome of that probe; `None` if there is none.
    pub outcome: Option<Outcome>,
    /// When that probe started.
    pub started: Option<Timestamp>,
    /// How long ago that was when the ballot was taken.
    pub age: Option<Duration>,
    /// How many of the region's probes failed in a row.
    pub failed_in_a_row: u32,
    /// Whether it counted, and why not.
    pub counted: Counted,
    /// One sentence of evidence from the probe.
    pub message: String,
    /// The address that the probe contacted.
    pub address: Option<std::net::IpAddr>,
    /// What its failure adds to the evidence, in thousandths of a nat; 0 if nothing.
    #[serde(default)]
    pub evidence_milli_nats: u32,
    /// Whether the target answers over one address family only. Then the vote is about that, not
    /// about the target as a whole.
    #[serde(default)]
    pub one_family: bool,
}

impl BallotEntry {
    /// Whether it says that the target as a whole fails.
    pub fn fails(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_fail) && !self.one_family
    }
}

/// What was known of the origin behind a target when a ballot was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotOrigin {
    /// The check that probes it.
    pub check: CheckId,
    /// What enough of its regions agree on; `None` if nothing can be concluded.
    pub finding: Option<OriginFinding>,
    /// Regions that found it well since the trouble began.
    pub working: u32,
    /// Regions that found it broken since then.
    pub failing: u32,
    /// Regions that probe it; 0 if nothing is known at all.
    pub configured: u32,
    /// Since when it works or fails, as far as is known.
    pub since: Option<Timestamp>,
    /// Why nobody is told yet that the target lacks its origin; `None` if that is told, or something
    /// else is wrong too.
    pub hold: Option<OriginHold>,
}

/// Who voted what when a verdict was reached. Judging it again gives the same verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// When it was taken.
    pub taken: Timestamp,
    /// The quorum of the check, from the regions configured.
    pub quorum: u32,
    /// The quorum in force: the check's, or all that are left, at least two.
    pub quorum_effective: u32,
    /// Failing, live and configured regions.
    pub scope: Scope,
    /// What became of the demands that the failing regions differ.
    #[serde(default)]
    pub distinct: Vec<DistinctCount>,
    /// The confirmation rounds of the episode, in order.
    pub rounds: Vec<RoundId>,
    /// One entry for each region configured, in configured order.
    pub entries: Vec<BallotEntry>,
    /// How unlikely it is that the failures are coincidence, in thousandths of a nat: the chance is
    /// one in `exp(evidence / 1000)`. 0 if it was not weighed.
    #[serde(default)]
    pub evidence_milli_nats: u32,
    /// What the evidence must reach under the check's budget of false alerts; 0 if the number of
    /// regions alone decides.
    #[serde(default)]
    pub need_milli_nats: u32,
    /// What was known of the origin, if the check names one and it mattered. Boxed, since few have it
    /// and a ballot of each check is held in memory.
    #[serde(default)]
    pub origin: Option<Box<BallotOrigin>>,
}

/// The judgement of a check, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it is.
    pub state: State,
    /// What else is true of it.
    pub flags: BTreeSet<Flag>,
    /// Who is probably responsible.
    pub cause: Cause,
    /// What else would fit, the most probable first.
    #[serde(default)]
    pub also: Vec<Cause>,
    /// The reason in a sentence.
    pub summary: String,
    /// Since when the state holds.
    pub since: Timestamp,
    /// Who voted what.
    pub ballot: Ballot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ballot_that_was_stored_without_an_origin_is_still_read() {
        let ballot = Ballot {
            taken: Timestamp::from_micros(7),
            quorum: 3,
            quorum_effective: 3,
            scope: Scope::default(),
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: Some(Box::new(BallotOrigin {
                check: "shop-origin".parse().unwrap(),
                finding: Some(OriginFinding::Fails),
                working: 0,
                failing: 5,
                configured: 5,
                since: Some(Timestamp::from_micros(5)),
                hold: Some(OriginHold::Brief),
            })),
        };
        let mut stored = serde_json::to_value(&ballot).unwrap();
        assert_eq!(stored["origin"]["finding"], "fails");
        assert_eq!(serde_json::from_value::<Ballot>(stored.clone()).unwrap(), ballot);
        stored.as_object_mut().unwrap().remove("origin").unwrap();
        let old: Ballot = serde_json::from_value(stored).unwrap();
        assert_eq!(old, Ballot { origin: None, ..ballot });
    }
}
