//! The stopwatch of a probe: the only place of this crate that measures time.
//!
//! Every moment of a probe belongs to exactly one phase, so the phases always add up to the total.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_model::{
    BlockReason, Doubt, Evidence, Observation, Outcome, Phase, PhaseTiming, Reason,
};
use tokio::time::Instant;

use crate::{PhaseCell, ProbeContext};

/// The longest message of an observation, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// Why a probe ends here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) outcome: Outcome,
    /// One sentence without a final stop.
    pub(crate) message: String,
}

impl Stop {
    /// The target failed.
    pub(crate) fn fail(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail { phase, reason }, message: message.into() }
    }

    /// The target keeps its answer back.
    pub(crate) fn blocked(reason: BlockReason, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Blocked { reason }, message: message.into() }
    }

    /// The agent makes no statement about the target.
    pub(crate) fn doubt(reason: Doubt, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Inconclusive { reason }, message: message.into() }
    }

    /// The agent's own policy says no, because of `rule`.
    pub(crate) fn denied(rule: &str) -> Self {
        let message = format!("this agent's policy forbids the probe: {rule}");
        Self::doubt(Doubt::PolicyDenied, message)
    }
}

/// A running stopwatch over phases. Entering a phase ends the one before.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    entered: Instant,
    current: Option<Phase>,
    laps: Vec<PhaseTiming>,
    cell: PhaseCell,
    write_mark: WriteMark,
}

impl Stopwatch {
    /// Starts before any phase; the time until the first one is entered counts as part of it.
    pub(crate) fn start(cell: PhaseCell) -> Self {
        let now = now();
        Self {
            started: now,
            entered: now,
            current: None,
            laps: Vec::new(),
            cell,
            write_mark: WriteMark::new(now),
        }
    }

    /// Begins `phase` now.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.enter_at(phase, now());
    }

    fn enter_at(&mut self, phase: Phase, at: Instant) {
        self.close(at);
        self.current = Some(phase);
        self.cell.enter(phase);
    }

    /// Adds the time since the last lap to the current phase.
    fn close(&mut self, at: Instant) {
        let Some(phase) = self.current else {
            return;
        };
        let elapsed = at.saturating_duration_since(self.entered);
        self.entered = self.entered.max(at);
        self.laps.push(PhaseTiming { phase, elapsed });
    }

    /// Begins sending over a connection that tells the returned mark what it writes and reads.
    pub(crate) fn begin_send(&mut self) -> WriteMark {
        self.enter(Phase::Send);
        self.write_mark = WriteMark::new(self.entered);
        self.write_mark.cell = Some(self.cell.clone());
        self.write_mark.clone()
    }

    /// The answer has begun: sending ended with the last write before it.
    pub(crate) fn answer_begun(&mut self, next: Phase) {
        self.split_send();
        self.enter(next);
    }

    /// If sending is over although nobody said so, says so.
    fn split_send(&mut self) {
        if self.current == Some(Phase::Send)
            && let Some(sent) = self.write_mark.sent()
        {
            self.enter_at(Phase::Ttfb, sent.max(self.entered));
        }
    }

    /// The phase that the probe has reached.
    pub(crate) fn reached(&mut self) -> Phase {
        self.split_send();
        self.current.unwrap_or(Phase::Dns)
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }

    /// The laps so far: a position for [`Stopwatch::since`].
    pub(crate) fn position(&mut self) -> usize {
        self.close(now());
        self.laps.len()
    }

    /// The phases since `position`, each once, in the order of [`Phase::ALL`].
    pub(crate) fn since(&mut self, position: usize) -> Vec<PhaseTiming> {
        self.close(now());
        summed(self.laps.get(position..).unwrap_or_default())
    }

    /// The whole time and the phases.
    fn stop(mut self) -> (Duration, Vec<PhaseTiming>) {
        let end = now();
        self.close(end);
        (end.saturating_duration_since(self.started), summed(&self.laps))
    }
}

