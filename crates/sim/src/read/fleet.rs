//! Regions, agents and targets.

use std::collections::{BTreeMap, BTreeSet};

use quorate_model::{AgentId, RegionId};
use serde_json::Value;

use super::Reader;
use crate::raw::{RawFleet, RawRegion, RawTarget};
use crate::scenario::{Family, Place, Target, TargetKind};
use crate::text::AgentText;

/// The standard fleet: region, provider, country, agents.
const STANDARD: [(&str, &str, &str, &[&str]); 5] = [
    ("a", "aws", "US", &["a1", "a2"]),
    ("b", "aws", "IE", &["b1"]),
    ("c", "gcp", "IN", &["c1"]),
    ("d", "ovh", "FR", &["d1"]),
    ("e", "vultr", "BR", &["e1"]),
];

fn standard() -> BTreeMap<RegionId, Place> {
    let place = |(id, provider, country, agents): (&str, &str, &str, &[&str])| {
        let labels = [("provider", provider), ("country", country)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let agents = agents.iter().filter_map(|id| Some((id.parse().ok()?, None)));
        Some((id.parse().ok()?, Place { labels: labels.into(), agents: agents.collect() }))
    };
    STANDARD.into_iter().filter_map(place).collect()
}

impl Reader<'_> {
    pub(super) fn fleet(&mut self, raw: Option<&Value>) -> BTreeMap<RegionId, Place> {
        match raw {
            None => return standard(),
            Some(Value::String(word)) if word == "standard" => return standard(),
            Some(Value::Object(_)) => {}
            Some(_) => {
                self.error(&["fleet"], "`fleet` is `standard`, or a map with `regions`");
                return standard();
            }
        }
        let reading = self.document.read_part::<RawFleet>(&["fleet"], &[]);
        self.problems.extend(reading.problems);
        let regions = reading.value.unwrap_or_default().regions.unwrap_or_default();
        if regions.is_empty() {
            self.error(&["fleet"], "a fleet needs `regions`");
        }
        let mut places = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (id, region) in regions {
            let path = ["fleet", "regions", id.as_str()];
            let region = region.unwrap_or_default();
            let agents = region.agents.clone().unwrap_or_default();
            if agents.is_empty() {
                self.error(&path, "a region needs `agents`");
            }
            let agents = self.agents(&["fleet", "regions", &id, "agents"], &agents, &mut seen);
            match id.parse::<RegionId>() {
                Ok(id) => {
                    places.insert(id, Place { labels: labels(&region), agents });
                }
                Err(error) => {
                    self.problems.push(self.document.key_problem(&path, error.to_string()));
                }
            }
        }
        places
    }

    /// The agents of a list, each with a name of its own.
    pub(super) fn agents(
        &mut self,
        path: &[&str],
        agents: &[AgentText],
        seen: &mut BTreeSet<String>,
    ) -> Vec<(AgentId, Option<String>)> {
        let mut good = Vec::new();
        for (index, agent) in agents.iter().enumerate() {
            let index = index.to_string();
            let mut here = path.to_vec();
            here.push(&index);
            match agent.id.parse::<AgentId>() {
                Ok(_) if !seen.insert(agent.id.clone()) => {
                    self.error(&here, format!("agent `{}` is named twice", agent.id));
                }
                Ok(id) => good.push((id, agent.network.clone())),
                Err(error) => self.error(&here, error.to_string()),
            }
        }
        good
    }

    pub(super) fn targets(
        &mut self,
        raw: BTreeMap<String, Option<RawTarget>>,
        regions: &BTreeMap<RegionId, Place>,
    ) -> BTreeMap<String, Target> {
        let names: BTreeSet<String> = raw.keys().cloned().collect();
        let mut targets = BTreeMap::new();
        for (id, target) in raw {
            let path = |key| ["targets", id.as_str(), key];
            let target = target.unwrap_or_default();
            let mut families = Vec::new();
            for word in target.families.map(|words| words.0).unwrap_or_default() {
                match family(&word) {
                    Some(family) => families.push(family),
                    None => self.strange(&path("families"), "address family", &word, ["v4", "v6"]),
                }
            }
            if families.is_empty() {
                families.push(Family::V4);
            }
            let mut edges = BTreeMap::new();
            for (region, edge) in target.edges.unwrap_or_default() {
                match region.parse::<RegionId>() {
                    Ok(region) if regions.contains_key(&region) => {
                        edges.insert(region, edge);
                    }
                    _ => {
                        let known: Vec<&str> = regions.keys().map(RegionId::as_str).collect();
                        let here = ["targets", &id, "edges", &region];
                        self.strange(&here, "region", &region, known);
                    }
                }
            }
            let kind = match target.kind.as_deref() {
                None | Some("https") => TargetKind::Https,
                Some("http") => TargetKind::Http,
                Some("dns") => TargetKind::Dns,
                Some(word) => {
                    self.strange(&path("kind"), "target kind", word, ["http", "https", "dns"]);
                    TargetKind::Https
                }
            };
            if let Some(companion) = &target.companion
                && (!names.contains(companion) || *companion == id)
            {
                let others = names.iter().map(String::as_str).filter(|name| *name != id);
                self.strange(&path("companion"), "other target", companion, others);
            }
            let network = target.network.unwrap_or_else(|| format!("{id}'s own"));
            targets
                .insert(id, Target { network, families, edges, kind, companion: target.companion });
        }
        targets
    }
}

pub(super) fn family(word: &str) -> Option<Family> {
    match word {
        "v4" => Some(Family::V4),
        "v6" => Some(Family::V6),
        _ => None,
    }
}

fn labels(region: &RawRegion) -> BTreeMap<String, String> {
    let all = [
        ("provider", &region.provider),
        ("country", &region.country),
        ("transit", &region.transit),
        ("resolver", &region.resolver),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}
