//! Unsafe code is in the listed modules only, and each piece of it says why it is sound.

use crate::source::Source;
use crate::tree::{Finding, Tree, is_in};

/// Where `unsafe` may stand. A new line here is a decision to be argued for in review.
const UNSAFE_MODULES: &[&str] = &[
    "mailbox/src/",
    "runtime/src/task/raw/",
    // Models share plain memory under the protection of what they model.
    "loom-tests/tests/",
    "loom-tests/src/arm/mod.rs",
    // Cells of other sizes than the one that was chosen.
    "mailbox/benches/cell_size.rs",
    // An allocator that counts.
    "mailbox/tests/support/counting.rs",
    "mailbox/tests/pool_allocations.rs",
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut contract_end = 0;
    for (at, token) in source.tokens.iter().enumerate() {
        // `unsafe fn(…)` without a name is the type of a pointer: nothing is done there.
        if token.text != "unsafe" || source.matches(at + 1, &["fn", "("]) {
            continue;
        }
        if !is_in(&source.path, UNSAFE_MODULES) {
            let text = "unsafe code outside the listed modules";
            findings.push(Finding::at(&source.path, token.line, text));
        }
        let next = source.token(at + 1);
        if next == "impl" {
            let open = (at..source.tokens.len()).find(|at| source.token(*at) == "{");
            contract_end = open.map_or(at, |open| source.closing(open));
        }
        // What the functions of an unsafe trait ask for is said by the trait.
        let in_contract = next == "fn" && at < contract_end;
        if !in_contract && !is_explained(source, at) {
            let text = "unsafe code without a SAFETY text right above it";
            findings.push(Finding::at(&source.path, token.line, text));
        }
    }
    findings
}

fn is_explained(source: &Source, at: usize) -> bool {
    let remarks = source.remarks(source.tokens[at].line);
    let declares = matches!(source.token(at + 1), "fn" | "trait" | "extern");
    remarks.contains("SAFETY:") || declares && remarks.contains("# Safety")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::rules::findings;

    #[test]
    fn unsafe_code_elsewhere_is_caught() {
        for path in [
            "router/src/table.rs",
            "runtime/src/task/raw_more.rs",
            "mailbox/tests/ring.rs",
        ] {
            let found = findings(check, &[(path, "// SAFETY: because.\nunsafe { f() }")]);
            assert_eq!(
                found,
                [format!("{path}:2: unsafe code outside the listed modules")]
            );
        }
    }

    #[test]
    fn a_missing_reason_is_caught() {
        for code in [
            "unsafe { f() }",
            "// SAFETY: for a only.\nlet a = unsafe { f() };\nlet b = unsafe { f() };",
            "// SAFETY: too far above.\n\nunsafe impl Send for T {}",
            "// It is safe.\nunsafe impl Send for T {}",
            "/// Does it.\nunsafe fn f() {}",
            "// SAFETY: for Send.\nunsafe impl Send for T {}\nunsafe impl Sync for T {}",
            "// SAFETY: a.\nunsafe impl A for T {}\nimpl T { unsafe fn f() {} }",
            "// SAFETY: a.\nunsafe impl A for T {\n    fn f() { unsafe { g() } }\n}",
        ] {
            let found = findings(check, &[("mailbox/src/a.rs", code)]);
            assert_eq!(found.len(), 1, "{code}");
            assert!(found[0].ends_with("without a SAFETY text right above it"));
        }
    }

    #[test]
    fn a_given_reason_passes() {
        for code in [
            "// SAFETY: because.\nlet a =\n    unsafe { f() };",
            "/// # Safety\n/// The caller must.\n#[inline]\npub unsafe fn f() {}",
            "struct V { drop: unsafe fn(*mut ()) }",
            "// SAFETY: a.\nunsafe impl A for T {\n    unsafe fn f() {}\n}",
            "#![forbid(unsafe_code)]\nlet a = \"unsafe\"; // unsafe",
        ] {
            assert_eq!(
                findings(check, &[("mailbox/src/a.rs", code)]),
                [""; 0],
                "{code}"
            );
        }
    }
}
