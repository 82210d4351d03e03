//! Times as the tables of the benchmarks show them.

use std::time::Duration;

/// In milliseconds.
pub(crate) fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// The median and the 99th percentile (of few values, the largest).
pub(crate) fn percentiles(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() * 99 / 100])
}
