//! Every scenario of the repository, played with the real core.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

use std::path::{Path, PathBuf};

use quorate_sim::{Played, Scenario};

/// Scenarios whose expectations the product does not meet yet, and what they wait for.
const AWAITED: &[(&str, &str)] = &[];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(&folder).expect("tests/scenarios");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    files
}

fn scenario(file: &Path) -> Scenario {
    let text = std::fs::read_to_string(file).expect("a readable file");
    let name = file.file_name().expect("a name").to_string_lossy();
    quorate_sim::parse(&name, &text).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

fn play(scenario: &Scenario, seed: u64) -> Played {
    quorate_sim::play(scenario, seed).expect("a fleet")
}

/// What does not hold in one file, or holds although it is awaited.
fn problems(file: &Path) -> Vec<String> {
    let scenario = scenario(file);
    let rulings = quorate_sim::judge(&scenario, &play(&scenario, 1));
    let broken: Vec<String> = rulings
        .into_iter()
        .filter_map(|ruling| {
            let instead = ruling.instead?;
            Some(format!("{}: {}: {instead}", ruling.place, ruling.expected))
        })
        .collect();
    match AWAITED.iter().find(|(name, _)| *name == scenario.name) {
        Some((name, what)) if broken.is_empty() => {
            vec![format!("{name} holds now: it no longer waits for {what}")]
        }
        Some(_) => Vec::new(),
        None => broken,
    }
}

#[test]
fn every_expectation_holds() {
    let files = files();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|first| files.iter().skip(first).step_by(threads))
            .map(|part| scope.spawn(|| part.flat_map(|file| problems(file)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_scenario_is_named_like_its_file() {
    for file in files() {
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(scenario(&file).name, stem);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let files = files();
    let scenario = scenario(&files[0]);
    let first = play(&scenario, 7);
    assert_eq!(first.fingerprint, play(&scenario, 7).fingerprint);
    assert_ne!(first.fingerprint, play(&scenario, 8).fingerprint);
    assert!(first.probes > 1_000, "{}", first.probes);
}
