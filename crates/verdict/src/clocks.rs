//! Whose wall clock is wrong.
//!
//! **What it decides.** An agent's clock is off while it differs from the coordinator's by more than
//! `clock_tolerance`, and right again from half of that on. The operators are told once it has been
//! off for `isolated_after`, and when it is right again.
//!
//! **Why so.** Votes are dated by the coordinator, so a wrong clock changes no verdict. But the
//! agent's logs lie, and it may take the coordinator's certificate for expired and stay away. What
//! is long on its way makes the sender's clock look slow, so one comparison is not believed.
//!
//! **What it ignores.** Which of the two clocks is wrong. When most agents differ, the message says
//! where to look first.
//!
//! **Example.** An agent is 10 minutes ahead: it is told after 5 s, and over when it is less than
//! 2.5 s off.

use quorate_model::{FleetPolicy, HumanDuration, NoticeKind, Timestamp};

use crate::Effect;
use crate::liveness::{AgentIx, Roster};
use crate::operators::{notice, of_agent};

/// What is known of an agent's wall clock.
#[derive(Debug, Default)]
pub(crate) struct AgentClock {
    /// How far it is ahead of the coordinator's.
    ahead_micros: i64,
    off_since: Option<Timestamp>,
    /// Whether the operators think it wrong.
    told: bool,
}

impl AgentClock {
    /// Takes in a comparison. Returns whether it says something new.
    pub(crate) fn compared(
        &mut self,
        ahead_micros: i64,
        policy: &FleetPolicy,
        now: Timestamp,
    ) -> bool {
        self.ahead_micros = ahead_micros;
        let limit = if self.told { policy.clock_tolerance / 2 } else { policy.clock_tolerance };
        let was = self.off_since;
        self.off_since = if u128::from(ahead_micros.unsigned_abs()) > limit.as_micros() {
            was.or(Some(now))
        } else {
            None
        };
        self.off_since != was
    }
}

/// Tells what there is to tell about an agent's clock. Returns when to look again.
pub(crate) fn tend(
    roster: &mut Roster,
    ix: AgentIx,
    policy: &FleetPolicy,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Option<Timestamp> {
    let is_off = |clock: &AgentClock| clock.off_since.is_some();
    let heard = || roster.agents().filter(|agent| !agent.is_absent());
    let most = heard().filter(|agent| is_off(&agent.clock)).count() * 2 > heard().count();
    let several = heard().count() > 2;
    let region = roster.region(roster.agent(ix).region).id.clone();
    let agent = roster.agent_mut(ix);
    let message = match (agent.clock.off_since, agent.clock.told) {
        (None, false) | (Some(_), true) => return None,
        (None, true) => format!("the wall clock of agent {} in {region} is right again", agent.id),
        (Some(since), false) if now < since + policy.isolated_after => {
            return Some(since + policy.isolated_after);
        }
        (Some(_), false) => {
            let (ahead, id) = (agent.clock.ahead_micros, &agent.id);
            let by = HumanDuration(std::time::Duration::from_secs(
                (ahead.unsigned_abs() + 500_000) / 1_000_000,
            ));
            let way = if ahead < 0 { "behind" } else { "ahead of" };
            let place = if most && several {
                "most agents differ from it, so look at the coordinator's first"
            } else {
                "no verdict depends on it, but its logs do; let it be set by NTP"
            };
            format!(
                "the wall clock of agent {id} in {region} is {by} {way} the coordinator's: {place}"
            )
        }
    };
    agent.clock.told = !agent.clock.told;
    let told = notice(NoticeKind::AgentClock, now, !agent.clock.told, message);
    effects.push(of_agent(told, &agent.id, &region));
    None
}
