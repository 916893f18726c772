//! After a restart.

use std::collections::BTreeMap;

use quorate_model::{AgentId, FleetPolicy, RegionId, Timestamp};

use super::Engine;
use crate::case::{Case, Context};
use crate::{Effect, Restore, learned};

impl Engine {
    /// Takes back what was before a restart. Its results rebuild the votes; nobody is asked or
    /// told anything because of them.
    pub(super) fn restore(&mut self, restore: Restore, now: Timestamp, effects: &mut Vec<Effect>) {
        self.shared.next_round = self.shared.next_round.max(restore.next_round);
        for (id, (verdict, incident, memory)) in restore.checks {
            let Some(ix) = self.by_check.get(&id) else {
                let end = Case::withdraw_unknown(&id, incident, &memory, now);
                effects.extend(end.map(|end| Effect::Transition(Box::new(end))));
                continue;
            };
            let Some(case) = self.cases[ix.0 as usize].as_mut() else {
                continue;
            };
            if case.restore(&verdict, incident, &memory, (&self.roster, now)) {
                let every = Some(case.pace(&self.fleet.policy));
                effects.push(Effect::Pace { check: id, every });
            }
            for (region, baseline) in case.recalled(&self.roster) {
                self.baselines.recall(case.kind, region, baseline);
            }
        }
        if let Some(learned) = &restore.learned {
            learned::recall(learned, &mut self.baselines, &mut self.roster, now);
        }
        self.restore_agents(restore.agents, now);
        for result in restore.results {
            let (agent, _) = self.roster.enrol(&result.id.agent, &result.region, now);
            self.watch_agent(agent, now);
            let ctx = Context {
                is_replay: true,
                ..Context::of((&self.fleet, &self.roster, &self.baselines), now)
            };
            let Some(ix) = self.by_check.get(&result.check) else {
                continue;
            };
            if let Some(case) = self.cases[ix.0 as usize].as_mut() {
                case.take(&ctx, agent, &result);
            }
        }
        for case in self.cases.iter_mut().flatten() {
            case.end_episode();
        }
    }

    /// Awaits the agents that were there before. One that does not come back is lost, like one that
    /// falls silent. Whether it was lost before already is seen from the others: the operators were
    /// told of that then.
    fn restore_agents(&mut self, agents: BTreeMap<AgentId, (RegionId, Timestamp)>, now: Timestamp) {
        let Some(end) = agents.values().map(|(_, heard)| *heard).max() else {
            return;
        };
        let checks = self.fleet.checks.values();
        let freshness = checks.map(|check| FleetPolicy::freshness(check.interval, check.timeout));
        let gap = freshness.max().unwrap_or_default().max(self.fleet.policy.lost_after);
        for (agent, (region, heard)) in agents {
            if !self.fleet.regions.contains_key(&region) {
                continue;
            }
            let (ix, _) = self.roster.enrol(&agent, &region, now);
            if heard + gap < end {
                let agent = self.roster.agent_mut(ix);
                (agent.known, agent.told_lost) = (heard, true);
            }
            self.watch_agent(ix, now);
        }
    }
}
