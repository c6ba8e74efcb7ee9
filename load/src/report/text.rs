//! The report for people.

use std::fmt::Write;

use super::{PERCENTILES, Report, Searched, can_tell};
use crate::metric::Metric;
use crate::outcome::Outcome;
use crate::quantity::{Grouped, Time};
use crate::settings::Settings;

/// What is said of an open loop that could not send all it was to.
const OVERLOAD: &str = "           overload: they waited for replies, and more are due than the service answers, or this program sends.
           Lower the rate, let more wait (--window, -c), or have the rate searched (--find-rate)
";

/// The report for people: what was done, what was measured, and what was wrong.
pub(crate) fn text(report: &Report<'_>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "{}", describe(report));
    if let Some(searched) = &report.search
        && !searched.trials.is_empty()
    {
        let _ = writeln!(out, "{}", found(searched, report.settings.rate));
        if let Some(failure) = &searched.failure {
            let _ = writeln!(out, "the search ended early: {failure}");
        }
    }
    let outcome = report.outcome;
    if outcome.interrupted && outcome.counts.sent == 0 {
        let _ = writeln!(out, "ended at the user's wish before anything was sent");
        return out;
    }
    if outcome.interrupted {
        let _ = writeln!(out, "ended early at the user's wish; measured so far:");
    }
    if let Some(line) = breaks(report) {
        let _ = writeln!(out, "\n{line}");
    }
    out.push('\n');
    rates(&mut out, report);
    latencies(&mut out, outcome);
    let asked = report
        .checks
        .iter()
        .filter(|check| check.is_asked || !check.holds);
    for (at, check) in asked.enumerate() {
        let (gap, label) = if at == 0 { ("\n", "checks") } else { ("", "") };
        let _ = writeln!(out, "{gap}{label:<10} {check}");
    }
    out
}

/// What was put under which load.
fn describe(report: &Report<'_>) -> String {
    let Settings {
        connections,
        window,
        size,
        threads,
        ..
    } = report.settings;
    let (each, many) = match report.target.starts_with("local") {
        true => ("pair", "pairs"),
        false => ("connection", "connections"),
    };
    let connections = counted(*connections as u64, each, many);
    let threads = counted(*threads as u64, "thread", "threads");
    let pace = match report.settings.rate {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {}", Metric::Rate.show(rate)),
    };
    let measured = Time(report.outcome.measured());
    let warm_up = match report.settings.warm_up {
        0 => String::new(),
        warm_up => format!(" after {} of warm-up", Time(warm_up)),
    };
    format!(
        "{}\n{connections}, window {window}, messages of {size} B, {threads}; {pace}, {measured} measured{warm_up}",
        report.target
    )
}

fn counted(number: u64, one: &str, many: &str) -> String {
    let name = if number == 1 { one } else { many };
    format!("{} {name}", Grouped(number))
}

/// What a search has found, and of which rate the figures are.
fn found(searched: &Searched, shown: Option<f64>) -> String {
    let limit = searched.limit;
    let value = limit.metric.show(limit.value);
    let trials = counted(searched.trials.len() as u64, "trial", "trials");
    match searched.found {
        Some(rate) => format!(
            "highest rate that keeps {} ≤ {value}: {} ({trials}; the figures of {} follow)",
            limit.metric,
            Metric::Rate.show(rate),
            if shown == Some(rate) {
                "that one"
            } else {
                "the last one"
            },
        ),
        None => format!(
            "no rate that was tried keeps {} ≤ {value} ({trials}; the figures of the last one follow)",
            limit.metric
        ),
    }
}

/// What became of connections that ended early.
fn breaks(report: &Report<'_>) -> Option<String> {
    let outcome = report.outcome;
    let first = outcome.first_break.as_ref()?;
    let start = outcome.begin.saturating_sub(report.settings.warm_up);
    let after = Time(first.at.saturating_sub(start));
    let of = match outcome.broken == report.settings.connections as u64 {
        true => "the run ended early: all".to_owned(),
        false => format!("{} of", Grouped(outcome.broken)),
    };
    Some(format!(
        "{of} {} broke, the first after {after}: {}. Measured so far:",
        counted(
            report.settings.connections as u64,
            "connection",
            "connections"
        ),
        first.reason
    ))
}

fn rates(out: &mut String, report: &Report<'_>) {
    let outcome = report.outcome;
    let rate = outcome.rate();
    let mebibytes = rate * report.settings.size as f64 / (1024.0 * 1024.0);
    let shown = Metric::Rate.show(rate);
    let _ = writeln!(
        out,
        "rate       {shown} ({mebibytes:.1} MiB/s of messages each way)"
    );
    if let Some(offered) = report.settings.rate {
        let share = 100.0 * rate / offered;
        let unsent = Grouped(outcome.unsent);
        let _ = writeln!(
            out,
            "kept up    {share:.1} % of the rate; {unsent} messages due never left"
        );
        if outcome.unsent > 0 && outcome.broken == 0 && !outcome.interrupted {
            out.push_str(OVERLOAD);
        }
    }
    let counts = &outcome.counts;
    let _ = write!(
        out,
        "messages   {} sent, {} answered, {} lost, {} duplicated, {} corrupt, {} reordered",
        Grouped(counts.sent),
        Grouped(counts.answered),
        Grouped(counts.lost),
        Grouped(counts.duplicated),
        Grouped(counts.corrupt),
        Grouped(counts.reordered),
    );
    match counts.late {
        0 => out.push('\n'),
        late => {
            let _ = writeln!(out, ", {} too late", Grouped(late));
        }
    }
    if let Some(hint) = hint(report) {
        let _ = writeln!(out, "           no reply came: {hint}");
    }
    if let (Some(cpu), 1..) = (outcome.cpu, outcome.answered) {
        let each = cpu / outcome.answered;
        let share = cpu as f64 / outcome.measured().max(1) as f64;
        let _ = writeln!(
            out,
            "client     {share:.2} CPUs busy, {} for each reply",
            Time(each)
        );
    }
}

