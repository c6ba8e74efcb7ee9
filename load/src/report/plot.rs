//! The latencies by percentile, drawn.
//!
//! To the right the distance to 100 % shrinks tenfold from mark to mark, so that the slowest messages, which users
//! notice, have as much room as all others.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::Report;
use crate::metric::Metric;
use crate::quantity::Time;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

const NINES_MAX: u32 = 6;
const TICKS: u32 = 10;

/// The latencies by percentile as an SVG picture.
pub(crate) fn plot(report: &Report<'_>) -> String {
    let latencies = &report.outcome.latencies;
    let rate = Metric::Rate.show(report.outcome.rate());
    let subtitle = format!(
        "latency by percentile; {rate}, {} connections × window {}, {} B",
        report.settings.connections, report.settings.window, report.settings.size
    );
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>\n\
         <text x=\"16\" y=\"44\" fill=\"#555\">{}</text>\n",
        escaped(&report.target),
        escaped(&subtitle),
    );
    if latencies.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{}\">no message was measured</text>",
            HEIGHT / 2.0
        );
    } else {
        draw(&mut out, latencies);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, latencies: &Histogram<u64>) {
    let nines = nines(latencies.len());
    let (low, high) = decades(latencies);
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let x_of = |quantile: f64| {
        let distance = -(1.0 - quantile).max(0.1_f64.powi(nines as i32)).log10();
        LEFT + (right - LEFT) * distance / f64::from(nines)
    };
    let y_of = |nanos: f64| {
        let share = (nanos.max(1.0).log10() - f64::from(low)) / f64::from(high - low);
        bottom - (bottom - TOP) * share
    };
    for power in low..=high {
        let nanos = 10_f64.powi(power);
        let y = y_of(nanos);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            label(nanos),
        );
    }
    for nine in 0..=nines {
        let quantile = 1.0 - 0.1_f64.powi(nine as i32);
        let (x, percent) = (x_of(quantile), percent(nine));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{percent}</text>",
            bottom + 20.0,
        );
    }
    let steps = latencies.iter_quantiles(TICKS);
    let points: Vec<String> = steps
        .map(|step| {
            let (x, y) = (
                x_of(step.quantile_iterated_to()),
                y_of(step.value_iterated_to() as f64),
            );
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#c2410c\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
        points.join(" "),
    );
}

/// How many nines so many samples can tell, one at least.
fn nines(samples: u64) -> u32 {
    samples.max(10).ilog10().clamp(1, NINES_MAX)
}

/// The powers of ten, in nanoseconds, below and above all latencies.
fn decades(latencies: &Histogram<u64>) -> (i32, i32) {
    let low = latencies.min().max(1).ilog10() as i32;
    let high = latencies.max().max(1).ilog10() as i32 + 1;
    (low, high)
}

fn label(nanos: f64) -> String {
    let shown = Time(nanos as u64).to_string();
    let (number, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    format!("{number} {unit}")
}

fn percent(nines: u32) -> String {
    match nines {
        0 => "0 %".into(),
        1 => "90 %".into(),
        2 => "99 %".into(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{outcome, report};
    use super::*;
    use crate::outcome::Outcome;
    use crate::settings::Settings;

    #[test]
    fn the_line_rises_from_left_to_right_within_the_frame() {
        let (settings, outcome) = (Settings::small(), outcome());
        let svg = plot(&report(&settings, &outcome));
        let points = svg
            .split("points=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let points: Vec<(f64, f64)> = points
            .split(' ')
            .map(|point| point.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert!(points.len() > 20);
        for pair in points.windows(2) {
            assert!(pair[0].0 <= pair[1].0 && pair[0].1 >= pair[1].1, "{pair:?}");
        }
        for (x, y) in points {
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y));
        }
        assert!(svg.contains(">99.9999 %<") && svg.contains(">10 ms<") && svg.contains(">1 µs<"));
    }

    #[test]
    fn few_samples_and_none_are_drawn_too() {
        let settings = Settings::small();
        let mut few = Outcome::new(0);
        few.latencies.saturating_record(5);
        let svg = plot(&report(&settings, &few));
        assert!(svg.contains("polyline") && !svg.contains("NaN"), "{svg}");
        let none = Outcome::new(0);
        let mut report = report(&settings, &none);
        report.target = "a<b&c".into();
        let svg = plot(&report);
        assert!(svg.contains("no message was measured") && svg.contains("a&lt;b&amp;c"));
    }
}
