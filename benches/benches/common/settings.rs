//! How long the suites measure.

use std::time::Duration;

use criterion::Criterion;

/// Long enough for figures that repeat, short enough for all suites together in a quarter of an hour.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(12)
        .warm_up_time(Duration::from_millis(400))
        .measurement_time(Duration::from_millis(2000))
        .nresamples(10_000)
        .configure_from_args()
}
