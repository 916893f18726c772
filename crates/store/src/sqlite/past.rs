//! Questions about the past.

use quorate_model::{CheckId, ProbeResult, Timestamp};
use rusqlite::{Connection, Row, params};

use super::body;
use super::fault::Fault;
use super::read::{all, bound, optional_time};
use crate::{PastVerdict, ResultPage, ResultQuery, VerdictQuery};

/// The columns that [`past`] reads.
const PAST: &str = "past.id, past.sum, past.body,
    (SELECT next.taken FROM verdict_history AS next
     WHERE next.check_id = past.check_id AND next.id > past.id ORDER BY next.id LIMIT 1)";

fn past(row: &Row<'_>) -> Result<PastVerdict, Fault> {
    Ok(PastVerdict {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        verdict: body::read("verdict", row, 1)?,
        ended: optional_time(row, 3)?,
    })
}

/// The verdicts that a check has had, the latest first.
pub(super) fn verdicts(
    connection: &Connection,
    query: &VerdictQuery,
) -> Result<Vec<PastVerdict>, Fault> {
    let sql = format!(
        "SELECT {PAST} FROM verdict_history AS past
         WHERE check_id = ?1 AND id < ?2 AND taken >= ?3 AND taken < ?4
         ORDER BY id DESC LIMIT ?5"
    );
    let micros = |at: Option<Timestamp>, default| at.map_or(default, Timestamp::as_micros);
    let before = query.before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
    let (from, until) = (micros(query.from, i64::MIN), micros(query.until, i64::MAX));
    let bounds = params![query.check.as_str(), before, from, until, bound(query.limit)];
    all(connection, &sql, bounds, past)
}

/// The verdict that was in force at a time.
pub(super) fn verdict_at(
    connection: &Connection,
    check: &CheckId,
    at: Timestamp,
) -> Result<Option<PastVerdict>, Fault> {
    let sql = format!(
        "SELECT {PAST} FROM verdict_history AS past WHERE check_id = ?1 AND taken <= ?2
         ORDER BY id DESC LIMIT 1"
    );
    Ok(all(connection, &sql, params![check.as_str(), at.as_micros()], past)?.pop())
}

/// Results received in a span of time. A span of numbers holds at most as many rows, which is what
/// keeps one question short.
pub(super) fn results(connection: &Connection, query: &ResultQuery) -> Result<ResultPage, Fault> {
    let mut seen = query.after.map_or(0, |number| i64::try_from(number).unwrap_or(i64::MAX));
    let (from, until) = (query.from.as_micros(), query.until.as_micros());
    let mut segments = connection.prepare_cached(
        "SELECT first, last FROM segment WHERE last > ?1 AND latest >= ?2 AND earliest < ?3
         ORDER BY first",
    )?;
    // The text of the name, to read only what can be of the check; what it is decides.
    let needle = query.check.as_ref().map(|check| format!("\"check\":\"{check}\""));
    let mut rows = connection.prepare_cached(
        "SELECT id, sum, body FROM result WHERE id BETWEEN ?1 AND ?2 AND received >= ?3
         AND received < ?4 AND (?5 IS NULL OR instr(body, ?5) > 0) ORDER BY id",
    )?;
    let mut page = ResultPage { results: Vec::new(), next: None };
    let mut budget = bound(query.scan.max(1));
    let mut spans = segments.query(params![seen, from, until])?;
    while let Some(span) = spans.next()? {
        let (first, last): (i64, i64) = (span.get(0)?, span.get(1)?);
        let start = first.max(seen + 1);
        let end = last.min(start.saturating_add(budget - 1));
        let mut found = rows.query(params![start, end, from, until, needle])?;
        while let Some(row) = found.next()? {
            if page.results.len() >= query.limit {
                page.next = Some(seen.cast_unsigned());
                return Ok(page);
            }
            seen = row.get(0)?;
            let result: ProbeResult = body::read("result", row, 1)?;
            if query.check.as_ref().is_none_or(|check| result.check == *check) {
                page.results.push((seen.cast_unsigned(), result));
            }
        }
        seen = end;
        budget -= end - start + 1;
        if budget <= 0 {
            page.next = Some(end.cast_unsigned());
            break;
        }
    }
    Ok(page)
}
