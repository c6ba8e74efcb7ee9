//! Reading a source: which atomic operations it calls, where, and with which orderings.
//!
//! Every ordering stronger than relaxed has to be accounted for: as an argument of an operation that
//! can be weakened, in an import, or in a unit test. What is none of these is a stray, and fails
//! the run.

use std::str::FromStr;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// The orderings stronger than relaxed.
pub(crate) const STRONG: &[&str] = &["Acquire", "Release", "AcqRel", "SeqCst"];

/// The operations of the facade that take orderings.
const OPERATIONS: &[&str] = &[
    "load",
    "store",
    "swap",
    "compare_exchange",
    "fetch_add",
    "fetch_sub",
    "fetch_or",
    "fetch_and",
    "fence",
];

/// A place in a source: line and column, both from 1.
pub(crate) type Place = (usize, usize);

/// A call of an atomic operation.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) operation: String,
    /// Its orderings, in the order of its arguments.
    pub(crate) orderings: Vec<String>,
}

/// What a source says about orderings.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Reading {
    pub(crate) sites: Vec<Site>,
    /// Strong orderings in imports.
    pub(crate) imported: usize,
    /// Strong orderings in unit tests.
    pub(crate) tested: usize,
    /// Strong orderings anywhere else.
    pub(crate) strays: Vec<Place>,
}

impl Reading {
    /// # Errors
    ///
    /// If the source is not Rust.
    pub(crate) fn of(source: &str) -> Result<Self, String> {
        let tokens = TokenStream::from_str(source).map_err(|error| error.to_string())?;
        let mut reading = Self::default();
        reading.read(tokens);
        Ok(reading)
    }

    /// The strong orderings that are arguments of sites.
    pub(crate) fn in_sites(&self) -> usize {
        let orderings = self.sites.iter().flat_map(|site| &site.orderings);
        orderings.filter(|ordering| is_strong(ordering)).count()
    }

    /// All strong orderings, wherever they are.
    pub(crate) fn total(&self) -> usize {
        self.in_sites() + self.imported + self.tested + self.strays.len()
    }

    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let end = at + 1;
            at = match token {
                // `use<'a>` in a type is no import.
                TokenTree::Ident(word) if word == "use" && !is_punct(&tokens[end], '<') => {
                    let end = end_of(&tokens, end, |token| is_punct(token, ';'));
                    self.imported += count(&tokens[at..end]);
                    end
                }
                _ if is_test(&tokens[at..]) => {
                    let last = |token: &TokenTree| is_punct(token, ';') || is_block(token);
                    let end = end_of(&tokens, end, last);
                    self.tested += count(&tokens[at..end]);
                    end
                }
                TokenTree::Ident(word) if is_called(&tokens, at) => {
                    self.read_call(word, &tokens[end]);
                    end + 1
                }
                TokenTree::Ident(word) if is_strong(&word.to_string()) => {
                    self.strays.push(place(word));
                    end
                }
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    end
                }
                _ => end,
            };
        }
    }

    fn read_call(&mut self, operation: &Ident, arguments: &TokenTree) {
        let TokenTree::Group(group) = arguments else {
            return;
        };
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let mut orderings = Vec::new();
        for argument in tokens.split(|token| is_punct(token, ',')) {
            match ordering(argument) {
                Some(ordering) => orderings.push(ordering),
                None => self.read(argument.iter().cloned().collect()),
            }
        }
        // Without one it is somebody else's `swap`.
        if !orderings.is_empty() {
            self.sites.push(Site {
                place: place(operation),
                operation: operation.to_string(),
                orderings,
            });
        }
    }
}

/// How often a strong ordering is spelled in the lines of a source, comments left out: a count that
/// knows no syntax, to hold the reading to.
pub(crate) fn spelled(source: &str) -> usize {
    let code = source.lines().filter_map(|line| line.split("//").next());
    let words = code.flat_map(|code| code.split(|letter: char| !is_word(letter)));
    words.filter(|word| is_strong(word)).count()
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

pub(crate) fn is_strong(word: &str) -> bool {
    STRONG.contains(&word)
}

/// The ordering that an argument is, with or without a path before it.
fn ordering(argument: &[TokenTree]) -> Option<String> {
    let (last, path) = argument.split_last()?;
    let is_path = |token: &TokenTree| matches!(token, TokenTree::Ident(_)) || is_punct(token, ':');
    let word = last.to_string();
    let is_ordering = word == "Relaxed" || is_strong(&word);
    (is_ordering && path.iter().all(is_path)).then_some(word)
}

/// Whether an operation is called here: a method, or a fence.
fn is_called(tokens: &[TokenTree], at: usize) -> bool {
    let word = tokens[at].to_string();
    let before = at.checked_sub(1).map(|before| &tokens[before]);
    let is_method = before.is_some_and(|token| is_punct(token, '.'));
    let is_defined = before.is_some_and(|token| token.to_string() == "fn");
    OPERATIONS.contains(&word.as_str())
        && is_method == (word != "fence")
        && !is_defined
        && tokens
            .get(at + 1)
            .is_some_and(|token| is_group(token, Delimiter::Parenthesis))
}

/// Whether `#[cfg(test)]` stands here.
fn is_test(tokens: &[TokenTree]) -> bool {
    let [mark, TokenTree::Group(attribute), ..] = tokens else {
        return false;
    };
    let mut text = attribute.stream().to_string();
    text.retain(|letter| !letter.is_whitespace());
    is_punct(mark, '#') && text == "cfg(test)"
}

/// The first index behind the next token that is `last`.
fn end_of(tokens: &[TokenTree], from: usize, last: impl Fn(&TokenTree) -> bool) -> usize {
    let found = tokens[from..].iter().position(last);
    found.map_or(tokens.len(), |ahead| from + ahead + 1)
}

/// How often a strong ordering stands in these tokens, at any depth.
fn count(tokens: &[TokenTree]) -> usize {
    let each = |token: &TokenTree| match token {
        TokenTree::Group(group) => count(&Vec::from_iter(group.stream())),
        token => usize::from(is_strong(&token.to_string())),
    };
    tokens.iter().map(each).sum()
}

fn is_punct(token: &TokenTree, letter: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == letter)
}

