//! Questions.

use std::collections::BTreeMap;
use std::str::FromStr;

use quorate_model::{AgentId, CheckId, Incident, IncidentId, ReceiverId, Timestamp, Verdict};
use rusqlite::{Connection, Params, Row, params};
use serde_json::Value;

use super::body;
use super::fault::Fault;
use crate::{
    AgentRecord, ApiToken, DeliveryRecord, DeliveryState, IncidentQuery, OutboxEntry,
    RestoredCheck, Role,
};

/// An identifier in column `at`.
pub(super) fn id<T>(what: &'static str, row: &Row<'_>, at: usize) -> Result<T, Fault>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let text: String = row.get(at)?;
    text.parse().map_err(|error: T::Err| Fault::Bad { what, detail: error.to_string() })
}

/// All rows of a query, each through `read`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// `limit` as the engine takes it.
pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn time(row: &Row<'_>, at: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_micros(row.get(at)?))
}

pub(super) fn optional_time(row: &Row<'_>, at: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_micros))
}

/// The last verdict of each check, with its latest incident.
pub(super) fn checks(connection: &Connection) -> Result<BTreeMap<CheckId, RestoredCheck>, Fault> {
    let rows = all(connection, "SELECT sum, body, check_id FROM verdict", [], |row| {
        let (verdict, memory): (Verdict, Value) = body::read("verdict", row, 0)?;
        Ok((id::<CheckId>("verdict", row, 2)?, verdict, memory))
    })?;
    let later = all(connection, "SELECT sum, body, check_id FROM memory", [], |row| {
        Ok((row.get::<_, String>(2)?, body::read::<Value>("memory", row, 0)?))
    })?;
    let mut later: BTreeMap<String, Value> = later.into_iter().collect();
    let mut found = BTreeMap::new();
    for (check, verdict, memory) in rows {
        let memory = later.remove(check.as_str()).unwrap_or(memory);
        let incident = latest(connection, &check)?;
        found.insert(check, RestoredCheck { verdict, incident, memory });
    }
    Ok(found)
}

/// The open incident of a check, or else the latest: not one that was found when it was over, which
/// may have come after one that is still open.
fn latest(connection: &Connection, check: &CheckId) -> Result<Option<Incident>, Fault> {
    let mut query =
        IncidentQuery { check: Some(check.clone()), limit: 1, ..IncidentQuery::default() };
    let open = incidents(connection, &IncidentQuery { open_only: true, ..query.clone() })?;
    let mut found = open.into_iter().next();
    while found.is_none() {
        let Some(next) = incidents(connection, &query)?.pop() else {
            break;
        };
        query.after = Some(next.id);
        found = Some(next).filter(|incident| !incident.is_past);
    }
    Ok(found)
}

/// What the engine remembered of the whole.
pub(super) fn memory(connection: &Connection) -> Result<Option<Value>, Fault> {
    let sql = "SELECT sum, body FROM memory WHERE check_id = ''";
    Ok(all(connection, sql, [], |row| body::read("memory", row, 0))?.pop())
}

