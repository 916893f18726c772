//! Who is there: which agents are alive, and which regions can be believed.
//!
//! **What it decides.** A region is live while at least one of its agents was heard within
//! `absent_after` and can reach its own anchors; an island while all agents that are heard say
//! that they cannot; absent when none is heard.
//!
//! **Why so.** Silence is not failure: an agent that dies says nothing about targets. And an agent
//! that cannot reach hosts which are surely up says nothing when it cannot reach a target either.
//! Its word is first-hand, so any number of regions may declare themselves islands.
//!
//! A live region that is at odds with the others (`conflict`) is suspect: as good as an island.
//!
//! **The moment before.** A network does not break at a self-test. When an agent comes back from
//! being an island, failures of probes that started before that stay void.
//!
//! **What it ignores.** Open streams: a connection can outlive its peer. Only signs of life count.
//!
//! **Example.** Agents x and y of a region. x says `island`: the region is live by y, and x's
//! failures are void. y falls silent for six seconds: the region is an island. x too: absent.

mod places;

use quorate_model::{
    AgentId, AnchorSet, FleetPolicy, Health, Heartbeat, NoticeKind, Prefix, RegionId, Timestamp,
};

use crate::clocks::AgentClock;
use crate::index::Index;
use crate::noisy::Noise;
pub(crate) use places::Places;
use places::Site;

/// A place in the engine's table of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentIx(pub(crate) u32);

/// A place in the engine's table of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegionIx(pub(crate) u32);

impl AgentIx {
    fn place(self) -> usize {
        self.0 as usize
    }
}

impl RegionIx {
    fn place(self) -> usize {
        self.0 as usize
    }
}

/// Whether a region's failures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegionState {
    /// At least one of its agents is alive and can reach its anchors.
    Live,
    /// The same, but it fails on many targets that the others reach: its failures do not count.
    Suspect,
    /// None of its live agents can reach its anchors: its failures do not count.
    Island,
    /// Its agents are silent.
    Absent,
}

/// An agent as the engine knows it.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) region: RegionIx,
    pub(crate) connected: bool,
    /// From where it reaches the coordinator, if that says anything.
    pub(crate) prefix: Option<Prefix>,
    /// When it was heard last; `None` if never since the start.
    pub(crate) seen: Option<Timestamp>,
    /// When it became known.
    pub(crate) known: Timestamp,
    /// What it says of itself.
    said: Health,
    /// What to think of that: an agent whose anchors are to blame is fine.
    pub(crate) health: Health,
    /// Since when its health is that.
    pub(crate) health_since: Timestamp,
    /// Failures of probes that started before this are void.
    trusted_from: Timestamp,
    absent: bool,
    /// The anchors that it cannot reach, `None` if it says that it is cut off without saying from
    /// which, and since when there are none besides them.
    failing_anchors: Option<AnchorSet>,
    failing_since: Timestamp,
    /// When its last successful probe started.
    succeeded: Timestamp,
    /// Whether the operators think it lost.
    pub(crate) told_lost: bool,
    /// What the operators were told of its health.
    pub(crate) told_health: Option<Health>,
    pub(crate) clock: AgentClock,
    pub(crate) alarm: Option<Timestamp>,
}

impl Agent {
    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    pub(crate) fn is_island(&self) -> bool {
        self.health == Health::Island
    }

    /// Whether it says that it is cut off, and only its anchors are.
    pub(crate) fn is_excused(&self) -> bool {
        self.said == Health::Island && !self.is_island()
    }

    /// Whether something that it reached vouches for its network.
    fn is_proven(&self) -> bool {
        let is_well = self.failing_anchors.is_some_and(AnchorSet::is_empty);
        is_well || self.succeeded > self.failing_since
    }

    fn cannot_reach(&self, anchor: usize) -> bool {
        self.failing_anchors.is_some_and(|failing| failing.contains(anchor))
    }

    /// What to think of what it says, if these of its anchors are bad.
    fn judged(&self, bad: AnchorSet, anchors: usize) -> Health {
        let is_excused = !bad.is_empty()
            && self.failing_anchors.is_some_and(|failing| {
                let failing = failing.places().filter(|place| !bad.contains(*place)).count();
                failing * 2 <= anchors.saturating_sub(bad.len())
            });
        if self.said == Health::Island && is_excused { Health::Fine } else { self.said }
    }

    /// Makes up its health. Returns whether that has changed.
    fn settle(&mut self, bad: AnchorSet, anchors: usize, now: Timestamp) -> bool {
        let health = self.judged(bad, anchors);
        if self.is_island() || health == Health::Island {
            self.trusted_from = now;
        }
        let is_other = self.health != health;
        if is_other {
            self.health = health;
            self.health_since = now;
        }
        is_other
    }

