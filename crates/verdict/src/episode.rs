//! A suspicion episode: from the first failing or late probe until everybody who was asked has
//! answered.
//!
//! **What it decides.** Whom to ask, when to ask again, and until when to wait. The first
//! suspicious probe of a region that was not failing opens an episode, and all regions are asked
//! at once, the suspicious one included: its retry runs beside its own first probe. A region that
//! joins later, with a probe of its schedule, is reason for another round. While an episode is open
//! the verdict can only get worse: `down` at once when the quorum fails, nothing else.
//!
//! **Why so.** Asking already when a probe is *late* makes the confirmations of a black hole run
//! out together with the first probe, instead of one timeout after it.
//!
//! **Further rounds.** When enough regions fail but that could still be chance, those that fail are
//! asked again: at once when the answers have stopped coming in, then every timeout. They go on
//! until the proof is complete, cannot be completed, or too few fail.
//!
//! **The cut.** Inside an episode, probes that started before `t0 - T/N` do not speak. One turn of
//! the staggered schedule before the first suspicious probe is as far back as the same onset can
//! reach.
//!
//! **How long.** As long as the quorum fails without a proof, else no longer than one freshness: by
//! then nothing is left that the cut hides, and a region that is suspicious all the time would keep
//! everything milder from being seen.
//!
//! **What it costs.** Rounds are paid from a small purse that refills with time; the first round
//! after a quiet time is always paid. Without money the episode waits: the schedule goes on.
//!
//! **For others.** The check of an origin is also asked for those in front of it. Such rounds are paid
//! from another purse, see `origin`, so that suspicions of the fronts, which one region can raise all
//! the time, leave its own rounds alone: none of those waits because one was asked for a front.

use std::time::Duration;

use quorate_model::{FleetPolicy, RoundId, Timestamp};

use crate::limits::{ROUND_REFILL_GAPS, ROUND_TOKENS_MAX, ROUNDS_MAX};
use crate::liveness::{AgentIx, RegionIx, Roster};

/// An open episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Episode {
    /// Start of the probe that opened it.
    pub(crate) began: Timestamp,
    /// When it was opened.
    pub(crate) opened: Timestamp,
    /// Probes that started before this do not speak.
    pub(crate) cut: Timestamp,
    pub(crate) rounds: Vec<RoundId>,
    /// Who was asked and has not answered.
    pending: Vec<AgentIx>,
    /// Until when answers are awaited.
    deadline: Timestamp,
    /// When the last round began.
    asked: Option<Timestamp>,
    /// When somebody answered last, or was asked.
    heard: Timestamp,
    /// When to ask next.
    pub(crate) ask_at: Option<Timestamp>,
    /// Whether only those that fail are asked next.
    pub(crate) is_narrow: bool,
    /// Whose suspicion opened it, until it has been asked whether that may start a round.
    pub(crate) opened_by: Option<RegionIx>,
    /// Whether the next round has been paid for.
    pub(crate) is_paid: bool,
    /// How many of the rounds were asked for the check itself.
    pub(crate) own_rounds: u8,
}

impl Episode {
    /// An episode whose first suspicious probe started at `began`, of which the first round is due.
    pub(crate) fn open(began: Timestamp, turn: Duration, now: Timestamp) -> Self {
        Self {
            began,
            opened: now,
            cut: began.before(turn),
            rounds: Vec::new(),
            pending: Vec::new(),
            deadline: now,
            asked: None,
            heard: now,
            ask_at: Some(now),
            is_narrow: false,
            opened_by: None,
            is_paid: false,
            own_rounds: 0,
        }
    }

    /// Notes that a round was started at `now` and whose answers are awaited until `deadline`.
    pub(crate) fn asked(
        &mut self,
        round: RoundId,
        agents: impl Iterator<Item = AgentIx>,
        (now, deadline): (Timestamp, Timestamp),
    ) {
        if self.rounds.len() == ROUNDS_MAX {
            self.rounds.remove(0);
        }
        self.rounds.push(round);
        for agent in agents {
            if !self.pending.contains(&agent) {
                self.pending.push(agent);
            }
        }
        self.deadline = deadline;
        self.asked = Some(now);
        self.heard = now;
        self.ask_at = None;
        self.is_narrow = false;
    }

