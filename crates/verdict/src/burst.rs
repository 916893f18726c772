//! Bursts: when very much breaks at once, one message says so, not one for each check.
//!
//! **What it decides.** Whether a message may wait for others to the same receiver and of the same
//! kind. The first `group_after` go out at once. What follows them closely is held until
//! `group_wait` has passed, and then goes out as one message, or as few as its form allows.
//!
//! **Why so.** The first page must not wait: there is nothing yet to group it with, and a person is to
//! be woken within milliseconds of the decision. Once a few have gone out that person is awake, and
//! the hundredth page of a minute tells only that there are a hundred. Nothing is suppressed: every
//! incident is opened, told and resolved by itself, in a message that it shares.
//!
//! **Quiet.** A burst is over when nothing was held for so many times `group_wait`; what comes then
//! goes out at once again.
//!
//! **Restart.** What is held is stored as held. How many went out before is forgotten.
//!
//! **Example.** A provider goes, and with it 93 of 300 checks within 12 s. Three pages go out at once,
//! and ten seconds after the fourth was held, in one message or a few, all the others so far.

use std::collections::BTreeMap;

use quorate_model::{AlertKind, FleetPolicy, ReceiverId, Timestamp};

use crate::Effect;

/// After so many times `group_wait` without a held message a burst is over.
const QUIET_WAITS: u32 = 6;

/// What a receiver was sent lately.
#[derive(Debug, Clone, Copy)]
struct Burst {
    /// When it began, or when messages were last held.
    since: Timestamp,
    /// How many messages have gone out at once since then.
    sent: u32,
    /// Until when messages are held now.
    held_until: Timestamp,
}

/// The bursts of all receivers.
#[derive(Debug, Default)]
pub(crate) struct Bursts(BTreeMap<(ReceiverId, AlertKind), Burst>);

impl Bursts {
    /// Holds those of the messages that are to wait for others.
    pub(crate) fn hold(&mut self, effects: &mut [Effect], policy: &FleetPolicy, now: Timestamp) {
        for effect in effects {
            if let Effect::Transition(transition) = effect {
                for (receiver, alert) in &mut transition.alerts {
                    alert.held_until = self.admit(receiver, alert.kind, policy, now);
                }
            }
        }
    }

    /// Until when a message waits, if it does.
    fn admit(
        &mut self,
        receiver: &ReceiverId,
        kind: AlertKind,
        policy: &FleetPolicy,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if policy.group_wait.is_zero() {
            return None;
        }
        let begins = Burst { since: now, sent: 0, held_until: now };
        let burst = self.0.entry((receiver.clone(), kind)).or_insert(begins);
        if now < burst.held_until {
            return Some(burst.held_until);
        }
        if now >= burst.since.max(burst.held_until) + policy.group_wait * QUIET_WAITS {
            *burst = begins;
        }
        if burst.sent < policy.group_after {
            burst.sent += 1;
            return None;
        }
        (burst.since, burst.held_until) = (now, now + policy.group_wait);
        Some(burst.held_until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What becomes of pages that are decided at these milliseconds: when each goes out.
    fn play(policy: &FleetPolicy, at: &[u64]) -> Vec<u64> {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let receiver: ReceiverId = "oncall".parse().unwrap();
        let mut bursts = Bursts::default();
        at.iter()
            .map(|millis| {
                let now = start + Duration::from_millis(*millis);
                let held = bursts.admit(&receiver, AlertKind::Page, policy, now);
                let sent = held.unwrap_or(now) - start;
                u64::try_from(sent.as_millis()).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_first_few_go_at_once_and_the_others_together() {
        let policy = FleetPolicy::default();
        assert_eq!(
            play(&policy, &[0, 100, 200, 300, 400, 10_299, 10_300, 12_000]),
            [0, 100, 200, 10_300, 10_300, 10_300, 20_300, 20_300]
        );
    }

    #[test]
    fn after_a_while_of_quiet_the_first_go_at_once_again() {
        let policy = FleetPolicy::default();
        assert_eq!(play(&policy, &[0, 1, 2, 70_000, 70_001]), [0, 1, 2, 70_000, 70_001]);
        assert_eq!(play(&policy, &[0, 1, 2, 3, 70_000, 70_003]), [0, 1, 2, 10_003, 80_000, 80_000]);
        assert_eq!(play(&policy, &[0, 1, 2, 3, 70_003]), [0, 1, 2, 10_003, 70_003]);
    }

    #[test]
    fn whoever_wants_all_grouped_or_none_gets_that() {
        let all = FleetPolicy { group_after: 0, ..FleetPolicy::default() };
        assert_eq!(play(&all, &[0, 1, 10_000]), [10_000, 10_000, 20_000]);
        let none = FleetPolicy { group_wait: Duration::ZERO, ..FleetPolicy::default() };
        assert_eq!(play(&none, &[0, 1, 2, 3, 4]), [0, 1, 2, 3, 4]);
    }
}
