//! Faults: which parameters belong to which kind.

use std::time::Duration;

use quorate_model::{AgentId, HumanDuration, RegionId};
use serde_json::Value;

use super::{Known, Reader, fleet};
use crate::raw::RawFault;
use crate::scenario::{DnsPlace, Fault, Of, TlsReason, Trouble, What, Who};
use crate::text::AgentsText;

/// Each kind, and the parameters that it takes; those in capitals must be there.
const KINDS: &[(&str, &[&str])] = &[
    ("black_hole", &["TARGET"]),
    ("refuse", &["TARGET"]),
    ("status", &["TARGET", "CODE", "retry_after"]),
    ("slow", &["TARGET", "BY"]),
    ("blip", &["TARGET", "count", "of", "code"]),
    ("flaky", &["TARGET", "RATE", "code"]),
    ("dns", &["TARGET", "where", "answer"]),
    ("tls", &["TARGET", "REASON", "by", "edges"]),
    ("content", &["TARGET"]),
    ("family", &["TARGET", "FAMILY"]),
    ("edge", &["TARGET", "EDGES", "code"]),
    ("isolate", &["link"]),
    ("drop", &["RATE"]),
    ("egress", &["PROTOCOL"]),
    ("cut_link", &[]),
    ("crash", &[]),
    ("overload", &[]),
    ("clock", &["BY"]),
    ("anchors", &["COUNT"]),
    ("coordinator", &[]),
    ("duplicate", &["TIMES"]),
    ("delay", &["BY"]),
    ("proxy_ok", &["TARGET"]),
    ("join", &["region", "labels", "network"]),
    ("maintenance", &["CHECK"]),
    ("reconfigure", &["CHECK", "SET"]),
];
/// What every kind takes.
const GENERAL: [&str; 5] = ["at", "for", "kind", "regions", "agents"];
/// The most agents that join at once.
const JOIN_MAX: usize = 1_000;

/// One fault under examination.
struct Draft<'a> {
    index: String,
    kind: &'a str,
    raw: &'a RawFault,
}

