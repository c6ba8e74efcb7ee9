//! The figures of a run by the names that people use for them, and bounds on them.

use std::fmt;
use std::str::FromStr;

use crate::clock::nanos;
use crate::outcome::Outcome;
use crate::quantity::{self, Grouped, Time};

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// Replies a second.
    Rate,
    /// The mean of the latencies.
    Mean,
    /// The latency that this share of messages, in percent, did not exceed.
    Percentile(f64),
    /// The highest latency.
    Max,
    Lost,
    Duplicated,
    Corrupt,
    Reordered,
    Late,
    Unsent,
    /// Connections that ended early.
    Broken,
}

/// The figures with fixed names.
const NAMED: &[(&str, Metric)] = &[
    ("rate", Metric::Rate),
    ("mean", Metric::Mean),
    ("max", Metric::Max),
    ("lost", Metric::Lost),
    ("duplicated", Metric::Duplicated),
    ("corrupt", Metric::Corrupt),
    ("reordered", Metric::Reordered),
    ("late", Metric::Late),
    ("unsent", Metric::Unsent),
    ("broken", Metric::Broken),
];

impl Metric {
    /// Its value: nanoseconds, messages, or messages a second.
    pub(crate) fn of(self, outcome: &Outcome) -> f64 {
        let latencies = &outcome.latencies;
        match self {
            Self::Rate => outcome.rate(),
            Self::Mean => latencies.mean(),
            Self::Percentile(percent) => latencies.value_at_percentile(percent) as f64,
            Self::Max => latencies.max() as f64,
            Self::Lost => outcome.counts.lost as f64,
            Self::Duplicated => outcome.counts.duplicated as f64,
            Self::Corrupt => outcome.counts.corrupt as f64,
            Self::Reordered => outcome.counts.reordered as f64,
            Self::Late => outcome.counts.late as f64,
            Self::Unsent => outcome.unsent as f64,
            Self::Broken => outcome.broken as f64,
        }
    }

    /// Whether it is a latency, and so a time.
    pub(crate) fn is_latency(self) -> bool {
        matches!(self, Self::Mean | Self::Max | Self::Percentile(_))
    }

    /// Shows a value of this figure with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Rate => format!("{}/s", Grouped(value.round() as u64)),
            _ if self.is_latency() => Time(value.round() as u64).to_string(),
            _ => Grouped(value.round() as u64).to_string(),
        }
    }

    fn parse_value(self, text: &str) -> Result<f64, String> {
        match self {
            _ if self.is_latency() => quantity::duration(text).map(|value| nanos(value) as f64),
            Self::Rate => quantity::rate(text),
            _ => quantity::count(text),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, metric)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(*metric);
        }
        let percent = text.strip_prefix('p').map(str::parse::<f64>);
        match percent {
            Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok(Self::Percentile(percent)),
            _ => {
                let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Err(format!(
                    "`{text}` is no figure; there are {names}, and percentiles such as p50, p99 or p99.9"
                ))
            }
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(percent) = self {
            return write!(f, "p{percent}");
        }
        let name = NAMED.iter().find(|(_, metric)| metric == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A figure and a value it is held against, written `p99=2ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

impl Limit {
    /// Reads a limit on a latency.
    ///
    /// # Errors
    /// A text that is none, for people.
    pub(crate) fn latency(text: &str) -> Result<Self, String> {
        let limit: Self = text.parse()?;
        match limit.metric.is_latency() {
            true => Ok(limit),
            false => Err(format!(
                "`{}` is no latency; write such as p99=1ms",
                limit.metric
            )),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let (metric, value) = parts.ok_or_else(|| {
            format!("`{text}` has no `=`; write a figure and its limit, such as p99=2ms")
        })?;
        let metric: Metric = metric.parse()?;
        let value = metric.parse_value(value)?;
        Ok(Self { metric, value })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.metric, self.metric.show(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_the_unit_of_their_figure() {
        let limit = |metric, value| Ok(Limit { metric, value });
        assert_eq!("p99=2ms".parse(), limit(Metric::Percentile(99.0), 2e6));
        assert_eq!("p99.99=1s".parse(), limit(Metric::Percentile(99.99), 1e9));
        assert_eq!("rate=1.5M".parse(), limit(Metric::Rate, 1.5e6));
        assert_eq!("lost=0".parse(), limit(Metric::Lost, 0.0));
        assert_eq!(
            "max=10us".parse::<Limit>().unwrap().to_string(),
            "max=10.0 µs"
        );
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for (text, part) in [
            ("p99", "no `=`"),
            ("p99=2", "unit"),
            ("p101=2ms", "p99.9"),
            ("speed=2", "there are rate, mean"),
            ("lost=2ms", "a number such as"),
        ] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(
            Limit::latency("rate=1k")
                .unwrap_err()
                .contains("no latency")
        );
        assert!(Limit::latency("mean=1ms").is_ok());
    }

    #[test]
    fn every_name_stands_for_its_figure() {
        for (name, metric) in NAMED {
            assert_eq!(
                (name.parse(), metric.to_string()),
                (Ok(*metric), (*name).into())
            );
        }
        assert_eq!(Metric::Percentile(99.9).to_string(), "p99.9");
    }
}
