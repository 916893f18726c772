//! Keeps the mirror up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_model::{
    AgentId, Ballot, Cause, Check, CheckId, IncidentState, Scope, State, Timestamp, Verdict,
};
use quorate_store::{AgentRecord, RestoredCheck};

use super::Owner;
use crate::mirror::{AgentView, CheckView, RegionState, RegionView};

impl Owner {
    /// Shows the configuration: what is gone goes, what is new is `unknown`.
    pub(super) fn show_fleet(&mut self, now: Timestamp) {
        let fleet = Arc::clone(&self.fleet);
        let version = self.version;
        self.regions.clear();
        let engine = &self.engine;
        let changed: Vec<CheckId> = self.mirror.update(|view| {
            view.config_version = version;
            let mut before = std::mem::take(&mut view.checks);
            let mut changed = Vec::new();
            for (id, check) in &fleet.checks {
                let old = before.remove(id);
                if old.as_ref().is_none_or(|old| old.check != *check) {
                    changed.push(id.clone());
                }
                let new = old.map_or_else(
                    || CheckView {
                        check: Arc::clone(check),
                        verdict: Arc::new(
                            engine.look(id, now).unwrap_or_else(|| unknown(check, now)),
                        ),
                        open_incident: None,
                        rejected_by: BTreeSet::new(),
                    },
                    |old| CheckView { check: Arc::clone(check), ..old },
                );
                view.checks.insert(id.clone(), new);
            }
            view.regions = fleet
                .regions
                .iter()
                .map(|(id, region)| {
                    let region = region.clone();
                    let state = shown(engine.region_state(id));
                    (id.clone(), RegionView { region, state })
                })
                .collect();
            for agent in view.agents.values_mut() {
                agent.rejections.retain(|check, _| fleet.checks.contains_key(check));
            }
            changed
        });
        for id in &changed {
            self.mirror.change_check(id, |_| {});
        }
    }

    /// Shows votes that changed no verdict, where what is shown is otherwise what was decided last.
    pub(super) fn show_votes(&mut self, now: Timestamp) {
        self.show_at = None;
        for id in std::mem::take(&mut self.unseen) {
            let Some(fresh) = self.engine.look(&id, now) else { continue };
            self.mirror.update(|view| {
                let Some(view) = view.checks.get_mut(&id) else { return };
                let shown = &view.verdict;
                // A verdict that differs is on its way to the store and shown after that.
                if (shown.state, shown.since, &shown.flags)
                    == (fresh.state, fresh.since, &fresh.flags)
                {
                    view.verdict = Arc::new(fresh);
                }
            });
        }
    }

    /// Shows what was before a restart.
    pub(super) fn show_restored(
        &self,
        checks: BTreeMap<CheckId, RestoredCheck>,
        agents: Vec<AgentRecord>,
    ) {
        for (id, known) in checks {
            self.mirror.change_check(&id, |view| {
                view.verdict = Arc::new(known.verdict);
                view.open_incident = known
                    .incident
                    .filter(|incident| incident.state == IncidentState::Open)
                    .map(|incident| incident.id);
            });
        }
        self.mirror.update(|view| {
            for record in agents {
                let agent = AgentView {
                    agent: record.agent.clone(),
                    region: record.region,
                    joined: record.joined,
                    connected: false,
                    health: None,
                    version: record.version,
                    last_seen: record.seen,
                    spooled: 0,
                    dropped: 0,
                    round_trip: None,
                    clock_ahead_micros: None,
                    rejections: BTreeMap::new(),
                };
                view.agents.insert(record.agent, agent);
            }
        });
    }

    /// Shows whether the failures of each region count.
    pub(super) fn show_regions(&mut self) {
        for id in self.fleet.regions.keys() {
            let state = self.engine.region_state(id);
            if self.regions.get(id) == Some(&state) {
                continue;
            }
            self.regions.insert(id.clone(), state);
            self.mirror.update(|view| {
                if let Some(region) = view.regions.get_mut(id) {
                    region.state = shown(state);
                }
            });
        }
    }

    /// Changes what is shown of an agent, which is shown from its first stream on at the latest.
    pub(super) fn show_agent(&self, agent: &AgentId, change: impl FnOnce(&mut AgentView)) {
        let now = self.clock.now();
        let region = self.region_of(agent).cloned();
        self.mirror.update(|view| {
            if let Some(shown) = view.agents.get_mut(agent) {
                change(shown);
            } else if let Some(region) = region {
                let mut shown = AgentView {
                    agent: agent.clone(),
                    region,
                    joined: now,
                    connected: false,
                    health: None,
                    version: None,
                    last_seen: None,
                    spooled: 0,
                    dropped: 0,
                    round_trip: None,
                    clock_ahead_micros: None,
                    rejections: BTreeMap::new(),
                };
                change(&mut shown);
                view.agents.insert(agent.clone(), shown);
            }
        });
    }

    /// Shows what an agent refuses. Returns what it refused before.
    pub(super) fn show_rejections(
        &self,
        agent: &AgentId,
        rejections: &BTreeMap<CheckId, (String, String)>,
    ) -> BTreeMap<CheckId, (String, String)> {
        let before = self.mirror.update(|view| {
            let shown = view.agents.get_mut(agent)?;
            Some(std::mem::replace(&mut shown.rejections, rejections.clone()))
        });
        let before = before.unwrap_or_default();
        let differs =
            |check: &&CheckId| before.contains_key(*check) != rejections.contains_key(*check);
        for check in before.keys().chain(rejections.keys()).filter(differs) {
            self.mirror.change_check(check, |view| {
                if rejections.contains_key(check) {
                    view.rejected_by.insert(agent.clone());
                } else {
                    view.rejected_by.remove(agent);
                }
            });
        }
        before
    }
}

fn shown(state: quorate_verdict::RegionState) -> RegionState {
    match state {
        quorate_verdict::RegionState::Live => RegionState::Live,
        quorate_verdict::RegionState::Suspect => RegionState::Suspect,
        quorate_verdict::RegionState::Island => RegionState::Island,
        quorate_verdict::RegionState::Absent => RegionState::Absent,
    }
}

/// The verdict before the first.
fn unknown(check: &Check, now: Timestamp) -> Verdict {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let quorum = count(check.quorum_count());
    Verdict {
        state: State::Unknown,
        flags: BTreeSet::new(),
        cause: Cause::None,
        also: Vec::new(),
        summary: "no region has voted yet".into(),
        since: now,
        ballot: Ballot {
            taken: now,
            quorum,
            quorum_effective: quorum,
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
            scope: Scope { failing: 0, live: 0, configured: count(check.regions.len()) },
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
        },
    }
}
