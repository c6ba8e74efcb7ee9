//! The house rules that a program can check, checked on the whole workspace.
//!
//! Each rule is a function from the [`Tree`] to its findings, in a file of [`rules`] that opens with
//! the lists it goes by. Beside each rule stands a test with code that it must catch, so a rule that
//! has gone blind is noticed.

#![forbid(unsafe_code)]

mod rules;
mod source;
mod tree;

use crate::rules::{arrows, guarantees, leftovers, orderings, seams, sizes, unsafe_code};
use crate::tree::{Finding, Tree};

/// Runs a rule over the workspace.
fn enforce(rule: impl Fn(&Tree) -> Vec<Finding>) {
    let findings = rule(Tree::workspace());
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(
        list.is_empty(),
        "{} findings:\n{}",
        list.len(),
        list.join("\n")
    );
}

#[test]
fn the_tree_is_the_workspace() {
    let tree = Tree::workspace();
    let paths: Vec<&str> = tree
        .sources
        .iter()
        .map(|source| source.path.as_str())
        .collect();
    for path in [
        "mailbox/src/lib.rs",
        "router/src/lib.rs",
        "runtime/src/lib.rs",
        "runtime/tests/tidy/main.rs",
    ] {
        assert!(paths.contains(&path), "{path} was not read");
    }
    assert!(tree.text("Cargo.toml").is_some() && tree.text("GUARANTEES.md").is_some());
}

#[test]
fn dependencies_point_one_way() {
    enforce(arrows::check);
}

#[test]
fn unsafe_code_is_in_its_modules_and_explained() {
    enforce(unsafe_code::check);
}

#[test]
fn atomics_come_from_the_facade() {
    enforce(seams::check_atomics);
}

#[test]
fn locks_and_thread_locals_come_from_the_facade() {
    enforce(seams::check_locks);
}

#[test]
fn time_comes_through_the_driver() {
    enforce(seams::check_clocks);
}

#[test]
fn the_world_comes_through_the_driver() {
    enforce(seams::check_world);
}

#[test]
fn orderings_name_their_partners() {
    enforce(orderings::check);
}

#[test]
fn functions_are_short() {
    enforce(sizes::check_functions);
}

#[test]
fn files_are_short() {
    enforce(sizes::check_files);
}

#[test]
fn lines_are_short() {
    enforce(sizes::check_lines);
}

#[test]
fn no_test_is_ignored_or_panics_for_any_reason() {
    enforce(leftovers::check_tests);
}

#[test]
fn nothing_is_left_for_later() {
    enforce(leftovers::check_marks);
}

#[test]
fn guarantees_are_cited_by_tests() {
    enforce(guarantees::check);
}
