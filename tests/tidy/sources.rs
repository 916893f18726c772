//! Sizes and habits of source files.

use std::path::Path;

use crate::{files, name, none, root, text};

/// Lines of code in a file, tests not counted.
const CODE_LINES_MAX: usize = 500;
/// Lines in a file of tests.
const TEST_LINES_MAX: usize = 800;
/// Lines in a `main.rs` of a program.
const MAIN_LINES_MAX: usize = 80;

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The lines before the tests at the end of the file.
fn code_lines(source: &str) -> usize {
    let end = source.find("#[cfg(test)]\nmod tests {").unwrap_or(source.len());
    source[..end].lines().count()
}

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for path in files(&root(), ".rs") {
        let source = text(&path);
        let (lines, most) = if is_test(&path) {
            (source.lines().count(), TEST_LINES_MAX)
        } else if path.ends_with("src/main.rs") {
            (code_lines(&source), MAIN_LINES_MAX)
        } else {
            (code_lines(&source), CODE_LINES_MAX)
        };
        if lines > most {
            problems.push(format!("{}: {lines} lines, at most {most}", name(&path)));
        }
    }
    none("files that are too long", &problems);
}

#[test]
fn names_say_what_is_inside() {
    let vague = ["mod", "util", "utils", "helper", "helpers", "common", "misc", "manager"];
    let problems: Vec<String> = files(&root(), ".rs")
        .iter()
        .filter(|path| path.file_stem().is_some_and(|stem| vague.iter().any(|word| stem == *word)))
        .map(|path| name(path))
        .collect();
    none("files with a name that says nothing", &problems);
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["todo!(", "unimplemented!(", concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut problems = Vec::new();
    for ending in [".rs", ".proto", ".sh", ".py", ".toml"] {
        for path in files(&root(), ending).iter().filter(|path| !path.ends_with("tidy/sources.rs"))
        {
            let source = text(path);
            for word in words.iter().filter(|word| source.contains(**word)) {
                problems.push(format!("{}: {word}", name(path)));
            }
        }
    }
    none("things left to do", &problems);
}

#[test]
fn tests_wait_for_conditions_and_are_never_ignored() {
    let banned = ["thread::sleep(", "time::sleep(", concat!("#[ig", "nore")];
    let mut problems = Vec::new();
    for path in files(&root(), ".rs").iter().filter(|path| is_test(path)) {
        if path.ends_with("tidy/sources.rs") {
            continue;
        }
        for (number, line) in text(path).lines().enumerate() {
            if banned.iter().any(|word| line.contains(word)) {
                problems.push(format!("{}:{}: {}", name(path), number + 1, line.trim()));
            }
        }
    }
    none("tests that sleep or are ignored", &problems);
}

#[test]
fn every_lint_that_is_off_says_why() {
    let mut problems = Vec::new();
    for path in files(&root(), ".rs") {
        let source = text(&path);
        for (at, _) in source.match_indices("[expect(").chain(source.match_indices("[allow(")) {
            let attribute =
                &source[at..source[at..].find(")]").map_or(source.len(), |end| at + end)];
            let ours = !path.ends_with("tidy/sources.rs");
            if ours && !attribute.contains("reason") {
                problems.push(format!("{}: {attribute}", name(&path)));
            }
        }
    }
    none("lints switched off without a reason", &problems);
}
