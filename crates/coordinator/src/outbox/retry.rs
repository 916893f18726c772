//! When to try again.

use std::time::Duration;

use quorate_model::{Delivery, Timestamp};
use quorate_notify::{Retry, SendError};
use quorate_store::{DeliveryState, OutboxEntry};

/// The waits after the first, second and so on failed attempt, in seconds; the last one repeats.
const WAITS: [u64; 6] = [5, 30, 120, 600, 1_800, 3_600];

/// How long after its decision a message is given up.
const GIVE_UP: Duration = Duration::from_secs(72 * 3_600);

/// Failed attempts after which several messages in one go out one by one: the first may have met a
/// passing trouble.
const TOGETHER: u32 = 2;

/// The same where the receiver says when it wants the next: it is busy, and one message is less
/// work for it than many.
const TOGETHER_IF_BUSY: u32 = 5;

/// What follows an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// What became of the delivery.
    pub(super) state: DeliveryState,
    /// What went wrong, if something did.
    pub(super) error: Option<SendError>,
    /// When to try again.
    pub(super) next_attempt: Option<Timestamp>,
}

impl Step {
    /// The same, but with another attempt, at once if there was to be none.
    pub(super) fn again(self, now: Timestamp) -> Self {
        let next_attempt = self.next_attempt.or(Some(now));
        Self { state: DeliveryState::Pending, next_attempt, ..self }
    }
}

/// What follows an attempt that ended at `now` like this.
pub(super) fn step(entry: &OutboxEntry, sent: &Result<(), SendError>, now: Timestamp) -> Step {
    let Err(error) = sent else {
        return Step { state: DeliveryState::Sent, error: None, next_attempt: None };
    };
    let own = wait(entry.attempts, quorate_runtime::random::bytes());
    let next = match error.retry {
        Retry::BackOff => Some(now + own),
        Retry::After(least) => Some(now + own.max(least)),
        Retry::Never => None,
    };
    let decided = match &entry.delivery {
        Delivery::Alert(alert) => alert.at,
        Delivery::Operator(notice) => notice.at,
    };
    let next_attempt = next.filter(|next| next.since(decided) <= GIVE_UP);
    Step {
        state: if next_attempt.is_some() { DeliveryState::Pending } else { DeliveryState::Failed },
        error: Some(error.clone()),
        next_attempt,
    }
}

/// Whether several messages in one go out one by one after this attempt to send them. Only by
/// themselves can most of them get through if one of them, or their number, is what fails.
pub(super) fn parts(first: &OutboxEntry, step: &Step) -> bool {
    let attempts = first.attempts.saturating_add(1);
    match step.error.as_ref().map(|error| &error.retry) {
        None => false,
        Some(Retry::Never) => true,
        Some(_) if step.state == DeliveryState::Failed => true,
        Some(Retry::BackOff) => attempts >= TOGETHER,
        Some(Retry::After(_)) => attempts >= TOGETHER_IF_BUSY,
    }
}

/// The wait after an attempt with so many before it: spread by a fifth up and down.
fn wait(attempts_before: u32, draw: [u8; 1]) -> Duration {
    let index = usize::try_from(attempts_before).unwrap_or(usize::MAX);
    let seconds = WAITS[index.min(WAITS.len() - 1)];
    let share = 800 + u64::from(draw[0]) * 400 / 255;
    Duration::from_millis(seconds * share)
}

/// The failure of an attempt that took too long.
pub(super) fn too_slow() -> SendError {
    SendError { message: "the receiver did not answer in time".into(), retry: Retry::BackOff }
}

/// The failure of a message to a receiver that is not configured any more.
pub(super) fn gone() -> SendError {
    SendError { message: "the receiver is not configured any more".into(), retry: Retry::Never }
}

#[cfg(test)]
mod tests {
    use quorate_model::{NoticeKind, OperatorNotice};

    use super::*;

    fn entry(attempts: u32) -> OutboxEntry {
        let at = Timestamp::EPOCH;
        let notice = OperatorNotice {
            kind: NoticeKind::AgentLost,
            at,
            resolved: false,
            region: None,
            agent: None,
            check: None,
            message: String::new(),
        };
        OutboxEntry {
            attempts,
            ..super::super::entry("ops".parse().unwrap(), Delivery::Operator(notice), at)
        }
    }

    fn failed(retry: Retry) -> Result<(), SendError> {
        Err(SendError { message: "no".into(), retry })
    }

    #[test]
    fn waits_grow_to_an_hour_within_a_fifth() {
        assert_eq!(wait(0, [0]), Duration::from_secs(4));
        assert_eq!(wait(0, [255]), Duration::from_secs(6));
        assert_eq!(wait(4, [255]), Duration::from_secs(2_160));
        assert_eq!(wait(99, [0]), Duration::from_secs(2_880));
    }

    #[test]
    fn messages_stay_together_for_one_more_attempt_and_longer_for_a_busy_receiver() {
        let part_after = |attempts, retry| {
            let entry = entry(attempts);
            parts(&entry, &step(&entry, &failed(retry), Timestamp::EPOCH))
        };
        assert!(part_after(0, Retry::Never));
        assert_eq!(
            [0, 1, 9].map(|attempts| part_after(attempts, Retry::BackOff)),
            [false, true, true]
        );
        let busy = Retry::After(Duration::from_secs(1));
        assert_eq!([0, 3, 4].map(|attempts| part_after(attempts, busy)), [false, false, true]);
        // None of them was tried by itself.
        let late = step(&entry(0), &failed(Retry::BackOff), Timestamp::EPOCH + GIVE_UP);
        assert!(parts(&entry(0), &late));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_but_not_for_ever() {
        let now = Timestamp::EPOCH + Duration::from_secs(10);
        let asked = Duration::from_secs(300);
        let after = step(&entry(0), &failed(Retry::After(asked)), now);
        assert_eq!(after.next_attempt, Some(now + asked));
        let never = step(&entry(0), &failed(Retry::Never), now);
        assert_eq!(never.state, DeliveryState::Failed);
        let late = Timestamp::EPOCH + GIVE_UP;
        let given_up = step(&entry(80), &failed(Retry::BackOff), late);
        assert_eq!(given_up.state, DeliveryState::Failed);
        assert_eq!(step(&entry(0), &Ok(()), now).state, DeliveryState::Sent);
    }
}
