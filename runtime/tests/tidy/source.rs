//! Rust text taken apart just far enough for the rules: code, comments and tokens by line.
//!
//! The contents of strings and characters are dropped, so no rule is misled by a word in a string,
//! and the rules' own tests can hold bad code as text.

mod split;

use self::split::Splitter;

/// One file of Rust.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) tokens: Vec<Token>,
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) code: String,
    pub(crate) comment: String,
    /// The innermost bracket that is open where the line begins.
    inside: Option<char>,
}

/// A name, a number or a single sign.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 0.
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut lines = Splitter::new(text).split();
        for (line, text) in lines.iter_mut().zip(text.lines()) {
            text.clone_into(&mut line.text);
        }
        let tokens = tokenize(&lines);
        mark_brackets(&mut lines, &tokens);
        let path = path.to_owned();
        Self {
            path,
            lines,
            tokens,
        }
    }

    /// Whether the tokens from `at` on are these.
    pub(crate) fn matches(&self, at: usize, texts: &[&str]) -> bool {
        let tokens = self.tokens.get(at..at + texts.len());
        tokens.is_some_and(|tokens| {
            tokens
                .iter()
                .zip(texts)
                .all(|(token, text)| token.text == *text)
        })
    }

    /// The token at an index; empty beyond the end.
    pub(crate) fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// The comments that speak about a line: on it, on earlier lines of its statement, and in the
    /// block of comments right above that.
    pub(crate) fn remarks(&self, line: usize) -> String {
        let mut remarks = self.lines[line].comment.clone();
        let mut block = false;
        for at in (0..line).rev() {
            let above = &self.lines[at];
            if above.code.trim().is_empty() {
                if above.comment.is_empty() {
                    break;
                }
                block = true;
            } else if block || !self.continues(at + 1) {
                break;
            }
            remarks = format!("{} {remarks}", above.comment);
        }
        remarks
    }

    /// Whether a line goes on with the statement of the line above it.
    fn continues(&self, line: usize) -> bool {
        let above = self.lines[line - 1].code.trim_end();
        match self.lines[line].inside {
            Some('(' | '[') => true,
            _ => !above.ends_with([';', '{', '}', ',']),
        }
    }

    /// The index of the token that closes the bracket at `open`, or the end.
    pub(crate) fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.token(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len()
    }

    /// The attributes, each as the range of its tokens between the brackets.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        (0..self.tokens.len()).filter_map(|at| {
            let open = match (self.token(at), self.token(at + 1), self.token(at + 2)) {
                ("#", "[", _) => at + 1,
                ("#", "!", "[") => at + 2,
                _ => return None,
            };
            Some(open + 1..self.closing(open))
        })
    }

    /// The full paths that `use` declarations bring in, with their lines.
    pub(crate) fn imports(&self) -> Vec<(String, usize)> {
        let mut paths = Vec::new();
        for at in 0..self.tokens.len() {
            let starts =
                at == 0 || ";{}])".contains(self.token(at - 1)) || self.token(at - 1) == "pub";
            if starts && self.token(at) == "use" {
                self.import(at + 1, "", &mut paths);
            }
        }
        paths
    }

    /// Adds the paths of one use tree and returns the index behind it.
    fn import(&self, mut at: usize, prefix: &str, paths: &mut Vec<(String, usize)>) -> usize {
        let mut path = prefix.to_owned();
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.token(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.token(at), "}" | "") {
                        at = self.import(at, &path, paths);
                        at += usize::from(self.token(at) == ",");
                    }
                    return at + 1;
                }
                "," | "}" | ";" | "" | "as" => break,
                text => path.push_str(text),
            }
            at += 1;
        }
        paths.push((path, line));
        while !matches!(self.token(at), "," | "}" | ";" | "") {
            at += 1;
        }
        at
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn tokenize(lines: &[Line]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut in_word = false;
        for char in line.code.chars() {
            match tokens.last_mut() {
                Some(last) if in_word && is_word(char) => last.text.push(char),
                _ if char.is_whitespace() => {}
                _ => tokens.push(Token {
                    text: char.to_string(),
                    line: number,
                }),
            }
            in_word = is_word(char);
        }
    }
    tokens
}

fn mark_brackets(lines: &mut [Line], tokens: &[Token]) {
    let mut open = Vec::new();
    let mut tokens = tokens.iter().peekable();
    for (number, line) in lines.iter_mut().enumerate() {
        line.inside = open.last().copied();
        while let Some(token) = tokens.next_if(|token| token.line == number) {
            match token.text.as_str() {
                "(" => open.push('('),
                "[" => open.push('['),
                "{" => open.push('{'),
                ")" | "]" | "}" => drop(open.pop()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