/// Incidents, the latest opened first.
pub(super) fn incidents(
    connection: &Connection,
    query: &IncidentQuery,
) -> Result<Vec<Incident>, Fault> {
    // Only the conditions that hold are written, so that each combination has its index.
    let mut sql = "SELECT sum, body FROM incident WHERE true".to_owned();
    if query.check.is_some() {
        sql.push_str(" AND check_id = ?1");
    }
    if query.open_only {
        sql.push_str(" AND open = 1");
    }
    if query.after.is_some() {
        sql.push_str(" AND id < ?2");
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?3");
    let check = query.check.as_ref().map(CheckId::as_str);
    let after = query.after.map(|id| id.0.to_be_bytes());
    all(connection, &sql, params![check, after, bound(query.limit)], |row| {
        body::read("incident", row, 0)
    })
}

/// One incident.
pub(super) fn incident(connection: &Connection, id: IncidentId) -> Result<Option<Incident>, Fault> {
    let sql = "SELECT sum, body FROM incident WHERE id = ?1";
    let read = |row: &Row<'_>| body::read("incident", row, 0);
    Ok(all(connection, sql, [id.0.to_be_bytes()], read)?.pop())
}

/// The columns that [`entry`] reads.
const ENTRY: &str = "sum, body, key, receiver, attempts, next_attempt";

fn entry(row: &Row<'_>) -> Result<OutboxEntry, Fault> {
    Ok(OutboxEntry {
        key: row.get(2)?,
        receiver: id("delivery", row, 3)?,
        delivery: body::read("delivery", row, 0)?,
        attempts: row.get(4)?,
        next_attempt: time(row, 5)?,
    })
}

/// What was sent about an incident.
pub(super) fn deliveries(
    connection: &Connection,
    id: IncidentId,
) -> Result<Vec<DeliveryRecord>, Fault> {
    let sql = format!(
        "SELECT {ENTRY}, state, last_attempt, error FROM delivery WHERE incident = ?1 ORDER BY id"
    );
    all(connection, &sql, [id.0.to_be_bytes()], |row| {
        let state: String = row.get(6)?;
        Ok(DeliveryRecord {
            entry: entry(row)?,
            state: DeliveryState::from_word(&state).ok_or_else(|| unknown("delivery", &state))?,
            last_attempt: optional_time(row, 7)?,
            error: row.get(8)?,
        })
    })
}

fn unknown(what: &'static str, word: &str) -> Fault {
    Fault::Bad { what, detail: format!("{word:?} is not a word for it") }
}

/// Deliveries that are due, at most `limit` to each receiver.
pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    to: Option<&ReceiverId>,
    limit: usize,
) -> Result<Vec<OutboxEntry>, Fault> {
    // The bodies of those beyond the limit are not read.
    let sql = format!(
        "SELECT {ENTRY} FROM delivery WHERE id IN (
           SELECT id FROM (
             SELECT id, row_number() OVER (PARTITION BY receiver ORDER BY id) AS place
             FROM delivery
             WHERE state = 'pending' AND next_attempt <= ?1 AND (?2 IS NULL OR receiver = ?2))
           WHERE place <= ?3)
         ORDER BY id"
    );
    let to = to.map(ReceiverId::as_str);
    all(connection, &sql, params![now.as_micros(), to, bound(limit)], entry)
}

/// When the next delivery is due.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let sql = "SELECT min(next_attempt) FROM delivery WHERE state = 'pending'";
    let rows = all(connection, sql, [], |row| optional_time(row, 0))?;
    Ok(rows.into_iter().next().flatten())
}

fn record(row: &Row<'_>) -> Result<AgentRecord, Fault> {
    Ok(AgentRecord {
        agent: id("agent", row, 0)?,
        region: id("agent", row, 1)?,
        joined: time(row, 2)?,
        seen: optional_time(row, 3)?,
        version: row.get(4)?,
    })
}

/// The agents that have joined, by name.
pub(super) fn agents(connection: &Connection) -> Result<Vec<AgentRecord>, Fault> {
    let sql = "SELECT name, region, joined, seen, version FROM agent ORDER BY name";
    all(connection, sql, [], record)
}

/// One agent.
pub(super) fn agent(connection: &Connection, id: &AgentId) -> Result<Option<AgentRecord>, Fault> {
    let sql = "SELECT name, region, joined, seen, version FROM agent WHERE name = ?1";
    Ok(all(connection, sql, [id.as_str()], record)?.pop())
}

/// The API token with this hash.
pub(super) fn api_token(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<ApiToken>, Fault> {
    let sql = "SELECT name, role FROM api_token WHERE hash = ?1";
    let found = all(connection, sql, [hash], |row| {
        let role: String = row.get(1)?;
        Ok(ApiToken {
            hash: *hash,
            name: row.get(0)?,
            role: Role::from_word(&role).ok_or_else(|| unknown("token", &role))?,
        })
    })?;
    Ok(found.into_iter().next())
}
