//! Commits.

use quorate_model::{CheckId, Delivery, Incident, IncidentState};
use rusqlite::{Connection, Transaction as Sql, TransactionBehavior, params};
use serde_json::Value;

use super::body::Body;
use super::fault::Fault;
use super::log::Tail;
use crate::{OutboxEntry, Transition, Write};

/// Applies all writes in one transaction.
pub(super) fn commit(connection: &mut Connection, writes: &[Write]) -> Result<(), Fault> {
    let sql = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut tail = Tail::default();
    for write in writes {
        apply(&sql, &mut tail, write)?;
    }
    tail.write(&sql)?;
    sql.commit()?;
    Ok(())
}

fn apply(sql: &Sql<'_>, tail: &mut Tail, write: &Write) -> Result<(), Fault> {
    match write {
        Write::Results(results) => tail.append(sql, results)?,
        Write::Transition(change) => transition(sql, tail, change)?,
        Write::Remember { check, memory } => {
            let check = check.as_ref().map_or("", CheckId::as_str);
            let body = Body::of("memory", memory)?;
            sql.prepare_cached(
                "INSERT INTO memory (check_id, sum, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET sum = excluded.sum, body = excluded.body",
            )?
            .execute(params![check, body.sum, body.json])?;
        }
        Write::Deliveries(entries) => deliveries(sql, entries)?,
        Write::Attempted { .. } => attempted(sql, write)?,
        Write::JoinToken(token) => {
            sql.prepare_cached(
                "DELETE FROM join_token WHERE agent = ?1 AND used IS NULL AND hash <> ?2",
            )?
            .execute(params![token.agent.as_str(), token.hash])?;
            sql.prepare_cached(
                "INSERT INTO join_token (hash, agent, region, expires) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                token.hash,
                token.agent.as_str(),
                token.region.as_str(),
                token.expires.as_micros(),
            ])?;
        }
        Write::ApiToken(token) => {
            sql.prepare_cached(
                "INSERT INTO api_token (hash, name, role) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET name = excluded.name, role = excluded.role",
            )?
            .execute(params![token.hash, token.name, token.role.as_str()])?;
        }
        Write::AgentSeen { agent, at, version } => {
            sql.prepare_cached("UPDATE agent SET seen = ?2, version = ?3 WHERE name = ?1")?
                .execute(params![agent.as_str(), at.as_micros(), version])?;
        }
    }
    Ok(())
}

fn transition(sql: &Sql<'_>, tail: &mut Tail, change: &Transition) -> Result<(), Fault> {
    let check = change.check.as_str();
    for round in &change.verdict.ballot.rounds {
        tail.saw(*round);
    }
    let memory: &Value = &change.memory;
    let now = Body::of("verdict", &(&change.verdict, memory))?;
    sql.prepare_cached(
        "INSERT INTO verdict (check_id, sum, body) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET sum = excluded.sum, body = excluded.body",
    )?
    .execute(params![check, now.sum, now.json])?;
    sql.prepare_cached("DELETE FROM memory WHERE check_id = ?1")?.execute([check])?;
    let past = Body::of("verdict", &change.verdict)?;
    let taken = change.verdict.ballot.taken.as_micros();
    sql.prepare_cached(
        "INSERT INTO verdict_history (check_id, taken, sum, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![check, taken, past.sum, past.json])?;
    if let Some(incident) = &change.incident {
        upsert(sql, incident)?;
    }
    deliveries(sql, &change.deliveries)
}

fn upsert(sql: &Sql<'_>, incident: &Incident) -> Result<(), Fault> {
    let body = Body::of("incident", incident)?;
    sql.prepare_cached(
        "INSERT INTO incident (id, check_id, open, sum, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET open = excluded.open, sum = excluded.sum, body = excluded.body",
    )?
    .execute(params![
        incident.id.0.to_be_bytes(),
        incident.check.as_str(),
        incident.state == IncidentState::Open,
        body.sum,
        body.json,
    ])?;
    Ok(())
}

fn deliveries(sql: &Sql<'_>, entries: &[OutboxEntry]) -> Result<(), Fault> {
    let mut insert = sql.prepare_cached(
        "INSERT INTO delivery (key, receiver, incident, state, attempts, next_attempt, sum, body)
         VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    for entry in entries {
        let incident = match &entry.delivery {
            Delivery::Alert(alert) => Some(alert.incident.id.0.to_be_bytes()),
            Delivery::Operator(_) => None,
        };
        let body = Body::of("delivery", &entry.delivery)?;
        insert.execute(params![
            entry.key,
            entry.receiver.as_str(),
            incident,
            entry.attempts,
            entry.next_attempt.as_micros(),
            body.sum,
            body.json,
        ])?;
    }
    Ok(())
}

fn attempted(sql: &Sql<'_>, write: &Write) -> Result<(), Fault> {
    let Write::Attempted { key, at, state, error, next_attempt } = write else {
        return Ok(());
    };
    let changed = sql
        .prepare_cached(
            "UPDATE delivery SET attempts = attempts + 1, last_attempt = ?2, state = ?3, error = ?4,
             next_attempt = coalesce(?5, next_attempt) WHERE key = ?1",
        )?
        .execute(params![
            key,
            at.as_micros(),
            state.as_str(),
            error,
            next_attempt.map(quorate_model::Timestamp::as_micros),
        ])?;
    if changed == 0 {
        return Err(Fault::NoSuchDelivery(key.clone()));
    }
    Ok(())
}
