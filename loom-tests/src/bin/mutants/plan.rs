//! The list of mutants, and what proves it complete.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::changes;
use crate::source::{self, Reading, Site};
use crate::unseen;

/// Where the lock-free code is.
const ROOT: &str = "mailbox/src";

/// Its parts, and the models that must kill their mutants.
const COMPONENTS: &[(&str, &[&str])] = &[
    ("mailbox/src/glance.rs", &["glance"]),
    ("mailbox/src/ring", &["ring", "wake"]),
    ("mailbox/src/wake.rs", &["wake"]),
    ("mailbox/src/inbox", &["inbox", "wake"]),
    ("mailbox/src/wake_list.rs", &["wake_list", "wake"]),
    ("mailbox/src/semaphore", &["semaphore"]),
    ("mailbox/src/pool", &["pool"]),
    ("mailbox/src/buf", &["pool"]),
];

/// What is not mutated, and why.
pub(crate) const EXCLUDED: &[(&str, &str)] = &[
    (
        "mailbox/src/sync",
        "the facade uses the orderings that its callers give, and those are mutated",
    ),
    (
        "mailbox/src/canary.rs",
        "no build has it but that of planted bugs, which plants one before any thread begins",
    ),
];

/// One change of one call.
pub(crate) struct Mutant {
    pub(crate) place: String,
    pub(crate) change: &'static str,
    pub(crate) models: &'static [&'static str],
}

/// A mutant that this arm cannot see, and why.
pub(crate) struct Unseen {
    pub(crate) mutant: Mutant,
    pub(crate) reason: &'static str,
}

/// All that is to be done, and what is wrong with the list already.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) mutants: Vec<Mutant>,
    pub(crate) unseen: Vec<Unseen>,
    /// A line `place operand ordering` for each ordering of the sites.
    listed: HashSet<String>,
    pub(crate) account: Account,
    pub(crate) faults: Vec<String>,
}

/// Where the strong orderings of the source are.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) in_calls: usize,
    pub(crate) in_imports: usize,
    pub(crate) in_tests: usize,
    pub(crate) excluded: usize,
}

impl Plan {
    pub(crate) fn of_tree() -> Self {
        let mut plan = Self::default();
        plan.add_tree(Path::new(ROOT));
        let found = plan.unseen.len();
        if found != unseen::COUNT {
            let text = format!("{found} mutants of the {} of `unseen.rs`", unseen::COUNT);
            plan.faults.push(text);
        }
        plan
    }

    /// Adds the mutants of a file, or of all files of a folder.
    fn add_tree(&mut self, path: &Path) {
        if path.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            paths.iter().for_each(|path| self.add_tree(path));
            return;
        }
        let source = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}; run this from the root", path.display()));
        if EXCLUDED.iter().any(|(at, _)| path.starts_with(at)) {
            self.account.excluded += source::spelled(&source);
            return;
        }
        match Reading::of(&source) {
            Ok(reading) => self.add(path, &source, &reading),
            Err(error) => self.faults.push(format!("{}: {error}", path.display())),
        }
    }

    fn add(&mut self, path: &Path, source: &str, reading: &Reading) {
        let file = path.display();
        for (line, column) in &reading.strays {
            let text = format!("{file}:{line}:{column} an ordering outside a call that is known");
            self.faults.push(text);
        }
        let (spelled, found) = (source::spelled(source), reading.total());
        if spelled != found {
            let text =
                format!("{file} spells {spelled} strong orderings, {found} are accounted for");
            self.faults.push(text);
        }
        let component = COMPONENTS.iter().find(|(at, _)| path.starts_with(at));
        if component.is_none() && !reading.sites.is_empty() {
            self.faults.push(format!("{file} is in no component"));
        }
        self.account.in_calls += reading.in_sites();
        self.account.in_imports += reading.imported;
        self.account.in_tests += reading.tested;
        let models = component.map_or(&[][..], |(_, models)| models);
        for site in &reading.sites {
            self.listed.extend(orderings(path, site));
            let line = source.lines().nth(site.place.0 - 1).unwrap_or_default();
            for mutant in mutants(path, site, models) {
                match unseen::reason(line, mutant.change) {
                    Some(reason) => self.unseen.push(Unseen { mutant, reason }),
                    None => self.mutants.push(mutant),
                }
            }
        }
    }

    /// Holds the list to what the models use.
    pub(crate) fn compare(&mut self, used: &HashSet<String>) {
        let is_ours = |line: &&String| {
            let path = Path::new(line.split(':').next().unwrap_or_default());
            path.starts_with(ROOT) && !EXCLUDED.iter().any(|(at, _)| path.starts_with(at))
        };
        let used: HashSet<&String> = used.iter().filter(is_ours).collect();
        let mut unlisted: Vec<_> = used
            .iter()
            .filter(|line| !self.listed.contains(**line))
            .collect();
        unlisted.sort();
        for line in unlisted {
            self.faults
                .push(format!("{line} is used and not in the list"));
        }
    }
}

/// The orderings of a call, as the facade writes them down.
fn orderings(path: &Path, site: &Site) -> Vec<String> {
    let place = spell(path, site);
    let each = ["first", "second"].iter().zip(&site.orderings);
    each.map(|(operand, ordering)| format!("{place} {operand} {ordering}"))
        .collect()
}

pub(crate) fn mutants(path: &Path, site: &Site, models: &'static [&'static str]) -> Vec<Mutant> {
    let place = spell(path, site);
    let mutant = |change| Mutant {
        place: place.clone(),
        change,
        models,
    };
    changes::changes(site).into_iter().map(mutant).collect()
}

fn spell(path: &Path, site: &Site) -> String {
    let (line, column) = site.place;
    format!("{}:{line}:{column}", path.display())
}
