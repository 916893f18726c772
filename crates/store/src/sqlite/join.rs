//! How an agent joins.

use quorate_model::{IdError, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::fault::Fault;
use crate::JoinToken;

/// Uses up a token and registers its agent.
pub(super) fn redeem(
    connection: &mut Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<JoinToken>, Fault> {
    let sql = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let token = sql
        .prepare_cached(
            "UPDATE join_token SET used = ?2 WHERE hash = ?1 AND used IS NULL AND expires > ?2
             RETURNING agent, region, expires",
        )?
        .query_row(params![hash, now.as_micros()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((agent, region, expires)) = token else {
        return Ok(None);
    };
    sql.prepare_cached(
        "INSERT INTO agent (name, region, joined) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET region = excluded.region, joined = excluded.joined",
    )?
    .execute(params![agent, region, now.as_micros()])?;
    let bad = |error: IdError| Fault::Bad { what: "join token", detail: error.to_string() };
    let token = JoinToken {
        hash: *hash,
        agent: agent.parse().map_err(bad)?,
        region: region.parse().map_err(bad)?,
        expires: Timestamp::from_micros(expires),
    };
    sql.commit()?;
    Ok(Some(token))
}
