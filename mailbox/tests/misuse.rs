//! Misuse that must not compile: each program in `compile_fail` is refused, for the reason beside
//! it.

#![cfg(not(loom))]

mod sources;

#[test]
fn misuse_is_a_type_error() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    if !sources::are_shown() {
        cases.compile_fail("tests/compile_fail/std/*.rs");
    }
}
