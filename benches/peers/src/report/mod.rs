//! What is left of a run: a table, and plots.

pub mod markdown;
pub mod svg;

use std::fs;
use std::io;
use std::path::Path;

use crate::measure::Measurement;

/// The figures of a run and how they were come by.
#[derive(Debug)]
pub struct Report {
    pub machine: String,
    /// The CPUs of the cores, in order.
    pub cpus: String,
    pub compiler: String,
    pub command: String,
    pub rounds: usize,
    pub run_millis: u64,
    pub measurements: Vec<Measurement>,
}

impl Report {
    /// Writes the table and a plot for each row, and one of scaling.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("results.md"), markdown::document(self))?;
        for measurement in &self.measurements {
            let name = format!("{}.svg", measurement.row.id().replace('@', "-"));
            fs::write(folder.join(name), svg::dots(measurement))?;
        }
        if let Some(plot) = svg::scaling(&self.measurements) {
            fs::write(folder.join("scaling.svg"), plot)?;
        }
        Ok(())
    }

    /// Puts the tables between the marks of a document.
    pub fn write_into(&self, readme: &Path) -> io::Result<()> {
        const BEGIN: &str = "<!-- results: begin -->";
        const END: &str = "<!-- results: end -->";
        let text = fs::read_to_string(readme)?;
        let missing = || io::Error::other("the document has no marks for results");
        let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
        let (_, after) = rest.split_once(END).ok_or_else(missing)?;
        let tables = markdown::tables(self);
        fs::write(readme, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
    }
}

/// Nanoseconds, with as many digits as mean something.
pub fn nanos(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn figures_are_readable() {
        assert_eq!(nanos(9.96), "10.0");
        assert_eq!(nanos(123.4), "123");
        assert_eq!(nanos(1_234_567.0), "1,234,567");
    }
}
