//! Code apart from comments, without what stands in strings.

use super::{Line, is_word};

/// Walks over the characters of a file and sorts them into code and comments by line.
pub(super) struct Splitter {
    chars: Vec<char>,
    at: usize,
    lines: Vec<Line>,
}

impl Splitter {
    pub(super) fn new(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
            at: 0,
            lines: vec![Line::default()],
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn line(&mut self) -> &mut Line {
        self.lines.last_mut().expect("there is always a line")
    }

    pub(super) fn split(mut self) -> Vec<Line> {
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '/') => self.line_comment(),
                ('/', '*') => self.block_comment(),
                ('"', _) => self.string(),
                ('r', '"' | '#') if self.raw_string() => {}
                ('\'', _) => self.quote(),
                _ => self.take(true),
            }
        }
        self.lines
    }

    /// Moves on by one character, which belongs to the code or is dropped.
    fn take(&mut self, code: bool) {
        match self.peek(0) {
            '\n' => self.lines.push(Line::default()),
            char if code => self.line().code.push(char),
            _ => {}
        }
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            let char = self.peek(0);
            self.line().comment.push(char);
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                ('\0', _) => return,
                (char, _) => {
                    if char != '\n' {
                        self.line().comment.push(char);
                    }
                    self.take(false);
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.line().code.push('"');
        self.at += 1;
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                self.take(false);
            }
            self.take(false);
        }
        self.line().code.push('"');
        self.at += 1;
    }

    /// Skips a raw string, if there is one here and not a raw name.
    fn raw_string(&mut self) -> bool {
        // `r`, `br` and `cr` open a string; any longer word before the `r` is a name.
        let before = |back: usize| self.at.checked_sub(back).map_or(' ', |at| self.chars[at]);
        let prefix = if matches!(before(1), 'b' | 'c') { 2 } else { 1 };
        let hashes = (1..).take_while(|ahead| self.peek(*ahead) == '#').count();
        if is_word(before(prefix)) || self.peek(1 + hashes) != '"' {
            return false;
        }
        self.at += 2 + hashes;
        let ends =
            |this: &Self| this.peek(0) == '"' && (1..=hashes).all(|ahead| this.peek(ahead) == '#');
        self.line().code.push_str("\"\"");
        while self.at < self.chars.len() && !ends(self) {
            self.take(false);
        }
        self.at += 1 + hashes;
        true
    }

    /// A character literal, or else the mark of a lifetime.
    fn quote(&mut self) {
        let literal = match (self.peek(1), self.peek(2)) {
            ('\\', _) => {
                (3..)
                    .take_while(|ahead| !matches!(self.peek(*ahead), '\'' | '\0'))
                    .count()
                    + 4
            }
            (_, '\'') => 3,
            _ => return self.take(true),
        };
        self.line().code.push_str("''");
        self.at += literal;
    }
}
