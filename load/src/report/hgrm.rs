//! The distribution of latencies in the text format of the HdrHistogram tools, in microseconds.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Steps of the quantile between two halvings of its distance to 1.
const TICKS: u32 = 5;

const NANOS_PER_MICRO: f64 = 1000.0;

/// The distribution, as the plotters of HdrHistogram read it. Values are in microseconds.
pub(crate) fn hgrm(latencies: &Histogram<u64>) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in latencies.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / NANOS_PER_MICRO;
        let quantile = step.quantile_iterated_to();
        // Writing to a string cannot fail, here and below.
        let _ = write!(out, "{value:>12.3} {quantile:>2.12} {total:>10}");
        match quantile < 1.0 {
            true => {
                let _ = writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile));
            }
            false => out.push_str("            inf\n"),
        }
    }
    let _ = writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n\
         #[Max     = {:>12.3}, Total count    = {:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]",
        latencies.mean() / NANOS_PER_MICRO,
        latencies.stdev() / NANOS_PER_MICRO,
        latencies.max() as f64 / NANOS_PER_MICRO,
        latencies.len(),
        latencies.buckets(),
        2048,
    );
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;

    #[test]
    fn lines_rise_to_the_last_sample_and_end_with_the_summary() {
        let outcome = outcome();
        let text = hgrm(&outcome.latencies);
        let lines: Vec<&str> = text.lines().collect();
        let is_row = |line: &&&str| !line.is_empty() && !line.starts_with('#');
        let rows: Vec<Vec<f64>> = lines[2..]
            .iter()
            .filter(is_row)
            .map(|line| {
                line.split_whitespace()
                    .map(|part| part.parse().unwrap())
                    .collect()
            })
            .collect();
        for pair in rows.windows(2) {
            for column in 0..3 {
                assert!(pair[0][column] <= pair[1][column], "{pair:?}");
            }
        }
        let last = rows.last().unwrap();
        assert!((last[0] - 1000.0).abs() < 1.0, "{last:?}");
        assert_eq!((last[1], last[2], last[3]), (1.0, 1e6, f64::INFINITY));
        let summary = lines[lines.len() - 2];
        assert!(summary.starts_with("#[Max     =     1000."), "{summary}");
        assert!(
            summary.ends_with("Total count    =      1000000]"),
            "{summary}"
        );
    }
}
