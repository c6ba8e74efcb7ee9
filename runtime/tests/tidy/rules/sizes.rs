//! Functions, files and lines that a reader can take in.

use crate::source::Source;
use crate::tree::{Finding, Tree};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 700;
const LINE_CHARS_MAX: usize = 160;

pub(crate) fn check_functions(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(long_functions).collect()
}

fn long_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in 0..source.tokens.len() {
        if source.token(at) != "fn" || source.token(at + 1) == "(" {
            continue;
        }
        let Some(open) = body(source, at) else {
            continue;
        };
        let first = source.tokens[at].line;
        let last = source
            .tokens
            .get(source.closing(open))
            .map_or(source.lines.len(), |end| end.line);
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = source.token(at + 1);
            let text =
                format!("function {name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
            findings.push(Finding::at(&source.path, first, text));
        }
    }
    findings
}

/// The token that opens the body of the function at `at`, if it has one.
fn body(source: &Source, mut at: usize) -> Option<usize> {
    loop {
        match source.token(at) {
            "{" => return Some(at),
            ";" | "" => return None,
            "(" | "[" => at = source.closing(at),
            _ => {}
        }
        at += 1;
    }
}

pub(crate) fn check_files(tree: &Tree) -> Vec<Finding> {
    let long = tree.sources.iter().filter(|source| {
        source.path.split('/').any(|folder| folder == "src") && lines_of(source) > FILE_LINES_MAX
    });
    long.map(|source| {
        let text = format!(
            "{} lines in one file, {FILE_LINES_MAX} are allowed",
            lines_of(source)
        );
        Finding::at(&source.path, 0, text)
    })
    .collect()
}

/// The splitter sees an empty last line behind the final line break.
fn lines_of(source: &Source) -> usize {
    source.lines.len() - usize::from(source.lines.last().is_some_and(|line| line.text.is_empty()))
}

pub(crate) fn check_lines(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let lines = source.lines.iter().map(|line| line.text.as_str());
        findings.extend(long_lines(&source.path, lines));
    }
    // Tables make documents wide.
    for text in tree.texts.iter().filter(|text| !text.path.ends_with(".md")) {
        findings.extend(long_lines(&text.path, text.text.lines()));
    }
    findings
}

fn long_lines<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let lengths = lines.map(|line| line.chars().count()).enumerate();
    let long = lengths.filter(|(_, length)| *length > LINE_CHARS_MAX);
    long.map(|(line, length)| {
        Finding::at(
            path,
            line,
            format!("a line of {length} characters, {LINE_CHARS_MAX} are allowed"),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{check_files, check_functions, check_lines};
    use crate::rules::findings;

    fn function(lines: usize) -> String {
        format!(
            "impl A {{\n    fn long(a: [u8; {{ 1 }}]) {{\n{}    }}\n}}\n",
            "f();\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_long_function_is_caught() {
        assert_eq!(
            findings(check_functions, &[("a/src/b.rs", &function(70))]),
            [""; 0]
        );
        let found = findings(check_functions, &[("a/src/b.rs", &function(71))]);
        assert_eq!(
            found,
            ["a/src/b.rs:2: function long has 71 lines, 70 are allowed"]
        );
    }

    #[test]
    fn a_declaration_has_no_length() {
        let text = format!(
            "trait A {{ fn a(&self) -> u8; {} }}\ntype F = fn(u8);",
            "\n".repeat(90)
        );
        assert_eq!(findings(check_functions, &[("a/src/b.rs", &text)]), [""; 0]);
    }

    #[test]
    fn a_long_file_is_caught() {
        let text = "f();\n".repeat(701);
        assert_eq!(findings(check_files, &[("a/src/b.rs", &text)]).len(), 1);
        assert_eq!(
            findings(check_files, &[("a/src/b.rs", &text[5..])]),
            [""; 0]
        );
        assert_eq!(findings(check_files, &[("a/tests/b.rs", &text)]), [""; 0]);
    }

    #[test]
    fn a_long_line_is_caught() {
        let text = format!("// {}\n//{}", "ä".repeat(157), "ä".repeat(159));
        let found = findings(
            check_lines,
            &[("a/src/b.rs", &text), (".ci/run", &text), ("a.md", &text)],
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            "a/src/b.rs:2: a line of 161 characters, 160 are allowed"
        );
    }
}
