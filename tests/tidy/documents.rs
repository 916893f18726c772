//! Documents that must exist and stay true.

use std::collections::BTreeSet;

use crate::{files, name, none, root, text};

/// Lines of the README.
const README_LINES_MAX: usize = 150;

#[test]
fn the_readme_is_short() {
    let lines = text(&root().join("README.md")).lines().count();
    assert!(
        lines < README_LINES_MAX,
        "README.md has {lines} lines, fewer than {README_LINES_MAX} are wanted"
    );
}

#[test]
fn each_kind_has_its_page() {
    let checks = quorate_checks::KINDS.iter().map(|kind| format!("docs/checks/{}.md", kind.name()));
    let notifiers =
        quorate_notify::KINDS.iter().map(|kind| format!("docs/notifiers/{}.md", kind.name()));
    let missing: Vec<String> =
        checks.chain(notifiers).filter(|page| !root().join(page).exists()).collect();
    none("pages missing", &missing);
}

#[test]
fn registries_are_in_alphabetical_order() {
    let checks: Vec<_> = quorate_checks::KINDS.iter().map(|kind| kind.name()).collect();
    let notifiers: Vec<_> = quorate_notify::KINDS.iter().map(|kind| kind.name()).collect();
    let stores: Vec<_> = quorate_store::STORES.iter().map(|kind| kind.scheme).collect();
    for names in [checks, notifiers, stores] {
        assert!(!names.is_empty() && names.is_sorted(), "{names:?}");
    }
}

#[test]
fn the_architecture_page_names_every_crate_and_what_it_never_does() {
    let page = text(&root().join("ARCHITECTURE.md"));
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder").flatten() {
        let crate_name = entry.file_name().to_string_lossy().into_owned();
        let heading = format!("### `crates/{crate_name}`");
        match page.split_once(&heading) {
            None => problems.push(format!("{crate_name} has no paragraph")),
            Some((_, rest)) => {
                let paragraph = rest.split("\n### ").next().unwrap_or_default();
                if !paragraph.contains("**Never:**") {
                    problems.push(format!("{crate_name} does not say what it never does"));
                }
            }
        }
    }
    none("ARCHITECTURE.md", &problems);
}

#[test]
fn the_glossary_has_every_word_of_a_verdict() {
    use quorate_model::{Cause, Flag, NoticeKind, State};
    let page = text(&root().join("docs/glossary.md"));
    let words = State::ALL.iter().map(|word| word.as_str());
    let words = words.chain(Flag::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(Cause::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(NoticeKind::ALL.iter().map(|word| word.as_str()));
    let missing: Vec<String> =
        words.filter(|word| !page.contains(&format!("`{word}`"))).map(str::to_owned).collect();
    none("words missing in docs/glossary.md", &missing);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut problems = Vec::new();
    for path in files(&root(), ".md") {
        let folder = path.parent().expect("a file is in a folder");
        let page = text(&path);
        let targets: BTreeSet<&str> = page
            .match_indices("](")
            .filter_map(|(at, _)| page[at + 2..].split(')').next())
            .filter(|target| !target.contains("://") && !target.starts_with('#'))
            .collect();
        for target in targets {
            let file = target.split('#').next().unwrap_or_default();
            if !folder.join(file).exists() {
                problems.push(format!("{} -> {target}", name(&path)));
            }
        }
    }
    none("links that lead nowhere", &problems);
}

#[test]
fn decision_records_are_numbered_without_gaps_and_short() {
    let records = files(&root().join("docs/adr"), ".md");
    let mut problems = Vec::new();
    for (index, path) in records.iter().enumerate() {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !file.starts_with(&format!("{:04}-", index + 1)) {
            problems.push(format!("{file} should have number {:04}", index + 1));
        }
        if text(path).lines().count() > 60 {
            problems.push(format!("{file} is longer than a page"));
        }
    }
    none("docs/adr", &problems);
}

/// Written anew with `UPDATE=1`.
#[test]
fn the_page_of_status_codes_has_the_table_of_the_code() {
    let path = root().join("docs/status-codes.md");
    let page = text(&path);
    let (head, _) = page.split_once("\n| code |").expect("a table");
    let fresh = format!("{head}\n{}", quorate_model::status_codes_in_markdown());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).expect("a page that can be written");
    }
    assert!(
        page == fresh,
        "docs/status-codes.md is old: UPDATE=1 cargo test -p quorate-tests --test tidy"
    );
}
