//! What the operators of Quorate are told about Quorate itself.
//!
//! One message for each thing that is wrong and one when it is well again, however many checks
//! suffer from it. A trouble must last for the time that the policy gives before it is told, so a
//! restart of an agent wakes nobody. After a start, and after each configuration, the fleet has
//! `lost_after` to assemble before its numbers are judged.

use quorate_model::{
    AgentId, Check, Fleet, FleetPolicy, Health, NoticeKind, OperatorNotice, RegionId, Timestamp,
};

use crate::Effect;
use crate::clocks;
use crate::liveness::{AgentIx, RegionIx, RegionState, Roster};
use crate::quorum;

/// What the operators were told about the whole fleet.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Since when the numbers are what they are.
    pub(crate) since: Timestamp,
    /// When they first changed since they were judged.
    unjudged: Option<Timestamp>,
    /// Not before this are they judged.
    pub(crate) hold_until: Timestamp,
    pub(crate) alarm: Option<Timestamp>,
    reduced: usize,
    lost: usize,
}

/// Checks that the fleet cannot judge as their owners asked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Shortage {
    reduced: usize,
    lost: usize,
    checks: usize,
}

pub(crate) fn notice(
    kind: NoticeKind,
    at: Timestamp,
    resolved: bool,
    message: String,
) -> OperatorNotice {
    OperatorNotice { kind, at, resolved, region: None, agent: None, check: None, message }
}

/// The first few of these names, and how many more there are.
pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    /// More names help nobody.
    const NAMED: usize = 3;
    let names: Vec<&str> = names.into_iter().collect();
    let listed = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED { format!("{listed} and {} more", names.len() - NAMED) } else { listed }
}

pub(crate) fn of_agent(mut notice: OperatorNotice, agent: &AgentId, region: &RegionId) -> Effect {
    notice.agent = Some(agent.clone());
    notice.region = Some(region.clone());
    Effect::Operator(notice)
}