fn summed(laps: &[PhaseTiming]) -> Vec<PhaseTiming> {
    let lap_time = |phase: Phase| {
        let mut of_phase = laps.iter().filter(|lap| lap.phase == phase).peekable();
        of_phase.peek()?;
        let elapsed = of_phase.map(|lap| lap.elapsed).sum();
        Some(PhaseTiming { phase, elapsed })
    };
    Phase::ALL.iter().copied().filter_map(lap_time).collect()
}

/// When a connection last wrote before it read: the end of sending a request.
#[derive(Debug, Clone)]
pub(crate) struct WriteMark {
    origin: Instant,
    /// Microseconds since `origin` plus one; 0 before the first write.
    last_write: Arc<AtomicU64>,
    /// 1 as soon as something was read after the first write.
    answered: Arc<AtomicU64>,
    cell: Option<PhaseCell>,
}

impl WriteMark {
    fn new(origin: Instant) -> Self {
        Self { origin, last_write: Arc::default(), answered: Arc::default(), cell: None }
    }

    /// The connection has written something.
    pub(crate) fn wrote(&self) {
        if self.answered.load(Ordering::Relaxed) == 0 {
            let micros = now().saturating_duration_since(self.origin).as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX - 1);
            self.last_write.store(micros + 1, Ordering::Relaxed);
        }
    }

    /// The connection has flushed, so it now waits.
    pub(crate) fn flushed(&self) {
        let waiting = self.last_write.load(Ordering::Relaxed) > 0
            && self.answered.load(Ordering::Relaxed) == 0;
        if let Some(cell) = self.cell.as_ref().filter(|_| waiting) {
            cell.enter(Phase::Ttfb);
        }
    }

    /// The connection has read something.
    pub(crate) fn read(&self) {
        if self.last_write.load(Ordering::Relaxed) > 0 {
            self.answered.store(1, Ordering::Relaxed);
        }
    }

    fn sent(&self) -> Option<Instant> {
        let micros = self.last_write.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.origin + Duration::from_micros(micros))
    }
}

/// What a running probe notes: its phases and what it sees. It outlives the probe's own future, so
/// that a probe whose time is up still tells how far it came.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) watch: Stopwatch,
    pub(crate) evidence: Evidence,
}

impl Trace {
    /// Starts a probe.
    pub(crate) fn start(context: &ProbeContext) -> Self {
        Self { watch: Stopwatch::start(context.phase.clone()), evidence: Evidence::default() }
    }

    /// Ends a probe: `None` if its time was up.
    pub(crate) fn finish(
        mut self,
        ended: Option<Result<(), Stop>>,
        context: &ProbeContext,
    ) -> Observation {
        let reached = self.watch.reached();
        let (total, phases) = self.watch.stop();
        let (outcome, message) = match ended {
            Some(Ok(())) if total > context.slow_after => (
                Outcome::Slow,
                format!("took {}, slower than {}", rounded(total), rounded(context.slow_after)),
            ),
            Some(Ok(())) => (Outcome::Ok, String::new()),
            Some(Err(stop)) => (stop.outcome, stop.message),
            None => (
                Outcome::Fail { phase: reached, reason: Reason::Timeout },
                format!("no answer within {} {}", rounded(context.timeout), waiting(reached)),
            ),
        };
        self.evidence.message = cut(message, MESSAGE_BYTES_MAX);
        Observation { outcome, total, phases, evidence: self.evidence }
    }
}

/// What a probe was doing in a phase.
fn waiting(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "while resolving the name",
        Phase::Connect => "while connecting",
        Phase::Tls => "in the TLS handshake",
        Phase::Send => "while sending the request",
        Phase::Ttfb => "to the request",
        Phase::Transfer => "that is complete",
        Phase::Assert => "that could be judged",
    }
}

/// A duration in whole milliseconds, as users write it.
pub(crate) fn rounded(duration: Duration) -> quorate_model::HumanDuration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    quorate_model::HumanDuration(Duration::from_millis(millis))
}

/// At most `bytes_max` bytes of `text`, cut at a character and marked.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub(3)));
        text.push('…');
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
