//! `quorate replay`: what would have paged under another policy.

mod report;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use quorate_config::{Configuration, Problem};
use quorate_model::{Check, CheckId, Fleet, ProbeResult, Timestamp};
use quorate_runtime::Clock;
use quorate_verdict::Transition;
use quorate_verdict::replay::{Message, Replay as Judge, compare};

use self::report::{Compared, Report};
use super::config;
use super::past::{self, Span};
use super::{connect, export};
use crate::args::{Global, Replay, Switch};
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Console, escaped};
use crate::record::{self, AlertLine, Line};

/// Replays, and says what differs.
///
/// # Cancellation
///
/// Dropping it stops the replay where it is.
pub(super) async fn run(
    replay: &Replay,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let only = export::checks(&replay.checks)?;
    let Some(fleet) = fleet(&replay.config, console)? else {
        return Ok(Exit::Usage);
    };
    let against = match &replay.against {
        None => None,
        Some(file) => match fleet_of(file, &only, console)? {
            Some(fleet) => Some(fleet),
            None => return Ok(Exit::Usage),
        },
    };
    let fleet = changed(narrowed(fleet, &only, &replay.config)?, replay)?;
    let mut play = Play::new(fleet, against, only);
    let mut problems = 0_u64;
    match &replay.file {
        Some(file) => problems = from_file(file, replay, &mut play, console)?,
        None => from_coordinator(replay, &mut play, global, console).await?,
    }
    let report = play.end();
    report.print(global, console)?;
    Ok(if problems > 0 {
        Exit::Usage
    } else if replay.exit_code && report.differs() {
        Exit::Bad
    } else {
        Exit::Ok
    })
}

/// The fleet of a configuration, or nothing after its problems have been told.
fn fleet(file: &Path, console: &mut Console) -> Result<Option<Fleet>, Failure> {
    match config::parse(file)? {
        Ok(Configuration { fleet, .. }) => Ok(Some((*fleet).clone())),
        Err(problems) => {
            for problem in problems.iter().map(Problem::to_string) {
                let line = console.err.paint(Colour::Red, &escaped(&problem));
                console.note(&line);
            }
            Ok(None)
        }
    }
}

fn fleet_of(
    file: &Path,
    only: &[CheckId],
    console: &mut Console,
) -> Result<Option<Fleet>, Failure> {
    fleet(file, console)?.map(|fleet| narrowed(fleet, only, file)).transpose()
}

