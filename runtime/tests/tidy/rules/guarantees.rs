//! Each promise in GUARANTEES.md is held by a test that cites its number, and nobody cites what is
//! not there.
//!
//! A promise is a heading `## G<n> …`, followed by a line `Status: holds` or `Status: planned`. One
//! that holds is cited by a test: `G<n>` in a comment or `g<n>_` in a name. What is named in backticks
//! in a `Tests:` paragraph is a test: a function of that name that no harness calls is none.

use std::collections::HashSet;

use crate::source::Source;
use crate::tree::{Finding, Text, Tree};

const DOCUMENT: &str = "GUARANTEES.md";

/// The rules cite promises that do not exist, to be caught.
const OWN_FOLDER: &str = "runtime/tests/tidy/";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.text(DOCUMENT) else {
        return vec![Finding::at(DOCUMENT, 0, "there is no such document")];
    };
    let promises = promises(document);
    let tests: Vec<TestCode<'_>> = tree.sources.iter().filter_map(TestCode::of).collect();
    let mut findings = uncited(&promises, &tests);
    findings.extend(unknown_citations(&promises, &tests));
    findings.extend(unknown_tests(&promises, &tests));
    findings
}

struct Promise {
    number: u32,
    line: usize,
    status: String,
    /// The names of tests, with their lines.
    tests: Vec<(String, usize)>,
}

fn promises(document: &Text) -> Vec<Promise> {
    let mut promises: Vec<Promise> = Vec::new();
    let mut in_tests = false;
    for (line, text) in document.text.lines().enumerate() {
        if let Some(number) = text.strip_prefix("## ").and_then(leading_number) {
            let (status, tests) = (String::new(), Vec::new());
            promises.push(Promise {
                number,
                line,
                status,
                tests,
            });
        }
        let Some(promise) = promises.last_mut() else {
            continue;
        };
        if let Some(status) = text.strip_prefix("Status:") {
            status.trim().clone_into(&mut promise.status);
        }
        in_tests = text.starts_with("Tests:") || in_tests && !text.is_empty();
        if in_tests {
            let names = text.split('`').skip(1).step_by(2);
            promise
                .tests
                .extend(names.map(|name| (name.to_owned(), line)));
        }
    }
    promises
}

/// The number of a word like `G4`.
fn leading_number(text: &str) -> Option<u32> {
    let word = text.split(|char: char| !char.is_alphanumeric()).next()?;
    word.strip_prefix('G')?.parse().ok()
}

/// The part of a file that is test code.
struct TestCode<'a> {
    source: &'a Source,
    from_line: usize,
}

impl<'a> TestCode<'a> {
    fn of(source: &'a Source) -> Option<Self> {
        let path = &source.path;
        if path.starts_with(OWN_FOLDER) {
            return None;
        }
        let whole = path.contains("/tests/")
            || path.starts_with("loom-tests/")
            || path.ends_with("/tests.rs");
        let mut attributes = source.attributes();
        let from_line = match whole {
            true => 0,
            false => {
                let attribute =
                    attributes.find(|range| source.matches(range.start, &["cfg", "(", "test"]))?;
                source.tokens[attribute.start].line
            }
        };
        Some(Self { source, from_line })
    }

    /// The numbers cited in comments and in names of functions, with their lines.
    fn citations(&self) -> Vec<(u32, usize)> {
        let lines = self.source.lines.iter().enumerate().skip(self.from_line);
        let mut citations = Vec::new();
        for (number, line) in lines {
            let words = line.comment.split(|char: char| !char.is_alphanumeric());
            citations.extend(
                words
                    .filter_map(leading_number)
                    .map(|cited| (cited, number)),
            );
        }
        for (name, line) in self.functions() {
            let parts = name
                .split('_')
                .filter_map(|part| part.strip_prefix('g')?.parse().ok());
            citations.extend(parts.map(|cited| (cited, line)));
        }
        citations
    }

    fn functions(&self) -> impl Iterator<Item = (&'a str, usize)> {
        let (source, from_line) = (self.source, self.from_line);
        let names = (1..source.tokens.len()).filter(|at| source.token(at - 1) == "fn");
        let names = names.map(|at| (source.token(at), source.tokens[at].line));
        names.filter(move |(_, line)| *line >= from_line)
    }
}

impl<'a> TestCode<'a> {
    /// The names of the functions that are marked as tests.
    fn tests(&self) -> impl Iterator<Item = &'a str> {
        let (source, from_line) = (self.source, self.from_line);
        let marks = source.attributes();
        let marks =
            marks.filter(|range| range.len() == 1 && source.matches(range.start, &["test"]));
        marks.filter_map(move |range| {
            let at = (range.end..source.tokens.len()).find(|at| source.token(*at) == "fn")?;
            (source.tokens[at].line >= from_line).then(|| source.token(at + 1))
        })
    }
}

