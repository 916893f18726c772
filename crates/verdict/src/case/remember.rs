//! Remembering: what a check takes over a restart.
//!
//! What people were told is stored with each change of the verdict. The slow detector learns between
//! such changes: while it is on its way to be raised, or back, that is stored now and then, so that a
//! restart does not begin its minutes anew. A single failure is not worth a write: in a fleet of a
//! hundred thousand checks there is always one.

use std::collections::BTreeSet;

use quorate_model::{CheckId, Incident, State, Timestamp, Verdict};

use super::publish::Published;
use super::{Case, Context};
use crate::baseline::Baseline;
use crate::liveness::{RegionIx, Roster};
use crate::memory::Memory;
use crate::slow::{self, Level};
use crate::vote::Group;
use crate::{Effect, Transition, incident};

/// What is stored of the slow detector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// When it was stored last.
    at: Timestamp,
    /// Whether what is stored there would matter after a restart.
    matters: bool,
    /// Whether it has moved since.
    pub(super) has_news: bool,
}

impl Case {
    /// What was before a restart. Returns whether the check is to be probed at the pace of an
    /// outage.
    pub(crate) fn restore(
        &mut self,
        verdict: &Verdict,
        incident: Option<Incident>,
        memory: &serde_json::Value,
        (roster, now): (&Roster, Timestamp),
    ) -> bool {
        self.memory = Memory::read(memory).unwrap_or_else(|| {
            let open = incident.as_ref().filter(|incident| incident::is_open(Some(*incident)));
            // Of a check that nobody could see, the open incident says what it was before.
            let seen = open.filter(|_| verdict.state == State::Unknown);
            Memory {
                latched: seen.map_or(verdict.state, |incident| incident.verdict.state),
                is_announced: open.is_some(),
                first_failure: open.map(|incident| incident.first_failure),
                told: open.map_or_else(BTreeSet::new, |incident| {
                    incident::receivers(&self.check, incident.severity)
                }),
                ..Memory::default()
            }
        });
        self.disturb();
        self.grace = now + self.terms.fresh_for;
        self.is_paced = self.memory.latched == State::Down;
        if self.is_paced {
            self.answers.begin(verdict.since);
        }
        for group in &mut self.groups {
            group.level = Level::of(self.memory.level(&roster.region(group.region).id));
        }
        self.kept = Kept { at: now, matters: self.matters(), has_news: false };
        self.published = Some(Published::of(verdict));
        self.incident = incident.map(Box::new);
        self.is_paced
    }

    /// The check is no longer configured: returns what must be said about that, if anything.
    pub(crate) fn withdraw(self, now: Timestamp) -> Option<Transition> {
        let Self { check, incident, memory, .. } = self;
        incident::withdraw(&check.id, Some(&check), incident.map(|incident| *incident), memory, now)
    }

    /// What [`Case::withdraw`] is for a check that went while the engine was not there.
    pub(crate) fn withdraw_unknown(
        id: &CheckId,
        incident: Option<Incident>,
        memory: &serde_json::Value,
        now: Timestamp,
    ) -> Option<Transition> {
        let memory = Memory::read(memory).unwrap_or_default();
        incident::withdraw(id, None, incident, memory, now)
    }

    /// What was learned of its regions before a restart.
    pub(crate) fn recalled<'a>(
        &'a self,
        roster: &'a Roster,
    ) -> impl Iterator<Item = (RegionIx, Baseline)> {
        self.groups.iter().filter_map(|group| {
            let id = &roster.region(group.region).id;
            Some((group.region, *self.memory.baselines.get(id)?))
        })
    }

    /// Stores what the slow detector has learned, if that matters and was not done lately.
    pub(super) fn keep(&mut self, ctx: &Context<'_>, effects: &mut Vec<Effect>) {
        if !self.kept.has_news || ctx.now < self.kept.at + ctx.policy().remember_every {
            return;
        }
        let matters = self.matters();
        if matters || self.kept.matters {
            let memory = self.remember(ctx);
            effects.push(Effect::Remember { check: Some(self.check.id.clone()), memory });
        } else {
            self.kept.has_news = false;
        }
    }

    fn matters(&self) -> bool {
        slow::matters(self.groups.iter().map(|group| group.level.milli_nats()))
    }

    /// What must be known after a restart.
    pub(super) fn remember(&mut self, ctx: &Context<'_>) -> serde_json::Value {
        let id = |group: &Group| ctx.roster.region(group.region).id.clone();
        let groups = self.groups.iter();
        let levels = groups.map(|group| (id(group), group.level.milli_nats()));
        self.memory.levels = levels.filter(|(_, level)| *level > 0).collect();
        self.kept = Kept { at: ctx.now, matters: self.matters(), has_news: false };
        self.memory.write()
    }
}
