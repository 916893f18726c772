//! The schema and its versions.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Fault;

/// What brings a store from version `n` to `n + 1`, in order. Never edit one that was released.
const STEPS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// Tells our files from those of others: `QRTE` in ASCII.
const APPLICATION: i64 = 0x5152_5445;

/// The version that this program writes.
fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Brings the schema up to date, all steps in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let application: i64 =
        transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (found != 0 || tables != 0) {
        return Err(Fault::Bad {
            what: "database",
            detail: "it was made by another program; name another file".to_owned(),
        });
    }
    if found > known() {
        return Err(Fault::TooNew { found, known: known() });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    if found < known() {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", known())?;
    }
    transaction.commit()?;
    Ok(())
}
