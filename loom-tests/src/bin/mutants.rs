//! Weakens each ordering of `mailbox`, removes each fence, and fails unless the models notice.
//!
//! The list of mutants is read from the source: every ordering stronger than relaxed that stands in a
//! call of an atomic operation, outside the facade and outside tests. Nothing is rebuilt: under loom the
//! facade asks the environment which call to weaken (`mailbox/src/sync/mutation.rs`). A mutant is killed
//! when a model of its component fails; one that survives, or that no model reaches, fails the run.
//!
//! Run it with `loom-tests/run.sh mutants`, which builds the models first.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

/// Where mutants are looked for, and the models that must kill them.
const COMPONENTS: &[(&str, &[&str])] = &[
    ("mailbox/src/ring", &["ring", "wake"]),
    ("mailbox/src/wake.rs", &["wake"]),
    ("mailbox/src/inbox", &["inbox", "wake"]),
    ("mailbox/src/wake_list.rs", &["wake_list", "wake"]),
    ("mailbox/src/semaphore", &["semaphore"]),
    ("mailbox/src/pool", &["pool"]),
    ("mailbox/src/buf", &["pool"]),
    ("mailbox/src/hint.rs", &["hint", "wake"]),
];

/// Operations whose orderings are weakened.
const OPERATIONS: &[&str] = &[
    "load",
    "store",
    "swap",
    "compare_exchange",
    "compare_exchange_weak",
    "fetch_add",
    "fetch_sub",
    "fetch_or",
    "fetch_and",
    "fence",
];

/// One change of one call.
struct Mutant {
    file: PathBuf,
    line: usize,
    column: usize,
    change: &'static str,
    models: &'static [&'static str],
}

impl Mutant {
    fn place(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

fn main() -> ExitCode {
    let binaries: Vec<PathBuf> = env::args().skip(1).map(PathBuf::from).collect();
    let mutants: Vec<Mutant> = COMPONENTS
        .iter()
        .flat_map(|(at, models)| list(at, models))
        .collect();
    let reached = reached(&binaries);
    let mut survivors = 0;
    for mutant in &mutants {
        let verdict = if !reached.contains(&mutant.place()) {
            "NOT REACHED"
        } else if is_killed(mutant, &binaries) {
            "killed"
        } else {
            "SURVIVED"
        };
        survivors += usize::from(verdict != "killed");
        println!("{verdict:<12} {} {}", mutant.place(), mutant.change);
    }
    println!(
        "mutants: {}, killed: {}",
        mutants.len(),
        mutants.len() - survivors
    );
    if mutants.is_empty() || survivors > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The mutants of a file, or of the files of a folder.
fn list(at: &str, models: &'static [&'static str]) -> Vec<Mutant> {
    assert!(
        Path::new(at).exists(),
        "{at} is not there: run this from the root, and mend COMPONENTS"
    );
    let mut files = vec![PathBuf::from(at)];
    let mut mutants = Vec::new();
    while let Some(file) = files.pop() {
        if file.is_dir() {
            let entries = fs::read_dir(&file).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.path()));
        } else if let Ok(source) = fs::read_to_string(&file) {
            for (line, column, change) in changes(&source).into_iter().chain(left_out(at, &source))
            {
                mutants.push(Mutant {
                    file: file.clone(),
                    line,
                    column,
                    change,
                    models,
                });
            }
        }
    }
    mutants.sort_by_key(|mutant| (mutant.file.clone(), mutant.line, mutant.column));
    mutants
}

/// Where a source calls an atomic operation with an ordering, and how each can be weakened.
fn changes(source: &str) -> Vec<(usize, usize, &'static str)> {
    let mut found = Vec::new();
    // The operation whose arguments are being read: its name and place.
    let mut operation: Option<(&str, usize, usize)> = None;
    for (number, line) in source.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") || line.starts_with("mod tests") {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        if code.trim_start().starts_with("use ") || code.trim_start().starts_with("pub use ") {
            continue;
        }
        let mut orderings = 0;
        for (at, word) in words(code) {
            let follows = code.get(at + word.len()..).unwrap_or_default();
            if OPERATIONS.contains(&word) && follows.starts_with('(') {
                operation = Some((word, number + 1, at + 1));
                orderings = 0;
            } else if let Some((name, line, column)) = operation {
                let weaker = weaker(name, word, orderings);
                orderings += usize::from(is_ordering(word));
                found.extend(weaker.iter().map(|change| (line, column, *change)));
            }
        }
    }
    found
}

/// Exchanges of the parker that are left out: the core would not count as awake after its sleep.
fn left_out(at: &str, source: &str) -> Vec<(usize, usize, &'static str)> {
    let swap = |(number, line): (usize, &str)| {
        let found = line.find("swap(AWAKE")?;
        Some((number + 1, found + 1, "skip"))
    };
    let is_parker = at.ends_with("wake.rs");
    source
        .lines()
        .enumerate()
        .filter_map(swap)
        .filter(|_| is_parker)
        .collect()
}

fn is_ordering(word: &str) -> bool {
    matches!(
        word,
        "Relaxed" | "Acquire" | "Release" | "AcqRel" | "SeqCst"
    )
}

/// The changes that weaken an ordering, the first or the second of its call.
fn weaker(operation: &str, ordering: &str, position: usize) -> &'static [&'static str] {
    match (operation, ordering, position) {
        ("fence", "SeqCst", _) => &["skip", "first:AcqRel"],
        ("fence", "Acquire" | "Release" | "AcqRel", _) => &["skip"],
        (_, "Acquire" | "Release", 0) => &["first:Relaxed"],
        (_, "AcqRel", 0) => &["first:Relaxed", "first:Acquire", "first:Release"],
        (_, "SeqCst", 0) => &["first:Relaxed", "first:AcqRel"],
        (_, "Acquire", _) => &["second:Relaxed"],
        _ => &[],
    }
}

/// The identifiers of a line and where they begin.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, letter) in code.char_indices().chain([(code.len(), ' ')]) {
        let inside = letter.is_alphanumeric() || letter == '_';
        match (begin, inside) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                words.extend(code.get(from..at).map(|word| (from, word)));
                begin = None;
            }
            _ => {}
        }
    }
    words
}

/// The places that the models reach.
fn reached(binaries: &[PathBuf]) -> HashSet<String> {
    let file = env::temp_dir().join(format!("ringpost-sites-{}", std::process::id()));
    for binary in binaries {
        let status = Command::new(binary)
            .env("RINGPOST_SITES", &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{} fails unmutated",
            binary.display()
        );
    }
    let sites = fs::read_to_string(&file).unwrap_or_default();
    // The file is of no further use; what cannot be removed does no harm.
    let _ = fs::remove_file(&file);
    sites.lines().map(str::to_owned).collect()
}

fn is_killed(mutant: &Mutant, binaries: &[PathBuf]) -> bool {
    let models = binaries
        .iter()
        .filter(|binary| is_model(binary, mutant.models));
    models.into_iter().any(|binary| {
        let status = Command::new(binary)
            .env(
                "RINGPOST_MUTANT",
                format!("{}={}", mutant.place(), mutant.change),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| !status.success())
    })
}

/// Whether a test binary, `wake-0123abc`, is one of these models.
fn is_model(binary: &Path, models: &[&str]) -> bool {
    let name = binary
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    models.iter().any(|model| {
        name.strip_prefix(model)
            .is_some_and(|rest| rest.starts_with('-') && !rest.contains('_'))
    })
}
