//! Misuse that must not compile: each program in `compile_fail` is refused, for the reason beside
//! it.

#![cfg(not(loom))]

#[test]
fn misuse_is_a_type_error() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