    /// Whether a failure of a probe that started then counts.
    pub(crate) fn trusts(&self, started: Timestamp) -> bool {
        !self.is_island() && started >= self.trusted_from
    }
}

/// A region as the engine knows it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: RegionId,
    pub(crate) agents: Vec<AgentIx>,
    pub(crate) state: RegionState,
    /// Whether it is at odds with the others.
    is_suspect: bool,
    /// Since when its state is that.
    pub(crate) since: Timestamp,
    /// What the operators think is wrong with it.
    pub(crate) told: Option<NoticeKind>,
    site: Site,
    /// How often it fails for nothing.
    pub(crate) noise: Noise,
    pub(crate) alarm: Option<Timestamp>,
}

/// All agents and regions.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    agents: Vec<Agent>,
    by_agent: Index<AgentId, AgentIx>,
    regions: Vec<Place>,
    by_region: Index<RegionId, RegionIx>,
    /// The anchors that are bad, of so many.
    bad_anchors: AnchorSet,
    anchors: usize,
    pub(crate) places: Places,
}

/// What changed for the votes of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Some of its votes count, or no longer do.
    Votes,
    /// Its state.
    State,
}

impl Roster {
    /// The number of a region, given to it if it has none.
    pub(crate) fn intern(&mut self, id: &RegionId, now: Timestamp) -> RegionIx {
        if let Some(ix) = self.by_region.get(id) {
            return ix;
        }
        let ix = RegionIx(u32::try_from(self.regions.len()).unwrap_or(u32::MAX));
        self.regions.push(Place {
            id: id.clone(),
            agents: Vec::new(),
            state: RegionState::Absent,
            is_suspect: false,
            since: now,
            told: None,
            site: Site::alone(now),
            noise: Noise::default(),
            alarm: None,
        });
        self.by_region.insert(id.clone(), ix);
        ix
    }

    /// The number of an agent, given to it if it has none; moved if it votes elsewhere now, with
    /// where it voted before.
    pub(crate) fn enrol(
        &mut self,
        id: &AgentId,
        region: &RegionId,
        now: Timestamp,
    ) -> (AgentIx, Option<RegionIx>) {
        let known = self.by_agent.get(id);
        if let Some(ix) = known.filter(|ix| self.region_of(*ix).id == *region) {
            return (ix, None);
        }
        let region = self.intern(region, now);
        if let Some(ix) = known {
            let agent = &mut self.agents[ix.place()];
            let before = std::mem::replace(&mut agent.region, region);
            self.regions[before.place()].agents.retain(|member| *member != ix);
            self.regions[region.place()].agents.push(ix);
            for region in [before, region] {
                self.assess(region, now);
            }
            return (ix, Some(before));
        }
        let ix = AgentIx(u32::try_from(self.agents.len()).unwrap_or(u32::MAX));
        self.agents.push(Agent {
            id: id.clone(),
            region,
            connected: false,
            prefix: None,
            seen: None,
            known: now,
            said: Health::Fine,
            health: Health::Fine,
            health_since: now,
            trusted_from: Timestamp::from_micros(i64::MIN),
            absent: true,
            failing_anchors: Some(AnchorSet::default()),
            failing_since: now,
            succeeded: Timestamp::EPOCH,
            told_lost: false,
            told_health: None,
            clock: AgentClock::default(),
            alarm: None,
        });
        self.regions[region.place()].agents.push(ix);
        self.by_agent.insert(id.clone(), ix);
        (ix, None)
    }

    pub(crate) fn regions(&self) -> impl Iterator<Item = &Place> {
        self.regions.iter()
    }

    pub(crate) fn find(&self, id: &AgentId) -> Option<AgentIx> {
        self.by_agent.get(id)
    }

    pub(crate) fn find_region(&self, id: &RegionId) -> Option<RegionIx> {
        self.by_region.get(id)
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.iter()
    }

    pub(crate) fn agent(&self, ix: AgentIx) -> &Agent {
        &self.agents[ix.place()]
    }

    pub(crate) fn agent_mut(&mut self, ix: AgentIx) -> &mut Agent {
        &mut self.agents[ix.place()]
    }

    pub(crate) fn region(&self, ix: RegionIx) -> &Place {
        &self.regions[ix.place()]
    }

    /// Where an agent votes.
    pub(crate) fn region_of(&self, agent: AgentIx) -> &Place {
        self.region(self.agent(agent).region)
    }

    pub(crate) fn region_mut(&mut self, ix: RegionIx) -> &mut Place {
        &mut self.regions[ix.place()]
    }

    /// The agent, if it votes in that region.
    pub(crate) fn member(&self, agent: AgentIx, region: RegionIx) -> Option<&Agent> {
        Some(self.agent(agent)).filter(|agent| agent.region == region)
    }