    /// Asks everybody as soon as possible.
    pub(crate) fn ask_all(&mut self, now: Timestamp) {
        self.is_narrow = false;
        self.ask_at = Some(self.ask_at.map_or(now, |at| at.min(now)));
    }

    /// Asks those that fail again: at once after the first round, then one gap after the last.
    pub(crate) fn ask_again(&mut self, gap: Duration, now: Timestamp) {
        if self.ask_at.is_none() {
            let gap = if self.own_rounds > 1 { gap } else { Duration::ZERO };
            self.ask_at = Some(self.asked.map_or(now, |asked| (asked + gap).max(now)));
            self.is_narrow = self.asked.is_some();
        }
    }

    /// Notes that an agent has answered, or will not, if the round is one of this episode's.
    pub(crate) fn answered(&mut self, agent: AgentIx, round: RoundId, now: Timestamp) {
        if self.rounds.contains(&round) {
            self.heard = now;
            self.pending.retain(|pending| *pending != agent);
        }
    }

    /// Until when it is better to wait for the others than to ask again: answers to one round come
    /// in close together, and who is still silent after a lateness will be so for a timeout.
    pub(crate) fn settles(&self, lateness: Duration) -> Timestamp {
        self.heard + lateness
    }

    /// Whether the answer of this agent is awaited.
    pub(crate) fn awaits(&self, agent: AgentIx) -> bool {
        self.pending.contains(&agent)
    }

    /// Whether an answer that could matter is still to come.
    pub(crate) fn is_waiting(&self, roster: &Roster, now: Timestamp) -> bool {
        now < self.deadline && self.pending.iter().any(|agent| roster.is_witness(*agent))
    }

    /// When to look at it again.
    pub(crate) fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let deadline = Some(self.deadline).filter(|deadline| *deadline > now);
        match (self.ask_at, deadline) {
            (Some(ask), Some(deadline)) => Some(ask.min(deadline)),
            (ask, deadline) => ask.or(deadline),
        }
    }
}

/// What confirmation rounds are paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purse {
    tokens: u32,
    /// Since when the next token is being earned.
    since: Timestamp,
}

impl Default for Purse {
    fn default() -> Self {
        Self::full()
    }
}

impl Purse {
    pub(crate) fn full() -> Self {
        Self { tokens: ROUND_TOKENS_MAX, since: Timestamp::EPOCH }
    }

    /// In which time one round is earned.
    pub(crate) fn refill(policy: &FleetPolicy) -> Duration {
        (policy.round_gap * ROUND_REFILL_GAPS).max(Duration::from_millis(1))
    }

    /// Pays for a round, or says when there will be enough.
    pub(crate) fn pay(&mut self, policy: &FleetPolicy, now: Timestamp) -> Result<(), Timestamp> {
        let refill = Self::refill(policy);
        while self.tokens < ROUND_TOKENS_MAX && now >= self.since + refill {
            self.tokens += 1;
            self.since = self.since + refill;
        }
        if self.tokens == ROUND_TOKENS_MAX {
            self.since = now;
        }
        if self.tokens == 0 {
            return Err(self.since + refill);
        }
        self.tokens -= 1;
        Ok(())
    }

    /// Takes a payment back.
    pub(crate) fn give_back(&mut self) {
        self.tokens += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_round_for_a_front_does_not_make_the_next_one_wait() {
        let gap = Duration::from_secs(10);
        for (before, next) in [(0, at(105)), (1, at(105)), (2, at(114))] {
            let mut episode = Episode::open(at(100), gap, at(100));
            for round in 1..=3 {
                let now = (at(101 + round), at(120));
                episode.asked(RoundId(round), std::iter::empty(), now);
            }
            episode.own_rounds = before;
            episode.ask_again(gap, at(105));
            assert_eq!(episode.ask_at, Some(next), "{before} of its own");
        }
    }
}
