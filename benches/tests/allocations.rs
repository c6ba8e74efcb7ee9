//! Allocations of a message, counted: the figures that a noisy machine cannot blur.
//!
//! Each workload runs three times on a simulated node: to warm up, with few operations and with many. What
//! the last two differ by is the cost of the operations; setting up and cleaning up cancel out.

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use counting::allocations;
use ringpost_benches::counted;

const FEW: u64 = 24_000;
const MANY: u64 = 72_000;

/// Allocations of a thousand operations.
fn per_thousand(name: &str, cores: u16) -> u64 {
    let work = counted::find(name).expect("a known workload");
    let differ = counted::simulate(cores, async move |ctx| {
        let mut counts = [0; 3];
        for (count, n) in counts.iter_mut().zip([FEW, FEW, MANY]) {
            let own = ctx.detached()?;
            let before = allocations();
            work(own, n).await?;
            *count = allocations() - before;
        }
        Ok(counts[2].saturating_sub(counts[1]))
    });
    (1000 * differ).div_ceil(MANY - FEW)
}

/// What a thousand operations may allocate at most: workload, cores, allocations.
///
/// A message allocates nothing. What is left here: a sender that has to wait takes a place in a queue, plain data
/// comes in a box of its own, a worker and a timer are made of something, and a table grows now and then.
const LIMITS: &[(&str, u16, u64)] = &[
    ("one-way", 1, 40),
    ("one-way", 2, 16),
    ("one-way-by-name", 1, 40),
    ("one-way-by-name", 2, 16),
    ("flood", 1, 6),
    ("flood", 2, 20),
    ("requests-1000", 2, 2_020),
    ("round-trip", 1, 1),
    ("round-trip", 2, 2),
    ("round-trip-by-name", 1, 1),
    ("round-trip-by-name", 2, 2),
    ("request", 1, 1),
    ("request", 2, 2),
    ("requests-100", 1, 1),
    ("requests-100", 2, 2),
    ("thread-ring", 1, 1),
    ("fan-in", 1, 2_050),
    ("fan-in", 2, 250),
    ("fan-out", 1, 6),
    ("big", 1, 1),
    ("big", 2, 2),
    ("big-1200", 2, 430),
    ("moved-24", 1, 40),
    ("moved-24", 2, 16),
    ("moved-64", 1, 40),
    ("moved-64", 2, 16),
    ("buffer-1024", 1, 40),
    ("buffer-1024", 2, 450),
    ("plain-data-1024", 1, 1_040),
    ("plain-data-1024", 2, 1_016),
    ("life", 1, 1_025),
    ("fork", 1, 1_015),
    ("life", 2, 8_700),
    // The simulated network is among them.
    ("routed-echo", 1, 490),
    ("timer", 1, 1_005),
];

/// All of them in one test: the counter belongs to the process.
#[test]
fn messages_allocate_no_more_than_they_may() {
    let mut findings = Vec::new();
    for (name, cores) in counted::all() {
        let limit = LIMITS
            .iter()
            .find(|limit| (limit.0, limit.1) == (name, cores));
        let Some((_, _, limit)) = limit else {
            findings.push(format!("{name} on {cores}: there is no limit"));
            continue;
        };
        let found = per_thousand(name, cores);
        if found > *limit {
            findings.push(format!(
                "{name} on {cores}: {found} allocations for 1000 operations, {limit} are allowed"
            ));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
