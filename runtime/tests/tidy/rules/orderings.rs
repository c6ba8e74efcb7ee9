//! Each atomic operation of the libraries that is stronger than relaxed names its partner.

use crate::source::Source;
use crate::tree::{Finding, Tree, is_in};

const STRONG: &[&str] = &["Acquire", "Release", "AcqRel", "SeqCst"];

const CHECKED: &[&str] = &["mailbox/src/", "runtime/src/"];

/// The facade hands orderings through and has no partner of its own.
const FACADE: &[&str] = &["mailbox/src/sync/", "mailbox/src/sync.rs"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources.iter();
    let checked =
        sources.filter(|source| is_in(&source.path, CHECKED) && !is_in(&source.path, FACADE));
    checked.flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let mut lines: Vec<usize> = Vec::new();
    let mut imported = false;
    for (at, token) in source.tokens.iter().enumerate() {
        match token.text.as_str() {
            "use" => imported = true,
            ";" => imported = false,
            text if STRONG.contains(&text) && !imported && !is_type(source, at) => {
                lines.push(token.line);
            }
            _ => {}
        }
    }
    lines.dedup();
    lines.retain(|line| !names_partner(&source.remarks(*line)));
    let text = "an ordering that does not say what it pairs with";
    lines
        .into_iter()
        .map(|line| Finding::at(&source.path, line, text))
        .collect()
}

/// A future of the same name is not an ordering.
fn is_type(source: &Source, at: usize) -> bool {
    matches!(source.token(at + 1), "<" | "{")
}

fn names_partner(remarks: &str) -> bool {
    // The words may stand on two lines, with the comment's slashes between them.
    let words = remarks.replace('/', " ").to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    words
        .windows(2)
        .any(|pair| matches!(pair, ["pairs" | "pair", "with"]))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::rules::findings;

    #[test]
    fn a_silent_ordering_is_caught() {
        for code in [
            "self.tail.store(1, Release);",
            "// Pairs with the reader.\nself.tail.store(1, Release);\nself.head.load(Ordering::Acquire);",
            "fence(SeqCst); // strong",
            "// Pairs with the reader.\n\nfence(SeqCst);",
            "use a::b;\nfence(SeqCst);",
        ] {
            for path in ["mailbox/src/ring/a.rs", "runtime/src/node/a.rs"] {
                let found = findings(check, &[(path, code)]);
                assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
            }
        }
    }

    #[test]
    fn a_named_partner_passes() {
        for code in [
            "use sync::atomic::Ordering::{Acquire, Relaxed};\nself.tail.store(1, Relaxed);",
            "fence(SeqCst); // pairs with the fence of the parker",
            "// The tail pairs\n// with the load of the reader.\nself\n    .tail\n    .store(1, Release);",
            "// A success pairs with park.\nlet a = self.word.compare_exchange(\n    0,\n    1,\n    AcqRel,\n);",
        ] {
            assert_eq!(
                findings(check, &[("mailbox/src/ring/a.rs", code)]),
                [""; 0],
                "{code}"
            );
        }
        let future = "struct Acquire<'a> {}\nfn f() -> Acquire<'a> { Acquire { a } }";
        assert_eq!(findings(check, &[("mailbox/src/a.rs", future)]), [""; 0]);
        let outside = "fence(SeqCst);";
        assert_eq!(
            findings(check, &[("mailbox/src/sync/std_arm.rs", outside)]),
            [""; 0]
        );
    }
}
