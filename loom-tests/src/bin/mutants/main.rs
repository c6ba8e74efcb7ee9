//! Weakens each ordering of `mailbox`, leaves out each fence and each write, one at a time, and fails
//! unless the models notice every time.
//!
//! The list of mutants is read from the source. It is complete, or the run fails: every ordering
//! stronger than relaxed that is spelled anywhere in `mailbox/src` has to be in the list, in an
//! import, in a unit test, or in a place of `plan::EXCLUDED`; and every such ordering that the models
//! use as they run has to be in the list with the same place. The two counts know nothing of each other.
//!
//! Nothing is rebuilt: under loom the facade asks the environment which call to change
//! (`mailbox/src/sync/mutation.rs`). A mutant is killed when a model of its component fails; one that
//! survives, or that no model reaches, fails the run.
//!
//! The runner is put to the test each time: of the canary in `tests/canary`, it has to find that the
//! mutants of one file are killed, and that the mutant of the other survives.
//!
//! Run it with `loom-tests/run.sh mutants`, which builds the models first. Where they are built for shuttle or for a
//! thread sanitizer, the mutants are those that these can see (`changes::is_visible`, `unseen`).
#![allow(clippy::print_stdout, reason = "a program for people")]

mod changes;
mod plan;
mod runs;
mod source;
mod unseen;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use crate::plan::{Account, EXCLUDED, Mutant, Plan};
use crate::runs::{Models, Outcome};
use crate::source::Reading;

/// The canary: its models have to kill the mutants of the first file, and not those of the second.
const CANARY: [&str; 2] = [
    "loom-tests/tests/canary/needed.rs",
    "loom-tests/tests/canary/redundant.rs",
];

fn main() -> ExitCode {
    let models = Models::new(env::args().skip(1).map(PathBuf::from).collect());
    let mut plan = Plan::of_tree();
    let used = models.used();
    plan.compare(&used);
    plan.faults.extend(canary_faults(&models));
    let killed = run(&models, &plan.mutants, &used);
    for fault in &plan.faults {
        println!("FAULT        {fault}");
    }
    for unseen in &plan.unseen {
        let Mutant { place, change, .. } = &unseen.mutant;
        println!("unseen       {place} {change}: {}", unseen.reason);
    }
    for (at, reason) in EXCLUDED {
        println!("excluded     {at}: {reason}");
    }
    let Account {
        in_calls,
        in_imports,
        in_tests,
        excluded,
    } = plan.account;
    println!(
        "strong orderings: {in_calls} in calls; {in_imports} in imports, {in_tests} in tests, {excluded} excluded"
    );
    println!(
        "mutants: {}, killed: {killed}; not to be seen: {}; faults of the list: {}",
        plan.mutants.len(),
        plan.unseen.len(),
        plan.faults.len()
    );
    if is_enough(killed, plan.mutants.len()) && plan.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether so many of all were to be killed: every one, but where real threads have to come to the place in which it
/// shows, which they mostly do. There, three in four.
fn is_enough(killed: usize, mutants: usize) -> bool {
    if cfg!(ringpost_mutable) {
        killed > 0 && 4 * killed >= 3 * mutants
    } else {
        killed > 0 && killed == mutants
    }
}

/// Runs each mutant, and says how many were killed.
fn run(models: &Models, mutants: &[Mutant], used: &HashSet<String>) -> usize {
    let reached: HashSet<&str> = used
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut killed = 0;
    for Mutant {
        place,
        change,
        models: names,
    } in mutants
    {
        let verdict = if reached.contains(place.as_str()) {
            match models.meet(&format!("{place}={change}"), names) {
                Outcome::Killed(by) => {
                    killed += 1;
                    format!("killed       {place} {change} ({by})")
                }
                Outcome::Survived => format!("SURVIVED     {place} {change}"),
                Outcome::Broken(words) => format!("BROKEN       {place} {change}: {words}"),
            }
        } else {
            format!("NOT REACHED  {place} {change}")
        };
        println!("{verdict}");
    }
    killed
}

/// What the runner gets wrong about the canary.
fn canary_faults(models: &Models) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, is_needed) in CANARY.iter().zip([true, false]) {
        let source = fs::read_to_string(at).unwrap_or_default();
        let reading = Reading::of(&source).unwrap_or_default();
        let mutants = reading
            .sites
            .iter()
            .flat_map(|site| plan::mutants(Path::new(at), site, &["canary"]));
        let mutants: Vec<Mutant> = mutants.collect();
        if mutants.is_empty() {
            faults.push(format!("{at}: the canary has no mutants"));
        }
        for mutant in mutants {
            let text = format!("{}={}", mutant.place, mutant.change);
            let is_as_known = match models.meet(&text, mutant.models) {
                Outcome::Killed(_) => is_needed,
                Outcome::Survived => !is_needed,
                Outcome::Broken(_) => false,
            };
            if is_as_known {
                println!(
                    "canary       {text}: {}",
                    if is_needed { "killed" } else { "survives" }
                );
            } else {
                faults.push(format!("{text} of the canary is judged wrong"));
            }
        }
    }
    faults
}
