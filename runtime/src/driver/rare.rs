//! Rare paths: named places at which only a simulation takes a turning that is legal and hardly ever seen.
//!
//! A ring that seems full, a burst of one, a credit that comes back late: code has to be right when these
//! happen, and in the field they happen when nobody looks. Each core has a [`RareSeam`] from its driver,
//! which says no, always, unless it is a simulation's.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::driver::sim::{Dice, Fate};

macro_rules! rare_paths {
    ($($(#[$doc:meta])* $name:ident, $text:literal;)*) => {
        /// A path that only a simulation takes on purpose. Open: later versions add paths.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rare {
            $($(#[$doc])* $name,)*
        }

        impl Rare {
            /// Every path.
            pub const ALL: &'static [Rare] = &[$(Rare::$name,)*];
            pub(crate) const COUNT: usize = Self::ALL.len();
            const NAMES: [&'static str; Self::COUNT] = [$($text,)*];
        }
    };
}

rare_paths! {
    /// What another core has published is not seen yet; what it publishes later is not seen before that.
    LateRing, "a ring is seen late";
    /// One slot is taken from a ring, though there are more.
    ShortBurst, "a burst of one";
    /// Other threads and cores wait in the inbox, and are let in later.
    LateInbox, "the inbox is emptied late";
    /// Tasks that were woken from elsewhere are looked at later.
    LateWakes, "wakes are seen late";
    /// Timers that are due fire later.
    LateTimers, "timers fire late";
    /// Room in rings is granted later.
    LateRoom, "room is granted late";
    /// A turn handles one message.
    ShortTurn, "a turn of one message";
    /// Debts are paid and buffers sent home though the core is busy.
    EarlyErrands, "errands are run early";
    /// A worker handles one message before others have their turn.
    ShortSlice, "a slice of one message";
    /// Tasks have their turn before messages.
    TasksFirst, "tasks before messages";
    /// What was written is published in the middle of a turn.
    EarlyFlush, "a flush within a turn";
    /// A stage of the node's end is passed later.
    LateStage, "a stage is passed late";
    /// The positions of a ring begin just before they wrap.
    WrappingRing, "a ring that is about to wrap";
    /// Rings are asked for later.
    LateRings, "rings are asked for late";
    /// A ring is full, though it has room.
    FullRing, "a ring seems full";
    /// A sender waits for its next turn, though it has sent little.
    EarlyPause, "a sender pauses early";
    /// There is no link left, though there is.
    NoLink, "no link seems left";
    /// A link that nobody uses is closed though none is needed.
    EarlyClose, "a link is closed early";
    /// The next message says anew whom it is for and from.
    RepeatedHead, "a head is repeated";
    /// Senders are introduced to another core anew.
    Reintroduction, "senders are introduced anew";
    /// A control message waits, though the ring has room.
    SpilledControl, "a control message spills";
    /// Work for another core waits, though the ring has room.
    SpilledJob, "a job spills";
    /// A batch of credits goes back later.
    LateCredit, "credits go back late";
    /// A credit goes back alone.
    EarlyCredit, "a credit goes back alone";
    /// A message from outside lines up, though nobody is before it.
    LinedUp, "a message from outside lines up";
    /// A socket is put off to the next turn.
    PutOff, "a socket is put off";
    /// A connection is read once before others have their turn.
    OneRead, "one read";
    /// A connection writes one part of what it could.
    OnePart, "one part is written";
    /// Connections write what they have within a turn, though little was read.
    EarlyAnswers, "answers leave within a turn";
    /// What other cores have sent is handled before anything else of a turn.
    Pass, "a pass before a turn";
    /// What has arrived from another core is put in the queue, though it could be handled at once.
    Queued, "an arrival is queued";
    /// A request to another core goes the way of what has to wait, though nothing is in its way.
    LongWay, "a request goes the long way";
}

impl Rare {
    /// Its place among [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Rare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[self.index()])
    }
}

/// How often each path is taken, out of 65,536 times.
#[derive(Clone)]
pub(crate) struct RareRates(Rc<[u32; Rare::COUNT]>);

impl RareRates {
    /// No path is taken.
    pub(crate) fn none() -> Self {
        Self(Rc::new([0; Rare::COUNT]))
    }

    /// Which paths there are, and how often each is taken, is drawn.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "which rare paths there are");
        let share = dice.below(12);
        let rates = std::array::from_fn(|_| {
            let (is_there, strength) = (dice.below(16) < share, dice.below(8));
            if is_there { 16_384 >> strength } else { 0 }
        });
        Self(Rc::new(rates))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|rate| *rate == 0)
    }
}

/// What a core asks at such places.
pub(crate) struct RareSeam(Option<RareDice>);

/// The dice of one core of a simulation.
pub(crate) struct RareDice {
    fate: Rc<Fate>,
    dice: RefCell<Dice>,
    rates: RareRates,
}

impl RareDice {
    pub(crate) fn new(fate: Rc<Fate>, dice: Dice, rates: RareRates) -> Self {
        Self {
            fate,
            dice: RefCell::new(dice),
            rates,
        }
    }

    #[cold]
    fn takes(&self, path: Rare) -> bool {
        let rate = self.rates.0[path.index()];
        let takes = !self.fate.is_calm() && self.dice.borrow_mut().happens(rate);
        if takes {
            self.fate.took_rare(path);
        }
        takes
    }
}

impl RareSeam {
    /// Of a core that takes no such path.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(dice: Option<RareDice>) -> Self {
        Self(dice)
    }

    /// Whether this path is to be taken now.
    #[inline]
    pub(crate) fn takes(&self, path: Rare) -> bool {
        match &self.0 {
            None => false,
            Some(dice) => dice.takes(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rare, RareRates, RareSeam};

    #[test]
    fn no_path_is_taken_outside_of_simulations() {
        assert!(Rare::ALL.iter().all(|path| !RareSeam::NONE.takes(*path)));
    }

    #[test]
    fn each_path_is_drawn_by_some_seeds_and_some_seeds_draw_none() {
        let drawn: Vec<RareRates> = (0..200).map(RareRates::drawn).collect();
        assert!(drawn.iter().any(RareRates::is_empty));
        for path in Rare::ALL {
            assert!(
                drawn.iter().any(|rates| rates.0[path.index()] > 0),
                "{path}"
            );
        }
    }
}
