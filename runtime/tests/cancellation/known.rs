//! The list of all public futures, read from the sources: none is missing in the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{blocking, ends, messages, sockets, transport};

/// Are no part of the interface.
const INTERNAL: &[&str] = &["Passing", "Place", "Relay"];

/// Those of other crates, and where they are dropped.
const ELSEWHERE: &[(&str, &str, &str)] = &[(
    "Acquiring",
    "../mailbox/tests/semaphore.rs",
    "fn permits_are_neither_lost_nor_made_and_go_to_the_oldest",
)];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The name at the beginning of a text.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The type that an `impl` is for.
fn implemented(line: &str) -> &str {
    let rest = line.trim_start_matches("impl");
    let rest = match rest.strip_prefix('<') {
        // No parameter of ours has an arrow in its bounds.
        Some(generics) => generics.split_once("> ").map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest = rest.split_once(" for ").map_or(rest, |(_, rest)| rest);
    name(rest.trim_start())
}

/// The public futures of a file: types, and functions with the type that they belong to.
fn futures(text: &str, found: &mut BTreeSet<String>) {
    let mut of = None;
    for line in text.lines() {
        if line.starts_with("impl") {
            of = Some(implemented(line));
            if line.contains(" Future for ") {
                found.insert(implemented(line).to_owned());
            }
        }
        if line.starts_with('}') {
            of = None;
        }
        let declared = line.trim_start();
        let plain = declared.strip_prefix("pub fn ");
        let plain = plain.filter(|_| line.contains("-> impl") && line.contains("Future"));
        if let Some(rest) = declared.strip_prefix("pub async fn ").or(plain) {
            let of = of.map(|of| format!("{of}::")).unwrap_or_default();
            found.insert(format!("{of}{}", name(rest)));
        }
    }
}

/// Calls whose documentation does not say what becomes of them when their future is dropped.
fn undocumented(text: &str, found: &mut Vec<String>) {
    let mut says = false;
    for line in text.lines().map(str::trim_start) {
        says &= !line.is_empty();
        says |= line == "/// # Cancellation";
        if let Some(rest) = line.strip_prefix("pub async fn ") {
            if !says {
                found.push(name(rest).to_owned());
            }
            says = false;
        }
    }
}

/// A future that is new in the interface has to be dropped by one of the tests here.
#[test]
fn every_public_future_is_dropped_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut silent) = (BTreeSet::new(), Vec::new());
    for folder in ["src", "../mailbox/src", "../router/src"] {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        for file in files {
            let text = fs::read_to_string(file).unwrap();
            futures(&text, &mut found);
            undocumented(&text, &mut silent);
        }
    }
    let elsewhere = ELSEWHERE.iter().map(|(future, file, test)| {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(test), "{file} has no {test}");
        *future
    });
    let lists = [
        blocking::DROPPED,
        ends::DROPPED,
        messages::DROPPED,
        sockets::DROPPED,
        transport::DROPPED,
        INTERNAL,
    ];
    let known: BTreeSet<String> = lists
        .concat()
        .into_iter()
        .chain(elsewhere)
        .map(str::to_owned)
        .collect();
    assert!(silent.is_empty(), "what if they are dropped: {silent:?}");
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:?}, gone: {gone:?}"
    );
}
