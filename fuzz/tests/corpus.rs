//! Every input that was worth keeping, again (G10).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ringpost_fuzz::{Mutator, TARGETS, entries, fuzz};

#[test]
fn the_corpus_is_replayed_without_a_panic() {
    for target in TARGETS {
        let entries = entries(target.name).expect("each target has a corpus");
        assert!(entries.len() >= 5, "{} has hardly any corpus", target.name);
        for entry in entries {
            let outcome = std::panic::catch_unwind(|| (target.run)(&entry.bytes));
            assert!(
                outcome.is_ok(),
                "{} panics at {}",
                target.name,
                entry.path.display()
            );
        }
    }
}

#[test]
fn each_folder_of_the_corpus_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders: BTreeSet<String> = fs::read_dir(folder)
        .expect("the corpus can be read")
        .map(|file| {
            file.expect("the corpus can be read")
                .file_name()
                .into_string()
        })
        .map(|name| name.expect("names are text"))
        .collect();
    let targets = TARGETS.iter().map(|target| target.name.to_owned());
    assert_eq!(folders, targets.collect());
}

#[test]
fn a_few_thousand_inputs_from_a_fixed_seed_are_stood() {
    for target in TARGETS {
        let corpus = entries(target.name).expect("each target has a corpus");
        let corpus = corpus.into_iter().map(|entry| entry.bytes).collect();
        let mut mutator = Mutator::new(4, corpus);
        let result = fuzz(*target, &mut mutator, |executions| executions < 5_000);
        assert_eq!(result.expect("no input panics"), 5_000, "{}", target.name);
    }
}
