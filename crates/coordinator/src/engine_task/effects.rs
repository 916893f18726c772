//! Performs what the engine asks for.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{CheckId, Delivery, IncidentState};
use quorate_store::Transition;
use quorate_verdict::{Confirmation, Effect};

use super::{Owner, assign};
use crate::bus::ToSession;
use crate::ledger::Decided;
use crate::outbox;

impl Owner {
    /// Performs the effects that wait. Questions to agents go out at once; what must be durable
    /// first is returned.
    pub(super) fn perform(&mut self) -> Vec<Decided> {
        let mut decided = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Confirm(confirmation) => {
                    self.last_round = self.last_round.max(confirmation.round);
                    self.confirm(&confirmation);
                }
                Effect::Transition(transition) => {
                    decided.push(Decided::Transition(Box::new(stored(*transition))));
                }
                Effect::Operator(notice) => {
                    tracing::warn!(kind = %notice.kind, resolved = notice.resolved, message = %notice.message, "operator notice");
                    let entries = outbox::notice_entries(&self.fleet.operators, &notice);
                    if !entries.is_empty() {
                        decided.push(Decided::Notices(entries));
                    }
                }
                Effect::Pace { check, every } => self.pace(&check, every),
                Effect::Remember { check, memory } => {
                    decided.push(Decided::Learned { check, memory });
                }
            }
        }
        decided
    }

    fn confirm(&self, confirmation: &Confirmation) {
        tracing::debug!(check = %confirmation.check, round = %confirmation.round, agents = confirmation.agents.len(), "confirming");
        for agent in &confirmation.agents {
            // The engine does not count on an answer from an agent that is gone.
            self.bus.tell_session(
                agent,
                ToSession::RunProbe {
                    round: confirmation.round,
                    check: confirmation.check.clone(),
                    revision: confirmation.revision,
                    start_within: confirmation.start_within,
                },
            );
        }
    }

    fn pace(&mut self, check: &CheckId, every: Option<Duration>) {
        match every {
            Some(every) => self.paces.insert(check.clone(), every),
            None => self.paces.remove(check),
        };
        let Some(spec) = self.specs.get(check) else {
            return;
        };
        for (agent, phases) in &self.plan {
            if let Some(phase) = phases.get(check) {
                let duty = assign::duty(spec, *phase, &self.paces);
                self.bus.tell_session(agent, ToSession::Assign(vec![duty]));
            }
        }
    }

    /// Announces what has become durable: to watchers, and to those who must be told.
    pub(super) fn announce(&self, decided: Vec<Decided>) {
        for decided in decided {
            match decided {
                Decided::Transition(transition) => {
                    let transition = *transition;
                    tracing::info!(check = %transition.check, state = %transition.verdict.state, cause = %transition.verdict.cause, scope = %transition.verdict.ballot.scope, summary = %transition.verdict.summary, "verdict changed");
                    self.mirror.change_check(&transition.check, |view| {
                        view.verdict = Arc::new(transition.verdict);
                        if let Some(incident) = transition.incident {
                            if incident.state == IncidentState::Open {
                                view.open_incident = Some(incident.id);
                            } else if view.open_incident == Some(incident.id) {
                                view.open_incident = None;
                            }
                        }
                    });
                    self.outbox.offer(transition.deliveries);
                }
                Decided::Notices(entries) => self.outbox.offer(entries),
                Decided::Learned { .. } => {}
            }
        }
    }
}

/// A transition as the store has it.
fn stored(transition: quorate_verdict::Transition) -> Transition {
    let deliveries = transition
        .alerts
        .into_iter()
        .map(|(receiver, alert)| {
            let due = alert.due();
            outbox::entry(receiver, Delivery::Alert(Box::new(alert)), due)
        })
        .collect();
    Transition {
        check: transition.check,
        verdict: transition.verdict,
        incident: transition.incident,
        memory: transition.memory,
        deliveries,
    }
}
