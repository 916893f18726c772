//! Tables without borders, for people and for `awk`.

use quorate_proto::v1;

use super::time::{ago, instant, length, measured, rough};
use super::{Colour, escaped, paint};
use quorate_model::Timestamp;

/// How tables are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The present, for relative times.
    pub now: Timestamp,
    /// Whether the first line names the columns.
    pub headers: bool,
    /// Whether states are coloured.
    pub colour: bool,
}

impl Look {
    fn draw(&self, headers: &[&str], rows: Vec<Vec<String>>) -> String {
        let header = headers.iter().map(|header| (*header).to_owned()).collect();
        let lines: Vec<Vec<String>> =
            self.headers.then_some(header).into_iter().chain(rows).collect();
        let widths: Vec<usize> = (0..headers.len())
            .map(|column| {
                lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for line in &lines {
            let mut row = String::new();
            for (cell, widest) in line.iter().zip(&widths) {
                row.push_str(cell);
                row.push_str(&" ".repeat(widest - width(cell) + 2));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    fn state(&self, state: &str) -> String {
        match state_colour(state) {
            Some(colour) => paint(self.colour, colour, state),
            None => state.to_owned(),
        }
    }

    /// Checks, one a line.
    pub(crate) fn checks(&self, checks: &[v1::Check]) -> String {
        let rows = checks.iter().map(|check| {
            let verdict = check.verdict.clone().unwrap_or_default();
            vec![
                bare(&check.name),
                self.state(&state_and_flags(&verdict)),
                failing(&verdict),
                dash(&verdict.cause),
                ago(verdict.since_time.as_ref(), self.now),
                escaped(&check.target),
            ]
        });
        let headers = ["NAME", "STATE", "FAILING", "CAUSE", "SINCE", "TARGET"];
        self.draw(&headers, rows.collect())
    }

    /// Agents, one a line.
    pub(crate) fn agents(&self, agents: &[v1::Agent]) -> String {
        let rows = agents.iter().map(|agent| {
            let connected = if agent.connected { "yes" } else { "no" };
            let round_trip = agent.round_trip.as_ref().map(|wire| measured(length(wire)));
            vec![
                bare(&agent.name),
                bare(&agent.region),
                self.state(connected),
                dash(&agent.health),
                ago(agent.last_seen_time.as_ref(), self.now),
                round_trip.unwrap_or_else(|| "-".to_owned()),
                agent.spooled_result_count.to_string(),
                agent.dropped_result_count.to_string(),
                agent.config_errors.len().to_string(),
                dash(&escaped(&agent.version)),
            ]
        });
        let headers = [
            "NAME",
            "REGION",
            "CONNECTED",
            "HEALTH",
            "SEEN",
            "RTT",
            "SPOOLED",
            "DROPPED",
            "REFUSED",
            "VERSION",
        ];
        self.draw(&headers, rows.collect())
    }

    /// Regions, one a line.
    pub(crate) fn regions(&self, regions: &[v1::Region]) -> String {
        let rows = regions.iter().map(|region| {
            let labels: Vec<String> =
                region.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            vec![
                bare(&region.name),
                self.state(&region.state),
                format!("{}/{}", region.connected_agent_count, region.agent_count),
                dash(&labels.join(",")),
            ]
        });
        self.draw(&["NAME", "STATE", "AGENTS", "LABELS"], rows.collect())
    }

    /// Incidents, one a line.
    pub(crate) fn incidents(&self, incidents: &[v1::Incident]) -> String {
        let rows = incidents.iter().map(|incident| {
            let open = incident.open_time.as_ref().map(instant).unwrap_or_default();
            let end = incident.resolve_time.as_ref().map_or(self.now, instant);
            let detected = match &incident.time_to_detect {
                // Nobody could have known in time.
                _ if incident.is_past => "afterwards".to_owned(),
                Some(wire) => measured(length(wire)),
                None => "-".to_owned(),
            };
            let verdict = incident.verdict.clone().unwrap_or_default();
            vec![
                bare(&incident.name),
                bare(&incident.check),
                dash(&incident.severity),
                self.state(incident_state(incident.state)),
                ago(incident.open_time.as_ref(), self.now),
                rough(end - open),
                detected,
                dash(&verdict.cause),
            ]
        });
        let headers =
            ["NAME", "CHECK", "SEVERITY", "STATE", "OPENED", "LASTED", "DETECTED IN", "CAUSE"];
        self.draw(&headers, rows.collect())
    }

    /// Verdicts of one check, one a line: when each was reached, and for how long it was in force.
    pub(crate) fn verdicts(&self, verdicts: &[v1::PastVerdict]) -> String {
        let rows = verdicts.iter().map(|past| {
            let verdict = past.verdict.clone().unwrap_or_default();
            let ballot = verdict.ballot.as_ref();
            let taken = ballot.and_then(|ballot| ballot.take_time.as_ref()).map(instant);
            let end = past.end_time.as_ref().map_or(self.now, instant);
            vec![
                taken.map_or_else(|| "-".to_owned(), |at| at.to_string()),
                taken.map_or_else(|| "-".to_owned(), |at| rough(end - at)),
                self.state(&state_and_flags(&verdict)),
                failing(&verdict),
                dash(&verdict.cause),
                dash(&escaped(&verdict.summary)),
            ]
        });
        let headers = ["REACHED", "FOR", "STATE", "FAILING", "CAUSE", "SUMMARY"];
        self.draw(&headers, rows.collect())
    }

    /// One check with its ballot.
    pub(crate) fn check(&self, check: &v1::Check) -> String {
        let verdict = check.verdict.clone().unwrap_or_default();
        let regions: Vec<String> = check.regions.iter().map(|name| bare(name)).collect();
        let labels: Vec<String> =
            check.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let every = check.interval.as_ref().map(length).unwrap_or_default();
        let timeout = check.timeout.as_ref().map(length).unwrap_or_default();
        let mut rows = vec![
            ("Name", bare(&check.name)),
            ("State", self.state(&state_and_flags(&verdict))),
            ("Since", since(&verdict, self.now)),
            ("Cause", dash(&verdict.cause)),
            ("Also fits", dash(&verdict.also.join(", "))),
            ("Summary", dash(&escaped(&verdict.summary))),
            ("Target", format!("{} {}", check.kind, escaped(&check.target))),
            ("Every", quorate_model::HumanDuration(every).to_string()),
            ("Timeout", quorate_model::HumanDuration(timeout).to_string()),
            ("Quorum", check.quorum.clone()),
            ("Differ", dash(&check.distinct.join(", "))),
            ("Regions", regions.join(" ")),
            ("Labels", dash(&labels.join(","))),
            ("Runbook", dash(&check.runbook)),
            ("Incident", dash(&bare(&check.open_incident))),
        ];
        if !check.rejected_by.is_empty() {
            rows.push(("Refused by", check.rejected_by.join(" ")));
        }
        let mut text = String::new();
        for (key, value) in rows {
            text += format!("{key:<11}{value}\n").as_str();
        }
        if let Some(ballot) = &verdict.ballot {
            text.push('\n');
            text.push_str(&self.votes(ballot));
        }
        text
    }

    fn votes(&self, ballot: &v1::Ballot) -> String {
        let rows = ballot.votes.iter().map(|vote| {
            let age = vote.age.as_ref().map(|wire| rough(length(wire)));
            vec![
                bare(&vote.region),
                dash(&bare(&vote.agent)),
                self.state(&outcome(vote)),
                age.unwrap_or_else(|| "-".to_owned()),
                vote.counted.clone(),
                dash(&escaped(&vote.message)),
            ]
        });
        let headers = ["REGION", "AGENT", "VOTE", "AGE", "COUNTED", "EVIDENCE"];
        self.draw(&headers, rows.collect())
    }
}

/// Characters of a cell that take room: the colours, which are ours alone, do not.
fn width(cell: &str) -> usize {
    let coloured = cell.split('\u{1b}').skip(1);
    let codes: usize = coloured.map(|part| part.find('m').map_or(0, |end| end + 2)).sum();
    cell.chars().count().saturating_sub(codes)
}

/// One change of a verdict in a line.
pub(crate) fn change(check: &v1::Check, at: Timestamp, colour: bool) -> String {
    let verdict = check.verdict.clone().unwrap_or_default();
    let state = state_and_flags(&verdict);
    let painted = match state_colour(&state) {
        Some(shade) => paint(colour, shade, &state),
        None => state,
    };
    let summary = escaped(&verdict.summary);
    format!("{at}  {}  {painted}  {}  {summary}", bare(&check.name), failing(&verdict))
        .trim_end()
        .to_owned()
}

/// The word for a state on the wire.
pub(crate) fn state_word(state: i32) -> &'static str {
    match v1::State::try_from(state) {
        Ok(v1::State::Up) => "up",
        Ok(v1::State::Partial) => "partial",
        Ok(v1::State::Degraded) => "degraded",
        Ok(v1::State::Down) => "down",
        Ok(v1::State::Unknown | v1::State::Unspecified) | Err(_) => "unknown",
    }
}

/// The word for the state of an incident on the wire.
pub(crate) fn incident_state(state: i32) -> &'static str {
    use v1::incident::IncidentState;
    match IncidentState::try_from(state) {
        Ok(IncidentState::Open) => "open",
        Ok(IncidentState::Resolved) => "resolved",
        Ok(IncidentState::Unspecified) | Err(_) => "unknown",
    }
}

fn state_colour(state: &str) -> Option<Colour> {
    match state.split([' ', ',']).next()? {
        "up" | "live" | "ok" | "yes" | "resolved" => Some(Colour::Green),
        "partial" | "degraded" | "slow" | "blocked" | "island" => Some(Colour::Yellow),
        "down" | "fail" | "open" | "no" | "absent" => Some(Colour::Red),
        _ => Some(Colour::Dim),
    }
}

fn state_and_flags(verdict: &v1::Verdict) -> String {
    let mut text = state_word(verdict.state).to_owned();
    for flag in &verdict.flags {
        text.push(',');
        text.push_str(flag);
    }
    text
}

fn failing(verdict: &v1::Verdict) -> String {
    format!("{}/{}", verdict.failing_region_count, verdict.live_region_count)
}

fn since(verdict: &v1::Verdict, now: Timestamp) -> String {
    match &verdict.since_time {
        None => "-".to_owned(),
        Some(at) => format!("{} ({})", instant(at), ago(Some(at), now)),
    }
}

fn outcome(vote: &v1::Vote) -> String {
    match (vote.outcome.as_str(), vote.phase.as_str(), vote.reason.as_str()) {
        ("", _, _) => "-".to_owned(),
        (word, "", "") => word.to_owned(),
        (word, "", reason) => format!("{word} ({reason})"),
        (word, phase, reason) => format!("{word} ({phase}: {reason})"),
    }
}

/// The last part of a resource name such as `checks/shop`.
pub(crate) fn bare(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