impl Reader<'_> {
    pub(super) fn faults(&mut self, raw: &[RawFault], known: &mut Known<'_>) -> Vec<Fault> {
        // Who joins may be named by faults before.
        let mut joins = Vec::new();
        for (index, raw) in
            raw.iter().enumerate().filter(|(_, raw)| raw.kind.as_deref() == Some("join"))
        {
            let draft = Draft { index: index.to_string(), kind: "join", raw };
            joins.push((index, self.join(&draft, known)));
        }
        let mut faults = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let index_text = index.to_string();
            let path = ["faults", index_text.as_str()];
            let Some(kind) = raw.kind.as_deref() else {
                self.error(&path, "a fault needs `kind`");
                continue;
            };
            let names = KINDS.iter().map(|(kind, _)| *kind);
            if !KINDS.iter().any(|(name, _)| *name == kind) {
                self.strange(&["faults", &index_text, "kind"], "kind of fault", kind, names);
                continue;
            }
            let draft = Draft { index: index_text.clone(), kind, raw };
            self.parameters(&draft);
            let what = match joins.iter().position(|(join, _)| *join == index) {
                Some(join) => joins.swap_remove(join).1,
                None => self.what(&draft, known),
            };
            let who = if kind == "join" { Who::default() } else { self.who(&draft, known) };
            let Some(at) = raw.at.map(|span| span.0) else {
                self.error(&path, "a fault needs `at`: when it begins");
                continue;
            };
            if at > known.run && !known.run.is_zero() {
                self.error(&["faults", &index_text, "at"], "the run is over by then");
            }
            let until = raw.lasts.map(|span| at + span.0);
            faults.extend(what.map(|what| Fault { at, until, who, what }));
        }
        faults
    }

    /// Complains of parameters that the kind does not take, and of those that it lacks.
    fn parameters(&mut self, draft: &Draft<'_>) {
        let Some((_, takes)) = KINDS.iter().find(|(kind, _)| *kind == draft.kind) else {
            return;
        };
        let path = ["faults", draft.index.as_str()];
        let keys: Vec<String> = self.document.keys(&path).into_iter().map(str::to_owned).collect();
        for key in &keys {
            let fits = GENERAL.contains(&key.as_str())
                || takes.iter().any(|name| name.eq_ignore_ascii_case(key));
            if !fits {
                let list: Vec<String> = takes.iter().map(|name| name.to_lowercase()).collect();
                let hint = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
                let message = format!("`{}` takes no `{}`", draft.kind, quorate_yaml::shown(key));
                let here = ["faults", &draft.index, key];
                let problem = self.document.key_problem(&here, message);
                self.problems.push(problem.with_hint(format!("its parameters: {hint}")));
            }
        }
        let needed = takes.iter().filter(|name| name.chars().all(|c| c.is_uppercase() || c == '_'));
        for name in needed.map(|name| name.to_lowercase()) {
            if !keys.contains(&name) {
                self.error(&path, format!("`{}` needs `{name}`", draft.kind));
            }
        }
    }

    fn who(&mut self, draft: &Draft<'_>, known: &Known<'_>) -> Who {
        let mut who = Who::default();
        for (number, region) in
            draft.raw.regions.clone().unwrap_or_default().0.into_iter().enumerate()
        {
            if known.region_names.contains(&region) {
                who.regions.insert(region);
            } else {
                let number = number.to_string();
                let names = known.region_names.iter().map(String::as_str);
                let here = ["faults", &draft.index, "regions", &number];
                self.strange(&here, "region", &region, names);
            }
        }
        let agents = match &draft.raw.agents {
            Some(AgentsText::Named(agents)) => agents.clone(),
            Some(AgentsText::Count(_)) => {
                self.error(&["faults", &draft.index, "agents"], "which agents? write their names");
                Vec::new()
            }
            None => Vec::new(),
        };
        for (number, agent) in agents.into_iter().enumerate() {
            if known.agent_names.contains(&agent.id) {
                who.agents.insert(agent.id);
            } else {
                let number = number.to_string();
                let names = known.agent_names.iter().map(String::as_str);
                self.strange(
                    &["faults", &draft.index, "agents", &number],
                    "agent",
                    &agent.id,
                    names,
                );
            }
        }
        who
    }

    fn what(&mut self, draft: &Draft<'_>, known: &Known<'_>) -> Option<What> {
        let raw = draft.raw;
        Some(match draft.kind {
            "isolate" => What::Isolate {
                cut: self.word(
                    draft,
                    "link",
                    raw.link.as_deref(),
                    &[("keep", false), ("cut", true)],
                ),
            },
            "drop" => What::Drop { rate: self.rate(draft)? },
            "egress" => What::Egress { protocol: raw.protocol.clone()? },
            "cut_link" => What::CutLink,
            "crash" => What::Crash,
            "overload" => What::Overload,
            "clock" => {
                // A clock can be behind, too.
                let by = raw.by.as_deref()?;
                let span = self.span(draft, by.trim_start_matches(['-', '+']))?;
                let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
                What::Clock { ahead_micros: if by.starts_with('-') { -micros } else { micros } }
            }
            "anchors" => What::Anchors { count: raw.count? },
            "coordinator" => What::Coordinator,
            "duplicate" => What::Duplicate { times: raw.times?.clamp(1, 1_000) },
            "delay" => What::Delay { by: self.span(draft, raw.by.as_deref()?)? },
            "maintenance" => {
                let check = self.check_named(draft, known)?;
                let members = known.checks.get(&check).map(|text| text.members(&check));
                What::Maintenance { members: members.unwrap_or_default() }
            }
            "reconfigure" => {
                let check = self.check_named(draft, known)?;
                let Some(Value::Object(set)) = &raw.set else {
                    self.error(
                        &["faults", &draft.index, "set"],
                        "`set` is a map of keys of a check",
                    );
                    return None;
                };
                let members =
                    known.checks.get(&check).map(|text| text.members(&check)).unwrap_or_default();
                What::Reconfigure { check, members, set: set.clone() }
            }
            _ => {
                let target = raw.target.clone()?;
                if !known.targets.contains_key(&target) {
                    let names = known.targets.keys().map(String::as_str);
                    self.strange(&["faults", &draft.index, "target"], "target", &target, names);
                    return None;
                }
                let trouble = self.trouble(draft)?;
                What::Target { target, trouble }
            }
        })
    }

    fn trouble(&mut self, draft: &Draft<'_>) -> Option<Trouble> {
        let raw = draft.raw;
        let code = raw.code;
        if code.is_some_and(|code| !(100..=599).contains(&code)) {
            self.error(&["faults", &draft.index, "code"], "a status code is 100 to 599");
        }
        let edges = raw.edges.clone().unwrap_or_default().0;
        Some(match draft.kind {
            "black_hole" => Trouble::BlackHole,
            "refuse" => Trouble::Refuse,
            "status" => {
                Trouble::Status { code: code?, retry_after: raw.retry_after.map(|span| span.0) }
            }
            "slow" => Trouble::Slow { by: self.span(draft, raw.by.as_deref()?)? },
            "blip" => {
                let words = [
                    ("any", Of::Any),
                    ("scheduled", Of::Scheduled),
                    ("confirmation", Of::Confirmation),
                ];
                let of = self.word(draft, "of", raw.of.as_deref(), &words);
                Trouble::Blip { count: raw.count.unwrap_or(1), of, code }
            }
            "flaky" => Trouble::Flaky { rate: self.rate(draft)?, code },
            "dns" => {
                let places = [
                    ("authoritative", DnsPlace::Authoritative),
                    ("all", DnsPlace::All),
                    ("primary", DnsPlace::Primary),
                ];
                let place = self.word(draft, "where", raw.place.as_deref(), &places);
                let answers = [("none", false), ("other", true)];
                let other = self.word(draft, "answer", raw.answer.as_deref(), &answers);
                Trouble::Dns { place, other }
            }
            "tls" => {
                let reasons = ["expired", "untrusted", "name", "expires_in"];
                let reason = match raw.reason.as_deref()? {
                    "expired" => TlsReason::Expired,
                    "untrusted" => TlsReason::Untrusted,
                    "name" => TlsReason::Name,
                    "expires_in" => {
                        let Some(by) = raw.by.as_deref() else {
                            let here = ["faults", &draft.index];
                            self.error(&here, "`expires_in` needs `by`: in how long, such as 6d");
                            return None;
                        };
                        TlsReason::ExpiresIn(self.span(draft, by)?)
                    }
                    word => {
                        self.strange(&["faults", &draft.index, "reason"], "reason", word, reasons);
                        return None;
                    }
                };
                Trouble::Tls { reason, edges }
            }
            "content" => Trouble::Content,
            "family" => {
                let word = raw.family.as_deref()?;
                let Some(family) = fleet::family(word) else {
                    let here = ["faults", &draft.index, "family"];
                    self.strange(&here, "address family", word, ["v4", "v6"]);
                    return None;
                };
                Trouble::Family(family)
            }
            "edge" => Trouble::Edge { edges, code },
            _ => Trouble::ProxyOk,
        })
    }

    fn join(&mut self, draft: &Draft<'_>, known: &mut Known<'_>) -> Option<What> {
        let raw = draft.raw;
        let named = raw
            .region
            .clone()
            .or_else(|| raw.regions.as_ref().and_then(|regions| regions.0.first().cloned()));
        let Some(name) = named else {
            self.error(&["faults", &draft.index], "`join` needs `region`: where the agents appear");
            return None;
        };
        let region: RegionId = match name.parse() {
            Ok(region) => region,
            Err(error) => {
                let error: quorate_model::IdError = error;
                self.error(&["faults", &draft.index, "region"], error.to_string());
                return None;
            }
        };
        let path = ["faults", draft.index.as_str(), "agents"];
        let mut agents = match raw.agents.clone() {
            Some(AgentsText::Named(agents)) => self.agents(&path, &agents, &mut known.agent_names),
            Some(AgentsText::Count(count)) if count <= JOIN_MAX => newcomers(&name, count, known),
            Some(AgentsText::Count(_)) => {
                self.error(&path, format!("at most {JOIN_MAX} agents join at once"));
                Vec::new()
            }
            None => newcomers(&name, 1, known),
        };
        for (_, network) in &mut agents {
            *network = network.take().or_else(|| raw.network.clone());
        }
        known.region_names.insert(name);
        Some(What::Join { region, labels: raw.labels.clone().unwrap_or_default(), agents })
    }

    fn check_named(&mut self, draft: &Draft<'_>, known: &Known<'_>) -> Option<String> {
        let check = draft.raw.check.clone()?;
        if !known.checks.contains_key(&check) {
            let names = known.checks.keys().map(String::as_str);
            self.strange(&["faults", &draft.index, "check"], "check", &check, names);
            return None;
        }
        Some(check)
    }

    /// The meaning of a word; of the first if there is none.
    fn word<T: Copy>(
        &mut self,
        draft: &Draft<'_>,
        key: &str,
        word: Option<&str>,
        known: &[(&str, T)],
    ) -> T {
        let found = |word| known.iter().find(|(name, _)| *name == word);
        if let Some(word) = word
            && found(word).is_none()
        {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.strange(&["faults", &draft.index, key], &format!("`{key}`"), word, names);
        }
        word.and_then(found).unwrap_or(&known[0]).1
    }

    fn span(&mut self, draft: &Draft<'_>, text: &str) -> Option<Duration> {
        match text.parse::<HumanDuration>() {
            Ok(span) => Some(span.0),
            Err(message) => {
                self.error(&["faults", &draft.index, "by"], message);
                None
            }
        }
    }

    fn rate(&mut self, draft: &Draft<'_>) -> Option<f64> {
        let rate = draft.raw.rate?;
        if !(0.0..=1.0).contains(&rate) {
            self.error(&["faults", &draft.index, "rate"], "a rate is between 0 and 1");
        }
        Some(rate)
    }
}

/// So many new agents of a region, with names that are still free.
fn newcomers(region: &str, count: usize, known: &mut Known<'_>) -> Vec<(AgentId, Option<String>)> {
    let mut agents = Vec::new();
    for number in 1..=known.agent_names.len() + count {
        let name = format!("{region}{number}");
        if agents.len() < count
            && !known.agent_names.contains(&name)
            && let Ok(id) = name.parse()
        {
            known.agent_names.insert(name);
            agents.push((id, None));
        }
    }
    agents
}
