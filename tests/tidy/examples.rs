//! Examples that people copy: each must be taken by the program that it is for.

use std::path::{Path, PathBuf};

use quorate_agent::file::AgentFile;
use quorate_config::Severity;

use crate::{files, name, none, root, text};

/// Put before an example that shows only a part of a configuration.
const REST: &str = "version: 1\nregions: { fra: {}, iad: {}, syd: {} }\n";

/// The blocks of YAML in a page, each with the number of its first line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((number + 2, String::new())),
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}

/// The errors of a configuration; a part of one is completed first.
fn errors(place: &str, example: &str) -> Vec<String> {
    let whole = example.lines().any(|line| line == "version: 1");
    let text = if whole { example.to_owned() } else { format!("{REST}{example}") };
    let problems = quorate_config::parse(place, &text).err().unwrap_or_default();
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

/// What is wrong with a scenario: its text, or what comes of it.
fn misses(place: &str, example: &str) -> Vec<String> {
    let scenario = match quorate_sim::parse(place, example) {
        Ok(scenario) => scenario,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    let played = quorate_sim::play(&scenario, 1).expect("a fleet");
    let rulings = quorate_sim::judge(&scenario, &played);
    let missed = rulings.into_iter().filter_map(|ruling| {
        let instead = ruling.instead?;
        Some(format!("{}: {}: {instead}", ruling.place, ruling.expected))
    });
    missed.collect()
}

#[test]
fn every_example_in_a_page_is_taken() {
    let mut pages: Vec<PathBuf> = vec![root().join("README.md")];
    let of_agents = |page: &PathBuf| page.ends_with("docs/agent.md");
    pages.extend(files(&root().join("docs"), ".md").into_iter().filter(|page| !of_agents(page)));
    pages.extend(files(&root().join("deploy"), ".md"));
    let (mut seen, mut problems) = (0, Vec::new());
    for page in pages {
        for (line, block) in blocks(&text(&page)) {
            seen += 1;
            let place = format!("{} (line {line})", name(&page));
            let is_scenario = block.starts_with("name: ");
            problems.extend(if is_scenario {
                misses(&place, &block)
            } else {
                errors(&place, &block)
            });
        }
    }
    assert!(seen >= 5, "only {seen} examples were found");
    none("examples with errors", &problems);
}

#[test]
fn every_example_in_a_file_is_taken() {
    let mut problems = Vec::new();
    for path in ["docs/quorate.example.yaml", "deploy/compose/quorate.yaml"] {
        problems.extend(errors(path, &text(&root().join(path))));
    }
    let path = "deploy/compose/agent.yaml";
    let read = AgentFile::parse(path, &text(&root().join(path)));
    problems.extend(read.err().into_iter().flatten().map(|problem| problem.to_string()));
    none("examples with errors", &problems);
}

#[test]
fn the_page_of_the_agents_file_shows_every_default() {
    let path = "docs/agent.md";
    let page = text(&root().join(path));
    let (_, block) = blocks(&page).into_iter().next().expect("an example");
    let shown = AgentFile::parse(path, &block).expect("the example is valid");
    assert_eq!(shown, AgentFile::parse("nothing", "").expect("an empty file is valid"));
}

#[test]
fn every_kind_has_a_valid_and_an_invalid_example() {
    let folder = root().join("crates/config/tests");
    let all = |folder: &Path| -> String {
        files(folder, ".yaml").iter().map(|path| text(path)).collect()
    };
    let (valid, invalid) = (all(&folder.join("valid")), all(&folder.join("invalid")));
    let mut problems = Vec::new();
    for kind in quorate_checks::KINDS {
        let key = format!(" {}: {{", kind.name());
        for (texts, what) in [(&valid, "valid"), (&invalid, "invalid")] {
            if !texts.contains(&key) {
                problems.push(format!("no {what} file has `{key}`", key = key.trim_start()));
            }
        }
    }
    none("crates/config/tests", &problems);
}
