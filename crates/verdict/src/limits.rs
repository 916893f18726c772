//! Bounds that keep one check from costing more than its share. Timers are not here: they are
//! fields of the fleet's policy.

/// Probes of one agent whose order is still open. Four cover a scheduled probe, its retry and two
/// more within one freshness, so any order of arrival gives the same run.
pub(crate) const RECENT_MAX: usize = 4;

/// Checks judged in one call because of time or of the fleet. More are left for the next call, so
/// that a region's loss never blocks a hundred thousand checks' results.
pub(crate) const JUDGED_MAX: usize = 1_000;

/// Confirmation rounds kept for a ballot.
pub(crate) const ROUNDS_MAX: usize = 16;

/// Confirmation rounds that a check may have in store. Three: one for the suspicion, one for the
/// region that joins while it is open, one to complete the proof.
pub(crate) const ROUND_TOKENS_MAX: u32 = 3;

/// A round is earned back after so many round gaps: two rounds a minute at the default gap.
pub(crate) const ROUND_REFILL_GAPS: u32 = 3;

/// Characters kept of the sentence that a probe sends as evidence.
pub(crate) const MESSAGE_CHARS_MAX: usize = 256;

/// Characters kept of what an edge of a delivery network calls itself.
pub(crate) const EDGE_CHARS_MAX: usize = 64;

/// Re-opens that make a check flap, and after which they are no longer messaged one by one.
pub(crate) const FLAPPING_REOPENS: usize = 3;

/// Re-opens count for so many times `reopen_within`: six hours of thirty minutes.
pub(crate) const FLAPPING_WINDOWS: u32 = 12;

/// Re-opens remembered: more change neither the recovery time nor the flag.
pub(crate) const REOPENS_MAX: usize = 16;

/// `Retry-After` extends a vote by at most so many intervals.
pub(crate) const RETRY_AFTER_INTERVALS_MAX: u32 = 10;

/// Failures in a row after which a region's failure is its own state, not an accident.
pub(crate) const OWN_FAILURES: u16 = 2;

/// Successes in a row that each of the recovering regions must show.
pub(crate) const OWN_SUCCESSES: u16 = 2;

/// Regions that must see the same end of a certificate.
pub(crate) const CERTIFICATE_WITNESSES: usize = 2;

/// Slow answers in a row after which a region finds the target slow.
pub(crate) const SLOW_ANSWERS: u16 = 2;

const _: () = assert!(RECENT_MAX >= 2 && FLAPPING_REOPENS < REOPENS_MAX);
