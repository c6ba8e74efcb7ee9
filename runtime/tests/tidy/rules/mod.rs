//! The rules, one file for each subject.

pub(crate) mod arrows;
pub(crate) mod guarantees;
pub(crate) mod leftovers;
pub(crate) mod orderings;
pub(crate) mod seams;
pub(crate) mod sizes;
pub(crate) mod unsafe_code;

/// The findings of a rule on one file, as text.
#[cfg(test)]
fn findings(
    rule: impl Fn(&crate::tree::Tree) -> Vec<crate::tree::Finding>,
    files: &[(&str, &str)],
) -> Vec<String> {
    let findings = rule(&crate::tree::Tree::of(files));
    findings.iter().map(ToString::to_string).collect()
}