/// Tells what there is to tell about an agent. Returns when to look again.
pub(crate) fn tend_agent(
    roster: &mut Roster,
    ix: AgentIx,
    policy: &FleetPolicy,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Option<Timestamp> {
    let place = roster.region(roster.agent(ix).region);
    let (region, state) = (place.id.clone(), place.state);
    let agent = roster.agent_mut(ix);
    let heard = agent.seen.unwrap_or(agent.known);
    let lost_at = heard + policy.lost_after;
    if now >= lost_at && !agent.told_lost {
        agent.told_lost = true;
        let text = format!(
            "agent {} in {region} has been silent for {} s: see whether its process runs and \
             reaches the coordinator",
            agent.id,
            (now - heard).as_secs()
        );
        effects.push(of_agent(notice(NoticeKind::AgentLost, now, false, text), &agent.id, &region));
    } else if now < lost_at && agent.told_lost {
        agent.told_lost = false;
        let text = format!("agent {} in {region} is back", agent.id);
        effects.push(of_agent(notice(NoticeKind::AgentLost, now, true, text), &agent.id, &region));
    }
    let mut next = vec![lost_at];
    if !agent.is_absent() {
        next.push(heard + policy.absent_after);
        next.extend(tend_health(roster, ix, (&region, state), policy, now, effects));
        next.extend(clocks::tend(roster, ix, policy, now, effects));
    }
    next.into_iter().filter(|at| *at > now).min()
}

fn tend_health(
    roster: &mut Roster,
    ix: AgentIx,
    (region, state): (&RegionId, RegionState),
    policy: &FleetPolicy,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Option<Timestamp> {
    let agent = roster.agent_mut(ix);
    // An agent that is cut off together with its region is the region's notice.
    let (word, told) = match (agent.health, agent.told_health) {
        (Health::Island, told) if state != RegionState::Live => (told, told),
        (Health::Fine, told) => (None, told),
        (word, told) => (Some(word), told),
    };
    if word == told {
        return None;
    }
    let due = agent.health_since + policy.isolated_after;
    if now < due && word.is_some() {
        return Some(due);
    }
    agent.told_health = word;
    let name = agent.id.clone();
    let kind = |health| match health {
        Health::Overloaded => NoticeKind::AgentOverloaded,
        Health::Island | Health::Fine => NoticeKind::AgentSuspect,
    };
    if let Some(health) = told {
        let text = format!("agent {name} in {region} is well again");
        effects.push(of_agent(notice(kind(health), now, true, text), &name, region));
    }
    if let Some(health) = word {
        let text = if health == Health::Overloaded {
            format!(
                "agent {name} in {region} is overloaded: its own timers are late, so its failures \
                 do not count; give it fewer checks or more processor time"
            )
        } else {
            format!(
                "agent {name} cannot reach its anchors while others in {region} can: its failures \
                 do not count; see its network"
            )
        };
        effects.push(of_agent(notice(kind(health), now, false, text), &name, region));
    }
    None
}

/// Tells what there is to tell about a region; `disputes` names networks on which it is at odds with
/// the others. Returns when to look again.
pub(crate) fn tend_region(
    roster: &mut Roster,
    ix: RegionIx,
    (policy, disputes): (&FleetPolicy, &dyn Fn() -> String),
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Option<Timestamp> {
    let place = roster.region_mut(ix);
    let wrong = match place.state {
        RegionState::Island => Some(NoticeKind::RegionIsolated),
        RegionState::Suspect => Some(NoticeKind::RegionUnreliable),
        RegionState::Live => place.noise.is_lasting().then_some(NoticeKind::RegionUnreliable),
        // Whether it is still so cannot be seen.
        RegionState::Absent => return None,
    };
    if wrong == place.told {
        return None;
    }
    let due = place.since + policy.isolated_after;
    if wrong.is_some() && now < due {
        return Some(due);
    }
    let region = place.id.clone();
    let is_live = place.state == RegionState::Live;
    let mut tell = |kind, resolved, message| {
        let mut told = notice(kind, now, resolved, message);
        told.region = Some(region.clone());
        effects.push(Effect::Operator(told));
    };
    match std::mem::replace(&mut place.told, wrong) {
        Some(kind @ NoticeKind::RegionIsolated) => {
            tell(kind, true, format!("region {region} reaches its anchors again"));
        }
        Some(kind) => tell(kind, true, format!("region {region} agrees with the others again")),
        None => {}
    }
    match wrong {
        Some(kind @ NoticeKind::RegionIsolated) => tell(
            kind,
            false,
            format!(
                "region {region} is cut off: none of its agents reaches its anchors, so its failures \
                 do not count; see its network"
            ),
        ),
        Some(kind) if is_live => tell(
            kind,
            false,
            format!(
                "region {region} fails in more than 5 % of its probes, for a day now, although the \
                 others find the targets fine: its failures weigh less; see what its network loses"
            ),
        ),
        Some(kind) => tell(
            kind,
            false,
            format!(
                "region {region} reaches its anchors but fails on targets that the others reach, so \
                 its failures do not count; see its agents' release and what its network filters \
                 towards {}",
                disputes()
            ),
        ),
        None => {}
    }
    None
}

impl Watch {
    /// The fleet has changed: its numbers must hold for a while before they are told.
    pub(crate) fn changed(&mut self, now: Timestamp) {
        self.since = now;
        self.unjudged.get_or_insert(now);
    }

    /// When the numbers are judged: once they hold, but no later for one region that comes and goes
    /// all the time.
    pub(crate) fn due(&self, policy: &FleetPolicy) -> Timestamp {
        let held = self.since + policy.isolated_after;
        let latest = self.unjudged.map_or(held, |first| first + policy.lost_after);
        held.min(latest).max(self.hold_until)
    }

    /// Tells how many checks have too few regions.
    pub(crate) fn tend(
        &mut self,
        fleet: &Fleet,
        roster: &Roster,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.unjudged = None;
        let short = shortage(fleet, roster);
        let of = format!("{} of {} checks", short.reduced, short.checks);
        let reduced = format!(
            "one more faulty region could hide an outage of {of}: {}",
            missing(fleet, roster)
        );
        let kind = NoticeKind::ReducedQuorum;
        tell(kind, (self.reduced, short.reduced), reduced, now, effects);
        let of = format!("{} of {} checks", short.lost, short.checks);
        let lost = format!(
            "too few regions are left to judge {of}: their verdict is unknown; {}",
            missing(fleet, roster)
        );
        tell(NoticeKind::NoQuorum, (self.lost, short.lost), lost, now, effects);
        (self.reduced, self.lost) = (short.reduced, short.lost);
    }
}

/// Tells that something has become worse, or is over. That it has become better is not news.
fn tell(
    kind: NoticeKind,
    (before, after): (usize, usize),
    message: String,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    if after > before {
        effects.push(Effect::Operator(notice(kind, now, false, message)));
    } else if before > 0 && after == 0 {
        let message = "every check has enough regions for that again".to_owned();
        effects.push(Effect::Operator(notice(kind, now, true, message)));
    }
}

fn shortage(fleet: &Fleet, roster: &Roster) -> Shortage {
    let mut short = Shortage { checks: fleet.checks.len(), ..Shortage::default() };
    for check in fleet.checks.values() {
        let is_live = |region: &&RegionId| state(roster, region) == RegionState::Live;
        let live = || {
            let live = check.regions.iter().filter(is_live);
            live.filter_map(|region| Some(((), roster.find_region(region)?)))
        };
        // Of most checks their number is all that matters, and it takes no memory to count.
        let (live, is_thin) = if check.distinct.is_empty() && !roster.has_merged() {
            (live().count(), false)
        } else {
            let apart = roster.apart(live().collect());
            (apart.len(), is_thin(check, fleet, roster, &apart))
        };
        let (configured, quorum) = (check.regions.len(), check.quorum_count());
        short.lost += usize::from(quorum::needed(configured, quorum, live).is_none());
        short.reduced += usize::from(quorum::fragile(configured, quorum, live) || is_thin);
    }
    short
}

/// Whether so many different regions are lost that a single false success among the `live` ones
/// could keep the failures of the others too alike.
fn is_thin(check: &Check, fleet: &Fleet, roster: &Roster, live: &[RegionIx]) -> bool {
    let live: Vec<&RegionId> = live.iter().map(|ix| &roster.region(*ix).id).collect();
    live.len() >= 2
        && check.distinct.iter().any(|demand| {
            let value = |region: &RegionId| {
                let labels = &fleet.regions.get(region)?.labels;
                labels.get(&demand.label).map(String::as_str)
            };
            let left = || live.iter().filter_map(|region| value(region));
            let configured = demand.hidden_by(check.regions.iter().filter_map(value));
            demand.is_short(left()) || demand.hidden_by(left()) == 1 && configured > 1
        })
}

/// What to do about a fleet that is too small.
fn missing(fleet: &Fleet, roster: &Roster) -> String {
    let (live, gone): (Vec<&RegionId>, Vec<&RegionId>) =
        fleet.regions.keys().partition(|region| state(roster, region) == RegionState::Live);
    let here = live.iter().filter_map(|region| Some(((), roster.find_region(region)?)));
    let counted = roster.apart(here.collect());
    let shares =
        |region: &&&RegionId| roster.find_region(region).is_some_and(|ix| !counted.contains(&ix));
    let list = |regions: Vec<&RegionId>| {
        regions.into_iter().map(RegionId::as_str).collect::<Vec<_>>().join(", ")
    };
    let sharing: Vec<&RegionId> = live.iter().filter(shares).copied().collect();
    let back = (!gone.is_empty()).then(|| format!("bring back {}", list(gone)));
    let apart =
        (!sharing.is_empty()).then(|| format!("give a place of its own to {}", list(sharing)));
    back.into_iter().chain(apart).collect::<Vec<_>>().join(", ")
}

/// The state of a region; one that is not known is absent.
pub(crate) fn state(roster: &Roster, region: &RegionId) -> RegionState {
    roster.find_region(region).map_or(RegionState::Absent, |ix| roster.region(ix).state)
}
