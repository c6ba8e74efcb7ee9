//! The files of the workspace, and what the rules report about them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::source::Source;

/// The text files of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    /// Manifests, scripts and documents.
    pub(crate) texts: Vec<Text>,
}

#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A place where a rule is broken. Lines count from 1.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Tree {
    /// The workspace that this test belongs to, read once.
    pub(crate) fn workspace() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let mut tree = Self::default();
            tree.walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), "");
            tree
        })
    }

    /// A tree of the given files, for the tests of the rules.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path, text);
        }
        tree
    }

    fn walk(&mut self, root: &Path, inside: &str) {
        let entries = fs::read_dir(root.join(inside)).expect("the tree can be read");
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        for name in names {
            let path = if inside.is_empty() {
                name.clone()
            } else {
                format!("{inside}/{name}")
            };
            let hidden = name.starts_with('.') && name != ".ci";
            // Cargo marks its target folders, whatever they are called.
            let built = name == "target" || root.join(&path).join("CACHEDIR.TAG").exists();
            if hidden || built {
                continue;
            }
            if root.join(&path).is_dir() {
                self.walk(root, &path);
            } else if let Ok(text) = fs::read_to_string(root.join(&path)) {
                self.add(&path, &text);
            }
        }
    }

    fn add(&mut self, path: &str, text: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        match kind {
            "rs" => self.sources.push(Source::parse(path, text)),
            "toml" | "sh" | "md" => self.add_text(path, text),
            _ if path.starts_with(".ci/") => self.add_text(path, text),
            _ => {}
        }
    }

    fn add_text(&mut self, path: &str, text: &str) {
        let (path, text) = (path.to_owned(), text.to_owned());
        self.texts.push(Text { path, text });
    }

    pub(crate) fn text(&self, path: &str) -> Option<&Text> {
        self.texts.iter().find(|text| text.path == path)
    }
}

impl Finding {
    /// A finding on a line counted from 0.
    pub(crate) fn at(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: line + 1,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Whether a path lies in one of the given folders, or is one of the given files.
pub(crate) fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| match place.strip_suffix('/') {
        Some(_) => path.starts_with(place),
        None => path == *place,
    })
}
