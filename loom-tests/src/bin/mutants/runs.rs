//! Running the models: once as they are, to learn what they reach, and once for each mutant.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs, process};

/// The test programs that cargo built.
pub(crate) struct Models {
    programs: Vec<PathBuf>,
}

/// How the models met a mutant.
pub(crate) enum Outcome {
    /// A model failed; its words.
    Killed(String),
    Survived,
    /// A program failed, and not because a model met the mutant; its words.
    Broken(String),
}

impl Models {
    pub(crate) fn new(programs: Vec<PathBuf>) -> Self {
        Self { programs }
    }

    /// The orderings that the models use: a line `place operand ordering` for each.
    ///
    /// # Panics
    ///
    /// If a model fails.
    pub(crate) fn used(&self) -> HashSet<String> {
        let file = env::temp_dir().join(format!("ringpost-sites-{}", process::id()));
        for program in &self.programs {
            let status = Command::new(program)
                .env("RINGPOST_SITES", &file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let passes = status.is_ok_and(|status| status.success());
            assert!(passes, "{} fails unmutated", program.display());
        }
        let used = fs::read_to_string(&file).unwrap_or_default();
        // The file is of no further use; what cannot be removed does no harm.
        let _ = fs::remove_file(&file);
        used.lines().map(str::to_owned).collect()
    }

    /// Runs the programs named, until one fails, with the mutant `place=change`.
    ///
    /// # Panics
    ///
    /// If there is no program of such a name, or it does not start.
    pub(crate) fn meet(&self, mutant: &str, names: &[&str]) -> Outcome {
        for name in names {
            let program = self.programs.iter().find(|program| is_named(program, name));
            let program = program.unwrap_or_else(|| panic!("there is no program {name}"));
            let output = Command::new(program)
                .env("RINGPOST_MUTANT", mutant)
                .env("TSAN_OPTIONS", "halt_on_error=1")
                .output()
                .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            if !output.status.success() {
                return judge(&output, mutant);
            }
        }
        Outcome::Survived
    }
}

/// Whether a failure is the mutant's doing: it was applied, and then a model failed, or the sanitizer reported
/// something. A program that comes down in another way proves nothing, but where what a mutant breaks is real
/// memory: not under loom, which keeps it.
fn judge(output: &Output, mutant: &str) -> Outcome {
    let text = String::from_utf8_lossy(&output.stderr);
    let place = mutant.split('=').next().unwrap_or(mutant);
    let applied = format!("mutant applied at {place}");
    let is_applied = text.lines().any(|line| line == applied);
    let words = text.lines().find_map(|line| {
        let model = line.strip_prefix("model ");
        let report = line.strip_prefix("SUMMARY: ");
        model
            .filter(|line| line.contains(": fails at execution "))
            .or(report)
    });
    let crash = (!cfg!(loom) && output.status.code().is_none()).then_some("comes down by a signal");
    match words.or(crash).filter(|_| is_applied) {
        Some(words) => Outcome::Killed(words.to_owned()),
        None => Outcome::Broken(format!("{}: {}", output.status, text.trim())),
    }
}

/// Whether a test program, `wake-0123abc`, is the one of this name.
fn is_named(program: &Path, name: &str) -> bool {
    let file = program.file_name().and_then(|file| file.to_str());
    let rest = file.and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
    rest.is_some_and(|hash| hash.chars().all(|letter| letter.is_ascii_hexdigit()))
}
