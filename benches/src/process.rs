//! What Linux says about a process.

use std::fs;
use std::time::Duration;

/// The unit in which Linux gives processor time to programs.
const TICK_MS: u64 = 10;

/// A number of the status of a process, by its id or `self`: the field's value, in KiB where it is memory. 0 where there is
/// none.
#[must_use]
pub fn status(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}

/// Processor time of a process so far.
#[must_use]
pub fn used(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold spaces, these are the 14th and the 15th field.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(TICK_MS.saturating_mul(ticks))
}
