//! The results: an append log with watermarks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use quorate_model::{AgentId, BootId, ProbeResult, RoundId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::body::{self, Body};
use super::fault::Fault;

/// Microseconds over which the results of one segment were received. What lies at the edge of a
/// reading is read in vain, so it is short; there is a row for each segment, so not too short.
const SEGMENT_SPAN: i64 = 10_000_000;

/// What the results of one commit entail; written once at its end.
#[derive(Debug, Default)]
pub(super) struct Tail {
    watermarks: BTreeMap<(AgentId, BootId), Watermark>,
    round: u64,
    rows: Option<RangeInclusive<i64>>,
    received: Option<RangeInclusive<i64>>,
}

#[derive(Debug, Clone, Copy)]
struct Watermark {
    sequence: u64,
    received: i64,
}

impl Tail {
    /// Appends results, passing over repetitions.
    pub(super) fn append(
        &mut self,
        transaction: &Transaction<'_>,
        results: &[ProbeResult],
    ) -> Result<(), Fault> {
        let mut insert = transaction
            .prepare_cached("INSERT INTO result (received, sum, body) VALUES (?1, ?2, ?3)")?;
        for result in results {
            let received = result.received.as_micros();
            if !self.raise(transaction, result, received)? {
                continue;
            }
            let body = Body::of("result", result)?;
            let row = insert.insert(params![received, body.sum, body.json])?;
            self.rows = Some(widen(self.rows.take(), row));
            self.received = Some(widen(self.received.take(), received));
            if let Some(round) = result.round {
                self.saw(round);
            }
        }
        Ok(())
    }

    /// Notes that a round was used.
    pub(super) fn saw(&mut self, round: RoundId) {
        // No coordinator gets beyond this; a larger number comes from a broken agent.
        if i64::try_from(round.0).is_ok() {
            self.round = self.round.max(round.0);
        }
    }

    /// Raises the watermark to the result. Returns false if the result is a repetition.
    fn raise(
        &mut self,
        transaction: &Transaction<'_>,
        result: &ProbeResult,
        received: i64,
    ) -> Result<bool, Fault> {
        let key = (result.id.agent.clone(), result.id.boot);
        let mark = match self.watermarks.get(&key) {
            Some(mark) => Some(*mark),
            None => stored(transaction, &key)?,
        };
        if result.id.sequence <= mark.map_or(0, |mark| mark.sequence) {
            return Ok(false);
        }
        let raised = Watermark {
            sequence: result.id.sequence,
            received: mark.map_or(received, |mark| received.max(mark.received)),
        };
        self.watermarks.insert(key, raised);
        Ok(true)
    }

    /// Writes what was noted.
    pub(super) fn write(self, transaction: &Transaction<'_>) -> Result<(), Fault> {
        if let (Some(rows), Some(received)) = (self.rows, self.received) {
            extend(transaction, &rows, &received)?;
        }
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO watermark (agent, boot, sequence, received) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET sequence = excluded.sequence, received = excluded.received",
        )?;
        for ((agent, boot), mark) in self.watermarks {
            let sequence = mark.sequence.cast_signed();
            let boot = boot.0.to_be_bytes();
            upsert.execute(params![agent.as_str(), boot, sequence, mark.received])?;
        }
        if self.round > 0 {
            transaction
                .prepare_cached("UPDATE round SET highest = max(highest, ?1)")?
                .execute([self.round.cast_signed()])?;
        }
        Ok(())
    }
}

fn widen(range: Option<RangeInclusive<i64>>, to: i64) -> RangeInclusive<i64> {
    match range {
        Some(range) => *range.start().min(&to)..=*range.end().max(&to),
        None => to..=to,
    }
}