fn is_block(token: &TokenTree) -> bool {
    is_group(token, Delimiter::Brace)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn place(word: &Ident) -> Place {
    let start = word.span().start();
    (start.line, start.column + 1)
}

#[cfg(test)]
mod tests {
    use super::{Reading, Site, spelled};

    fn read(source: &str) -> Reading {
        let reading = Reading::of(source).unwrap();
        assert_eq!(reading.total(), spelled(source), "{source}");
        reading
    }

    fn site(place: (usize, usize), operation: &str, orderings: &[&str]) -> Site {
        Site {
            place,
            operation: operation.to_owned(),
            orderings: orderings
                .iter()
                .map(|&ordering| ordering.to_owned())
                .collect(),
        }
    }

    #[test]
    fn calls_are_found_in_every_spelling() {
        for (source, expected) in [
            (
                "fn f() { a.load(Acquire); }",
                site((1, 12), "load", &["Acquire"]),
            ),
            (
                "fn f() { fence(SeqCst) }",
                site((1, 10), "fence", &["SeqCst"]),
            ),
            (
                "fn f() { atomic::fence(atomic::Ordering::SeqCst) }",
                site((1, 18), "fence", &["SeqCst"]),
            ),
            (
                "fn f() {\n    a\n        .store(g(1, 2), Ordering::Release);\n}",
                site((3, 10), "store", &["Release"]),
            ),
            (
                "fn f() {\n a.compare_exchange(\n  0,\n  1,\n  AcqRel,\n  Acquire,\n ) }",
                site((2, 4), "compare_exchange", &["AcqRel", "Acquire"]),
            ),
            (
                "macro_rules! m { () => { $a.swap(1, AcqRel) } }",
                site((1, 29), "swap", &["AcqRel"]),
            ),
        ] {
            let expected = Reading {
                sites: vec![expected],
                ..Reading::default()
            };
            assert_eq!(read(source), expected, "{source}");
        }
    }

    #[test]
    fn a_call_within_a_call_is_found_too() {
        let reading = read("fn f() { a.store(b.load(Acquire), Release) }");
        let inner = site((1, 20), "load", &["Acquire"]);
        assert_eq!(reading.sites, [inner, site((1, 12), "store", &["Release"])]);
    }

    #[test]
    fn what_cannot_be_weakened_is_a_stray() {
        for source in [
            "const ORDER: Ordering = Acquire;",
            "fn f() { let order = Ordering::SeqCst; a.load(order) }",
            "fn f() { a.fetch_max(1, AcqRel) }",
            "fn f() { a.load(if b { Acquire } else { Relaxed }) }",
            "fn f() { look(&a, Acquire) }",
            "fn f() { AtomicBool::load(&a, Acquire) }",
        ] {
            let reading = read(source);
            assert_eq!(
                (reading.strays.len(), reading.sites.len()),
                (1, 0),
                "{source}"
            );
        }
    }

    #[test]
    fn imports_tests_comments_and_other_calls_are_no_sites() {
        let source = "
            //! Acquire is a word.
            pub use std::{fmt, sync::atomic::{Acquire, Release}};
            fn f() { list.swap(1, 2); } // SeqCst
            #[cfg(test)]
            use a::SeqCst;
            #[cfg(test)]
            mod tests { fn g() { a.load(AcqRel) } }
            fn load(order: Ordering) {}
        ";
        let reading = read(source);
        assert_eq!((reading.imported, reading.tested), (2, 2));
        assert_eq!((reading.sites, reading.strays), (vec![], vec![]));
    }

    #[test]
    fn what_follows_a_test_or_a_capture_is_read() {
        let source = "#[cfg(test)] mod tests {} fn f() { a.load(Acquire) }";
        assert_eq!(read(source).sites, [site((1, 38), "load", &["Acquire"])]);
        let source = "fn f() -> impl G + use<'_> { a.load(Acquire) }";
        assert_eq!(read(source).sites, [site((1, 32), "load", &["Acquire"])]);
    }

    #[test]
    fn a_word_in_a_text_breaks_the_account() {
        let source = "fn f() { g(\"Acquire\") }";
        assert_ne!(Reading::of(source).unwrap().total(), spelled(source));
    }
}
