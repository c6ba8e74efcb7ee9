//! The cells of the table, and what was measured in them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

pub const CONNECTIONS: [usize; 3] = [1, 64, 1000];
pub const WINDOWS: [usize; 2] = [1, 16];
pub const SIZES: [usize; 3] = [64, 1024, 16_384];

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub size: usize,
    pub connections: usize,
    pub window: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Echoes a second.
    pub rate: f64,
    /// In microseconds.
    pub p99: f64,
    /// Processor time of the server for each echo, in microseconds.
    pub cpu: f64,
}

/// All cells of all servers, and why there are no figures where there are none.
#[derive(Debug, Default)]
pub struct Matrix(BTreeMap<(Cell, String), Result<Figures, String>>);

impl Cell {
    pub fn all(sizes: &[usize], connections: &[usize], windows: &[usize]) -> Vec<Self> {
        let mut cells = Vec::new();
        for &size in sizes {
            for &connections in connections {
                for &window in windows {
                    cells.push(Self {
                        size,
                        connections,
                        window,
                    });
                }
            }
        }
        cells
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            size,
            connections,
            window,
        } = self;
        write!(f, "{size} B, {connections} connections, window {window}")
    }
}

impl Figures {
    /// Each figure's median.
    pub fn median(all: &[Self]) -> Option<Self> {
        let median = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        Some(Self {
            rate: median(|figures| figures.rate)?,
            p99: median(|figures| figures.p99)?,
            cpu: median(|figures| figures.cpu)?,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0}/s   p99 {:>9.1} µs   {:.2} µs of CPU each",
            self.rate, self.p99, self.cpu
        )
    }
}

impl Matrix {
    pub fn get(&self, server: &str, cell: Cell) -> Option<&Result<Figures, String>> {
        self.0.get(&(cell, server.to_owned()))
    }

    pub fn put(&mut self, server: &str, cell: Cell, outcome: Result<Figures, String>) {
        self.0.insert((cell, server.to_owned()), outcome);
    }

    /// What was saved before; nothing, if nothing was.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text?,
        };
        let bad = |line: &str| io::Error::other(format!("{}: {line}", path.display()));
        text.lines()
            .map(|line| parse(line).ok_or_else(|| bad(line)))
            .collect()
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
        for ((cell, server), outcome) in &self.0 {
            let Cell {
                size,
                connections,
                window,
            } = cell;
            let figures = match outcome {
                Ok(Figures { rate, p99, cpu }) => format!("{rate};{p99};{cpu}"),
                Err(reason) => reason.replace([';', '\n'], ","),
            };
            text += &format!("{size};{connections};{window};{server};{figures}\n");
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    }
}

type Entry = ((Cell, String), Result<Figures, String>);

impl FromIterator<Entry> for Matrix {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

fn parse(line: &str) -> Option<Entry> {
    let mut fields = line.split(';');
    let mut number = || fields.next()?.parse().ok();
    let cell = Cell {
        size: number()?,
        connections: number()?,
        window: number()?,
    };
    let server = fields.next()?.to_owned();
    let rest: Vec<&str> = fields.collect();
    let outcome = match rest[..] {
        [rate, p99, cpu] => Ok(Figures {
            rate: rate.parse().ok()?,
            p99: p99.parse().ok()?,
            cpu: cpu.parse().ok()?,
        }),
        _ => Err(rest.join(";")),
    };
    Some(((cell, server), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let cell = Cell {
            size: 64,
            connections: 1,
            window: 16,
        };
        let figures = Figures {
            rate: 1.5,
            p99: 2.0,
            cpu: 0.25,
        };
        let mut matrix = Matrix::default();
        matrix.put("mio, by hand", cell, Ok(figures));
        matrix.put("x", cell, Err("broke".to_owned()));
        let path = std::env::temp_dir().join(format!("echo-{}.csv", std::process::id()));
        matrix.save(&path).unwrap();
        let loaded = Matrix::load(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(loaded.get("mio, by hand", cell), Some(&Ok(figures)));
        assert_eq!(loaded.get("x", cell), Some(&Err("broke".to_owned())));
    }
}
