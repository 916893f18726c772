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
//! **The cut.** Inside an episode, probes that started before `t0 - T/N` do not speak. One turn of
//! the staggered schedule before the first suspicious probe is as far back as the same onset can
//! reach.
//!
//! **What it costs.** Rounds are paid from a small purse that refills with time; the first round
//! after a quiet time is always paid. Without money the episode waits: the schedule goes on.

use std::time::Duration;

use quorate_model::{FleetPolicy, RoundId, Timestamp};

use crate::limits::{ROUND_REFILL_GAPS, ROUND_TOKENS_MAX, ROUNDS_MAX};
use crate::liveness::{AgentIx, Roster};

/// An open episode.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    /// Probes that started before this do not speak.
    pub(crate) cut: Timestamp,
    pub(crate) rounds: Vec<RoundId>,
    /// Who was asked and has not answered.
    pending: Vec<AgentIx>,
    /// Until when answers are awaited.
    deadline: Timestamp,
    /// When the last round began.
    asked: Option<Timestamp>,
    /// When to ask next.
    pub(crate) ask_at: Option<Timestamp>,
}

impl Episode {
    /// An episode whose first suspicious probe started at `began`, of which the first round is due.
    pub(crate) fn open(began: Timestamp, turn: Duration, now: Timestamp) -> Self {
        Self {
            cut: began.before(turn),
            rounds: Vec::new(),
            pending: Vec::new(),
            deadline: now,
            asked: None,
            ask_at: Some(now),
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
        self.ask_at = None;
    }

    /// Asks again one gap after the last round, if nothing is due before.
    pub(crate) fn ask_again(&mut self, gap: Duration, now: Timestamp) {
        if self.ask_at.is_none() {
            self.ask_at = Some(self.asked.map_or(now, |asked| (asked + gap).max(now)));
        }
    }

    /// Notes that an agent has answered, or will not, if the round is one of this episode's.
    pub(crate) fn answered(&mut self, agent: AgentIx, round: RoundId) {
        if self.rounds.contains(&round) {
            self.pending.retain(|pending| *pending != agent);
        }
    }

    /// Whether the answer of this agent is awaited.
    pub(crate) fn awaits(&self, agent: AgentIx) -> bool {
        self.pending.contains(&agent)
    }

    /// Whether an answer that could matter is still to come.
    pub(crate) fn is_waiting(&self, roster: &Roster, now: Timestamp) -> bool {
        now < self.deadline && self.pending.iter().any(|agent| roster.agent(*agent).is_witness())
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purse {
    tokens: u32,
    /// Since when the next token is being earned.
    since: Timestamp,
}

impl Purse {
    pub(crate) fn full() -> Self {
        Self { tokens: ROUND_TOKENS_MAX, since: Timestamp::EPOCH }
    }

    /// Pays for a round, or says when there will be enough.
    pub(crate) fn pay(&mut self, policy: &FleetPolicy, now: Timestamp) -> Result<(), Timestamp> {
        let refill = (policy.round_gap * ROUND_REFILL_GAPS).max(Duration::from_millis(1));
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
}