/// The fleet with these checks only, each of which it must have; with all if none is named.
fn narrowed(mut fleet: Fleet, only: &[CheckId], file: &Path) -> Result<Fleet, Failure> {
    if let Some(missing) = only.iter().find(|check| !fleet.checks.contains_key(*check)) {
        let message = format!("{} has no check {missing}", file.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    if !only.is_empty() {
        fleet.checks.retain(|check, _| only.contains(check));
    }
    Ok(fleet)
}

/// The fleet with the policy that the flags ask for.
fn changed(mut fleet: Fleet, replay: &Replay) -> Result<Fleet, Failure> {
    if replay.evidence == Some(Switch::Off) && replay.false_alerts.is_some() {
        let message = "with --evidence off no budget is kept: leave out --false-alerts";
        return Err(Failure::new(Exit::Usage, message));
    }
    for check in fleet.checks.values_mut() {
        let mut new = Check::clone(check);
        new.quorum = replay.quorum.unwrap_or(new.quorum);
        if let Some(budget) = replay.false_alerts {
            new.alert.false_alerts_per_year_milli = Some(budget);
            new.alert.ignores_evidence = false;
        }
        match replay.evidence {
            Some(Switch::On) => new.alert.ignores_evidence = false,
            Some(Switch::Off) => new.alert.ignores_evidence = true,
            None => {}
        }
        *check = Arc::new(new);
    }
    Ok(fleet)
}

/// One policy, and what it says.
struct Side {
    fleet: Arc<Fleet>,
    /// Begins with the first result.
    judge: Option<Judge>,
}

impl Side {
    fn new(fleet: Fleet) -> Self {
        Self { fleet: Arc::new(fleet), judge: None }
    }

    fn take(&mut self, result: ProbeResult) {
        let start = result.received;
        let fleet = &self.fleet;
        self.judge.get_or_insert_with(|| Judge::new(Arc::clone(fleet), start)).take(result);
    }

    fn said(&mut self) -> Vec<(Timestamp, Transition)> {
        self.judge.as_mut().map(Judge::transitions).unwrap_or_default()
    }
}

/// A replay under way.
struct Play {
    would: Side,
    against: Option<Side>,
    only: Vec<CheckId>,
    /// What was said; nothing if that was not recorded.
    did: Option<Vec<Message>>,
    /// Messages before this are not compared.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    results: u64,
}

impl Play {
    fn new(fleet: Fleet, against: Option<Fleet>, only: Vec<CheckId>) -> Self {
        Self {
            would: Side::new(fleet),
            against: against.map(Side::new),
            only,
            did: None,
            since: None,
            until: None,
            first: None,
            last: None,
            results: 0,
        }
    }

    fn is_wanted(&self, check: &CheckId) -> bool {
        self.only.is_empty() || self.only.contains(check)
    }

    fn take(&mut self, result: ProbeResult) {
        let is_late = self.until.is_some_and(|until| result.received >= until);
        if is_late || !self.is_wanted(&result.check) {
            return;
        }
        self.results += 1;
        self.first.get_or_insert(result.received);
        self.last = self.last.max(Some(result.received));
        if let Some(against) = &mut self.against {
            against.take(result.clone());
        }
        self.would.take(result);
    }

    fn heard(&mut self, alert: &AlertLine) {
        if self.is_wanted(&alert.check) && self.until.is_none_or(|until| alert.at < until) {
            self.did.get_or_insert_default().push(Message {
                at: alert.at,
                check: alert.check.clone(),
                kind: alert.kind,
                incident: alert.incident,
            });
        }
    }

    /// Lets the rest of the span pass, and compares.
    fn end(mut self) -> Report {
        let until = self.until.or(self.last);
        let sides = [Some(&mut self.would), self.against.as_mut()];
        for side in sides.into_iter().flatten() {
            if let (Some(judge), Some(until)) = (&mut side.judge, until) {
                judge.advance(until);
            }
        }
        let said = self.would.said();
        let would = messages(&said);
        let did = match &mut self.against {
            Some(against) => Some(messages(&against.said())),
            None => self.did,
        };
        let compared = did.map(|did| {
            let mut differences = compare(&did, &would);
            let since = self.since.unwrap_or(Timestamp::from_micros(i64::MIN));
            differences.retain(|difference| difference.change.at() >= since);
            Compared { differences, with_configuration: self.against.is_some() }
        });
        let judge = self.would.judge.as_ref();
        Report {
            results: self.results,
            left_out: judge.map_or(0, Judge::left_out),
            of_other_revisions: judge.map_or(0, Judge::of_other_revisions),
            from: self.since.max(self.first),
            until,
            said: said.into_iter().filter(|(at, _)| Some(*at) >= self.since).collect(),
            compared,
        }
    }
}

/// The messages of transitions, each once whoever gets it.
fn messages(transitions: &[(Timestamp, Transition)]) -> Vec<Message> {
    let all: BTreeSet<Message> = transitions
        .iter()
        .flat_map(|(_, transition)| &transition.alerts)
        .map(|(_, alert)| Message {
            at: alert.at,
            check: alert.incident.check.clone(),
            kind: alert.kind,
            incident: alert.incident.id,
        })
        .collect();
    all.into_iter().collect()
}

/// Plays a file. Returns how many of its lines could not be read.
fn from_file(
    file: &Path,
    replay: &Replay,
    play: &mut Play,
    console: &mut Console,
) -> Result<u64, Failure> {
    let name = file.display().to_string();
    let unreadable =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("cannot read {name}: {error}"));
    let now = Clock::start().now();
    play.since = replay.since.map(|since| since.instant(now));
    play.until = replay.until.map(|until| until.instant(now));
    let input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    let mut problems = 0;
    let take = |line| match line {
        Line::Export(export) => {
            play.since = play.since.or(Some(export.since));
            play.until = play.until.or(Some(export.until));
            play.did.get_or_insert_default();
        }
        Line::Result(result) => play.take((*result).into()),
        Line::Alert(alert) => play.heard(&alert),
    };
    let problem = |problem: String| {
        problems += 1;
        console.note(&escaped(&problem));
    };
    record::read(&name, input, take, problem).map_err(unreadable)?;
    if problems > 0 {
        console.note(&format!(
            "quorate: {problems} lines of {name} could not be read: what they hold is missing from \
             this answer"
        ));
    }
    Ok(problems)
}

async fn from_coordinator(
    replay: &Replay,
    play: &mut Play,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    let now = Clock::start().now();
    let since = replay.since.map_or(now, |since| since.instant(now));
    let until = replay.until.map_or(now, |until| until.instant(now));
    let connection = connect(global, console).await?;
    let span = Span::new(since, until, past::freshness(&connection).await?);
    (play.since, play.until) = (Some(since), Some(until));
    play.did = Some(Vec::new());
    let only = play.only.clone();
    for alert in past::alerts(&connection, &only, span).await? {
        play.heard(&alert);
    }
    past::results(&connection, &only, span, |result| {
        play.take(result);
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests;
