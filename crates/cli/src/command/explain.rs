//! `quorate explain`: the ballot in words, now or as it was, or a status code.

mod status;

use quorate_model::{CheckId, HumanDuration, Timestamp};
use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::convert::api::verdict_from_wire;
use quorate_proto::v1;
use quorate_runtime::Clock;
use quorate_verdict::explain::ballot_in_words;
use serde_json::{Value, json};
use tonic::Code;

use super::get::{self, check_name, one_check};
use super::past::one_incident;
use super::{connect, print_json};
use crate::args::{Explain, Global};
use crate::connection::{Connection, question};
use crate::exit::{Exit, Failure, bad};
use crate::output::table::{bare, incident_state};
use crate::output::time::instant;
use crate::output::{Console, escaped, json, sentence};

/// Says who voted what on a check, and why it was judged as it was; or what a status code means.
///
/// # Cancellation
///
/// Dropping it stops asking.
pub(super) async fn run(
    explain: &Explain,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let name = explain.name.as_deref().unwrap_or_default();
    if let Some(code) = status::code(name) {
        return status::run(code, global, console);
    }
    let connection = connect(global, console).await?;
    if let Some(incident) = &explain.incident {
        let incident = one_incident(&connection, incident).await?;
        return of_incident(&incident, global, console);
    }
    if let Some(at) = explain.at {
        let at = at.instant(Clock::start().now());
        let past = Past::find(&connection, name, at).await?;
        return past.show(global, console);
    }
    let check = one_check(&connection, name).await?;
    if global.output.is_json() {
        print_json(&json::check(&check), global, console)?;
        return Ok(Exit::Ok);
    }
    let verdict = check.verdict.unwrap_or_default();
    say(&words(&check.name, verdict)?, console)?;
    Ok(Exit::Ok)
}

fn words(check: &str, verdict: v1::Verdict) -> Result<Vec<String>, Failure> {
    let newer = |error: &dyn std::error::Error| {
        bad("this program cannot read the verdict; use the coordinator's release of it", error)
    };
    let id: CheckId = bare(check).parse().map_err(|error| newer(&error))?;
    let verdict = verdict_from_wire(verdict).map_err(|error| newer(&error))?;
    Ok(ballot_in_words(&id, &verdict))
}

fn say(lines: &[String], console: &mut Console) -> Result<(), Failure> {
    for line in lines {
        console.out.line(&sentence(line))?;
    }
    Ok(())
}

/// Why somebody was told of an incident.
fn of_incident(
    incident: &v1::Incident,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if global.output.is_json() {
        print_json(&json::incident(incident), global, console)?;
        return Ok(Exit::Ok);
    }
    let verdict = incident.verdict.clone().unwrap_or_default();
    say(&told(incident), console)?;
    console.out.line("")?;
    say(&words(&incident.check, verdict)?, console)?;
    Ok(Exit::Ok)
}

/// An incident, when it began, and who was told what.
fn told(incident: &v1::Incident) -> Vec<String> {
    let at = |wire: &Option<prost_types::Timestamp>| wire.as_ref().map(instant);
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let opened = at(&incident.open_time);
    let end = at(&incident.resolve_time).map(|end| format!(", resolved {end}")).unwrap_or_default();
    let mut lines = vec![format!(
        "incident {} of {} ({}, {}): opened {}{end}",
        bare(&incident.name),
        bare(&incident.check),
        incident.severity,
        incident_state(incident.state),
        time(opened),
    )];
    let first = at(&incident.first_failure_time);
    lines.push(match at(&incident.last_success_time) {
        Some(success) => {
            let most = opened.map(|opened| HumanDuration(opened.since(success)));
            let least = opened.zip(first).map(|(opened, first)| HumanDuration(opened.since(first)));
            let in_time = most.zip(least).filter(|_| !incident.is_past);
            let detected = in_time.map_or_else(String::new, |(most, least)| {
                format!(", so it was detected {least} to {most} after it")
            });
            format!(
                "it began between the last success ({success}) and the first failure ({}){detected}",
                time(first)
            )
        }
        None => format!("it began before the first failure ({})", time(first)),
    });
    if incident.is_past {
        lines.push(
            "it was found afterwards, from results that came late: the agents could not reach the \
             coordinator, or that was gone itself; the times are those of the results"
                .to_owned(),
        );
    }
    lines.extend(incident.deliveries.iter().map(|delivery| {
        let decided = delivery.decide_time.as_ref().map(|at| format!(" decided {}", instant(at)));
        let attempts = match delivery.attempt_count {
            0 => "not tried yet".to_owned(),
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        };
        let error = if delivery.error.is_empty() {
            String::new()
        } else {
            format!(": {}", escaped(&delivery.error))
        };
        format!(
            "{} to {}{}: {}, {attempts}{error}",
            delivery.kind,
            delivery.receiver,
            decided.unwrap_or_default(),
            delivery.state
        )
    }));
    lines.extend(untold(incident));
    lines
}

/// Why not everybody was told of an incident, or nobody.
fn untold(incident: &v1::Incident) -> Option<String> {
    let is_silent = incident.deliveries.is_empty();
    if incident.is_past {
        return Some("nobody was paged: it was over when it was found".to_owned());
    }
    if !incident.withheld_by.is_empty() {
        let names = escaped(&incident.withheld_by.join(", "));
        return Some(if is_silent {
            format!("nobody was told: its messages were withheld by {names}")
        } else {
            format!("messages about it were withheld by {names}")
        });
    }
    let severity = &incident.severity;
    is_silent.then(|| format!("nobody was told: the check had no receivers for a {severity}"))
}

