//! Atomics come from the facade that the models can swap; time, and whatever else a simulation replaces,
//! comes through the driver.

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

/// The libraries, which get the rest of the world through the driver too.
const LIBRARIES: &[&str] = &["mailbox/src/", "router/src/", "runtime/src/"];

/// Where the facade of locks and thread locals is made.
const LOCK_PLACES: &[&str] = &["mailbox/src/sync/"];

/// Where the libraries may start threads, open sockets and draw random numbers.
const WORLD_PLACES: &[&str] = &["runtime/src/driver/", "mailbox/src/sync/"];

pub(crate) fn check_atomics(tree: &Tree) -> Vec<Finding> {
    let paths = [&["std", "sync", "atomic"], &["core", "sync", "atomic"]];
    let text = "atomics outside the facade; take them from ringpost_mailbox::sync";
    let outside = tree
        .sources
        .iter()
        .filter(|source| !is_in(&source.path, ATOMIC_PLACES));
    outside
        .flat_map(|source| {
            let whole = modules(source, &["std::sync", "core::sync"], text);
            let parts = paths.iter().flat_map(|path| uses(source, *path, text));
            parts.chain(whole).collect::<Vec<_>>()
        })
        .collect()
}

/// Locks, channels and thread locals, which the checkers have to see as they see atomics.
pub(crate) fn check_locks(tree: &Tree) -> Vec<Finding> {
    let text = "a lock outside the facade; take it from ringpost_mailbox::sync";
    let paths: [&[&str]; 5] = [
        &["parking_lot"],
        &["std", "sync", "Mutex"],
        &["std", "sync", "RwLock"],
        &["std", "sync", "Condvar"],
        &["std", "sync", "mpsc"],
    ];
    let mut findings = Vec::new();
    for source in &tree.sources {
        if !is_in(&source.path, LIBRARIES) || is_in(&source.path, LOCK_PLACES) {
            continue;
        }
        for path in paths {
            findings.extend(uses(source, path, text));
        }
        let imports = source.imports();
        let is_ours = |(path, _): &(String, usize)| path.ends_with("::sync::thread_local");
        if !imports.iter().any(is_ours) {
            let text = "a thread local outside the facade; take it from ringpost_mailbox::sync";
            let at =
                (0..source.tokens.len()).filter(|at| source.matches(*at, &["thread_local", "!"]));
            findings.extend(at.map(|at| Finding::at(&source.path, source.tokens[at].line, text)));
        }
    }
    findings
}

pub(crate) fn check_clocks(tree: &Tree) -> Vec<Finding> {
    let clock = "a clock read outside the driver";
    let sleep = "a thread sleeps outside the driver";
    let rules = [
        (&["Instant", "now"], clock),
        (&["SystemTime", "now"], clock),
        (&["thread", "sleep"], sleep),
        (&["thread", "park_timeout"], sleep),
    ];
    let renamed = [("Instant", clock), ("SystemTime", clock), ("thread", sleep)];
    let mut findings = Vec::new();
    for source in &tree.sources {
        if is_in(&source.path, CLOCK_PLACES) {
            continue;
        }
        for (path, text) in rules {
            findings.extend(uses(source, path, text));
        }
        for (name, text) in renamed {
            findings.extend(renames(source, name, text));
        }
    }
    findings
}

/// Threads, sockets and chance, which a simulation has to be able to replace.
pub(crate) fn check_world(tree: &Tree) -> Vec<Finding> {
    let rules: [(&[&str], &str); 9] = [
        (&["thread", "spawn"], "a thread started"),
        (&["thread", "Builder"], "a thread started"),
        (&["mio"], "the kernel's poll used"),
        (&["socket2"], "a socket opened"),
        (&["std", "net", "TcpStream"], "a socket opened"),
        (&["std", "net", "TcpListener"], "a socket opened"),
        (&["std", "net", "UdpSocket"], "a socket opened"),
        (&["std", "os", "unix", "net"], "a socket opened"),
        (&["RandomState"], "a random number drawn"),
    ];
    let mut findings = Vec::new();
    for source in &tree.sources {
        if is_in(&source.path, LIBRARIES) && !is_in(&source.path, WORLD_PLACES) {
            for (path, what) in rules {
                findings.extend(uses(source, path, &format!("{what} outside the driver")));
            }
        }
    }
    findings
}