/// Adds rows to the last segment, or begins a new one.
fn extend(
    transaction: &Transaction<'_>,
    rows: &RangeInclusive<i64>,
    received: &RangeInclusive<i64>,
) -> Result<(), Fault> {
    let last: Option<(i64, i64, i64)> = transaction
        .prepare_cached("SELECT first, earliest, latest FROM segment ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((first, earliest, latest)) = last {
        let (earliest, latest) = (earliest.min(*received.start()), latest.max(*received.end()));
        if latest.saturating_sub(earliest) <= SEGMENT_SPAN {
            transaction
                .prepare_cached(
                    "UPDATE segment SET last = ?2, earliest = ?3, latest = ?4 WHERE first = ?1",
                )?
                .execute(params![first, rows.end(), earliest, latest])?;
            return Ok(());
        }
    }
    transaction
        .prepare_cached(
            "INSERT INTO segment (first, last, earliest, latest) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![rows.start(), rows.end(), received.start(), received.end()])?;
    Ok(())
}

fn stored(
    transaction: &Transaction<'_>,
    (agent, boot): &(AgentId, BootId),
) -> Result<Option<Watermark>, Fault> {
    let mark = transaction
        .prepare_cached("SELECT sequence, received FROM watermark WHERE agent = ?1 AND boot = ?2")?
        .query_row(params![agent.as_str(), boot.0.to_be_bytes()], |row| {
            Ok(Watermark { sequence: row.get::<_, i64>(0)?.cast_unsigned(), received: row.get(1)? })
        })
        .optional()?;
    Ok(mark)
}

/// The results received at or after `since`, in the order in which they were stored.
pub(super) fn results(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<ProbeResult>, Fault> {
    let mut segments =
        connection.prepare("SELECT first, last FROM segment WHERE latest >= ?1 ORDER BY first")?;
    let mut rows = connection.prepare(
        "SELECT sum, body FROM result WHERE id BETWEEN ?1 AND ?2 AND received >= ?3 ORDER BY id",
    )?;
    let mut found = Vec::new();
    let mut spans = segments.query([since.as_micros()])?;
    while let Some(span) = spans.next()? {
        let (first, last): (i64, i64) = (span.get(0)?, span.get(1)?);
        let mut rows = rows.query(params![first, last, since.as_micros()])?;
        while let Some(row) = rows.next()? {
            found.push(body::read("result", row, 0)?);
        }
    }
    Ok(found)
}

/// The watermark of each run of each agent.
pub(super) fn watermarks(
    connection: &Connection,
) -> Result<BTreeMap<(AgentId, BootId), u64>, Fault> {
    let mut statement = connection.prepare("SELECT agent, boot, sequence FROM watermark")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let agent = super::read::id("watermark", row, 0)?;
        let boot = BootId(u128::from_be_bytes(row.get(1)?));
        found.insert((agent, boot), row.get::<_, i64>(2)?.cast_unsigned());
    }
    Ok(found)
}

/// When the last result of each agent was received.
pub(super) fn heard(connection: &Connection) -> Result<BTreeMap<AgentId, Timestamp>, Fault> {
    let sql = "SELECT agent, max(received) FROM watermark GROUP BY agent";
    let rows = super::read::all(connection, sql, [], |row| {
        Ok((super::read::id("watermark", row, 0)?, Timestamp::from_micros(row.get(1)?)))
    })?;
    Ok(rows.into_iter().collect())
}

/// A number above that of every round noted.
pub(super) fn next_round(connection: &Connection) -> Result<u64, Fault> {
    let highest: i64 = connection.query_row("SELECT highest FROM round", [], |row| row.get(0))?;
    Ok(highest.cast_unsigned() + 1)
}

/// Deletes what was received before `before`. Each segment is a transaction, so that the log of
/// the engine stays short however much there is to delete.
pub(super) fn forget(connection: &mut Connection, before: Timestamp) -> Result<u64, Fault> {
    let before = before.as_micros();
    let spans: Vec<(i64, i64, i64)> = connection
        .prepare("SELECT first, last, latest FROM segment WHERE earliest < ?1 ORDER BY first")?
        .query_map([before], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut deleted = 0;
    for (first, last, latest) in spans {
        let transaction = connection.transaction()?;
        let rows = transaction.execute(
            "DELETE FROM result WHERE id BETWEEN ?1 AND ?2 AND received < ?3",
            params![first, last, before],
        )?;
        if latest < before {
            transaction.execute("DELETE FROM segment WHERE first = ?1", [first])?;
        } else {
            let sql = "UPDATE segment SET earliest = ?2 WHERE first = ?1";
            transaction.execute(sql, [first, before])?;
        }
        transaction.commit()?;
        deleted += u64::try_from(rows).unwrap_or(u64::MAX);
    }
    connection.execute("DELETE FROM watermark WHERE received < ?1", [before])?;
    Ok(deleted)
}
