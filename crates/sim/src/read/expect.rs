//! Expectations.

use std::time::Duration;

use quorate_model::{AlertKind, Cause, CheckId, Flag, NoticeKind, State};

use super::{Known, Reader};
use crate::raw::{RawAlert, RawExpect, RawLateOutage, RawOperator, RawVerdict};
use crate::scenario::{AlertFilter, Expect, Expectation, OperatorFilter};
use crate::text::{Span, Words};

/// The kinds of messages and notices that scenarios know.
const NOTICES: [NoticeKind; 11] = [
    NoticeKind::RegionIsolated,
    NoticeKind::AgentLost,
    NoticeKind::AgentOverloaded,
    NoticeKind::AgentClock,
    NoticeKind::AgentSuspect,
    NoticeKind::ReducedQuorum,
    NoticeKind::NoQuorum,
    NoticeKind::RegionUnreliable,
    NoticeKind::AnchorBad,
    NoticeKind::ResolverBad,
    NoticeKind::ConfigError,
];

impl Reader<'_> {
    pub(super) fn expectations(&mut self, raw: Vec<RawExpect>, known: &Known<'_>) -> Vec<Expect> {
        let mut expect = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["expect", index.as_str()];
            let given = self.document.keys(&path).len();
            // `no_alert:` with nothing behind it reads as nothing, too.
            let silent = self.document.contains(&["expect", &index, "no_alert"]);
            let what = match raw {
                _ if given != 1 => None,
                RawExpect { alert: Some(raw), .. } => {
                    let count = raw.count.clone().map_or_else(|| vec![1], |counts| counts.0);
                    let filter = self.alerts(&[path[0], path[1], "alert"], raw, known);
                    Some(Expectation::Alert { filter, count })
                }
                RawExpect { verdict: Some(raw), .. } => {
                    self.verdict(&[path[0], path[1], "verdict"], raw, known)
                }
                RawExpect { operator: Some(raw), .. } => {
                    Some(self.operator(&[path[0], path[1], "operator"], raw, known))
                }
                RawExpect { late_outage: Some(raw), .. } => {
                    let RawLateOutage { check, from, to, count } = raw;
                    let count = count.map_or_else(|| vec![1], |counts| counts.0);
                    let raw = RawAlert { check, from, to, ..RawAlert::default() };
                    let filter = self.alerts(&[path[0], path[1], "late_outage"], raw, known);
                    Some(Expectation::LateOutage { filter, count })
                }
                RawExpect { no_alert, .. } if silent => {
                    let raw = no_alert.unwrap_or_default();
                    if raw.count.is_some() {
                        let here = [path[0], path[1], "no_alert", "count"];
                        self.error(&here, "`no_alert` takes no `count`: it is none");
                    }
                    let here = [path[0], path[1], "no_alert"];
                    Some(Expectation::NoAlert(self.alerts(&here, raw, known)))
                }
                RawExpect { .. } => None,
            };
            if what.is_none() && given != 1 {
                let message = "an expectation has one key: `alert`, `verdict`, `operator`, \
                               `no_alert` or `late_outage`";
                self.error(&path, message);
            }
            let place = self.document.problem(&path, "");
            let place = format!("{}:{}:{}", place.file, place.line, place.column);
            expect.extend(what.map(|what| Expect { place, what }));
        }
        expect
    }

    fn alerts(&mut self, path: &[&str; 3], raw: RawAlert, known: &Known<'_>) -> AlertFilter {
        let here = |key| [path[0], path[1], path[2], key];
        let (from, to) = self.window(path, raw.from, raw.to, known);
        let any = raw.check.as_ref().is_none_or(|words| words.0 == ["any"]);
        let checks =
            if any { Vec::new() } else { self.check_ids(&here("check"), raw.check, known) };
        let kinds = self.words(&here("kind"), raw.kind, AlertKind::ALL, AlertKind::as_str);
        AlertFilter { checks, kinds, from, to, any }
    }

    fn operator(&mut self, path: &[&str; 3], raw: RawOperator, known: &Known<'_>) -> Expectation {
        let here = |key| [path[0], path[1], path[2], key];
        let (from, to) = self.window(path, raw.from, raw.to, known);
        let kinds = self.words(&here("kind"), raw.kind, &NOTICES, NoticeKind::as_str);
        let regions = raw.region.unwrap_or_default().0;
        for region in regions.iter().filter(|name| !known.region_names.contains(*name)) {
            let names = known.region_names.iter().map(String::as_str);
            self.strange(&here("region"), "region", region, names);
        }
        let agents = raw.agent.unwrap_or_default().0;
        for agent in agents.iter().filter(|name| !known.agent_names.contains(*name)) {
            let names = known.agent_names.iter().map(String::as_str);
            self.strange(&here("agent"), "agent", agent, names);
        }
        let checks = self.check_ids(&here("check"), raw.check, known);
        let checks = checks.iter().map(ToString::to_string).collect();
        let filter = OperatorFilter { kinds, regions, agents, checks, from, to };
        Expectation::Operator { filter, count: raw.count.map(|counts| counts.0) }
    }

    fn verdict(
        &mut self,
        path: &[&str; 3],
        raw: RawVerdict,
        known: &Known<'_>,
    ) -> Option<Expectation> {
        let here = |key| [path[0], path[1], path[2], key];
        let is = self.words(&here("is"), raw.is, State::ALL, State::as_str);
        let cause = self.words(&here("cause"), raw.cause, Cause::ALL, Cause::as_str);
        let flags =
            raw.flags.map(|words| self.words(&here("flags"), Some(words), Flag::ALL, Flag::as_str));
        let scope = raw.scope.unwrap_or_default().0;
        let number = |text: &str| text.parse::<u32>().is_ok();
        let good =
            |text: &&String| text.split_once('/').is_some_and(|(a, b)| number(a) && number(b));
        if scope.iter().any(|text| !good(&text)) {
            self.error(&here("scope"), "`scope` is failing regions / live regions, such as 3/5");
        }
        if raw.check.is_none() {
            self.error(path, "a verdict needs `check`");
        }
        let checks = self.check_ids(&here("check"), raw.check, known);
        let Some(Span(at)) = raw.at else {
            self.error(path, "a verdict needs `at`: when it is looked at");
            return None;
        };
        self.in_run(&here("at"), at, known);
        Some(Expectation::Verdict { checks, at, is, scope, cause, flags })
    }

    /// The checks that the names stand for.
    fn check_ids(
        &mut self,
        path: &[&str; 4],
        words: Option<Words>,
        known: &Known<'_>,
    ) -> Vec<CheckId> {
        let mut ids = Vec::new();
        for word in words.unwrap_or_default().0 {
            let before = ids.len();
            if let Some(check) = known.checks.get(&word) {
                ids.extend(check.members(&word).iter().filter_map(|id| id.parse::<CheckId>().ok()));
            } else {
                let of = word.rsplit_once('-').and_then(|(base, number)| {
                    let number: usize = number.parse().ok()?;
                    let most = known.checks.get(base).and_then(|check| check.count);
                    let most = most.or((base == "background").then_some(known.background.checks))?;
                    (1..=most).contains(&number).then(|| word.parse().ok()).flatten()
                });
                ids.extend(of);
            }
            if ids.len() == before {
                self.strange(path, "check", &word, known.checks.keys().map(String::as_str));
            }
        }
        ids
    }

    fn words<T: Copy>(
        &mut self,
        path: &[&str; 4],
        words: Option<Words>,
        known: &[T],
        name: fn(T) -> &'static str,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for word in words.unwrap_or_default().0 {
            if let Some(value) = known.iter().find(|value| name(**value) == word) {
                values.push(*value);
            } else {
                let names: Vec<&str> = known.iter().map(|value| name(*value)).collect();
                self.strange(path, &format!("`{}`", path[3]), &word, names);
            }
        }
        values
    }

    fn window(
        &mut self,
        path: &[&str; 3],
        from: Option<Span>,
        to: Option<Span>,
        known: &Known<'_>,
    ) -> (Option<Duration>, Option<Duration>) {
        let (from, to) = (from.map(|span| span.0), to.map(|span| span.0));
        if let Some(from) = from {
            self.in_run(&[path[0], path[1], path[2], "from"], from, known);
        }
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            self.error(&[path[0], path[1], path[2], "to"], "`to` is before `from`");
        }
        (from, to)
    }

    fn in_run(&mut self, path: &[&str; 4], at: Duration, known: &Known<'_>) {
        if at > known.run && !known.run.is_zero() {
            self.error(path, "the run is over by then");
        }
    }
}
