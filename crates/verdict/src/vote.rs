//! Votes: what one region says about one check.
//!
//! **One region, one vote.** All agents of a region share it: the region fails if more than half
//! of its agents with a fresh, conclusive result fail, and succeeds if at least half succeed.
//! Adding agents to a region never adds a vote, and one broken agent is outvoted by its siblings.
//!
//! **Fresh.** A probe speaks for `F` from its *start* (interval + timeout + a margin), then no
//! longer: a region that stops reporting does not vote for ever. Inside a suspicion episode only
//! probes that started after its cut speak; an older success neither contradicts nor supports.
//!
//! **Success is proof, failure is a hint.** A success clears the region's failures at once and
//! counts even from an agent that doubts itself. A failure counts only from an agent that trusts
//! its own network.
//!
//! **One address family.** A probe votes by one family; what the same probe met over the other one
//! is evidence. Where one works and the other does not, the region says just that: no success, since
//! the check's own family may be the broken one, and no failure of the target, since whoever can
//! use both reaches it. A quorum of these is `degraded`.
//!
//! **Order.** Only the start of a probe orders it, not its arrival. The last few probes of each
//! agent are kept sorted, so that late, doubled and reordered deliveries give the same run of
//! failures. What is older than those is history.
//!
//! **What it ignores.** How often a region failed before the present run, and how slow a success
//! is (that is a state of its own).
//!
//! **Example.** Agent x fails at 0 s; its retry, started at 2 s, succeeds at once, and the first
//! probe's time-out arrives at 10 s. The later start rules: the region succeeds.
//!
//! **What it costs.** There are as many votes as checks times regions, and almost all are plain
//! successes: what only a failure or a doubt has to say is kept apart, and a region of one agent
//! holds its vote without a detour.

mod agents;
mod lookup;
mod recent;
mod say;

use std::net::IpAddr;

use quorate_model::{Counted, Doubt, Evidence, Outcome, ProbeResult, Timestamp};

use crate::certificate::NEVER;
use crate::limits::{EDGE_CHARS_MAX, MESSAGE_CHARS_MAX};
use crate::liveness::{Agent, AgentIx, RegionIx, RegionState, Roster};
use crate::slow::Level;
pub(crate) use agents::Votes;
pub(crate) use lookup::Lookup;
use recent::{Recent, Run, Seen};
pub(crate) use say::Say;

/// What one agent last said about one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentVote {
    pub(crate) agent: AgentIx,
    /// The last probes, by start.
    recent: Recent,
    /// The run that ends with the last probe.
    pub(crate) run: Run,
    /// Until when the last probe speaks.
    pub(crate) fresh_until: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) address: Option<IpAddr>,
    /// The end of the certificate that the target showed.
    pub(crate) cert_ends: Timestamp,
    remark: Option<Box<Remark>>,
    /// Whether it has failed, and it is not known yet whether for nothing.
    is_open: bool,
}

/// What few votes have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Remark {
    /// What the last probe says of itself, in a sentence.
    message: Box<str>,
    /// What the edge of a delivery network that answered it calls itself.
    edge: Option<Box<str>>,
    /// The latest probe that the agent did not trust, with the reason, if nothing came after it.
    doubt: Option<(Timestamp, Doubt)>,
}

impl AgentVote {
    fn new(agent: AgentIx) -> Self {
        Self {
            agent,
            recent: Recent::default(),
            run: Run::default(),
            fresh_until: Timestamp::from_micros(i64::MIN),
            outcome: Outcome::Inconclusive { reason: Doubt::Internal },
            status: None,
            address: None,
            cert_ends: NEVER,
            remark: None,
            is_open: false,
        }
    }