    /// The agent was heard. Returns what that changes.
    pub(crate) fn heard(
        &mut self,
        ix: AgentIx,
        heartbeat: Option<Heartbeat>,
        policy: &FleetPolicy,
        now: Timestamp,
    ) -> Change {
        let (bad, anchors) = (self.bad_anchors, self.anchors);
        let agent = self.agent_mut(ix);
        agent.seen = Some(now);
        let mut changed = false;
        if let Some(Heartbeat { health, failing_anchors, .. }) = heartbeat {
            let is_silent = health == Health::Island && failing_anchors.is_none();
            let failing = (!is_silent).then(|| failing_anchors.unwrap_or_default());
            // A success from before the last of them failed vouches for nothing.
            let is_worse = failing.map_or(agent.failing_anchors.is_some(), |failing| {
                failing.places().any(|place| !agent.cannot_reach(place))
            });
            if is_worse {
                agent.failing_since = now;
            }
            agent.failing_anchors = failing;
            agent.said = health;
            changed = agent.settle(bad, anchors, now);
        }
        self.refresh(ix, policy, now, changed)
    }

    /// A probe of the agent that started then was a success. Returns whether its network was not
    /// proven before.
    pub(crate) fn succeeded(&mut self, ix: AgentIx, started: Timestamp) -> bool {
        let agent = self.agent_mut(ix);
        let was_proven = agent.is_proven();
        agent.succeeded = agent.succeeded.max(started);
        !was_proven && agent.is_proven()
    }

    /// The anchors that each region with a proven network cannot reach from anywhere.
    pub(crate) fn proven(&self) -> impl Iterator<Item = AnchorSet> {
        self.regions.iter().filter_map(|place| {
            let agents = place.agents.iter().map(|member| self.agent(*member));
            let mut proven = agents.filter(|agent| !agent.absent && agent.is_proven());
            let first = proven.next()?.failing_anchors.unwrap_or_default();
            Some(proven.fold(first, |failing, agent| {
                failing.places().filter(|place| agent.cannot_reach(*place)).collect()
            }))
        })
    }

    /// These anchors are bad from now on, of so many. Returns the regions whose votes that changes.
    pub(crate) fn blame(
        &mut self,
        (bad, anchors): (AnchorSet, usize),
        now: Timestamp,
    ) -> Vec<(RegionIx, Change)> {
        (self.bad_anchors, self.anchors) = (bad, anchors);
        let mut regions: Vec<RegionIx> = Vec::new();
        for agent in &mut self.agents {
            if agent.settle(bad, anchors, now) && !regions.contains(&agent.region) {
                regions.push(agent.region);
            }
        }
        let change = |is_other| if is_other { Change::State } else { Change::Votes };
        regions.into_iter().map(|region| (region, change(self.assess(region, now)))).collect()
    }

    /// Looks again whether an agent is absent, and what that makes of its region.
    pub(crate) fn refresh(
        &mut self,
        ix: AgentIx,
        policy: &FleetPolicy,
        now: Timestamp,
        changed: bool,
    ) -> Change {
        let agent = self.agent_mut(ix);
        let absent = agent.seen.is_none_or(|seen| now >= seen + policy.absent_after);
        let changed = std::mem::replace(&mut agent.absent, absent) != absent || changed;
        if !changed {
            return Change::None;
        }
        let region = agent.region;
        if self.assess(region, now) { Change::State } else { Change::Votes }
    }

    /// Whether an agent can be asked for a probe, and its failure would count.
    pub(crate) fn is_witness(&self, ix: AgentIx) -> bool {
        let agent = self.agent(ix);
        let state = self.region(agent.region).state;
        agent.connected && !agent.absent && !agent.is_island() && state != RegionState::Suspect
    }

    /// The others contradict the region, or no longer do. Returns whether that changes its state.
    pub(crate) fn suspect(&mut self, region: RegionIx, is_suspect: bool, now: Timestamp) -> bool {
        self.region_mut(region).is_suspect = is_suspect;
        if !is_suspect {
            // What it saw while it was suspect stays void.
            for member in self.regions[region.place()].agents.clone() {
                self.agent_mut(member).trusted_from = now;
            }
        }
        self.assess(region, now)
    }

    /// Looks again what state a region is in. Returns whether it is another one.
    fn assess(&mut self, region: RegionIx, now: Timestamp) -> bool {
        let mut state = RegionState::Absent;
        for member in &self.regions[region.place()].agents {
            let agent = &self.agents[member.place()];
            if !agent.absent {
                let word = if agent.is_island() { RegionState::Island } else { RegionState::Live };
                state = state.min(word);
            }
        }
        let place = self.region_mut(region);
        if state == RegionState::Live && place.is_suspect {
            state = RegionState::Suspect;
        }
        let is_other = place.state != state;
        if is_other {
            place.state = state;
            place.since = now;
        }
        is_other
    }
}