/// The places where one of these modules is imported whole, by whose name its contents could be used.
fn modules(source: &Source, modules: &[&str], text: &str) -> Vec<Finding> {
    let imports = source.imports().into_iter();
    let whole = imports.filter(|(import, _)| {
        let module = import.strip_suffix("::self").unwrap_or(import);
        modules.contains(&module.trim_start_matches(':'))
    });
    whole
        .map(|(_, line)| Finding::at(&source.path, line, text))
        .collect()
}

/// The places where something is given another name, by which it would not be found.
fn renames(source: &Source, name: &str, text: &str) -> Vec<Finding> {
    let at = (0..source.tokens.len()).filter(|at| source.matches(*at, &[name, "as"]));
    at.map(|at| Finding::at(&source.path, source.tokens[at].line, text))
        .collect()
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
    use super::{check_atomics, check_clocks, check_locks, check_world};
    use crate::rules::findings;

    #[test]
    fn atomics_are_caught_in_every_spelling() {
        for code in [
            "use std::sync::atomic::AtomicU8;",
            "use std::{fmt, sync::{Arc, atomic::{AtomicBool, Ordering}}};",
            "use core::sync::atomic;",
            "static A: std::sync::atomic::AtomicU8 = new();",
            "use ::std::sync::{\n    atomic as a,\n};",
            "use std::{fmt, sync};\nstatic A: sync::atomic::AtomicU8 = new();",
            "use core::sync::{self as s};\nstatic A: s::atomic::AtomicU8 = new();",
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
    fn locks_and_thread_locals_are_caught() {
        for code in [
            "use parking_lot::Mutex;",
            "use std::sync::{Arc, Mutex};",
            "let (sender, receiver) = std::sync::mpsc::channel();",
            "thread_local! { static A: u8 = 1; }",
            "std::thread_local! { static A: u8 = 1; }",
        ] {
            let found = findings(check_locks, &[("runtime/src/node.rs", code)]);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
            for path in ["mailbox/src/sync/std_arm.rs", "runtime/tests/node.rs"] {
                assert_eq!(findings(check_locks, &[(path, code)]), [""; 0], "{code}");
            }
        }
        for import in [
            "ringpost_mailbox::sync::{Mutex, thread_local}",
            "crate::sync::thread_local",
        ] {
            let code = format!("use {import};\nthread_local! {{ static A: u8 = 1; }}");
            let found = findings(check_locks, &[("runtime/src/node.rs", &code)]);
            assert_eq!(found, [""; 0], "{import}");
        }
    }

    #[test]
    fn clocks_and_sleeps_are_caught() {
        for code in [
            "let now = Instant::now();",
            "let now = std::time::SystemTime\n    ::now();",
            "let clock = Instant::now;",
            "std::thread::sleep(pause);",
            "use std::thread::{sleep, spawn};",
            "thread::park_timeout(pause);",
            "use std::time::Instant as I;\nlet now = I::now();",
            "use std::thread as t;\nt::sleep(pause);",
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
    fn threads_sockets_and_chance_are_caught_in_libraries() {
        for code in [
            "let loop_ = std::thread::spawn(run);",
            "use std::thread::Builder;",
            "let poll = mio::Poll::new()?;",
            "use socket2::{Domain, Socket};",
            "use std::net::{SocketAddr, TcpStream};",
            "let state = std::hash::RandomState::new();",
        ] {
            for path in ["runtime/src/core/io.rs", "router/src/placement.rs"] {
                let found = findings(check_world, &[(path, code)]);
                assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
            }
            for path in ["runtime/src/driver/threads.rs", "runtime/tests/net.rs"] {
                assert_eq!(findings(check_world, &[(path, code)]), [""; 0], "{code}");
            }
        }
        let address = "use std::net::SocketAddr;";
        assert_eq!(
            findings(check_world, &[("runtime/src/net/mod.rs", address)]),
            [""; 0]
        );
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
