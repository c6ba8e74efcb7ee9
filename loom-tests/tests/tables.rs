//! The tables of the crate's documentation name each model, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Tests that are no models.
const OTHERS: &[&str] = &["canary", "kinds", "tables"];

/// What the tables name: each `file::function` between backquotes.
fn named() -> BTreeSet<String> {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let tables = source.lines().filter(|line| line.starts_with("//! |"));
    tables
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.contains("::"))
        .map(str::to_owned)
        .collect()
}

/// The tests in a file or folder.
fn tests_in(path: &Path) -> Vec<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        return paths.flat_map(|path| tests_in(&path)).collect();
    }
    let source = fs::read_to_string(path).unwrap();
    let mut functions = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            functions.push(rest.split('(').next().unwrap_or(rest).to_owned());
        }
        is_test = line == "#[test]";
    }
    functions
}

#[test]
fn the_tables_name_the_models_and_no_others() {
    let mut models = BTreeSet::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap();
        if !OTHERS.contains(&file) {
            let tests = tests_in(&path);
            assert!(!tests.is_empty(), "no test is found in {file}");
            models.extend(tests.iter().map(|test| format!("{file}::{test}")));
        }
    }
    let named = named();
    let unknown: Vec<_> = named.difference(&models).collect();
    let missing: Vec<_> = models.difference(&named).collect();
    assert!(unknown.is_empty(), "named, but no models: {unknown:#?}");
    assert!(
        missing.is_empty(),
        "models that no table names: {missing:#?}"
    );
}
