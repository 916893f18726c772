//! What can go wrong, before it is known where.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::StoreError;

/// A failure of the store whose place the caller knows.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Bad { what: &'static str, detail: String },
    NoSuchDelivery(String),
    TooNew { found: u32, known: u32 },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// The error for a caller of the store at `place`.
    pub(super) fn at(self, place: &str) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Sql(error) => engine(place, error),
            Self::Bad { what, detail } => StoreError::Corrupt { place, what, detail },
            Self::NoSuchDelivery(key) => StoreError::NoSuchDelivery { place, key },
            Self::TooNew { found, known } => StoreError::TooNew { place, found, known },
        }
    }
}

fn engine(place: String, error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error().copied();
    match code.map(|cause| cause.code) {
        Some(ErrorCode::DiskFull) => StoreError::Full { place },
        // The index of the write-ahead log could not grow: only a lack of room does that.
        Some(ErrorCode::SystemIoFailure)
            if code.is_some_and(|cause| cause.extended_code == SQLITE_IOERR_SHMSIZE) =>
        {
            StoreError::Full { place }
        }
        // After a failed write or sync the system may have dropped pages that it reports as written
        // the next time.
        Some(ErrorCode::SystemIoFailure) => StoreError::Broken { place, source: Box::new(error) },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { place, what: "page", detail: error.to_string() }
        }
        _ => StoreError::Engine { place, source: Box::new(error) },
    }
}
