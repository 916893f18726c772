//! Which crate may use which, and how much comes from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{none, root, text};

/// Every edge between crates of the house. A new one needs a decision record; ARCHITECTURE.md shows
/// the same table.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("verdict", &["model"]),
    ("checks", &["model"]),
    ("notify", &["model"]),
    ("store", &["model"]),
    ("yaml", &[]),
    ("config", &["checks", "model", "notify", "yaml"]),
    ("proto", &["model"]),
    ("runtime", &["model"]),
    ("agent", &["checks", "model", "proto", "runtime", "yaml"]),
    ("coordinator", &["config", "model", "notify", "proto", "runtime", "store", "verdict"]),
    ("demo", &["agent", "checks", "config", "coordinator", "model", "proto", "runtime", "store"]),
    ("sim", &["agent", "config", "model", "proto", "verdict", "yaml"]),
    ("cli", &["checks", "config", "demo", "model", "proto", "runtime", "sim", "verdict", "yaml"]),
];

/// Packages in the lock file, ours included.
const LOCKED_MAX: usize = 368;

fn edges_of_cargo() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs");
    metadata
        .packages
        .iter()
        .filter(|package| package.name.as_str() != "quorate-tests")
        .map(|package| {
            let ours = package.dependencies.iter().filter(|dependency| {
                dependency.path.is_some() && dependency.kind != DependencyKind::Development
            });
            let short = |name: &str| name.trim_start_matches("quorate-").to_owned();
            (short(&package.name), ours.map(|dependency| short(&dependency.name)).collect())
        })
        .collect()
}

#[test]
fn only_the_edges_of_the_table_exist() {
    let allowed: BTreeMap<_, BTreeSet<_>> =
        EDGES.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    let mut problems = Vec::new();
    for (from, to) in edges_of_cargo() {
        let Some(allowed) = allowed.get(from.as_str()) else {
            problems.push(format!("the crate {from} is not in the table"));
            continue;
        };
        for to in to.iter().filter(|to| !allowed.contains(to.as_str())) {
            problems.push(format!("{from} -> {to} is not in the table"));
        }
    }
    none("edges between crates", &problems);
}

#[test]
fn the_architecture_page_shows_the_same_table() {
    let page = text(&root().join("ARCHITECTURE.md"));
    let missing: Vec<String> = EDGES
        .iter()
        .map(|(from, to)| {
            let to = if to.is_empty() { "-".to_owned() } else { to.join(", ") };
            format!("| `{from}` | {to} |")
        })
        .filter(|row| !page.contains(row.as_str()))
        .collect();
    none("rows missing in ARCHITECTURE.md", &missing);
}

/// Every package that is built into `package`, on any platform. `cargo metadata` also lists optional
/// packages that only a weak feature names; `cargo tree` does not.
fn reach(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--locked", "--edges", "normal", "--target", "all", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout);
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

#[test]
fn the_core_stays_pure_and_agents_never_judge() {
    let core = reach("quorate-verdict");
    assert!(core.contains("quorate-model"), "{core:?}");
    for banned in ["tokio", "tracing", "rusqlite", "hyper"] {
        assert!(!core.contains(banned), "the decision core reaches {banned}");
    }
    let agent = reach("quorate-agent");
    for banned in ["quorate-verdict", "rusqlite", "quorate-store", "quorate-notify"] {
        assert!(!agent.contains(banned), "the agent reaches {banned}");
    }
    for program in ["quorate-agent", "quorate-coordinator", "quorate-cli"] {
        assert!(!reach(program).contains("ring"), "{program} reaches ring");
    }
}

#[test]
fn no_more_packages_than_before() {
    let locked = text(&root().join("Cargo.lock")).matches("\n[[package]]\n").count();
    assert!(locked <= LOCKED_MAX, "{locked} packages are locked, at most {LOCKED_MAX} may be");
}