/// What may be wrong where nothing is answered.
fn hint(report: &Report<'_>) -> Option<&'static str> {
    let counts = &report.outcome.counts;
    if counts.answered > 0 || counts.sent == 0 {
        return None;
    }
    match report.target.split_once("://")?.0 {
        "tcp" => Some(
            "is there such a worker, and is it exposed to connections? A plain echo is raw://HOST:PORT",
        ),
        "raw" | "framed" => Some(
            "does the server send back what it gets? A worker of a node is tcp://HOST:PORT/WORKER",
        ),
        _ => None,
    }
}

fn latencies(out: &mut String, outcome: &Outcome) {
    let latencies = &outcome.latencies;
    if latencies.is_empty() {
        let _ = writeln!(
            out,
            "latency    none: no message was both sent and answered in the measured time"
        );
        return;
    }
    if outcome.unanswered > 0 {
        let _ = write!(
            out,
            "\n           at least: {} of {} messages had no reply, and count with the time they were waited for",
            Grouped(outcome.unanswered),
            Grouped(latencies.len())
        );
    }
    let mean = Time(latencies.mean().round() as u64);
    let _ = writeln!(out, "\nlatency    mean    {mean:>9}");
    for percent in PERCENTILES {
        let name = format!("p{percent}");
        let value = match can_tell(percent, latencies.len()) {
            true => Time(latencies.value_at_percentile(percent)).to_string(),
            false => "too few".to_owned(),
        };
        let _ = writeln!(out, "           {name:<7} {value:>9}");
    }
    let _ = writeln!(out, "           max     {:>9}", Time(latencies.max()));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{outcome, report};
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn people_read_what_was_measured() {
        let (settings, outcome) = (Settings::small(), outcome());
        let text = text(&report(&settings, &outcome));
        for line in [
            "raw://127.0.0.1:4000\n2 connections, window 4, messages of 64 B, 1 thread; closed loop, 10.0 s measured\n",
            "rate       100,000/s (6.1 MiB/s of messages each way)\n",
            "messages   1,100,000 sent, 1,099,999 answered, 1 lost, 0 duplicated, 0 corrupt, 0 reordered\n",
            "client     0.50 CPUs busy, 5.00 µs for each reply\n",
            "latency    mean       501 µs\n",
            "           p99        990 µs\n",
            "           p99.999   1.00 ms\n",
            "           max       1.00 ms\n",
            "checks     p99 990 µs ≤ 2.00 ms: held\n",
            "           lost 1 > 0: MISSED\n",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
    }

    #[test]
    fn breaks_are_told_first() {
        let (settings, mut outcome) = (Settings::small(), outcome());
        outcome.note_break(2 * SECOND, "the server closed the connection".into());
        let wanted = "1 of 2 connections broke, the first after 1.00 s: the server closed the connection. Measured so far:";
        assert_eq!(breaks(&report(&settings, &outcome)).unwrap(), wanted);
        outcome.note_break(3 * SECOND, "later".into());
        let told = breaks(&report(&settings, &outcome)).unwrap();
        assert!(
            told.starts_with("the run ended early: all 2 connections broke"),
            "{told}"
        );
    }

    #[test]
    fn an_open_loop_that_was_too_much_is_explained() {
        let (mut settings, mut outcome) = (Settings::small(), outcome());
        settings.rate = Some(1e6);
        let explained = [
            "kept up    10.0 % of the rate; 9,000,000 messages due never left\n           overload: ",
            "\n\n           at least: 9,000,000 of 1,000,000 messages had no reply",
            "           unsent 9,000,000 > 0: MISSED\n",
        ];
        let healthy = text(&report(&settings, &outcome));
        assert!(
            healthy.contains("kept up    10.0 % of the rate; 0 messages due never left\nmessages")
        );
        outcome.unsent = 9_000_000;
        outcome.unanswered = 9_000_000;
        let text = text(&report(&settings, &outcome));
        for part in explained {
            assert!(
                text.contains(part) && !healthy.contains(part),
                "{part:?} in\n{text}"
            );
        }
    }

    #[test]
    fn percentiles_without_samples_are_not_made_up() {
        let mut few = Outcome::new(0);
        (0..100).for_each(|_| few.latencies.saturating_record(5000));
        let mut out = String::new();
        latencies(&mut out, &few);
        assert!(out.contains("p99.9     too few"), "{out}");
        assert!(out.contains("p99       5.00 µs"), "{out}");
        let mut out = String::new();
        latencies(&mut out, &Outcome::new(0));
        assert!(out.contains("none"), "{out}");
    }
}
