//! What the splitter makes of the awkward parts of the language.

use super::Source;

fn code(text: &str) -> Vec<String> {
    let source = Source::parse("a.rs", text);
    source
        .lines
        .iter()
        .map(|line| line.code.trim().to_owned())
        .collect()
}

#[test]
fn comments_go_apart() {
    let source = Source::parse(
        "a.rs",
        "let a = 1; // one\n/* two\n /* three */ four */ let b;",
    );
    let code: Vec<&str> = source.lines.iter().map(|line| line.code.trim()).collect();
    let comments: Vec<&str> = source
        .lines
        .iter()
        .map(|line| line.comment.trim())
        .collect();
    assert_eq!(code, ["let a = 1;", "", "let b;"]);
    assert_eq!(comments, ["// one", "two", "three  four"]);
}

#[test]
fn strings_lose_their_contents() {
    assert_eq!(
        code(r#"f("a \" // b", 'x', '\'', b'"', '\u{1F600}')"#),
        ["f(\"\", '', '', b'', '')"]
    );
    assert_eq!(
        code("f(r##\"a \"# // b\"##, br\"\\\") // c"),
        ["f(\"\", b\"\")"]
    );
    assert_eq!(code("f(\"a\nunsafe\n\") + g"), ["f(\"", "", "\") + g"]);
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    assert_eq!(
        code("fn f<'a>(r#in: &'a str) { 'b: loop {} }"),
        ["fn f<'a>(r#in: &'a str) { 'b: loop {} }"]
    );
    assert_eq!(code("for_r\"x\""), ["for_r\"\""]);
}

#[test]
fn imports_are_spelled_out() {
    let text = "pub use a::{b, c::{d as e, f::*}};\nfn g() { use h::i; }\nimpl T + use<'a>;";
    let source = Source::parse("a.rs", text);
    let paths: Vec<String> = source.imports().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a::b", "a::c::d", "a::c::f::*", "h::i"]);
}

#[test]
fn remarks_belong_to_the_statement_below_them() {
    let text = "\
// other
call();
// first
// second
let a = b
    .c(
        d, // third
        e,
    );
Struct {
    // fourth
    f: 1,
    g: 2,
}";
    let source = Source::parse("a.rs", text);
    assert_eq!(
        source.remarks(7).split_whitespace().collect::<String>(),
        "//first//second//third"
    );
    assert!(source.remarks(11).contains("fourth"));
    assert!(!source.remarks(12).contains("fourth"));
    assert!(!source.remarks(1).contains("first"));
}

#[test]
fn attributes_are_found_whole() {
    let source = Source::parse("a.rs", "#![a(b[1])]\n#[c]\nfn d() {}");
    let attributes: Vec<String> = source
        .attributes()
        .map(|range| range.map(|at| source.token(at)).collect())
        .collect();
    assert_eq!(attributes, ["a(b[1])", "c"]);
}
