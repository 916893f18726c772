//! The processor time of this process.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in `/proc`. Source: proc(5), `USER_HZ`, which is 100 on every Linux that
/// this runs on.
const TICKS: u64 = 100;

/// User and system time that this process has used so far, all threads together.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold spaces, but ends at the last parenthesis.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    let (user, system) = (ticks(11).unwrap_or(0), ticks(12).unwrap_or(0));
    Duration::from_millis((user + system) * 1_000 / TICKS)
}

/// Microseconds of processor time for each of `count`.
pub(crate) fn micros_each(used: Duration, count: u64) -> f64 {
    used.as_secs_f64() * 1e6 / rate_base(count)
}

/// How many in a second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    rate_base(count) / elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn rate_base(count: u64) -> f64 {
    count as f64
}