    /// Start of the last probe that said anything.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        self.recent.last().map(|seen| seen.started)
    }

    pub(crate) fn say(&self) -> Option<Say> {
        self.recent.last().map(|seen| seen.say)
    }

    /// Whether its last two probes or more were plain successes.
    pub(crate) fn has_succeeded_again(&self) -> bool {
        self.say() == Some(Say::Ok) && self.run.length > 1
    }

    /// Start of its last success before `at`, as far back as single probes are known.
    pub(crate) fn last_success_before(&self, at: Timestamp) -> Option<Timestamp> {
        let before = self.recent.iter().filter(|seen| seen.started < at && seen.say.is_success());
        before.map(|seen| seen.started).max()
    }

    /// Start of the first probe of its present trouble that its agent trusts: of a run of slow
    /// answers as far back as single probes are known. `None` if its last word is a plain success.
    fn trouble_since(&self, agent: &Agent) -> Option<Timestamp> {
        let last = self.say()?;
        let is_same = |seen: &Seen| match last {
            Say::Ok => false,
            Say::Slow => seen.say == Say::Slow,
            Say::OneFamily | Say::Limited | Say::Forbidden | Say::Fail => {
                seen.started >= self.run.since && agent.trusts(seen.started)
            }
        };
        let known = self.recent.iter().rev().take_while(is_same).last().map(|seen| seen.started)?;
        let is_whole = !last.is_success() && agent.trusts(self.run.since);
        Some(if is_whole { self.run.since } else { known })
    }

    /// How its last probe found the target; `None` before the first.
    pub(crate) fn lookup(&self) -> Option<Lookup> {
        self.recent.last().map(Seen::lookup)
    }

    /// What its last probes agree on about its resolvers, if anything.
    pub(crate) fn lookups(&self) -> Option<Lookup> {
        lookup::agreed(self.recent.iter().rev().map(Seen::lookup))
    }

    /// What the last probe says of itself, in a sentence; empty when all is well.
    pub(crate) fn message(&self) -> &str {
        self.remark.as_ref().map_or("", |remark| &remark.message)
    }

    /// Takes in a probe. Returns what it is in the agent's order; `None` if it is known already, or
    /// history.
    fn insert(
        &mut self,
        result: &ProbeResult,
        started: Timestamp,
        say: Say,
        fresh_until: Timestamp,
    ) -> Option<Taken> {
        let lookup = Lookup::of(&result.observation);
        let seen = Seen::new(started, result.id.sequence, say, lookup);
        self.run = self.recent.insert(self.run, seen)?;
        let is_last = self.recent.last() == Some(seen);
        if is_last {
            let evidence = &result.observation.evidence;
            self.outcome = result.observation.outcome;
            self.fresh_until = fresh_until;
            self.status = evidence.status;
            self.address = evidence.address;
            self.cert_ends = evidence.cert_not_after.unwrap_or(NEVER);
            self.remark(started, evidence);
        }
        let run = if is_last { self.run } else { self.recent.run_to(seen) };
        Some(Taken { is_last, in_a_row: run.length })
    }

    /// Keeps what there is to remark about the last probe.
    fn remark(&mut self, started: Timestamp, evidence: &Evidence) {
        let doubt = self.doubt().filter(|(at, _)| *at > started);
        let edge = evidence.pop_hint.as_deref().filter(|edge| !edge.is_empty());
        self.remark = if doubt.is_none() && evidence.message.is_empty() && edge.is_none() {
            None
        } else {
            let message = evidence.message.chars().take(MESSAGE_CHARS_MAX).collect();
            let edge = edge.map(|edge| edge.chars().take(EDGE_CHARS_MAX).collect());
            Some(Box::new(Remark { message, edge, doubt }))
        };
    }

    /// What the edge of a delivery network that answered its last probe calls itself.
    pub(crate) fn edge(&self) -> Option<&str> {
        self.remark.as_ref()?.edge.as_deref()
    }

    fn doubt(&self) -> Option<(Timestamp, Doubt)> {
        self.remark.as_ref()?.doubt
    }

    /// Notes a probe that the agent does not trust, unless it has said more since.
    fn note_doubt(&mut self, started: Timestamp, reason: Doubt) {
        let is_news = self.started().is_none_or(|last| last < started);
        if is_news && self.doubt().is_none_or(|(at, _)| at < started) {
            self.remark.get_or_insert_default().doubt = Some((started, reason));
        }
    }

    /// Whether it speaks at `now`, and why not.
    fn counted(&self, agent: &Agent, state: RegionState, sight: Sight) -> Counted {
        let (Some(started), Some(say)) = (self.started(), self.say()) else {
            return if self.doubt().is_some() {
                Counted::Inconclusive
            } else {
                Counted::NeverVoted
            };
        };
        let doubted_since = self.doubt().is_some_and(|(at, _)| at > started);
        if agent.is_absent() {
            Counted::Absent
        } else if sight.now >= self.fresh_until {
            if doubted_since { Counted::Inconclusive } else { Counted::Stale }
        } else if !say.is_success() && !agent.trusts(started) {
            Counted::Island
        } else if !say.is_success() && state == RegionState::Suspect {
            Counted::Suspect
        } else if sight.cut.is_some_and(|cut| started < cut) {
            Counted::BeforeEpisode
        } else {
            Counted::Yes
        }
    }
}

