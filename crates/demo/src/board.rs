//! What is known of the checks at the moment, from the coordinator's API.

use std::collections::BTreeMap;

use quorate_proto::v1;

use crate::event::VerdictChange;

/// The checks as they are now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    checks: BTreeMap<String, v1::Check>,
}

impl Board {
    /// Takes in a check; the change of its verdict, if there is one to speak of.
    pub(crate) fn update(&mut self, check: v1::Check) -> Option<VerdictChange> {
        let name = bare(&check.name).to_owned();
        let change = change(&name, &check);
        let before = self.checks.insert(name.clone(), check);
        let before = before.map(|check| self::change(&name, &check));
        // A sentence that was only put differently is nothing new.
        let same = before.is_some_and(|before| {
            VerdictChange { summary: change.summary.clone(), ..before } == change
        });
        (!same).then_some(change)
    }

    /// Takes in the latest ballots of checks that are known, for the eye alone: what has changed is
    /// told when [`Board::update`] brings it.
    pub(crate) fn look(&mut self, checks: Vec<v1::Check>) {
        for check in checks {
            let known = self.checks.get_mut(bare(&check.name)).and_then(|it| it.verdict.as_mut());
            if let (Some(known), Some(verdict)) = (known, check.verdict) {
                known.ballot = verdict.ballot;
            }
        }
    }

    /// The checks, by name.
    pub(crate) fn checks(&self) -> impl Iterator<Item = (&str, &v1::Check)> {
        self.checks.iter().map(|(name, check)| (name.as_str(), check))
    }

    /// Whether every check is up, without a failing region, judged by all its regions, with no
    /// open incident.
    pub(crate) fn all_well(&self) -> bool {
        !self.checks.is_empty()
            && self.checks.values().all(|check| {
                check.open_incident.is_empty()
                    && check.verdict.as_ref().is_some_and(|verdict| {
                        verdict.state() == v1::State::Up
                            && verdict.flags.is_empty()
                            && verdict.failing_region_count == 0
                            && verdict.live_region_count == verdict.configured_region_count
                            && verdict.live_region_count > 0
                    })
            })
    }

    /// What is not well, for people.
    pub(crate) fn troubles(&self) -> String {
        let unwell = self.checks.iter().filter_map(|(name, check)| {
            let change = change(name, check);
            let one = Self { checks: BTreeMap::from([(name.clone(), check.clone())]) };
            (!one.all_well())
                .then(|| format!("{name} is {} {}/{}", change.state, change.failing, change.live))
        });
        unwell.collect::<Vec<_>>().join(", ")
    }
}

/// The last part of a resource name such as `checks/shop`.
pub(crate) fn bare(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The word for a state.
pub(crate) fn state_word(state: v1::State) -> &'static str {
    match state {
        v1::State::Unspecified | v1::State::Unknown => "unknown",
        v1::State::Up => "up",
        v1::State::Partial => "partial",
        v1::State::Degraded => "degraded",
        v1::State::Down => "down",
    }
}

fn change(name: &str, check: &v1::Check) -> VerdictChange {
    let verdict = check.verdict.clone().unwrap_or_default();
    VerdictChange {
        check: name.to_owned(),
        state: state_word(verdict.state()),
        flags: verdict.flags,
        cause: verdict.cause,
        failing: verdict.failing_region_count,
        live: verdict.live_region_count,
        summary: verdict.summary,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn check(name: &str, state: v1::State, failing: i32, live: i32) -> v1::Check {
        v1::Check {
            name: format!("checks/{name}"),
            verdict: Some(v1::Verdict {
                state: state.into(),
                failing_region_count: failing,
                live_region_count: live,
                configured_region_count: 5,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn all_is_well_only_when_every_region_says_so() {
        let mut board = Board::default();
        assert!(!board.all_well());
        board.update(check("shop", v1::State::Up, 0, 5));
        assert!(board.all_well());
        board.update(check("mail", v1::State::Up, 0, 4));
        assert!(!board.all_well());
        assert_eq!(board.troubles(), "mail is up 0/4");
        board.update(check("mail", v1::State::Up, 0, 5));
        let mut recovering = check("shop", v1::State::Up, 0, 5);
        recovering.open_incident = "incidents/1".to_owned();
        board.update(recovering);
        assert!(!board.all_well());
    }

    #[test]
    fn only_what_changed_is_told() {
        let mut board = Board::default();
        assert!(board.update(check("shop", v1::State::Up, 0, 5)).is_some());
        assert!(board.update(check("shop", v1::State::Up, 0, 5)).is_none());
        let change = board.update(check("shop", v1::State::Partial, 1, 5)).unwrap();
        assert_eq!((change.state, change.failing), ("partial", 1));
    }
}
