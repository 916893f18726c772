//! The rule of the self-test. Pure: no clock, no sockets.

use std::time::Duration;

use quorate_model::Health;

/// The longest that one attempt may take: two, and the gap before them, fit into [`DECIDE_MAX`]
/// with room to spare.
const ATTEMPT_MAX: Duration = Duration::from_millis(850);
/// The least time between the end of a self-test and the next one's start.
pub const GAP: Duration = Duration::from_millis(250);
/// The longest that a failure waits for its self-test.
const DECIDE_MAX: Duration = Duration::from_secs(2);

/// The time for one attempt at one anchor, given the timeout that the settings ask for.
pub fn attempt_limit(timeout: Duration) -> Duration {
    timeout.min(ATTEMPT_MAX)
}

/// How long a failure waits for its self-test at most.
pub fn decide_limit(timeout: Duration) -> Duration {
    (attempt_limit(timeout) * 2 + GAP * 2).min(DECIDE_MAX)
}

/// Whether an agent that fails to reach so many of its anchors is cut off: more than half. An
/// agent is an island when that holds twice in a row.
pub const fn is_cut_off(failing: usize, anchors: usize) -> bool {
    failing > anchors / 2
}

/// What an agent thinks of itself, given the word of its self-test and whether its timers are late.
pub fn health(island: bool, late: impl FnOnce() -> bool) -> Health {
    if island {
        Health::Island
    } else if late() {
        Health::Overloaded
    } else {
        Health::Fine
    }
}
