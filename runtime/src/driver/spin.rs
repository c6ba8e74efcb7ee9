//! How long a core that has nothing to do looks for arrivals before it sleeps.
//!
//! As long as a sleep and its wake-up take, at first: who waits longer has lost no more than by sleeping at
//! once. But a core that sleeps makes whoever needs it next wait for its wake-up, and cores that wait for that
//! fall asleep meanwhile. A message that goes round many cores then finds each of them asleep, for ever, however
//! short its way is when all are awake. So a core of which two sleeps in a row were ended by another soon after
//! they had begun looks for longer: as long as such a round takes where everybody sleeps. One such sleep says
//! nothing: who has sent a single message sleeps, and the credit for it or the answer wakes it.
//!
//! Once a longer look was in vain, the core looks as at first. Looks that are not in vain need not be worth their
//! time either: a timer, too, ends a look. So all longer looks after such a sleep have a time that they share, and
//! when that is used up the core looks as at first until another such sleep. Messages that wake a core again and
//! again so soon look like a round, and keep it awake but for one sleep each time. Where there are sockets each
//! look asks the kernel, which is no way to wait for long: no look is longer there.

use std::time::Duration;

/// Rounds over all cores, each of them asleep, that a long wait takes: what is done on the way takes time as well.
const ROUNDS: u32 = 2;
/// No core looks for longer.
const LONG_MAX: Duration = Duration::from_micros(500);
/// Looks of the full length whose time all longer looks share, until a sleep says again that they are needed.
const LONG_LOOKS: u32 = 64;

/// How long a core looks for arrivals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spin {
    short: Duration,
    long: Duration,
    /// What longer looks may still take.
    left: Duration,
    /// Whether another has ended the last sleep soon after it had begun.
    was_hasty: bool,
}

impl Spin {
    /// For one of so many cores, where a sleep and its wake-up take so long; for no time where that is none.
    pub(crate) fn new(short: Duration, cores: usize) -> Self {
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        let round = short.saturating_mul(cores.saturating_mul(ROUNDS));
        Self {
            short,
            long: round.min(LONG_MAX).max(short),
            left: Duration::ZERO,
            was_hasty: false,
        }
    }

    /// Whether this core looks for arrivals at all.
    pub(crate) fn is_none(&self) -> bool {
        self.short.is_zero()
    }

    /// How long to look this time; whether there are sockets, which may have been opened since the last sleep.
    pub(crate) fn time(&self, has_sources: bool) -> Duration {
        if has_sources || self.left.is_zero() {
            self.short
        } else {
            self.long
        }
    }

    /// A look is over that has taken so long, and something has come.
    pub(crate) fn note_look(&mut self, took: Duration) {
        self.left = self.left.saturating_sub(took);
    }

    /// A sleep is over, so long after there was nothing left to do; whether somebody has brought work.
    pub(crate) fn note_sleep(&mut self, idle: Duration, was_woken: bool) {
        let is_hasty = was_woken && idle <= self.long;
        self.left = if is_hasty && self.was_hasty {
            self.long.saturating_mul(LONG_LOOKS)
        } else {
            Duration::ZERO
        };
        self.was_hasty = is_hasty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// One that looks longer, for 320 us instead of 10.
    fn long() -> Spin {
        let mut spin = Spin::new(micros(10), 16);
        spin.note_sleep(micros(300), true);
        spin.note_sleep(micros(300), true);
        assert_eq!(spin.time(false), micros(320), "two rounds of 16 cores");
        spin
    }

    #[test]
    fn two_sleeps_that_were_too_hasty_make_the_next_wait_longer() {
        assert_eq!(Spin::new(micros(10), 16).time(false), micros(10));
        let mut spin = long();
        spin.note_sleep(micros(330), true);
        assert_eq!(spin.time(false), micros(10), "that was in vain");
        let mut spin = long();
        spin.note_sleep(micros(300), false);
        assert_eq!(spin.time(false), micros(10), "nobody has brought anything");
    }

    /// A message now and then: its credit wakes the sender at once, and the next sleep is a long one.
    #[test]
    fn messages_that_come_seldom_make_no_wait_longer() {
        let mut spin = Spin::new(micros(10), 16);
        for _ in 0..4 {
            spin.note_sleep(micros(60), true);
            assert_eq!(spin.time(false), micros(10), "after the credit");
            spin.note_sleep(micros(50_000), true);
            assert_eq!(spin.time(false), micros(10), "after the message");
        }
    }

    /// A timer ends every look before it is in vain.
    #[test]
    fn longer_waits_end_though_none_of_them_is_in_vain() {
        let mut spin = long();
        let most = (micros(320) * LONG_LOOKS).as_micros() / 200 + 1;
        let looks = (0..=most).take_while(|_| {
            let is_long = spin.time(false) > micros(200);
            spin.note_look(micros(200));
            is_long
        });
        let looks = looks.count() as u128;
        assert!(looks > 1 && looks <= most, "{looks} looks");
        spin.note_sleep(micros(200), false);
        assert_eq!(spin.time(false), micros(10), "a timer has ended the sleep");
    }

    #[test]
    fn who_has_sockets_waits_no_longer_whenever_they_were_opened() {
        let spin = long();
        assert_eq!(spin.time(true), micros(10));
        assert_eq!(spin.time(false), micros(320), "they are closed again");
    }

    /// A token goes round: each core has it again when all others have had it, and who sleeps is woken.
    #[test]
    fn a_round_of_cores_that_sleep_comes_to_find_them_awake() {
        let (hop, wake) = (micros(1), micros(12));
        for cores in [2, 8, 16, 32] {
            let mut spins = vec![Spin::new(wake, cores); cores];
            let sleeps = |spin: &Spin, idle: Duration| idle > spin.time(false);
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
        none.note_sleep(Duration::ZERO, true);
        assert!(none.is_none() && none.time(false).is_zero());
    }
}