/// What is known of a check at a moment of the past.
struct Past {
    check: String,
    at: Timestamp,
    /// The verdict that was in force.
    in_force: v1::PastVerdict,
    /// The incident that was open.
    incident: Option<v1::Incident>,
    /// What the stored results say of that moment, or why that is not known.
    anew: Result<v1::Verdict, String>,
}

impl Past {
    async fn find(connection: &Connection, name: &str, at: Timestamp) -> Result<Self, Failure> {
        let check = check_name(name);
        let time = Some(timestamp_to_wire(at));
        let request = v1::GetVerdictRequest { check: check.clone(), time };
        let in_force = match connection.history().get_verdict(question(request)).await {
            Ok(found) => found.into_inner(),
            Err(status) => {
                let mut failure = connection.failure(&status);
                if failure.exit == Exit::NotFound {
                    failure.message.push_str("; `quorate get verdicts` lists those it had");
                }
                return Err(failure);
            }
        };
        let incident = match open_at(connection, name, at).await? {
            Some(incident) => Some(one_incident(connection, &incident.name).await?),
            None => None,
        };
        let request = v1::RevoteCheckRequest { check: check.clone(), time };
        let anew = match connection.history().revote_check(question(request)).await {
            Ok(verdict) => Ok(verdict.into_inner()),
            Err(status) if status.code() == Code::PermissionDenied => {
                Err("that needs a token with the role operator".to_owned())
            }
            Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => {
                Err(escaped(status.message()))
            }
            Err(status) => return Err(connection.failure(&status)),
        };
        Ok(Self { check, at, in_force, incident, anew })
    }

    fn taken(&self) -> Option<Timestamp> {
        let ballot = self.in_force.verdict.as_ref()?.ballot.as_ref()?;
        ballot.take_time.as_ref().map(instant)
    }

    fn show(self, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
        if global.output.is_json() {
            print_json(&self.shape(), global, console)?;
            return Ok(Exit::Ok);
        }
        let (at, taken) = (self.at, self.taken());
        let began = taken.map(|taken| format!(" since {taken}")).unwrap_or_default();
        let ended = match self.in_force.end_time.as_ref().map(instant) {
            Some(end) => format!("until {end}"),
            None => "and still is".to_owned(),
        };
        console.out.line(&format!("at {at} this verdict was in force,{began} {ended}:"))?;
        say(&words(&self.check, self.in_force.verdict.unwrap_or_default())?, console)?;
        console.out.line("")?;
        match &self.incident {
            Some(incident) => say(&told(incident), console)?,
            None => {
                console.out.line("no incident was open then, so nobody had been told anything")?;
            }
        }
        // At the moment of a change its own ballot says everything.
        if taken == Some(at) {
            return Ok(Exit::Ok);
        }
        console.out.line("")?;
        match self.anew {
            Ok(verdict) => {
                console.out.line(
                    "only changes of a verdict are stored with their ballot; the results stored of \
                     that moment, voted anew:",
                )?;
                say(&words(&self.check, verdict)?, console)?;
            }
            Err(why) => console.out.line(&format!(
                "only changes of a verdict are stored with their ballot, and the results of that \
                 moment cannot be voted anew: {why}"
            ))?,
        }
        Ok(Exit::Ok)
    }

    fn shape(&self) -> Value {
        let (anew, problem) = match &self.anew {
            Ok(verdict) => (json::verdict(verdict), Value::Null),
            Err(why) => (Value::Null, why.as_str().into()),
        };
        json!({
            "check": bare(&self.check),
            "at": self.at.to_string(),
            "verdict": self.in_force.verdict.as_ref().map(json::verdict),
            "ended": self.in_force.end_time.as_ref().map(|end| instant(end).to_string()),
            "incident": self.incident.as_ref().map(json::incident),
            "voted_anew": anew,
            "voted_anew_problem": problem,
        })
    }
}

/// The incident of a check that was open at a moment.
async fn open_at(
    connection: &Connection,
    name: &str,
    at: Timestamp,
) -> Result<Option<v1::Incident>, Failure> {
    let incidents = get::incidents(connection, Some(name), false, u32::MAX).await?;
    Ok(incidents.into_iter().find(|incident| {
        let opened = incident.open_time.as_ref().map(instant);
        let resolved = incident.resolve_time.as_ref().map(instant);
        opened.is_some_and(|opened| opened <= at) && resolved.is_none_or(|end| at <= end)
    }))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::output::sample;

    #[test]
    fn an_incident_says_when_it_began_and_who_was_told() {
        assert_snapshot!(told(&sample::incidents()[0]).join("\n"));
        assert_snapshot!(told(&sample::incidents()[1]).join("\n"));
        assert_snapshot!(told(&sample::incidents()[2]).join("\n"));
        assert_snapshot!(told(&sample::incidents()[3]).join("\n"));
    }

    #[test]
    fn a_verdict_says_who_voted_and_what_its_origin_shows() {
        let check = sample::checks().swap_remove(1);
        let verdict = check.verdict.expect("a verdict");
        assert_snapshot!(words(&check.name, verdict).expect("words").join("\n"));
    }
}
