//! Which faults a simulation may meet, and how often.

use std::fmt;

use super::dice::Dice;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $rate:literal;)*) => {
        /// A kind of fault. Open: later versions add kinds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];
            pub(crate) const COUNT: usize = Self::ALL.len();
            /// How often each strikes at its most, out of 65,536 opportunities.
            const RATES: [u32; Self::COUNT] = [$($rate,)*];
            const NAMES: [&'static str; Self::COUNT] = [$($text,)*];
        }
    };
}

faults! {
    /// One core takes several turns in a row.
    Burst, "burst", 3000;
    /// One core gets no turn while others have work.
    Starve, "starve", 500;
    /// A handler keeps its core for long, in virtual time.
    Stall, "stall", 300;
    /// An idle core spins instead of going to sleep.
    Spin, "spin", 30000;
    /// A sleeping core hears its bell late.
    LateWake, "late wake", 8000;
    /// A sleeping core wakes for no reason.
    SpuriousWake, "spurious wake", 400;
    /// Each turn takes time.
    SlowTurns, "slow turns", 65536;
    /// The process ends at once, and is started again later; the system closes its connections.
    Crash, "crash", 1200;
    /// As a crash, but nobody tells the peers.
    PowerLoss, "power loss", 800;
    /// The node is stopped in order, and started again.
    Shutdown, "orderly stop", 1000;
    /// The process is stopped for a while, and goes on.
    Pause, "pause", 2500;
    /// The clock of one node jumps ahead.
    ClockJump, "clock jump", 2000;
    /// The clock of one node is a little too fast.
    ClockDrift, "clock drift", 30000;
    /// A node may open few descriptors.
    FewDescriptors, "few descriptors", 65536;
    /// Pools keep no blocks.
    EmptyPools, "empty pools", 65536;
    /// Workers have room for very few messages.
    FewCredits, "few credits", 65536;
    /// Cores keep very few links to each other.
    FewLinks, "few links", 65536;
    /// Rings have the fewest slots.
    SmallRings, "small rings", 65536;
    /// Turns, bursts and timers have small budgets.
    SmallBudgets, "small budgets", 65536;
    /// What is sent arrives later than usual.
    Jitter, "jitter", 6000;
    /// Everything from one node to another is slow for a while.
    Clog, "clog", 3000;
    /// A connection has little bandwidth.
    Narrow, "narrow", 8000;
    /// A connection holds few bytes.
    SmallBuffers, "small buffers", 12000;
    /// Less is read than has come.
    ShortRead, "short read", 30000;
    /// Less is written than there is room for.
    ShortWrite, "short write", 30000;
    /// A socket says that it would block, though it would not.
    NotYet, "not yet", 6000;
    /// A call is interrupted by a signal.
    Interrupt, "interrupt", 6000;
    /// A socket is said to be ready and is not.
    SpuriousReadiness, "spurious readiness", 1000;
    /// Two nodes cannot reach each other for a while.
    Partition, "partition", 2000;
    /// One node cannot reach another for a while, but is reached by it.
    OneWay, "one-way partition", 2000;
    /// A connection is reset.
    Reset, "reset", 300;
    /// One direction of a connection ends.
    HalfClose, "half-close", 150;
    /// What is sent over a connection from now on never arrives.
    Blackhole, "blackhole", 150;
    /// The receiving side of a connection takes very little at a time.
    SlowReceiver, "slow receiver", 5000;
    /// A connection is refused though somebody listens.
    Refuse, "refuse", 6000;
    /// The first packet of a connection is lost, and comes again.
    LateConnect, "late connect", 6000;
    /// A connection breaks before it is accepted.
    AcceptFails, "accept fails", 5000;
    /// A datagram is lost.
    DatagramLost, "datagram lost", 10000;
    /// A datagram arrives twice.
    DatagramTwice, "datagram twice", 10000;
    /// A datagram arrives after later ones.
    DatagramLate, "datagram late", 10000;
    /// A core is refused memory, where it can do without.
    NoMemory, "no memory", 16000;
}

impl Fault {
    /// Its place among [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Fault> {
        let fits = |fault: &&Fault| Self::NAMES[fault.index()] == name;
        Self::ALL.iter().find(fits).copied()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[self.index()])
    }
}

/// Which faults a run meets, and how often each strikes.
///
/// ```
/// use ringpost::sim::{Fault, Faults};
///
/// let drawn = Faults::drawn(42);
/// assert_eq!(drawn, Faults::drawn(42));
/// let calmer = drawn.without(Fault::Crash).without(Fault::PowerLoss);
/// assert!(calmer.kinds().all(|kind| kind != Fault::Crash));
/// let only = Faults::none().with(Fault::Reset, 0.01);
/// assert_eq!(only.kinds().collect::<Vec<_>>(), [Fault::Reset]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Faults {
    rates: [u32; Fault::COUNT],
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self {
            rates: [0; Fault::COUNT],
        }
    }

    /// A swarm: this seed draws which kinds there are and how often each strikes. Some seeds have none.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "which faults there are");
        let mut faults = Self::none();
        // How many of the kinds there are, in sixteenths.
        let share = dice.below(14);
        for fault in Fault::ALL {
            let (is_there, strength) = (dice.below(16) < share, dice.below(5));
            let most = Fault::RATES[fault.index()];
            if is_there {
                faults.rates[fault.index()] = (most >> strength).max(1);
            }
        }
        faults
    }

    /// Also this kind, which strikes at so many of its opportunities; 1 is all of them.
    #[must_use]
    pub fn with(mut self, fault: Fault, chance: f64) -> Self {
        // A cast of floating point saturates.
        self.rates[fault.index()] = (chance.clamp(0.0, 1.0) * 65_536.0) as u32;
        self
    }

    /// Not this kind.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.rates[fault.index()] = 0;
        self
    }

    /// The kinds that there are.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> {
        let rates = self.rates;
        let all = Fault::ALL.iter().copied();
        all.filter(move |fault| rates[fault.index()] > 0)
    }

    pub(crate) fn rate(&self, fault: Fault) -> u32 {
        self.rates[fault.index()]
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds().map(|fault| (fault, self.rate(fault)));
        f.debug_map().entries(kinds).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults};

    #[test]
    fn seeds_differ_in_what_they_meet_and_some_meet_nothing() {
        let drawn: Vec<Faults> = (0..500).map(Faults::drawn).collect();
        assert!(drawn.iter().any(|faults| faults.kinds().next().is_none()));
        for fault in Fault::ALL {
            let with = drawn.iter().filter(|faults| faults.rate(*fault) > 0);
            assert!((50..450).contains(&with.count()), "{fault}");
        }
    }

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(&fault.to_string()), Some(*fault));
        }
        assert_eq!(Fault::named("no such fault"), None);
    }
}
