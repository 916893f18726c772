//! Each rule has a file, which ends with the exact problems that it gives.
//!
//! `UPDATE=1 cargo test -p quorate-config --test rules` writes what is given now.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use quorate_config::{Problem, Severity, parse};

const MARK: &str = "# expect: ";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// How problems list the kinds of checks.
fn kinds() -> String {
    let names: Vec<&str> = quorate_checks::KINDS.iter().map(|kind| kind.name()).collect();
    format!("known kinds: {}", names.join(", "))
}

/// Compares the problems with the comments at the end of the file.
fn check(file: &Path, problems: impl Fn(&str) -> Vec<Problem>) -> Vec<Problem> {
    let text = fs::read_to_string(file).expect("the file can be read");
    let body: String =
        text.lines().filter(|l| !l.starts_with(MARK)).fold(String::new(), |t, l| t + l + "\n");
    let found = problems(&text);
    let whole = found.iter().fold(body, |mut whole, problem| {
        let shown = problem.to_string();
        // A new kind changes nothing about the rules.
        let shown = shown.replace(&kinds(), "known kinds: ...");
        let shown = shown.strip_prefix("f:").expect("the file's name comes first");
        writeln!(whole, "{MARK}{shown}").expect("a string takes all");
        whole
    });
    #[expect(clippy::disallowed_methods, reason = "the switch of a test is no configuration")]
    if std::env::var("UPDATE").is_ok() {
        fs::write(file, whole).expect("the file can be written");
    } else {
        assert_eq!(text, whole, "{}", file.display());
    }
    found
}

#[test]
fn each_invalid_file_gives_exactly_its_problems() {
    let files = files("invalid");
    assert!(files.len() >= 25, "there is a file for each rule");
    for file in files {
        let problems = check(&file, |text| parse("f", text).err().unwrap_or_default());
        let errors = problems.iter().filter(|p| p.severity == Severity::Error);
        assert!(errors.count() > 0, "{} is invalid", file.display());
    }
}

#[test]
fn each_valid_file_gives_exactly_its_warnings() {
    for file in files("valid") {
        check(&file, |text| match parse("f", text) {
            Ok(configuration) => configuration.warnings,
            Err(problems) => panic!("{}: {problems:#?}", file.display()),
        });
    }
}
