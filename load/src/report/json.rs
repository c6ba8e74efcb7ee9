//! The report for programs: one JSON object. Times are in nanoseconds, rates in messages a second.

use std::fmt::{Display, Write};

use super::{PERCENTILES, Report, Searched, Trial};
use crate::check::{Bound, Check};
use crate::exit::Exit;
use crate::outcome::Outcome;

/// The report as one JSON object on one line.
pub(crate) fn json(report: &Report<'_>) -> String {
    let (settings, outcome) = (report.settings, report.outcome);
    let mut out = Object::new();
    out.text("target", &report.target);
    out.put("connections", settings.connections);
    out.put("window", settings.window);
    out.put("size", settings.size);
    out.put("threads", settings.threads);
    out.number("offered_rate", settings.rate);
    out.put("warm_up_nanos", settings.warm_up);
    out.put("measured_nanos", outcome.measured());
    out.number("rate", Some(outcome.rate()));
    out.put("measured_messages", outcome.answered);
    out.put("messages", messages(outcome));
    out.put("latency_nanos", latencies(outcome));
    out.number("client_cpu_nanos", outcome.cpu.map(|cpu| cpu as f64));
    out.put("broken_connections", outcome.broken);
    let reason = outcome
        .first_break
        .as_ref()
        .map(|first| quoted(&first.reason));
    out.put("first_break", reason.as_deref().unwrap_or("null"));
    out.put("interrupted", outcome.interrupted);
    if let Some(searched) = &report.search {
        out.put("search", search(searched));
    }
    out.put("checks", list(report.checks.iter().map(check)));
    out.put("ok", report.exit() == Exit::Well);
    out.end()
}

fn messages(outcome: &Outcome) -> String {
    let counts = &outcome.counts;
    let mut out = Object::new();
    out.put("sent", counts.sent);
    out.put("answered", counts.answered);
    out.put("lost", counts.lost);
    out.put("duplicated", counts.duplicated);
    out.put("corrupt", counts.corrupt);
    out.put("reordered", counts.reordered);
    out.put("late", counts.late);
    out.put("unsent", outcome.unsent);
    out.end()
}

fn latencies(outcome: &Outcome) -> String {
    let latencies = &outcome.latencies;
    if latencies.is_empty() {
        return "null".into();
    }
    let mut out = Object::new();
    out.put("samples", latencies.len());
    out.put("unanswered", outcome.unanswered);
    out.number("mean", Some(latencies.mean()));
    out.put("min", latencies.min());
    for percent in PERCENTILES {
        let value = latencies.value_at_percentile(percent);
        out.put(&format!("p{percent}"), value);
    }
    out.put("max", latencies.max());
    out.end()
}

fn search(searched: &Searched) -> String {
    let mut out = Object::new();
    out.text("metric", &searched.limit.metric.to_string());
    out.number("limit", Some(searched.limit.value));
    out.number("found_rate", searched.found);
    out.put("trials", list(searched.trials.iter().map(trial)));
    let failure = searched.failure.as_deref().map(quoted);
    out.put("failure", failure.as_deref().unwrap_or("null"));
    out.end()
}

fn trial(trial: &Trial) -> String {
    let mut out = Object::new();
    out.number("offered_rate", Some(trial.rate));
    out.number("rate", Some(trial.answered));
    out.number("latency_nanos", Some(trial.latency));
    out.put("kept", trial.is_kept);
    out.end()
}

fn check(check: &Check) -> String {
    let (relation, limit) = match check.bound {
        Bound::AtMost(limit) => ("max", limit),
        Bound::AtLeast(limit) => ("min", limit),
    };
    let mut out = Object::new();
    out.text("metric", &limit.metric.to_string());
    out.number(relation, Some(limit.value));
    out.number("found", Some(check.found));
    out.put("held", check.holds);
    out.end()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// An object under way.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self(String::from("{"))
    }

    /// A member whose value is written as it shows itself.
    fn put(&mut self, name: &str, value: impl Display) {
        let comma = if self.0.len() > 1 { ", " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\": {value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.put(name, quoted(value));
    }

    /// A number with as many digits as it has; `null` for none, and for what JSON has no numbers for.
    fn number(&mut self, name: &str, value: Option<f64>) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => self.put(name, value),
            None => self.put(name, "null"),
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{outcome, report};
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn programs_read_what_was_measured() {
        let (settings, mut outcome) = (Settings::small(), outcome());
        outcome.note_break(5, "a \"reason\"\n".into());
        let json = json(&report(&settings, &outcome));
        for part in [
            r#"{"target": "raw://127.0.0.1:4000", "connections": 2, "#,
            r#""offered_rate": null, "#,
            r#""rate": 100000, "measured_messages": 1000000, "#,
            r#""messages": {"sent": 1100000, "answered": 1099999, "lost": 1, "#,
            r#""latency_nanos": {"samples": 1000000, "unanswered": 0, "mean": 5"#,
            r#""p99.999": 1000"#,
            r#""first_break": "a \"reason\"\u000a", "#,
            r#"{"metric": "p99", "max": 2000000, "found": 99"#,
            r#"{"metric": "lost", "max": 0, "found": 1, "held": false}"#,
        ] {
            assert!(json.contains(part), "no {part} in {json}");
        }
        assert!(json.ends_with(r#", "ok": false}"#) && !json.contains('\n'));
    }

    #[test]
    fn what_is_no_number_is_null() {
        let mut out = Object::new();
        out.number("a", Some(f64::NAN));
        out.number("b", Some(1.5));
        assert_eq!(out.end(), r#"{"a": null, "b": 1.5}"#);
    }
}
