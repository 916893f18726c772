//! The embedded store: one `SQLite` file with its write-ahead log.
//!
//! A commit is on the disk when it returns (`synchronous=FULL`). Results are an append log; all
//! else is small tables. Nothing is cached here: what is asked is what is stored.

mod body;
mod fault;
mod join;
mod log;
mod past;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use quorate_model::{AgentId, CheckId, Incident, IncidentId, ReceiverId, Timestamp};
use rusqlite::{Connection, OpenFlags};

use self::fault::Fault;
use crate::{
    AgentRecord, ApiToken, DeliveryRecord, IncidentQuery, JoinToken, OutboxEntry, PastVerdict,
    Restored, ResultPage, ResultQuery, Store, StoreError, StoreKind, VerdictQuery, Write,
};

/// How long to wait for another program that has the file open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log after which it is written back: 16 MiB, so that a busy store does
/// not do it after each commit.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Bytes to which the file of the write-ahead log is cut back.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// The row of the registry.
pub(crate) const KIND: StoreKind = StoreKind { scheme: "sqlite", durable: true, open };

#[derive(Debug)]
struct Sqlite {
    place: String,
    connection: Connection,
}

fn open(path: &str) -> Result<Box<dyn Store>, StoreError> {
    let store = Sqlite::open(path)?;
    tracing::debug!(path, "store opened");
    Ok(Box::new(store))
}

impl Sqlite {
    fn open(path: &str) -> Result<Self, StoreError> {
        create(path).map_err(|message| StoreError::Engine {
            place: path.to_owned(),
            source: message.into(),
        })?;
        let connection = connect(path).map_err(|fault| fault.at(path))?;
        Ok(Self { place: path.to_owned(), connection })
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        ask(&self.connection).map_err(|fault| fault.at(&self.place))
    }

    fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        change(&mut self.connection).map_err(|fault| fault.at(&self.place))
    }
}

/// Makes the file, for its owner only, unless it is there. The engine gives the files beside it
/// the same mode.
fn create(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("it names no file: write sqlite:/path/to/quorate.db".to_owned());
    }
    let folder = match Path::new(path).parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(format!("there is no folder {}: create it first", folder.display()));
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("cannot create the file: {error}")),
    }
}

fn connect(path: &str) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

impl Store for Sqlite {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.write(|connection| write::commit(connection, writes))
    }

    fn restore(&mut self, results_since: Timestamp) -> Result<Restored, StoreError> {
        // One transaction: what is restored belongs together.
        self.write(|connection| {
            let snapshot = connection.transaction()?;
            Ok(Restored {
                checks: read::checks(&snapshot)?,
                watermarks: log::watermarks(&snapshot)?,
                results: log::results(&snapshot, results_since)?,
                next_round: log::next_round(&snapshot)?,
                memory: read::memory(&snapshot)?,
                heard: log::heard(&snapshot)?,
            })
        })
    }

    fn incidents(&mut self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
        self.read(|connection| read::incidents(connection, query))
    }

    fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        self.read(|connection| read::incident(connection, id))
    }

    fn verdicts(&mut self, query: &VerdictQuery) -> Result<Vec<PastVerdict>, StoreError> {
        self.read(|connection| past::verdicts(connection, query))
    }

    fn verdict_at(
        &mut self,
        check: &CheckId,
        at: Timestamp,
    ) -> Result<Option<PastVerdict>, StoreError> {
        self.read(|connection| past::verdict_at(connection, check, at))
    }

    fn results(&mut self, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        self.read(|connection| past::results(connection, query))
    }

    fn deliveries(&mut self, id: IncidentId) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| read::deliveries(connection, id))
    }

    fn due(
        &mut self,
        now: Timestamp,
        to: Option<&ReceiverId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.read(|connection| read::due(connection, now, to, limit))
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.read(read::next_due)
    }

    fn redeem(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<JoinToken>, StoreError> {
        self.write(|connection| join::redeem(connection, hash, now))
    }

    fn agents(&mut self) -> Result<Vec<AgentRecord>, StoreError> {
        self.read(read::agents)
    }

    fn agent(&mut self, id: &AgentId) -> Result<Option<AgentRecord>, StoreError> {
        self.read(|connection| read::agent(connection, id))
    }

    fn api_token(&mut self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        self.read(|connection| read::api_token(connection, hash))
    }

    fn forget_results(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(|connection| log::forget(connection, before))
    }
}
