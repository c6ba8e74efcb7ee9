//! Atomics come from the facade that the models can swap; time comes through the driver that the
//! simulator can replace.

use crate::source::Source;
use crate::tree::{Finding, Tree, is_in};

/// The facade, and the counter of executions that is no part of the models it counts.
const ATOMIC_PLACES: &[&str] = &[
    "mailbox/src/sync/",
    "mailbox/src/sync.rs",
    "loom-tests/src/lib.rs",
];

/// Where a clock may be read and a thread may sleep: the driver, programs of their own, and the one module
/// through which the load generator is handed the time.
const CLOCK_PLACES: &[&str] = &[
    "runtime/src/driver/",
    "benches/",
    "examples/",
    "fuzz/",
    "load/src/clock.rs",
];

pub(crate) fn check_atomics(tree: &Tree) -> Vec<Finding> {
    let paths = [&["std", "sync", "atomic"], &["core", "sync", "atomic"]];
    let text = "atomics outside the facade; take them from ringpost_mailbox::sync";
    let outside = tree
        .sources
        .iter()
        .filter(|source| !is_in(&source.path, ATOMIC_PLACES));
    outside
        .flat_map(|source| paths.iter().flat_map(|path| uses(source, *path, text)))
        .collect()
}

pub(crate) fn check_clocks(tree: &Tree) -> Vec<Finding> {
    let rules = [
        (&["Instant", "now"], "a clock read outside the driver"),
        (&["SystemTime", "now"], "a clock read outside the driver"),
        (&["thread", "sleep"], "a thread sleeps outside the driver"),
    ];
    let mut findings = Vec::new();
    for source in &tree.sources {
        if is_in(&source.path, CLOCK_PLACES) {
            continue;
        }
        for (path, text) in rules {
            findings.extend(uses(source, path, text));
        }
    }
    findings
}

/// The places where a path occurs, written out or spread over the braces of an import.
fn uses(source: &Source, path: &[&str], text: &str) -> Vec<Finding> {
    let mut spelled = Vec::new();
    for part in path {
        spelled.extend([*part, ":", ":"]);
    }
    spelled.truncate(3 * path.len() - 2);
    let written = (0..source.tokens.len()).filter(|at| source.matches(*at, &spelled));
    let mut lines: Vec<usize> = written.map(|at| source.tokens[at].line).collect();
    let joined = path.join("::");
    for (import, line) in source.imports() {
        let segments = format!("::{import}::");
        if segments.contains(&format!("::{joined}::")) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
        .into_iter()
        .map(|line| Finding::at(&source.path, line, text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check_atomics, check_clocks};
    use crate::rules::findings;

    #[test]
    fn atomics_are_caught_in_every_spelling() {
        for code in [
            "use std::sync::atomic::AtomicU8;",
            "use std::{fmt, sync::{Arc, atomic::{AtomicBool, Ordering}}};",
            "use core::sync::atomic;",
            "static A: std::sync::atomic::AtomicU8 = new();",
            "use ::std::sync::{\n    atomic as a,\n};",
        ] {
            let found = findings(check_atomics, &[("runtime/src/node.rs", code)]);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
        }
    }

    #[test]
    fn the_facade_may_name_atomics_and_others_may_name_the_facade() {
        let std = "pub use std::sync::atomic::AtomicU8;";
        assert_eq!(
            findings(check_atomics, &[("mailbox/src/sync/std_arm.rs", std)]),
            [""; 0]
        );
        let facade = "use ringpost_mailbox::sync::atomic::AtomicU8;";
        assert_eq!(
            findings(check_atomics, &[("runtime/src/node.rs", facade)]),
            [""; 0]
        );
    }

    #[test]
    fn clocks_and_sleeps_are_caught() {
        for code in [
            "let now = Instant::now();",
            "let now = std::time::SystemTime\n    ::now();",
            "let clock = Instant::now;",
            "std::thread::sleep(pause);",
            "use std::thread::{sleep, spawn};",
        ] {
            for path in [
                "runtime/src/shard.rs",
                "runtime/tests/timers.rs",
                "loom-tests/src/lib.rs",
                "load/src/session.rs",
            ] {
                assert_eq!(
                    findings(check_clocks, &[(path, code)]).len(),
                    1,
                    "{path}: {code}"
                );
            }
        }
    }

    #[test]
    fn the_driver_and_programs_may_read_clocks_and_sleep() {
        let code = "let now = Instant::now();\nthread::sleep(pause);";
        for path in [
            "runtime/src/driver/real.rs",
            "benches/benches/ring.rs",
            "examples/src/lib.rs",
            "load/src/clock.rs",
        ] {
            assert_eq!(findings(check_clocks, &[(path, code)]), [""; 0]);
        }
    }
}
