//! What random programs are drawn from.

/// A small generator (SplitMix64), so that a failure has a seed.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % sides
    }
}

/// Runs one seed, if `RINGPOST_SEED` names it, else as many as `RINGPOST_SEEDS` says, or `usual`.
pub(crate) fn for_each_seed(usual: u64, run: fn(u64)) {
    if let Some(seed) = number("RINGPOST_SEED") {
        return run(seed);
    }
    let seeds = number("RINGPOST_SEEDS").unwrap_or(usual);
    let fails = |seed: &u64| std::panic::catch_unwind(|| run(*seed)).is_err();
    let failed: Vec<u64> = (0..seeds).filter(fails).collect();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds fail: {failed:?}",
        failed.len()
    );
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
