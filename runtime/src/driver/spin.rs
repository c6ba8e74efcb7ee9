//! How long a core that has nothing to do looks for arrivals before it sleeps.
//!
//! As long as a sleep and its wake-up take, at first: who waits longer has lost no more than by sleeping at
//! once. But a core that sleeps makes whoever needs it next wait for its wake-up, and cores that wait for that
//! fall asleep meanwhile. A message that goes round many cores then finds each of them asleep, for ever, however
//! short its way is when all are awake. So a core whose sleep was ended by another soon after it had begun looks
//! for longer the next time: as long as such a round takes where everybody sleeps. Once that was in vain,
//! it is as it was at first. An idle core has no such sleeps, and one whose messages come seldom has none either.

use std::time::Duration;

/// Rounds over all cores, each of them asleep, that a long wait takes: what is done on the way takes time as well.
const ROUNDS: u32 = 2;
/// No core looks for longer.
const LONG_MAX: Duration = Duration::from_micros(500);

/// How long a core looks for arrivals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spin {
    short: Duration,
    long: Duration,
    now: Duration,
}

impl Spin {
    /// For one of so many cores, where a sleep and its wake-up take so long; for no time where that is none.
    pub(crate) fn new(short: Duration, cores: usize) -> Self {
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        let round = short.saturating_mul(cores.saturating_mul(ROUNDS));
        Self {
            short,
            long: round.min(LONG_MAX).max(short),
            now: short,
        }
    }

    /// Whether this core looks for arrivals at all.
    pub(crate) fn is_none(&self) -> bool {
        self.short.is_zero()
    }

    /// How long to look this time.
    pub(crate) fn time(&self) -> Duration {
        self.now
    }

    /// A sleep is over, so long after there was nothing left to do; whether somebody has brought work.
    pub(crate) fn note_sleep(&mut self, idle: Duration, was_woken: bool) {
        let was_hasty = was_woken && idle <= self.long && !self.is_none();
        self.now = if was_hasty { self.long } else { self.short };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_sleep_that_was_too_hasty_makes_the_next_wait_longer() {
        let mut spin = Spin::new(micros(10), 16);
        assert_eq!(spin.time(), micros(10));
        spin.note_sleep(micros(300), true);
        assert_eq!(spin.time(), micros(320), "two rounds of 16 cores");
        spin.note_sleep(micros(330), true);
        assert_eq!(spin.time(), micros(10), "that was in vain");
        spin.note_sleep(micros(300), false);
        assert_eq!(spin.time(), micros(10), "nobody has brought anything");
    }

    /// A token goes round: each core has it again when all others have had it, and who sleeps is woken.
    #[test]
    fn a_round_of_cores_that_sleep_comes_to_find_them_awake() {
        let (hop, wake) = (micros(1), micros(12));
        for cores in [2, 8, 16, 32] {
            let mut spins = vec![Spin::new(wake, cores); cores];
            let sleeps = |spin: &Spin, idle: Duration| idle > spin.time();
            let mut round = (hop + wake) * cores as u32;
            for _ in 0..3 {
                let mut next = Duration::ZERO;
                for spin in &mut spins {
                    next += hop;
                    if sleeps(spin, round) {
                        next += wake;
                        spin.note_sleep(round, true);
                    }
                }
                round = next;
            }
            assert_eq!(round, hop * cores as u32, "{cores} cores");
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_longest_and_who_does_not_spin_never_does() {
        assert_eq!(Spin::new(micros(50), 1024).long, LONG_MAX);
        let mut none = Spin::new(Duration::ZERO, 16);
        none.note_sleep(Duration::ZERO, true);
        assert!(none.is_none() && none.time().is_zero());
    }
}
