//! Numbers as people write and read them: `10k`, `2.5M`, `64KiB`, `1.5ms`.

use std::fmt;
use std::time::Duration;

use crate::clock::{Nanos, SECOND};

const COUNTS: &[(&str, f64)] = &[("", 1.0), ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9)];

const BYTES: &[(&str, f64)] = &[
    ("", 1.0),
    ("B", 1.0),
    ("k", 1024.0),
    ("K", 1024.0),
    ("KiB", 1024.0),
    ("kB", 1000.0),
    ("M", 1_048_576.0),
    ("MiB", 1_048_576.0),
    ("MB", 1e6),
];

const TIMES: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("min", 60e9),
    ("h", 3600e9),
];

/// Reads a number that may have a unit of thousands.
pub(crate) fn count(text: &str) -> Result<f64, String> {
    parse(text, COUNTS, "a number such as 500, 10k or 2.5M")
}

/// Reads a whole number of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    whole(text, count(text)?)
}

/// Reads a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    whole(text, parse(text, BYTES, "a size such as 64, 1KiB or 2MiB")?)
}

/// Reads a rate: a number a second, above zero.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    match count(text)? {
        0.0 => Err("the rate must be above 0".into()),
        rate => Ok(rate),
    }
}

/// Reads a duration, which has a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanos = parse(
        text,
        TIMES,
        "a time with its unit, such as 500us, 10ms or 2s",
    )?;
    Ok(Duration::from_nanos(nanos as u64))
}

fn whole(text: &str, value: f64) -> Result<usize, String> {
    match value {
        1.0.. if value.fract() == 0.0 && value <= f64::from(u32::MAX) => Ok(value as usize),
        _ => Err(format!("`{text}` is not a whole number of at least 1")),
    }
}

fn parse(text: &str, units: &[(&str, f64)], wanted: &str) -> Result<f64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor = units.iter().find(|(name, _)| *name == unit);
    let number = number.replace('_', "").parse::<f64>();
    match (number, factor) {
        (Ok(number), Some((_, factor))) if (number * factor) < 1e18 => Ok(number * factor),
        _ => Err(format!("`{text}` is not {wanted}")),
    }
}

/// Shows a time with three digits or more and the unit that suits it.
#[derive(Clone, Copy)]
pub(crate) struct Time(pub(crate) Nanos);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return f.pad(&format!("{} ns", self.0)),
            1_000..1_000_000 => (nanos / 1e3, "µs"),
            1_000_000..SECOND => (nanos / 1e6, "ms"),
            SECOND.. => (nanos / 1e9, "s"),
        };
        let digits = match value {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

/// Shows a number in groups of three digits.
#[derive(Clone, Copy)]
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut out = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        f.pad(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(count("2.5M"), Ok(2_500_000.0));
        assert_eq!(positive("1_000"), Ok(1000));
        assert_eq!(bytes("1KiB"), Ok(1024));
        assert_eq!(bytes("16k"), Ok(16_384));
        assert_eq!(rate("100k/s"), Ok(100_000.0));
        assert_eq!(duration("1.5ms"), Ok(Duration::from_micros(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    }

    #[test]
    fn what_is_no_number_is_named() {
        let error = duration("10").unwrap_err();
        assert!(error.contains("`10`") && error.contains("unit"), "{error}");
        for bad in [
            "",
            "x",
            "1.2.3",
            "-1",
            "1 k",
            "1kk",
            "1e400",
            "99999999999G",
        ] {
            assert!(count(bad).is_err(), "{bad}");
        }
        for bad in ["0", "1.5", "5G"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
        assert!(rate("0").is_err());
    }

    #[test]
    fn times_and_numbers_are_shown_with_units_and_groups() {
        let times = [5, 1_500, 23_400, 345_000, 1_230_000, 45_600_000, 2 * SECOND];
        let shown = times.map(|nanos| Time(nanos).to_string());
        let wanted = [
            "5 ns", "1.50 µs", "23.4 µs", "345 µs", "1.23 ms", "45.6 ms", "2.00 s",
        ];
        assert_eq!(shown, wanted);
        let numbers = [0, 999, 1000, 1_234_567].map(|number| Grouped(number).to_string());
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }
}