/// A probe that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whether it is now the agent's last word: none that started later is known.
    pub(crate) is_last: bool,
    /// How many in a row, up to it, said the same.
    pub(crate) in_a_row: u16,
}

/// From when a region is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) now: Timestamp,
    /// Probes that started before this do not speak.
    pub(crate) cut: Option<Timestamp>,
}

/// All that a region has said about a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) region: RegionIx,
    pub(crate) votes: Votes,
    /// Its level in the slow detector.
    pub(crate) level: Level,
}

/// A region's vote at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What it says; `None` if nothing that counts.
    pub(crate) say: Option<Say>,
    pub(crate) counted: Counted,
    pub(crate) state: RegionState,
    /// The place in the group of the agent whose probe decided.
    pub(crate) decisive: Option<usize>,
    /// How many probes in a row said so, over the agents that agree.
    pub(crate) in_a_row: u16,
    /// The longest of these runs in one agent: more agents are no more evidence.
    pub(crate) longest: u16,
    /// How many of them were slow.
    pub(crate) slow_in_a_row: u16,
    /// Start of the first of them.
    pub(crate) since: Timestamp,
    /// Start of the last of them.
    pub(crate) last: Timestamp,
    /// When the first of the votes behind it ends.
    pub(crate) until: Option<Timestamp>,
}

impl Reading {
    /// Whether it is a failure of a live region.
    pub(crate) fn fails(&self) -> bool {
        self.say == Some(Say::Fail) && self.state == RegionState::Live
    }

    pub(crate) fn succeeds(&self) -> bool {
        self.say.is_some_and(Say::is_success)
    }

    /// Whether the target answers, be it over one address family, or that it is asked too often. A
    /// refusal is no such answer: whether it is a failure depends on the other regions.
    pub(crate) fn is_answered(&self) -> bool {
        let is_limited = self.is_blocked() && self.say == Some(Say::Limited);
        self.succeeds() || self.is_one_family() || is_limited
    }

    /// Whether it reaches the target over one address family only.
    pub(crate) fn is_one_family(&self) -> bool {
        self.say == Some(Say::OneFamily) && self.state == RegionState::Live
    }

    pub(crate) fn is_blocked(&self) -> bool {
        matches!(self.say, Some(Say::Limited | Say::Forbidden)) && self.state == RegionState::Live
    }
}

impl Group {
    pub(crate) fn new(region: RegionIx) -> Self {
        Self { region, votes: Votes::none(), level: Level::default() }
    }

    /// Takes in a conclusive probe. Returns what it is in its agent's order; `None` if it is known
    /// already, or history.
    pub(crate) fn insert(
        &mut self,
        agent: AgentIx,
        result: &ProbeResult,
        (started, say): (Timestamp, Say),
        fresh_until: Timestamp,
    ) -> Option<Taken> {
        self.votes.of(agent).insert(result, started, say, fresh_until)
    }

    /// Notes whether it is open what a failure of this agent was worth. Returns whether it was.
    pub(crate) fn leave_open(&mut self, agent: AgentIx, is_open: bool) -> bool {
        std::mem::replace(&mut self.votes.of(agent).is_open, is_open)
    }

    /// What is open of its agents' failures is not to be known any more.
    pub(crate) fn close_all(&mut self) {
        self.votes.each_mut().for_each(|vote| vote.is_open = false);
    }

    /// Notes a probe that its agent does not trust.
    pub(crate) fn doubt(&mut self, agent: AgentIx, started: Timestamp, reason: Doubt) {
        self.votes.of(agent).note_doubt(started, reason);
    }

    /// The vote of a region of one agent.
    pub(crate) fn only(&self) -> Option<&AgentVote> {
        if let [vote] = &self.votes[..] { Some(vote) } else { None }
    }

    /// The run of one agent.
    pub(crate) fn of(&self, agent: AgentIx) -> Option<&AgentVote> {
        self.votes.iter().find(|vote| vote.agent == agent)
    }

    /// Start of the first probe of the trouble that its counting votes tell of.
    pub(crate) fn trouble_since(&self, roster: &Roster, sight: Sight) -> Option<Timestamp> {
        let state = roster.region(self.region).state;
        let votes = self.votes.iter().filter_map(|vote| {
            let agent = roster.member(vote.agent, self.region)?;
            let counts = vote.counted(agent, state, sight) == Counted::Yes;
            counts.then(|| vote.trouble_since(agent))?
        });
        votes.min()
    }

