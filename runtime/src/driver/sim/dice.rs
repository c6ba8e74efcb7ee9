//! What a simulation draws from its seed.

/// A generator (SplitMix64). Each component of a simulation has one of its own, made from the seed and the
/// component's name, so that one more draw in one of them does not shift the others.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, component: &str) -> Self {
        let mut name = 0xcbf2_9ce4_8422_2325;
        for byte in component.bytes() {
            name = (name ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(seed ^ name)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`; 0 if that is 0.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.roll().checked_rem(sides).unwrap_or(0)
    }

    /// As [`below`](Self::below), for a place in a list.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        // The remainder is below a `usize`.
        self.below(count as u64) as usize
    }

    /// Whether something happens that happens `rate` times in 65,536.
    pub(crate) fn happens(&mut self, rate: u32) -> bool {
        rate > 0 && self.below(1 << 16) < u64::from(rate)
    }

    /// A number from `least` to `most`, where each order of magnitude is as likely as the others.
    pub(crate) fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let ratio = most.checked_div(least.max(1)).unwrap_or(1).max(1);
        let doublings = self.below(u64::from(ratio.ilog2()) + 1);
        let base = least.max(1) << doublings;
        (base + self.below(base)).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn components_draw_different_numbers_from_one_seed() {
        let draw = |name| Dice::new(7, name).roll();
        assert_eq!(draw("network"), draw("network"));
        assert_ne!(draw("network"), draw("schedule"));
        assert_ne!(draw("network"), Dice::new(8, "network").roll());
    }

    #[test]
    fn magnitudes_stay_within_their_bounds_and_reach_each_order() {
        let mut dice = Dice::new(1, "test");
        let drawn: Vec<u64> = (0..1000).map(|_| dice.magnitude(10, 10_000)).collect();
        assert!(drawn.iter().all(|number| (10..=10_000).contains(number)));
        assert!(drawn.iter().any(|number| *number < 30) && drawn.iter().any(|n| *n > 5_000));
        assert_eq!(dice.magnitude(5, 5), 5);
        assert_eq!(dice.below(0), 0);
    }
}
