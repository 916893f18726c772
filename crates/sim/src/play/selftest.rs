//! The self-test of an agent: its rule is the agent's own, its steps are jobs.

use std::time::Duration;

use quorate_agent::logic::{GAP, attempt_limit, decide_limit, is_cut_off};
use quorate_model::AnchorSet;

use super::{Flight, Job, Player};
use crate::world::Ask;

/// What comes next in a self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is time for one.
    Begin,
    /// The first attempt ends; these anchors failed.
    First { failing: AnchorSet },
    /// The second attempt ends.
    Second { failing: AnchorSet },
    /// The gap after it is over.
    Rested,
}

/// The state of an agent's self-test.
#[derive(Debug, Default)]
pub(super) struct SelfTest {
    pub(super) is_island: bool,
    /// The anchors that the last test could not reach.
    pub(super) failing: Option<AnchorSet>,
    /// A test runs, or the gap after it.
    busy: bool,
    wanted: bool,
    /// Number of the step that is waited for; others are void.
    step: u64,
}

impl Player {
    /// Asks for a self-test now, or after the one that runs.
    pub(super) fn request_test(&mut self, agent: usize) {
        let test = &mut self.members[agent].test;
        if test.busy {
            test.wanted = true;
        } else {
            self.step(agent, Duration::ZERO, Stage::Begin);
        }
    }

    fn step(&mut self, agent: usize, wait: Duration, stage: Stage) {
        let member = &mut self.members[agent];
        member.test.step += 1;
        let (boot, number) = (member.boot, member.test.step);
        self.later(wait, Job::Test { agent, boot, stage, number });
    }

    pub(super) fn test(&mut self, agent: usize, boot: u32, stage: Stage, number: u64) {
        let member = &self.members[agent];
        if !member.lives(boot) || member.test.step != number {
            return;
        }
        let settings = self.coordinator.settings();
        let (anchors, limit) = (settings.anchors.len(), attempt_limit(settings.anchor_timeout));
        match stage {
            Stage::Begin => {
                self.members[agent].test.busy = true;
                let (failing, takes) = self.attempt(agent, (0..anchors).collect(), limit);
                self.step(agent, takes, Stage::First { failing });
            }
            Stage::First { failing } if is_cut_off(failing.len(), anchors) => {
                let (failing, takes) = self.attempt(agent, failing, limit);
                self.step(agent, takes, Stage::Second { failing });
            }
            Stage::First { failing } | Stage::Second { failing } => {
                self.tested(agent, is_cut_off(failing.len(), anchors), failing);
            }
            Stage::Rested => {
                let test = &mut self.members[agent].test;
                test.busy = false;
                if std::mem::take(&mut test.wanted) {
                    self.step(agent, Duration::ZERO, Stage::Begin);
                } else {
                    let wait = settings.anchor_interval.saturating_sub(GAP);
                    self.step(agent, wait, Stage::Begin);
                }
            }
        }
    }

    /// Tries those of the anchors that are wanted, all at once. Which fail, and how long it takes.
    fn attempt(&self, agent: usize, wanted: AnchorSet, limit: Duration) -> (AnchorSet, Duration) {
        let member = &self.members[agent];
        let ask = Ask {
            region: &member.region,
            agent: member.id.as_str(),
            target: "",
            timeout: limit,
            slow_after: limit,
            asked: false,
            second_after: Duration::ZERO,
            number: member.test.step,
            now: self.now,
        };
        let (mut failed, mut takes) = (AnchorSet::default(), Duration::ZERO);
        for anchor in wanted.places() {
            let answer = self.world.anchor(&ask, anchor).filter(|answer| *answer < limit);
            if answer.is_none() {
                failed.insert(anchor);
            }
            takes = takes.max(answer.unwrap_or(limit));
        }
        (failed, takes)
    }

    /// A self-test has ended: failures that waited go out, and a change is told at once.
    fn tested(&mut self, agent: usize, is_island: bool, failing: AnchorSet) {
        let test = &mut self.members[agent].test;
        test.failing = Some(failing);
        let was = std::mem::replace(&mut test.is_island, is_island);
        self.step(agent, GAP, Stage::Rested);
        for flight in std::mem::take(&mut self.members[agent].undecided).into_values() {
            self.finish(agent, &flight);
        }
        if was != is_island
            && let Some(stream) = &self.members[agent].stream
        {
            let session = stream.number;
            self.heartbeat(agent, session);
        }
    }

    /// A failure waits for the word of a self-test.
    pub(super) fn decide(&mut self, agent: usize, flight: Flight) {
        let settings = self.coordinator.settings();
        if settings.anchors.is_empty() {
            self.finish(agent, &flight);
            return;
        }
        let limit = decide_limit(settings.anchor_timeout);
        self.next_job += 1;
        let number = self.next_job;
        self.members[agent].undecided.insert(number, flight);
        self.request_test(agent);
        let boot = self.members[agent].boot;
        self.later(limit, Job::Decide { agent, boot, number });
    }

    /// No self-test has ended in time: the last word known must do.
    pub(super) fn decided_late(&mut self, agent: usize, boot: u32, number: u64) {
        if self.members[agent].lives(boot)
            && let Some(flight) = self.members[agent].undecided.remove(&number)
        {
            self.finish(agent, &flight);
        }
    }
}
