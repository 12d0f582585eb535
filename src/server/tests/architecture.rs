//! Holds the workspace against DESIGN.md section 2 and STYLE.md: dependencies between crates, file sizes, module docs.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crate, and the crates that it may depend on beside all that those may depend on. The same table as in
/// ARCHITECTURE.md, in the order of a query's and a row's path.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("repr", &["base"]),
    ("expr", &["repr"]),
    ("plan", &["expr"]),
    ("sql", &["plan"]),
    ("optimizer", &["plan"]),
    ("persist", &["repr"]),
    ("catalog", &["sql", "persist"]),
    ("protocol", &["plan"]),
    ("controller", &["protocol", "persist"]),
    ("coord", &["catalog", "optimizer", "controller"]),
    ("frontend", &["coord"]),
    ("flow", &["persist"]),
    ("compute", &["protocol", "flow"]),
    ("connector", &["protocol", "flow", "sql"]),
    ("server", &["frontend", "compute", "connector"]),
];

/// STYLE.md: split before this.
const MAX_LINES: usize = 1_000;

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Each crate with everything that it may depend on.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, direct) in TABLE {
        let below = direct.iter().flat_map(|d| allowed[d].iter().copied().chain([*d])).collect();
        allowed.insert(name, below);
    }
    allowed
}

/// The `hw-…` packages that a manifest names in any of its dependency tables.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys())
        .filter_map(|name| name.strip_prefix("hw-").map(str::to_owned))
        .collect()
}

#[test]
fn dependencies_follow_the_table() {
    let allowed = allowed();
    let mut crates = BTreeSet::new();
    for entry in fs::read_dir(workspace().join("src")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("src/{name} is not in the table"));
        for dependency in dependencies(&folder.join("Cargo.toml")) {
            assert!(may.contains(dependency.as_str()), "{name} must not depend on {dependency}");
        }
        crates.insert(name);
    }
    let table: BTreeSet<String> = TABLE.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(crates, table, "the table names crates that do not exist");
}

#[test]
fn only_protocol_and_persist_know_protobuf() {
    for (name, _) in
        TABLE.iter().filter(|(name, _)| !["protocol", "persist", "catalog", "server"].contains(name))
    {
        let manifest = fs::read_to_string(workspace().join("src").join(name).join("Cargo.toml")).unwrap();
        assert!(!manifest.lines().any(|l| l.starts_with("prost")), "{name} depends on prost");
    }
}

/// Every Rust file of the workspace.
fn rust_files() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![workspace().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(workspace()).unwrap().display().to_string();
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{shown} has {lines} lines"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{shown} does not begin with a module doc"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
