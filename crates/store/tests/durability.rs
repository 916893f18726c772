//! Nothing that a commit acknowledged is lost: not when the process is killed, not when the disk
//! is full.
//!
//! This program starts itself as a child, so it is its own `main`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what it expects, and this one reports by itself"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quorate_model::{BootId, ProbeResult};
use quorate_store::conformance::sample::{at, id, incident, result, transition};
use quorate_store::{IncidentQuery, Store, StoreError, VerdictQuery, Write};
use tempfile::TempDir;

/// How often the writer is killed.
const KILLS: u64 = 20;

/// Results in each commit of the writer.
const BATCH: u64 = 3;

/// What the child answers when it may not mount a file system.
const SKIPPED: i32 = 77;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child-append", folder] => append(Path::new(folder)),
        ["child-fill", folder] => fill(Path::new(folder)),
        // `cargo test -- --list` asks every test program.
        other if other.contains(&"--list") => println!("2 tests"),
        _ => {
            killed();
            println!("test a_killed_writer_loses_nothing_acknowledged ... ok");
            match full_disk() {
                Ok(()) => println!("test a_full_disk_loses_nothing_acknowledged ... ok"),
                Err(why) => {
                    println!("test a_full_disk_loses_nothing_acknowledged ... skipped: {why}");
                    println!("1 skipped");
                }
            }
        }
    }
}

fn open(folder: &Path) -> Box<dyn Store> {
    let url = format!("sqlite:{}/quorate.db", folder.display());
    quorate_store::open(&url).expect("the store opens")
}

/// Commit `number`: some results and a transition with its incident and its message.
fn commit(number: u64) -> [Write; 2] {
    let millis = i64::try_from(number).expect("a small number");
    let results: Vec<ProbeResult> = ((number - 1) * BATCH + 1..=number * BATCH)
        .map(|sequence| result("fra-1", 1, sequence, millis))
        .collect();
    let change = transition(&incident("shop", millis, None), &["oncall"]);
    [Write::Results(results), Write::Transition(Box::new(change))]
}

/// The number of whole commits in the store. Panics if any of them is there in part or twice.
fn whole_commits(store: &mut dyn Store) -> u64 {
    let restored = store.restore(at(0)).expect("restore");
    let sequences: Vec<u64> = restored.results.iter().map(|result| result.id.sequence).collect();
    let all = u64::try_from(sequences.len()).expect("a number");
    assert_eq!(sequences, (1..=all).collect::<Vec<_>>(), "no gap, no repetition");
    assert_eq!(all % BATCH, 0, "whole commits only");
    let commits = all / BATCH;
    let mark = restored.watermarks.get(&(id("fra-1"), BootId(1))).copied();
    assert_eq!(mark.unwrap_or(0), all);
    let query = IncidentQuery { limit: usize::MAX, ..IncidentQuery::default() };
    let found = [
        store.incidents(&query).expect("incidents").len(),
        store.due(at(1_000_000), None, usize::MAX).expect("due").len(),
        store.verdicts(&VerdictQuery::latest(id("shop"), usize::MAX)).expect("verdicts").len(),
    ];
    let expected = usize::try_from(commits).expect("a number");
    assert_eq!(found, [expected; 3], "incidents, messages and verdicts");
    commits
}

/// Commits for ever, and says after each which it was.
fn append(folder: &Path) {
    let mut store = open(folder);
    let mut out = std::io::stdout();
    for number in whole_commits(store.as_mut()) + 1.. {
        store.commit(&commit(number)).expect("commit");
        writeln!(out, "{number}").and_then(|()| out.flush()).expect("the parent listens");
    }
}

fn killed() {
    let folder = TempDir::new().expect("a folder");
    let this = std::env::current_exe().expect("this program");
    let mut acknowledged = 0;
    for cycle in 0..KILLS {
        let mut child = Command::new(&this)
            .arg("child-append")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // The kill comes at some point of a later commit, while the writer goes on.
        let mut number = |line: std::io::Result<String>| {
            acknowledged = line.expect("a line").parse().expect("a number");
        };
        for line in lines.by_ref().take(usize::try_from(cycle * 7 % 40 + 1).expect("small")) {
            number(line);
        }
        // From cycle to cycle a little later within that commit.
        for _ in 0..cycle * 10_000 {
            std::hint::spin_loop();
        }
        child.kill().expect("kill");
        lines.for_each(&mut number);
        child.wait().expect("the writer has ended");
        let found = whole_commits(open(folder.path()).as_mut());
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "cycle {cycle}: {acknowledged} acknowledged, {found} found"
        );
    }
    assert!(acknowledged >= KILLS);
}

/// Runs [`fill`] on a file system of 4 MiB of its own, which is gone when it ends.
fn full_disk() -> Result<(), String> {
    let folder = TempDir::new().expect("a folder");
    let this = std::env::current_exe().expect("this program");
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs \"$0\" || exit {SKIPPED}; exec \"$1\" child-fill \"$0\""
    );
    // A name space of its own keeps the mount away from everybody else.
    for flags in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let status = Command::new("unshare")
            .args(flags)
            .args(["sh", "-c", &script])
            .arg(folder.path())
            .arg(&this)
            .stderr(Stdio::inherit())
            .status();
        match status.map(|status| status.code()) {
            Ok(Some(0)) => return Ok(()),
            // 1 is what `unshare` itself answers.
            Ok(Some(SKIPPED | 1)) | Err(_) => {}
            Ok(code) => assert_eq!(code, Some(0), "the child failed"),
        }
    }
    Err("mounting a small file system is not permitted here".to_owned())
}

/// Fills the disk that holds `folder`, then makes room.
fn fill(folder: &Path) {
    let ballast: PathBuf = folder.join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).expect("ballast");
    let mut store = open(folder);
    let mut acknowledged = 0;
    let error = loop {
        match store.commit(&commit(acknowledged + 1)) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(acknowledged > 10, "{acknowledged}");
    let again = store.commit(&commit(acknowledged + 1)).expect_err("still full");
    assert!(matches!(again, StoreError::Full { .. }), "{again:?}");
    assert_eq!(whole_commits(store.as_mut()), acknowledged, "readable while full");
    fs::remove_file(&ballast).expect("room");
    for number in acknowledged + 1..acknowledged + 11 {
        store.commit(&commit(number)).expect("commit after there is room");
    }
    drop(store);
    assert_eq!(whole_commits(open(folder).as_mut()), acknowledged + 10);
}
