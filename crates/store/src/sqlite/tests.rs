use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use quorate_model::State;
use tempfile::TempDir;

use super::*;
use crate::conformance::sample::{at, attempted, incident, result, transition, verdict};

fn place() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("quorate.db").display().to_string();
    (folder, path)
}

/// An error with its sources.
fn told(error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

fn results(numbers: std::ops::RangeInclusive<u64>) -> Write {
    Write::Results(numbers.map(|number| result("fra-1", 1, number, 0)).collect())
}

#[test]
fn its_files_are_for_their_owner_only() {
    let (folder, path) = place();
    let mut store = open(&path).unwrap();
    store.commit(&[results(1..=1)]).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["quorate.db", "quorate.db-shm", "quorate.db-wal"]);
}

#[test]
fn it_is_set_up_to_lose_nothing() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        store.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2");
    assert_eq!(pragma("foreign_keys"), "1");
    assert_eq!(pragma("trusted_schema"), "0");
    let sql = "SELECT timeout FROM pragma_busy_timeout";
    let busy: i64 = store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 5_000);
}

#[test]
fn a_place_that_is_not_there_is_an_error_that_says_what_to_do() {
    let (folder, path) = place();
    let missing = folder.path().join("no/such/quorate.db").display().to_string();
    let error = open(&missing).unwrap_err();
    let parent = PathBuf::from(&missing).parent().unwrap().display().to_string();
    assert_eq!(
        told(&error),
        format!("the store at {missing} failed: there is no folder {parent}: create it first")
    );
    let error = open("").unwrap_err();
    assert!(told(&error).contains("write sqlite:/path/to/quorate.db"), "{error:?}");
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Engine { .. })));
}

#[test]
fn verdicts_that_an_older_version_stored_are_found_by_their_time() {
    let (_folder, path) = place();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("schema_1.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x5152_5445).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    for millis in [0, 1_000] {
        let verdict = verdict(State::Down, millis, &[]);
        let past = body::Body::of("verdict", &verdict).unwrap();
        old.execute(
            "INSERT INTO verdict_history (check_id, sum, body) VALUES ('shop', ?1, ?2)",
            rusqlite::params![past.sum, past.json],
        )
        .unwrap();
    }
    drop(old);
    let mut store = open(&path).unwrap();
    let found = store.verdict_at(&"shop".parse().unwrap(), at(999)).unwrap().unwrap();
    assert_eq!(found.verdict, verdict(State::Down, 0, &[]));
    assert_eq!(found.ended, Some(at(1_000)));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    store.connection.pragma_update(None, "user_version", 7).unwrap();
    drop(store);
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 7, known: 3, .. }), "{error:?}");
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 7);
}

#[test]
fn files_of_others_are_refused() {
    let (folder, path) = place();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    drop(other);
    let error = open(&path).unwrap_err();
    assert!(told(&error).contains("made by another program"), "{error:?}");

    let letter = folder.path().join("letter.txt");
    fs::write(&letter, "Dear reader, ".repeat(1_000)).unwrap();
    let error = open(letter.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_full_store_changes_nothing_and_goes_on_when_there_is_room() {
    let (_folder, path) = place();
    let mut store = Sqlite::open(&path).unwrap();
    store.commit(&[results(1..=10)]).unwrap();
    let held = store.restore(at(0)).unwrap();
    let pages: i64 =
        store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let fault = incident("shop", 0, None);
    let much = [Write::Transition(Box::new(transition(&fault, &["oncall"]))), results(11..=1_000)];
    for _ in 0..2 {
        let error = store.commit(&much).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(store.restore(at(0)).unwrap(), held);
        assert_eq!(store.due(at(9), None, 10).unwrap(), []);
    }
    store.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    store.commit(&much).unwrap();
    assert_eq!(store.restore(at(0)).unwrap().results.len(), 1_000);
    assert_eq!(store.due(at(9), None, 10).unwrap().len(), 1);
}

#[test]
fn damaged_rows_are_named_and_never_served() {
    let fault = incident("shop", 0, None);
    let change = transition(&fault, &["oncall"]);
    for what in ["result", "verdict", "incident", "delivery"] {
        let (_folder, path) = place();
        let mut store = Sqlite::open(&path).unwrap();
        let key = &change.deliveries[0].key;
        let attempt = attempted(key, 1, crate::DeliveryState::Pending, None);
        let writes = [results(1..=1), Write::Transition(Box::new(change.clone())), attempt];
        store.commit(&writes).unwrap();
        // Still JSON of the right shape, so that only the checksum can tell.
        let sql = format!("UPDATE {what} SET body = replace(body, 'fra', 'frb')");
        assert_eq!(store.connection.execute(&sql, []).unwrap(), 1);
        let error = match what {
            "delivery" => store.due(at(9), None, 10).unwrap_err(),
            _ => store.restore(at(0)).unwrap_err(),
        };
        let named = format!(
            "the store at {path} holds a {what} that cannot be read: its checksum does not match"
        );
        assert_eq!(error.to_string(), named);
    }
}

#[test]
fn recent_results_are_found_without_reading_the_others() {
    let (_folder, path) = place();
    let mut store = Sqlite::open(&path).unwrap();
    for number in 1..=600 {
        let received = i64::try_from(number).unwrap() * 1_000;
        let one = result("fra-1", 1, number, received);
        store.commit(&[Write::Results(vec![one])]).unwrap();
    }
    // Older rows are made to look recent: whoever reads them takes them along.
    let recent = at(600_000).as_micros();
    let sql = "UPDATE result SET received = ?1 WHERE id < 500";
    assert_eq!(store.connection.execute(sql, [recent]).unwrap(), 499);
    assert_eq!(store.restore(at(560_000)).unwrap().results.len(), 41);
    let count =
        |sql: &str| -> i64 { store.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    let segments = count("SELECT count(*) FROM segment");
    assert!((50..=70).contains(&segments), "{segments}");
    let read = "SELECT sum(last - first + 1) FROM segment WHERE latest >= 1790000560000000";
    assert!(count(read) <= 41 + 11, "rows read for 41 results: {}", count(read));
}

#[test]
fn a_log_that_was_cut_off_anywhere_loses_only_its_tail() {
    let (folder, path) = place();
    let mut store = Sqlite::open(&path).unwrap();
    for number in 1..=20 {
        store.commit(&[results(number..=number)]).unwrap();
    }
    let log = fs::read(format!("{path}-wal")).unwrap();
    let copy = folder.path().join("copy.db").display().to_string();
    let mut most = 0;
    // The tables themselves are in the log, so what is left may be an empty store.
    for end in (0..=log.len()).step_by(4_093).chain([log.len()]) {
        fs::copy(&path, &copy).unwrap();
        fs::write(format!("{copy}-wal"), &log[..end]).unwrap();
        let found = open(&copy).unwrap().restore(at(0)).unwrap();
        let numbers: Vec<_> = found.results.iter().map(|result| result.id.sequence).collect();
        let count = u64::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "cut at {end}");
        assert!(count >= most, "cut at {end}");
        assert_eq!(found.watermarks.values().copied().max().unwrap_or(0), count);
        most = count;
    }
    assert_eq!(most, 20);
}