    /// The agent that speaks where one is enough: the first by name whose vote is fresh.
    pub(crate) fn speaker(&self, roster: &Roster, now: Timestamp) -> Option<AgentIx> {
        let fresh = self.votes.iter().filter(|vote| now < vote.fresh_until);
        let members =
            fresh.filter_map(|vote| Some((vote, roster.member(vote.agent, self.region)?)));
        members.min_by_key(|(_, agent)| &agent.id).map(|(vote, _)| vote.agent)
    }

    /// What the region says.
    pub(crate) fn read(&self, roster: &Roster, sight: Sight) -> Reading {
        self.read_as(roster, sight, roster.region(self.region).state)
    }

    /// What the region would say if nobody doubted it.
    pub(crate) fn claim(&self, roster: &Roster, sight: Sight) -> Reading {
        let state = match roster.region(self.region).state {
            RegionState::Suspect => RegionState::Live,
            state @ (RegionState::Live | RegionState::Island | RegionState::Absent) => state,
        };
        self.read_as(roster, sight, state)
    }

    fn read_as(&self, roster: &Roster, sight: Sight, state: RegionState) -> Reading {
        let mut silent = match state {
            RegionState::Absent => Counted::Absent,
            RegionState::Live | RegionState::Suspect | RegionState::Island => Counted::NeverVoted,
        };
        let (mut fails, mut successes, mut all) = (0_usize, 0_usize, 0_usize);
        for vote in &self.votes {
            let Some(agent) = roster.member(vote.agent, self.region) else {
                continue;
            };
            let counted = vote.counted(agent, state, sight);
            if counted == Counted::Yes {
                all += 1;
                fails += usize::from(vote.say() == Some(Say::Fail));
                successes += usize::from(vote.say().is_some_and(Say::is_success));
            } else if silent == Counted::NeverVoted {
                silent = counted;
            }
        }
        let side: fn(Say) -> bool = if fails * 2 > all {
            |say| say == Say::Fail
        } else if successes * 2 >= all {
            Say::is_success
        } else {
            |say| matches!(say, Say::OneFamily | Say::Limited | Say::Forbidden)
        };
        if all == 0 {
            silent = match state {
                RegionState::Island => Counted::Island,
                RegionState::Suspect if silent == Counted::NeverVoted => Counted::Suspect,
                RegionState::Live | RegionState::Suspect | RegionState::Absent => silent,
            };
            return Reading::silent(silent, state);
        }
        self.agreed(roster, sight, side, state)
    }

    /// The soonest end of a certificate that a success of the region has seen, be it far;
    /// `None` if no success counts.
    pub(crate) fn soonest_end(&self, roster: &Roster, sight: Sight) -> Option<Timestamp> {
        let state = roster.region(self.region).state;
        let votes = self.votes.iter().filter(|vote| {
            let agent = roster.member(vote.agent, self.region);
            vote.say().is_some_and(Say::is_success)
                && agent.is_some_and(|agent| vote.counted(agent, state, sight) == Counted::Yes)
        });
        votes.map(|vote| vote.cert_ends).min()
    }

    /// The reading of the agents that are on the deciding side.
    fn agreed(
        &self,
        roster: &Roster,
        sight: Sight,
        side: fn(Say) -> bool,
        state: RegionState,
    ) -> Reading {
        let mut reading = Reading::silent(Counted::Yes, state);
        for (place, vote) in self.votes.iter().enumerate() {
            let (Some(agent), Some(say), Some(started)) =
                (roster.member(vote.agent, self.region), vote.say(), vote.started())
            else {
                continue;
            };
            if vote.counted(agent, state, sight) != Counted::Yes {
                continue;
            }
            let until = reading.until.map_or(vote.fresh_until, |until| until.min(vote.fresh_until));
            reading.until = Some(until);
            if !side(say) {
                continue;
            }
            reading.in_a_row = reading.in_a_row.saturating_add(vote.run.length);
            reading.longest = reading.longest.max(vote.run.length);
            reading.slow_in_a_row = reading.slow_in_a_row.saturating_add(vote.run.slow);
            if reading.decisive.is_none() || vote.run.since < reading.since {
                reading.since = vote.run.since;
            }
            if reading.decisive.is_none() || started > reading.last {
                reading.last = started;
                reading.decisive = Some(place);
                reading.say = Some(say);
            }
        }
        reading
    }
}

impl Reading {
    pub(crate) fn silent(counted: Counted, state: RegionState) -> Self {
        Self {
            say: None,
            counted,
            state,
            decisive: None,
            in_a_row: 0,
            longest: 0,
            slow_in_a_row: 0,
            since: Timestamp::EPOCH,
            last: Timestamp::EPOCH,
            until: None,
        }
    }
}
