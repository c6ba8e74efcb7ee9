//! What the macros say to what they do not accept.

#[test]
fn macros_explain_what_they_refuse() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
