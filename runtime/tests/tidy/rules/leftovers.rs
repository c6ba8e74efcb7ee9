//! Nothing is switched off or put off: no ignored tests, no panics of any kind, no marks for later.

use crate::source::Source;
use crate::tree::{Finding, Tree};

const MARKS: &[&str] = &["TODO", "FIXME", "XXX"];

pub(crate) fn check_tests(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(weak_tests).collect()
}

fn weak_tests(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in source.attributes().flatten() {
        let text = match source.token(at) {
            "ignore" => "an ignored test",
            "should_panic" if !source.matches(at + 1, &["(", "expected"]) => {
                "a panic is expected without saying which"
            }
            _ => continue,
        };
        findings.push(Finding::at(&source.path, source.tokens[at].line, text));
    }
    for (number, line) in source.lines.iter().enumerate() {
        let fence = line
            .comment
            .split_once("```")
            .map_or("", |(_, words)| words);
        if fence.split(',').any(|word| word.trim() == "ignore") {
            findings.push(Finding::at(&source.path, number, "an ignored example"));
        }
    }
    findings
}

pub(crate) fn check_marks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for at in 0..source.tokens.len() {
            let name = source.token(at);
            if matches!(name, "todo" | "unimplemented") && source.token(at + 1) == "!" {
                let text = format!("{name} is left");
                findings.push(Finding::at(&source.path, source.tokens[at].line, text));
            }
        }
        findings.extend(marks(
            &source.path,
            source.lines.iter().map(|line| line.comment.as_str()),
        ));
    }
    for text in &tree.texts {
        findings.extend(marks(&text.path, text.text.lines()));
    }
    findings
}

fn marks<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in lines.enumerate() {
        let mut words = line.split(|char: char| !char.is_alphanumeric());
        if let Some(mark) = words.find(|word| MARKS.contains(word)) {
            findings.push(Finding::at(path, number, format!("{mark} is left")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{check_marks, check_tests};
    use crate::rules::findings;

    #[test]
    fn weak_tests_are_caught() {
        for code in [
            "#[ignore]\nfn a() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn a() {}",
            "#[cfg_attr(loom, ignore)]\nfn a() {}",
            "#[should_panic]\nfn a() {}",
            "/// ```rust,ignore\n/// a();\n/// ```\nfn a() {}",
        ] {
            assert_eq!(
                findings(check_tests, &[("a/tests/b.rs", code)]).len(),
                1,
                "{code}"
            );
        }
    }

    #[test]
    fn honest_tests_pass() {
        for code in [
            "#[should_panic(expected = \"the reason\")]\nfn a() {}",
            "fn ignore() { ignore(); } // ignore",
            "/// ```no_run\n/// a();\n/// ```\nfn a() {}",
        ] {
            assert_eq!(
                findings(check_tests, &[("a/tests/b.rs", code)]),
                [""; 0],
                "{code}"
            );
        }
    }

    #[test]
    fn marks_are_caught_in_code_comments_and_documents() {
        for (path, text) in [
            ("a/src/b.rs", "fn a() { todo!() }"),
            ("a/src/b.rs", "fn a() { std::unimplemented!(\"b\") }"),
            ("a/src/b.rs", "// TODO: later"),
            ("a/src/b.rs", "let a = 1; /* a FIXME(me) */"),
            ("README.md", "- TODO"),
            (".ci/run", "# XXX"),
        ] {
            assert_eq!(findings(check_marks, &[(path, text)]).len(), 1, "{text}");
        }
        let text = "let todo = \"TODO\"; // todos, METHODOLOGY";
        assert_eq!(findings(check_marks, &[("a/src/b.rs", text)]), [""; 0]);
    }
}
