//! `quorate watch`: verdicts as they change, one a line.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::watch_checks_response::Event;
use quorate_runtime::{Backoff, Clock};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use super::connect;
use super::get::{check_name, wire_state};
use crate::args::{Global, Watch};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::json as shape;
use crate::output::table::{self, bare};
use crate::output::{Console, time};

/// Watches until the time is up, the state is reached, or for ever.
///
/// # Cancellation
///
/// Dropping it stops watching.
pub(super) async fn run(
    watch: &Watch,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connection = connect(global, console).await?;
    let following = follow(watch, global, &connection, console);
    let Some(limit) = watch.timeout else {
        return following.await;
    };
    match tokio::time::timeout(limit, following).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new(
            Exit::NoAnswer,
            format!(
                "the time of {} is up{}",
                quorate_model::HumanDuration(limit),
                if watch.until.is_some() { " and the state was not reached" } else { "" }
            ),
        )),
    }
}

async fn follow(
    watch: &Watch,
    global: &Global,
    connection: &Connection,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut seen = Seen::default();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10), 1);
    let mut told = false;
    loop {
        let status = match stream(watch, global, connection, console, &mut seen).await? {
            End::Reached => return Ok(Exit::Ok),
            End::Broken(status) => status,
        };
        // Before the first snapshot an error is an answer; after it, the coordinator may come back.
        let lagged = status.code() == Code::ResourceExhausted;
        let gone = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
        if !seen.synced || !(lagged || gone || status.code() == Code::Ok) {
            return Err(connection.failure(&status));
        }
        if seen.fresh {
            backoff.reset();
            (seen.fresh, told) = (false, false);
        }
        if !lagged && !told {
            told = true;
            console.note("quorate: the coordinator is gone; waiting for it to come back");
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

/// What has been shown, so that a stream that begins anew repeats nothing.
#[derive(Debug, Default)]
struct Seen {
    states: BTreeMap<String, v1::Verdict>,
    synced: bool,
    fresh: bool,
}

enum End {
    Reached,
    Broken(Status),
}

async fn stream(
    watch: &Watch,
    global: &Global,
    connection: &Connection,
    console: &mut Console,
    seen: &mut Seen,
) -> Result<End, Failure> {
    let request = v1::WatchChecksRequest {
        names: watch.names.iter().map(|name| check_name(name)).collect(),
        view: v1::CheckView::Basic.into(),
    };
    let mut events = match connection.checks().watch_checks(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(End::Broken(status)),
    };
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(status) => return Ok(End::Broken(status)),
        };
        let at = event.event_time.as_ref().map_or_else(|| Clock::start().now(), time::instant);
        match event.event {
            Some(Event::Snapshot(check) | Event::Change(check)) => {
                let verdict = check.verdict.clone().unwrap_or_default();
                if seen.states.get(&check.name) != Some(&verdict) {
                    seen.states.insert(check.name.clone(), verdict);
                    if global.output.is_json() {
                        let line = serde_json::json!({
                            "time": at.to_string(),
                            "check": bare(&check.name),
                            "verdict": check.verdict.as_ref().map(shape::verdict),
                        });
                        console.out.line(&line.to_string())?;
                    } else {
                        console.out.line(&table::change(&check, at, console.out.colours()))?;
                    }
                }
            }
            Some(Event::Synced(_)) => (seen.synced, seen.fresh) = (true, true),
            Some(Event::KeepAlive(_)) | None => {}
        }
        let reached = |wanted: v1::State| seen.states.values().all(|it| it.state() == wanted);
        if seen.synced && watch.until.map(wire_state).is_some_and(reached) {
            return Ok(End::Reached);
        }
    }
    Ok(End::Broken(Status::ok("the stream has ended")))
}