fn uncited(promises: &[Promise], tests: &[TestCode<'_>]) -> Vec<Finding> {
    let cited: HashSet<u32> = tests
        .iter()
        .flat_map(TestCode::citations)
        .map(|(number, _)| number)
        .collect();
    let mut findings = Vec::new();
    for Promise {
        number,
        line,
        status,
        ..
    } in promises
    {
        let text = match status.as_str() {
            "holds" if !cited.contains(number) => format!("no test cites G{number}"),
            "holds" | "planned" => continue,
            "" => format!("G{number} has no line `Status:`"),
            _ => format!("G{number} has a status that is neither `holds` nor `planned`"),
        };
        findings.push(Finding::at(DOCUMENT, *line, text));
    }
    findings
}

fn unknown_citations(promises: &[Promise], tests: &[TestCode<'_>]) -> Vec<Finding> {
    let known: HashSet<u32> = promises.iter().map(|promise| promise.number).collect();
    let mut findings = Vec::new();
    for test in tests {
        for (number, line) in test.citations() {
            if !known.contains(&number) {
                let text = format!("cites G{number}, which {DOCUMENT} does not have");
                findings.push(Finding::at(&test.source.path, line, text));
            }
        }
    }
    findings
}

fn unknown_tests(promises: &[Promise], tests: &[TestCode<'_>]) -> Vec<Finding> {
    let names: HashSet<&str> = tests.iter().flat_map(TestCode::tests).collect();
    let named = promises.iter().flat_map(|promise| &promise.tests);
    let missing = named.filter(|(name, _)| !names.contains(name.as_str()));
    missing
        .map(|(name, line)| Finding::at(DOCUMENT, *line, format!("there is no test {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::rules::findings;

    const DOCUMENT: &str = "# Guarantees\n\n## G1 Order\nStatus: holds\nTests: `order_is_kept`,\n`twice`\n\n## G2 Later\nStatus: planned\n";

    fn found(document: &str, path: &str, test: &str) -> Vec<String> {
        findings(check, &[("GUARANTEES.md", document), (path, test)])
    }

    #[test]
    fn a_promise_that_is_cited_passes() {
        for test in [
            "// G1\n#[test] fn order_is_kept() {} #[test] fn twice() {}",
            "fn g1_order() {} #[test] fn order_is_kept() {} #[test] fn twice() {}",
        ] {
            assert_eq!(
                found(DOCUMENT, "runtime/tests/a.rs", test),
                [""; 0],
                "{test}"
            );
        }
        let unit = "fn a() {}\n#[cfg(test)]\nmod tests {\n    // Holds G1.\n    #[test] fn order_is_kept() {} #[test] fn twice() {}\n}";
        assert_eq!(found(DOCUMENT, "runtime/src/a.rs", unit), [""; 0]);
    }

    #[test]
    fn a_promise_that_no_test_cites_is_caught() {
        for (path, test) in [
            (
                "runtime/tests/a.rs",
                "#[test] fn order_is_kept() {} #[test] fn twice() { \"G1\"; } // G, 1, AG1",
            ),
            (
                "runtime/src/a.rs",
                "// G1\n#[cfg(test)]\nmod tests { #[test] fn order_is_kept() {} #[test] fn twice() {} }",
            ),
        ] {
            assert_eq!(
                found(DOCUMENT, path, test),
                ["GUARANTEES.md:3: no test cites G1"],
                "{test}"
            );
        }
    }

    #[test]
    fn names_that_do_not_exist_are_caught() {
        let test = "// G1, and G7\n#[test] fn order_is_kept() {}";
        let found = found(DOCUMENT, "runtime/tests/a.rs", test);
        assert_eq!(
            found,
            [
                "runtime/tests/a.rs:1: cites G7, which GUARANTEES.md does not have",
                "GUARANTEES.md:6: there is no test twice",
            ]
        );
    }

    #[test]
    fn functions_that_no_harness_calls_are_no_tests() {
        for twice in [
            "fn twice() {}",
            "#[inline] fn twice() {}",
            "fn twice() {} #[test] fn more() {}",
        ] {
            let test = format!("// G1\n#[test] #[should_panic] fn order_is_kept() {{}} {twice}");
            let found = found(DOCUMENT, "runtime/tests/a.rs", &test);
            assert_eq!(
                found,
                ["GUARANTEES.md:6: there is no test twice"],
                "{twice}"
            );
        }
    }

    #[test]
    fn a_promise_without_a_proper_status_is_caught() {
        let document = "## G1 Order\n\n## G2 Later\nStatus: nearly\n";
        assert_eq!(found(document, "runtime/tests/a.rs", "").len(), 2);
        assert_eq!(
            findings(check, &[]).len(),
            1,
            "the document itself is missing"
        );
    }
}
