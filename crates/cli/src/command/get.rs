//! `quorate get`: what is known now.

use quorate_model::Timestamp;
use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::v1;
use quorate_runtime::Clock;
use serde_json::{Value, json};

use super::{connect, print_json};
use crate::args::{Get, Global, Output, StateArg};
use crate::connection::{Connection, question};
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::output::json as shape;
use crate::output::table::Look;

/// Entries asked for at a time.
const PAGE: i32 = 500;

/// Shows what was asked for.
///
/// # Cancellation
///
/// Dropping it stops asking.
pub(super) async fn run(
    get: &Get,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connection = connect(global, console).await?;
    let look = look(global, console);
    match get {
        Get::Checks { state, exit_code } => {
            let checks = checks(&connection, state.map(wire_state)).await?;
            let table = || look.checks(&checks);
            print_list("checks", &checks, shape::check, table, global, console)?;
            Ok(if *exit_code { worst(&checks) } else { Exit::Ok })
        }
        Get::Check { name, exit_code } => {
            let check = one_check(&connection, name).await?;
            if global.output.is_json() {
                print_json(&shape::check(&check), global, console)?;
            } else {
                console.out.text(&look.check(&check))?;
            }
            Ok(if *exit_code { worst(std::slice::from_ref(&check)) } else { Exit::Ok })
        }
        Get::Agents => {
            let agents = agents(&connection).await?;
            print_list("agents", &agents, shape::agent, || look.agents(&agents), global, console)?;
            Ok(Exit::Ok)
        }
        Get::Regions => {
            let regions = regions(&connection).await?;
            let table = || look.regions(&regions);
            print_list("regions", &regions, shape::region, table, global, console)?;
            Ok(Exit::Ok)
        }
        Get::Verdicts { name, since, until, limit } => {
            let now = Clock::start().now();
            let span = [since, until].map(|moment| moment.map(|moment| moment.instant(now)));
            let verdicts = verdicts(&connection, name, span, *limit).await?;
            let table = || look.verdicts(&verdicts);
            print_list("verdicts", &verdicts, shape::past_verdict, table, global, console)?;
            Ok(Exit::Ok)
        }
        Get::Incidents { check, open, limit } => {
            let incidents = incidents(&connection, check.as_deref(), *open, *limit).await?;
            let table = || look.incidents(&incidents);
            print_list("incidents", &incidents, shape::incident, table, global, console)?;
            Ok(Exit::Ok)
        }
    }
}

/// How tables are drawn for these options.
pub(super) fn look(global: &Global, console: &Console) -> Look {
    Look { now: Clock::start().now(), headers: !global.no_headers, colour: console.out.colours() }
}

/// One check with its ballot, asked for by its bare name or as `checks/…`.
pub(super) async fn one_check(connection: &Connection, name: &str) -> Result<v1::Check, Failure> {
    let request = v1::GetCheckRequest { name: check_name(name), view: v1::CheckView::Full.into() };
    match connection.checks().get_check(question(request)).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => {
            let mut failure = connection.failure(&status);
            if failure.exit == Exit::NotFound {
                failure.message.push_str("; `quorate get checks` lists those there are");
            }
            Err(failure)
        }
    }
}

/// The full name of a check.
pub(super) fn check_name(name: &str) -> String {
    if name.starts_with("checks/") { name.to_owned() } else { format!("checks/{name}") }
}

/// The wire form of a state.
pub(super) fn wire_state(state: StateArg) -> v1::State {
    match state {
        StateArg::Unknown => v1::State::Unknown,
        StateArg::Up => v1::State::Up,
        StateArg::Partial => v1::State::Partial,
        StateArg::Degraded => v1::State::Degraded,
        StateArg::Down => v1::State::Down,
    }
}

fn worst(checks: &[v1::Check]) -> Exit {
    let any = |state: v1::State| {
        checks
            .iter()
            .any(|check| check.verdict.as_ref().is_some_and(|verdict| verdict.state() == state))
    };
    if any(v1::State::Down) {
        Exit::Bad
    } else if any(v1::State::Unknown) {
        Exit::NoAnswer
    } else {
        Exit::Ok
    }
}

fn print_list<T>(
    key: &str,
    entries: &[T],
    shape: impl Fn(&T) -> Value,
    table: impl FnOnce() -> String,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    match global.output {
        Output::Table => {
            console.out.text(&table())?;
            if entries.is_empty() {
                console.note(&format!("no {key}"));
            }
            Ok(())
        }
        Output::Json => print_json(
            &json!({ key: entries.iter().map(shape).collect::<Vec<_>>() }),
            global,
            console,
        ),
        Output::Jsonl => {
            for entry in entries {
                console.out.line(&shape(entry).to_string())?;
            }
            Ok(())
        }
    }
}

/// All checks without their ballots.
pub(super) async fn checks(
    connection: &Connection,
    state: Option<v1::State>,
) -> Result<Vec<v1::Check>, Failure> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListChecksRequest {
            page_size: PAGE,
            page_token,
            view: v1::CheckView::Basic.into(),
            state: state.unwrap_or_default().into(),
        };
        let answer = connection.checks().list_checks(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        all.extend(page.checks);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn agents(connection: &Connection) -> Result<Vec<v1::Agent>, Failure> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListAgentsRequest { page_size: PAGE, page_token };
        let answer = connection.fleet().list_agents(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        all.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn regions(connection: &Connection) -> Result<Vec<v1::Region>, Failure> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListRegionsRequest { page_size: PAGE, page_token };
        let answer = connection.fleet().list_regions(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        all.extend(page.regions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// Incidents, the latest first.
pub(super) async fn incidents(
    connection: &Connection,
    check: Option<&str>,
    open_only: bool,
    limit: u32,
) -> Result<Vec<v1::Incident>, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListIncidentsRequest {
            page_size: i32::try_from(limit - all.len()).unwrap_or(PAGE).min(PAGE),
            page_token,
            check: check.map(check_name).unwrap_or_default(),
            open_only,
        };
        let answer = connection.incidents().list_incidents(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        all.extend(page.incidents);
        page_token = page.next_page_token;
        if page_token.is_empty() || all.len() >= limit {
            all.truncate(limit);
            return Ok(all);
        }
    }
}

async fn verdicts(
    connection: &Connection,
    check: &str,
    [since, until]: [Option<Timestamp>; 2],
    limit: u32,
) -> Result<Vec<v1::PastVerdict>, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListVerdictsRequest {
            page_size: i32::try_from(limit - all.len()).unwrap_or(PAGE).min(PAGE),
            page_token,
            check: check_name(check),
            start_time: since.map(timestamp_to_wire),
            end_time: until.map(timestamp_to_wire),
            view: v1::VerdictView::Full.into(),
        };
        let answer = connection.history().list_verdicts(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        all.extend(page.verdicts);
        page_token = page.next_page_token;
        if page_token.is_empty() || all.len() >= limit {
            all.truncate(limit);
            return Ok(all);
        }
    }
}
